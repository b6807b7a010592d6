/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * The few kernel types that the programs read, cut down to the fields used.
 * Layout comes from the running kernel's BTF (preserve_access_index), never
 * from here. What moved or was renamed between kernels is in compat.bpf.h.
 */
#ifndef RESERVEWATCH_KERNEL_BPF_H
#define RESERVEWATCH_KERNEL_BPF_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef signed int __s32;
typedef signed long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;

#define NULL ((void *)0)
#define true 1
#define false 0

enum { BPF_ANY = 0, BPF_NOEXIST = 1, BPF_EXIST = 2 };
enum { BPF_RB_NO_WAKEUP = 1 };
enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_STACK_TRACE = 7,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
};

struct bpf_timer {
	__u64 : 64;
	__u64 : 64;
} __attribute__((aligned(8)));

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	long counter;
} atomic_long_t;

typedef struct {
	int counter;
} atomic_t;

struct list_head {
	struct list_head *next, *prev;
};

struct wait_queue_head {
	struct list_head head;
};

struct wait_queue_entry {
	void *private;
	struct list_head entry;
};

enum zone_stat_item {
	NR_FREE_PAGES = 0,
	NR_ZONE_INACTIVE_ANON = 1,
	NR_ZONE_ACTIVE_ANON = 2,
	NR_ZONE_INACTIVE_FILE = 3,
	NR_ZONE_ACTIVE_FILE = 4,
};
enum zone_type { ZONE_NORMAL = 2 };
enum lru_list { LRU_INACTIVE_FILE = 2, LRU_ACTIVE_FILE = 3 };

struct per_cpu_zonestat {
	__s8 vm_stat_diff[1];
};

struct zone {
	unsigned long _watermark[4];
	unsigned long watermark_boost;
	unsigned long nr_reserved_highatomic;
	long lowmem_reserve[4];
	struct per_cpu_zonestat *per_cpu_zonestats;
	atomic_long_t managed_pages;
	unsigned long spanned_pages;
	unsigned long present_pages;
	const char *name;
	atomic_long_t vm_stat[1];
};

struct task_struct;

struct pglist_data {
	struct zone node_zones[1];
	int node_id;
	struct wait_queue_head pfmemalloc_wait;
	struct task_struct *kswapd;
	int kswapd_order;
	int kswapd_failures;
};

struct kthread {
	void *data;
};

struct mm_struct {
	unsigned long total_vm;
	unsigned long locked_vm;
};

struct signal_struct {
	short oom_score_adj;
};

struct kernfs_node {
	struct kernfs_node *parent;
	const char *name;
	__u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

enum cgroup_subsys_id { memory_cgrp_id = 4 };

struct css_set {
	struct cgroup *dfl_cgrp;
	struct cgroup_subsys_state *subsys[8];
};

struct task_struct {
	unsigned int __state;
	unsigned int flags;
	int pid;
	int tgid;
	char comm[16];
	void *worker_private;
	struct mm_struct *mm;
	struct signal_struct *signal;
	struct css_set *cgroups;
	int prio;
	unsigned long min_flt;
	unsigned long maj_flt;
	__u64 start_time;
	__u64 start_boottime;
	unsigned int ptrace;
	struct task_struct *group_leader;
	struct task_struct *parent;
};

struct kernel_siginfo {
	int si_code;
};

struct pt_regs {
	unsigned long orig_ax;
};

struct oom_control {
	struct task_struct *chosen;
	long chosen_points;
};

struct page {
	unsigned long flags;
	struct list_head lru;
};

struct gendisk {
	int major;
	int first_minor;
	char disk_name[32];
	void *private_data;
};

struct request_queue {
	struct gendisk *disk;
};

struct bio;

struct request {
	struct request_queue *q;
	unsigned int cmd_flags;
	unsigned int __data_len;
	struct bio *bio;
};

struct bvec_iter {
	unsigned int bi_size;
};

struct block_device {
	unsigned int bd_dev;
	struct gendisk *bd_disk;
};

struct bio {
	struct bio *bi_next;
	struct block_device *bi_bdev;
	unsigned char bi_status;
	struct bvec_iter bi_iter;
	void *bi_end_io;
};

struct super_block {
	unsigned int s_dev;
};

struct inode {
	unsigned short i_mode;
	unsigned int i_flags;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_rdev;
};

struct address_space {
	struct inode *host;
};

struct file {
	struct inode *f_inode;
	struct address_space *f_mapping;
};

/* block/bdev.c: what the inode of an open block device lies in */
struct bdev_inode {
	struct block_device bdev;
	struct inode vfs_inode;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

struct zoneref {
	struct zone *zone;
};

struct zonelist {
	struct zoneref _zonerefs[2];
};

struct kmem_cache_order_objects {
	unsigned int x;
};

struct kmem_cache {
	const char *name;
	unsigned int object_size;
	struct kmem_cache_order_objects oo;
};

enum pageflags { PG_active = 5, PG_swapbacked = 17 };

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
};

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	unsigned long skc_flags;
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

typedef struct {
	unsigned int val;
} kuid_t;

struct socket;

struct net_device {
	char name[16];
	unsigned long state;
	int ifindex;
};

struct dst_entry {
	struct net_device *dev;
};

struct sock {
	struct sock_common __sk_common;
	int sk_rcvbuf;
	int sk_sndbuf;
	int sk_wmem_queued;
	struct {
		atomic_t rmem_alloc;
	} sk_backlog;
	__u16 sk_protocol;
	kuid_t sk_uid;
	struct sock_cgroup_data sk_cgrp_data;
	struct socket *sk_socket;
	struct dst_entry *sk_dst_cache;
	void (*sk_data_ready)(struct sock *sk);
};

struct socket {
	struct sock *sk;
};

struct socket_alloc {
	struct socket socket;
	struct inode vfs_inode;
};

struct tcp_sock {
	__u64 bytes_received;
	__u64 bytes_sent;
	__u32 segs_in;
	__u32 segs_out;
	__u32 total_retrans;
	__u32 snd_wnd;
	__u32 rcv_wnd;
	__u32 rcv_nxt;
	__u32 copied_seq;
	__u32 snd_una;
	__u32 write_seq;
	__u32 snd_cwnd;
};

struct sockaddr_un {
	unsigned short sun_family;
	char sun_path[108];
};

struct unix_address {
	int len;
	struct sockaddr_un name[0];
};

struct unix_sock {
	struct unix_address *addr;
	struct sock *peer;
};

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
};

struct bpf_iter__unix {
	struct bpf_iter_meta *meta;
	struct unix_sock *unix_sk;
};

struct sk_buff {
	unsigned int len;
	unsigned char *data;
	__u8 pfmemalloc : 1;
};

enum skb_drop_reason { SKB_DROP_REASON_SOCKET_FILTER = 5, SKB_DROP_REASON_PFMEMALLOC = 123 };

enum sock_flags { SOCK_MEMALLOC = 14 };

enum vmscan_throttle_state {
	VMSCAN_THROTTLE_WRITEBACK,
	VMSCAN_THROTTLE_ISOLATED,
	VMSCAN_THROTTLE_NOPROGRESS,
	VMSCAN_THROTTLE_CONGESTED,
};

struct blk_mq_tag_set {
	unsigned int timeout;
};

struct nbd_sock {
	struct socket *sock;
};

struct nbd_config {
	unsigned long runtime_flags;
	__u64 dead_conn_timeout;
	struct nbd_sock **socks;
	int num_connections;
	atomic_t live_connections;
};

struct xarray {
	void *xa_head;
};

struct idr {
	struct xarray idr_rt;
};

struct xa_node {
	unsigned char shift;
	void *slots[64];
};

struct nbd_device {
	struct blk_mq_tag_set tag_set;
	struct gendisk *disk;
	struct nbd_config *config;
	int index;
	int pid;
};

struct swap_info_struct {
	unsigned long flags;
	short prio;
	unsigned int pages;
	unsigned int inuse_pages;
	struct block_device *bdev;
};

/* Whole, though nothing of it is read: as a mere declaration it is no match for the kernel's. */
struct bpf_map {
	__u32 max_entries;
};

struct filename;
struct cred;
struct mem_cgroup;
struct zonelist;
struct nbd_request;

#pragma clang attribute pop

/* include/linux/sched.h; macros, so BTF does not have them. The same on 6.1, 6.12 and 6.18. */
#define PF_MEMALLOC 0x00000800
#define PF_KSWAPD 0x00020000
#define PF_KTHREAD 0x00200000
#define LINK_STATE_NOCARRIER 2

/* include/linux/gfp_types.h; the two bits below stand where they stood since 4.0. */
#define GFP_HIGH 0x20u
#define GFP_MEMALLOC 0x20000u
#define GFP_DIRECT_RECLAIM 0x400u

/* include/linux/preempt.h, without PREEMPT_RT */
#define PREEMPT_NEED_RESCHED 0x80000000 /* arch/x86/include/asm/preempt.h */
#define SERVING_SOFTIRQ 0x00000100
#define HARDIRQ_MASK 0x000f0000
#define NMI_MASK 0x00f00000

#define MAX_RT_PRIO 100 /* include/linux/sched/prio.h */
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define TCP_CLOSE 7
#define TCP_SYN_SENT 2
#define ENOMEM 12
#define SWP_USED 1 /* include/linux/swap.h */
#define NBD_RT_DISCONNECT_REQUESTED 1 /* drivers/block/nbd.c */
#define NBD_MAJOR 43
#define PAGE_SHIFT 12
#define REQ_OP_MASK 0xffu
#define REQ_OP_WRITE 1u
#define SIGHUP 1
#define SIGINT 2
#define SIGQUIT 3
#define SIGKILL 9
#define SIGTERM 15
#define SIGCHLD 17
#define SIGCONT 18
#define SIGSTOP 19
#define SIGTSTP 20
#define SIGURG 23
#define SIGWINCH 28
#define SEND_SIG_NOINFO 0ul /* include/linux/sched/signal.h: from nobody in particular */
#define SEND_SIG_PRIV 1ul /* include/linux/sched/signal.h: the kernel itself sends */
#define PTRACE_MODE_ATTACH 2u /* include/linux/ptrace.h */
#define PTRACE_MODE_FSCREDS 8u
#define S_IFMT 0170000
#define S_IFBLK 0060000
#define S_IFREG 0100000
#define S_SWAPFILE 0x100 /* include/linux/fs.h */
#define EPERM 1
#define NR_SWAPOFF 168 /* arch/x86/entry/syscalls, of 64 and of 32 bits */
#define NR_SWAPOFF_COMPAT 115
#define NBD_CLEAR_SOCK 0xab04u /* include/uapi/linux/nbd.h */
#define NBD_DISCONNECT 0xab08u
#define NBD_CMD_DISCONNECT 2 /* include/uapi/linux/nbd-netlink.h */
#define NBD_ATTR_INDEX 1
#define NETLINK_GENERIC 16
#define DEF_PRIORITY 12 /* include/linux/mmzone.h */
#define MAX_RECLAIM_RETRIES 16
#define CLOCK_MONOTONIC 1

#endif
