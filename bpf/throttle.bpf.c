// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Stem: throttle. Direct reclaimers that throttle_direct_reclaim() puts to
 * sleep on pgdat->pfmemalloc_wait, counted by pgscan_direct_throttle. Not
 * reclaim_throttle(): that is another thing (stem reclaim_wait).
 * Hooks: fentry and fexit/throttle_direct_reclaim, fexit/allow_direct_reclaim
 *        (mm/vmscan.c, process context).
 * Emits: RW_THROTTLE_BEGAN at the first refusal within a call, for whoever is
 *        put to sleep may never come back; RW_THROTTLE_ENDED when it does.
 * Fallback without fentry: the timer walks pfmemalloc_wait (watermark.bpf.c).
 * Blind to: calls that were under way at the start.
 */

struct throttle_call {
	__u64 began_boot_ns; /* 0: allowed so far */
	__u32 gfp_flags;
	__u32 evaluations;
	__u32 node;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__type(key, __u32);
	__type(value, struct throttle_call);
} throttle_calls SEC(".maps");

extern const unsigned long this_cpu_off __ksym __weak;

#define CPUS_WALKED 256

/* include/linux/vmstat.h:zone_page_state_snapshot(zone, NR_FREE_PAGES) */
static __always_inline __u64 free_pages_snapshot(struct zone *zone)
{
	struct per_cpu_zonestat *stats = BPF_CORE_READ(zone, per_cpu_zonestats);
	__u32 item = bpf_core_enum_value(enum zone_stat_item, NR_FREE_PAGES);
	__u32 diffs = bpf_core_field_offset(stats->vm_stat_diff);
	long pages = BPF_CORE_READ(zone, vm_stat[0].counter);

	for (__u32 cpu = 0; cpu < CPUS_WALKED; cpu++) {
		const unsigned long *offset = bpf_per_cpu_ptr(&this_cpu_off, cpu);
		__s8 diff = 0;

		if (!offset)
			break;
		bpf_probe_read_kernel(&diff, 1, (void *)stats + *offset + diffs + item);
		pages += diff;
	}
	return pages < 0 ? 0 : pages;
}

SEC("fentry/throttle_direct_reclaim")
int BPF_PROG(throttle_enter, unsigned int gfp_mask)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct throttle_call call = {.gfp_flags = gfp_mask};

	bpf_map_update_elem(&throttle_calls, &tid, &call, BPF_ANY);
	return 0;
}

/*
 * The return value is read as u64: declared bool, the register's upper bits,
 * which the callee leaves undefined, would read as true.
 */
SEC("fexit/allow_direct_reclaim")
int BPF_PROG(throttle_evaluated, struct pglist_data *node, __u64 ret)
{
	struct pglist_data *pgdat = NULL;
	struct rw_counters *counters = &rw_shared.counters;
	bool allowed = ret & 0xff;
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct throttle_call *call;
	struct rw_throttle *record;
	struct node_reserve plain = {};
	__u64 snapshot_free = 0;

	/* As a number, which a function of its own accepts; node is a typed pointer. */
	bpf_probe_read_kernel(&pgdat, sizeof(pgdat), &ctx[0]);
	add(&counters->throttle_evaluations, 1);
	node_reserve(pgdat, &plain);
	for (int i = 0; i < RW_ZONES; i++) {
		struct zone *zone = node_zone(pgdat, i);

		if (i > zone_normal())
			break;
		if (zone_in_reserve(zone))
			snapshot_free += free_pages_snapshot(zone);
	}
	if (allow_direct_reclaim(&plain, plain.free_pages) != allowed)
		add(&counters->predicate_mismatches_plain, 1);
	if (allow_direct_reclaim(&plain, snapshot_free) != allowed)
		add(&counters->predicate_mismatches_snapshot, 1);
	if (!allowed)
		add(&counters->throttle_refusals, 1);

	call = bpf_map_lookup_elem(&throttle_calls, &tid);
	if (!call)
		return 0; /* kswapd asks too, to know whom to wake */
	call->evaluations++;
	if (allowed || call->began_boot_ns)
		return 0;
	call->began_boot_ns = bpf_ktime_get_boot_ns();
	call->node = BPF_CORE_READ(pgdat, node_id);
	add(&counters->pgscan_direct_throttle, 1);
	name_cgroup(current_task(), bpf_get_current_cgroup_id());
	record = begin_record(RW_STEM_THROTTLE, RW_THROTTLE_BEGAN, sizeof(*record));
	if (!record)
		return 0;
	fill_current(&record->task);
	record->began_boot_ns = call->began_boot_ns;
	record->duration_ns = 0;
	record->free_pages = plain.free_pages;
	record->throttle_line_pages = plain.reserve_pages / 2;
	record->node = call->node;
	record->gfp_flags = call->gfp_flags;
	record->evaluations = call->evaluations;
	record->reserved = 0;
	submit_record(record, RW_STEM_THROTTLE);
	return 0;
}

SEC("fexit/throttle_direct_reclaim")
int BPF_PROG(throttle_exit)
{
	struct rw_counters *counters = &rw_shared.counters;
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct throttle_call *found = bpf_map_lookup_elem(&throttle_calls, &tid);
	struct throttle_call call;
	struct rw_throttle *record;
	__u64 duration_ns;

	if (!found)
		return 0;
	call = *found;
	bpf_map_delete_elem(&throttle_calls, &tid);
	if (!call.began_boot_ns)
		return 0;
	duration_ns = bpf_ktime_get_boot_ns() - call.began_boot_ns;
	add(&counters->throttle_ended, 1);
	add(&counters->throttle_ns, duration_ns);
	record = begin_record(RW_STEM_THROTTLE, RW_THROTTLE_ENDED, sizeof(*record));
	if (!record)
		return 0;
	fill_current(&record->task);
	record->began_boot_ns = call.began_boot_ns;
	record->duration_ns = duration_ns;
	record->free_pages = 0;
	record->throttle_line_pages = 0;
	record->node = call.node;
	record->gfp_flags = call.gfp_flags;
	record->evaluations = call.evaluations;
	record->reserved = 0;
	submit_record(record, RW_STEM_THROTTLE);
	return 0;
}
