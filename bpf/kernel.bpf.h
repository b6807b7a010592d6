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

struct css_set {
	struct cgroup *dfl_cgrp;
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
};

struct page {
	unsigned long flags;
	struct list_head lru;
};

struct gendisk {
	int major;
	int first_minor;
	char disk_name[32];
};

struct request_queue {
	struct gendisk *disk;
};

struct request {
	struct request_queue *q;
	unsigned int cmd_flags;
	unsigned int __data_len;
};

struct bvec_iter {
	unsigned int bi_size;
};

struct block_device {
	unsigned int bd_dev;
};

struct bio {
	struct block_device *bi_bdev;
	unsigned char bi_status;
	struct bvec_iter bi_iter;
	void *bi_end_io;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_map;
struct kernel_siginfo;
struct mem_cgroup;
struct zonelist;
struct nbd_request;

#pragma clang attribute pop

/* include/linux/sched.h; macros, so BTF does not have them. The same on 6.1, 6.12 and 6.18. */
#define PF_MEMALLOC 0x00000800
#define PF_KSWAPD 0x00020000
#define PF_KTHREAD 0x00200000

/* include/linux/gfp_types.h; the two bits below stand where they stood since 4.0. */
#define GFP_MEMALLOC 0x20000u
#define GFP_DIRECT_RECLAIM 0x400u

/* include/linux/preempt.h, without PREEMPT_RT */
#define PREEMPT_NEED_RESCHED 0x80000000 /* arch/x86/include/asm/preempt.h */
#define SERVING_SOFTIRQ 0x00000100
#define HARDIRQ_MASK 0x000f0000
#define NMI_MASK 0x00f00000

#define NBD_MAJOR 43
#define PAGE_SHIFT 12
#define REQ_OP_MASK 0xffu
#define REQ_OP_WRITE 1u
#define SIGKILL 9
#define SEND_SIG_PRIV 1ul /* include/linux/sched/signal.h: the kernel itself sends */
#define DEF_PRIORITY 12 /* include/linux/mmzone.h */
#define MAX_RECLAIM_RETRIES 16
#define CLOCK_MONOTONIC 1

#endif
