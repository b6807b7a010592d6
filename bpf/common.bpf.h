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

static __always_inline void fill_current(struct rw_task *task)
{
	__u64 ids = bpf_get_current_pid_tgid();

	task->tid = (__u32)ids;
	task->tgid = ids >> 32;
	task->cgroup_id = bpf_get_current_cgroup_id();
	bpf_get_current_comm(task->comm, sizeof(task->comm));
}

static __always_inline struct task_struct *current_task(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

/* Bucket i holds durations from 2^i us to below 2^(i+1) us; the last one all the rest. */
static __always_inline void count_latency(rw_u64 *buckets, __u64 ns)
{
	__u64 us = ns / 1000;
	__u32 bucket = 0;

	for (int i = 1; i < RW_LATENCY_BUCKETS; i++)
		if (us >> i)
			bucket = i;
	/* The compiler knows the bound, the verifier does not: keep the test. */
	asm volatile("" : "+r"(bucket));
	if (bucket < RW_LATENCY_BUCKETS)
		add(&buckets[bucket], 1);
}

#endif
