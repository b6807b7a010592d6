// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "service.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

int rw_notify_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(path);
	int descriptor, error;

	if ((path[0] != '/' && path[0] != '@') || length >= sizeof(address.sun_path))
		return -EINVAL;
	memcpy(address.sun_path, path, length);
	if (path[0] == '@')
		address.sun_path[0] = 0;
	descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (descriptor < 0)
		return -errno;
	if (!connect(descriptor, (struct sockaddr *)&address,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)))
		return descriptor;
	error = errno;
	close(descriptor);
	return -error;
}

uint64_t rw_monotonic_us(void)
{
	struct timespec now = {0};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000;
}

int rw_fork(void)
{
	int pid = fork();

	return pid < 0 ? -errno : pid;
}

void rw_set_name(const char *name)
{
	prctl(PR_SET_NAME, name, 0, 0, 0);
}

struct rw_exchange {
	_Atomic uint32_t asked; // by who takes
	_Atomic uint32_t given; // by who gives, once the message is there
	_Atomic uint32_t taken; // the last of those that was taken
	uint32_t size;
	uint8_t message[RW_EXCHANGE_BYTES];
};

int rw_exchange_file(void)
{
	int descriptor = memfd_create("reservewatch-settings", 0);

	if (descriptor < 0)
		return -errno;
	if (ftruncate(descriptor, sizeof(struct rw_exchange))) {
		close(descriptor);
		return -ENOMEM;
	}
	return descriptor;
}

int rw_bell(void)
{
	int descriptor = eventfd(0, EFD_NONBLOCK);

	return descriptor < 0 ? -errno : descriptor;
}

struct rw_exchange *rw_exchange_map(int descriptor)
{
	void *page = mmap(NULL, sizeof(struct rw_exchange), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_POPULATE, descriptor, 0);

	return page == MAP_FAILED ? NULL : page;
}

uint32_t rw_exchange_ask(struct rw_exchange *exchange, int bell)
{
	uint32_t number = atomic_fetch_add(&exchange->asked, 1) + 1;
	uint64_t one = 1;
	// Where the counter has no room, it was rung already.
	ssize_t rung = write(bell, &one, sizeof(one));

	(void)rung;
	return number;
}

size_t rw_exchange_take(struct rw_exchange *exchange, void *message, size_t capacity)
{
	uint32_t given = atomic_load(&exchange->given);
	size_t size;

	if (given == atomic_load(&exchange->taken))
		return 0;
	size = exchange->size;
	if (size > capacity)
		size = capacity;
	if (size > sizeof(exchange->message))
		size = sizeof(exchange->message);
	for (size_t i = 0; i < size; i++)
		((uint8_t *)message)[i] = exchange->message[i];
	atomic_store(&exchange->taken, given);
	return size;
}

uint32_t rw_exchange_wait(struct rw_exchange *exchange, int bell)
{
	struct pollfd entry = {.fd = bell, .events = POLLIN};
	uint64_t rung;

	while (read(bell, &rung, sizeof(rung)) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			break;
		poll(&entry, 1, -1);
	}
	return atomic_load(&exchange->asked);
}

void rw_exchange_give(struct rw_exchange *exchange, const void *message, size_t size)
{
	if (size > sizeof(exchange->message))
		size = sizeof(exchange->message);
	memcpy(exchange->message, message, size);
	exchange->size = (uint32_t)size;
	atomic_fetch_add(&exchange->given, 1);
}

int rw_exchange_is_taken(struct rw_exchange *exchange)
{
	return atomic_load(&exchange->given) == atomic_load(&exchange->taken);
}
