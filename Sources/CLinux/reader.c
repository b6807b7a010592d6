// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "reader.h"

#include "capabilities.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

// One reading, no depth.
#define STACK_BYTES (64 * 1024)

enum { IDLE, ASKED, READ };

struct rw_reader {
	int descriptor;
	size_t capacity;
	void *bytes; // the thread's while ASKED, the loop's otherwise
	int64_t length;
	_Atomic uint32_t state; // what the thread sleeps on
};

static void *run(void *argument)
{
	struct rw_reader *reader = argument;

	// It reads what is open already.
	rw_keep_capabilities(0, 0);
	for (;;) {
		uint32_t state = atomic_load(&reader->state);

		if (state != ASKED) {
			syscall(SYS_futex, &reader->state, FUTEX_WAIT_PRIVATE, state, NULL, NULL,
				0);
			continue;
		}
		reader->length = pread(reader->descriptor, reader->bytes, reader->capacity, 0);
		if (reader->length < 0)
			reader->length = -errno;
		atomic_store(&reader->state, READ);
	}
	return NULL;
}

struct rw_reader *rw_reader_open(int descriptor, size_t capacity)
{
	struct rw_reader *reader = calloc(1, sizeof(*reader));
	sigset_t all, before;
	pthread_attr_t attributes;
	pthread_t thread;
	int failed;

	if (!reader)
		return NULL;
	reader->descriptor = descriptor;
	reader->capacity = capacity;
	reader->bytes = calloc(1, capacity);
	if (reader->bytes) {
		// Signals are the loop's.
		sigfillset(&all);
		pthread_sigmask(SIG_BLOCK, &all, &before);
		pthread_attr_init(&attributes);
		pthread_attr_setstacksize(&attributes, STACK_BYTES);
		pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
		failed = pthread_create(&thread, &attributes, run, reader);
		pthread_attr_destroy(&attributes);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		if (!failed)
			return reader;
	}
	free(reader->bytes);
	free(reader);
	return NULL;
}

void rw_reader_ask(struct rw_reader *reader)
{
	uint32_t idle = IDLE;

	if (atomic_compare_exchange_strong(&reader->state, &idle, ASKED))
		syscall(SYS_futex, &reader->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

const void *rw_reader_take(struct rw_reader *reader, int64_t *length)
{
	if (atomic_load(&reader->state) != READ)
		return NULL;
	*length = reader->length;
	atomic_store(&reader->state, IDLE);
	return reader->bytes;
}
