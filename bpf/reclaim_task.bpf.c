// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Stem: direct_reclaim, by task: what each task did in reclaim, as
 * Documentation/trace/postprocess/trace-vmscan-postprocess.pl adds it up.
 * Hooks: tp_btf/mm_vmscan_direct_reclaim_begin, _end, mm_vmscan_wakeup_kswapd,
 *        mm_vmscan_kswapd_wake, _sleep, mm_vmscan_lru_isolate (mm/vmscan.c:
 *        isolate_lru_folios(), once for each batch), mm_vmscan_lru_shrink_inactive,
 *        mm_vmscan_write_folio. In an interrupt the task is only whom it hit.
 * Emits: RW_DIRECT_RECLAIM_TASK, of each task whose figures changed, once a
 *        second at most and at the end; bounded per 100 ms (from the timer).
 * Blind to: tasks beyond the table, counted; what a task did before the start.
 */

struct reclaim_task {
	struct rw_task task;
	__u64 first_boot_ns;
	__u64 began_boot_ns; /* of the direct reclaim, or the stretch awake, that is on */
	__u64 changed_report; /* number of the report at its last change */
	__u64 sent_report; /* ... and when it was last sent */
	struct rw_reclaim_figures figures;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RW_RECLAIM_TASKS);
	__type(key, __u64);
	__type(value, struct reclaim_task);
} reclaim_tasks SEC(".maps");

/* New entries are filled from here: too large for the stack. Never written. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct reclaim_task);
} new_reclaim_task SEC(".maps");

/* A thread's number and when it started: numbers are given again. */
static __always_inline __u64 current_life(void)
{
	__u64 started_ms = BPF_CORE_READ(current_task(), start_time) / 1000000;

	return started_ms << 32 | (__u32)bpf_get_current_pid_tgid();
}

static __always_inline struct reclaim_task *current_reclaim_task(void)
{
	__u64 life = current_life();
	struct reclaim_task *found = bpf_map_lookup_elem(&reclaim_tasks, &life), *fresh;
	__u32 zero = 0;

	if (!found) {
		fresh = bpf_map_lookup_elem(&new_reclaim_task, &zero);
		if (fresh)
			bpf_map_update_elem(&reclaim_tasks, &life, fresh, BPF_NOEXIST);
		found = bpf_map_lookup_elem(&reclaim_tasks, &life);
		if (!found) {
			add(&rw_shared.wide.reclaim_tasks_untracked, 1);
			return NULL;
		}
		fill_current(&found->task);
		found->first_boot_ns = bpf_ktime_get_boot_ns();
	}
	/* Number 0 is for what was never sent. */
	found->changed_report = rw_shared.reports + 1;
	return found;
}

static __always_inline void count_order(rw_u32 *orders, int order)
{
	__u32 place = order;

	if (place >= RW_RECLAIM_ORDERS)
		place = RW_RECLAIM_ORDERS - 1;
	asm volatile("" : "+r"(place));
	if (place < RW_RECLAIM_ORDERS)
		__sync_fetch_and_add(&orders[place], 1);
}

SEC("tp_btf/mm_vmscan_direct_reclaim_begin")
int BPF_PROG(task_reclaim_began, int order, unsigned int gfp_flags)
{
	struct reclaim_task *task = current_reclaim_task();

	if (!task)
		return 0;
	task->began_boot_ns = bpf_ktime_get_boot_ns();
	add(&task->figures.direct_reclaims, 1);
	count_order(task->figures.begun_by_order, order);
	return 0;
}

SEC("tp_btf/mm_vmscan_direct_reclaim_end")
int BPF_PROG(task_reclaim_ended, unsigned long nr_reclaimed)
{
	struct reclaim_task *task = current_reclaim_task();
	__u64 duration_ns;

	if (!task)
		return 0;
	add(&task->figures.direct_reclaimed_pages, nr_reclaimed);
	if (!task->began_boot_ns)
		return 0;
	duration_ns = bpf_ktime_get_boot_ns() - task->began_boot_ns;
	task->began_boot_ns = 0;
	add(&task->figures.direct_reclaim_ns, duration_ns);
	if (duration_ns > task->figures.longest_ns)
		task->figures.longest_ns = duration_ns;
	return 0;
}

SEC("tp_btf/mm_vmscan_wakeup_kswapd")
int BPF_PROG(task_asked_kswapd, int nid, int zid, int order, unsigned int gfp_flags)
{
	struct reclaim_task *task = current_reclaim_task();

	if (!task)
		return 0;
	add(&task->figures.kswapd_requests, 1);
	count_order(task->figures.requests_by_order, order);
	return 0;
}

SEC("tp_btf/mm_vmscan_kswapd_wake")
int BPF_PROG(task_kswapd_woke, int nid, int zid, int order)
{
	struct reclaim_task *task = current_reclaim_task();

	if (!task)
		return 0;
	if (task->began_boot_ns) {
		add(&task->figures.kswapd_rewakes, 1);
		count_order(task->figures.rewakes_by_order, order);
		return 0;
	}
	task->began_boot_ns = bpf_ktime_get_boot_ns();
	add(&task->figures.kswapd_wakes, 1);
	count_order(task->figures.wakes_by_order, order);
	return 0;
}

SEC("tp_btf/mm_vmscan_kswapd_sleep")
int BPF_PROG(task_kswapd_slept, int nid)
{
	struct reclaim_task *task = current_reclaim_task();
	__u64 awake_ns;

	if (!task || !task->began_boot_ns)
		return 0;
	awake_ns = bpf_ktime_get_boot_ns() - task->began_boot_ns;
	task->began_boot_ns = 0;
	add(&task->figures.kswapd_awake_ns, awake_ns);
	if (awake_ns > task->figures.kswapd_longest_ns)
		task->figures.kswapd_longest_ns = awake_ns;
	return 0;
}

SEC("tp_btf/mm_vmscan_lru_isolate")
int task_scanned(unsigned long long *arguments)
{
	struct reclaim_task *task = current_reclaim_task();
	__u64 scanned = arguments[3];
	bool file = isolated_file_list(arguments);

	if (task)
		add(file ? &task->figures.scanned_file_pages : &task->figures.scanned_anon_pages,
		    scanned);
	return 0;
}

SEC("tp_btf/mm_vmscan_lru_shrink_inactive")
int BPF_PROG(task_reclaimed, int nid, unsigned long nr_scanned, unsigned long nr_reclaimed,
	     void *stat, int priority, int file)
{
	struct reclaim_task *task = current_reclaim_task();

	if (task)
		add(file ? &task->figures.reclaimed_file_pages
			 : &task->figures.reclaimed_anon_pages,
		    nr_reclaimed);
	return 0;
}

/* include/linux/mm_inline.h:folio_is_file_lru() */
SEC("tp_btf/mm_vmscan_write_folio")
int BPF_PROG(task_wrote, void *folio)
{
	struct reclaim_task *task = current_reclaim_task();
	__u32 bit = bpf_core_enum_value(enum pageflags, PG_swapbacked);
	__u64 flags = 0;

	if (!task)
		return 0;
	/* The flags are the first word in every kernel. */
	bpf_probe_read_kernel(&flags, sizeof(flags), folio);
	add(flags >> (bit & 63) & 1 ? &task->figures.written_anon_pages
				    : &task->figures.written_file_pages,
	    1);
	return 0;
}

/* A task may change again while it is sent: what came after goes with the next record. */
static __always_inline void send_reclaim_task(struct reclaim_task *task)
{
	struct rw_reclaim_task *record;

	record = begin_record(RW_STEM_DIRECT_RECLAIM, RW_DIRECT_RECLAIM_TASK, sizeof(*record));
	if (!record)
		return;
	task->sent_report = rw_shared.reports + 1;
	record->task = task->task;
	record->first_boot_ns = task->first_boot_ns;
	record->figures = task->figures;
	submit_record(record, RW_STEM_DIRECT_RECLAIM);
}

static long report_reclaim_task(struct bpf_map *map, __u64 *life, struct reclaim_task *task,
				void *unused)
{
	__u64 report = rw_shared.reports + 1;

	if (task->changed_report >= task->sent_report && report >= task->sent_report + 10) {
		if (!rw_shared.task_budget)
			return 1;
		rw_shared.task_budget--;
		send_reclaim_task(task);
	} else if (report > task->changed_report + RW_RECLAIM_TASK_KEPT &&
		   task->changed_report < task->sent_report && !task->began_boot_ns) {
		/* Idle for a minute and told: others may need the room. */
		bpf_map_delete_elem(map, life);
	}
	return 0;
}

static long report_reclaim_task_finally(struct bpf_map *map, __u64 *life, struct reclaim_task *task,
					void *unused)
{
	send_reclaim_task(task);
	return 0;
}

static __always_inline void report_reclaim_tasks(void)
{
	rw_shared.task_budget = 48;
	bpf_for_each_map_elem(&reclaim_tasks, report_reclaim_task, NULL, 0);
}
