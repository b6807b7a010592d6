// SPDX-License-Identifier: Apache-2.0
//
// The hands of the watch: what acts on the host by its rules, and takes it back.
//
// Everything that may wait in the kernel is done here, beside the loop: by three threads of the
// watch, which have all that they need from the start on, and by the keeper, a process of its own
// that shares the watch's descriptors but not its memory. What stands (a freeze, a stop, a limit)
// is in the journal before it is done. The journal is memory that watch and keeper share, locked,
// on a tmpfs; the keeper takes back what stands when the watch dies, stands still, or when its
// time is up.
#ifndef RESERVEWATCH_HAND_H
#define RESERVEWATCH_HAND_H

#include <stddef.h>
#include <stdint.h>

#include "../../CRecord/include/record.h"

#define RW_HAND_RULES 16
#define RW_HAND_PROTECTED 64
#define RW_HAND_NAME_BYTES 104
/// Processes of NBD clients that are told with each beat.
#define RW_HAND_CLIENTS 16
/// Spare connections that are kept: two for each of two devices.
#define RW_HAND_SWAPS 4
#define RW_EXPORT_BYTES 64

/// One rule, as far as hands need to know it.
struct rw_hand_rule {
	char name[RW_RULE_BYTES];
	char target[RW_PATH_BYTES]; ///< in words, for events
	char place[RW_PATH_BYTES]; ///< a cgroup's path or a unit's name; "" none
	uint8_t mode; ///< enum rw_enforce_mode
	uint8_t verb; ///< the first act, enum rw_enforce_verb
	uint8_t choice; ///< enum rw_enforce_choice
	uint8_t kills; ///< it may kill single processes
	uint8_t ends_connections;
	uint8_t keeps_spare; ///< a second connection stands ready to take the ended one's place
	uint8_t reserved[2];
	uint32_t memory_high_percent;
	uint32_t padding;
};

struct rw_hand_settings {
	struct rw_hand_rule rules[RW_HAND_RULES];
	uint32_t rule_count;
	uint32_t protected_count;
	char protected_names[RW_HAND_PROTECTED][RW_HAND_NAME_BYTES];
	char spare_export[RW_EXPORT_BYTES]; ///< the server's name for what the swap lies on
	int32_t priority; ///< SCHED_FIFO; 0 none
	int32_t reserved;
};

/// Where the swap's server is.
struct rw_swap_place {
	char disk[RW_NAME_BYTES];
	uint32_t family; ///< AF_INET, AF_INET6
	uint32_t netns; ///< inode; 0 not known
	uint8_t peer[16]; ///< in network order
	uint32_t peer_port; ///< in host order
};

/// One act that is asked for.
struct rw_directive {
	uint32_t serial;
	uint32_t rule;
	uint8_t verb; ///< enum rw_enforce_verb
	uint8_t enforced; ///< 0: only to be told
	uint8_t reason; ///< enum rw_enforce_reason
	uint8_t choice; ///< enum rw_enforce_choice
	uint32_t family; ///< RW_ENFORCE_END_CONNECTION: AF_INET, AF_INET6
	uint64_t boot_ns; ///< when it was decided
	uint64_t deadline_boot_ns;
	uint8_t local[16]; ///< addresses in network order
	uint8_t peer[16];
	uint16_t local_port; ///< in host order
	uint16_t peer_port;
	uint32_t netns; ///< inode; 0 not known
	char disk[RW_NAME_BYTES];
};

/// Why the hands cannot be had.
struct rw_hand_failure {
	int error; ///< errno
	uint32_t rule; ///< index, or RW_HAND_RULES where none is to blame
	char what[160]; ///< what was tried, on what
};

struct rw_hand;

/// Takes back what an agent before this one left, as the journal at `path` tells, and removes
/// it. What was taken back comes out of `taken`, up to `capacity`. How many there were, 0
/// without a journal, -EAGAIN: an agent that lives holds it. Other errors: it is no journal.
int rw_hand_clear(const char *_Nonnull path, struct rw_enforce *_Nonnull taken, uint32_t capacity);

/// Opens targets, makes the journal, starts the keeper. Before anything else takes memory: the
/// keeper has a copy of what there is. NULL and `failure`.
struct rw_hand *_Nullable rw_hand_open(const char *_Nonnull journal,
				       const struct rw_hand_settings *_Nonnull settings,
				       struct rw_hand_failure *_Nonnull failure);

/// Tries everything that the rules may want on things of its own, and starts the threads.
/// 0, or -1 and `failure`.
int rw_hand_rehearse(struct rw_hand *_Nonnull hand, struct rw_hand_failure *_Nonnull failure);

/// The loop turned: the keeper sees it. `state` is the host's, `clients` processes that are NBD
/// clients. Returns whether the keeper lives. Does not wait.
__attribute__((swift_attr("@_noAllocation"))) int rw_hand_beat(struct rw_hand *_Nonnull hand,
							       uint64_t now, uint32_t state,
							       const uint32_t *_Nonnull clients,
							       uint32_t client_count);

/// Hands one act over. -ENOBUFS: the acts before it are not finished. Does not wait.
__attribute__((swift_attr("@_noAllocation"))) int
rw_hand_put(struct rw_hand *_Nonnull hand, const struct rw_directive *_Nonnull directive);

/// What came of an act, without a header; `header.boot_ns` says when. 0: nothing more.
__attribute__((swift_attr("@_noAllocation"))) int rw_hand_take(struct rw_hand *_Nonnull hand,
							       struct rw_enforce *_Nonnull act);

/// errno with which the target of a rule was not found when it was last looked for; 0.
__attribute__((swift_attr("@_noAllocation"))) int
rw_hand_target_error(struct rw_hand *_Nonnull hand, uint32_t rule);

/// Processes in the rule's cgroup that no rule may hit, when they were last looked at: with one
/// of them it is not frozen.
uint32_t rw_hand_protected_members(struct rw_hand *_Nonnull hand, uint32_t rule);

/// Where the swap's servers are now, at most RW_HAND_SWAPS of them, each twice in a row: a spare
/// connection is kept for each entry, where a rule wants it. Does not wait.
__attribute__((swift_attr("@_noAllocation"))) void
rw_hand_swaps(struct rw_hand *_Nonnull hand, const struct rw_swap_place *_Nonnull places,
	      uint32_t count);

/// Whether the rule has a spare connection ready for each device: 0, or the errno of one that is
/// not. -1: it wants none. ENODEV: none was made yet, or there is no swap whose server could be
/// reached.
__attribute__((swift_attr("@_noAllocation"))) int rw_hand_spare_error(struct rw_hand *_Nonnull hand,
								      uint32_t rule);

/// Bits of the capabilities that the rules need: the threads keep these, and the keeper those
/// that taking back needs.
uint64_t rw_hand_capabilities(const struct rw_hand *_Nonnull hand);

/// The keeper's process.
int rw_hand_keeper(const struct rw_hand *_Nonnull hand);

/// Takes everything back and ends keeper and threads, at most so long. What is not taken back
/// by then the keeper goes on with.
void rw_hand_close(struct rw_hand *_Nullable hand, int milliseconds);

#endif
