/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * Reading zones and the PFMEMALLOC reserve as mm/vmscan.c:allow_direct_reclaim()
 * computes them, shared by the timer's samples and by the check against the
 * kernel's own answer.
 */
#ifndef RESERVEWATCH_ZONES_BPF_H
#define RESERVEWATCH_ZONES_BPF_H

#define WMARK_MIN 0
#define WMARK_LOW 1
#define WMARK_HIGH 2

struct node_reserve {
	__u64 reserve_pages;
	__u64 free_pages;
	__u64 kswapd_failures;
	__u32 zones;
	__u32 reserved;
};

static __always_inline int zone_normal(void)
{
	return bpf_core_enum_value(enum zone_type, ZONE_NORMAL);
}

static __always_inline struct zone *node_zone(struct pglist_data *pgdat, int index)
{
	return (void *)pgdat + bpf_core_field_offset(pgdat->node_zones) +
	       index * bpf_core_type_size(struct zone);
}

static __always_inline __u64 zone_counter(struct zone *zone, __u32 item)
{
	long pages = 0;

	bpf_probe_read_kernel(&pages, sizeof(pages),
			      (void *)zone + bpf_core_field_offset(zone->vm_stat) + item * 8);
	return pages < 0 ? 0 : pages;
}

static __always_inline __u64 zone_free_pages(struct zone *zone)
{
	return zone_counter(zone, bpf_core_enum_value(enum zone_stat_item, NR_FREE_PAGES));
}

/* include/linux/mmzone.h:wmark_pages(): the boost is part of every mark. */
static __always_inline __u64 zone_wmark_pages(struct zone *zone, int mark)
{
	unsigned long pages = 0;

	bpf_probe_read_kernel(&pages, sizeof(pages), &zone->_watermark[mark]);
	return pages + BPF_CORE_READ(zone, watermark_boost);
}

/*
 * A zone counts when it has managed pages and zone_reclaimable_pages() is not
 * zero. Since 6aaced5abd32 that function answers with the free pages where
 * nothing is on the LRU lists, so that only a zone with neither is left out.
 * (The kernel looks at anonymous pages only while swap is free; nr_swap_pages
 * cannot be read everywhere, and a swapping host has it.)
 */
static __always_inline bool zone_in_reserve(struct zone *zone)
{
	if (BPF_CORE_READ(zone, managed_pages.counter) <= 0)
		return false;
	return zone_free_pages(zone) ||
	       zone_counter(zone,
			    bpf_core_enum_value(enum zone_stat_item, NR_ZONE_INACTIVE_FILE)) ||
	       zone_counter(zone, bpf_core_enum_value(enum zone_stat_item, NR_ZONE_ACTIVE_FILE)) ||
	       zone_counter(zone,
			    bpf_core_enum_value(enum zone_stat_item, NR_ZONE_INACTIVE_ANON)) ||
	       zone_counter(zone, bpf_core_enum_value(enum zone_stat_item, NR_ZONE_ACTIVE_ANON));
}

/*
 * Not static, here and below: the verifier then checks a function once, for
 * any arguments, and not again for each of its callers' states. Without that
 * 6.1 gives up on the timer's program after a million instructions.
 */
__noinline int add_zone_to_reserve(__u64 address, struct node_reserve *node)
{
	struct zone *zone = (void *)address;

	if (!node || !zone_in_reserve(zone))
		return 0;
	node->reserve_pages += zone_wmark_pages(zone, WMARK_MIN);
	node->free_pages += zone_free_pages(zone);
	node->zones++;
	return 1;
}

static __always_inline void node_reserve(struct pglist_data *pgdat, struct node_reserve *node)
{
	for (int i = 0; i < RW_ZONES; i++) {
		if (i > zone_normal())
			break;
		add_zone_to_reserve((__u64)node_zone(pgdat, i), node);
	}
	node->kswapd_failures = kswapd_failures(pgdat);
}

static __always_inline bool allow_direct_reclaim(struct node_reserve *node, __u64 free_pages)
{
	if (node->kswapd_failures >= MAX_RECLAIM_RETRIES || !node->reserve_pages)
		return true;
	return free_pages > node->reserve_pages / 2;
}

#endif
