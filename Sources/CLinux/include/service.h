// SPDX-License-Identifier: Apache-2.0
//
// What ties the agent to those who start it: the service manager, and the process that reads the
// configuration for it.
#ifndef RESERVEWATCH_SERVICE_H
#define RESERVEWATCH_SERVICE_H

#include <stddef.h>
#include <stdint.h>

/// A datagram socket connected to the service manager's: sd_notify(3). `path` is $NOTIFY_SOCKET;
/// '@' begins an abstract one. -EINVAL: neither.
int rw_notify_socket(const char *_Nonnull path);

/// CLOCK_MONOTONIC in microseconds.
uint64_t rw_monotonic_us(void);

/// fork(2), for a process that has one thread. 0 in the child.
int rw_fork(void);

/// prctl(2) PR_SET_NAME: as ps and the kernel's log show this thread.
void rw_set_name(const char *_Nonnull name);

/// memfd_create(2), not closed on exec, with room for an exchange. A descriptor.
int rw_exchange_file(void);

/// eventfd(2), not closed on exec, not blocking. A descriptor.
int rw_bell(void);

struct rw_exchange;

/// Maps such a file. NULL: no memory.
struct rw_exchange *_Nullable rw_exchange_map(int descriptor);

/// What one message may have.
#define RW_EXCHANGE_BYTES 1024

/// One asks and takes, the other waits, gives, and looks whether it was taken.
///
/// Asking rings the bell (an addition in the kernel) and returns its number; taking copies a
/// message that was not taken yet, and returns its size, or 0. Neither waits nor allocates.
uint32_t rw_exchange_ask(struct rw_exchange *_Nonnull exchange, int bell);
size_t rw_exchange_take(struct rw_exchange *_Nonnull exchange, void *_Nonnull message,
			size_t capacity);

/// Waits for the bell; the number of the latest question.
uint32_t rw_exchange_wait(struct rw_exchange *_Nonnull exchange, int bell);
void rw_exchange_give(struct rw_exchange *_Nonnull exchange, const void *_Nonnull message,
		      size_t size);
int rw_exchange_is_taken(struct rw_exchange *_Nonnull exchange);

#endif
