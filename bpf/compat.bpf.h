/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * What differs between kernels, one accessor for each difference, named for
 * its meaning. Decided by the running kernel's BTF when the object is loaded.
 */
#ifndef RESERVEWATCH_COMPAT_BPF_H
#define RESERVEWATCH_COMPAT_BPF_H

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* kswapd_failures became an atomic_t (v6.18, e7a5f249e6db). */
struct pglist_data___atomic_failures {
	atomic_t kswapd_failures;
};

/* kernfs_node::parent became __parent under RCU (v6.15, 633488947ef6). */
struct kernfs_node___rcu_parent {
	struct kernfs_node *__parent;
};

/* mm_struct::rss_stat became an array of percpu_counter (v6.2, f1a7941243c1). */
struct mm_rss_stat___atomic {
	atomic_long_t count[4];
};

struct mm_struct___atomic_rss {
	struct mm_rss_stat___atomic rss_stat;
};

struct percpu_counter {
	__s64 count;
};

struct mm_struct___percpu_rss {
	struct percpu_counter rss_stat[4];
};

/*
 * x86's preempt_count moved from __preempt_count into pcpu_hot (v6.2, 64701838bf05), and
 * back (v6.15, 46e8fff6d45f).
 */
struct pcpu_hot {
	int preempt_count;
};

/* swap_info_struct::inuse_pages became an atomic_long_t (v6.14, b228386cf237). */
struct swap_info_struct___atomic_inuse {
	atomic_long_t inuse_pages;
};

/* Slabs got names of their own for their flag bits (v6.17, 3df29914d9fd). */
enum slab_flags___own { SL_pfmemalloc = 8 };

/* mm_vmscan_lru_isolate lost its isolate_mode, and lru moved up (v6.7, 3dfbb555c98a). */
struct trace_event_raw_mm_vmscan_lru_isolate {
	unsigned int isolate_mode;
};

#pragma clang attribute pop

/*
 * Whether the list of an mm_vmscan_lru_isolate holds file pages: enum lru_list. The two
 * reads are kept apart, for the verifier wants a fixed place in the arguments for each.
 */
static __always_inline bool isolated_file_list(unsigned long long *arguments)
{
	struct trace_event_raw_mm_vmscan_lru_isolate *event = NULL;
	__u64 list;

	if (bpf_core_field_exists(event->isolate_mode)) {
		list = arguments[7];
		asm volatile("" : "+r"(list)::"memory");
	} else {
		list = arguments[6];
		asm volatile("" : "+r"(list));
	}
	return (__u32)list == LRU_INACTIVE_FILE || (__u32)list == LRU_ACTIVE_FILE;
}

static __always_inline __u64 kswapd_failures(struct pglist_data *pgdat)
{
	struct pglist_data___atomic_failures *atomic = (void *)pgdat;

	if (bpf_core_field_exists(atomic->kswapd_failures.counter))
		return (unsigned int)BPF_CORE_READ(atomic, kswapd_failures.counter);
	return (unsigned int)BPF_CORE_READ(pgdat, kswapd_failures);
}

static __always_inline __u64 swap_used_pages(struct swap_info_struct *swap)
{
	struct swap_info_struct___atomic_inuse *atomic = (void *)swap;
	__u64 used;

	if (!bpf_core_field_exists(atomic->inuse_pages.counter))
		return BPF_CORE_READ(swap, inuse_pages);
	/*
	 * mm/swapfile.c, SWAP_USAGE_OFFLIST_BIT: one bit of the atomic is no page, but says
	 * that the device is off the list of those with room, as a full one is. It came as
	 * the second highest of an int (b228386cf237), where a device of 4 TiB counts pages
	 * as well: it is the flag where there would be more pages than the device has.
	 */
	used = BPF_CORE_READ(atomic, inuse_pages.counter) & ((1ull << 62) - 1);
	if (used > BPF_CORE_READ(swap, pages))
		used &= ~(1ull << 30);
	return used;
}

/* mm/slub.c:slab_test_pfmemalloc(). The flags are the first word in every kernel. */
static __always_inline bool slab_from_reserve(__u64 slab)
{
	__u64 flags = 0;
	__u32 bit;

	if (bpf_core_enum_value_exists(enum slab_flags___own, SL_pfmemalloc))
		bit = bpf_core_enum_value(enum slab_flags___own, SL_pfmemalloc);
	else
		bit = bpf_core_enum_value(enum pageflags, PG_active);
	bpf_probe_read_kernel(&flags, sizeof(flags), (void *)slab);
	return flags >> (bit & 63) & 1;
}

/* SKB_DROP_REASON_PFMEMALLOC is new (v6.17, a6f190630d07). */
static __always_inline __u32 drop_reason(__u32 number)
{
	if (bpf_core_enum_value_exists(enum skb_drop_reason, SKB_DROP_REASON_PFMEMALLOC) &&
	    number == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_PFMEMALLOC))
		return RW_DROP_PFMEMALLOC;
	if (bpf_core_enum_value_exists(enum skb_drop_reason, SKB_DROP_REASON_SOCKET_FILTER) &&
	    number == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_SOCKET_FILTER))
		return RW_DROP_SOCKET_FILTER;
	return RW_DROP_OTHER;
}

/* Whether such drops have a reason that nothing else can have. */
static __always_inline bool has_pfmemalloc_reason(void)
{
	return bpf_core_enum_value_exists(enum skb_drop_reason, SKB_DROP_REASON_PFMEMALLOC);
}

static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *kn)
{
	struct kernfs_node___rcu_parent *rcu = (void *)kn;

	if (bpf_core_field_exists(kn->parent))
		return BPF_CORE_READ(kn, parent);
	return BPF_CORE_READ(rcu, __parent);
}

/* include/linux/mm.h:get_mm_counter(); per-CPU deltas are not folded in. */
static __always_inline __u64 mm_counter(struct mm_struct *mm, int member)
{
	struct mm_struct___atomic_rss *atomic = (void *)mm;
	struct mm_struct___percpu_rss *percpu = (void *)mm;
	struct percpu_counter *counter;
	__s64 pages;

	if (bpf_core_field_exists(atomic->rss_stat.count)) {
		pages = BPF_CORE_READ(atomic, rss_stat.count[member].counter);
	} else {
		/* The length of a percpu_counter is the kernel's: no index of ours knows it. */
		counter = (void *)percpu + bpf_core_field_offset(percpu->rss_stat) +
			  member * bpf_core_type_size(struct percpu_counter);
		pages = BPF_CORE_READ(counter, count);
	}
	return pages > 0 ? pages : 0;
}

/* As get_mm_rss() sees it: file, anonymous and shared pages. */
static __always_inline __u64 mm_rss_pages(struct mm_struct *mm)
{
	return mm_counter(mm, 0) + mm_counter(mm, 1) + mm_counter(mm, 3);
}

#endif
