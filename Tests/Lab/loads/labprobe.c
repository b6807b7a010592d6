// SPDX-License-Identifier: Apache-2.0
//
// The lab's own witness, independent of ReserveWatch: copies the kernel's
// counters to a serial line every half second, from locked memory, through
// descriptors that it opened at the start.
//
//   labprobe [-n] [-d DISK | -p PART | -f FILE]... TTY ANSWERS NAME...
//
// DISK and PART are paths below /sys/block: their stat and inflight are copied,
// those of a DISK into each sample too. FILE is copied whole. With -n each sample has
// PFMemallocDrop: reading it makes the kernel allocate, which in a stall may take seconds
// (net/ipv4/proc.c:netstat_seq_show()), so that it is not asked for otherwise. A snapshot also has
// the TCP sockets, as sock_diag(7) tells them, below the name "sock_diag".
//
// A sample is "@ <CLOCK_BOOTTIME ns> <worst lateness, ms> <since the last sample, ms>", then lines
// "<source>: <text>" with what the lab compares, then "@.". A child looks each 50 ms whether a
// request of the disks completed, for which the kernel allocates nothing (for /proc/vmstat it
// does, and that may take seconds); "done: <CLOCK_BOOTTIME ns>" is when it last saw that. The
// lateness is the child's: what a process suffers that is locked and takes no memory.
//
// The first SIGUSR1 asks for a snapshot called by the first NAME, the second by
// the second: "@@ NAME", for each file "@file PATH" and its whole text, "@end
// NAME". When the line has taken it, the name goes to the file ANSWERS. Nothing
// is forked and nothing is paged in for it, so the reading moves no counter.
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { SAMPLE_NS = 500000000, TICK_NS = 50000000 };

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

enum kind { VMSTAT, ZONEINFO, NETSTAT, SWAPS, STAT, INFLIGHT, COPIED, SOCKETS };

static struct source {
	enum kind kind;
	int file;
	/* Of a disk that every sample has, its name; else empty. */
	char disk[32];
	char path[128];
} sources[48];
static int known;

/*
 * "tcp <local port> <peer port> <state> sent <bytes> received <bytes> out <segments> in
 * <segments> again <segments>" for each TCP socket over IPv4: what ss -tin prints.
 */
static size_t put_socket(size_t used, const struct inet_diag_msg *message, size_t length)
{
	const struct rtattr *attribute = (const void *)(message + 1);
	struct tcp_info info = {0};
	size_t left = length - NLMSG_LENGTH(sizeof(*message)), size;

	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
		if (attribute->rta_type != INET_DIAG_INFO)
			continue;
		size = RTA_PAYLOAD(attribute);
		memcpy(&info, RTA_DATA(attribute), size < sizeof(info) ? size : sizeof(info));
	}
	return used +
	       (size_t)snprintf(text + used, sizeof(text) - used,
				"tcp %d %d %d sent %llu received %llu out %u in %u again %u\n",
				ntohs(message->id.idiag_sport), ntohs(message->id.idiag_dport),
				message->idiag_state, (unsigned long long)info.tcpi_bytes_sent,
				(unsigned long long)info.tcpi_bytes_received, info.tcpi_segs_out,
				info.tcpi_segs_in, info.tcpi_total_retrans);
}

static int reread_sockets(int netlink)
{
	static char answer[16 * 1024];
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 request;
	} ask = {.header = {.nlmsg_len = sizeof(ask),
			    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		 .request = {.sdiag_family = AF_INET,
			     .sdiag_protocol = IPPROTO_TCP,
			     .idiag_ext = 1 << (INET_DIAG_INFO - 1),
			     .idiag_states = ~0u}};
	const struct nlmsghdr *header;
	size_t used = 0, left;
	ssize_t count;

	text[0] = 0;
	if (send(netlink, &ask, sizeof(ask), 0) < 0)
		return 0;
	for (;;) {
		count = recv(netlink, answer, sizeof(answer), 0);
		if (count <= 0)
			return used > 0;
		left = (size_t)count;
		for (header = (void *)answer; NLMSG_OK(header, left);
		     header = NLMSG_NEXT(header, left)) {
			if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY)
				return used > 0;
			if (used < sizeof(text) - 256)
				used = put_socket(used, NLMSG_DATA(header), header->nlmsg_len);
		}
	}
}

static int add_source(enum kind kind, const char *disk, const char *path)
{
	struct source *source = &sources[known];

	if (known == sizeof(sources) / sizeof(sources[0]))
		return 0;
	source->kind = kind;
	snprintf(source->disk, sizeof(source->disk), "%s", disk);
	snprintf(source->path, sizeof(source->path), "%s", path);
	source->file = kind == SOCKETS ? socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG)
				       : open(source->path, O_RDONLY);
	known++;
	return source->file >= 0;
}

static int add_disk(const char *name, int sampled)
{
	char path[128];
	int opened;

	snprintf(path, sizeof(path), "/sys/block/%s/stat", name);
	opened = add_source(STAT, sampled ? name : "", path);
	snprintf(path, sizeof(path), "/sys/block/%s/inflight", name);
	return add_source(INFLIGHT, sampled ? name : "", path) && opened;
}

/* The whole file: a read of /proc gives no more than one buffer of the kernel's. */
static int reread(const struct source *source)
{
	size_t used = 0;
	ssize_t count;

	if (source->kind == SOCKETS)
		return reread_sockets(source->file);
	do {
		count = pread(source->file, text + used, sizeof(text) - 1 - used, (off_t)used);
		used += count > 0 ? (size_t)count : 0;
	} while (count > 0 && used < sizeof(text) - 1);
	text[used] = 0;
	return used > 0;
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

/* "drop: <PFMemallocDrop>": its column in the line of names is that in the line of values. */
static int add_drops(int used)
{
	char *names = strstr(text, "TcpExt:");
	char *values = names ? strstr(next(names), "TcpExt:") : NULL;
	char *wanted = names ? strstr(names, " PFMemallocDrop") : NULL;

	if (!values || !wanted || wanted > values)
		return used;
	for (; names <= wanted; names++)
		if (*names == ' ' && (values = strchr(values, ' ')))
			values++;
	return values ? add(used, "drop", values, (int)strcspn(values, " \n")) : used;
}

/* "swap: <path> <used KiB>" for each line of /proc/swaps below its heading. */
static int add_swaps(int used)
{
	char path[64], brief[96];
	long size, taken;

	for (char *line = next(text); *line; line = next(line))
		if (sscanf(line, "%63s %*s %ld %ld", path, &size, &taken) == 3) {
			snprintf(brief, sizeof(brief), "%s %ld", path, taken);
			used = add(used, "swap", brief, (int)strlen(brief));
		}
	return used;
}

static int add_of_disk(int used, const struct source *source)
{
	char name[48];

	if (!source->disk[0])
		return used;
	snprintf(name, sizeof(name), "%s: %s", source->kind == STAT ? "stat" : "inflight",
		 source->disk);
	return add(used, name, text, (int)strcspn(text, "\n"));
}

static int add_sampled(int used, const struct source *source)
{
	switch (source->kind) {
	case VMSTAT:
		return add_vmstat(used);
	case ZONEINFO:
		return add_zones(used);
	case NETSTAT:
		return add_drops(used);
	case SWAPS:
		return add_swaps(used);
	case STAT:
	case INFLIGHT:
		return add_of_disk(used, source);
	case COPIED:
	case SOCKETS:
		break;
	}
	return used;
}

/* Looks whether a request completed: reads, writes, discards and flushes of a stat file. */
static long long look(long long last)
{
	static long long before;
	long long sum = 0, reads, writes, discards, flushes;

	for (const struct source *source = sources; source < sources + known; source++) {
		if (source->kind != STAT || !source->disk[0] || !reread(source))
			continue;
		reads = writes = discards = flushes = 0;
		sscanf(text, "%lld %*s %*s %*s %lld %*s %*s %*s %*s %*s %*s %lld %*s %*s %*s %lld",
		       &reads, &writes, &discards, &flushes);
		sum += reads + writes + discards + flushes;
	}
	if (sum == before)
		return last;
	before = sum;
	return boot_ns();
}

/*
 * What our child knows: CLOCK_BOOTTIME of the last completion seen, its own worst lateness, and
 * the worst since it was asked last.
 */
struct seen {
	long long done, worst, recent;
};

static volatile struct seen *watch_completions(void)
{
	volatile struct seen *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
					    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct timespec tick = {.tv_nsec = TICK_NS};
	pid_t parent = getpid();
	long long last;

	if (shared == MAP_FAILED)
		return NULL;
	switch (fork()) {
	case -1:
		return NULL;
	case 0:
		if (mlockall(MCL_CURRENT | MCL_FUTURE))
			_exit(71);
		for (last = boot_ns(); getppid() == parent; last = boot_ns()) {
			shared->done = look(shared->done);
			nanosleep(&tick, NULL);
			last = boot_ns() - last - TICK_NS;
			if (last > shared->worst)
				shared->worst = last;
			if (last > shared->recent)
				shared->recent = last;
		}
		_exit(0);
	default:
		return shared;
	}
}

static int sample(int tty, long long now, volatile struct seen *shared)
{
	long long recent = __atomic_exchange_n(&shared->recent, 0, __ATOMIC_RELAXED);
	int used = snprintf(frame, sizeof(frame), "@ %lld %lld %lld\ndone: %lld\n", now,
			    shared->worst / 1000000, recent / 1000000, shared->done);

	for (const struct source *source = sources; source < sources + known; source++)
		if (source->kind < COPIED && reread(source))
			used = add_sampled(used, source);
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
	for (const struct source *source = sources; source < sources + known; source++) {
		if (!reread(source))
			continue;
		put(tty, "@file ", source->path);
		if (write(tty, text, strlen(text)) < 0)
			return;
		if (text[strlen(text) - 1] != '\n')
			put(tty, "", "");
	}
	put(tty, "@end ", name);
	tcdrain(tty);
	put(answers, "", name);
}

static int parse(int count, char **arguments)
{
	enum kind netstat = COPIED;
	int option, opened;

	opened = add_source(VMSTAT, "", "/proc/vmstat");
	opened &= add_source(ZONEINFO, "", "/proc/zoneinfo");
	opened &= add_source(SWAPS, "", "/proc/swaps");
	opened &= add_source(SOCKETS, "", "sock_diag");
	while ((option = getopt(count, arguments, "nd:p:f:")) != -1) {
		if (option == 'n') {
			netstat = NETSTAT;
			continue;
		}
		if (option == 'f')
			opened &= add_source(COPIED, "", optarg);
		else if (option == 'd' || option == 'p')
			opened &= add_disk(optarg, option == 'd');
		else
			return 64;
	}
	opened &= add_source(netstat, "", "/proc/net/netstat");
	return opened ? 0 : 66;
}

int main(int count, char **arguments)
{
	struct timespec half = {.tv_nsec = SAMPLE_NS};
	volatile struct seen *shared;
	int tty, answers, adjust, named, failed;
	sigset_t asked;

	failed = parse(count, arguments);
	named = optind + 2;
	if (failed == 64 || count < named) {
		fprintf(stderr, "usage: labprobe [-n] [-d DISK | -p PART | -f FILE]... TTY ANSWERS "
				"NAME...\n");
		return 64;
	}
	for (const struct source *source = sources; source < sources + known; source++)
		if (source->file < 0)
			fprintf(stderr, "labprobe: cannot read %s\n", source->path);
	if (failed)
		return failed;
	sigemptyset(&asked);
	sigaddset(&asked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &asked, NULL);
	tty = open(arguments[optind], O_WRONLY | O_NOCTTY);
	answers = open(arguments[optind + 1], O_WRONLY | O_CREAT | O_APPEND, 0644);
	adjust = open("/proc/self/oom_score_adj", O_WRONLY);
	if (tty < 0 || answers < 0 || write(adjust, "-1000", 5) != 5)
		return 74;
	/* Before our memory is locked: what a fork leaves to be copied is copied then. */
	shared = watch_completions();
	if (!shared)
		return 71;
	memset(text, 1, sizeof(text));
	memset(frame, 1, sizeof(frame));
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		return 71;
	for (;;) {
		if (sample(tty, boot_ns(), shared))
			return 74;
		if (sigtimedwait(&asked, NULL, &half) == SIGUSR1 && named < count)
			snapshot(tty, answers, arguments[named++]);
	}
}
