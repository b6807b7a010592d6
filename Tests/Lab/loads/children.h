// SPDX-License-Identifier: Apache-2.0
//
// How the processes of a load ended.
#ifndef LAB_CHILDREN_H
#define LAB_CHILDREN_H
#include <stdio.h>
#include <sys/wait.h>

/// Waits for `processes` children; a line for each that did not end with 0. Returns their number.
static int failed_of(int processes, const char *load)
{
	int failed = 0;

	for (int i = 0; i < processes; i++) {
		int status;
		int child = wait(&status);

		if (child <= 0 || (WIFEXITED(status) && !WEXITSTATUS(status)))
			continue;
		failed++;
		printf("%s: process %d ended by %s %d\n", load, child,
		       WIFSIGNALED(status) ? "signal" : "itself with",
		       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	}
	return failed;
}

#endif
