// SPDX-License-Identifier: Apache-2.0
#ifndef RESERVEWATCH_HAND_INTERNAL_H
#define RESERVEWATCH_HAND_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "include/hand.h"

// ---- the journal ----

#define JOURNAL_MAGIC 0x646e61687772ull // "rwhand"
#define JOURNAL_VERSION 1u
#define JOURNAL_ENTRIES 64
#define KEPT_RESULTS 64

enum entry_state {
	ENTRY_FREE = 0,
	ENTRY_CLAIMED = 1, // being filled in: nothing was done
	ENTRY_PLANNED = 2, // whole: from here on the act may have been done
	ENTRY_STANDS = 3,
	ENTRY_UNDOING = 4,
};

/// One act that stands, or may stand.
struct entry {
	_Atomic uint32_t state;
	uint32_t serial;
	uint32_t rule;
	uint8_t verb; // the act: freeze, memory_high, stop, calm_queue
	uint8_t reserved[3];
	char rule_name[RW_RULE_BYTES];
	char target[RW_PATH_BYTES];
	char path[256]; // of the cgroup below the mount, or of the queue's file; for the next agent
	uint64_t file_inode; // of the file that was written; another one is another cgroup, or disk
	int32_t descriptor; // of that file, or a pidfd: watch and keeper share the table
	int32_t pid;
	uint64_t start_ticks; // of the process
	char comm[RW_NAME_BYTES];
	char old[24]; // what was there, as it is written back
	char new[24]; // what we wrote
	uint64_t deadline_boot_ns;
	_Atomic uint32_t failures; // attempts to take it back that failed
	uint32_t padding;
};

struct journal {
	uint64_t magic;
	uint32_t version;
	int32_t watch_pid;
	char boot_id[40];
	char mount[128]; // of the cgroup hierarchy
	_Atomic uint64_t beat_boot_ns; // the loop's last turn
	_Atomic uint64_t keeper_boot_ns; // the keeper's
	_Atomic uint32_t ending; // the watch ends in order
	_Atomic uint32_t keeper_ended;
	// What the keeper took back, for the watch to tell, or for the next one.
	_Atomic uint32_t kept_head;
	_Atomic uint32_t kept_tail;
	_Atomic uint32_t kept_lost;
	uint32_t padding;
	struct entry entries[JOURNAL_ENTRIES];
	struct rw_enforce kept[KEPT_RESULTS];
};

struct journal *journal_create(const char *path, int *descriptor, struct rw_hand_failure *failure);
/// A free entry of a thread's own part, claimed. NULL: none. One part, one thread: an entry that
/// was taken back meanwhile is then not another's by the time its act is over.
#define ACT_ENTRIES 0, 48
#define LOOK_ENTRIES 48, 12
/// The acting thread's as well. The last ones, as they are taken back last: that may wait.
#define QUEUE_ENTRIES 60, 4
struct entry *journal_claim(struct journal *journal, uint32_t first, uint32_t count);
struct entry *journal_find(struct journal *journal, uint32_t serial, uint8_t verb);
/// Whether such an act of ours stands on that file.
bool journal_has(struct journal *journal, uint8_t verb, uint64_t file_inode);
/// Takes one act back. 0, or a negative errno; -EAGAIN: another does, or it does not stand, or it is
/// one of the queue's, whose time is not now.
/// `foreign`: somebody else had changed it, and it was left so.
int entry_undo(struct journal *journal, struct entry *entry, bool *foreign);
/// What an undoing is told as.
void entry_describe(const struct entry *entry, uint8_t reason, struct rw_enforce *act);
void journal_keep(struct journal *journal, const struct rw_enforce *act);

// ---- files and processes; nothing here allocates in user space ----

/// What getdents64(2) gives: opendir(3) would allocate.
struct entry64 {
	uint64_t inode;
	int64_t offset;
	unsigned short length;
	unsigned char type;
	char name[];
};

uint64_t file_inode(int descriptor);
/// The whole of a small file, NUL terminated, without trailing blanks. Length or -errno.
int read_small(int descriptor, char *text, size_t capacity);
int read_small_at(int directory, const char *path, char *text, size_t capacity);
/// As read_small(); where the file lists what there is to choose, the chosen one: "none [kyber]".
int read_setting(int descriptor, char *text, size_t capacity);
int write_small(int descriptor, const char *text);
int send_signal(int pidfd, int signal);
uint64_t free_pages(void);
/// comm, start and whether it is a kernel thread, from /proc/PID/stat. 0 or -errno.
struct process {
	int pid;
	int state; // 'R', 'S', 'D', 'T', 't', 'Z', ...
	uint64_t start_ticks;
	bool is_kernel;
	char comm[RW_NAME_BYTES];
};
int read_process(int proc, int pid, struct process *process);

// ---- cgroups ----

/// A rule's cgroup. The descriptors keep their numbers when the cgroup is made anew.
struct group {
	char path[256]; // below the mount; "" not found
	int directory;
	int freeze;
	int kill;
	int procs;
	int high;
	int current;
	_Atomic int error; // errno with which it was not found; 0
	_Atomic uint64_t inode; // of the directory
};

int find_mount(char *mount, size_t capacity);
void group_init(struct group *group);
/// Finds it, now or again. 0 or -errno.
int group_bind(struct group *group, int mount, const char *place);
/// Whether `path` is that cgroup or below it.
bool is_below(const char *path, const char *group);

// ---- who is there ----

#define CANDIDATES 16

struct candidate {
	struct process process;
	int pidfd;
	int statm;
	uint64_t own_pages;
	uint64_t seen_boot_ns;
	_Atomic uint32_t taken; // killed or stopped by us
};

/// Who is in a group: made by one thread, used by another that must not wait for it.
struct census {
	struct candidate lists[2][CANDIDATES];
	uint32_t counts[2];
	_Atomic uint32_t present; // which of the lists
	_Atomic uint32_t borrowed; // somebody uses descriptors of the present list
	// Members; of them protected, or not known: nobody may be told to be unprotected unseen.
	_Atomic uint32_t members;
	_Atomic uint32_t protected_members;
	_Atomic uint64_t seen_boot_ns;
	int retired[4 * CANDIDATES]; // to be closed once nobody borrows
	uint32_t retired_count;
};

struct protection {
	const struct rw_hand_settings *settings;
	_Atomic uint32_t clients[RW_HAND_CLIENTS];
	int own_pid;
	int keeper_pid;
};

bool is_protected(const struct protection *protection, int proc, const struct process *process);
void census_take(struct census *census, const struct group *group, int proc,
		 const struct protection *protection);
#define TAKEN 1
#define WOULD_BE_TAKEN 2
/// The largest that is not taken; it gets the mark. NULL: nobody. Between borrow and return.
struct candidate *census_largest(struct census *census, uint32_t mark);
void census_borrow(struct census *census);
void census_return(struct census *census);

struct owner {
	struct process process;
	uint64_t unread_pages;
};
/// The process whose TCP sockets hold the most unread. 0, -ESRCH: nobody holds any.
int find_socket_owner(int diag, int proc, const struct protection *protection, struct owner *owner);
/// sock_diag(7) SOCK_DESTROY. 0 or -errno.
int end_connection(int diag, const struct rw_directive *directive);
int try_end_connection(int diag);

// ---- a spare connection ----

#define STATE_RESERVE 3 // ReserveModel's HostState

/// What a server says of an export.
struct export_facts {
	uint64_t bytes;
	uint16_t flags; // NBD_FLAG_...
};

/// Negotiates until transmission; until then at most. 0, or: -EPROTO, -ETIMEDOUT, -ECONNRESET,
/// -ENOENT no such export, -EACCES, -ENOKEY TLS is wanted, -EROFS, -EOPNOTSUPP: the server does not
/// say that several connections see the same (NBD_FLAG_CAN_MULTI_CONN).
int export_negotiate(int fd, const char *name, struct export_facts *facts, uint64_t until);
/// Whether the export is what the device shows: its size and first 4096 bytes. -ESTALE: it is not,
/// or there is nothing by which to tell. `disk` is open for O_DIRECT.
int export_compare(int fd, const struct export_facts *facts, int disk, uint64_t until);
/// Asks for 4096 bytes, and takes the answer: whole, or -ETIMEDOUT with all of it still to come.
int export_ask(int fd, uint64_t until);
int export_answer(int fd, uint64_t until);

/// A file of a disk's queue/ that a rescue sets.
#define QUEUE_FILES 2
struct queue_file {
	int descriptor; // or a negative errno
	char present[24]; // what it said while the host was calm
};

/// Made by the thread that looks, given away by the one that acts.
struct spare {
	_Atomic uint32_t lock; // for moments
	int descriptor; // -1 none
	// The disk, for NBD_CLEAR_SOCK: nbd_open() of one that is disconnected has its partitions read.
	int disk;
	struct queue_file queue[QUEUE_FILES];
	struct rw_swap_place place; // "" none
	char backend[128]; // /sys/block/nbdN/backend, which the driver asks for; ""
	uint64_t next_try_ns;
	_Atomic uint32_t owed; // an answer was asked for and has not come
	_Atomic int error; // errno why there is none; 0: it is ready
};

struct swap_places {
	struct rw_swap_place places[RW_HAND_SWAPS];
	uint32_t count;
	uint32_t padding;
};

void spares_init(struct rw_hand *hand);
/// Takes in where swap lies now; whether that is news.
bool spares_place(struct rw_hand *hand);
/// Makes what is missing, and finds out what has ended. May wait for the network.
void spares_keep(struct rw_hand *hand);
/// N of "nbdN". 0, -ENODEV.
int nbd_index(const char *disk, uint32_t *index);

// ---- threads ----

/// One producer, one consumer; memory from the start.
struct ring {
	_Atomic uint32_t head;
	_Atomic uint32_t tail;
	uint32_t capacity; // a power of two
	uint32_t size;
	uint8_t *slots;
	_Atomic uint32_t bell;
};

int ring_open(struct ring *ring, uint32_t capacity, uint32_t size);
bool ring_put(struct ring *ring, const void *item);
bool ring_take(struct ring *ring, void *item);
/// Sleeps until something is put, at most so long.
void ring_wait(struct ring *ring, int milliseconds);

/// A victim on its way to process_mrelease(2).
struct reaping {
	struct rw_directive directive;
	struct rw_enforce act;
	int pidfd;
	int statm;
	int closes; // the descriptors are the reaper's to close
	uint64_t resident_pages; // before; UINT64_MAX not known
};

/// Bits of capabilities, by who needs them for these rules.
struct needs {
	uint64_t act;
	uint64_t look;
	uint64_t keeper;
};

struct rw_hand {
	struct rw_hand_settings settings;
	struct needs needs;
	struct journal *journal;
	int journal_descriptor;
	char path[256]; // of the journal
	int mount;
	int proc;
	int diag; // for SOCK_DESTROY
	int diag_dump; // for the dump of sockets
	int nbd; // generic netlink, for NBD_CMD_DISCONNECT
	int keeper_pid;
	uint64_t netns;
	struct protection protection;
	struct group groups[RW_HAND_RULES];
	struct census censuses[RW_HAND_RULES];
	bool keeps_spare; // a rule may want one
	struct spare spares[RW_HAND_SWAPS];
	_Atomic uint32_t spare_count;
	struct swap_places told_places; // the loop's
	_Atomic uint32_t host_state;
	_Atomic uint32_t no_keeper; // it is gone: nothing may stand
	uint64_t keeper_seen; // by the loop: the keeper's last beat, and for how long it is that
	uint64_t keeper_stale_ns;
	uint64_t last_beat_ns;
	struct ring to_act, to_look, to_reap, to_spare;
	struct ring from_act, from_look, from_reap;
	_Atomic uint32_t reaper_lock; // two threads hand victims over
	_Atomic uint32_t lost; // results that found no room
	_Atomic uint32_t closing;
	_Atomic uint32_t running; // threads
};

void refuse(struct rw_enforce *act, uint8_t reason);
void fail(struct rw_enforce *act, int error);
void answer(struct rw_hand *hand, struct ring *results, const struct rw_directive *directive,
	    struct rw_enforce *act);
void set_held(struct rw_enforce *act, uint64_t pages, uint64_t seen);

// Acts that stand.
bool may_stand(struct rw_hand *hand, const struct rw_directive *directive, struct rw_enforce *act);
/// Sets a file of a disk's queue/ until the agent ends, and tells it, where it is not so already, nor
/// set so by us. Reads nothing, as reading takes a page.
void calm_queue_file(struct rw_hand *hand, const struct rw_directive *directive,
		     const struct queue_file *file, const char *path, const char *value);
void freeze(struct rw_hand *hand, const struct rw_directive *directive, struct rw_enforce *act);
void limit_memory(struct rw_hand *hand, const struct rw_directive *directive,
		  struct rw_enforce *act);
void stop(struct rw_hand *hand, const struct rw_directive *directive, struct rw_enforce *act,
	  const struct process *process, int pidfd);
void take_back(struct rw_hand *hand, struct ring *results, const struct rw_directive *directive);

// Acts that are for good. The first two answer by themselves, or have the reaper do it.
void hit_largest(struct rw_hand *hand, const struct rw_directive *directive,
		 struct rw_enforce *act);
void hit_socket_owner(struct rw_hand *hand, const struct rw_directive *directive,
		      struct rw_enforce *act);
void kill_cgroup(struct rw_hand *hand, const struct rw_directive *directive,
		 struct rw_enforce *act);
void end_one_connection(struct rw_hand *hand, const struct rw_directive *directive,
			struct rw_enforce *act);
void disconnect(struct rw_hand *hand, const struct rw_directive *directive, struct rw_enforce *act);
void clear_requests(struct rw_hand *hand, const struct rw_directive *directive,
		    struct rw_enforce *act);
void reconnect(struct rw_hand *hand, const struct rw_directive *directive, struct rw_enforce *act);
void reap(struct rw_hand *hand, struct reaping *reaping);
/// process_mrelease(2), as often as it takes. 0 or -errno.
int release_memory(int pidfd);

void describe(const struct rw_hand *hand, const struct rw_directive *directive,
	      struct rw_enforce *act);
void *act_thread(void *hand);
void *look_thread(void *hand);
void *reap_thread(void *hand);
void undo_all(struct rw_hand *hand, struct ring *results, uint8_t reason);
void settle_thread(const struct rw_hand *hand, uint64_t capabilities);
int start_keeper(struct rw_hand *hand);
uint64_t now_ns(void);

#endif
