// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Stem: kswapd. When each node's kswapd is woken, asked for, and sleeps again.
 * Hooks: tp_btf/mm_vmscan_kswapd_wake (mm/vmscan.c:kswapd(), just before
 *        balance_pgdat(), which counts pageoutrun), mm_vmscan_kswapd_sleep,
 *        mm_vmscan_wakeup_kswapd (wakeup_kswapd(), any context).
 * Emits: RW_KSWAPD_WOKE, RW_KSWAPD_SLEPT, bounded per 100 ms; state, order and
 *        failures go with each report of the node (watermark.bpf.c).
 * Blind to: nodes beyond RW_NODES.
 */

static __always_inline void tell_kswapd(__u16 kind, __u32 node, __u32 order, __u32 zone,
					__u64 awake_ns)
{
	struct rw_kswapd *record;

	if (!within_window(RW_STEM_KSWAPD))
		return;
	record = begin_record(RW_STEM_KSWAPD, kind, sizeof(*record));
	if (!record)
		return;
	record->node = node;
	record->order = order;
	record->highest_zone = zone;
	record->reserved = 0;
	record->awake_ns = awake_ns;
	submit_record(record, RW_STEM_KSWAPD);
}

SEC("tp_btf/mm_vmscan_kswapd_wake")
int BPF_PROG(kswapd_woke, int nid, int zid, int order)
{
	struct rw_node_state *node = &rw_shared.nodes[nid & (RW_NODES - 1)];

	add(&rw_shared.wide.kswapd_wakes, 1);
	if ((__u32)nid >= RW_NODES)
		return 0;
	add(&node->kswapd_wakes, 1);
	/* One wake follows another without sleep between: only the first begins a stretch. */
	if (!node->kswapd_woke_boot_ns) {
		node->kswapd_woke_boot_ns = bpf_ktime_get_boot_ns();
		tell_kswapd(RW_KSWAPD_WOKE, nid, order, zid, 0);
	}
	return 0;
}

SEC("tp_btf/mm_vmscan_kswapd_sleep")
int BPF_PROG(kswapd_slept, int nid)
{
	struct rw_node_state *node = &rw_shared.nodes[nid & (RW_NODES - 1)];
	__u64 since;

	add(&rw_shared.wide.kswapd_sleeps, 1);
	if ((__u32)nid >= RW_NODES)
		return 0;
	add(&node->kswapd_sleeps, 1);
	since = node->kswapd_woke_boot_ns;
	node->kswapd_woke_boot_ns = 0;
	tell_kswapd(RW_KSWAPD_SLEPT, nid, 0, 0, since ? bpf_ktime_get_boot_ns() - since : 0);
	return 0;
}

SEC("tp_btf/mm_vmscan_wakeup_kswapd")
int BPF_PROG(kswapd_asked, int nid, int zid, int order, unsigned int gfp_flags)
{
	add(&rw_shared.wide.kswapd_requests, 1);
	if ((__u32)nid < RW_NODES)
		add(&rw_shared.nodes[nid & (RW_NODES - 1)].kswapd_requests, 1);
	return 0;
}
