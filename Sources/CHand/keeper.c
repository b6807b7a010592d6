// SPDX-License-Identifier: Apache-2.0
//
// The keeper: takes back what stands when the watch dies, when it stands still, and when the time
// of an act is up. A process of its own, so that nothing that ends or stops the watch does the same
// to it; with the watch's table of descriptors, so that it needs to open nothing.
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../CLinux/include/clinux.h"

#define PERIOD_MS 100
// The watch's loop turns ten times a second. Its worst gap in a stall was 0.3 s, on a machine
// that was late itself 1.0 s.
#define STANDS_STILL_NS 600000000ull
// More than this between two looks is the machine's own.
#define LONGEST_STEP_NS 150000000ull
// The watch takes back at the deadline; the keeper, when it did not.
#define GRACE_NS 200000000ull

struct keeper {
	struct journal *journal;
	uint64_t beat;
	uint64_t stale_ns;
	uint64_t last_ns;
	// By an entry, so that a refusal is told once.
	bool told[JOURNAL_ENTRIES];
};

static void undo(struct keeper *keeper, int index, uint8_t reason)
{
	struct journal *journal = keeper->journal;
	struct entry *entry = &journal->entries[index];
	uint64_t began = now_ns();
	struct rw_enforce act;
	bool foreign;
	int error;

	// Described before: what is free may be another's at once.
	entry_describe(entry, reason, &act);
	error = entry_undo(journal, entry, &foreign);
	if (error == -EAGAIN || (error && keeper->told[index]))
		return;
	keeper->told[index] = error != 0;
	if (error)
		fail(&act, error);
	if (foreign)
		refuse(&act, RW_ENFORCE_FOREIGN);
	act.header.boot_ns = now_ns();
	act.took_ns = act.header.boot_ns - began;
	journal_keep(journal, &act);
}

/// Returns how many still stand.
static int undo_those(struct keeper *keeper, uint8_t reason, uint64_t due)
{
	int standing = 0;

	for (int i = 0; i < JOURNAL_ENTRIES; i++) {
		struct entry *entry = &keeper->journal->entries[i];
		uint32_t state = atomic_load(&entry->state);

		if (state != ENTRY_PLANNED && state != ENTRY_STANDS) {
			keeper->told[i] = false;
			continue;
		}
		if (entry->deadline_boot_ns > due)
			continue;
		// What waits for nothing but the agent's end, and may itself wait.
		if (entry->verb == RW_ENFORCE_CALM_QUEUE && reason == RW_ENFORCE_WATCH_STANDS)
			continue;
		undo(keeper, i, reason);
		state = atomic_load(&entry->state);
		standing += state == ENTRY_PLANNED || state == ENTRY_STANDS;
	}
	return standing;
}

static bool stands_still(struct keeper *keeper, uint64_t now)
{
	uint64_t beat = atomic_load(&keeper->journal->beat_boot_ns);
	uint64_t step = now - keeper->last_ns;

	keeper->last_ns = now;
	if (beat != keeper->beat || beat == 0) {
		keeper->beat = beat;
		keeper->stale_ns = 0;
		return false;
	}
	keeper->stale_ns += step < LONGEST_STEP_NS ? step : LONGEST_STEP_NS;
	return keeper->stale_ns >= STANDS_STILL_NS;
}

/// The watch is gone. What it had open is held by us alone: it goes, so that a successor can
/// begin, but for what the journal still needs.
static void let_go(const struct keeper *keeper)
{
	for (int descriptor = 3; descriptor < 4096; descriptor++) {
		bool is_needed = false;

		for (int i = 0; i < JOURNAL_ENTRIES; i++)
			is_needed =
				is_needed ||
				(atomic_load(&keeper->journal->entries[i].state) != ENTRY_FREE &&
				 keeper->journal->entries[i].descriptor == descriptor);
		if (!is_needed)
			close(descriptor);
	}
}

static void keep(struct keeper *keeper, int watch)
{
	struct journal *journal = keeper->journal;
	struct pollfd entry = {.fd = watch, .events = POLLIN};
	bool has_let_go = false;

	for (;;) {
		int is_dead = poll(&entry, 1, PERIOD_MS) > 0;
		uint64_t now = now_ns();
		uint8_t reason;

		atomic_store(&journal->keeper_boot_ns, now);
		if (is_dead) {
			// Twice: an act that was on its way when the watch died may have come
			// after the first.
			reason = atomic_load(&journal->ending) ? RW_ENFORCE_AGENT_ENDS
							       : RW_ENFORCE_WATCH_DIED;
			undo_those(keeper, reason, UINT64_MAX);
			if (!undo_those(keeper, reason, UINT64_MAX))
				break;
			if (!has_let_go)
				let_go(keeper);
			has_let_go = true;
			entry.fd = -1;
			usleep(PERIOD_MS * 1000);
			while (undo_those(keeper, reason, UINT64_MAX))
				usleep(PERIOD_MS * 1000);
			break;
		}
		if (atomic_load(&journal->ending) == 2)
			break;
		if (stands_still(keeper, now))
			undo_those(keeper, RW_ENFORCE_WATCH_STANDS, UINT64_MAX);
		else if (now > GRACE_NS)
			undo_those(keeper, RW_ENFORCE_DEADLINE, now - GRACE_NS);
	}
	atomic_store(&journal->keeper_ended, 1);
}

static void settle(int priority, uint64_t capabilities)
{
	struct sched_param parameters = {.sched_priority = priority};
	int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	sigset_t all;

	if (score >= 0) {
		write_small(score, "-1000");
		close(score);
	}
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_NAME, "reservewatch-k");
	rw_set_io_flusher();
	if (priority > 0)
		sched_setscheduler(0, SCHED_FIFO, &parameters);
	// Little is there yet, and most of it is the program, which it shares.
	mlockall(MCL_CURRENT);
	rw_keep_capabilities(capabilities, capabilities);
}

int start_keeper(struct rw_hand *hand)
{
	struct keeper keeper = {.journal = hand->journal};
	int watch = (int)syscall(SYS_pidfd_open, getpid(), 0);
	long pid;

	if (watch < 0)
		return -errno;
	// Without CLONE_VM: its memory is its own. With CLONE_FILES: what the watch opens later, for a
	// process that is to be stopped, it has as well.
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		setsid();
		settle(hand->settings.priority, hand->needs.keeper);
		keeper.last_ns = now_ns();
		atomic_store(&hand->journal->keeper_boot_ns, keeper.last_ns);
		keep(&keeper, watch);
		_exit(0);
	}
	hand->keeper_pid = (int)pid;
	return 0;
}
