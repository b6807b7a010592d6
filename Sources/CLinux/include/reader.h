// SPDX-License-Identifier: Apache-2.0
//
// Files that are read by a thread beside the loop, because the kernel takes memory for each reading.
#ifndef RESERVEWATCH_READER_H
#define RESERVEWATCH_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rw_reader;

struct rw_reading {
	const void *_Nonnull bytes;
	int64_t length; // negative where reading failed: the negative errno
};

/// Starts the thread. NULL: there is no memory, or no thread, for it. `descriptors`, `files` of them,
/// stay the caller's and must stay open; one that is negative is not read.
struct rw_reader *_Nullable rw_reader_open(const int *_Nonnull descriptors, int files,
					   size_t capacity);

/// Reads another descriptor in the place of `file` from now on. False: the thread is at reading, and
/// nothing was changed.
bool rw_reader_replace(struct rw_reader *_Nonnull reader, int file, int descriptor);

/// Has it read all from the beginning, at most `capacity` bytes each. Nothing happens while it is at
/// that, or while what was read last was not taken. Does not wait, takes no memory.
void rw_reader_ask(struct rw_reader *_Nonnull reader);

/// What it read since the last time, in the order of the descriptors; NULL: nothing yet. Valid until
/// the next rw_reader_ask().
const struct rw_reading *_Nullable rw_reader_take(struct rw_reader *_Nonnull reader);

#endif
