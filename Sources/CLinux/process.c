// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <unistd.h>

int rw_spawn(char *const *words, char *const *environment, int input, int output)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t signals;
	pid_t pid = 0;
	int status = posix_spawn_file_actions_init(&actions);

	if (status)
		return -status;
	status = posix_spawnattr_init(&attributes);
	if (status) {
		posix_spawn_file_actions_destroy(&actions);
		return -status;
	}
	status = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
	if (!status && output >= 0)
		status = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	else if (!status)
		status = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null",
							  O_WRONLY, 0);
	if (!status)
		status = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	// What we wait for by a descriptor is blocked here, and must not be there.
	sigemptyset(&signals);
	posix_spawnattr_setsigmask(&attributes, &signals);
	sigfillset(&signals);
	posix_spawnattr_setsigdefault(&attributes, &signals);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
						      POSIX_SPAWN_SETSIGDEF);
	if (!status)
		status = posix_spawn(&pid, words[0], &actions, &attributes, words, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return status ? -status : pid;
}

int rw_open_process(int pid)
{
	// The number is the same on every architecture; older C libraries have no name for it.
	long descriptor = syscall(434, pid, 0);

	return descriptor < 0 ? -errno : (int)descriptor;
}
