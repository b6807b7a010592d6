// SPDX-License-Identifier: Apache-2.0
//
// Nanoseconds per page for a loop that faults anonymous pages in and gives them
// back: what the page allocator's hooks cost at the most.
//
//   faultloop MIB ROUNDS
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

int main(int count, char **arguments)
{
	struct timespec begin, end;
	size_t bytes, pages = 0;
	int rounds;

	if (count != 3) {
		fprintf(stderr, "usage: faultloop MIB ROUNDS\n");
		return 64;
	}
	bytes = (size_t)atoi(arguments[1]) << 20;
	rounds = atoi(arguments[2]);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int round = 0; round < rounds; round++) {
		volatile char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
					     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (memory == MAP_FAILED)
			return 71;
		madvise((void *)memory, bytes, MADV_NOHUGEPAGE);
		for (size_t at = 0; at < bytes; at += 4096, pages++)
			memory[at] = 1;
		munmap((void *)memory, bytes);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.1f\n",
	       ((end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec)) / (double)pages);
	return 0;
}
