/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * How a recording in segments lies in its files: framing version 2. A file is
 * 16 bytes of opening, then frames; docs/recordings.md has the whole of it.
 *
 * A frame is a 32-bit word (the low 24 bits: bytes of what it carries, the
 * high 8: enum rw_frame_type), a CRC-32C of that word and of what follows, and
 * then what it carries. All little-endian. A reader skips a type that it does
 * not know.
 */
#ifndef RESERVEWATCH_SEGMENT_H
#define RESERVEWATCH_SEGMENT_H

#include "record.h"

enum rw_frame_type {
	RW_FRAME_RECORD = 0, /* a record of record.h */
	RW_FRAME_REPEATED = 1, /* a record that an earlier segment has as well */
	RW_FRAME_BEGIN = 2, /* struct rw_segment_begin, the first frame of a segment */
	RW_FRAME_END = 3, /* struct rw_segment_end, the last frame of one that was closed */
};

enum rw_segment_flags {
	RW_SEGMENT_AFTER_GAP = 1, /* records before it are lost: what it repeats is news */
};

struct rw_segment_begin {
	rw_u64 number; /* as in the file's name */
	rw_u64 run; /* random: one run of one recorder */
	rw_u64 records_before; /* in this run's earlier segments, RW_FRAME_RECORD only */
	rw_u64 boot_ns; /* CLOCK_BOOTTIME of the recorder */
	rw_s64 realtime_offset_ns; /* CLOCK_REALTIME - CLOCK_BOOTTIME of the recorder */
	rw_u32 flags; /* bits of enum rw_segment_flags */
	rw_u32 repeated; /* frames of RW_FRAME_REPEATED that follow at once */
};

struct rw_segment_end {
	rw_u64 records; /* frames of RW_FRAME_RECORD in this segment */
	rw_u64 last_boot_ns; /* of the last of them; 0: none */
};

#ifndef __bpf__
_Static_assert(sizeof(struct rw_segment_begin) == 48, "rw_segment_begin");
_Static_assert(sizeof(struct rw_segment_end) == 16, "rw_segment_end");
#endif

#endif
