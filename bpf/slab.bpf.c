// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Stem: slab. Slabs whose pages came from the reserve, by cache; objects of such
 * slabs refused to callers that are not entitled; how caches grow and shrink.
 * Hooks: fexit/allocate_slab, fentry/__free_slab (mm/slub.c, any context; some
 *        hundred a second), fexit/gfp_pfmemalloc_allowed (only when a request
 *        meets a slab of the reserve). Only when armed, since every object pays:
 *        tp_btf/kmem_cache_alloc, kmem_cache_free, kmalloc, kfree.
 * Emits: RW_SLAB_TAKEN and RW_SLAB_REFUSED, bounded per 100 ms; RW_SLAB_CACHE each
 *        second for each cache that changed (from the timer, watermark.bpf.c).
 * Blind to: which cache refused (the kernel asks without naming it); caches
 * beyond the table (counted as untracked); kmalloc of more than two pages, which
 * is no slab.
 */

struct slab_cache_state {
	struct rw_slab_cache record; /* as it goes out, but for its header */
	__u64 told; /* sum of what was told last */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct slab_cache_state);
} slab_caches SEC(".maps");

static __noinline struct slab_cache_state *slab_cache_of(__u64 address)
{
	struct kmem_cache *cache = (void *)address;
	struct slab_cache_state *state = bpf_map_lookup_elem(&slab_caches, &address);
	struct slab_cache_state fresh = {};

	if (state)
		return state;
	fresh.record.serial = __sync_fetch_and_add(&rw_shared.cache_serial, 1) + 1;
	bpf_probe_read_kernel_str(fresh.record.cache, sizeof(fresh.record.cache),
				  BPF_CORE_READ(cache, name));
	fresh.record.object_bytes = BPF_CORE_READ(cache, object_size);
	/* mm/slub.c:oo_order() */
	fresh.record.slab_order = BPF_CORE_READ(cache, oo.x) >> 16;
	fresh.record.objects_known = rw_shared.settings.slab_objects;
	if (bpf_map_update_elem(&slab_caches, &address, &fresh, BPF_NOEXIST))
		add(&rw_shared.wide.slab_caches_untracked, 1);
	return bpf_map_lookup_elem(&slab_caches, &address);
}

static __always_inline void tell_slab(void *ctx, __u16 kind, struct slab_cache_state *cache,
				      __u32 gfp)
{
	struct rw_slab *record;
	int stack;

	if (!within_window(RW_STEM_SLAB))
		return;
	stack = stack_of(ctx, TRAMPOLINE_FRAMES);
	name_current_cgroup();
	record = begin_record(RW_STEM_SLAB, kind, sizeof(*record));
	if (!record)
		return;
	fill_current(&record->task);
	__builtin_memset(record->cache, 0, sizeof(record->cache));
	record->order = 0;
	if (cache) {
		__builtin_memcpy(record->cache, cache->record.cache, sizeof(record->cache));
		record->order = cache->record.slab_order;
	}
	record->gfp_flags = gfp;
	record->stack = stack;
	record->reserved = 0;
	submit_record(record, RW_STEM_SLAB);
}

SEC("fexit/allocate_slab")
int BPF_PROG(slab_allocated, struct kmem_cache *s, unsigned int flags, int node, __u64 slab)
{
	struct slab_cache_state *cache;

	if (!slab)
		return 0;
	add(&rw_shared.wide.slabs_allocated, 1);
	cache = slab_cache_of((__u64)s);
	if (cache)
		add(&cache->record.slabs_allocated, 1);
	if (!slab_from_reserve(slab))
		return 0;
	add(&rw_shared.wide.slabs_from_reserve, 1);
	if (cache)
		add(&cache->record.slabs_from_reserve, 1);
	tell_slab(ctx, RW_SLAB_TAKEN, cache, flags);
	return 0;
}

SEC("fentry/__free_slab")
int BPF_PROG(slab_freed, struct kmem_cache *s)
{
	struct slab_cache_state *cache = slab_cache_of((__u64)s);

	add(&rw_shared.wide.slabs_freed, 1);
	if (cache)
		add(&cache->record.slabs_freed, 1);
	return 0;
}

SEC("fexit/gfp_pfmemalloc_allowed")
int BPF_PROG(slab_question, unsigned int gfp_mask, __u64 ret)
{
	add(&rw_shared.wide.slab_questions, 1);
	if (ret & 0xff)
		return 0;
	add(&rw_shared.wide.slab_refusals, 1);
	tell_slab(ctx, RW_SLAB_REFUSED, NULL, gfp_mask);
	return 0;
}

SEC("tp_btf/kmem_cache_alloc")
int BPF_PROG(slab_object_allocated, unsigned long call_site, const void *object,
	     struct kmem_cache *s)
{
	struct slab_cache_state *cache = object ? slab_cache_of((__u64)s) : NULL;

	if (cache)
		add(&cache->record.objects_allocated, 1);
	return 0;
}

SEC("tp_btf/kmem_cache_free")
int BPF_PROG(slab_object_freed, unsigned long call_site, const void *object, struct kmem_cache *s)
{
	struct slab_cache_state *cache = object ? slab_cache_of((__u64)s) : NULL;

	if (cache)
		add(&cache->record.objects_freed, 1);
	return 0;
}

SEC("tp_btf/kmalloc")
int BPF_PROG(slab_kmalloc, unsigned long call_site, const void *object, unsigned long asked,
	     unsigned long got)
{
	if (object) {
		add(&rw_shared.wide.kmallocs, 1);
		add(&rw_shared.wide.kmalloc_bytes, got);
	}
	return 0;
}

SEC("tp_btf/kfree")
int BPF_PROG(slab_kfree, unsigned long call_site, const void *object)
{
	if (object)
		add(&rw_shared.wide.kfrees, 1);
	return 0;
}

static long report_cache(struct bpf_map *map, __u64 *address, struct slab_cache_state *state,
			 void *unused)
{
	struct rw_slab_cache *record, *kept = &state->record;
	__u64 sum = kept->slabs_allocated + kept->slabs_freed + kept->objects_allocated +
		    kept->objects_freed;

	if (sum == state->told)
		return 0;
	record = begin_record(RW_STEM_SLAB, RW_SLAB_CACHE, sizeof(*record));
	if (!record)
		return 0;
	state->told = sum;
	__builtin_memcpy(record->cache, kept->cache, sizeof(record->cache));
	record->serial = kept->serial;
	record->slabs_allocated = kept->slabs_allocated;
	record->slabs_freed = kept->slabs_freed;
	record->slabs_from_reserve = kept->slabs_from_reserve;
	record->objects_allocated = kept->objects_allocated;
	record->objects_freed = kept->objects_freed;
	record->objects_known = kept->objects_known;
	record->object_bytes = kept->object_bytes;
	record->slab_order = kept->slab_order;
	record->reserved = 0;
	submit_record(record, RW_STEM_SLAB);
	return 0;
}

/* Called by the timer each second. */
static __noinline int report_slab(void)
{
	if (rw_shared.cache_serial)
		bpf_for_each_map_elem(&slab_caches, report_cache, NULL, 0);
	return 0;
}
