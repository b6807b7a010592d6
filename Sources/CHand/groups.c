// SPDX-License-Identifier: Apache-2.0
//
// The cgroups that rules name: found at the start, and found again when they were made anew.
#define _GNU_SOURCE
#include "internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEEPEST 6 // where a unit is looked for

int find_mount(char *mount, size_t capacity)
{
	FILE *table = fopen("/proc/self/mountinfo", "re");
	char line[1024];
	int result = -ENOENT;

	if (!table)
		return -errno;
	// "36 35 98:0 /root /mount options shared:1 - cgroup2 source options"
	while (result && fgets(line, sizeof(line), table)) {
		char root[256], place[256];
		const char *kind = strstr(line, " - ");

		if (!kind || strncmp(kind, " - cgroup2 ", 11) ||
		    sscanf(line, "%*s %*s %*s %255s %255s", root, place) != 2 || strcmp(root, "/"))
			continue;
		if (strlen(place) < capacity) {
			strcpy(mount, place);
			result = 0;
		}
	}
	fclose(table);
	return result;
}

void group_init(struct group *group)
{
	memset(group, 0, sizeof(*group));
	group->directory = group->freeze = group->kill = -1;
	group->procs = group->high = group->current = -1;
	atomic_store(&group->error, ENOENT);
}

bool is_below(const char *path, const char *group)
{
	size_t length = strlen(group);

	return !strncmp(path, group, length) && (path[length] == '/' || path[length] == 0);
}

/// Looks for a directory of that name, the nearest first. `path` is where we are, and what is
/// found. 0 or -ENOENT.
static int find_below(int mount, const char *name, char *path, size_t capacity, int depth)
{
	_Alignas(8) char buffer[4096];
	size_t length = strlen(path);
	int result = -ENOENT;

	// Once for the names in this directory, once for what is below them.
	for (int pass = 0; pass < 2 && result; pass++) {
		int directory = openat(mount, length ? path + 1 : ".",
				       O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		long count;

		if (directory < 0)
			return -ENOENT;
		while (result &&
		       (count = syscall(SYS_getdents64, directory, buffer, sizeof(buffer))) > 0) {
			for (long at = 0; at < count && result;) {
				struct entry64 *entry = (struct entry64 *)(buffer + at);

				at += entry->length;
				if (entry->type != DT_DIR || entry->name[0] == '.' ||
				    length + strlen(entry->name) + 2 > capacity)
					continue;
				path[length] = '/';
				strcpy(path + length + 1, entry->name);
				if (pass == 0)
					result = strcmp(entry->name, name) ? -ENOENT : 0;
				else if (depth > 0)
					result = find_below(mount, name, path, capacity, depth - 1);
				if (result)
					path[length] = 0;
			}
		}
		close(directory);
	}
	return result;
}

/// Opens a file of the group onto its number, which it keeps from then on: whoever uses the
/// number meanwhile meets the former file or the new one.
///
/// 0, or -errno where it was open before: an act on the former file would hit nobody.
static int reopen(int *number, int directory, const char *name, int flags)
{
	int descriptor = openat(directory, name, flags | O_CLOEXEC | O_NOFOLLOW);

	if (descriptor < 0)
		return *number < 0 ? 0 : -errno;
	if (*number < 0) {
		*number = descriptor;
		return 0;
	}
	dup3(descriptor, *number, O_CLOEXEC);
	close(descriptor);
	return 0;
}

int group_bind(struct group *group, int mount, const char *place)
{
	char path[sizeof(group->path)] = "";
	const struct {
		int *number;
		const char *name;
		int flags;
	} files[] = {
		{&group->freeze, "cgroup.freeze", O_RDWR},
		{&group->kill, "cgroup.kill", O_WRONLY},
		{&group->procs, "cgroup.procs", O_RDONLY},
		{&group->high, "memory.high", O_RDWR},
		{&group->current, "memory.current", O_RDONLY},
	};
	struct stat status;
	int directory, error = 0;

	if (place[0] == '/')
		snprintf(path, sizeof(path), "%s", place);
	else if (group->path[0])
		strcpy(path, group->path);
	else
		error = find_below(mount, place, path, sizeof(path), DEEPEST);
	if (!error && fstatat(mount, path + 1, &status, AT_SYMLINK_NOFOLLOW))
		error = -errno;
	if (!error && !S_ISDIR(status.st_mode))
		error = -ENOTDIR;
	if (error) {
		// A unit may come back elsewhere.
		if (place[0] != '/')
			group->path[0] = 0;
		atomic_store(&group->error, -error);
		return error;
	}
	if (group->directory >= 0 && atomic_load(&group->inode) == status.st_ino) {
		atomic_store(&group->error, 0);
		return 0;
	}
	directory = openat(mount, path + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (directory < 0) {
		atomic_store(&group->error, errno);
		return -errno;
	}
	strcpy(group->path, path);
	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		int failed = reopen(files[i].number, directory, files[i].name, files[i].flags);

		if (failed)
			error = failed;
	}
	if (error) {
		close(directory);
		atomic_store(&group->error, -error);
		return error;
	}
	if (group->directory < 0) {
		group->directory = directory;
	} else {
		dup3(directory, group->directory, O_CLOEXEC);
		close(directory);
	}
	atomic_store(&group->inode, status.st_ino);
	atomic_store(&group->error, 0);
	return 0;
}
