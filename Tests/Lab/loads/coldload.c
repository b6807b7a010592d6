// SPDX-License-Identifier: Apache-2.0
//
// A process whose pages were swapped out for another that has ended since: it reads them again,
// on a host that has memory to spare, and so waits for the swap without any reclaim.
//
//   coldload COLD_MIB OTHER_MIB SECONDS
//
// A page each 100 ms, one of sixteen, so that reading ahead brings no other one, until SECONDS
// after the start. Exit status: 0 when each page had what was written to it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGES_APART = 16 };

static unsigned char *fill(size_t bytes, size_t page)
{
	unsigned char *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		perror("coldload: mmap");
		exit(71);
	}
	for (size_t at = 0; at < bytes; at += page)
		memset(memory + at, (int)(at / page % 251) + 1, 64);
	return memory;
}

int main(int count, char **arguments)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), cold, at;
	struct timespec pause = {.tv_nsec = 100000000};
	unsigned char *memory;
	int reads = 0, wrong = 0, status;
	time_t until;
	pid_t other;

	if (count != 4) {
		fprintf(stderr, "usage: coldload COLD_MIB OTHER_MIB SECONDS\n");
		return 64;
	}
	cold = (size_t)atoi(arguments[1]) << 20;
	until = time(NULL) + atoi(arguments[3]);
	memory = fill(cold, page);
	other = fork();
	if (other < 0)
		return 71;
	if (!other) {
		fill((size_t)atoi(arguments[2]) << 20, page);
		_exit(0);
	}
	if (waitpid(other, &status, 0) != other || status) {
		printf("coldload: the other process ended with %d\n", status);
		return 1;
	}
	for (at = 0; time(NULL) < until; at = (at + PAGES_APART * page) % cold, reads++) {
		wrong += memory[at] != (int)(at / page % 251) + 1;
		nanosleep(&pause, NULL);
	}
	printf("coldload: %d pages read, %d of them wrong\n", reads, wrong);
	return wrong ? 2 : 0;
}
