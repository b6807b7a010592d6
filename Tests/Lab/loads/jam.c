// SPDX-License-Identifier: Apache-2.0
//
// Blocks what a watch may write to, and keeps it blocked.
//
//   jam DIRECTORY [TTY]...
//
// DIRECTORY/tty: a terminal that nobody reads, its output stopped as by Ctrl-S (tcflow(3)) and
// full. TTY: filled until it takes no more. Then it floods /dev/kmsg beyond its rate limit, from locked memory, until it is
// killed; "jammed" on its standard output says that all of it is so.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static char block[256];

static int refused(const char *what)
{
	fprintf(stderr, "jam: %s: %s\n", what, strerror(errno));
	return 74;
}

/* Until it takes nothing for half a second. */
static void fill(int file)
{
	struct timespec tick = {.tv_nsec = 50000000};
	size_t size = sizeof(block);

	for (int idle = 0; idle < 10; idle++) {
		while (write(file, block, size) > 0)
			idle = 0;
		size = 1;
		nanosleep(&tick, NULL);
	}
}

static int jam_terminal(const char *directory)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	struct termios raw;
	char path[256];
	int slave;

	if (master < 0 || grantpt(master) || unlockpt(master))
		return refused("/dev/ptmx");
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_NONBLOCK);
	snprintf(path, sizeof(path), "%s/tty", directory);
	if (slave < 0 || tcgetattr(slave, &raw) || symlink(ptsname(master), path))
		return refused("terminal");
	cfmakeraw(&raw);
	if (tcsetattr(slave, TCSANOW, &raw))
		return refused("terminal");
	fill(slave);
	return tcflow(slave, TCOOFF) ? refused("tcflow") : 0;
}

int main(int count, char **arguments)
{
	struct timespec tick = {.tv_nsec = 20000000};
	int kmsg, tty;

	if (count < 2) {
		fprintf(stderr, "usage: jam DIRECTORY [TTY]...\n");
		return 64;
	}
	memset(block, '.', sizeof(block));
	if (mkdir(arguments[1], 0755) || jam_terminal(arguments[1]))
		return refused(arguments[1]);
	for (int i = 2; i < count; i++) {
		tty = open(arguments[i], O_WRONLY | O_NOCTTY | O_NONBLOCK);
		if (tty < 0)
			return refused(arguments[i]);
		fill(tty);
	}
	kmsg = open("/dev/kmsg", O_WRONLY | O_NONBLOCK);
	if (kmsg < 0 || mlockall(MCL_CURRENT | MCL_FUTURE))
		return refused("/dev/kmsg");
	puts("jammed");
	fflush(stdout);
	for (;; nanosleep(&tick, NULL))
		if (write(kmsg, "<7>jam: a line beyond the limit\n", 32) < 0 && errno != EAGAIN)
			return refused("/dev/kmsg");
}
