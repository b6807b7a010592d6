// SPDX-License-Identifier: Apache-2.0
//
// The lab's own witness, independent of ReserveWatch: copies the kernel's
// counters to a serial line every half second, from locked memory, through
// descriptors that it opened at the start.
//
//   labprobe TTY DISK
//
// A frame is "@ <CLOCK_BOOTTIME ns> <worst own gap ms>" and then lines
// "<file>: <text>": vmstat lines that the lab compares, the disk's stat and inflight.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

static ssize_t reread(int file)
{
	ssize_t count = pread(file, text, sizeof(text) - 1, 0);

	text[count > 0 ? count : 0] = 0;
	return count;
}

static int add_vmstat(int used)
{
	char *line = text;

	while (*line) {
		char *end = strchr(line, '\n');

		if (!end)
			break;
		for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (!strncmp(line, names[i], strlen(names[i])))
				used += snprintf(frame + used, sizeof(frame) - used,
						 "vmstat: %.*s\n", (int)(end - line), line);
		line = end + 1;
	}
	return used;
}

int main(int count, char **arguments)
{
	struct timespec pause = {.tv_nsec = 500000000};
	char path[128];
	long long last = boot_ns(), worst = 0;
	int tty, vmstat, stat, inflight, adjust;

	if (count != 3)
		return 64;
	tty = open(arguments[1], O_WRONLY | O_NOCTTY);
	vmstat = open("/proc/vmstat", O_RDONLY);
	snprintf(path, sizeof(path), "/sys/block/%s/stat", arguments[2]);
	stat = open(path, O_RDONLY);
	snprintf(path, sizeof(path), "/sys/block/%s/inflight", arguments[2]);
	inflight = open(path, O_RDONLY);
	adjust = open("/proc/self/oom_score_adj", O_WRONLY);
	if (tty < 0 || vmstat < 0 || write(adjust, "-1000", 5) != 5)
		return 74;
	memset(text, 1, sizeof(text));
	memset(frame, 1, sizeof(frame));
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		return 71;
	for (;;) {
		long long now = boot_ns();
		int used;

		if (now - last - 500000000 > worst)
			worst = now - last - 500000000;
		last = now;
		used = snprintf(frame, sizeof(frame), "@ %lld %lld\n", now, worst / 1000000);
		if (reread(vmstat) > 0)
			used = add_vmstat(used);
		if (stat >= 0 && reread(stat) > 0)
			used += snprintf(frame + used, sizeof(frame) - used, "stat: %s", text);
		if (inflight >= 0 && reread(inflight) > 0)
			used += snprintf(frame + used, sizeof(frame) - used, "inflight: %s", text);
		if (write(tty, frame, (size_t)used) < 0)
			return 74;
		nanosleep(&pause, NULL);
	}
}
