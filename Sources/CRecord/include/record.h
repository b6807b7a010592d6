/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * The wire contract: what the BPF programs write, what the agent reads, what
 * a recording holds. The single source of truth for all three; nothing
 * mirrors it. Swift imports this very file, the BPF programs include it.
 *
 * Every record starts with struct rw_header. Sizes are multiples of eight,
 * padding is spelled out, and each struct's size is pinned below. A reader
 * skips a stem or kind that it does not know by its size, and a record may
 * only ever grow at its end.
 *
 * Words: a stem is one signal (design: one stem, one file per layer); a kind
 * is what happened to it. Times are CLOCK_BOOTTIME in nanoseconds. Quantities
 * carry their unit in the name.
 */
#ifndef RESERVEWATCH_RECORD_H
#define RESERVEWATCH_RECORD_H

#ifdef __bpf__
typedef unsigned char rw_u8;
typedef unsigned short rw_u16;
typedef unsigned int rw_u32;
typedef unsigned long long rw_u64;
typedef signed int rw_s32;
typedef signed long long rw_s64;
#else
#include <stdint.h>
typedef uint8_t rw_u8;
typedef uint16_t rw_u16;
typedef uint32_t rw_u32;
typedef uint64_t rw_u64;
typedef int32_t rw_s32;
typedef int64_t rw_s64;
#endif

/* Raised when a record changes its meaning; growth at the end does not. */
#define RW_WIRE_VERSION 2

#define RW_NAME_BYTES 16 /* comm, zone name, disk name: NUL padded, maybe not terminated */
#define RW_PATH_BYTES 128 /* NUL padded, truncated at the front of what does not fit */
#define RW_LATENCY_BUCKETS                                                                         \
	24 /* bucket i counts durations in [2^i, 2^(i+1)) us; 0 has < 2, last the rest */
#define RW_ZONE_TYPES 6 /* longest zonelist that lowmem_reserve[] can have */
#define RW_STEM_SLOTS 16

enum rw_stem {
	RW_STEM_NONE = 0,
	RW_STEM_RESERVE = 1,
	RW_STEM_WATERMARK = 2,
	RW_STEM_DIRECT_RECLAIM = 3,
	RW_STEM_THROTTLE = 4,
	RW_STEM_NBD = 5,
	RW_STEM_SWAP = 6,
	RW_STEM_OOM = 7,
	RW_STEM_KSWAPD = 8,
	RW_STEM_RECLAIM_WAIT = 9,
	RW_STEM_SLAB = 10,
	RW_STEM_SOCKET = 11,
	RW_STEM_CGROUP = 12, /* names for cgroup ids, sent before their first use */
	RW_STEM_AGENT = 13, /* the agent's own: host facts, hooks, counters */
	RW_STEM_GUARD = 14,
	RW_STEM_ENFORCE = 15, /* what the agent did to the host by its rules */
};

struct rw_header {
	rw_u16 stem; /* enum rw_stem */
	rw_u16 kind; /* enum rw_<stem>_kind */
	rw_u32 size; /* bytes of the whole record, a multiple of 8 */
	rw_u64 boot_ns; /* when it happened */
	rw_u32 cpu;
	rw_u32 reserved;
};

/* Who acted: the current task at the hook, which in interrupt context is only whom it interrupted. */
struct rw_task {
	rw_u32 tid;
	rw_u32 tgid;
	rw_u64 cgroup_id; /* cgroup v2 id; 0 unknown */
	char comm[RW_NAME_BYTES];
};

/* ---- reserve: allocations that ignored the watermarks, and allocations that failed ---- */

enum rw_reserve_kind {
	RW_RESERVE_TAKEN = 1, /* a page marked pfmemalloc by mm/page_alloc.c:prep_new_page() */
	RW_RESERVE_RETURNED = 2, /* such a page was freed */
	RW_RESERVE_FAILED = 3, /* an allocation got no page */
	RW_RESERVE_BELOW_MIN = 4, /* a page of a zone below min, without ALLOC_NO_WATERMARKS */
	RW_RESERVE_PAGES = 5, /* struct rw_page_task, of each task that changed: armed */
};

enum rw_context {
	RW_CONTEXT_UNKNOWN = 0, /* this kernel does not let us read preempt_count */
	RW_CONTEXT_PROCESS = 1,
	RW_CONTEXT_SOFTIRQ = 2,
	RW_CONTEXT_HARDIRQ = 3,
	RW_CONTEXT_NMI = 4,
	RW_CONTEXT_KSWAPD = 5, /* process context of kswapd */
};

enum rw_entitlement { /* bits: why the watermarks were ignored, gfp_pfmemalloc_allowed() */
		      RW_ENTITLED_GFP_MEMALLOC = 1,
		      RW_ENTITLED_PF_MEMALLOC = 2,
		      RW_ENTITLED_OOM_VICTIM = 4,
};

/* Why an allocation may go below min and yet keeps a mark: gfp_to_alloc_flags(), first that applies. */
enum rw_allowance {
	RW_ALLOWED_NONE = 0, /* passed the mark, and others took the zone under meanwhile */
	RW_ALLOWED_HIGH = 1, /* __GFP_HIGH, may block: ALLOC_MIN_RESERVE (6.1: ALLOC_HIGH) */
	RW_ALLOWED_ATOMIC =
		2, /* __GFP_HIGH, may not block: with ALLOC_NON_BLOCK (6.1: ALLOC_HARDER) */
	RW_ALLOWED_NON_BLOCK = 3, /* may not block, without __GFP_HIGH */
	RW_ALLOWED_REAL_TIME = 4, /* a real-time task in process context */
	RW_ALLOWED_KINDS = 8,
};

struct rw_reserve {
	struct rw_header header;
	struct rw_task task; /* TAKEN, FAILED: who asked. RETURNED: who freed. */
	rw_u64 serial; /* TAKEN and RETURNED of one page block carry the same; 0: not tracked */
	rw_u64 held_ns; /* RETURNED: since TAKEN */
	rw_u32 gfp_flags; /* as this kernel numbers them */
	rw_u8 order; /* 2^order pages */
	rw_u8 context; /* enum rw_context */
	rw_u8 entitlement; /* bits of enum rw_entitlement */
	rw_u8 allowance; /* BELOW_MIN: enum rw_allowance */
	rw_s32 stack; /* id of a struct rw_stack; negative: not taken. Wire 1 ended before it. */
	rw_u32 reserved;
};

/* What one task did at the page allocator, since its first event. */
struct rw_page_figures {
	rw_u64 allocations; /* mm_page_alloc, failed ones too */
	rw_u64 allocated_pages;
	rw_u64 frees; /* mm_page_free */
	rw_u64 freed_pages;
	rw_u64 batched_frees; /* mm_page_free_batched, pages */
	rw_u64 zone_locked; /* mm_page_alloc_zone_locked */
	rw_u64 refills; /* runs of these */
	rw_u64 pcpu_drained; /* mm_page_pcpu_drain */
	rw_u64 drains; /* runs of these */
	rw_u64 fallbacks; /* mm_page_alloc_extfrag */
	rw_u64 severe_fallbacks; /* of these, from a block of order 3 or less */
};

struct rw_page_task {
	struct rw_header header;
	struct rw_task task;
	rw_u64 first_boot_ns; /* as in struct rw_reclaim_task */
	struct rw_page_figures figures;
};

/* ---- watermark: zones and nodes, sampled by a timer in the kernel ---- */

enum rw_watermark_kind {
	RW_WATERMARK_ZONE = 1, /* struct rw_zone */
	RW_WATERMARK_NODE = 2, /* struct rw_node */
};

struct rw_zone {
	struct rw_header header;
	rw_u32 node;
	rw_u32 index; /* enum zone_type of this kernel */
	char name[RW_NAME_BYTES];
	rw_u64 free_pages; /* zone->vm_stat[NR_FREE_PAGES], as /proc/zoneinfo "pages free" */
	rw_u64 lowest_free_pages; /* lowest of all timer samples since the agent's start */
	rw_u64 lowest_boot_ns;
	rw_u64 recent_lowest_free_pages; /* lowest since the former record of this zone */
	rw_u64 min_pages; /* with boost, as min_wmark_pages() and /proc/zoneinfo */
	rw_u64 low_pages; /* with boost */
	rw_u64 high_pages; /* with boost */
	rw_u64 boost_pages; /* zone->watermark_boost */
	rw_u64 managed_pages;
	rw_u64 present_pages;
	rw_u64 spanned_pages;
	rw_u64 high_atomic_pages; /* zone->nr_reserved_highatomic */
	rw_u64 protection_pages[RW_ZONE_TYPES]; /* zone->lowmem_reserve[] */
	rw_u32 protection_count;
	rw_u32 reserved;
};

struct rw_node {
	struct rw_header header;
	rw_u32 node;
	rw_u8 direct_reclaim_allowed; /* what allow_direct_reclaim() would return now: 0, 1 */
	rw_u8 kswapd_state; /* low byte of task->__state: 0 running, 1 sleeping, 2 uninterruptible */
	rw_u8 waiters_known; /* 1: throttle_waiters is right; 0: the list was longer than the walk */
	rw_u8 zones_in_reserve;
	rw_u64 pfmemalloc_reserve_pages; /* sum of min_wmark_pages() of the zones that count */
	rw_u64 throttle_line_pages; /* reclaimers are throttled while free <= this: reserve / 2 */
	rw_u64 free_pages; /* of the same zones */
	rw_u64 lowest_free_pages; /* since the agent's start */
	rw_u64 lowest_boot_ns;
	rw_u64 kswapd_failures;
	rw_u64 throttle_waiters; /* tasks on pgdat->pfmemalloc_wait */
	rw_u32 kswapd_tid;
	rw_u32 kswapd_order;
	/* Wire 1 ended here. */
	rw_u64 kswapd_wakes; /* balance_pgdat() begun, since the agent's start */
	rw_u64 kswapd_sleeps;
	rw_u64 kswapd_requests; /* wakeup_kswapd() that meant to wake it */
};

/* ---- direct_reclaim: try_to_free_pages() ---- */

enum rw_direct_reclaim_kind {
	RW_DIRECT_RECLAIM_INSIDE = 1, /* still inside after the slow threshold; sent once a stay */
	RW_DIRECT_RECLAIM_LEFT =
		2, /* a stay that was sent as INSIDE, or lasted the threshold, ended */
	RW_DIRECT_RECLAIM_TASK = 3, /* struct rw_reclaim_task, of each task that changed */
};

struct rw_direct_reclaim {
	struct rw_header header;
	struct rw_task task;
	rw_u64 began_boot_ns;
	rw_u64 duration_ns; /* until now (INSIDE) or in all (LEFT) */
	rw_u64 reclaimed_pages; /* LEFT */
	rw_u32 gfp_flags;
	rw_u32 order;
	/* Wire 2 ended here. */
	rw_s32 stack; /* of the way in, for kernel threads; negative: not taken */
	rw_u32 is_kernel_thread;
};

#define RW_RECLAIM_ORDERS 12 /* the last counts all from 11 on */

/* What one task did in reclaim, since its first event. */
struct rw_reclaim_figures {
	rw_u64 direct_reclaims; /* begun */
	rw_u64 direct_reclaim_ns; /* of those that ended */
	rw_u64 longest_ns;
	rw_u64 direct_reclaimed_pages; /* as try_to_free_pages() returned */
	rw_u64 kswapd_requests; /* wakeup_kswapd() by it */
	rw_u64 kswapd_wakes; /* kswapd only: woken from sleep */
	rw_u64 kswapd_rewakes; /* ... begun anew without sleep between */
	rw_u64 kswapd_awake_ns;
	rw_u64 kswapd_longest_ns;
	rw_u64 scanned_anon_pages; /* mm_vmscan_lru_isolate, lists of active pages too */
	rw_u64 scanned_file_pages;
	rw_u64 reclaimed_anon_pages; /* mm_vmscan_lru_shrink_inactive */
	rw_u64 reclaimed_file_pages;
	rw_u64 written_anon_pages; /* mm_vmscan_write_folio: calls, a large folio counts once */
	rw_u64 written_file_pages;
	rw_u32 begun_by_order[RW_RECLAIM_ORDERS];
	rw_u32 requests_by_order[RW_RECLAIM_ORDERS];
	rw_u32 wakes_by_order[RW_RECLAIM_ORDERS];
	rw_u32 rewakes_by_order[RW_RECLAIM_ORDERS];
};

struct rw_reclaim_task {
	struct rw_header header;
	struct rw_task task;
	rw_u64 first_boot_ns; /* tells two lives of one thread apart: figures begin anew */
	struct rw_reclaim_figures figures;
};

/* ---- throttle: throttle_direct_reclaim(), counted by pgscan_direct_throttle ---- */

enum rw_throttle_kind {
	RW_THROTTLE_BEGAN = 1, /* allow_direct_reclaim() said no for the first time in this call */
	RW_THROTTLE_ENDED = 2,
	RW_THROTTLE_WAITING =
		3, /* seen on pfmemalloc_wait by a timer, where the calls cannot be hooked */
};

struct rw_throttle {
	struct rw_header header;
	struct rw_task task;
	rw_u64 began_boot_ns;
	rw_u64 duration_ns;
	rw_u64 free_pages; /* BEGAN: of the reserve's zones, at that moment */
	rw_u64 throttle_line_pages; /* BEGAN */
	rw_u32 node;
	rw_u32 gfp_flags; /* without __GFP_FS the sleep is bounded to one second */
	rw_u32 evaluations; /* ENDED: how often allow_direct_reclaim() was asked */
	rw_u32 reserved;
};

/* ---- nbd: requests ---- */

enum rw_nbd_kind {
	RW_NBD_DEVICE = 1, /* struct rw_nbd_device, at every report */
	RW_NBD_FAILED = 2, /* struct rw_nbd_failed, a request ended in error */
};

struct rw_nbd_device {
	struct rw_header header;
	rw_u32 major;
	rw_u32 first_minor;
	char disk[RW_NAME_BYTES];
	rw_u64 issued; /* block_rq_issue, since the agent's start */
	rw_u64 requeued; /* block_rq_requeue: will be issued again */
	rw_u64 completed; /* block_rq_complete, errors included */
	rw_u64 completed_unseen; /* of these, issued before the agent's start */
	rw_u64 errors;
	rw_u64 in_flight; /* issued, neither completed nor requeued */
	rw_u64 oldest_ns; /* age of the oldest of them; 0: none */
	rw_u64 sent; /* nbd_header_sent; only with phases_known */
	rw_u64 received; /* nbd_header_received; only with phases_known */
	rw_u64 unsent; /* in flight, header not yet sent: blocked before or in sendmsg(); only with phases_known */
	rw_u64 last_completion_boot_ns; /* 0: none since the start */
	rw_u64 read_bytes;
	rw_u64 written_bytes;
	rw_u32 phases_known; /* 1: the nbd tracepoints are attached */
	rw_u32 reserved;
	rw_u64 latency_us[RW_LATENCY_BUCKETS];
	/* Wire 1 ended here. */
	rw_u32 config_known; /* 1: the five below are read from struct nbd_device */
	rw_u32 connections;
	rw_u32 live_connections;
	rw_u32 client_pid; /* nbd_device.pid: of the client's ioctl, 0 for netlink */
	rw_u64 timeout_ns; /* of a request; 0: none set */
	rw_u64 dead_conn_timeout_ns;
	/* Wire 2 ended here. */
	rw_u32 path_known; /* 1: the sockets of the device were gone through */
	rw_u32 sockets; /* those that are SOCK_MEMALLOC */
	rw_u64 segments_received; /* of TCP, summed over them: tcpi_segs_in */
	rw_u64 segments_sent;
	rw_u32 carrier; /* enum rw_carrier of the link that they go out through */
	rw_u32 is_local; /* 1: unix socket, loopback, or the peer has our own address */
	char link[RW_NAME_BYTES]; /* name of that link; "" not known */
	/* What the timer saw at worst since the agent's start. */
	rw_u64 worst_oldest_ns;
	rw_u64 worst_boot_ns; /* when it was; 0: not told */
	rw_u64 most_in_flight;
};

enum rw_carrier {
	RW_CARRIER_UNKNOWN = 0,
	RW_CARRIER_UP = 1,
	RW_CARRIER_DOWN = 2, /* __LINK_STATE_NOCARRIER */
};

struct rw_nbd_failed {
	struct rw_header header;
	rw_u32 major;
	rw_u32 first_minor;
	char disk[RW_NAME_BYTES];
	rw_u64 duration_ns;
	rw_u64 bytes;
	rw_s32 error; /* negative errno as block_rq_complete has it */
	rw_u32 is_write;
};

/* ---- swap ---- */

enum rw_swap_kind {
	RW_SWAP_DEVICE = 1, /* struct rw_swap_device, one line of /proc/swaps, from user space */
	RW_SWAP_TABLE_READ =
		2, /* bare header: all lines of one reading of /proc/swaps precede this */
	RW_SWAP_FAILED = 3, /* struct rw_swap_failed */
	RW_SWAP_USAGE = 4, /* struct rw_swap_usage, at every report */
};

struct rw_swap_device {
	struct rw_header header;
	char path[RW_PATH_BYTES]; /* as /proc/swaps has it */
	char nbd_disk
		[RW_NAME_BYTES]; /* the NBD disk below it, through partition, device-mapper, loop; "" none */
	rw_u32 is_partition; /* type column: partition (block device) or file */
	rw_s32 priority;
	rw_u64 size_kib;
	rw_u64 used_kib;
	rw_u32 major; /* of the block device that swap bios name. Wire 1 ended before it. */
	rw_u32 minor;
};

struct rw_swap_usage {
	struct rw_header header;
	rw_u32 major;
	rw_u32 minor;
	rw_s32 priority;
	rw_u32 usage_known; /* 1: pages and used_pages and priority come from swap_info[] */
	rw_u64 pages;
	rw_u64 used_pages;
	rw_u64 in_pages; /* swapped since the agent's start */
	rw_u64 out_pages;
	rw_u64 read_errors; /* bios */
	rw_u64 write_errors;
	rw_u64 in_flight; /* bios */
	rw_u64 read_us[RW_LATENCY_BUCKETS];
	rw_u64 write_us[RW_LATENCY_BUCKETS];
	rw_u32 reads_known; /* 1: the two below are told */
	rw_u32 reserved;
	rw_u64 reads_in_flight; /* bios: pages that somebody waits for */
	rw_u64 reads_waited_ns; /* they are in flight, and none has ended, since; 0: none is */
};

struct rw_swap_failed {
	struct rw_header header;
	rw_u32 major;
	rw_u32 minor;
	rw_u32 is_write;
	rw_u32 status; /* blk_status_t */
};

/* ---- oom ---- */

enum rw_oom_kind {
	RW_OOM_KILL = 1, /* the kernel killed it: counted by oom_kill */
	RW_OOM_MARKED = 2, /* already dying, only let at the reserves: not counted by oom_kill */
	RW_OOM_FREED = 3, /* struct rw_oom_freed: the victim's memory is being torn down */
};

struct rw_oom {
	struct rw_header header;
	struct rw_task victim; /* cgroup_id is the victim's own */
	rw_u64 total_vm_pages;
	rw_u64 rss_pages;
	rw_s32 score_adj;
	rw_u32 uid;
	/* Wire 1 ended here. */
	rw_s64 points; /* oom_badness() of the victim; 0: not observed */
	rw_u64 anon_pages;
	rw_u64 file_pages;
	rw_u64 shmem_pages;
};

struct rw_oom_freed {
	struct rw_header header;
	struct rw_task victim;
	rw_u64 marked_boot_ns;
	rw_u64 after_ns; /* from the mark to mm/mmap.c:exit_mmap() */
	rw_u64 marked_pages; /* resident at the mark */
	rw_u64 reaped_pages; /* of these, gone before exit_mmap(): the OOM reaper's */
};

/* ---- kswapd ---- */

enum rw_kswapd_kind {
	RW_KSWAPD_WOKE = 1,
	RW_KSWAPD_SLEPT = 2,
};

struct rw_kswapd {
	struct rw_header header;
	rw_u32 node;
	rw_u32 order; /* WOKE: of the request */
	rw_u32 highest_zone; /* WOKE */
	rw_u32 reserved;
	rw_u64 awake_ns; /* SLEPT; 0: woke before the agent's start */
};

/* ---- reclaim_wait: reclaim_throttle(), which is not throttle_direct_reclaim() ---- */

enum rw_reclaim_wait_kind {
	RW_RECLAIM_WAIT_ENDED = 1,
};

enum rw_reclaim_reason { /* enum vmscan_throttle_state, by name and not by number */
			 RW_RECLAIM_WRITEBACK = 0,
			 RW_RECLAIM_ISOLATED = 1,
			 RW_RECLAIM_NOPROGRESS = 2,
			 RW_RECLAIM_CONGESTED = 3,
			 RW_RECLAIM_OTHER = 4,
			 RW_RECLAIM_REASONS = 8,
};

struct rw_reclaim_wait {
	struct rw_header header;
	struct rw_task task;
	rw_u32 node;
	rw_u32 reason; /* enum rw_reclaim_reason */
	rw_u64 timeout_ns;
	rw_u64 delayed_ns;
};

/* ---- slab ---- */

#define RW_CACHE_BYTES 32

enum rw_slab_kind {
	RW_SLAB_TAKEN = 1, /* struct rw_slab: a slab whose pages came from the reserve */
	RW_SLAB_REFUSED = 2, /* struct rw_slab: gfp_pfmemalloc_allowed() said no; no cache known */
	RW_SLAB_CACHE = 3, /* struct rw_slab_cache, of each cache that changed, each second */
};

struct rw_slab {
	struct rw_header header;
	struct rw_task task;
	char cache[RW_CACHE_BYTES];
	rw_u32 gfp_flags;
	rw_u32 order;
	rw_s32 stack;
	rw_u32 reserved;
};

struct rw_slab_cache {
	struct rw_header header;
	char cache[RW_CACHE_BYTES];
	rw_u64 serial; /* tells caches of one name apart, as memory cgroups may have them */
	rw_u64 slabs_allocated; /* since the agent's start */
	rw_u64 slabs_freed;
	rw_u64 slabs_from_reserve;
	rw_u64 objects_allocated; /* only with objects_known */
	rw_u64 objects_freed;
	rw_u32 objects_known; /* 1: the object tracepoints are armed */
	rw_u32 object_bytes;
	rw_u32 slab_order;
	rw_u32 reserved;
};

/* ---- socket: SOCK_MEMALLOC, and packets in PFMEMALLOC memory ---- */

enum rw_socket_kind {
	RW_SOCKET_STATE = 1, /* struct rw_socket: new, changed, or a second has passed */
	RW_SOCKET_GONE = 2, /* struct rw_socket: as it was last */
	RW_SOCKET_DROPPED = 3, /* struct rw_socket_drop */
};

enum rw_socket_found { /* how we came to know it */
		       RW_SOCKET_MARKED = 1, /* sk_set_memalloc() while we watched */
		       RW_SOCKET_ITERATED = 2, /* found when the sockets were gone through */
		       RW_SOCKET_OF_NBD = 3, /* in the table of an NBD device */
};

#define RW_OWNER_BYTES 40
#define RW_SOCKET_PATH_BYTES 64

struct rw_address {
	rw_u8 bytes[16]; /* AF_INET: the first four; AF_INET6: all, network order */
	rw_u32 port;
	rw_u32 reserved;
};

struct rw_socket {
	struct rw_header header;
	struct rw_task task; /* who marked it; tid 0 where it was found */
	rw_u64 serial;
	rw_u32 family; /* AF_INET, AF_INET6, AF_UNIX */
	rw_u32 state; /* TCP_ESTABLISHED is 1, ... */
	rw_u32 found; /* enum rw_socket_found */
	rw_u32 netns; /* inode number of the network namespace, as /proc/PID/ns/net shows */
	struct rw_address local;
	struct rw_address peer;
	char owner[RW_OWNER_BYTES]; /* sk->sk_data_ready as kallsyms names it */
	char path[RW_SOCKET_PATH_BYTES]; /* AF_UNIX: bound here or at the peer; '@' abstract */
	char disk[RW_NAME_BYTES]; /* NBD device; "" not one, or not known */
	rw_u32 connection; /* index in the device's table */
	rw_u32 figures_known; /* 1: TCP's figures below */
	rw_u64 bytes_sent;
	rw_u64 bytes_received;
	rw_u32 segments_sent;
	rw_u32 segments_received;
	rw_u32 retransmits; /* segments, tcpi_total_retrans */
	rw_u32 send_window; /* bytes the peer takes */
	rw_u32 receive_window;
	rw_u32 congestion_window; /* segments */
	rw_u64 send_queue_bytes; /* written, not acknowledged */
	rw_u64 receive_queue_bytes; /* received in order, not read */
	rw_u32 receive_buffer_bytes; /* sk_rcvbuf */
	rw_u32 send_buffer_bytes; /* sk_sndbuf */
	rw_u32 receive_memory_bytes; /* sk_rmem_alloc */
	rw_u32 send_memory_bytes; /* sk_wmem_queued */
	rw_u64 delivered; /* packets in PFMEMALLOC memory that it took, since the agent's start */
	rw_u64 inode; /* as /proc/PID/fd and /proc/net/tcp name it; 0: it has none */
};

enum rw_drop_reason {
	RW_DROP_OTHER = 0,
	RW_DROP_SOCKET_FILTER = 1, /* before SKB_DROP_REASON_PFMEMALLOC existed */
	RW_DROP_PFMEMALLOC = 2,
	RW_DROP_NOT_TOLD = 3, /* no kfree_skb of this packet was seen */
};

struct rw_socket_drop {
	struct rw_header header;
	struct rw_task
		task; /* who opened the destination; tid 0: not known. cgroup: the socket's. */
	rw_u32 family;
	rw_u32 protocol; /* IPPROTO_TCP, ... */
	struct rw_address local;
	struct rw_address peer;
	rw_u32 bytes; /* skb->len */
	rw_u32 uid;
	rw_u32 reason; /* enum rw_drop_reason */
	rw_u32 reason_number; /* enum skb_drop_reason of this kernel */
	rw_u32 netns;
	rw_u32 reserved;
};

/* ---- cgroup: names for ids ---- */

enum rw_cgroup_kind {
	RW_CGROUP_NAME = 1,
};

struct rw_cgroup {
	struct rw_header header;
	rw_u64 cgroup_id;
	char path[RW_PATH_BYTES]; /* "/a/b"; a leading "..." where it was cut */
};

/* ---- enforce: what the agent did to the host by its rules, or would have done ---- */

enum rw_enforce_kind {
	RW_ENFORCE_ACT = 1, /* struct rw_enforce */
	RW_ENFORCE_RULE = 2, /* struct rw_enforce_rule: one for each rule, as it stands */
};

enum rw_enforce_mode {
	RW_ENFORCE_OFF = 0,
	RW_ENFORCE_OBSERVE = 1,
	RW_ENFORCE_ENFORCE = 2,
};

enum rw_enforce_verb {
	RW_ENFORCE_FREEZE = 1, /* cgroup.freeze */
	RW_ENFORCE_THAW = 2,
	RW_ENFORCE_MEMORY_HIGH = 3,
	RW_ENFORCE_MEMORY_HIGH_BACK = 4,
	RW_ENFORCE_STOP = 5, /* SIGSTOP */
	RW_ENFORCE_RESUME = 6, /* SIGCONT */
	RW_ENFORCE_KILL = 7, /* SIGKILL, process_mrelease(2) */
	RW_ENFORCE_KILL_CGROUP = 8, /* cgroup.kill */
	RW_ENFORCE_END_CONNECTION = 9, /* SOCK_DESTROY */
	RW_ENFORCE_RECONNECT = 10, /* NBD_CMD_RECONFIGURE with another connection */
	RW_ENFORCE_RESCUE = 11, /* how a rescue ended */
	RW_ENFORCE_DISCONNECT = 12, /* NBD_CMD_DISCONNECT */
	RW_ENFORCE_CLEAR = 13, /* NBD_CLEAR_SOCK: what was sent and not answered ends */
	RW_ENFORCE_CALM_QUEUE = 14, /* a file of the disk's queue/ */
	RW_ENFORCE_QUEUE_BACK = 15,
};

enum rw_enforce_outcome {
	RW_ENFORCE_WOULD = 1, /* the mode is observe */
	RW_ENFORCE_DONE = 2,
	RW_ENFORCE_FAILED = 3, /* by the kernel: error */
	RW_ENFORCE_REFUSED = 4, /* by us: reason */
	RW_ENFORCE_LIMITED = 5, /* the rule has acted as often as it may */
};

enum rw_enforce_reason {
	RW_ENFORCE_NO_REASON = 0,
	RW_ENFORCE_BY_RULE = 1, /* what it waits for held for long enough */
	RW_ENFORCE_RELEASED = 2, /* it holds no more */
	RW_ENFORCE_DEADLINE = 3,
	RW_ENFORCE_WATCH_DIED = 4, /* this and the next: the keeper took it back */
	RW_ENFORCE_WATCH_STANDS = 5,
	RW_ENFORCE_KEEPER_DIED = 6, /* nothing may stand without it */
	RW_ENFORCE_AGENT_ENDS = 7,
	RW_ENFORCE_LEFT_OVER = 8, /* found at the start */
	RW_ENFORCE_PROTECTED = 9, /* somebody protected would be hit */
	RW_ENFORCE_NOBODY = 10,
	RW_ENFORCE_UNREACHABLE = 11, /* another network namespace, or not known */
	RW_ENFORCE_BUSY = 12, /* the acts before it are not finished */
	RW_ENFORCE_FOREIGN = 13, /* changed by somebody else meanwhile: left so */
	RW_ENFORCE_RECOVERED = 14, /* this and the following: of a rescue */
	RW_ENFORCE_EXHAUSTED = 15, /* all that the rule allows was done in vain */
	RW_ENFORCE_WIRE_LOST = 16,
	RW_ENFORCE_RECEIVES_AGAIN = 17, /* and the swap's connection is ended */
	RW_ENFORCE_NO_SPARE = 18, /* no other connection stands ready */
};

enum rw_enforce_choice { /* why this one */
			 RW_ENFORCE_NAMED = 0, /* by the rule */
			 RW_ENFORCE_LARGEST = 1, /* most memory of its own in the rule's cgroup */
			 RW_ENFORCE_SOCKET_OWNER = 2, /* its sockets hold most unread */
};

enum rw_enforce_spare { /* of a rule: a connection that may take the ended one's place */
			RW_ENFORCE_NOT_WANTED = 0,
			RW_ENFORCE_READY = 1,
			RW_ENFORCE_MISSING = 2,
};

#define RW_RULE_BYTES 32

enum rw_enforce_known { /* bits: which of the figures were had */
			RW_ENFORCE_HELD = 1,
			RW_ENFORCE_FREED = 2,
			RW_ENFORCE_FREE = 4, /* free_before_pages and free_after_pages */
			RW_ENFORCE_PROCESSES = 8,
};

struct rw_enforce {
	struct rw_header header; /* when the act was over */
	struct rw_task victim; /* tid 0: no single process */
	char rule[RW_RULE_BYTES];
	char target[RW_PATH_BYTES]; /* the cgroup or disk; "" only a process */
	rw_u32 rule_index;
	rw_u32 serial; /* an act and what takes it back have the same */
	rw_u8 mode;
	rw_u8 verb;
	rw_u8 outcome;
	rw_u8 reason;
	rw_u8 choice;
	rw_u8 reserved[3];
	rw_s32 error; /* errno; 0: none */
	rw_u32 processes; /* that were reached */
	rw_u64 known; /* bits of enum rw_enforce_known */
	rw_u64 took_ns; /* from the decision to the end of the act */
	rw_u64 held_pages; /* memory of the victim's own, or unread in its sockets */
	rw_u64 held_boot_ns; /* when that was looked at */
	rw_u64 freed_pages; /* less resident memory of the victim when the act was over */
	rw_u64 free_before_pages; /* of the host */
	rw_u64 free_after_pages;
	rw_u64 deadline_boot_ns; /* until when it stands at most; 0: it does not stand */
};

struct rw_enforce_rule {
	struct rw_header header;
	char rule[RW_RULE_BYTES];
	char target[RW_PATH_BYTES];
	rw_u32 rule_index;
	rw_u8 mode;
	rw_u8 verb; /* the first act that it does */
	rw_u8 stands; /* an act of it stands now */
	rw_u8 spare; /* enum rw_enforce_spare; 0: it wants none, or an older agent */
	rw_s32 target_error; /* errno with which the target was not found; 0: it is there */
	rw_s32 spare_error; /* errno why none is ready; 0: it is */
	rw_u64 would; /* these since the agent's start, by enum rw_enforce_outcome */
	rw_u64 done;
	rw_u64 failed;
	rw_u64 refused;
	rw_u64 limited;
	rw_u64 undone; /* acts that were taken back */
};

/* ---- guard: who is kept alive for the swap's sake, and who tried to end it ---- */

enum rw_guard_kind {
	RW_GUARD_ATTEMPT = 1, /* struct rw_guard_attempt */
	RW_GUARD_GUARDED = 2, /* struct rw_guarded: found, or found anew for another device */
	RW_GUARD_RELEASED = 3, /* struct rw_guarded: not found any more */
};

enum rw_guard_action {
	RW_GUARD_SIGNAL = 0, /* one that ends or stops by default */
	RW_GUARD_TRACE = 1, /* PTRACE_MODE_ATTACH */
	RW_GUARD_FREEZE = 2, /* cgroup.freeze of its cgroup */
	RW_GUARD_SWAPOFF = 3,
	RW_GUARD_DISCONNECT = 4,
	RW_GUARD_ACTIONS = 8,
};

enum rw_guard_result {
	RW_GUARD_ALLOWED = 0,
	RW_GUARD_EXCEPTED = 1,
	RW_GUARD_REFUSED = 2,
	RW_GUARD_RESULTS = 4,
};

enum rw_guard_reason {
	RW_GUARD_OBSERVING = 0, /* ALLOWED: the mode is observe */
	RW_GUARD_NO_HOOK = 1, /* ALLOWED: nothing in the kernel refuses this way */
	RW_GUARD_BY_INIT = 2, /* EXCEPTED: process 1 */
	RW_GUARD_BY_UNIT = 3, /* EXCEPTED: of the target's own service */
	RW_GUARD_BY_GUARDED = 4, /* EXCEPTED: guarded itself */
	RW_GUARD_BY_CGROUP = 5, /* EXCEPTED: in a cgroup that the admin named */
	RW_GUARD_BY_RULE = 6, /* REFUSED */
};

enum rw_guard_role { /* bits */
		     RW_GUARD_AGENT = 1,
		     RW_GUARD_CLIENT = 2, /* sits in ioctl(NBD_DO_IT) */
		     RW_GUARD_SERVER = 4, /* holds the other end of a device's socket */
};

enum rw_guard_way { /* how it was tried, where an action has several ways */
		    RW_GUARD_WAY_NONE = 0,
		    RW_GUARD_WAY_KERNEL = 1, /* SIGNAL: not by kill(2): cgroup.kill, OOM, sysrq */
		    RW_GUARD_WAY_PROC = 2, /* TRACE: a file of /proc/PID: mem, stack, syscall */
		    RW_GUARD_WAY_DISCONNECT = 3, /* ioctl(NBD_DISCONNECT) */
		    RW_GUARD_WAY_CLEAR_SOCK = 4, /* ioctl(NBD_CLEAR_SOCK) */
		    RW_GUARD_WAY_NETLINK = 5, /* NBD_CMD_DISCONNECT */
};

struct rw_guard_attempt {
	struct rw_header header;
	struct rw_task task; /* who tried; WAY_KERNEL: the task that was current */
	struct rw_task target; /* SIGNAL, TRACE, FREEZE: at whom; tid 0 for the others */
	rw_u32 action; /* enum rw_guard_action */
	rw_u32 result; /* enum rw_guard_result */
	rw_u32 reason; /* enum rw_guard_reason */
	rw_u32 way; /* enum rw_guard_way */
	rw_u32 uid; /* of who tried */
	rw_u32 signal; /* SIGNAL */
	rw_u32 role; /* bits of enum rw_guard_role, of the target */
	rw_u32 device; /* SWAPOFF: dev_t of the swap as the kernel has it, major << 20 | minor */
	char disk[RW_NAME_BYTES]; /* the NBD device that it is about; "" the agent's own process */
};

struct rw_guarded {
	struct rw_header header;
	struct rw_task task; /* of its first thread */
	rw_u32 role; /* bits of enum rw_guard_role */
	rw_s32 score_adj; /* oom_score_adj */
	rw_u32 tracer; /* tgid of who traces it; 0 nobody */
	rw_u32 reserved;
	char disk[RW_NAME_BYTES];
	rw_u64 start_boot_ns; /* of the process */
	rw_u64 locked_pages; /* mm->locked_vm */
	rw_u64 swapped_pages;
};

/* ---- agent ---- */

enum rw_agent_kind {
	RW_AGENT_HOST = 1, /* struct rw_host, first of every stream */
	RW_AGENT_HOOK = 2, /* struct rw_hook, one for each signal, after HOST */
	RW_AGENT_COUNTERS = 3, /* struct rw_counters_record */
	RW_AGENT_STOPPED =
		4, /* bare header: the agent ended by itself; final summary follows from it */
	RW_AGENT_TICK =
		5, /* bare header: time passed; a summary falls due by the model's interval */
	RW_AGENT_STACK = 6, /* struct rw_stack, once for each stack, before its first use */
	RW_AGENT_PRESSURE = 7, /* struct rw_pressure, each second */
	RW_AGENT_PROGRAM = 8, /* struct rw_program, when what it missed, or its runs, changed */
	RW_AGENT_SELF = 9, /* struct rw_self, each second */
	RW_AGENT_SINK = 10, /* struct rw_sink, one for each, when it changed */
	RW_AGENT_EXPOSURE = 11, /* struct rw_exposure, each ten seconds while calm */
	RW_AGENT_STANDING = 12, /* struct rw_standing: where verdict and alerts stand */
	RW_AGENT_TAKER = 13, /* struct rw_taker: sums that a late reader did not see grow */
	RW_AGENT_WAITER = 14, /* struct rw_waiter: the same */
	RW_AGENT_SKIPPED = 15, /* struct rw_skipped, made by a reader or a recorder */
	RW_AGENT_TABLE = 16, /* struct rw_table, one for each, each ten seconds when it changed */
	RW_AGENT_SETTINGS = 17, /* struct rw_times, at the start and when they were read anew */
	RW_AGENT_TOLD = 18, /* struct rw_told: an alert that was told, behind its rw_standing */
};

/* What came of a configuration that was read. */
enum rw_settings_outcome {
	RW_SETTINGS_STARTED = 1, /* the agent started with it */
	RW_SETTINGS_TAKEN = 2, /* it was read anew, and holds */
	RW_SETTINGS_REFUSED = 3, /* it was read anew and has errors: what held before still does */
	RW_SETTINGS_UNANSWERED = 4, /* nobody has read it so far: what held before still does */
};

/* The times by which the host is judged and told of, as an administrator set them. */
struct rw_times {
	struct rw_header header;
	rw_u64 summary_interval_ns; /* of the agent's own lines; each reader has its own */
	rw_u64 direct_reclaim_notice_ns;
	rw_u64 stall_notice_ns;
	rw_u64 critical_after_ns;
	rw_u64 slow_request_ns;
	rw_u64 time_left_warning_ns;
	rw_u64 alert_hold_ns;
	rw_u64 alert_update_ns;
	rw_u64 alert_longest_update_ns;
	rw_u64 exposure_update_ns;
	rw_u32 outcome; /* enum rw_settings_outcome */
	rw_u32 asked; /* how often they were asked for since the agent started */
	rw_u32 errors; /* of the configuration that was refused */
	rw_u32 waiting; /* settings that are otherwise there, and wait for a restart */
};

/* What the watch itself cost the host, from its start on. */
struct rw_self {
	struct rw_header header;
	rw_u64 pages_allocated; /* in the context of its loop's thread */
	rw_u64 allocations; /* calls that got those pages */
	rw_u64 direct_reclaims; /* entered by that thread */
	rw_u64 major_faults; /* task->maj_flt */
	rw_u64 minor_faults;
	rw_u64 sink_pages_allocated; /* by the threads that write for it */
	rw_u64 sink_direct_reclaims;
	rw_u64 locked_kib; /* VmLck */
	rw_u64 resident_kib; /* VmRSS at the start */
	rw_u64 box_bytes;
	rw_u64 cpu_ns; /* of the process */
	rw_u32 threads;
	rw_u32 known; /* 1: pages and reclaims, 2: faults; 4, 8, 16, 32: the figures below */
	/* Wire 2 ended here. */
	rw_u64 map_bytes; /* 4: kernel memory of the BPF maps, at the start */
	rw_u64 program_bytes; /* 8: of the BPF programs: their instructions, and what was made of them */
	rw_u64 ring_most_waiting_bytes; /* 16: the most that a turn of the loop found in the ring */
	rw_u32 programs; /* 16: BPF programs that are attached */
	rw_u32 maps_are_counted; /* 1: by the kernel; 0: it tells the size of keys and values only */
	rw_u32 allocation_stack; /* 32: id of the stack in which the loop last took a page */
	rw_u32 unused;
};

/* A table of the kernel side in which an entry that finds no room is lost. */
struct rw_table {
	struct rw_header header;
	char name[32];
	rw_u32 capacity;
	rw_u32 entries_known; /* 1: the kernel counts entries (bpf_map_sum_elem_count()) */
	rw_u64 entries;
	rw_u64 most_entries; /* of one look each second, since the agent's start */
};

/* One place to which the watch writes alerts. */
struct rw_sink {
	struct rw_header header;
	char name[64];
	rw_u32 index;
	rw_u32 is_json;
	rw_u64 lines; /* written whole */
	rw_u64 dropped; /* found no room */
	rw_u64 waiting_bytes;
	rw_u64 last_ns; /* from the verdict to the last byte written; of the last line */
	rw_u64 worst_ns;
	rw_s32 error; /* errno that ended it; 0 */
	rw_u32 reserved;
};

/* Standing configuration: what sockets may hold at most. */
struct rw_exposure {
	struct rw_header header;
	rw_u64 known; /* bit i: the i-th of the figures below */
	rw_u64 tcp_sockets;
	rw_u64 tcp_receive_maximum_bytes; /* tcp_rmem[2] */
	rw_u64 tcp_memory_maximum_bytes; /* tcp_mem[2] */
	rw_u64 tcp_memory_bytes;
	rw_u64 udp_sockets;
	rw_u64 receive_default_bytes; /* rmem_default */
	rw_u64 receive_maximum_bytes; /* rmem_max */
	rw_u64 udp_memory_maximum_bytes; /* udp_mem[2] */
	rw_u64 writeback_throttle_us; /* wbt_lat_usec, the largest of the swap's disks */
	rw_u64 receive_rings_bytes; /* of all network cards that are up, a page a descriptor */
};

#define RW_STATES 8

/* Where the verdict and the alerts stand, for a reader that comes later. */
struct rw_standing {
	struct rw_header header;
	rw_u32 state; /* the model's own numbers */
	rw_u32 totals_known; /* 1: what stands behind the tracks */
	rw_u64 state_since_boot_ns;
	struct rw_standing_track {
		rw_u32 track;
		rw_u32 level;
		rw_u32 incident;
		rw_u32 peak;
		rw_u64 since_boot_ns;
		rw_u32 told;
		rw_u32 reserved;
	} tracks[2];
	/* Wire 2 ended here. */
	rw_u64 state_ns[RW_STATES]; /* in stays that are over, since the agent's start */
	rw_u32 state_entries[RW_STATES]; /* how often the host came to be in it */
	rw_u32 critical_incidents[2]; /* by track: those that were critical at some time */
};

/* A box keeps this many of the alerts that were told last. */
#define RW_TOLD_KEPT 64

/* An alert as it was told, without its figures: for a reader that froze with the host, and for
 * whom the ring was overwritten meanwhile. */
struct rw_told {
	struct rw_header header;
	struct rw_standing_track track;
	rw_u32 place; /* the agent's alerts in their order, modulo RW_TOLD_KEPT */
	rw_u32 state; /* the model's own numbers, as those of the findings and the reasons */
	rw_u32 reasons;
	rw_u8 lost_wire;
	rw_u8 dead_receive_path;
	rw_u8 silent_server;
	rw_u8 reserved;
};

/* Sums that the watch keeps since its start. */
struct rw_taker {
	struct rw_header header;
	struct rw_task task;
	rw_u64 allocations;
	rw_u64 pages;
	rw_u32 gfp_flags;
	rw_u8 context;
	rw_u8 entitlement;
	rw_u8 largest_order;
	rw_u8 reserved;
	rw_s32 stack;
	rw_u32 padding;
};

struct rw_waiter {
	struct rw_header header;
	char comm[RW_NAME_BYTES];
	rw_u32 is_throttle; /* 0: direct reclaim */
	rw_u32 reserved;
	rw_u64 stays;
	rw_u64 total_ns;
	rw_u64 longest_ns;
};

enum rw_skipped_reason {
	RW_SKIPPED_BEHIND = 0, /* the reader was too slow for the agent */
	RW_SKIPPED_STORAGE = 1, /* the recorder's target took nothing: full, read-only, broken */
	RW_SKIPPED_VANISHED = 2, /* what was recorded is not there any more */
	RW_SKIPPED_DAMAGED = 3, /* found while reading: a segment is missing, or broken */
};

/* Records that the agent made, and that did not come here. */
struct rw_skipped {
	struct rw_header header; /* when it went on */
	rw_u64 records;
	rw_u64 since_boot_ns; /* the last that came; 0: not known */
	rw_u32 reason; /* enum rw_skipped_reason */
	rw_s32 error; /* errno; 0: none */
};

#define RW_STACK_FRAMES 16
#define RW_FRAME_BYTES 48

/* A kernel stack, innermost frame first, with the names that this kernel gives. */
struct rw_stack {
	struct rw_header header;
	rw_s32 stack;
	rw_u32 frames;
	char frame[RW_STACK_FRAMES][RW_FRAME_BYTES]; /* "symbol+0x1c/0x90 [module]" */
};

/* /proc/pressure: as context, never as evidence. */
struct rw_pressure {
	struct rw_header header;
	rw_u32 some_avg10; /* hundredths of a percent */
	rw_u32 full_avg10;
	rw_u64 some_total_us; /* since boot */
	rw_u64 full_total_us;
	rw_u32 io_some_avg10;
	rw_u32 io_full_avg10;
	rw_u64 io_some_total_us;
	rw_u64 io_full_total_us;
};

struct rw_program {
	struct rw_header header;
	char name[32];
	rw_u32 stem;
	rw_u32 reserved;
	rw_u64 missed; /* runs that the kernel skipped, since the agent's start */
	/* Wire 2 ended here. */
	rw_u64 runs; /* while the kernel kept statistics: kernel.bpf_stats_enabled */
	rw_u64 run_ns;
	rw_u32 runs_known; /* 1: it has kept some, of whichever of our programs */
	rw_u32 padding;
};

struct rw_host {
	struct rw_header header;
	rw_u32 wire_version;
	rw_u32 page_size_bytes;
	rw_u32 cpus;
	rw_u32 nodes;
	rw_s64 realtime_offset_ns; /* CLOCK_REALTIME - CLOCK_BOOTTIME, at the header's time */
	rw_u64 slow_threshold_ns; /* stays in direct reclaim from this on are sent */
	rw_u64 sample_period_ns; /* timer that samples the zones */
	rw_u64 ring_bytes;
	char boot_id[40];
	char host[64];
	char kernel_release[64];
	char machine[16];
	char agent_version[16];
};

struct rw_hook {
	struct rw_header header;
	rw_u32 stem; /* enum rw_stem */
	rw_u32 state; /* enum rw_hook_state */
	char signal[32]; /* what it tells, e.g. "throttle.begin" */
	char path[64]; /* what is attached, e.g. "fexit/allow_direct_reclaim"; "" none */
	char reason[96]; /* why not the better one; "" where this is the best */
};

enum rw_hook_state {
	RW_HOOK_PRIMARY = 1,
	RW_HOOK_FALLBACK = 2,
	RW_HOOK_MISSING = 3, /* the signal is not observed on this host: unknown, never zero */
	RW_HOOK_OFF = 4, /* not armed: its cost is paid only when asked for; unknown as well */
};

/*
 * Totals since the agent's start, counted in the kernel where the event
 * happens, whether or not a record was sent. They stay right under loss.
 */
struct rw_counters {
	rw_u64 reserve_taken; /* allocations */
	rw_u64 reserve_taken_pages;
	rw_u64 reserve_returned;
	rw_u64 reserve_returned_pages;
	rw_u64 reserve_outstanding; /* blocks tracked now */
	rw_u64 reserve_outstanding_pages;
	rw_u64 reserve_untracked_pages; /* taken while the table of outstanding blocks was full */
	rw_u64 alloc_failed; /* mm_page_alloc without a page */
	rw_u64 alloc_failed_order0;
	rw_u64 alloc_failed_atomic; /* without __GFP_DIRECT_RECLAIM */
	rw_u64 direct_reclaim_begun;
	rw_u64 direct_reclaim_ended;
	rw_u64 direct_reclaim_ended_unseen; /* of these, begun before the agent's start */
	rw_u64 direct_reclaim_untracked; /* begun while the table of tasks inside was full */
	rw_u64 direct_reclaim_inside; /* tracked now */
	rw_u64 direct_reclaim_ns; /* sum over the ended */
	rw_u64 direct_reclaim_reclaimed_pages;
	rw_u64 allocstall; /* mm/vmscan.c:do_try_to_free_pages(), its retries included */
	rw_u64 throttle_evaluations; /* returns of allow_direct_reclaim() */
	rw_u64 throttle_refusals; /* of these, false */
	rw_u64 predicate_mismatches_plain; /* our predicate with zone_page_state() disagreed */
	rw_u64 predicate_mismatches_snapshot; /* ... with zone_page_state_snapshot() */
	rw_u64 pgscan_direct_throttle; /* calls of throttle_direct_reclaim() that slept */
	rw_u64 throttle_ended;
	rw_u64 throttle_ns;
	rw_u64 pswpin; /* pages */
	rw_u64 pswpout;
	rw_u64 swap_read_errors; /* bios */
	rw_u64 swap_write_errors;
	rw_u64 oom_kill;
	rw_u64 oom_marked;
	rw_u64 nbd_untracked; /* requests issued while the table in flight was full */
	rw_u64 nbd_devices_untracked; /* requests of devices beyond the table of devices */
	rw_u64 timer_ticks;
	rw_u64 direct_reclaim_us[RW_LATENCY_BUCKETS];
	rw_u64 emitted[RW_STEM_SLOTS]; /* records that reached the ring, by stem */
	rw_u64 lost[RW_STEM_SLOTS]; /* records that found the ring full */
	rw_u64 suppressed
		[RW_STEM_SLOTS]; /* records held back by the rate limit; counted above all the same */
};

/* Which of the counters a hook keeps on this host; the others are unknown, not zero. */
enum rw_known {
	RW_KNOWN_RESERVE = 1,
	RW_KNOWN_DIRECT_RECLAIM = 2,
	RW_KNOWN_ALLOCSTALL = 4, /* with retries; without this bit allocstall is begun calls */
	RW_KNOWN_THROTTLE = 8,
	RW_KNOWN_SWAP = 16,
	RW_KNOWN_OOM = 32,
	RW_KNOWN_NBD = 64,
	RW_KNOWN_SNAPSHOT = 128,
	RW_KNOWN_CONTEXT = 256,
	RW_KNOWN_ZONES = 512,
	RW_KNOWN_KSWAPD = 1024,
	RW_KNOWN_RECLAIM_WAIT = 2048,
	RW_KNOWN_SLAB = 4096, /* slabs allocated, freed, from the reserve */
	RW_KNOWN_SLAB_REFUSALS = 8192,
	RW_KNOWN_DROPS = 16384, /* pfmemalloc_drop */
	RW_KNOWN_DELIVERED = 32768,
	RW_KNOWN_RECEIVED = 65536,
	RW_KNOWN_SKBS = 131072, /* skbs_allocated: armed */
	RW_KNOWN_BELOW_MIN = 262144,
	RW_KNOWN_SWAP_USAGE = 524288,
	RW_KNOWN_OOM_FREED = 1048576,
	RW_KNOWN_SOCKETS = 2097152,
	RW_KNOWN_SLAB_OBJECTS = 4194304, /* kmalloc and kfree: armed */
	RW_KNOWN_SOCKETS_MARKED = 8388608,
	RW_KNOWN_SWAP_DEVICES = 16777216,
	RW_KNOWN_RECLAIM_TASKS = 67108864,
	RW_KNOWN_PAGE_TASKS = 134217728, /* armed */
	RW_KNOWN_GUARD_SIGNALS = 268435456,
	RW_KNOWN_GUARD_TRACES = 536870912,
	RW_KNOWN_GUARD_SWAPOFF = 1073741824,
	RW_KNOWN_GUARD_DISCONNECT = 2147483648,
};

/* The totals that came after wire 1; as rw_counters. */
struct rw_wide_counters {
	rw_u64 kswapd_wakes; /* of all nodes: equals pageoutrun */
	rw_u64 kswapd_sleeps;
	rw_u64 kswapd_requests;
	rw_u64 reclaim_waits[RW_RECLAIM_REASONS];
	rw_u64 reclaim_wait_ns[RW_RECLAIM_REASONS];
	rw_u64 slabs_allocated;
	rw_u64 slabs_freed;
	rw_u64 slabs_from_reserve;
	rw_u64 slab_questions; /* calls of gfp_pfmemalloc_allowed() */
	rw_u64 slab_refusals; /* of these, false */
	rw_u64 slab_caches_untracked; /* slabs of caches beyond the table */
	rw_u64 kmallocs; /* armed: calls of kmalloc() and its kin */
	rw_u64 kmalloc_bytes; /* allocated for them, rounded up to the size class */
	rw_u64 kfrees;
	rw_u64 sockets_marked; /* sk_set_memalloc() */
	rw_u64 sockets_untracked;
	rw_u64 pfmemalloc_received; /* packets in PFMEMALLOC memory that came to the stack */
	rw_u64 pfmemalloc_delivered; /* taken by a SOCK_MEMALLOC socket */
	rw_u64 pfmemalloc_drop; /* refused by another: equals PFMemallocDrop */
	rw_u64 pfmemalloc_freed; /* kfree_skb of such packets, for any reason */
	rw_u64 pfmemalloc_allocated; /* skbs so allocated, both directions */
	rw_u64 below_min; /* allocations, by enum rw_allowance below */
	rw_u64 below_min_pages;
	rw_u64 below_min_by[RW_ALLOWED_KINDS];
	rw_u64 stacks_untracked; /* found no room in the table of stacks */
	rw_u64 swap_untracked; /* bios whose latency found no room */
	rw_u64 oom_freed_pages; /* of victims, reaped or torn down */
	/* Wire 2 ended here. */
	rw_u64 self_pages; /* see struct rw_self */
	rw_u64 self_allocations;
	rw_u64 self_direct_reclaims;
	rw_u64 self_sink_pages;
	rw_u64 self_sink_direct_reclaims;
	rw_u64 self_major_faults; /* task->maj_flt as it stands, from the thread's birth on */
	rw_u64 self_minor_faults;
	rw_u64 reclaim_tasks_untracked; /* events of tasks that found no room in the table */
	rw_u64 page_tasks_untracked; /* the same */
	rw_u64 guard_attempts[RW_GUARD_ACTIONS][RW_GUARD_RESULTS];
	rw_u64 guard_untracked; /* processes to be guarded that found no room in the table */
};

struct rw_counters_record {
	struct rw_header header;
	rw_u64 known; /* bits of enum rw_known */
	rw_u64 reader_lost; /* records dropped in user space, by a full output */
	rw_u64 beat_worst_gap_ns; /* longest time between two turns of the agent's loop */
	rw_u64 beats;
	struct rw_counters counters;
	rw_u64 missed[RW_STEM_SLOTS]; /* runs that the kernel skipped, by stem: see missed_known */
	rw_u64 missed_known; /* 1: the kernel told (bpf_prog_info.recursion_misses) */
	/* Wire 1 ended here. */
	struct rw_wide_counters wide;
};

#ifndef __bpf__
_Static_assert(sizeof(struct rw_header) == 24, "rw_header");
_Static_assert(sizeof(struct rw_task) == 32, "rw_task");
_Static_assert(sizeof(struct rw_reserve) == 88, "rw_reserve");
_Static_assert(sizeof(struct rw_page_figures) == 88, "rw_page_figures");
_Static_assert(sizeof(struct rw_page_task) == 152, "rw_page_task");
_Static_assert(sizeof(struct rw_zone) == 200, "rw_zone");
_Static_assert(sizeof(struct rw_node) == 120, "rw_node");
_Static_assert(sizeof(struct rw_direct_reclaim) == 96, "rw_direct_reclaim");
_Static_assert(sizeof(struct rw_reclaim_figures) == 312, "rw_reclaim_figures");
_Static_assert(sizeof(struct rw_reclaim_task) == 376, "rw_reclaim_task");
_Static_assert(sizeof(struct rw_throttle) == 104, "rw_throttle");
_Static_assert(sizeof(struct rw_nbd_device) == 456, "rw_nbd_device");
_Static_assert(sizeof(struct rw_nbd_failed) == 72, "rw_nbd_failed");
_Static_assert(sizeof(struct rw_swap_device) == 200, "rw_swap_device");
_Static_assert(sizeof(struct rw_swap_usage) == 504, "rw_swap_usage");
_Static_assert(sizeof(struct rw_swap_failed) == 40, "rw_swap_failed");
_Static_assert(sizeof(struct rw_oom) == 112, "rw_oom");
_Static_assert(sizeof(struct rw_oom_freed) == 88, "rw_oom_freed");
_Static_assert(sizeof(struct rw_kswapd) == 48, "rw_kswapd");
_Static_assert(sizeof(struct rw_reclaim_wait) == 80, "rw_reclaim_wait");
_Static_assert(sizeof(struct rw_slab) == 104, "rw_slab");
_Static_assert(sizeof(struct rw_slab_cache) == 120, "rw_slab_cache");
_Static_assert(sizeof(struct rw_address) == 24, "rw_address");
_Static_assert(sizeof(struct rw_socket) == 344, "rw_socket");
_Static_assert(sizeof(struct rw_socket_drop) == 136, "rw_socket_drop");
_Static_assert(sizeof(struct rw_cgroup) == 160, "rw_cgroup");
_Static_assert(sizeof(struct rw_enforce) == 304, "rw_enforce");
_Static_assert(sizeof(struct rw_enforce_rule) == 248, "rw_enforce_rule");
_Static_assert(sizeof(struct rw_guard_attempt) == 136, "rw_guard_attempt");
_Static_assert(sizeof(struct rw_guarded) == 112, "rw_guarded");
_Static_assert(sizeof(struct rw_stack) == 800, "rw_stack");
_Static_assert(sizeof(struct rw_pressure) == 72, "rw_pressure");
_Static_assert(sizeof(struct rw_program) == 96, "rw_program");
_Static_assert(sizeof(struct rw_host) == 272, "rw_host");
_Static_assert(sizeof(struct rw_hook) == 224, "rw_hook");
_Static_assert(sizeof(struct rw_counters) == 848, "rw_counters");
_Static_assert(sizeof(struct rw_wide_counters) == 720, "rw_wide_counters");
_Static_assert(sizeof(struct rw_counters_record) == 1760, "rw_counters_record");
_Static_assert(sizeof(struct rw_self) == 160, "rw_self");
_Static_assert(sizeof(struct rw_table) == 80, "rw_table");
_Static_assert(sizeof(struct rw_sink) == 144, "rw_sink");
_Static_assert(sizeof(struct rw_exposure) == 112, "rw_exposure");
_Static_assert(sizeof(struct rw_standing) == 208, "rw_standing");
_Static_assert(sizeof(struct rw_told) == 72, "rw_told");
_Static_assert(sizeof(struct rw_taker) == 88, "rw_taker");
_Static_assert(sizeof(struct rw_waiter) == 72, "rw_waiter");
_Static_assert(sizeof(struct rw_skipped) == 48, "rw_skipped");
_Static_assert(sizeof(struct rw_times) == 120, "rw_times");
#endif

#endif
