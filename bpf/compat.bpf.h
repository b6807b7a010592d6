/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * What differs between kernels, one accessor for each difference, named for
 * its meaning. Decided by the running kernel's BTF when the object is loaded.
 */
#ifndef RESERVEWATCH_COMPAT_BPF_H
#define RESERVEWATCH_COMPAT_BPF_H

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

/* kswapd_failures became an atomic_t (v6.18, "mm/vmscan: make kswapd_failures atomic"). */
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

/* x86 preempt_count lives in pcpu_hot from v6.2 (64701838bf05) to v6.14, else in __preempt_count. */
struct pcpu_hot {
	int preempt_count;
};

#pragma clang attribute pop

static __always_inline __u64 kswapd_failures(struct pglist_data *pgdat)
{
	struct pglist_data___atomic_failures *atomic = (void *)pgdat;

	if (bpf_core_field_exists(atomic->kswapd_failures.counter))
		return (unsigned int)BPF_CORE_READ(atomic, kswapd_failures.counter);
	return (unsigned int)BPF_CORE_READ(pgdat, kswapd_failures);
}

static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *kn)
{
	struct kernfs_node___rcu_parent *rcu = (void *)kn;

	if (bpf_core_field_exists(kn->parent))
		return BPF_CORE_READ(kn, parent);
	return BPF_CORE_READ(rcu, __parent);
}

/* As get_mm_rss() sees it: file, anonymous and shared pages; per-CPU deltas are not folded in. */
static __always_inline __u64 mm_rss_pages(struct mm_struct *mm)
{
	struct mm_struct___atomic_rss *atomic = (void *)mm;
	struct mm_struct___percpu_rss *percpu = (void *)mm;
	__s64 pages[3];

	if (bpf_core_field_exists(atomic->rss_stat.count)) {
		pages[0] = BPF_CORE_READ(atomic, rss_stat.count[0].counter);
		pages[1] = BPF_CORE_READ(atomic, rss_stat.count[1].counter);
		pages[2] = BPF_CORE_READ(atomic, rss_stat.count[3].counter);
	} else {
		pages[0] = BPF_CORE_READ(percpu, rss_stat[0].count);
		pages[1] = BPF_CORE_READ(percpu, rss_stat[1].count);
		pages[2] = BPF_CORE_READ(percpu, rss_stat[3].count);
	}
	return (pages[0] > 0 ? pages[0] : 0) + (pages[1] > 0 ? pages[1] : 0) +
	       (pages[2] > 0 ? pages[2] : 0);
}

#endif
