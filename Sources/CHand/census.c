// SPDX-License-Identifier: Apache-2.0
//
// Who is in a rule's cgroup, how much memory each has of its own, and whom no rule may hit. Looked
// at while there is time, for whoever is to be killed in a deadlock must be known before it.
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OOM_NEVER (-1000)
// More are counted as protected: they cannot all be looked at in time.
#define MOST_MEMBERS 4096

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), last = strlen(end);

	return length >= last && !strcmp(text + length - last, end);
}

/// Whether a component of the path is `name`.
static bool passes_through(const char *path, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = path; (at = strchr(at, '/')); at++)
		if (!strncmp(at + 1, name, length) && (at[1 + length] == '/' || !at[1 + length]))
			return true;
	return false;
}

static bool is_unit(const char *name)
{
	return ends_with(name, ".service") || ends_with(name, ".scope") ||
	       ends_with(name, ".slice");
}

/// A bare name wants a file that only root may write: anybody may call a program "sshd".
static bool is_program(const char *name, const char *path, const struct stat *status)
{
	const char *base = strrchr(path, '/');

	if (name[0] == '/')
		return !strcmp(name, path);
	return base && !strcmp(base + 1, name) && status->st_uid == 0 &&
	       !(status->st_mode & (S_IWGRP | S_IWOTH));
}

static bool is_named(const struct protection *protection, int proc, int pid)
{
	char path[64], program[256] = "", group[300] = "";
	const struct rw_hand_settings *settings = protection->settings;
	struct stat status = {0};
	char *line;
	ssize_t count;

	snprintf(path, sizeof(path), "%d/exe", pid);
	count = readlinkat(proc, path, program, sizeof(program) - 1);
	// What cannot be looked at is not known to be unprotected.
	if (count < 0)
		return errno != ENOENT;
	program[count] = 0;
	if (fstatat(proc, path, &status, 0))
		return errno != ENOENT;
	snprintf(path, sizeof(path), "%d/cgroup", pid);
	if (read_small_at(proc, path, group, sizeof(group)) < 0)
		return true;
	line = strstr(group, "0::");
	line = line ? line + 3 : group;
	line[strcspn(line, "\n")] = 0;
	for (uint32_t i = 0; i < settings->protected_count; i++) {
		const char *name = settings->protected_names[i];

		if (!strncmp(name, "cgroup:", 7)) {
			if (is_below(line, name + 7))
				return true;
		} else if (is_unit(name)) {
			if (passes_through(line, name))
				return true;
		} else if (is_program(name, program, &status)) {
			return true;
		}
	}
	return false;
}

bool is_protected(const struct protection *protection, int proc, const struct process *process)
{
	char path[64], score[16];

	if (process->pid == 1 || process->is_kernel || process->pid == protection->own_pid ||
	    process->pid == protection->keeper_pid)
		return true;
	for (int i = 0; i < RW_HAND_CLIENTS; i++)
		if (atomic_load(&protection->clients[i]) == (uint32_t)process->pid)
			return true;
	snprintf(path, sizeof(path), "%d/oom_score_adj", process->pid);
	if (read_small_at(proc, path, score, sizeof(score)) <= 0)
		return errno != ENOENT && errno != ESRCH;
	return atoi(score) == OOM_NEVER || is_named(protection, proc, process->pid);
}

static uint64_t own_pages(int statm)
{
	char text[128], *end;
	uint64_t resident, shared;

	// "size resident shared ...", in pages.
	if (read_small(statm, text, sizeof(text)) <= 0)
		return 0;
	strtoull(text, &end, 10);
	resident = strtoull(end, &end, 10);
	shared = strtoull(end, NULL, 10);
	return resident > shared ? resident - shared : 0;
}

static uint64_t own_pages_of(int proc, int pid)
{
	char path[32];
	int statm;
	uint64_t pages;

	snprintf(path, sizeof(path), "%d/statm", pid);
	statm = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (statm < 0)
		return 0;
	pages = own_pages(statm);
	close(statm);
	return pages;
}

static const struct candidate *known(const struct candidate *list, uint32_t count,
				     const struct process *process)
{
	for (uint32_t i = 0; i < count; i++)
		if (list[i].process.pid == process->pid &&
		    list[i].process.start_ticks == process->start_ticks)
			return &list[i];
	return NULL;
}

/// Descriptors for one that is new; those of one that is known are used on.
static bool open_candidate(struct candidate *candidate, const struct candidate *before, int proc)
{
	struct process process;
	char path[32];

	// One that would only have been taken is there again.
	atomic_store(&candidate->taken, before && atomic_load(&before->taken) == TAKEN ? TAKEN : 0);
	if (before) {
		candidate->pidfd = before->pidfd;
		candidate->statm = before->statm;
		return true;
	}
	candidate->pidfd = (int)syscall(SYS_pidfd_open, candidate->process.pid, 0);
	if (candidate->pidfd < 0)
		return false;
	snprintf(path, sizeof(path), "%d/statm", candidate->process.pid);
	candidate->statm = openat(proc, path, O_RDONLY | O_CLOEXEC);
	// Looked at after the opening, it is still the one that was meant.
	if (candidate->statm >= 0 && !read_process(proc, candidate->process.pid, &process) &&
	    process.start_ticks == candidate->process.start_ticks) {
		own_pages(candidate->statm);
		return true;
	}
	close(candidate->pidfd);
	if (candidate->statm >= 0)
		close(candidate->statm);
	return false;
}

/// The place of one with so many pages among the largest; CANDIDATES: too small.
static uint32_t place_of(const struct candidate *list, uint32_t count, uint64_t pages)
{
	uint32_t place = count;

	while (place > 0 && list[place - 1].own_pages < pages)
		place--;
	return place;
}

static void retire(struct census *census, int descriptor)
{
	if (census->retired_count < sizeof(census->retired) / sizeof(census->retired[0]))
		census->retired[census->retired_count++] = descriptor;
}

/// Members of the group, one line each, from a file that may be longer than the buffer.
struct members {
	char text[4096];
	size_t used, at;
	off_t offset;
	int descriptor;
};

static int next_member(struct members *members)
{
	for (;;) {
		char *end = memchr(members->text + members->at, '\n', members->used - members->at);
		ssize_t count;

		if (end) {
			int pid = atoi(members->text + members->at);

			members->at = (size_t)(end - members->text) + 1;
			return pid;
		}
		memmove(members->text, members->text + members->at, members->used - members->at);
		members->used -= members->at;
		members->at = 0;
		count = pread(members->descriptor, members->text + members->used,
			      sizeof(members->text) - members->used, members->offset);
		if (count <= 0)
			return count < 0 ? -errno : 0;
		members->used += (size_t)count;
		members->offset += count;
	}
}

void census_take(struct census *census, const struct group *group, int proc,
		 const struct protection *protection)
{
	static struct members members; // by one thread only
	uint32_t from = atomic_load(&census->present), to = 1 - from, count = 0, all = 0, safe = 0;
	struct candidate *list = census->lists[to];
	uint64_t now = now_ns();
	int pid;

	// Somebody reads: the former list is what the next one would be written over.
	if (atomic_load(&census->borrowed))
		return;
	members = (struct members){.descriptor = group->procs};
	while (group->procs >= 0 && (pid = next_member(&members)) > 0) {
		struct process process;
		uint64_t pages;
		uint32_t place;

		if (++all > MOST_MEMBERS || read_process(proc, pid, &process))
			continue;
		if (process.state == 'Z' || process.state == 'X') {
			all--;
			continue;
		}
		if (is_protected(protection, proc, &process))
			continue;
		safe++;
		pages = own_pages_of(proc, pid);
		place = place_of(list, count, pages);
		if (place >= CANDIDATES)
			continue;
		if (count < CANDIDATES)
			count++;
		for (uint32_t i = count - 1; i > place; i--) {
			list[i].process = list[i - 1].process;
			list[i].own_pages = list[i - 1].own_pages;
		}
		list[place].process = process;
		list[place].own_pages = pages;
	}
	for (uint32_t i = 0; i < count;) {
		const struct candidate *before =
			known(census->lists[from], census->counts[from], &list[i].process);

		list[i].seen_boot_ns = now;
		if (open_candidate(&list[i], before, proc)) {
			i++;
			continue;
		}
		// Gone meanwhile.
		for (uint32_t j = i; j + 1 < count; j++) {
			list[j].process = list[j + 1].process;
			list[j].own_pages = list[j + 1].own_pages;
		}
		count--;
	}
	census->counts[to] = count;
	atomic_store(&census->present, to);
	for (uint32_t i = 0; i < census->counts[from]; i++) {
		const struct candidate *old = &census->lists[from][i];

		if (known(list, count, &old->process))
			continue;
		retire(census, old->pidfd);
		retire(census, old->statm);
	}
	atomic_store(&census->members, all);
	atomic_store(&census->protected_members, all - safe);
	atomic_store(&census->seen_boot_ns, now);
	// Whoever borrows from now on has the new list.
	if (atomic_load(&census->borrowed))
		return;
	while (census->retired_count > 0)
		close(census->retired[--census->retired_count]);
}

void census_borrow(struct census *census)
{
	atomic_fetch_add(&census->borrowed, 1);
}

void census_return(struct census *census)
{
	atomic_fetch_sub(&census->borrowed, 1);
}

struct candidate *census_largest(struct census *census, uint32_t mark)
{
	uint32_t present = atomic_load(&census->present);

	for (uint32_t i = 0; i < census->counts[present]; i++) {
		struct candidate *candidate = &census->lists[present][i];
		uint32_t expected = 0;

		if (candidate->own_pages > 0 &&
		    atomic_compare_exchange_strong(&candidate->taken, &expected, mark))
			return candidate;
	}
	return NULL;
}
