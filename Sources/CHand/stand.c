// SPDX-License-Identifier: Apache-2.0
//
// Acts that stand until they are taken back: the journal first, then the act.
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/// Fills an entry in but for what the act itself knows.
static void fill(const struct rw_hand *hand, const struct rw_directive *directive,
		 struct entry *entry)
{
	const struct rw_hand_rule *rule = &hand->settings.rules[directive->rule];

	entry->serial = directive->serial;
	entry->rule = directive->rule;
	entry->verb = directive->verb;
	memcpy(entry->rule_name, rule->name, sizeof(entry->rule_name));
	memcpy(entry->target, rule->place, sizeof(entry->target));
	entry->deadline_boot_ns = directive->deadline_boot_ns;
	entry->file_inode = 0;
	entry->pid = 0;
	memset(entry->path, 0, sizeof(entry->path));
	atomic_store(&entry->failures, 0);
}

/// The act is over. Whoever took it back meanwhile took back what was not done yet.
static bool has_stood(struct entry *entry)
{
	uint32_t expected = ENTRY_PLANNED;

	return atomic_compare_exchange_strong(&entry->state, &expected, ENTRY_STANDS);
}

/// Whether something may stand at all, and nobody is hit who must not be.
bool may_stand(struct rw_hand *hand, const struct rw_directive *directive, struct rw_enforce *act)
{
	const struct group *group = &hand->groups[directive->rule];
	struct census *census = &hand->censuses[directive->rule];

	if (atomic_load(&hand->no_keeper) || atomic_load(&hand->closing)) {
		refuse(act, atomic_load(&hand->closing) ? RW_ENFORCE_AGENT_ENDS
							: RW_ENFORCE_KEEPER_DIED);
		return false;
	}
	if (directive->verb == RW_ENFORCE_STOP)
		return true;
	if (atomic_load(&group->error)) {
		fail(act, -(int)atomic_load(&group->error));
		return false;
	}
	if (atomic_load(&census->protected_members) || !atomic_load(&census->seen_boot_ns)) {
		refuse(act, RW_ENFORCE_PROTECTED);
		return false;
	}
	act->processes = atomic_load(&census->members);
	act->known |= RW_ENFORCE_PROCESSES;
	return true;
}

/// Writes to a file, the journal first: what was there before, and what it is to be. 0 or -errno.
static int write_down(struct entry *entry, int descriptor, const char *path, const char *old,
		      const char *new)
{
	uint32_t expected = ENTRY_PLANNED;
	int error;

	snprintf(entry->path, sizeof(entry->path), "%s", path);
	snprintf(entry->old, sizeof(entry->old), "%s", old);
	snprintf(entry->new, sizeof(entry->new), "%s", new);
	entry->descriptor = descriptor;
	entry->file_inode = file_inode(descriptor);
	atomic_store(&entry->state, ENTRY_PLANNED);
	error = write_small(descriptor, new);
	if (error)
		atomic_compare_exchange_strong(&entry->state, &expected, ENTRY_FREE);
	return error;
}

/// Writes to a file of a cgroup.
static void change(struct rw_hand *hand, const struct rw_directive *directive,
		   struct rw_enforce *act, int descriptor, const char *old, const char *new,
		   uint32_t first, uint32_t count)
{
	struct entry *entry = journal_claim(hand->journal, first, count);
	char back[24];
	int error;

	if (!entry) {
		refuse(act, RW_ENFORCE_BUSY);
		return;
	}
	fill(hand, directive, entry);
	snprintf(back, sizeof(back), "%s", old);
	act->deadline_boot_ns = directive->deadline_boot_ns;
	error = write_down(entry, descriptor, hand->groups[directive->rule].path, old, new);
	if (error) {
		fail(act, error);
	} else if (!has_stood(entry)) {
		write_small(descriptor, back);
		refuse(act, RW_ENFORCE_RELEASED);
	}
}

void calm_queue_file(struct rw_hand *hand, const struct rw_directive *directive,
		     const struct queue_file *file, const char *path, const char *value)
{
	int error = file->descriptor < 0 ? file->descriptor : 0;
	struct entry *entry;
	struct rw_enforce act;

	// A kernel without it, or nothing that is on, or by us: what was read may be of before that.
	if (error == -ENOENT || (!error && (!file->present[0] || !strcmp(file->present, value) ||
					    journal_has(hand->journal, RW_ENFORCE_CALM_QUEUE,
							file_inode(file->descriptor)))))
		return;
	describe(hand, directive, &act);
	act.verb = RW_ENFORCE_CALM_QUEUE;
	memset(act.target, 0, sizeof(act.target));
	snprintf(act.target, sizeof(act.target), "%s", path);
	entry = error ? NULL : journal_claim(hand->journal, QUEUE_ENTRIES);
	if (entry) {
		fill(hand, directive, entry);
		entry->verb = RW_ENFORCE_CALM_QUEUE;
		memcpy(entry->target, act.target, sizeof(entry->target));
		entry->deadline_boot_ns = UINT64_MAX;
		error = write_down(entry, fcntl(file->descriptor, F_DUPFD_CLOEXEC, 3), path,
				   file->present, value);
		if (error)
			close(entry->descriptor);
		else
			has_stood(entry);
	}
	if (error)
		fail(&act, error);
	else if (!entry)
		refuse(&act, RW_ENFORCE_BUSY);
	answer(hand, &hand->from_act, directive, &act);
}

void freeze(struct rw_hand *hand, const struct rw_directive *directive, struct rw_enforce *act)
{
	int descriptor = hand->groups[directive->rule].freeze;
	char present[24];
	int count;

	if (!may_stand(hand, directive, act))
		return;
	count = read_small(descriptor, present, sizeof(present));
	if (count < 0) {
		fail(act, count);
		return;
	}
	// Frozen by somebody else, it is not ours to thaw. By another rule of ours, it is.
	if (strcmp(present, "0") &&
	    !journal_has(hand->journal, RW_ENFORCE_FREEZE, file_inode(descriptor))) {
		refuse(act, RW_ENFORCE_FOREIGN);
		return;
	}
	if (directive->enforced)
		change(hand, directive, act, descriptor, "0", "1", ACT_ENTRIES);
}

void limit_memory(struct rw_hand *hand, const struct rw_directive *directive,
		  struct rw_enforce *act)
{
	const struct group *group = &hand->groups[directive->rule];
	uint32_t percent = hand->settings.rules[directive->rule].memory_high_percent;
	char old[24], present[24], new[24];
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct entry *entry;
	int count;

	if (!may_stand(hand, directive, act))
		return;
	count = read_small(group->high, old, sizeof(old));
	if (count >= 0)
		count = read_small(group->current, present, sizeof(present));
	if (count < 0) {
		fail(act, count);
		return;
	}
	// One limit at a time: of two nobody would know which to go back to.
	for (int i = 0; i < JOURNAL_ENTRIES; i++) {
		entry = &hand->journal->entries[i];
		if (atomic_load(&entry->state) != ENTRY_FREE &&
		    entry->verb == RW_ENFORCE_MEMORY_HIGH &&
		    entry->file_inode == file_inode(group->high)) {
			refuse(act, RW_ENFORCE_BUSY);
			return;
		}
	}
	// As the kernel will print it.
	snprintf(new, sizeof(new), "%llu",
		 (unsigned long long)(strtoull(present, NULL, 10) / 100 * percent / page * page));
	set_held(act, strtoull(present, NULL, 10) / page, now_ns());
	if (directive->enforced)
		change(hand, directive, act, group->high, old, new, LOOK_ENTRIES);
}

void stop(struct rw_hand *hand, const struct rw_directive *directive, struct rw_enforce *act,
	  const struct process *process, int pidfd)
{
	struct entry *entry;
	uint32_t expected = ENTRY_PLANNED;
	int error;

	if (!directive->enforced)
		return;
	// Who is stopped already was stopped by another.
	if (process->state == 'T' || process->state == 't') {
		refuse(act, RW_ENFORCE_FOREIGN);
		return;
	}
	entry = directive->choice == RW_ENFORCE_SOCKET_OWNER
			? journal_claim(hand->journal, LOOK_ENTRIES)
			: journal_claim(hand->journal, ACT_ENTRIES);
	if (!entry) {
		refuse(act, RW_ENFORCE_BUSY);
		return;
	}
	fill(hand, directive, entry);
	entry->pid = process->pid;
	entry->start_ticks = process->start_ticks;
	memcpy(entry->comm, process->comm, sizeof(entry->comm));
	// A number of its own: it outlives the list of who is there.
	entry->descriptor = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
	act->deadline_boot_ns = directive->deadline_boot_ns;
	atomic_store(&entry->state, ENTRY_PLANNED);
	error = send_signal(entry->descriptor, SIGSTOP);
	if (error) {
		atomic_compare_exchange_strong(&entry->state, &expected, ENTRY_FREE);
		close(entry->descriptor);
		fail(act, error);
	} else if (!has_stood(entry)) {
		send_signal(pidfd, SIGCONT);
		refuse(act, RW_ENFORCE_RELEASED);
	}
}

static void undo(struct rw_hand *hand, struct ring *results, struct entry *entry, uint8_t reason,
		 const struct rw_directive *directive)
{
	struct rw_enforce act;
	bool foreign,
		is_own = entry->verb == RW_ENFORCE_STOP || entry->verb == RW_ENFORCE_CALM_QUEUE;
	int descriptor = entry->descriptor;
	int error;

	entry_describe(entry, reason, &act);
	error = entry_undo(hand->journal, entry, &foreign);
	if (error == -EAGAIN)
		return;
	if (error)
		fail(&act, error);
	else if (is_own)
		close(descriptor);
	if (foreign)
		refuse(&act, RW_ENFORCE_FOREIGN);
	answer(hand, results, directive, &act);
}

void take_back(struct rw_hand *hand, struct ring *results, const struct rw_directive *directive)
{
	uint8_t verb = directive->verb == RW_ENFORCE_THAW               ? RW_ENFORCE_FREEZE
		       : directive->verb == RW_ENFORCE_MEMORY_HIGH_BACK ? RW_ENFORCE_MEMORY_HIGH
									: RW_ENFORCE_STOP;
	struct entry *entry = journal_find(hand->journal, directive->serial, verb);
	struct rw_enforce act;

	if (entry) {
		undo(hand, results, entry, directive->reason, directive);
	} else if (!directive->enforced) {
		describe(hand, directive, &act);
		answer(hand, results, directive, &act);
	}
	// Else the keeper was first, and has told it.
}

void undo_all(struct rw_hand *hand, struct ring *results, uint8_t reason)
{
	for (int i = 0; i < JOURNAL_ENTRIES; i++) {
		struct entry *entry = &hand->journal->entries[i];

		// A disk's queue does no harm as it is, and we have still to act.
		if (entry->verb != RW_ENFORCE_CALM_QUEUE || reason == RW_ENFORCE_AGENT_ENDS)
			undo(hand, results, entry, reason, NULL);
	}
}
