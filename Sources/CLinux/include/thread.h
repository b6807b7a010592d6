// SPDX-License-Identifier: Apache-2.0
//
// Threads beside the loop.
#ifndef RESERVEWATCH_THREAD_H
#define RESERVEWATCH_THREAD_H

#include <pthread.h>

/// Starts one with a stack of 64 KiB, to which no signal comes: these are the loop's. 0, or an errno.
int rw_start_thread(pthread_t *thread, void *(*body)(void *), void *argument);

#endif
