// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Stem: reclaim_wait. Reclaimers that reclaim_throttle() lets wait, by reason:
 * for writeback, for isolated pages, for want of progress, for congestion. Not
 * throttle_direct_reclaim(): that is the stem throttle.
 * Hooks: tp_btf/mm_vmscan_throttled (mm/vmscan.c:reclaim_throttle(), process
 *        context, after the wait).
 * Emits: RW_RECLAIM_WAIT_ENDED for waits of the slow threshold and longer,
 *        bounded per 100 ms; all are counted.
 * Blind to: a wait that has not ended; each is bounded by a fifth of a second.
 */

static __always_inline __u32 reclaim_reason(int reason)
{
	if (reason == bpf_core_enum_value(enum vmscan_throttle_state, VMSCAN_THROTTLE_WRITEBACK))
		return RW_RECLAIM_WRITEBACK;
	if (reason == bpf_core_enum_value(enum vmscan_throttle_state, VMSCAN_THROTTLE_ISOLATED))
		return RW_RECLAIM_ISOLATED;
	if (reason == bpf_core_enum_value(enum vmscan_throttle_state, VMSCAN_THROTTLE_NOPROGRESS))
		return RW_RECLAIM_NOPROGRESS;
	if (reason == bpf_core_enum_value(enum vmscan_throttle_state, VMSCAN_THROTTLE_CONGESTED))
		return RW_RECLAIM_CONGESTED;
	return RW_RECLAIM_OTHER;
}

SEC("tp_btf/mm_vmscan_throttled")
int BPF_PROG(reclaim_waited, int nid, int usec_timeout, int usec_delayed, int reason)
{
	__u32 kind = reclaim_reason(reason) & (RW_RECLAIM_REASONS - 1);
	__u64 delayed_ns = (__u64)(__u32)usec_delayed * 1000;
	struct rw_reclaim_wait *record;

	add(&rw_shared.wide.reclaim_waits[kind], 1);
	add(&rw_shared.wide.reclaim_wait_ns[kind], delayed_ns);
	if (delayed_ns < rw_shared.settings.slow_threshold_ns ||
	    !within_window(RW_STEM_RECLAIM_WAIT))
		return 0;
	name_current_cgroup();
	record = begin_record(RW_STEM_RECLAIM_WAIT, RW_RECLAIM_WAIT_ENDED, sizeof(*record));
	if (!record)
		return 0;
	fill_current(&record->task);
	record->node = nid;
	record->reason = kind;
	record->timeout_ns = (__u64)(__u32)usec_timeout * 1000;
	record->delayed_ns = delayed_ns;
	submit_record(record, RW_STEM_RECLAIM_WAIT);
	return 0;
}
