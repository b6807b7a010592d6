/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * The one page set that the BPF programs and the agent share while the agent
 * lives: settings that the agent writes before it attaches anything, totals
 * and working state that the programs keep. Mapped by the agent, so that
 * reading it needs no system call. Never recorded: what a recording holds is
 * in record.h.
 */
#ifndef RESERVEWATCH_SHARED_H
#define RESERVEWATCH_SHARED_H

#include "record.h"

#define RW_NODES 8 /* power of two */
#define RW_ZONES 8 /* per node; power of two, at least RW_ZONE_TYPES */
#define RW_NBD_DEVICES 16 /* power of two */
#define RW_BLOCK_FILTER 4096 /* power of two */
#define RW_SWAPS 16 /* swap devices; power of two */
#define RW_RECLAIM_TASKS 1024 /* tasks whose reclaim is added up at one time */
#define RW_RECLAIM_TASK_KEPT 600 /* reports that an idle one keeps its room: a minute */
#define RW_PAGE_TASKS 2048 /* tasks whose pages are added up at one time, when armed */
#define RW_STACKS 2048 /* distinct stacks; power of two */

#define RW_GUARD_TASKS 128 /* processes that are guarded at one time */
#define RW_GUARD_PATH_BYTES 128 /* of a cgroup that is excepted, with its NUL */

/* Windows of their own beside those of the stems. */
#define RW_WINDOWS 24
/* Below min there are thousands a second, and failures must show. */
#define RW_WINDOW_BELOW_MIN RW_STEM_SLOTS

struct rw_settings {
	rw_u64 slow_threshold_ns;
	rw_u64 sample_period_ns;
	rw_u64 end_swap_bio_write; /* kernel address from /proc/kallsyms; 0: swap is not observed */
	rw_u64 end_swap_bio_read;
	rw_u32 report_ticks; /* a zone record each so many samples */
	rw_u32 nbd_phases; /* 1: the nbd tracepoints are attached */
	rw_u32 walk_waiters; /* 1: send tasks seen on pfmemalloc_wait, for want of fentry */
	rw_u32 failed_per_window; /* RW_RESERVE_FAILED records per 100 ms, the others are suppressed */
	rw_u64 nbd_index_idr; /* kernel address of the module's table of devices; 0: not known */
	rw_u64 swap_info; /* kernel address of swap_info[]; 0: usage is not observed */
	rw_u32 slab_objects; /* 1: the object tracepoints are armed */
	rw_u32 drops_by_reason; /* 1: kfree_skb alone tells drops, for want of fexit */
	rw_u32 self_tgid; /* the watch; 0: not counted (yet, or any more) */
	rw_u32 self_tid; /* the thread of its loop */
	rw_u32 page_tasks; /* 1: the page allocator is added up by task */
	rw_u32 guard_processes; /* enum rw_guard_mode: signals, traces, freezes */
	rw_u32 guard_swapoff;
	rw_u32 guard_disconnect;
	rw_u32 guard_kill_hook; /* 1: security_task_kill() is hooked, and tells what kill(2) does */
	rw_u32 guard_trace_hook; /* 1: security_ptrace_access_check() is hooked */
	rw_u32 guard_agent; /* 1: the agent itself is guarded */
	rw_u32 nbd_family; /* generic netlink's number of the NBD driver; 0: not known */
};

enum rw_guard_mode {
	RW_GUARD_OFF = 0,
	RW_GUARD_OBSERVE = 1,
	RW_GUARD_ENFORCE = 2,
};

/* A line of /proc/swaps that lies on NBD, as the watch found it. */
struct rw_guard_swap {
	rw_u32 device; /* dev_t as the kernel has it; 0: free */
	rw_u32 reserved;
	char disk[RW_NAME_BYTES];
};

struct rw_zone_marks {
	rw_u64 lowest_free_pages;
	rw_u64 lowest_boot_ns;
	rw_u64 recent_lowest_free_pages;
};

struct rw_node_state {
	rw_u64 pgdat; /* pg_data_t *, found through kswapd's kthread; 0: no such node */
	rw_u64 kswapd; /* struct task_struct * */
	rw_u64 lowest_free_pages;
	rw_u64 lowest_boot_ns;
	rw_u64 kswapd_wakes;
	rw_u64 kswapd_sleeps;
	rw_u64 kswapd_requests;
	rw_u64 kswapd_woke_boot_ns; /* 0: asleep, or woke before we came */
	struct rw_zone_marks zones[RW_ZONES];
};

struct rw_swap_state {
	rw_u32 claimed; /* 1: slot taken */
	rw_u32 device; /* dev_t as the kernel has it */
	rw_u64 in_pages;
	rw_u64 out_pages;
	rw_u64 read_errors;
	rw_u64 write_errors;
	rw_u64 in_flight;
	rw_u64 reads_in_flight; /* of these */
	rw_u64 reads_since_boot_ns; /* since then none of them has ended */
	rw_u64 read_us[RW_LATENCY_BUCKETS];
	rw_u64 write_us[RW_LATENCY_BUCKETS];
};

struct rw_nbd_state {
	rw_u32 claimed_minor; /* first_minor + 1; 0: slot free */
	rw_u32 major;
	char disk[RW_NAME_BYTES];
	rw_u64 issued;
	rw_u64 requeued;
	rw_u64 completed;
	rw_u64 completed_unseen;
	rw_u64 errors;
	rw_u64 in_flight;
	rw_u64 sent;
	rw_u64 received;
	rw_u64 last_completion_boot_ns;
	rw_u64 read_bytes;
	rw_u64 written_bytes;
	rw_u64 oldest_boot_ns; /* working state of the timer's walk */
	rw_u64 unsent;
	rw_u64 worst_oldest_ns; /* as the timer saw it, since the agent's start */
	rw_u64 worst_boot_ns;
	rw_u64 most_in_flight;
	rw_u64 gendisk; /* struct gendisk * */
	rw_u64 segments_received; /* of its sockets, as they were gone through last */
	rw_u64 segments_sent;
	rw_u32 path_known;
	rw_u32 sockets;
	rw_u32 carrier; /* enum rw_carrier */
	rw_u32 is_local;
	char link[RW_NAME_BYTES];
	rw_u64 link_device; /* struct net_device * that the route led through last */
	rw_u32 link_index; /* its ifindex: tells when that memory is another's */
	rw_u32 carries_swap; /* by guard_swaps, as the timer saw them */
	rw_u32 setup_tid; /* nbd_device.pid, at the last search for the guarded */
	rw_u32 client_tgid; /* of that thread, if there is one; 0 */
	rw_u64 latency_us[RW_LATENCY_BUCKETS];
};

/* Maps that lose what finds no room; in the order of rw_shared.table_entries. */
enum rw_table_index {
	RW_TABLE_RESERVE_BLOCKS,
	RW_TABLE_RECLAIM_STAYS,
	RW_TABLE_THROTTLE_CALLS,
	RW_TABLE_NBD_REQUESTS,
	RW_TABLE_SWAP_BIOS,
	RW_TABLE_SLAB_CACHES,
	RW_TABLE_SOCKETS,
	RW_TABLE_RECLAIM_TASKS,
	RW_TABLE_PAGE_TASKS,
	RW_TABLES,
};

struct rw_shared {
	struct rw_settings settings;
	struct rw_counters counters;
	struct rw_wide_counters wide;
	rw_u64 serial; /* last serial given to a reserve block */
	rw_u64 socket_serial;
	rw_u64 self_task; /* struct task_struct * of the thread with settings.self_tid */
	rw_s64 self_stack; /* id of the stack in which it last took a page, plus 1; 0: it took none */
	rw_u64 cache_serial;
	/* By stem, and RW_WINDOW_*: number of the current 100 ms window, and how many records it has had. */
	rw_u64 window[RW_WINDOWS];
	rw_u64 in_window[RW_WINDOWS];
	rw_u64 reports; /* by the timer */
	rw_u64 task_budget; /* records of tasks that this report may still send */
	rw_u64 first_jiffies; /* with first_jiffies_ns: how long a jiffy is */
	rw_u64 first_jiffies_ns;
	rw_u64 jiffy_ns; /* 0: not measured yet */
	rw_u32 below_low; /* 1: at the last sample some zone was below low */
	rw_u32 sampling_below_low; /* working state of the sample under way */
	rw_u64 sampled_boot_ns; /* when the timer last ran */
	rw_u64 table_entries[RW_TABLES]; /* as count_tables found them */
	struct rw_node_state nodes[RW_NODES];
	struct rw_nbd_state nbd[RW_NBD_DEVICES];
	struct rw_swap_state swaps[RW_SWAPS];
	struct rw_guard_swap guard_swaps[RW_SWAPS];
	rw_u64 guard_generation; /* of the last search for the guarded */
	rw_u32 stack_told[RW_STACKS];
	/* How many outstanding reserve blocks hash here: most page frees look no further. */
	rw_u32 block_filter[RW_BLOCK_FILTER];
};

#endif
