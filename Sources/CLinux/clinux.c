// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <malloc.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

// The deepest stack that the loop is known to need, with room; locked memory
// must hold it before the first stall, not fault it in during one.
#define STACK_TOUCHED_BYTES (512 * 1024)
// So that what little is allocated later (a changed swap table) needs no new page.
#define HEAP_KEPT_BYTES (128 * 1024)

// mallopt(3): what free(3) gets is kept, and so much is there before it is asked for.
static void keep_memory(size_t bytes)
{
	void *room;

	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	mallopt(M_MMAP_MAX, 0);
	room = malloc(bytes);
	// A pair that nobody looks between is no allocation to the compiler: it drops both.
	__asm__ volatile("" : : "r"(room) : "memory");
	free(room);
}

static uint64_t read_clock(clockid_t clock)
{
	struct timespec now = {0};

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int rw_set_io_flusher(void)
{
	return prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) ? -errno : 0;
}

static __attribute__((noinline)) void touch_stack(void)
{
	volatile char room[STACK_TOUCHED_BYTES];

	for (unsigned i = 0; i < sizeof(room); i += 1024)
		room[i] = 0;
}

int rw_lock_memory(void)
{
	malloc_trim(0);
	keep_memory(HEAP_KEPT_BYTES);
	touch_stack();
	return mlockall(MCL_CURRENT | MCL_FUTURE) ? -errno : 0;
}

int rw_set_fifo_priority(int priority)
{
	struct sched_param parameters = {.sched_priority = priority};

	return sched_setscheduler(0, SCHED_FIFO, &parameters) ? -errno : 0;
}

int rw_open_signals(void)
{
	sigset_t signals;
	int descriptor;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGWINCH);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &signals, NULL))
		return -errno;
	descriptor = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return descriptor < 0 ? -errno : descriptor;
}

int rw_read_signal(int descriptor)
{
	struct signalfd_siginfo info;

	if (read(descriptor, &info, sizeof(info)) != sizeof(info))
		return 0;
	return (int)info.ssi_signo;
}

int rw_enter_network_namespace(int descriptor)
{
	return setns(descriptor, CLONE_NEWNET) ? -errno : 0;
}

uint64_t rw_boot_ns(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

int64_t rw_realtime_offset_ns(void)
{
	uint64_t narrowest = UINT64_MAX;
	int64_t offset = 0;

	for (int i = 0; i < 3; i++) {
		uint64_t before = read_clock(CLOCK_BOOTTIME);
		uint64_t real = read_clock(CLOCK_REALTIME);
		uint64_t after = read_clock(CLOCK_BOOTTIME);

		if (after - before >= narrowest)
			continue;
		narrowest = after - before;
		offset = (int64_t)(real - (before + narrowest / 2));
	}
	return offset;
}

uint32_t rw_device_major(uint64_t device)
{
	return major(device);
}

uint32_t rw_device_minor(uint64_t device)
{
	return minor(device);
}

int rw_terminal_size(int descriptor, int *columns, int *rows)
{
	struct winsize size;

	if (ioctl(descriptor, TIOCGWINSZ, &size))
		return -errno;
	*columns = size.ws_col;
	*rows = size.ws_row;
	return 0;
}

int rw_receive_ring(const char *link)
{
	struct ethtool_ringparam ring = {.cmd = ETHTOOL_GRINGPARAM};
	struct ifreq request = {0};
	int socket_descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int result;

	if (socket_descriptor < 0)
		return -errno;
	strncpy(request.ifr_name, link, sizeof(request.ifr_name) - 1);
	request.ifr_data = (void *)&ring;
	result = ioctl(socket_descriptor, SIOCETHTOOL, &request) ? -errno : (int)ring.rx_pending;
	close(socket_descriptor);
	return result;
}

#define TMPFS_MAGIC 0x01021994
#define RAMFS_MAGIC 0x858458f6
#define HUGETLBFS_MAGIC 0x958458f6

#define UNIX98_PTY_SLAVE_MAJOR 136
#define UNIX98_PTY_MAJORS 8

int rw_is_serial_terminal(int descriptor)
{
	struct stat status;
	unsigned int number;

	if (fstat(descriptor, &status) || !S_ISCHR(status.st_mode) || !isatty(descriptor))
		return 0;
	number = major(status.st_rdev);
	return number < UNIX98_PTY_SLAVE_MAJOR ||
	       number >= UNIX98_PTY_SLAVE_MAJOR + UNIX98_PTY_MAJORS;
}

int rw_end_with_parent(int parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0))
		return -errno;
	return getppid() == parent ? 0 : -ESRCH;
}

uint64_t rw_cpu_ns(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

int rw_own_faults(uint64_t *major, uint64_t *minor)
{
	struct rusage usage;

	if (getrusage(RUSAGE_THREAD, &usage))
		return -errno;
	*major = (uint64_t)usage.ru_majflt;
	*minor = (uint64_t)usage.ru_minflt;
	return 0;
}

int rw_is_in_memory(int descriptor)
{
	struct statfs status;

	if (fstatfs(descriptor, &status))
		return -errno;
	return status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC ||
	       status.f_type == HUGETLBFS_MAGIC;
}

int rw_lock_file(int descriptor)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(descriptor, F_OFD_SETLK, &lock) ? -errno : 0;
}

int rw_file_is_locked(int descriptor)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

	return !fcntl(descriptor, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;
}

int rw_memory_file(const char *name)
{
	int descriptor = memfd_create(name, 0);

	return descriptor < 0 ? -errno : descriptor;
}

int rw_make_raw(int descriptor)
{
	struct termios attributes;

	if (tcgetattr(descriptor, &attributes))
		return errno == ENOTTY ? 0 : -errno;
	attributes.c_oflag &= ~(tcflag_t)OPOST;
	return tcsetattr(descriptor, TCSANOW, &attributes) ? -errno : 0;
}
