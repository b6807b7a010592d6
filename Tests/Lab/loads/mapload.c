// SPDX-License-Identifier: Apache-2.0
//
// The load of the 2012 series: processes that create anonymous mappings, fill
// them, and read them linearly in a loop.
//
//   mapload PROCESSES MIB_EACH ROUNDS
//
// Prints a line for each process that did not end well, and one when all are through. Exit
// status: how many did not end well.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "children.h"

static int work(size_t bytes, int rounds)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return 1;
	for (size_t at = 0; at < bytes; at += page)
		memset(memory + at, (int)(at / page % 251) + 1, 64);
	for (int round = 0; round < rounds; round++)
		for (size_t at = 0; at < bytes; at += page) {
			int byte = memory[at], written = (int)(at / page % 251) + 1;

			if (byte == written)
				continue;
			printf("mapload: page %zu of process %d came back with %d, not %d\n",
			       at / page, (int)getpid(), byte, written);
			fflush(stdout);
			return 2;
		}
	return 0;
}

int main(int count, char **arguments)
{
	int processes, rounds, failed;
	size_t bytes;

	if (count != 4) {
		fprintf(stderr, "usage: mapload PROCESSES MIB_EACH ROUNDS\n");
		return 64;
	}
	processes = atoi(arguments[1]);
	bytes = (size_t)atoi(arguments[2]) << 20;
	rounds = atoi(arguments[3]);
	for (int i = 0; i < processes; i++) {
		pid_t child = fork();

		if (child < 0)
			return 71;
		if (!child)
			_exit(work(bytes, rounds));
	}
	failed = failed_of(processes, "mapload");
	printf("mapload: %d processes, %d failed\n", processes, failed);
	return failed;
}
