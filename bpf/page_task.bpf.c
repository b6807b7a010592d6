// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Stem: reserve, by task and armed: what each task did at the page allocator, as
 * Documentation/trace/postprocess/trace-pagealloc-postprocess.pl adds it up.
 * Hooks: tp_btf/mm_page_alloc, mm_page_free, mm_page_free_batched,
 *        mm_page_alloc_zone_locked, mm_page_pcpu_drain, mm_page_alloc_extfrag, in any
 *        context: a hot path, so only when armed. In an interrupt the task is only whom
 *        it hit.
 * Emits: RW_RESERVE_PAGES, of each task whose figures changed, once a second at most and
 *        at the end; bounded per 100 ms (from the timer).
 * Blind to: tasks beyond the table, counted; whether a fallback changed the block's type.
 */

struct page_task {
	struct rw_task task;
	__u64 first_boot_ns;
	__u64 changed_report; /* number of the report at its last change */
	__u64 sent_report; /* ... and when it was last sent */
	__u32 draining; /* 1: its last event was mm_page_pcpu_drain */
	__u32 refilling; /* 1: ... mm_page_alloc_zone_locked */
	struct rw_page_figures figures;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RW_PAGE_TASKS);
	__type(key, __u64);
	__type(value, struct page_task);
} page_tasks SEC(".maps");

/* New entries are filled from here: too large for the stack. Never written. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct page_task);
} new_page_task SEC(".maps");

enum page_event { PAGE_OTHER, PAGE_LOCKED, PAGE_DRAINED };

/*
 * The entry of the current task. A run of drains or refills ends with another event of the
 * same task: that is how the script counts them. Idle tasks share the number 0: each CPU has
 * an entry for its own, so that no two CPUs write one.
 */
static __always_inline struct page_task *current_page_task(enum page_event event)
{
	__u64 life = current_life();
	struct page_task *found, *fresh;
	__u32 zero = 0;

	if (!(__u32)life)
		life = (__u64)(bpf_get_smp_processor_id() + 1) << 32;
	found = bpf_map_lookup_elem(&page_tasks, &life);
	if (!found) {
		fresh = bpf_map_lookup_elem(&new_page_task, &zero);
		if (fresh)
			bpf_map_update_elem(&page_tasks, &life, fresh, BPF_NOEXIST);
		found = bpf_map_lookup_elem(&page_tasks, &life);
		if (!found) {
			add(&rw_shared.wide.page_tasks_untracked, 1);
			return NULL;
		}
		fill_current(&found->task);
		found->first_boot_ns = bpf_ktime_get_boot_ns();
	}
	if (found->draining && event != PAGE_DRAINED) {
		found->draining = 0;
		add(&found->figures.drains, 1);
	}
	if (found->refilling && event != PAGE_LOCKED) {
		found->refilling = 0;
		add(&found->figures.refills, 1);
	}
	found->changed_report = rw_shared.reports + 1;
	return found;
}

SEC("tp_btf/mm_page_alloc")
int BPF_PROG(task_page_allocated, struct page *page, unsigned int order, unsigned int gfp_flags,
	     int migratetype)
{
	struct page_task *task = current_page_task(PAGE_OTHER);

	if (!task)
		return 0;
	add(&task->figures.allocations, 1);
	if (page)
		add(&task->figures.allocated_pages, 1ull << (order & 15));
	return 0;
}

SEC("tp_btf/mm_page_free")
int BPF_PROG(task_page_freed, struct page *page, unsigned int order)
{
	struct page_task *task = current_page_task(PAGE_OTHER);

	if (!task)
		return 0;
	add(&task->figures.frees, 1);
	add(&task->figures.freed_pages, 1ull << (order & 15));
	return 0;
}

SEC("tp_btf/mm_page_free_batched")
int BPF_PROG(task_page_freed_batched, struct page *page)
{
	struct page_task *task = current_page_task(PAGE_OTHER);

	if (task)
		add(&task->figures.batched_frees, 1);
	return 0;
}

SEC("tp_btf/mm_page_alloc_zone_locked")
int BPF_PROG(task_page_zone_locked, struct page *page, unsigned int order, int migratetype)
{
	struct page_task *task = current_page_task(PAGE_LOCKED);

	if (!task)
		return 0;
	add(&task->figures.zone_locked, 1);
	task->refilling = 1;
	return 0;
}

SEC("tp_btf/mm_page_pcpu_drain")
int BPF_PROG(task_page_drained, struct page *page, unsigned int order, int migratetype)
{
	struct page_task *task = current_page_task(PAGE_DRAINED);

	if (!task)
		return 0;
	add(&task->figures.pcpu_drained, 1);
	task->draining = 1;
	return 0;
}

SEC("tp_btf/mm_page_alloc_extfrag")
int BPF_PROG(task_page_fell_back, struct page *page, int alloc_order, int fallback_order,
	     int alloc_migratetype, int fallback_migratetype)
{
	struct page_task *task = current_page_task(PAGE_OTHER);

	if (!task)
		return 0;
	add(&task->figures.fallbacks, 1);
	/* The script calls it severe up to order 3, which is smaller than any page block. */
	if (fallback_order <= 3)
		add(&task->figures.severe_fallbacks, 1);
	return 0;
}

static __always_inline void send_page_task(struct page_task *task)
{
	struct rw_page_task *record;

	record = begin_record(RW_STEM_RESERVE, RW_RESERVE_PAGES, sizeof(*record));
	if (!record)
		return;
	task->sent_report = rw_shared.reports + 1;
	record->task = task->task;
	record->first_boot_ns = task->first_boot_ns;
	record->figures = task->figures;
	/* A run that is on counts, as it does at the end of the script's input. */
	record->figures.drains += task->draining;
	record->figures.refills += task->refilling;
	submit_record(record, RW_STEM_RESERVE);
}

static long report_page_task(struct bpf_map *map, __u64 *life, struct page_task *task, void *unused)
{
	__u64 report = rw_shared.reports + 1;

	if (task->changed_report >= task->sent_report && report >= task->sent_report + 10) {
		if (!rw_shared.task_budget)
			return 1;
		rw_shared.task_budget--;
		send_page_task(task);
	} else if (report > task->changed_report + RW_RECLAIM_TASK_KEPT &&
		   task->changed_report < task->sent_report) {
		bpf_map_delete_elem(map, life);
	}
	return 0;
}

static long report_page_task_finally(struct bpf_map *map, __u64 *life, struct page_task *task,
				     void *unused)
{
	send_page_task(task);
	return 0;
}

static __always_inline void report_page_tasks(void)
{
	if (!rw_shared.settings.page_tasks)
		return;
	rw_shared.task_budget = 48;
	bpf_for_each_map_elem(&page_tasks, report_page_task, NULL, 0);
}
