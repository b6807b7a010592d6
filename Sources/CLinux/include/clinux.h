// SPDX-License-Identifier: Apache-2.0
//
// Linux calls that Swift's Glibc module does not show: variadic ones, and
// headers that it leaves out. Each is the call itself; 0 or a descriptor on
// success, a negative errno on failure.
#ifndef RESERVEWATCH_CLINUX_H
#define RESERVEWATCH_CLINUX_H

#include <stddef.h>
#include <stdint.h>

#include "capabilities.h"
#include "nbdnetlink.h"
#include "process.h"
#include "reader.h"
#include "service.h"
#include "thread.h"
#include "writer.h"

/// prctl(2) PR_SET_IO_FLUSHER: allocations of this process do not wait for I/O
/// that it may itself be serving. Needs CAP_SYS_RESOURCE.
int rw_set_io_flusher(void);

/// mlockall(2) of what is mapped now and later, after returning to the system
/// what the allocator holds free. Needs CAP_IPC_LOCK or a large RLIMIT_MEMLOCK.
int rw_lock_memory(void);

/// sched_setscheduler(2) SCHED_FIFO with priority 1 to 99. Needs CAP_SYS_NICE.
int rw_set_fifo_priority(int priority);

/// signalfd(2) for SIGINT, SIGTERM, SIGHUP and SIGWINCH, which are blocked first. A descriptor.
int rw_open_signals(void);

/// Reads one signal from such a descriptor: its number, 0 when none is pending.
int rw_read_signal(int descriptor);

/// setns(2): the calling thread enters the network namespace behind a descriptor.
/// Needs CAP_SYS_ADMIN.
int rw_enter_network_namespace(int descriptor);

/// CLOCK_BOOTTIME in nanoseconds.
uint64_t rw_boot_ns(void);

/// CLOCK_REALTIME minus CLOCK_BOOTTIME in nanoseconds, the best of three readings.
int64_t rw_realtime_offset_ns(void);

/// Major and minor number of a st_dev, as in /sys/dev/block/MAJOR:MINOR.
uint32_t rw_device_major(uint64_t device);
uint32_t rw_device_minor(uint64_t device);

/// A terminal's columns and rows, from TIOCGWINSZ. -ENOTTY when it is none.
int rw_terminal_size(int descriptor, int *_Nonnull columns, int *_Nonnull rows);

/// A unix socket and its other end, by inode.
struct rw_unix_pair {
	uint32_t inode;
	uint32_t peer;
};

/// sock_diag(7): connected unix sockets of this network namespace, into `pairs`. How many;
/// `capacity` of them means that there may be more. -ENOENT without the unix_diag module.
int rw_unix_peers(struct rw_unix_pair *_Nonnull pairs, uint32_t capacity);

/// sock_diag(7): sk_rcvbuf of each established TCP socket of this network namespace, into
/// `bytes`. How many; `capacity` of them means that there may be more. -ENOENT without tcp_diag.
int rw_tcp_receive_buffers(uint32_t *_Nonnull bytes, uint32_t capacity);

/// 1 when the descriptor is a serial line or a console: a terminal that takes bytes into a
/// buffer of its own. 0: anything else, pseudo terminals too.
int rw_is_serial_terminal(int descriptor);

/// prctl(2) PR_SET_PDEATHSIG: SIGTERM when the parent dies. -ESRCH: it is gone already.
int rw_end_with_parent(int parent);

/// Nanoseconds of processor time that this process has used.
uint64_t rw_cpu_ns(void);

/// getrusage(2): page faults of the calling thread until now, as its task_struct counts them
/// (maj_flt, min_flt). -errno.
int rw_own_faults(uint64_t *_Nonnull major, uint64_t *_Nonnull minor);

/// ethtool(8) -g: how many packets a network card has room for before it must be given new
/// memory. -EOPNOTSUPP: its driver does not tell. Takes the kernel's rtnl lock.
int rw_receive_ring(const char *_Nonnull link);

/// 1 when what is written to the descriptor's file stays in memory (tmpfs, ramfs, hugetlbfs).
int rw_is_in_memory(int descriptor);

/// Takes the write lock of an open file; it goes with the descriptor. -EAGAIN: another has it.
int rw_lock_file(int descriptor);

/// 1 when somebody holds that lock.
int rw_file_is_locked(int descriptor);

/// memfd_create(2), to be inherited by a child: not closed on exec. A descriptor.
int rw_memory_file(const char *_Nonnull name);

/// Puts a terminal in raw mode for output only, so that nothing is translated. Not a terminal: 0.
int rw_make_raw(int descriptor);

/// Takes a terminal over: raw input, and `enter` written to it. Until rw_terminal_leave(),
/// every way in which the process may end, SIGKILL excepted, writes `leave` to it and gives it
/// its former attributes; so does a stop, and a continuation takes it over again. Both texts
/// must outlive the process.
int rw_terminal_enter(int descriptor, const char *_Nonnull enter, const char *_Nonnull leave);

/// Gives the terminal back. Does nothing when it was not taken.
void rw_terminal_leave(void);

/// How often the process was continued after a stop, since the terminal was taken.
unsigned rw_terminal_continued(void);

/// A terminal opened anew, not blocking, so that nothing of what the shell has open changes.
/// Falls back to the descriptor itself, duplicated.
int rw_terminal_reopen(int descriptor);

#endif
