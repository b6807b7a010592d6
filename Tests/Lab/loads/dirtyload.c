// SPDX-License-Identifier: Apache-2.0
//
// Heavy dirtying: processes that keep writing to all of their memory.
//
//   dirtyload PROCESSES MIB_EACH SECONDS
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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

int main(int count, char **arguments)
{
	time_t until;
	int failed = 0;

	if (count != 4) {
		fprintf(stderr, "usage: dirtyload PROCESSES MIB_EACH SECONDS\n");
		return 64;
	}
	until = time(NULL) + atoi(arguments[3]);
	for (int i = 0; i < atoi(arguments[1]); i++) {
		pid_t child = fork();

		if (child < 0)
			return 71;
		if (!child)
			_exit(work((size_t)atoi(arguments[2]) << 20, until));
	}
	for (int i = 0; i < atoi(arguments[1]); i++) {
		int status;

		if (wait(&status) > 0 && (!WIFEXITED(status) || WEXITSTATUS(status)))
			failed++;
	}
	printf("dirtyload: %s processes, %d failed\n", arguments[1], failed);
	return failed;
}
