// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "writer.h"
#include "clinux.h"
#include "thread.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// The longest line that there is, a summary with every table full, is shorter.
#define LONGEST_LINE (128 * 1024)

// In front of each line; lines lie one behind the other, modulo the capacity.
struct line_head {
	uint32_t length;
	uint32_t reserved;
	uint64_t since_boot_ns;
};

struct rw_writer {
	int descriptor;
	size_t capacity;
	uint8_t *lines;
	uint8_t *whole; // one line, put together for write(2)
	size_t longest;
	_Atomic uint64_t head; // bytes handed over
	_Atomic uint64_t tail; // bytes taken
	_Atomic uint32_t bell; // rung when there is something; what the thread sleeps on
	_Atomic uint32_t closing;
	_Atomic uint32_t ended;
	_Atomic uint64_t written_lines;
	_Atomic uint64_t last_ns;
	_Atomic uint64_t worst_ns;
	_Atomic int error;
	// A datagram that nobody took is lost and no reason to end: the next may be taken.
	bool takes_datagrams;
	_Atomic uint64_t failed;
	pthread_t thread;
};

static void copy_out(struct rw_writer *writer, uint64_t from, void *to, size_t length)
{
	for (size_t i = 0; i < length; i++)
		((uint8_t *)to)[i] = writer->lines[(from + i) & (writer->capacity - 1)];
}

static void copy_in(struct rw_writer *writer, uint64_t to, const void *from, size_t length)
{
	for (size_t i = 0; i < length; i++)
		writer->lines[(to + i) & (writer->capacity - 1)] = ((const uint8_t *)from)[i];
}

static int write_whole(struct rw_writer *writer, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t count = write(writer->descriptor, writer->whole + done, length - done);

		if (count > 0)
			done += (size_t)count;
		else if (count < 0 && errno != EINTR && errno != EAGAIN)
			return errno;
		else if (count <= 0)
			usleep(10000);
	}
	return 0;
}

static void deliver(struct rw_writer *writer, struct line_head *head)
{
	uint64_t took_ns;
	int error = write_whole(writer, head->length);

	if (error && writer->takes_datagrams) {
		atomic_fetch_add(&writer->failed, 1);
		return;
	}
	if (error) {
		atomic_store(&writer->error, error);
		return;
	}
	took_ns = rw_boot_ns();
	took_ns = took_ns > head->since_boot_ns ? took_ns - head->since_boot_ns : 0;
	atomic_store(&writer->last_ns, took_ns);
	if (took_ns > atomic_load(&writer->worst_ns))
		atomic_store(&writer->worst_ns, took_ns);
	atomic_fetch_add(&writer->written_lines, 1);
}

static void *run(void *argument)
{
	struct rw_writer *writer = argument;

	// It writes to what is open already.
	rw_keep_capabilities(0, 0);
	while (!atomic_load(&writer->error)) {
		uint32_t bell = atomic_load(&writer->bell);
		uint64_t tail = atomic_load(&writer->tail);
		struct line_head head;

		if (tail == atomic_load(&writer->head)) {
			if (atomic_load(&writer->closing))
				break;
			syscall(SYS_futex, &writer->bell, FUTEX_WAIT_PRIVATE, bell, NULL, NULL, 0);
			continue;
		}
		copy_out(writer, tail, &head, sizeof(head));
		copy_out(writer, tail + sizeof(head), writer->whole, head.length);
		deliver(writer, &head);
		atomic_store(&writer->tail, tail + sizeof(head) + head.length);
	}
	atomic_store(&writer->ended, 1);
	return NULL;
}

struct rw_writer *rw_writer_open(int descriptor, size_t capacity)
{
	struct rw_writer *writer = calloc(1, sizeof(*writer));
	int flags = fcntl(descriptor, F_GETFL);
	int type = 0;
	socklen_t type_size = sizeof(type);

	if (!writer)
		return NULL;
	writer->descriptor = descriptor;
	writer->takes_datagrams = !getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &type_size) &&
				  type == SOCK_DGRAM;
	writer->capacity = capacity;
	writer->lines = calloc(1, capacity);
	writer->longest = capacity < LONGEST_LINE ? capacity : LONGEST_LINE;
	writer->whole = calloc(1, writer->longest);
	if (!writer->lines || !writer->whole)
		goto out;
	if (flags >= 0)
		fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK);
	if (!rw_start_thread(&writer->thread, run, writer))
		return writer;
out:
	free(writer->whole);
	free(writer->lines);
	free(writer);
	return NULL;
}

int rw_writer_put(struct rw_writer *writer, const void *line, size_t length, uint64_t since_boot_ns)
{
	struct line_head head = {.length = (uint32_t)length, .since_boot_ns = since_boot_ns};
	uint64_t at = atomic_load(&writer->head);

	if (atomic_load(&writer->ended) || atomic_load(&writer->error))
		return -EPIPE;
	if (length > writer->longest ||
	    at - atomic_load(&writer->tail) + sizeof(head) + length > writer->capacity)
		return -ENOBUFS;
	copy_in(writer, at, &head, sizeof(head));
	copy_in(writer, at + sizeof(head), line, length);
	atomic_store(&writer->head, at + sizeof(head) + length);
	atomic_fetch_add(&writer->bell, 1);
	syscall(SYS_futex, &writer->bell, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	return 0;
}

struct rw_writer_state rw_writer_state(struct rw_writer *writer)
{
	int error = atomic_load(&writer->error);

	return (struct rw_writer_state){
		.lines = atomic_load(&writer->written_lines),
		.last_ns = atomic_load(&writer->last_ns),
		.worst_ns = atomic_load(&writer->worst_ns),
		.waiting_bytes =
			error ? 0 : atomic_load(&writer->head) - atomic_load(&writer->tail),
		.failed = atomic_load(&writer->failed),
		.error = error,
	};
}

void rw_writer_close(struct rw_writer *writer, int milliseconds)
{
	if (!writer)
		return;
	atomic_store(&writer->closing, 1);
	atomic_fetch_add(&writer->bell, 1);
	syscall(SYS_futex, &writer->bell, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	for (int waited = 0; waited < milliseconds && !atomic_load(&writer->ended); waited += 5)
		usleep(5000);
	if (!atomic_load(&writer->ended)) {
		pthread_detach(writer->thread);
		return;
	}
	pthread_join(writer->thread, NULL);
	free(writer->whole);
	free(writer->lines);
	free(writer);
}
