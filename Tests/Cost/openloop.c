// SPDX-License-Identifier: Apache-2.0
//
// Opens and closes /dev/null, ROUNDS times a million: some slab objects each time and no
// page. Prints nanoseconds for one turn.
//
//   openloop ROUNDS
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **arguments)
{
	long turns = count > 1 ? atol(arguments[1]) * 1000000 : 1000000;
	struct timespec begin, end;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (long turn = 0; turn < turns; turn++) {
		int file = open("/dev/null", O_RDONLY);

		if (file < 0)
			return 74;
		close(file);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.1f\n",
	       ((end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec)) / turns);
	return 0;
}
