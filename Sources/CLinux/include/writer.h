// SPDX-License-Identifier: Apache-2.0
//
// A thread that writes lines to one descriptor, so that a loop which must not
// wait never has to: what may wait in the kernel (kmsg, a pipe, a file, a
// socket all allocate in write(2)) waits here. One producer, one thread, a
// fixed piece of memory between them.
#ifndef RESERVEWATCH_WRITER_H
#define RESERVEWATCH_WRITER_H

#include <stddef.h>
#include <stdint.h>

struct rw_writer;

/// What became of the lines so far; each field is written by the thread alone.
struct rw_writer_state {
	uint64_t lines; ///< written whole
	uint64_t last_ns; ///< from the time given with the last line to its last byte written
	uint64_t worst_ns;
	uint64_t waiting_bytes; ///< after an error nothing waits: what is not written is lost
	uint64_t failed; ///< datagrams that were not taken; of a stream an error ends it
	int32_t error; ///< errno that ended it, or 0
	int32_t reserved;
};

/// Starts the thread. `capacity` bytes hold lines that wait, a power of two. The descriptor
/// is made blocking, and stays the caller's. NULL: no memory, or no thread.
struct rw_writer *_Nullable rw_writer_open(int descriptor, size_t capacity);

/// Hands over one line, with the CLOCK_BOOTTIME from which its delivery is measured. Never
/// waits and never allocates. -ENOBUFS: no room. -EPIPE: the writer has ended.
__attribute__((swift_attr("@_noAllocation"))) int rw_writer_put(struct rw_writer *_Nonnull writer,
								const void *_Nullable line,
								size_t length,
								uint64_t since_boot_ns);

/// How it stands.
struct rw_writer_state rw_writer_state(struct rw_writer *_Nonnull writer);

/// Lets the thread finish what waits, at most so long, then ends it. A thread that is stuck
/// in write(2) is left behind with its memory: it ends with the process.
void rw_writer_close(struct rw_writer *_Nullable writer, int milliseconds);

#endif
