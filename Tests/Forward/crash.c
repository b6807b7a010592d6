// SPDX-License-Identifier: Apache-2.0
//
// Kills the program that loads it before its n-th call of one of these, as a crash would:
// CRASH_AT=n. Without it, says on standard error at the end how many there were.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int calls;

static void step(void)
{
	const char *at = getenv("CRASH_AT");

	if (++calls == (at ? atoi(at) : -1))
		kill(getpid(), SIGKILL);
}

__attribute__((destructor)) static void tell(void)
{
	fprintf(stderr, "crash: %d calls\n", calls);
}

#define STEP(type, name, parameters, arguments)                                                    \
	type name parameters                                                                       \
	{                                                                                          \
		static type(*real) parameters;                                                     \
		if (!real)                                                                         \
			real = (type(*) parameters)dlsym(RTLD_NEXT, #name);                        \
		step();                                                                            \
		return real arguments;                                                             \
	}

STEP(ssize_t, pwrite, (int fd, const void *data, size_t n, off_t at), (fd, data, n, at))
STEP(int, fdatasync, (int fd), (fd))
STEP(int, fsync, (int fd), (fd))
STEP(int, rename, (const char *from, const char *to), (from, to))
STEP(int, unlink, (const char *path), (path))
STEP(int, connect, (int fd, const struct sockaddr *to, socklen_t n), (fd, to, n))
STEP(ssize_t, send, (int fd, const void *data, size_t n, int flags), (fd, data, n, flags))
STEP(ssize_t, recv, (int fd, void *data, size_t n, int flags), (fd, data, n, flags))
STEP(int, close, (int fd), (fd))

// Messages go to standard error by the same call: no step of a delivery.
ssize_t write(int fd, const void *data, size_t n)
{
	static ssize_t (*real)(int, const void *, size_t);

	if (!real)
		real = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
	if (fd > 2)
		step();
	return real(fd, data, n);
}
