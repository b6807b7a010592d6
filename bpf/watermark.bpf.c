// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Stem: watermark. Zones and nodes, sampled by a timer in the kernel: it keeps
 * its beat while every process is frozen, and sees the dips between two turns
 * of the agent's loop.
 * Hooks: iter/task once at the start, to find the nodes and the watch itself; SEC("syscall") once,
 *        to arm a bpf_timer; its callback runs in softirq.
 * Emits: RW_WATERMARK_ZONE and RW_WATERMARK_NODE every report_ticks samples;
 *        on behalf of other stems what only time can tell: tasks that stay in
 *        direct reclaim (direct_reclaim.bpf.c), tasks on pfmemalloc_wait where
 *        the calls cannot be hooked, requests in flight (nbd.bpf.c).
 * Blind to: dips shorter than the sample period; nodes beyond RW_NODES; a node
 * without a kswapd.
 */

struct sampler {
	struct bpf_timer timer;
	__u64 ticks;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sampler);
} samplers SEC(".maps");

/* kswapd's thread function gets its node as data: kthread_run(kswapd, pgdat, "kswapd%d", nid) */
SEC("iter/task")
int find_nodes(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct pglist_data *pgdat;
	struct kthread *kthread;
	__u32 node;

	if (!task)
		return 0;
	if (task->pid == rw_shared.settings.self_tid)
		rw_shared.self_task = (__u64)task;
	if (!(task->flags & PF_KSWAPD))
		return 0;
	kthread = BPF_CORE_READ(task, worker_private);
	pgdat = BPF_CORE_READ(kthread, data);
	if (!pgdat || BPF_CORE_READ(pgdat, kswapd) != task)
		return 0;
	node = BPF_CORE_READ(pgdat, node_id);
	if (node >= RW_NODES)
		return 0;
	rw_shared.nodes[node].kswapd = (__u64)task;
	rw_shared.nodes[node].pgdat = (__u64)pgdat;
	return 0;
}

__noinline int report_zone(__u64 address, __u32 node, __u32 index, __u64 free)
{
	struct rw_zone_marks *marks =
		&rw_shared.nodes[node & (RW_NODES - 1)].zones[index & (RW_ZONES - 1)];
	struct zone *zone = (void *)address;
	struct rw_zone *record;

	record = begin_record(RW_STEM_WATERMARK, RW_WATERMARK_ZONE, sizeof(*record));
	if (!record)
		return 0;
	record->node = node;
	record->index = index;
	__builtin_memset(record->name, 0, sizeof(record->name));
	bpf_probe_read_kernel_str(record->name, sizeof(record->name), BPF_CORE_READ(zone, name));
	record->free_pages = free;
	record->lowest_free_pages = marks->lowest_free_pages;
	record->lowest_boot_ns = marks->lowest_boot_ns;
	record->recent_lowest_free_pages = marks->recent_lowest_free_pages;
	marks->recent_lowest_free_pages = free;
	record->min_pages = zone_wmark_pages(zone, WMARK_MIN);
	record->low_pages = zone_wmark_pages(zone, WMARK_LOW);
	record->high_pages = zone_wmark_pages(zone, WMARK_HIGH);
	record->boost_pages = BPF_CORE_READ(zone, watermark_boost);
	record->managed_pages = BPF_CORE_READ(zone, managed_pages.counter);
	record->present_pages = BPF_CORE_READ(zone, present_pages);
	record->spanned_pages = BPF_CORE_READ(zone, spanned_pages);
	record->high_atomic_pages = BPF_CORE_READ(zone, nr_reserved_highatomic);
	__builtin_memset(record->protection_pages, 0, sizeof(record->protection_pages));
	record->protection_count = bpf_core_field_size(zone->lowmem_reserve) / 8;
	if (record->protection_count > RW_ZONE_TYPES)
		record->protection_count = RW_ZONE_TYPES;
	for (int i = 0; i < RW_ZONE_TYPES; i++) {
		if (i >= record->protection_count)
			break;
		bpf_probe_read_kernel(&record->protection_pages[i], 8,
				      (void *)zone + bpf_core_field_offset(zone->lowmem_reserve) +
					      i * 8);
	}
	record->reserved = 0;
	submit_record(record, RW_STEM_WATERMARK);
	return 0;
}

#define WAITERS_WALKED 64

/* Tasks on pgdat->pfmemalloc_wait; with walk_waiters each one is sent. */
__noinline int walk_waiters(__u64 address, __u32 node)
{
	struct pglist_data *pgdat = (void *)address;
	__u64 head = (__u64)pgdat + bpf_core_field_offset(pgdat->pfmemalloc_wait.head);
	__u64 entry = (__u64)BPF_CORE_READ(pgdat, pfmemalloc_wait.head.next);
	int waiters = 0;

	for (int i = 0; i < WAITERS_WALKED; i++) {
		struct wait_queue_entry *wait = NULL;
		struct task_struct *task;
		struct rw_throttle *record;

		if (!entry || entry == head)
			return waiters;
		wait = (void *)entry - bpf_core_field_offset(wait->entry);
		entry = (__u64)BPF_CORE_READ(wait, entry.next);
		waiters++;
		if (!rw_shared.settings.walk_waiters)
			continue;
		task = BPF_CORE_READ(wait, private);
		record = begin_record(RW_STEM_THROTTLE, RW_THROTTLE_WAITING, sizeof(*record));
		if (!record)
			continue;
		fill_task(&record->task, task);
		record->began_boot_ns = 0;
		record->duration_ns = 0;
		record->free_pages = 0;
		record->throttle_line_pages = 0;
		record->node = node;
		record->gfp_flags = 0;
		record->evaluations = 0;
		record->reserved = 0;
		submit_record(record, RW_STEM_THROTTLE);
	}
	return waiters + 1; /* more than we walked */
}

__noinline int report_node(__u32 node, struct node_reserve *reserve)
{
	struct rw_node_state *state = &rw_shared.nodes[node & (RW_NODES - 1)];
	struct pglist_data *pgdat = (void *)state->pgdat;
	struct task_struct *kswapd = (void *)state->kswapd;
	struct rw_node *record;
	int waiters;

	if (!reserve)
		return 0;
	waiters = walk_waiters((__u64)pgdat, node);
	record = begin_record(RW_STEM_WATERMARK, RW_WATERMARK_NODE, sizeof(*record));
	if (!record)
		return 0;
	record->node = node;
	record->direct_reclaim_allowed = allow_direct_reclaim(reserve, reserve->free_pages);
	record->kswapd_state = BPF_CORE_READ(kswapd, __state);
	record->waiters_known = waiters <= WAITERS_WALKED;
	record->zones_in_reserve = reserve->zones;
	record->pfmemalloc_reserve_pages = reserve->reserve_pages;
	record->throttle_line_pages = reserve->reserve_pages / 2;
	record->free_pages = reserve->free_pages;
	record->lowest_free_pages = state->lowest_free_pages;
	record->lowest_boot_ns = state->lowest_boot_ns;
	record->kswapd_failures = reserve->kswapd_failures;
	record->throttle_waiters = waiters;
	record->kswapd_tid = BPF_CORE_READ(kswapd, pid);
	record->kswapd_order = BPF_CORE_READ(pgdat, kswapd_order);
	record->kswapd_wakes = state->kswapd_wakes;
	record->kswapd_sleeps = state->kswapd_sleeps;
	record->kswapd_requests = state->kswapd_requests;
	submit_record(record, RW_STEM_WATERMARK);
	return 0;
}

__noinline int sample_zone(__u64 address, __u32 node, __u32 index, __u32 report)
{
	struct rw_zone_marks *marks =
		&rw_shared.nodes[node & (RW_NODES - 1)].zones[index & (RW_ZONES - 1)];
	struct zone *zone = (void *)address;
	__u64 free;

	if (BPF_CORE_READ(zone, managed_pages.counter) <= 0)
		return 0;
	free = zone_free_pages(zone);
	if (free < zone_wmark_pages(zone, WMARK_LOW))
		rw_shared.sampling_below_low = 1;
	if (!marks->lowest_boot_ns)
		marks->recent_lowest_free_pages = free;
	if (!marks->lowest_boot_ns || free < marks->lowest_free_pages) {
		marks->lowest_free_pages = free;
		marks->lowest_boot_ns = rw_shared.sampled_boot_ns;
	}
	if (free < marks->recent_lowest_free_pages)
		marks->recent_lowest_free_pages = free;
	if (report)
		report_zone(address, node, index, free);
	return 0;
}

__noinline int sample_node(__u32 node, __u32 report)
{
	struct rw_node_state *state = &rw_shared.nodes[node & (RW_NODES - 1)];
	struct pglist_data *pgdat = (void *)state->pgdat;
	struct node_reserve reserve = {};

	if (!pgdat)
		return 0;
	for (int i = 0; i < RW_ZONES; i++) {
		if (i * bpf_core_type_size(struct zone) >= bpf_core_field_size(pgdat->node_zones))
			break;
		sample_zone((__u64)node_zone(pgdat, i), node, i, report);
	}
	node_reserve(pgdat, &reserve);
	if (!state->lowest_boot_ns || reserve.free_pages < state->lowest_free_pages) {
		state->lowest_free_pages = reserve.free_pages;
		state->lowest_boot_ns = rw_shared.sampled_boot_ns;
	}
	if (report)
		report_node(node, &reserve);
	return 0;
}

static long report_stay(struct bpf_map *map, __u32 *tid, struct reclaim_stay *stay, void *unused)
{
	__u64 now = bpf_ktime_get_boot_ns();

	if (stay->sent || now < stay->began_boot_ns ||
	    now - stay->began_boot_ns < rw_shared.settings.slow_threshold_ns)
		return 0;
	stay->sent = 1;
	send_stay(stay, RW_DIRECT_RECLAIM_INSIDE, now - stay->began_boot_ns, 0);
	return 0;
}

/* How long a jiffy is: the kernel tells its timeouts in them. Good to 1 % after a second. */
static __always_inline void measure_jiffy(void)
{
	__u64 jiffies = bpf_jiffies64(), now = rw_shared.sampled_boot_ns, hz;

	if (!rw_shared.first_jiffies) {
		rw_shared.first_jiffies = jiffies;
		rw_shared.first_jiffies_ns = now;
	} else if (!rw_shared.jiffy_ns && now - rw_shared.first_jiffies_ns > 1000000000) {
		hz = ((jiffies - rw_shared.first_jiffies) * 1000000000 + 500000000) /
		     (now - rw_shared.first_jiffies_ns);
		/* CONFIG_HZ knows four values. */
		hz = hz > 600 ? 1000 : hz > 275 ? 300 : hz > 175 ? 250 : 100;
		rw_shared.jiffy_ns = 1000000000 / hz;
	}
}

/* The watch's own page faults, as the kernel counts them for its thread. */
static __always_inline void see_own_faults(void)
{
	struct task_struct *task = (void *)rw_shared.self_task;

	if (!task || !rw_shared.settings.self_tgid)
		return;
	rw_shared.wide.self_major_faults = BPF_CORE_READ(task, maj_flt);
	rw_shared.wide.self_minor_faults = BPF_CORE_READ(task, min_flt);
}

static int report_others(bool second)
{
	see_own_faults();
	if (second)
		find_nbd();
	find_nbd_sockets();
	see_guard_swaps();
	report_nbd();
	report_sockets();
	report_swaps();
	report_reclaim_tasks();
	report_page_tasks();
	if (second)
		report_slab();
	return 0;
}

static int sample(void *map, int *key, struct sampler *sampler)
{
	bool report = false;

	rw_shared.sampled_boot_ns = bpf_ktime_get_boot_ns();
	add(&rw_shared.counters.timer_ticks, 1);
	if (++sampler->ticks >= rw_shared.settings.report_ticks) {
		sampler->ticks = 0;
		report = true;
	}
	measure_jiffy();
	rw_shared.sampling_below_low = 0;
	for (__u32 node = 0; node < RW_NODES; node++)
		sample_node(node, report);
	rw_shared.below_low = rw_shared.sampling_below_low;
	if (rw_shared.counters.direct_reclaim_inside)
		bpf_for_each_map_elem(&reclaim_stays, report_stay, NULL, 0);
	if (report) {
		rw_shared.reports++;
		report_others(rw_shared.reports % 10 == 0);
	}
	bpf_timer_start(&sampler->timer, rw_shared.settings.sample_period_ns, 0);
	return 0;
}

/* At the end: no sample is under way or to come, and every figure is of this moment. */
SEC("syscall")
int final_report(void *ctx)
{
	struct sampler *sampler;
	__u32 key = 0;

	sampler = bpf_map_lookup_elem(&samplers, &key);
	if (!sampler)
		return 1;
	bpf_timer_cancel(&sampler->timer);
	rw_shared.sampled_boot_ns = bpf_ktime_get_boot_ns();
	for (__u32 node = 0; node < RW_NODES; node++)
		sample_node(node, true);
	bpf_for_each_map_elem(&memalloc_sockets, report_socket_finally, NULL, 0);
	report_others(true);
	bpf_for_each_map_elem(&reclaim_tasks, report_reclaim_task_finally, NULL, 0);
	bpf_for_each_map_elem(&page_tasks, report_page_task_finally, NULL, 0);
	return 0;
}

SEC("syscall")
int start_sampler(void *ctx)
{
	struct sampler *sampler;
	__u32 key = 0;

	sampler = bpf_map_lookup_elem(&samplers, &key);
	if (!sampler)
		return 1;
	if (bpf_timer_init(&sampler->timer, &samplers, CLOCK_MONOTONIC))
		return 2;
	if (bpf_timer_set_callback(&sampler->timer, sample))
		return 3;
	return bpf_timer_start(&sampler->timer, rw_shared.settings.sample_period_ns, 0) ? 4 : 0;
}
