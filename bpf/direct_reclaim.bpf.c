// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Stem: direct_reclaim. Tasks inside try_to_free_pages(), since when.
 * Hooks: tp_btf/mm_vmscan_direct_reclaim_begin and _end (mm/vmscan.c:
 *        try_to_free_pages(), process context);
 *        fentry/vmpressure_prio for allocstall.
 * Emits: RW_DIRECT_RECLAIM_INSIDE once for a stay that reaches the slow
 *        threshold (from the timer, watermark.bpf.c), RW_DIRECT_RECLAIM_LEFT
 *        at its end. Shorter stays are only counted.
 * Blind to: stays that began before the start; reclaim of a memory cgroup
 * (mm_vmscan_memcg_reclaim_begin, not counted by allocstall either).
 */

struct reclaim_stay {
	struct rw_task task;
	__u64 began_boot_ns;
	__u32 gfp_flags;
	__u32 order;
	__u32 sent;
	__s32 stack; /* of the way in, for kernel threads */
	__u32 is_kernel_thread;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__type(key, __u32);
	__type(value, struct reclaim_stay);
} reclaim_stays SEC(".maps");

SEC("tp_btf/mm_vmscan_direct_reclaim_begin")
int BPF_PROG(reclaim_begin, int order, unsigned int gfp_flags)
{
	struct rw_counters *counters = &rw_shared.counters;
	struct reclaim_stay stay = {};
	__u32 tid;

	add(&counters->direct_reclaim_begun, 1);
	fill_current(&stay.task);
	stay.began_boot_ns = bpf_ktime_get_boot_ns();
	stay.gfp_flags = gfp_flags;
	stay.order = order;
	/*
	 * A worker that must reclaim before it can receive is the heart of the known
	 * deadlocks: which one it is, the way in tells. They are few, and user tasks many.
	 */
	stay.stack = -1;
	if (BPF_CORE_READ(current_task(), flags) & PF_KTHREAD) {
		stay.is_kernel_thread = 1;
		stay.stack = stack_of(ctx, TRACEPOINT_FRAMES);
	}
	count_own_reclaim();
	tid = stay.task.tid;
	if (bpf_map_update_elem(&reclaim_stays, &tid, &stay, BPF_NOEXIST))
		add(&counters->direct_reclaim_untracked, 1);
	else
		add(&counters->direct_reclaim_inside, 1);
	return 0;
}

static __always_inline void send_stay(struct reclaim_stay *stay, __u16 kind, __u64 duration_ns,
				      __u64 reclaimed)
{
	struct rw_direct_reclaim *record =
		begin_record(RW_STEM_DIRECT_RECLAIM, kind, sizeof(*record));

	if (!record)
		return;
	record->task = stay->task;
	record->began_boot_ns = stay->began_boot_ns;
	record->duration_ns = duration_ns;
	record->reclaimed_pages = reclaimed;
	record->gfp_flags = stay->gfp_flags;
	record->order = stay->order;
	record->stack = stay->stack;
	record->is_kernel_thread = stay->is_kernel_thread;
	submit_record(record, RW_STEM_DIRECT_RECLAIM);
}

SEC("tp_btf/mm_vmscan_direct_reclaim_end")
int BPF_PROG(reclaim_end, unsigned long nr_reclaimed)
{
	struct rw_counters *counters = &rw_shared.counters;
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct reclaim_stay *found = bpf_map_lookup_elem(&reclaim_stays, &tid);
	struct reclaim_stay stay;
	__u64 duration_ns;

	add(&counters->direct_reclaim_ended, 1);
	add(&counters->direct_reclaim_reclaimed_pages, nr_reclaimed);
	if (!found) {
		add(&counters->direct_reclaim_ended_unseen, 1);
		return 0;
	}
	stay = *found;
	bpf_map_delete_elem(&reclaim_stays, &tid);
	add(&counters->direct_reclaim_inside, -1);
	duration_ns = bpf_ktime_get_boot_ns() - stay.began_boot_ns;
	add(&counters->direct_reclaim_ns, duration_ns);
	count_latency(counters->direct_reclaim_us, duration_ns);
	if (stay.sent || duration_ns >= rw_shared.settings.slow_threshold_ns) {
		name_cgroup(current_task(), stay.task.cgroup_id);
		send_stay(&stay, RW_DIRECT_RECLAIM_LEFT, duration_ns, nr_reclaimed);
	}
	return 0;
}

/*
 * do_try_to_free_pages() counts allocstall again each time it retries, within
 * one begin and end; every pass opens with this call at the full priority.
 * A pass for a memory cgroup has one as its target and is not counted.
 */
SEC("fentry/vmpressure_prio")
int BPF_PROG(reclaim_pass, unsigned int gfp, struct mem_cgroup *memcg, int prio)
{
	if (!memcg && prio == DEF_PRIORITY)
		add(&rw_shared.counters.allocstall, 1);
	return 0;
}
