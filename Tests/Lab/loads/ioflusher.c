// SPDX-License-Identifier: Apache-2.0
//
// ioflusher COMMAND...: becomes COMMAND with PR_SET_IO_FLUSHER set, passed over by the OOM
// killer, as a server of its own host's swap ought to be.

#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

int main(int argc, char **argv)
{
	if (argc < 2 || prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) != 0) {
		perror("ioflusher");
		return 1;
	}
	FILE *score = fopen("/proc/self/oom_score_adj", "w");
	if (!score || fputs("-1000", score) < 0 || fclose(score) != 0) {
		perror("ioflusher: oom_score_adj");
		return 1;
	}
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 1;
}
