// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#define KERNEL_THREAD 0x00200000 // PF_KTHREAD

uint64_t now_ns(void)
{
	struct timespec now = {0};

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t file_inode(int descriptor)
{
	struct stat status;

	return fstat(descriptor, &status) ? 0 : status.st_ino;
}

int read_small(int descriptor, char *text, size_t capacity)
{
	ssize_t count = pread(descriptor, text, capacity - 1, 0);

	if (count < 0)
		return -errno;
	while (count > 0 && (text[count - 1] == '\n' || text[count - 1] == ' '))
		count--;
	text[count] = 0;
	return (int)count;
}

int read_small_at(int directory, const char *path, char *text, size_t capacity)
{
	int descriptor = openat(directory, path, O_RDONLY | O_CLOEXEC);
	int count;

	if (descriptor < 0)
		return -errno;
	count = read_small(descriptor, text, capacity);
	close(descriptor);
	return count;
}

int read_setting(int descriptor, char *text, size_t capacity)
{
	char all[256];
	int count = read_small(descriptor, all, sizeof(all));
	const char *chosen = count > 0 ? strchr(all, '[') : NULL;
	const char *end = chosen ? strchr(chosen, ']') : NULL;

	if (count < 0)
		return count;
	return end ? snprintf(text, capacity, "%.*s", (int)(end - chosen - 1), chosen + 1)
		   : snprintf(text, capacity, "%s", all);
}

int write_small(int descriptor, const char *text)
{
	size_t length = strlen(text);
	ssize_t count;

	do
		count = pwrite(descriptor, text, length, 0);
	while (count < 0 && errno == EINTR);
	if (count < 0)
		return -errno;
	return (size_t)count == length ? 0 : -EIO;
}

int send_signal(int pidfd, int signal)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) ? -errno : 0;
}

uint64_t free_pages(void)
{
	struct sysinfo info;

	if (sysinfo(&info))
		return 0;
	return (uint64_t)info.freeram * info.mem_unit / (uint64_t)sysconf(_SC_PAGESIZE);
}

int read_process(int proc, int pid, struct process *process)
{
	char path[32], text[512];
	char *name, *end, *field;
	int count;

	snprintf(path, sizeof(path), "%d/stat", pid);
	count = read_small_at(proc, path, text, sizeof(text));
	if (count < 0)
		return count;
	// The name may have parentheses and blanks in it: it ends with the last of them.
	name = strchr(text, '(');
	end = strrchr(text, ')');
	if (!name || !end || end < name)
		return -EIO;
	memset(process, 0, sizeof(*process));
	process->pid = pid;
	memcpy(process->comm, name + 1,
	       (size_t)(end - name - 1) < sizeof(process->comm) ? (size_t)(end - name - 1)
								: sizeof(process->comm));
	// Fields 3 to 22: state is the third, flags the ninth, the start the 22nd.
	field = end + 1;
	for (int number = 3; number <= 22 && field; number++) {
		while (*field == ' ')
			field++;
		if (number == 3)
			process->state = *field;
		else if (number == 9)
			process->is_kernel = strtoul(field, NULL, 10) & KERNEL_THREAD;
		else if (number == 22)
			process->start_ticks = strtoull(field, NULL, 10);
		field = strchr(field, ' ');
	}
	return process->start_ticks || pid == 1 ? 0 : -EIO;
}
