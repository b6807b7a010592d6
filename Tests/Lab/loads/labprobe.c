// SPDX-License-Identifier: Apache-2.0
//
// The lab's own witness, independent of ReserveWatch: copies the kernel's
// counters to a serial line every half second, from locked memory, through
// descriptors that it opened at the start.
//
//   labprobe TTY DISK ANSWERS NAME...
//
// A sample is "@ <CLOCK_BOOTTIME ns> <worst own lateness, ms>", then lines
// "<file>: <text>" with what the lab compares, then "@.".
//
// The first SIGUSR1 asks for a snapshot called by the first NAME, the second by
// the second: "@@ NAME", for each file "@file PATH" and its whole text, "@end
// NAME". When the line has taken it, the name goes to the file ANSWERS. Nothing
// is forked and nothing is paged in for it, so the reading moves no counter.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static char text[64 * 1024];
static char frame[16 * 1024];

static const char *const names[] = {
	"nr_free_pages ",          "pswpin ",  "pswpout ", "allocstall_",
	"pgscan_direct_throttle ", "oom_kill "};

static long long boot_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

enum source { VMSTAT, ZONEINFO, NETSTAT, STAT, INFLIGHT, SOURCES };

static char paths[SOURCES][128] = {"/proc/vmstat", "/proc/zoneinfo", "/proc/net/netstat"};
static int files[SOURCES];

static int reread(enum source source)
{
	ssize_t count = files[source] < 0 ? -1 : pread(files[source], text, sizeof(text) - 1, 0);

	text[count > 0 ? count : 0] = 0;
	return count > 0;
}

/* To the next line of text, or to its end. */
static char *next(char *line)
{
	char *end = strchr(line, '\n');

	return end ? end + 1 : line + strlen(line);
}

static int add(int used, const char *source, const char *line, int length)
{
	return used +
	       snprintf(frame + used, sizeof(frame) - used, "%s: %.*s\n", source, length, line);
}

static int add_vmstat(int used)
{
	for (char *line = text; *line; line = next(line))
		for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (!strncmp(line, names[i], strlen(names[i])))
				used = add(used, "vmstat", line, (int)strcspn(line, "\n"));
	return used;
}

/* "zone: <node> <zone> <free pages>" for each zone with pages. */
static int add_zones(int used)
{
	char zone[32] = "";
	char brief[64];
	int node = 0;
	long free;

	for (char *line = text; *line; line = next(line)) {
		if (sscanf(line, "Node %d, zone %31s", &node, zone) == 2)
			continue;
		if (sscanf(line, " pages free %ld", &free) == 1 && free > 0) {
			snprintf(brief, sizeof(brief), "%d %s %ld", node, zone, free);
			used = add(used, "zone", brief, (int)strlen(brief));
		}
	}
	return used;
}

static int sample(int tty, long long now, long long worst)
{
	int used = snprintf(frame, sizeof(frame), "@ %lld %lld\n", now, worst / 1000000);

	if (reread(VMSTAT))
		used = add_vmstat(used);
	if (reread(ZONEINFO))
		used = add_zones(used);
	if (reread(STAT))
		used = add(used, "stat", text, (int)strcspn(text, "\n"));
	if (reread(INFLIGHT))
		used = add(used, "inflight", text, (int)strcspn(text, "\n"));
	used += snprintf(frame + used, sizeof(frame) - used, "@.\n");
	return write(tty, frame, (size_t)used) < 0;
}

static void put(int tty, const char *words, const char *name)
{
	dprintf(tty, "%s%s\n", words, name);
}

static void snapshot(int tty, int answers, const char *name)
{
	put(tty, "@@ ", name);
	for (int source = 0; source < SOURCES; source++) {
		if (!reread(source))
			continue;
		put(tty, "@file ", paths[source]);
		if (write(tty, text, strlen(text)) < 0)
			return;
	}
	put(tty, "@end ", name);
	tcdrain(tty);
	put(answers, "", name);
}

int main(int count, char **arguments)
{
	struct timespec half = {.tv_nsec = 500000000};
	long long last = boot_ns(), worst = 0;
	int tty, answers, adjust, named = 4;
	sigset_t asked;

	if (count < 4) {
		fprintf(stderr, "usage: labprobe TTY DISK ANSWERS NAME...\n");
		return 64;
	}
	sigemptyset(&asked);
	sigaddset(&asked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &asked, NULL);
	tty = open(arguments[1], O_WRONLY | O_NOCTTY);
	answers = open(arguments[3], O_WRONLY | O_CREAT | O_APPEND, 0644);
	snprintf(paths[STAT], sizeof(paths[STAT]), "/sys/block/%s/stat", arguments[2]);
	snprintf(paths[INFLIGHT], sizeof(paths[INFLIGHT]), "/sys/block/%s/inflight", arguments[2]);
	for (int source = 0; source < SOURCES; source++)
		files[source] = open(paths[source], O_RDONLY);
	adjust = open("/proc/self/oom_score_adj", O_WRONLY);
	if (tty < 0 || answers < 0 || files[VMSTAT] < 0 || write(adjust, "-1000", 5) != 5)
		return 74;
	memset(text, 1, sizeof(text));
	memset(frame, 1, sizeof(frame));
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		return 71;
	for (;;) {
		long long now = boot_ns();

		if (now - last - 500000000 > worst)
			worst = now - last - 500000000;
		last = now;
		if (sample(tty, now, worst))
			return 74;
		if (sigtimedwait(&asked, NULL, &half) == SIGUSR1 && named < count) {
			snapshot(tty, answers, arguments[named++]);
			last = boot_ns() - 500000000;
		}
	}
}
