// SPDX-License-Identifier: Apache-2.0
//
// A file that is read by a thread beside the loop, because the kernel takes memory for each reading.
#ifndef RESERVEWATCH_READER_H
#define RESERVEWATCH_READER_H

#include <stddef.h>
#include <stdint.h>

struct rw_reader;

/// Starts the thread. NULL: there is no memory, or no thread, for it. `descriptor` stays the
/// caller's, and must stay open.
struct rw_reader *_Nullable rw_reader_open(int descriptor, size_t capacity);

/// Has it read from the beginning, at most `capacity` bytes. Nothing happens while it is at that, or
/// while what was read last was not taken. Does not wait, takes no memory.
void rw_reader_ask(struct rw_reader *_Nonnull reader);

/// What it read since the last time; NULL: nothing yet. Valid until the next rw_reader_ask(). `length`
/// is negative where reading failed: the negative errno.
const void *_Nullable rw_reader_take(struct rw_reader *_Nonnull reader, int64_t *_Nonnull length);

#endif
