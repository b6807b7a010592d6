/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * The black box: shared memory that the watch writes and anybody who may reads.
 * One writer, any number of readers, none of whom the writer knows or waits for.
 *
 *   header   what it is, who writes it, where the parts lie; then what moves
 *   small    slots for the last record of each key, up to RW_BOX_SMALL_BYTES
 *   large    the same for longer records
 *   ring     every record in its order, the oldest overwritten
 *
 * A position counts bytes since the writer's start and never wraps; its place in the
 * ring is the position modulo the ring's size. The writer moves `tail` past what it is
 * about to overwrite, then writes, then moves `head`. A reader copies a frame and then
 * looks at `tail`: if that has passed the frame, the copy is void and what was lost is
 * the difference of the sequence numbers.
 *
 * A slot's version is odd while it is written: a reader copies and compares it before and
 * after. A writer that dies leaves at most one slot odd, and no frame half visible.
 */
#ifndef RESERVEWATCH_BOX_H
#define RESERVEWATCH_BOX_H

#include "record.h"

#define RW_BOX_VERSION 1
#define RW_BOX_HEADER_BYTES 4096
#define RW_BOX_SMALL_BYTES 256
#define RW_BOX_LARGE_BYTES 1536

struct rw_box_header {
	rw_u8 magic[8]; /* "RWBOX", 0, 0xff, newline */
	rw_u32 version;
	rw_u32 page_bytes;
	rw_u64 total_bytes;
	rw_u64 small_offset;
	rw_u64 large_offset;
	rw_u64 ring_offset;
	rw_u64 ring_bytes; /* power of two */
	rw_u32 small_slots;
	rw_u32 large_slots;
	rw_u64 created_boot_ns;
	rw_s64 realtime_offset_ns;
	rw_u32 writer_pid;
	rw_u32 wire_version;
	rw_u64 writer_start_ticks; /* field 22 of /proc/PID/stat: tells a pid used again */
	char boot_id[40];
	char agent_version[16];
	rw_u32 checksum; /* CRC-32C of all of the above */
	rw_u32 reserved;
	/* What moves. */
	rw_u64 head;
	rw_u64 tail;
	rw_u64 next_sequence; /* of the next record; the first has 1 */
	rw_u64 beats;
	rw_u64 beat_boot_ns;
	rw_u64 ended_boot_ns; /* 0: the writer did not end by itself (yet) */
	rw_u64 unkept; /* records of a state that found no slot, or had to make room for one */
};

/* In front of every record in the ring; aligned to eight bytes. */
struct rw_box_frame {
	rw_u64 sequence;
	rw_u32 size; /* of the record; RW_BOX_SKIP: go on at the ring's start */
	rw_u32 reserved;
};

#define RW_BOX_SKIP 0xffffffffu

struct rw_box_slot {
	rw_u64 version; /* odd: being written; 0: never used */
	rw_u64 key; /* 0: empty */
	rw_u64 sequence; /* of the record, as in the ring */
	rw_u32 size;
	rw_u32 reserved;
	/* the record follows */
};

#ifndef __bpf__
_Static_assert(sizeof(struct rw_box_header) == 216, "rw_box_header");
_Static_assert(sizeof(struct rw_box_frame) == 16, "rw_box_frame");
_Static_assert(sizeof(struct rw_box_slot) == 32, "rw_box_slot");

#define RW_BOX_INLINE static inline __attribute__((swift_attr("@_noAllocation")))

RW_BOX_INLINE rw_u64 rw_box_load(const rw_u64 *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

RW_BOX_INLINE void rw_box_store(rw_u64 *word, rw_u64 value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* memcpy() that the Swift compiler may believe to allocate nothing. */
RW_BOX_INLINE void rw_box_copy(void *to, const void *from, unsigned long bytes)
{
	__builtin_memcpy(to, from, bytes);
}

/* Between a store that announces and the stores that it announces. */
RW_BOX_INLINE void rw_box_fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}
#endif

#endif
