// SPDX-License-Identifier: Apache-2.0
//
// Does one thing after some seconds, when a shell might not get to it: from locked memory,
// through a descriptor that it opened at the start.
//
//   later SECONDS write FILE TEXT
//   later SECONDS kill PID
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **arguments)
{
	int writes = count == 5 && !strcmp(arguments[2], "write");
	int kills = count == 4 && !strcmp(arguments[2], "kill");
	struct timespec wait = {0};
	int file = -1;

	if (!writes && !kills) {
		fprintf(stderr, "usage: later SECONDS write FILE TEXT\n"
				"       later SECONDS kill PID\n");
		return 64;
	}
	wait.tv_sec = atoi(arguments[1]);
	if (writes && (file = open(arguments[3], O_WRONLY)) < 0) {
		perror(arguments[3]);
		return 74;
	}
	if (mlockall(MCL_CURRENT | MCL_FUTURE)) {
		perror("later: mlockall");
		return 71;
	}
	nanosleep(&wait, NULL);
	if (kills)
		return kill(atoi(arguments[3]), SIGKILL) ? 74 : 0;
	return write(file, arguments[4], strlen(arguments[4])) < 0 ? 74 : 0;
}
