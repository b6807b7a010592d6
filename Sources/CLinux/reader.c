// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "reader.h"

#include "capabilities.h"
#include "thread.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { IDLE, ASKED, READ };

struct rw_reader {
	size_t capacity; // of each file
	char *bytes;
	int files;
	// The thread's while ASKED, the loop's otherwise; so are the bytes.
	int *descriptors;
	struct rw_reading *readings;
	_Atomic uint32_t state; // what the thread sleeps on
};

static int64_t read_file(const struct rw_reader *reader, int file)
{
	ssize_t length = pread(reader->descriptors[file], reader->bytes + file * reader->capacity,
			       reader->capacity, 0);

	return length < 0 ? -errno : length;
}

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
		for (int file = 0; file < reader->files; file++)
			reader->readings[file].length = read_file(reader, file);
		atomic_store(&reader->state, READ);
	}
	return NULL;
}

struct rw_reader *rw_reader_open(const int *descriptors, int files, size_t capacity)
{
	struct rw_reader *reader = calloc(1, sizeof(*reader));
	pthread_t thread;

	if (!reader)
		return NULL;
	reader->files = files;
	reader->capacity = capacity;
	reader->bytes = calloc(files, capacity);
	reader->descriptors = calloc(files, sizeof(*reader->descriptors));
	reader->readings = calloc(files, sizeof(*reader->readings));
	if (reader->bytes && reader->descriptors && reader->readings) {
		for (int file = 0; file < files; file++) {
			reader->descriptors[file] = descriptors[file];
			reader->readings[file].bytes = reader->bytes + file * capacity;
		}
		if (!rw_start_thread(&thread, run, reader)) {
			pthread_detach(thread);
			return reader;
		}
	}
	free(reader->readings);
	free(reader->descriptors);
	free(reader->bytes);
	free(reader);
	return NULL;
}

bool rw_reader_replace(struct rw_reader *reader, int file, int descriptor)
{
	if (atomic_load(&reader->state) == ASKED)
		return false;
	reader->descriptors[file] = descriptor;
	return true;
}

void rw_reader_ask(struct rw_reader *reader)
{
	uint32_t idle = IDLE;

	if (atomic_compare_exchange_strong(&reader->state, &idle, ASKED))
		syscall(SYS_futex, &reader->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

const struct rw_reading *rw_reader_take(struct rw_reader *reader)
{
	if (atomic_load(&reader->state) != READ)
		return NULL;
	atomic_store(&reader->state, IDLE);
	return reader->readings;
}
