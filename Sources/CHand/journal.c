// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int lock(int descriptor)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(descriptor, F_OFD_SETLK, &lock) ? -errno : 0;
}

static void read_boot_id(char *id, size_t capacity)
{
	if (read_small_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", id, capacity) < 0)
		id[0] = 0;
}

static int open_locked(const char *path, int flags)
{
	int descriptor = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	struct stat status;
	int error;

	if (descriptor < 0)
		return -errno;
	error = lock(descriptor);
	if (error == -EACCES)
		error = -EAGAIN;
	if (!error && (fstat(descriptor, &status) || !S_ISREG(status.st_mode) ||
		       status.st_uid != geteuid() || status.st_nlink > 1))
		error = -EINVAL;
	if (error) {
		close(descriptor);
		return error;
	}
	return descriptor;
}

struct journal *journal_create(const char *path, int *descriptor, struct rw_hand_failure *failure)
{
	struct journal *journal;
	int file = open_locked(path, O_CREAT);

	snprintf(failure->what, sizeof(failure->what), "make the journal %s", path);
	failure->rule = RW_HAND_RULES;
	if (file < 0) {
		failure->error = -file;
		return NULL;
	}
	// As many zeros as it is long: a file that is too short is filled.
	if (ftruncate(file, 0) || ftruncate(file, sizeof(*journal))) {
		failure->error = errno;
		close(file);
		return NULL;
	}
	journal = mmap(NULL, sizeof(*journal), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (journal == MAP_FAILED) {
		failure->error = errno;
		close(file);
		return NULL;
	}
	// Every page is there, and stays.
	memset(journal, 0, sizeof(*journal));
	if (mlock(journal, sizeof(*journal))) {
		failure->error = errno;
		munmap(journal, sizeof(*journal));
		close(file);
		return NULL;
	}
	journal->version = JOURNAL_VERSION;
	journal->watch_pid = getpid();
	read_boot_id(journal->boot_id, sizeof(journal->boot_id));
	journal->magic = JOURNAL_MAGIC;
	*descriptor = file;
	return journal;
}

struct entry *journal_claim(struct journal *journal, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		uint32_t expected = ENTRY_FREE;

		if (atomic_compare_exchange_strong(&journal->entries[i].state, &expected,
						   ENTRY_CLAIMED))
			return &journal->entries[i];
	}
	return NULL;
}

struct entry *journal_find(struct journal *journal, uint32_t serial, uint8_t verb)
{
	for (int i = 0; i < JOURNAL_ENTRIES; i++) {
		struct entry *entry = &journal->entries[i];
		uint32_t state = atomic_load(&entry->state);

		if ((state == ENTRY_PLANNED || state == ENTRY_STANDS) && entry->serial == serial &&
		    entry->verb == verb)
			return entry;
	}
	return NULL;
}

bool journal_has(struct journal *journal, uint8_t verb, uint64_t file_inode)
{
	for (int i = 0; i < JOURNAL_ENTRIES; i++) {
		struct entry *entry = &journal->entries[i];

		if (atomic_load(&entry->state) == ENTRY_STANDS && entry->verb == verb &&
		    entry->file_inode == file_inode)
			return true;
	}
	return false;
}

/// Whether another act keeps the same file as it is. One that is being taken back does not: of
/// two at once each then writes, and none is left to the other.
static bool is_kept_by_another(struct journal *journal, const struct entry *entry)
{
	for (int i = 0; i < JOURNAL_ENTRIES; i++) {
		const struct entry *other = &journal->entries[i];
		uint32_t state = atomic_load(&other->state);

		if (other != entry && (state == ENTRY_PLANNED || state == ENTRY_STANDS) &&
		    other->verb == entry->verb && other->file_inode == entry->file_inode)
			return true;
	}
	return false;
}

/// Whether a disk's queue can be set without a wait: block/elevator.c:elevator_switch() first waits
/// for every request in flight, and then allocates while none may be sent.
static bool may_set_queue(const struct entry *entry)
{
	const char *queue = strstr(entry->path, "/queue/");
	char path[sizeof(entry->path) + 16], text[64];
	unsigned long reads, writes;
	uint64_t kib;

	snprintf(path, sizeof(path), "%.*s/inflight", queue ? (int)(queue - entry->path) : 0,
		 entry->path);
	// Without it the disk is gone.
	if (read_small_at(AT_FDCWD, path, text, sizeof(text)) >= 0 &&
	    (sscanf(text, "%lu %lu", &reads, &writes) != 2 || reads + writes))
		return false;
	if (read_small_at(AT_FDCWD, "/proc/sys/vm/min_free_kbytes", text, sizeof(text)) < 0)
		return false;
	// Above low, so that it comes without reclaim.
	kib = strtoull(text, NULL, 10);
	return free_pages() * ((uint64_t)sysconf(_SC_PAGESIZE) / 1024) > kib + kib / 4 + 1024;
}

static int undo_file(struct journal *journal, struct entry *entry, bool *foreign)
{
	char present[64];
	int error;

	if (is_kept_by_another(journal, entry))
		return 0;
	// The number may belong to a cgroup that was made anew: ours is gone then.
	if (file_inode(entry->descriptor) != entry->file_inode)
		return 0;
	if (read_setting(entry->descriptor, present, sizeof(present)) > 0 &&
	    strcmp(present, entry->new) && atomic_load(&entry->failures) == 0) {
		*foreign = strcmp(present, entry->old) != 0;
		return 0;
	}
	error = write_small(entry->descriptor, entry->old);
	// Removed: nobody is in it any more.
	return error == -ENODEV ? 0 : error;
}

int entry_undo(struct journal *journal, struct entry *entry, bool *foreign)
{
	uint32_t state = atomic_load(&entry->state);
	int error;

	*foreign = false;
	if (state != ENTRY_PLANNED && state != ENTRY_STANDS)
		return -EAGAIN;
	if (entry->verb == RW_ENFORCE_CALM_QUEUE && !may_set_queue(entry))
		return -EAGAIN;
	if (!atomic_compare_exchange_strong(&entry->state, &state, ENTRY_UNDOING))
		return -EAGAIN;
	if (entry->verb == RW_ENFORCE_STOP) {
		error = send_signal(entry->descriptor, SIGCONT);
		if (error == -ESRCH)
			error = 0;
	} else {
		error = undo_file(journal, entry, foreign);
	}
	if (error) {
		atomic_fetch_add(&entry->failures, 1);
		atomic_store(&entry->state, ENTRY_STANDS);
	} else {
		atomic_store(&entry->failures, 0);
		atomic_store(&entry->state, ENTRY_FREE);
	}
	return error;
}

static uint8_t undoing(uint8_t verb)
{
	switch (verb) {
	case RW_ENFORCE_FREEZE:
		return RW_ENFORCE_THAW;
	case RW_ENFORCE_MEMORY_HIGH:
		return RW_ENFORCE_MEMORY_HIGH_BACK;
	case RW_ENFORCE_CALM_QUEUE:
		return RW_ENFORCE_QUEUE_BACK;
	default:
		return RW_ENFORCE_RESUME;
	}
}

void entry_describe(const struct entry *entry, uint8_t reason, struct rw_enforce *act)
{
	memset(act, 0, sizeof(*act));
	memcpy(act->rule, entry->rule_name, sizeof(act->rule));
	memcpy(act->target, entry->target, sizeof(act->target));
	act->rule_index = entry->rule;
	act->serial = entry->serial;
	act->mode = RW_ENFORCE_ENFORCE;
	act->verb = undoing(entry->verb);
	act->outcome = RW_ENFORCE_DONE;
	act->reason = reason;
	if (entry->verb == RW_ENFORCE_STOP) {
		act->victim.tid = (uint32_t)entry->pid;
		act->victim.tgid = (uint32_t)entry->pid;
		memcpy(act->victim.comm, entry->comm, sizeof(act->victim.comm));
	}
}

void journal_keep(struct journal *journal, const struct rw_enforce *act)
{
	uint32_t head = atomic_load(&journal->kept_head);

	if (head - atomic_load(&journal->kept_tail) >= KEPT_RESULTS) {
		atomic_fetch_add(&journal->kept_lost, 1);
		return;
	}
	journal->kept[head % KEPT_RESULTS] = *act;
	atomic_store(&journal->kept_head, head + 1);
}

// ---- what another agent left ----

/// The entry's file or process, found anew. A descriptor, or a negative errno; -ESRCH: it is
/// not there any more, or another.
static int find_again(const struct journal *journal, const struct entry *entry)
{
	struct process process;
	char path[512];
	int proc, descriptor;

	if (entry->verb == RW_ENFORCE_STOP) {
		descriptor = (int)syscall(SYS_pidfd_open, entry->pid, 0);
		if (descriptor < 0)
			return -errno;
		proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (proc < 0 || read_process(proc, entry->pid, &process) ||
		    process.start_ticks != entry->start_ticks) {
			close(descriptor);
			descriptor = -ESRCH;
		}
		if (proc >= 0)
			close(proc);
		return descriptor;
	}
	if (entry->verb == RW_ENFORCE_CALM_QUEUE)
		snprintf(path, sizeof(path), "%s", entry->path);
	else
		snprintf(path, sizeof(path), "%s%s/%s", journal->mount, entry->path,
			 entry->verb == RW_ENFORCE_FREEZE ? "cgroup.freeze" : "memory.high");
	descriptor = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (descriptor < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	if (file_inode(descriptor) != entry->file_inode) {
		close(descriptor);
		return -ESRCH;
	}
	return descriptor;
}

static bool clear_entry(struct journal *journal, struct entry *entry, struct rw_enforce *act)
{
	uint32_t state = atomic_load(&entry->state);
	bool foreign = false;
	int error;

	if (state != ENTRY_PLANNED && state != ENTRY_STANDS && state != ENTRY_UNDOING)
		return false;
	entry->rule_name[sizeof(entry->rule_name) - 1] = 0;
	entry->path[sizeof(entry->path) - 1] = 0;
	entry->old[sizeof(entry->old) - 1] = 0;
	entry->new[sizeof(entry->new) - 1] = 0;
	entry_describe(entry, RW_ENFORCE_LEFT_OVER, act);
	// One that was being taken back is taken back again: that does no harm.
	atomic_store(&entry->state, ENTRY_STANDS);
	// Whatever is there now, nobody stays frozen by us. A disk may have been set since.
	atomic_store(&entry->failures, entry->verb != RW_ENFORCE_CALM_QUEUE);
	entry->descriptor = find_again(journal, entry);
	error = entry->descriptor < 0 ? entry->descriptor : entry_undo(journal, entry, &foreign);
	if (entry->descriptor >= 0)
		close(entry->descriptor);
	if (error == -ESRCH) {
		atomic_store(&entry->state, ENTRY_FREE);
		return false;
	}
	if (error)
		fail(act, error);
	if (foreign)
		refuse(act, RW_ENFORCE_FOREIGN);
	act->header.boot_ns = now_ns();
	return true;
}

int rw_hand_clear(const char *path, struct rw_enforce *taken, uint32_t capacity)
{
	char boot_id[40];
	struct journal *journal;
	struct stat status;
	uint32_t count = 0;
	int file = open_locked(path, 0);

	if (file < 0)
		return file == -ENOENT ? 0 : file;
	if (fstat(file, &status) || status.st_size != sizeof(*journal)) {
		close(file);
		// One that was being made: nothing was done by it yet.
		return status.st_size == 0 ? 0 : -EBADMSG;
	}
	journal = mmap(NULL, sizeof(*journal), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (journal == MAP_FAILED) {
		int error = -errno;

		close(file);
		return error;
	}
	read_boot_id(boot_id, sizeof(boot_id));
	journal->mount[sizeof(journal->mount) - 1] = 0;
	if (journal->magic == JOURNAL_MAGIC && journal->version == JOURNAL_VERSION &&
	    !strncmp(journal->boot_id, boot_id, sizeof(boot_id))) {
		// What its keeper took back after its watch died was told to nobody.
		uint32_t tail = atomic_load(&journal->kept_tail);

		for (; tail != atomic_load(&journal->kept_head) && count < capacity &&
		       count < KEPT_RESULTS;
		     tail++)
			taken[count++] = journal->kept[tail % KEPT_RESULTS];
		for (int i = 0; i < JOURNAL_ENTRIES && count < capacity; i++)
			if (clear_entry(journal, &journal->entries[i], &taken[count]))
				count++;
	}
	munmap(journal, sizeof(*journal));
	unlink(path);
	close(file);
	return (int)count;
}
