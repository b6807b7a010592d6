// SPDX-License-Identifier: Apache-2.0
//
// Tries one thing that a guard may refuse, under a name of its own, and says what came of it:
// 0, or the errno.
//
//   attempt NAME kill SIGNAL PID
//   attempt NAME thread SIGNAL TGID TID
//   attempt NAME attach|seize|peek PID     PTRACE_ATTACH, PTRACE_SEIZE, process_vm_readv(2)
//   attempt NAME open FILE                 to read
//   attempt NAME write FILE TEXT
//   attempt NAME swapoff FILE
//   attempt NAME disconnect|clear DEVICE   ioctl(2) NBD_DISCONNECT, NBD_CLEAR_SOCK
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/nbd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static int trace(enum __ptrace_request request, int pid)
{
	if (ptrace(request, pid, NULL, NULL))
		return errno;
	// It must have stopped to be let go.
	if (request == PTRACE_ATTACH)
		waitpid(pid, NULL, __WALL);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return 0;
}

static int peek(int pid)
{
	char mine[8], *theirs = (char *)0x400000;
	struct iovec to = {mine, sizeof(mine)}, from = {theirs, sizeof(mine)};

	// Nothing need be mapped there: a kernel that lets us look says EFAULT.
	if (process_vm_readv(pid, &to, 1, &from, 1, 0) < 0 && errno != EFAULT)
		return errno;
	return 0;
}

static int on_file(const char *path, int flags, const char *text, unsigned long command)
{
	int file = open(path, flags), result = 0;

	if (file < 0)
		return errno;
	if (text && write(file, text, strlen(text)) < 0)
		result = errno;
	if (command && ioctl(file, command) < 0)
		result = errno;
	close(file);
	return result;
}

static int try(int count, char **words)
{
	const char *what = words[2];
	int number = count > 3 ? atoi(words[3]) : 0;

	if (!strcmp(what, "kill") && count == 5)
		return kill(atoi(words[4]), number) ? errno : 0;
	if (!strcmp(what, "thread") && count == 6)
		return syscall(SYS_tgkill, atoi(words[4]), atoi(words[5]), number) ? errno : 0;
	if (!strcmp(what, "write") && count == 5)
		return on_file(words[3], O_WRONLY, words[4], 0);
	if (count != 4)
		return -1;
	if (!strcmp(what, "attach"))
		return trace(PTRACE_ATTACH, number);
	if (!strcmp(what, "seize"))
		return trace(PTRACE_SEIZE, number);
	if (!strcmp(what, "peek"))
		return peek(number);
	if (!strcmp(what, "open"))
		return on_file(words[3], O_RDONLY, NULL, 0);
	if (!strcmp(what, "swapoff"))
		return swapoff(words[3]) ? errno : 0;
	if (!strcmp(what, "disconnect"))
		return on_file(words[3], O_RDWR, NULL, NBD_DISCONNECT);
	if (!strcmp(what, "clear"))
		return on_file(words[3], O_RDWR, NULL, NBD_CLEAR_SOCK);
	return -1;
}

int main(int count, char **words)
{
	int result = -1;

	if (count >= 4) {
		prctl(PR_SET_NAME, words[1]);
		result = try(count, words);
	}
	if (result < 0) {
		fprintf(stderr, "usage: attempt NAME WHAT ..., see attempt.c\n");
		return 64;
	}
	printf("%s %s\n", words[1], result ? strerrorname_np(result) : "0");
	return 0;
}
