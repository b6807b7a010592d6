// SPDX-License-Identifier: Apache-2.0
//
// The hands without the watch: a loop that beats, does what its standard input says, and tells
// what came of it. For tests, which end it in every way there is.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../Sources/CHand/internal.h"
#include "export.h"

static const struct {
	const char *word;
	uint8_t verb;
	uint8_t choice;
	uint8_t kills;
} verbs[] = {
	{"freeze", RW_ENFORCE_FREEZE, RW_ENFORCE_NAMED, 0},
	{"thaw", RW_ENFORCE_THAW, RW_ENFORCE_NAMED, 0},
	{"memory-high", RW_ENFORCE_MEMORY_HIGH, RW_ENFORCE_NAMED, 0},
	{"memory-high-back", RW_ENFORCE_MEMORY_HIGH_BACK, RW_ENFORCE_NAMED, 0},
	{"stop", RW_ENFORCE_STOP, RW_ENFORCE_LARGEST, 0},
	{"resume", RW_ENFORCE_RESUME, RW_ENFORCE_NAMED, 0},
	{"kill", RW_ENFORCE_KILL, RW_ENFORCE_LARGEST, 1},
	{"kill-owner", RW_ENFORCE_KILL, RW_ENFORCE_SOCKET_OWNER, 1},
	{"kill-cgroup", RW_ENFORCE_KILL_CGROUP, RW_ENFORCE_NAMED, 0},
};
#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static void tell(const struct rw_enforce *act)
{
	printf("act verb=%u outcome=%u reason=%u serial=%u error=%d victim=%u choice=%u target=%s "
	       "processes=%u held=%llu freed=%llu known=%llu took_ms=%llu\n",
	       act->verb, act->outcome, act->reason, act->serial, act->error, act->victim.tid,
	       act->choice, act->target, act->processes, (unsigned long long)act->held_pages,
	       (unsigned long long)act->freed_pages, (unsigned long long)act->known,
	       (unsigned long long)act->took_ns / 1000000);
	fflush(stdout);
}

/// Attaches to a process as a debugger does, which stops it, until standard input ends.
static int trace(int pid)
{
	char byte;

	if (ptrace(PTRACE_SEIZE, pid, 0, 0) || ptrace(PTRACE_INTERRUPT, pid, 0, 0))
		return 1;
	waitpid(pid, NULL, __WALL);
	puts("traced");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	ptrace(PTRACE_DETACH, pid, 0, 0);
	return 0;
}

/// As clearing the swap's device does, with any file.
static void calm(struct rw_hand *hand, const char *line)
{
	struct rw_directive directive = {.serial = 9, .verb = RW_ENFORCE_CLEAR, .enforced = 1};
	char path[128], value[24];
	struct queue_file file;

	if (sscanf(line, "%*s %127s %23s", path, value) != 2)
		return;
	file.descriptor = open(path, O_RDWR | O_CLOEXEC);
	read_setting(file.descriptor, file.present, sizeof(file.present));
	calm_queue_file(hand, &directive, &file, path, value);
	close(file.descriptor);
}

static int clear(const char *journal)
{
	struct rw_enforce taken[64];
	int count = rw_hand_clear(journal, taken, 64);

	printf("cleared %d\n", count);
	for (int i = 0; i < count; i++)
		tell(&taken[i]);
	return count < 0;
}

static bool obey(struct rw_hand *hand, char *line, bool *beats)
{
	char word[32];
	unsigned serial = 0, deadline_ms = 0, enforced = 1;
	struct rw_directive directive = {.reason = RW_ENFORCE_BY_RULE, .boot_ns = now_ns()};

	sscanf(line, "%31s %u %u %u", word, &serial, &deadline_ms, &enforced);
	if (!strcmp(word, "quit"))
		return false;
	if (!strcmp(word, "crash"))
		raise(SIGSEGV);
	if (!strcmp(word, "silence"))
		*beats = false;
	if (!strcmp(word, "calm"))
		calm(hand, line);
	for (unsigned i = 0; i < VERBS; i++) {
		if (strcmp(word, verbs[i].word))
			continue;
		directive.serial = serial;
		directive.verb = verbs[i].verb;
		directive.choice = verbs[i].choice;
		directive.enforced = (uint8_t)enforced;
		directive.deadline_boot_ns = directive.boot_ns + deadline_ms * 1000000ull;
		rw_hand_put(hand, &directive);
	}
	return true;
}

static void work(struct rw_hand *hand)
{
	bool beats = true, goes_on = true;
	static const uint32_t nobody;
	int lived = 1;

	while (goes_on) {
		struct pollfd entry = {.fd = STDIN_FILENO, .events = POLLIN};
		struct rw_enforce act;
		char line[256];

		if (beats) {
			int lives = rw_hand_beat(hand, now_ns(), 5, &nobody, 0);

			if (lives != lived)
				puts(lives ? "keeper lives" : "keeper gone");
			fflush(stdout);
			lived = lives;
		}
		if (poll(&entry, 1, 50) > 0)
			goes_on = fgets(line, sizeof(line), stdin) && obey(hand, line, &beats);
		while (rw_hand_take(hand, &act))
			tell(&act);
	}
}

int main(int count, char **words)
{
	static struct rw_hand_settings settings;
	struct rw_hand_failure failure;
	struct rw_hand *hand;
	struct rw_enforce act;
	sigset_t none;

	if (count == 3 && !strcmp(words[1], "trace"))
		return trace(atoi(words[2]));
	if (count == 3 && !strcmp(words[1], "clear"))
		return clear(words[2]);
	if (count == 5 && !strcmp(words[1], "export"))
		return try_export(words[2], words[3], words[4]);
	if (count < 4)
		return 64;
	// What we did not ask for is somebody's lock, or keeps somebody's pipe open.
	syscall(SYS_close_range, 3, ~0u, 0);
	// Whoever started us may have blocked what is to end us; and the Swift runtime, where it is
	// linked, handles it: then the first of them, sent and not incurred, ends nothing.
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGABRT, SIG_DFL);
	// poll(2) must see each line.
	setvbuf(stdin, NULL, _IONBF, 0);
	// JOURNAL RULE PLACE PROTECTED...
	settings.rule_count = 1;
	snprintf(settings.rules[0].name, sizeof(settings.rules[0].name), "trial");
	snprintf(settings.rules[0].place, sizeof(settings.rules[0].place), "%s", words[3]);
	settings.rules[0].mode = RW_ENFORCE_ENFORCE;
	settings.rules[0].memory_high_percent = 100;
	for (unsigned i = 0; i < VERBS; i++) {
		if (strcmp(words[2], verbs[i].word))
			continue;
		settings.rules[0].verb = verbs[i].verb;
		settings.rules[0].choice = verbs[i].choice;
		settings.rules[0].kills = verbs[i].kills;
	}
	if (!strcmp(words[2], "end-connection")) {
		settings.rules[0].verb = RW_ENFORCE_FREEZE;
		settings.rules[0].ends_connections = 1;
	}
	for (int i = 4; i < count && settings.protected_count < RW_HAND_PROTECTED; i++)
		snprintf(settings.protected_names[settings.protected_count++], RW_HAND_NAME_BYTES,
			 "%s", words[i]);
	hand = rw_hand_open(words[1], &settings, &failure);
	if (!hand || rw_hand_rehearse(hand, &failure)) {
		printf("refused rule=%u error=%d %s\n", failure.rule, failure.error, failure.what);
		return 69;
	}
	printf("ready keeper=%d target_error=%d protected=%u\n", rw_hand_keeper(hand),
	       rw_hand_target_error(hand, 0), rw_hand_protected_members(hand, 0));
	fflush(stdout);
	work(hand);
	rw_hand_close(hand, 2000);
	while (rw_hand_take(hand, &act))
		tell(&act);
	puts("closed");
	return 0;
}
