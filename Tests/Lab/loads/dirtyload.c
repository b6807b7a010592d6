// SPDX-License-Identifier: Apache-2.0
//
// Heavy dirtying: processes that keep writing to all of their memory; so often, each time anew.
//
//   dirtyload PROCESSES MIB_EACH SECONDS [TIMES]
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "children.h"

static int work(size_t bytes, time_t until)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	volatile unsigned char *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return 1;
	while (time(NULL) < until)
		for (size_t at = 0; at < bytes; at += page)
			memory[at]++;
	return 0;
}

/// Processes that did not come to their end, or -1: one could not be started.
static int one_round(int processes, size_t bytes, int seconds)
{
	time_t until = time(NULL) + seconds;

	for (int i = 0; i < processes; i++) {
		pid_t child = fork();

		if (child < 0)
			return -1;
		if (!child)
			_exit(work(bytes, until));
	}
	return failed_of(processes, "dirtyload");
}

int main(int count, char **arguments)
{
	int times, failed = 0;

	if (count != 4 && count != 5) {
		fprintf(stderr, "usage: dirtyload PROCESSES MIB_EACH SECONDS [TIMES]\n");
		return 64;
	}
	times = count == 5 ? atoi(arguments[4]) : 1;
	for (int i = 0; i < times; i++) {
		int some = one_round(atoi(arguments[1]), (size_t)atoi(arguments[2]) << 20,
				     atoi(arguments[3]));

		if (some < 0)
			return 71;
		failed += some;
	}
	printf("dirtyload: %s processes, %d failed\n", arguments[1], failed);
	return failed;
}
