/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * What every stem uses: the shared page set, the ring, and the few steps that
 * lead from a hook to a record. Nothing here wakes user space: the agent's
 * loop comes by itself.
 */
#ifndef RESERVEWATCH_COMMON_BPF_H
#define RESERVEWATCH_COMMON_BPF_H

/* The only variable in .bss, so that the map is exactly this struct. */
struct rw_shared rw_shared;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} rw_ring SEC(".maps");

static __always_inline void add(rw_u64 *counter, rw_u64 n)
{
	__sync_fetch_and_add(counter, n);
}

/* Room for one record with its header filled, or NULL with the loss counted. */
static __always_inline void *begin_record(__u16 stem, __u16 kind, __u32 size)
{
	struct rw_header *header = bpf_ringbuf_reserve(&rw_ring, size, 0);

	if (!header) {
		add(&rw_shared.counters.lost[stem & (RW_STEM_SLOTS - 1)], 1);
		return NULL;
	}
	header->stem = stem;
	header->kind = kind;
	header->size = size;
	header->boot_ns = bpf_ktime_get_boot_ns();
	header->cpu = bpf_get_smp_processor_id();
	header->reserved = 0;
	return header;
}

static __always_inline void submit_record(void *record, __u16 stem)
{
	add(&rw_shared.counters.emitted[stem & (RW_STEM_SLOTS - 1)], 1);
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

/*
 * Whether one more bounded record of this stem may go out in this 100 ms, else counted as
 * suppressed. Two CPUs may both open a window: the bound is soft, the counts are not.
 */
static __always_inline bool within_window_of(__u16 stem, __u32 slot)
{
	__u64 window = bpf_ktime_get_boot_ns() / 100000000;

	if (rw_shared.window[slot] != window) {
		rw_shared.window[slot] = window;
		rw_shared.in_window[slot] = 0;
	}
	if (__sync_fetch_and_add(&rw_shared.in_window[slot], 1) <
	    rw_shared.settings.failed_per_window)
		return true;
	add(&rw_shared.counters.suppressed[stem & (RW_STEM_SLOTS - 1)], 1);
	return false;
}

static __always_inline bool within_window(__u16 stem)
{
	return within_window_of(stem, stem & (RW_STEM_SLOTS - 1));
}

static __always_inline struct task_struct *current_task(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

/*
 * The cgroup that a task's memory is charged to, as far as one can be named: of the
 * unified hierarchy, or of the v1 memory hierarchy where the task is in the unified
 * one's root and not in that one's.
 */
static __always_inline struct kernfs_node *task_cgroup(struct task_struct *task)
{
	struct kernfs_node *unified = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn);
	struct cgroup_subsys_state *css = NULL;
	struct css_set *set;
	struct kernfs_node *memory;

	if (!unified || kernfs_parent(unified) ||
	    !bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		return unified;
	set = BPF_CORE_READ(task, cgroups);
	bpf_probe_read_kernel(&css, sizeof(css),
			      (void *)set + bpf_core_field_offset(set->subsys) +
				      bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id) *
					      sizeof(void *));
	memory = BPF_CORE_READ(css, cgroup, kn);
	return memory && kernfs_parent(memory) ? memory : unified;
}

static __always_inline void fill_task(struct rw_task *task, struct task_struct *from)
{
	task->tid = BPF_CORE_READ(from, pid);
	task->tgid = BPF_CORE_READ(from, tgid);
	task->cgroup_id = BPF_CORE_READ(task_cgroup(from), id);
	BPF_CORE_READ_INTO(&task->comm, from, comm);
}

static __always_inline void fill_current(struct rw_task *task)
{
	__u64 ids = bpf_get_current_pid_tgid();

	task->tid = (__u32)ids;
	task->tgid = ids >> 32;
	task->cgroup_id = BPF_CORE_READ(task_cgroup(current_task()), id);
	bpf_get_current_comm(task->comm, sizeof(task->comm));
}

/* What the watch itself does to the host, so that nobody need believe it. */
static __always_inline void count_own_reclaim(void)
{
	__u64 ids = bpf_get_current_pid_tgid();

	if (ids >> 32 != rw_shared.settings.self_tgid)
		return;
	if ((__u32)ids == rw_shared.settings.self_tid)
		add(&rw_shared.wide.self_direct_reclaims, 1);
	else
		add(&rw_shared.wide.self_sink_direct_reclaims, 1);
}

/*
 * Only in process context: what an interrupt takes meanwhile is not ours. True where the loop
 * took them, which it should not.
 */
static __always_inline bool count_own_pages(__u32 order, int preempt_count)
{
	__u64 ids = bpf_get_current_pid_tgid();

	if (ids >> 32 != rw_shared.settings.self_tgid ||
	    (preempt_count > 0 && preempt_count & (NMI_MASK | HARDIRQ_MASK | SERVING_SOFTIRQ)))
		return false;
	if ((__u32)ids != rw_shared.settings.self_tid) {
		add(&rw_shared.wide.self_sink_pages, 1ull << (order & 15));
		return false;
	}
	add(&rw_shared.wide.self_allocations, 1);
	add(&rw_shared.wide.self_pages, 1ull << (order & 15));
	return true;
}

/*
 * Bucket i holds durations from 2^i us to below 2^(i+1) us; the last one all the rest. A
 * function of its own, and verified once: inlined, all that follows was verified for each
 * bucket.
 */
__noinline __u32 latency_bucket(__u64 ns)
{
	__u64 us = ns / 1000;
	__u32 bucket = 0;

	for (int i = 1; i < RW_LATENCY_BUCKETS; i++)
		if (us >> i)
			bucket = i;
	return bucket;
}

static __always_inline void count_latency(rw_u64 *buckets, __u64 ns)
{
	__u32 bucket = latency_bucket(ns);

	/* The compiler knows the bound, the verifier does not: keep the test. */
	asm volatile("" : "+r"(bucket));
	if (bucket < RW_LATENCY_BUCKETS)
		add(&buckets[bucket], 1);
}

#endif
