// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Stem: reserve. Who takes pages with the watermarks ignored, how long they
 * are held, and which allocations got nothing.
 * Hooks: tp_btf/mm_page_alloc (mm/page_alloc.c:__alloc_pages(), any context),
 *        tp_btf/mm_page_free (free_pages_prepare(), any context).
 * Emits: RW_RESERVE_TAKEN and RW_RESERVE_RETURNED, each one; RW_RESERVE_FAILED and
 *        RW_RESERVE_BELOW_MIN, bounded per 100 ms, the rest counted as suppressed.
 * The mark: prep_new_page() calls set_page_pfmemalloc() exactly when the page
 * came with ALLOC_NO_WATERMARKS: bit 1 of the lru.next word.
 * Below min: looked at only while the timer saw some zone below low, so that a calm
 * host pays one load. The zone's free pages are read after the allocation: one that
 * passed the mark and found others ahead of it counts too (RW_ALLOWED_NONE).
 * Blind to: an allocation or free in an interrupt that hit this very program
 * (the kernel skips it and counts it: loss "missed"); what becomes of a block after it is split (it returns when its
 * first page is freed); the context, on kernels that hide preempt_count.
 * Cost: a load and a test per allocation and per free; the hash only for pages
 * that the filter lets through, one in some thousands that were never taken.
 */

struct reserve_block {
	__u64 serial;
	__u64 taken_boot_ns;
	__u32 order;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct reserve_block);
} reserve_blocks SEC(".maps");

/*
 * A kernel pointer as a number, less a constant that is a multiple of a page. The
 * verifier lets no arithmetic be done on a pointer but to subtract another one; a
 * probe read would do as well, at several times the cost, for every page.
 */
static __always_inline __u64 number_of(const void *pointer)
{
	__u64 number = (__u64)pointer;

	asm volatile("%0 -= %1" : "+r"(number) : "r"(&rw_shared));
	return number;
}

/* Counts blocks by hash of their page, so that a free of any other page costs one load. */
static __always_inline rw_u32 *filter_cell(struct page *page)
{
	return &rw_shared.block_filter[((number_of(page) >> 6) * 0x9e3779b97f4a7c15ull >> 40) &
				       (RW_BLOCK_FILTER - 1)];
}

extern const int __preempt_count __ksym __weak;
extern const struct pcpu_hot pcpu_hot __ksym __weak;

/* -1: not to be had. Bit 31 is the inverted PREEMPT_NEED_RESCHED, no part of the count. */
static __always_inline int preempt_count(void)
{
	if (&pcpu_hot)
		return ((struct pcpu_hot *)bpf_this_cpu_ptr(&pcpu_hot))->preempt_count &
		       ~PREEMPT_NEED_RESCHED;
	if (&__preempt_count)
		return *(int *)bpf_this_cpu_ptr(&__preempt_count) & ~PREEMPT_NEED_RESCHED;
	return -1;
}

static __always_inline __u8 context_of(int count, unsigned int task_flags)
{
	if (count < 0)
		return RW_CONTEXT_UNKNOWN;
	if (count & NMI_MASK)
		return RW_CONTEXT_NMI;
	if (count & HARDIRQ_MASK)
		return RW_CONTEXT_HARDIRQ;
	if (count & SERVING_SOFTIRQ)
		return RW_CONTEXT_SOFTIRQ;
	return task_flags & PF_KSWAPD ? RW_CONTEXT_KSWAPD : RW_CONTEXT_PROCESS;
}

/* What all records of this stem have in common. */
static __always_inline void fill_reserve(struct rw_reserve *record, __u32 order, __u32 gfp,
					 __u8 context)
{
	fill_current(&record->task);
	record->serial = 0;
	record->held_ns = 0;
	record->gfp_flags = gfp;
	record->order = order;
	record->context = context;
	record->entitlement = 0;
	record->allowance = RW_ALLOWED_NONE;
	record->stack = -1;
	record->reserved = 0;
}

static __always_inline __u64 name_current_cgroup(void)
{
	struct task_struct *task = current_task();

	name_cgroup(task, BPF_CORE_READ(task_cgroup(task), id));
	return 0;
}

static __noinline int reserve_failed(void *ctx, __u32 order, __u32 gfp, int count)
{
	struct rw_counters *counters = &rw_shared.counters;
	struct rw_reserve *record;
	int stack = -1;

	add(&counters->alloc_failed, 1);
	if (!order)
		add(&counters->alloc_failed_order0, 1);
	if (!(gfp & GFP_DIRECT_RECLAIM))
		add(&counters->alloc_failed_atomic, 1);
	if (!within_window(RW_STEM_RESERVE))
		return 0;
	if (!(gfp & GFP_DIRECT_RECLAIM))
		stack = stack_of(ctx, TRACEPOINT_FRAMES);
	name_current_cgroup();
	record = begin_record(RW_STEM_RESERVE, RW_RESERVE_FAILED, sizeof(*record));
	if (!record)
		return 0;
	fill_reserve(record, order, gfp, context_of(count, BPF_CORE_READ(current_task(), flags)));
	record->stack = stack;
	submit_record(record, RW_STEM_RESERVE);
	return 0;
}

static __noinline int reserve_taken(void *ctx, struct page *page, __u32 order_gfp, int count)
{
	/* Once its address is taken the verifier forgets that it is a pointer: cell first. */
	rw_u32 *cell = filter_cell(page);
	__u64 key = (__u64)page;
	struct rw_counters *counters = &rw_shared.counters;
	unsigned int flags = BPF_CORE_READ(current_task(), flags);
	/* Five arguments at most: the two small ones come in one. */
	__u32 order = order_gfp >> 28, gfp = order_gfp & 0xfffffff;
	__u64 pages = 1ull << (order & 15);
	struct reserve_block block = {};
	struct rw_reserve *record;
	__u8 entitlement = 0;
	int stack;

	add(&counters->reserve_taken, 1);
	add(&counters->reserve_taken_pages, pages);
	block.serial = __sync_fetch_and_add(&rw_shared.serial, 1) + 1;
	block.taken_boot_ns = bpf_ktime_get_boot_ns();
	block.order = order;
	if (bpf_map_update_elem(&reserve_blocks, &key, &block, BPF_NOEXIST)) {
		add(&counters->reserve_untracked_pages, pages);
		block.serial = 0;
	} else {
		__sync_fetch_and_add(cell, 1);
		add(&counters->reserve_outstanding, 1);
		add(&counters->reserve_outstanding_pages, pages);
	}
	/* mm/page_alloc.c:__gfp_pfmemalloc_flags(), in its order */
	if (gfp & GFP_MEMALLOC)
		entitlement |= RW_ENTITLED_GFP_MEMALLOC;
	if (flags & PF_MEMALLOC)
		entitlement |= RW_ENTITLED_PF_MEMALLOC;
	if (!entitlement)
		entitlement = RW_ENTITLED_OOM_VICTIM;
	stack = stack_of(ctx, TRACEPOINT_FRAMES);
	name_current_cgroup();
	record = begin_record(RW_STEM_RESERVE, RW_RESERVE_TAKEN, sizeof(*record));
	if (!record)
		return 0;
	fill_reserve(record, order, gfp, context_of(count, flags));
	record->serial = block.serial;
	record->entitlement = entitlement;
	record->stack = stack;
	submit_record(record, RW_STEM_RESERVE);
	return 0;
}

/* Why gfp_to_alloc_flags() lets this allocation below min; the first that applies. */
static __always_inline __u32 allowance_of(__u32 gfp, __u8 context, struct task_struct *task)
{
	if (gfp & GFP_HIGH)
		return gfp & GFP_DIRECT_RECLAIM ? RW_ALLOWED_HIGH : RW_ALLOWED_ATOMIC;
	if (!(gfp & GFP_DIRECT_RECLAIM))
		return RW_ALLOWED_NON_BLOCK;
	if (context == RW_CONTEXT_PROCESS && BPF_CORE_READ(task, prio) < MAX_RT_PRIO)
		return RW_ALLOWED_REAL_TIME;
	return RW_ALLOWED_NONE;
}

/*
 * The zone of a page, from the bits that include/linux/page-flags-layout.h packs to the
 * left of page->flags: nodes first, then zones. How many bits each takes follows from the
 * lengths of two arrays. Sections take none with CONFIG_SPARSEMEM_VMEMMAP, which
 * x86-64 and arm64 cannot do without.
 */
static __always_inline __u64 zone_of(__u64 page)
{
	struct pglist_data *pgdat = NULL;
	struct zonelist *zonelist = NULL;
	__u32 zones = bpf_core_field_size(pgdat->node_zones) / bpf_core_type_size(struct zone);
	__u32 nodes =
		(bpf_core_field_size(zonelist->_zonerefs) / bpf_core_type_size(struct zoneref) -
		 1) /
		(zones ? zones : 1);
	__u32 zone_bits = zones <= 1 ? 0 : zones <= 2 ? 1 : zones <= 4 ? 2 : 3;
	__u32 node_bits = 0, node, index;
	__u64 flags = 0;

	for (__u32 i = 1; i < 12; i++)
		if (nodes >> i)
			node_bits = i;
	bpf_probe_read_kernel(&flags, sizeof(flags), (void *)page);
	node = node_bits ? flags >> (64 - node_bits) : 0;
	index = flags >> (64 - node_bits - zone_bits) & ((1 << zone_bits) - 1);
	if (node >= RW_NODES || index >= zones || !rw_shared.nodes[node & (RW_NODES - 1)].pgdat)
		return 0;
	return (__u64)node_zone((void *)rw_shared.nodes[node & (RW_NODES - 1)].pgdat, index);
}

/* A page that kept the watermarks, got while the timer saw some zone below low. */
static __noinline int below_min(void *ctx, __u64 page, __u32 order_gfp, int count)
{
	struct rw_wide_counters *wide = &rw_shared.wide;
	__u32 order = order_gfp >> 28, gfp = order_gfp & 0xfffffff, allowance;
	struct task_struct *task = current_task();
	struct zone *zone = (void *)zone_of(page);
	struct rw_reserve *record;
	__u8 context;

	if (!zone || zone_free_pages(zone) >= zone_wmark_pages(zone, WMARK_MIN))
		return 0;
	context = context_of(count, BPF_CORE_READ(task, flags));
	allowance = allowance_of(gfp, context, task);
	add(&wide->below_min, 1);
	add(&wide->below_min_pages, 1ull << (order & 15));
	add(&wide->below_min_by[allowance & (RW_ALLOWED_KINDS - 1)], 1);
	if (!within_window_of(RW_STEM_RESERVE, RW_WINDOW_BELOW_MIN))
		return 0;
	name_current_cgroup();
	record = begin_record(RW_STEM_RESERVE, RW_RESERVE_BELOW_MIN, sizeof(*record));
	if (!record)
		return 0;
	fill_reserve(record, order, gfp, context);
	record->allowance = allowance;
	submit_record(record, RW_STEM_RESERVE);
	return 0;
}

static __always_inline int page_allocated(void *ctx, struct page *page, __u32 order, __u32 gfp,
					  bool counted)
{
	__u32 order_gfp = order << 28 | (gfp & 0xfffffff);

	if (!page)
		return reserve_failed(ctx, order, gfp, counted ? preempt_count() : -1);
	if (rw_shared.settings.self_tgid && count_own_pages(order, counted ? preempt_count() : -1))
		rw_shared.self_stack = stack_of(ctx, TRACEPOINT_FRAMES) + 1;
	if (number_of(page->lru.next) & 2)
		return reserve_taken(ctx, page, order_gfp, counted ? preempt_count() : -1);
	if (rw_shared.below_low)
		return below_min(ctx, (__u64)page, order_gfp, counted ? preempt_count() : -1);
	return 0;
}

SEC("tp_btf/mm_page_alloc")
int BPF_PROG(reserve_alloc, struct page *page, unsigned int order, unsigned int gfp,
	     int migratetype)
{
	return page_allocated(ctx, page, order, gfp, true);
}

/* For kernels without CONFIG_KALLSYMS_ALL, where no program may name a per-CPU variable. */
SEC("tp_btf/mm_page_alloc")
int BPF_PROG(reserve_alloc_no_context, struct page *page, unsigned int order, unsigned int gfp,
	     int migratetype)
{
	return page_allocated(ctx, page, order, gfp, false);
}

SEC("tp_btf/mm_page_free")
int BPF_PROG(reserve_free, struct page *page, unsigned int order)
{
	struct rw_counters *counters = &rw_shared.counters;
	struct reserve_block *block, taken;
	struct rw_reserve *record;
	__u64 key = (__u64)page;
	__u64 pages;

	/*
	 * The mark alone would miss up to 6.5 % of the blocks: pages that became
	 * slab or went on an LRU list lost it. The hash is exact; the filter
	 * before it has no false negatives.
	 */
	if (!*filter_cell(page))
		return 0;
	block = bpf_map_lookup_elem(&reserve_blocks, &key);
	if (!block)
		return 0;
	taken = *block;
	if (bpf_map_delete_elem(&reserve_blocks, &key))
		return 0;
	__sync_fetch_and_add(filter_cell(page), -1);
	pages = 1ull << (taken.order & 15);
	add(&counters->reserve_returned, 1);
	add(&counters->reserve_returned_pages, pages);
	add(&counters->reserve_outstanding, -1);
	add(&counters->reserve_outstanding_pages, -pages);
	record = begin_record(RW_STEM_RESERVE, RW_RESERVE_RETURNED, sizeof(*record));
	if (!record)
		return 0;
	fill_reserve(record, taken.order, 0, RW_CONTEXT_UNKNOWN);
	record->serial = taken.serial;
	record->held_ns = record->header.boot_ns - taken.taken_boot_ns;
	submit_record(record, RW_STEM_RESERVE);
	return 0;
}
