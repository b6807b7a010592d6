// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "internal.h"

#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int ring_open(struct ring *ring, uint32_t capacity, uint32_t size)
{
	ring->capacity = capacity;
	ring->size = size;
	ring->slots = calloc(capacity, size);
	if (!ring->slots)
		return -1;
	memset(ring->slots, 0, (size_t)capacity * size);
	return 0;
}

bool ring_put(struct ring *ring, const void *item)
{
	uint32_t head = atomic_load(&ring->head);

	if (head - atomic_load(&ring->tail) >= ring->capacity)
		return false;
	memcpy(ring->slots + (size_t)(head & (ring->capacity - 1)) * ring->size, item, ring->size);
	atomic_store(&ring->head, head + 1);
	atomic_fetch_add(&ring->bell, 1);
	syscall(SYS_futex, &ring->bell, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	return true;
}

bool ring_take(struct ring *ring, void *item)
{
	uint32_t tail = atomic_load(&ring->tail);

	if (tail == atomic_load(&ring->head))
		return false;
	memcpy(item, ring->slots + (size_t)(tail & (ring->capacity - 1)) * ring->size, ring->size);
	atomic_store(&ring->tail, tail + 1);
	return true;
}

void ring_wait(struct ring *ring, int milliseconds)
{
	struct timespec limit = {.tv_sec = milliseconds / 1000,
				 .tv_nsec = (milliseconds % 1000) * 1000000l};
	uint32_t bell = atomic_load(&ring->bell);

	if (atomic_load(&ring->tail) != atomic_load(&ring->head))
		return;
	syscall(SYS_futex, &ring->bell, FUTEX_WAIT_PRIVATE, bell, milliseconds < 0 ? NULL : &limit,
		NULL, 0);
}
