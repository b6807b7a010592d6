// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../CLinux/include/clinux.h"

#define DIRECTIVES 64
#define RESULTS 128
// The keeper turns ten times a second, and does nothing else while nothing stands.
#define KEEPER_GONE_NS 1000000000ull
#define LONGEST_STEP_NS 150000000ull
#define ANSWER_WAIT_S 5

__attribute__((format(printf, 4, 5))) static int
blame(struct rw_hand_failure *failure, uint32_t rule, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(failure->what, sizeof(failure->what), format, arguments);
	va_end(arguments);
	failure->rule = rule;
	failure->error = error;
	return -1;
}

static int open_diag(void)
{
	struct timeval wait = {.tv_sec = ANSWER_WAIT_S};
	int diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (diag >= 0)
		setsockopt(diag, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	return diag < 0 ? -errno : diag;
}

static int open_places(struct rw_hand *hand, struct rw_hand_failure *failure)
{
	struct stat status;

	hand->proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (hand->proc < 0)
		return blame(failure, RW_HAND_RULES, errno, "open /proc");
	if (!stat("/proc/self/ns/net", &status))
		hand->netns = status.st_ino;
	hand->mount = -1;
	for (uint32_t i = 0; i < hand->settings.rule_count; i++) {
		const struct rw_hand_rule *rule = &hand->settings.rules[i];
		int error;

		group_init(&hand->groups[i]);
		if (!rule->place[0] || rule->mode == RW_ENFORCE_OFF)
			continue;
		if (hand->mount < 0) {
			error = find_mount(hand->journal->mount, sizeof(hand->journal->mount));
			if (error)
				return blame(failure, i, -error,
					     "find a mounted cgroup v2 hierarchy");
			hand->mount =
				open(hand->journal->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			if (hand->mount < 0)
				return blame(failure, i, errno, "open %s", hand->journal->mount);
		}
		group_bind(&hand->groups[i], hand->mount, rule->place);
	}
	hand->diag = open_diag();
	hand->diag_dump = open_diag();
	hand->nbd = rw_nbd_open();
	return 0;
}

/// The capabilities that the rules need once everything is open, and no other.
static struct needs find_needs(const struct rw_hand_settings *settings)
{
	struct needs needs = {0};

	for (uint32_t i = 0; i < settings->rule_count; i++) {
		const struct rw_hand_rule *rule = &settings->rules[i];
		bool is_rescue = rule->kills && rule->verb == RW_ENFORCE_FREEZE;
		bool finds_owners = rule->choice == RW_ENFORCE_SOCKET_OWNER || is_rescue;

		if (rule->mode == RW_ENFORCE_OFF)
			continue;
		// Which program a process of another user runs, and what it has open.
		needs.look |= 1ull << RW_CAP_SYS_PTRACE;
		if (finds_owners)
			needs.look |= 1ull << RW_CAP_DAC_READ_SEARCH;
		if (rule->mode != RW_ENFORCE_ENFORCE)
			continue;
		if (rule->kills || rule->verb == RW_ENFORCE_STOP) {
			needs.act |= 1ull << RW_CAP_KILL;
			if (finds_owners)
				needs.look |= 1ull << RW_CAP_KILL;
		}
		if (rule->verb == RW_ENFORCE_STOP)
			needs.keeper |= 1ull << RW_CAP_KILL;
		if (rule->ends_connections)
			needs.act |= 1ull << RW_CAP_NET_ADMIN | 1ull << RW_CAP_SYS_ADMIN;
	}
	return needs;
}

/// Who only tells makes no connection.
static bool keeps_spare(const struct rw_hand_rule *rule)
{
	return rule->keeps_spare && rule->mode == RW_ENFORCE_ENFORCE;
}

struct rw_hand *rw_hand_open(const char *path, const struct rw_hand_settings *settings,
			     struct rw_hand_failure *failure)
{
	struct rw_hand *hand;
	int error;

	memset(failure, 0, sizeof(*failure));
	hand = calloc(1, sizeof(*hand));
	if (!hand) {
		blame(failure, RW_HAND_RULES, ENOMEM, "take memory for the hands");
		return NULL;
	}
	hand->settings = *settings;
	hand->needs = find_needs(settings);
	for (uint32_t i = 0; i < settings->rule_count; i++)
		hand->keeps_spare = hand->keeps_spare || keeps_spare(&settings->rules[i]);
	spares_init(hand);
	hand->journal = journal_create(path, &hand->journal_descriptor, failure);
	if (!hand->journal) {
		free(hand);
		return NULL;
	}
	snprintf(hand->path, sizeof(hand->path), "%s", path);
	error = start_keeper(hand);
	if (error) {
		blame(failure, RW_HAND_RULES, -error, "start the keeper");
		goto out;
	}
	hand->protection.settings = &hand->settings;
	hand->protection.own_pid = getpid();
	hand->protection.keeper_pid = hand->keeper_pid;
	if (open_places(hand, failure))
		goto out;
	if (ring_open(&hand->to_act, DIRECTIVES, sizeof(struct rw_directive)) ||
	    ring_open(&hand->to_look, DIRECTIVES, sizeof(struct rw_directive)) ||
	    ring_open(&hand->to_reap, 32, sizeof(struct reaping)) ||
	    ring_open(&hand->to_spare, 4, sizeof(struct swap_places)) ||
	    ring_open(&hand->from_act, RESULTS, sizeof(struct rw_enforce)) ||
	    ring_open(&hand->from_look, RESULTS, sizeof(struct rw_enforce)) ||
	    ring_open(&hand->from_reap, RESULTS, sizeof(struct rw_enforce))) {
		blame(failure, RW_HAND_RULES, ENOMEM, "take memory for the hands");
		goto out;
	}
	return hand;
out:
	rw_hand_close(hand, 1000);
	return NULL;
}

// ---- the rehearsal ----

static bool has_capability(int number)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[2];

	return !syscall(SYS_capget, &header, sets) &&
	       (sets[number / 32].effective >> (number % 32) & 1);
}

/// Stops, lets go on, kills and reaps a child of our own.
static int try_signals(uint32_t rule, struct rw_hand_failure *failure)
{
	pid_t child = fork();
	int pidfd, status, error;

	if (child < 0)
		return blame(failure, rule, errno, "start a process to try signals on");
	if (child == 0)
		for (;;)
			pause();
	pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	error = pidfd < 0 ? -errno : 0;
	if (!error)
		error = send_signal(pidfd, SIGSTOP);
	if (!error && (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status)))
		error = -EIO;
	if (!error)
		error = send_signal(pidfd, SIGCONT);
	if (!error)
		error = send_signal(pidfd, SIGKILL);
	if (!error) {
		error = release_memory(pidfd);
		// It may have been faster.
		if (error == -ESRCH)
			error = 0;
		if (error)
			blame(failure, rule, -error, "process_mrelease(2)");
	} else {
		blame(failure, rule, -error, "send a signal by pidfd_send_signal(2)");
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	if (pidfd >= 0)
		close(pidfd);
	return error ? -1 : 0;
}

/// What the rule's own file of its cgroup says now, written back to it where that changes nothing.
static int try_group(struct rw_hand *hand, uint32_t index, struct rw_hand_failure *failure)
{
	const struct rw_hand_rule *rule = &hand->settings.rules[index];
	const struct group *group = &hand->groups[index];
	char text[32];
	int error;

	// Not there now: looked for again, and told.
	if (!rule->place[0] || atomic_load(&group->error))
		return 0;
	if (group->procs < 0)
		return blame(failure, index, ENOENT, "open cgroup.procs of %s", group->path);
	if (rule->verb == RW_ENFORCE_FREEZE) {
		error = group->freeze < 0 ? -ENOENT : read_small(group->freeze, text, sizeof(text));
		if (error > 0 && !strcmp(text, "0") && rule->mode == RW_ENFORCE_ENFORCE)
			error = write_small(group->freeze, "0");
		if (error < 0)
			return blame(failure, index, -error, "write cgroup.freeze of %s",
				     group->path);
	}
	if (rule->verb == RW_ENFORCE_MEMORY_HIGH &&
	    (group->high < 0 || group->current < 0 ||
	     read_small(group->high, text, sizeof(text)) < 0))
		return blame(failure, index, ENOENT,
			     "open memory.high of %s (is the memory controller on there?)",
			     group->path);
	if ((rule->verb == RW_ENFORCE_KILL_CGROUP || rule->ends_connections) && group->kill < 0)
		return blame(failure, index, ENOENT, "open cgroup.kill of %s", group->path);
	census_take(&hand->censuses[index], group, hand->proc, &hand->protection);
	return 0;
}

static int start(struct rw_hand *hand, void *(*body)(void *))
{
	pthread_t thread;
	int failed;

	atomic_fetch_add(&hand->running, 1);
	failed = rw_start_thread(&thread, body, hand);
	if (failed)
		atomic_fetch_sub(&hand->running, 1);
	else
		pthread_detach(thread);
	return failed;
}

int rw_hand_rehearse(struct rw_hand *hand, struct rw_hand_failure *failure)
{
	bool has_tried_signals = false, has_tried_ending = false;

	for (uint32_t i = 0; i < hand->settings.rule_count; i++) {
		const struct rw_hand_rule *rule = &hand->settings.rules[i];
		bool signals = rule->kills || rule->verb == RW_ENFORCE_STOP;

		if (rule->mode == RW_ENFORCE_OFF)
			continue;
		if (!has_capability(CAP_SYS_PTRACE))
			return blame(failure, i, EPERM,
				     "see which programs others run (CAP_SYS_PTRACE is missing)");
		if ((hand->needs.look >> CAP_DAC_READ_SEARCH & 1) &&
		    !has_capability(CAP_DAC_READ_SEARCH))
			return blame(failure, i, EPERM,
				     "see what others have open (CAP_DAC_READ_SEARCH is missing)");
		if (try_group(hand, i, failure))
			return -1;
		if (signals && rule->mode == RW_ENFORCE_ENFORCE && !has_capability(CAP_KILL))
			return blame(failure, i, EPERM,
				     "send signals to others (CAP_KILL is missing)");
		if (signals && !has_tried_signals && try_signals(i, failure))
			return -1;
		has_tried_signals = has_tried_signals || signals;
		if (rule->choice == RW_ENFORCE_SOCKET_OWNER || rule->kills) {
			struct owner owner;
			int error = hand->diag_dump < 0
					    ? hand->diag_dump
					    : find_socket_owner(hand->diag_dump, hand->proc,
								&hand->protection, &owner);

			// A rescue goes on without it.
			if (error && error != -ESRCH && rule->choice == RW_ENFORCE_SOCKET_OWNER)
				return blame(failure, i, -error,
					     "ask for TCP sockets by sock_diag(7) (is the module "
					     "tcp_diag loaded?)");
		}
		if (rule->ends_connections && rule->mode == RW_ENFORCE_ENFORCE &&
		    !has_tried_ending) {
			int error = hand->diag < 0 ? hand->diag : try_end_connection(hand->diag);

			if (error)
				return blame(failure, i, -error,
					     "end a connection by SOCK_DESTROY "
					     "(CONFIG_INET_DIAG_DESTROY, tcp_diag, CAP_NET_ADMIN)");
			if (hand->nbd < 0 || !has_capability(CAP_SYS_ADMIN))
				return blame(failure, i, hand->nbd < 0 ? -hand->nbd : EPERM,
					     "disconnect an NBD device (CAP_SYS_ADMIN, generic "
					     "netlink)");
			has_tried_ending = true;
		}
	}
	if (start(hand, act_thread) || start(hand, look_thread) || start(hand, reap_thread))
		return blame(failure, RW_HAND_RULES, EAGAIN, "start a thread");
	return 0;
}

// ---- what the loop calls ----

int rw_hand_beat(struct rw_hand *hand, uint64_t now, uint32_t state, const uint32_t *clients,
		 uint32_t client_count)
{
	uint64_t keeper = atomic_load(&hand->journal->keeper_boot_ns);
	uint64_t step = now - hand->last_beat_ns;

	hand->last_beat_ns = now;
	atomic_store(&hand->journal->beat_boot_ns, now);
	atomic_store(&hand->host_state, state);
	for (uint32_t i = 0; i < RW_HAND_CLIENTS; i++)
		atomic_store(&hand->protection.clients[i], i < client_count ? clients[i] : 0);
	if (keeper != hand->keeper_seen) {
		hand->keeper_seen = keeper;
		hand->keeper_stale_ns = 0;
		atomic_store(&hand->no_keeper, 0);
	} else {
		hand->keeper_stale_ns += step < LONGEST_STEP_NS ? step : LONGEST_STEP_NS;
		if (hand->keeper_stale_ns >= KEEPER_GONE_NS)
			atomic_store(&hand->no_keeper, 1);
	}
	return !atomic_load(&hand->no_keeper);
}

void rw_hand_swaps(struct rw_hand *hand, const struct rw_swap_place *places, uint32_t count)
{
	struct swap_places present = {.count = count < RW_HAND_SWAPS ? count : RW_HAND_SWAPS};

	// In trouble a connection that is gone is no reason to let go of what is to take its place.
	if (!hand->keeps_spare || atomic_load(&hand->host_state) >= STATE_RESERVE)
		return;
	memcpy(present.places, places, present.count * sizeof(*places));
	// What finds no room is told with the next turn.
	if (memcmp(&present, &hand->told_places, sizeof(present)) &&
	    ring_put(&hand->to_spare, &present))
		hand->told_places = present;
}

int rw_hand_spare_error(struct rw_hand *hand, uint32_t rule)
{
	uint32_t count = atomic_load(&hand->spare_count);

	if (!keeps_spare(&hand->settings.rules[rule]))
		return -1;
	// Two by two for one device; one of them will do.
	for (uint32_t i = 0; i < count; i += 2) {
		int error = atomic_load(&hand->spares[i].error);

		if (error && i + 1 < count)
			error = atomic_load(&hand->spares[i + 1].error);
		if (error)
			return error;
	}
	return count ? 0 : ENODEV;
}

int rw_hand_put(struct rw_hand *hand, const struct rw_directive *directive)
{
	bool is_look =
		directive->verb == RW_ENFORCE_MEMORY_HIGH ||
		((directive->verb == RW_ENFORCE_KILL || directive->verb == RW_ENFORCE_STOP) &&
		 directive->choice == RW_ENFORCE_SOCKET_OWNER);

	return ring_put(is_look ? &hand->to_look : &hand->to_act, directive) ? 0 : -ENOBUFS;
}

int rw_hand_take(struct rw_hand *hand, struct rw_enforce *act)
{
	struct journal *journal = hand->journal;
	uint32_t tail;

	if (ring_take(&hand->from_act, act) || ring_take(&hand->from_look, act) ||
	    ring_take(&hand->from_reap, act))
		return 1;
	tail = atomic_load(&journal->kept_tail);
	if (tail == atomic_load(&journal->kept_head))
		return 0;
	*act = journal->kept[tail % KEPT_RESULTS];
	atomic_store(&journal->kept_tail, tail + 1);
	return 1;
}

int rw_hand_target_error(struct rw_hand *hand, uint32_t rule)
{
	const struct rw_hand_rule *settings = &hand->settings.rules[rule];

	return settings->place[0] && settings->mode != RW_ENFORCE_OFF
		       ? (int)atomic_load(&hand->groups[rule].error)
		       : 0;
}

uint32_t rw_hand_protected_members(struct rw_hand *hand, uint32_t rule)
{
	return atomic_load(&hand->censuses[rule].protected_members);
}

uint64_t rw_hand_capabilities(const struct rw_hand *hand)
{
	return hand->needs.act | hand->needs.look | hand->needs.keeper;
}

int rw_hand_keeper(const struct rw_hand *hand)
{
	return hand->keeper_pid;
}

void rw_hand_close(struct rw_hand *hand, int milliseconds)
{
	int status, waited = 0;
	bool stands = false;

	if (!hand)
		return;
	atomic_store(&hand->journal->ending, 1);
	atomic_store(&hand->closing, 1);
	for (; waited < milliseconds && atomic_load(&hand->running) > 0; waited += 10)
		usleep(10000);
	for (int i = 0; i < JOURNAL_ENTRIES; i++)
		stands = stands || atomic_load(&hand->journal->entries[i].state) != ENTRY_FREE;
	// What stands is the keeper's: it sees the end, and takes it back.
	if (!stands)
		atomic_store(&hand->journal->ending, 2);
	if (hand->keeper_pid > 0) {
		for (; !stands && waited < milliseconds &&
		       waitpid(hand->keeper_pid, &status, WNOHANG) == 0;
		     waited += 10)
			usleep(10000);
	}
	if (!stands && hand->path[0])
		unlink(hand->path);
	// The rest goes with the process: a thread may still be in it.
}
