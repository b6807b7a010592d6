// SPDX-License-Identifier: Apache-2.0
//
// Acts that are for good: kills, and the end of a connection.
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../CLinux/include/clinux.h"

#ifndef SYS_process_mrelease
#define SYS_process_mrelease 448
#endif

// Until the victim is on its way out: the signal was sent before.
#define MOST_TRIES 50

static void set_victim(struct rw_enforce *act, const struct process *process)
{
	act->victim.tid = (uint32_t)process->pid;
	act->victim.tgid = (uint32_t)process->pid;
	memcpy(act->victim.comm, process->comm, sizeof(act->victim.comm));
}

/// SIGKILL now; the rest is the reaper's.
static void kill_one(struct rw_hand *hand, struct ring *results,
		     const struct rw_directive *directive, struct rw_enforce *act, int pidfd,
		     int statm)
{
	struct reaping reaping = {.directive = *directive, .pidfd = -1, .statm = -1};
	char text[64], *end;
	int error;

	act->processes = 1;
	act->known |= RW_ENFORCE_PROCESSES;
	if (!directive->enforced) {
		answer(hand, results, directive, act);
		return;
	}
	reaping.resident_pages = UINT64_MAX;
	if (statm >= 0 && read_small(statm, text, sizeof(text)) > 0) {
		strtoull(text, &end, 10);
		reaping.resident_pages = strtoull(end, NULL, 10);
	}
	act->free_before_pages = free_pages();
	error = send_signal(pidfd, SIGKILL);
	if (error) {
		fail(act, error);
		answer(hand, results, directive, act);
		return;
	}
	reaping.act = *act;
	reaping.pidfd = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
	reaping.statm = statm < 0 ? -1 : fcntl(statm, F_DUPFD_CLOEXEC, 3);
	// Only one of the two threads kills at a time by one rule; both may by two. So each has its
	// turn at the ring.
	while (atomic_exchange(&hand->reaper_lock, 1))
		sched_yield();
	if (!ring_put(&hand->to_reap, &reaping)) {
		answer(hand, results, directive, act);
		close(reaping.pidfd);
		close(reaping.statm);
	}
	atomic_store(&hand->reaper_lock, 0);
}

int release_memory(int pidfd)
{
	int error = 0;

	for (int i = 0; i < MOST_TRIES; i++) {
		if (!syscall(SYS_process_mrelease, pidfd, 0))
			return 0;
		error = errno;
		// ESRCH: it has torn its memory down by itself.
		if (error != EAGAIN && error != EINVAL && error != EINTR)
			break;
		usleep(2000);
	}
	return -error;
}

void reap(struct rw_hand *hand, struct reaping *reaping)
{
	char text[64], *end;
	int error = -release_memory(reaping->pidfd);

	// It was killed all the same.
	if (error && error != ESRCH)
		reaping->act.error = error;
	if (reaping->resident_pages != UINT64_MAX) {
		int length = read_small(reaping->statm, text, sizeof(text));
		uint64_t left = 0;

		if (length >= 0) {
			strtoull(text, &end, 10);
			left = strtoull(end, NULL, 10);
		}
		// Gone, by now or before: nothing of it is left.
		if (length >= 0 || length == -ESRCH || error == ESRCH) {
			reaping->act.freed_pages =
				reaping->resident_pages > left ? reaping->resident_pages - left : 0;
			reaping->act.known |= RW_ENFORCE_FREED;
		}
	}
	reaping->act.free_after_pages = free_pages();
	reaping->act.known |= RW_ENFORCE_FREE;
	answer(hand, &hand->from_reap, &reaping->directive, &reaping->act);
	close(reaping->pidfd);
	if (reaping->statm >= 0)
		close(reaping->statm);
}

void hit_largest(struct rw_hand *hand, const struct rw_directive *directive, struct rw_enforce *act)
{
	struct census *census = &hand->censuses[directive->rule];
	struct candidate *candidate;

	census_borrow(census);
	candidate = census_largest(census, directive->enforced ? TAKEN : WOULD_BE_TAKEN);
	if (!candidate) {
		refuse(act, RW_ENFORCE_NOBODY);
		answer(hand, &hand->from_act, directive, act);
	} else {
		set_victim(act, &candidate->process);
		set_held(act, candidate->own_pages, candidate->seen_boot_ns);
		if (directive->verb == RW_ENFORCE_KILL) {
			kill_one(hand, &hand->from_act, directive, act, candidate->pidfd,
				 candidate->statm);
		} else {
			if (may_stand(hand, directive, act))
				stop(hand, directive, act, &candidate->process, candidate->pidfd);
			answer(hand, &hand->from_act, directive, act);
		}
	}
	census_return(census);
}

void hit_socket_owner(struct rw_hand *hand, const struct rw_directive *directive,
		      struct rw_enforce *act)
{
	struct process present;
	struct owner owner;
	char path[32];
	int error, pidfd, statm;

	error = find_socket_owner(hand->diag_dump, hand->proc, &hand->protection, &owner);
	if (error) {
		if (error == -ESRCH)
			refuse(act, RW_ENFORCE_NOBODY);
		else
			fail(act, error);
		answer(hand, &hand->from_look, directive, act);
		return;
	}
	set_victim(act, &owner.process);
	set_held(act, owner.unread_pages, now_ns());
	pidfd = (int)syscall(SYS_pidfd_open, owner.process.pid, 0);
	snprintf(path, sizeof(path), "%d/statm", owner.process.pid);
	statm = openat(hand->proc, path, O_RDONLY | O_CLOEXEC);
	// Looked at after the opening, it is still the one that was meant.
	if (pidfd < 0 || read_process(hand->proc, owner.process.pid, &present) ||
	    present.start_ticks != owner.process.start_ticks) {
		fail(act, -ESRCH);
		answer(hand, &hand->from_look, directive, act);
	} else if (directive->verb == RW_ENFORCE_KILL) {
		kill_one(hand, &hand->from_look, directive, act, pidfd, statm);
	} else {
		if (may_stand(hand, directive, act))
			stop(hand, directive, act, &owner.process, pidfd);
		answer(hand, &hand->from_look, directive, act);
	}
	if (pidfd >= 0)
		close(pidfd);
	if (statm >= 0)
		close(statm);
}

void kill_cgroup(struct rw_hand *hand, const struct rw_directive *directive, struct rw_enforce *act)
{
	int error;

	if (!may_stand(hand, directive, act))
		return;
	act->free_before_pages = free_pages();
	error = directive->enforced ? write_small(hand->groups[directive->rule].kill, "1") : 0;
	if (error) {
		fail(act, error);
		return;
	}
	act->free_after_pages = free_pages();
	if (directive->enforced)
		act->known |= RW_ENFORCE_FREE;
}

/// drivers/block/nbd.c:nbd_genl_disconnect(): requests that were sent on a connection which is no
/// more end with an error, where no timeout would end them.
void disconnect(struct rw_hand *hand, const struct rw_directive *directive, struct rw_enforce *act)
{
	uint32_t index;
	int error = nbd_index(directive->disk, &index);

	if (!error && directive->enforced)
		error = rw_nbd_disconnect(hand->nbd, index);
	if (error)
		fail(act, error);
}

void end_one_connection(struct rw_hand *hand, const struct rw_directive *directive,
			struct rw_enforce *act)
{
	int error;

	if (!directive->netns || directive->netns != hand->netns) {
		refuse(act, RW_ENFORCE_UNREACHABLE);
		return;
	}
	if (!directive->enforced)
		return;
	error = end_connection(hand->diag, directive);
	if (error)
		fail(act, error);
}
