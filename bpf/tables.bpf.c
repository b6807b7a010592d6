// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Stem: agent. How full our own tables are.
 * Hooks: SEC("syscall"), run by the agent each second.
 * Emits: nothing; leaves the figures in rw_shared.
 * Blind to: maps of other kinds than hash, for which the kernel does not count.
 */

/*
 * kernel/bpf/map_iter.c: the sum of what each CPU put in and took out, since Linux 6.6
 * (515ee52b2224). Weak: where it is not, the program is not loaded.
 */
extern __s64 bpf_map_sum_elem_count(const struct bpf_map *map) __ksym __weak;

static __always_inline void count_table(__u32 table, void *map)
{
	rw_shared.table_entries[table] = bpf_map_sum_elem_count(map);
}

SEC("syscall")
int count_tables(void *ctx)
{
	count_table(RW_TABLE_RESERVE_BLOCKS, &reserve_blocks);
	count_table(RW_TABLE_RECLAIM_STAYS, &reclaim_stays);
	count_table(RW_TABLE_THROTTLE_CALLS, &throttle_calls);
	count_table(RW_TABLE_NBD_REQUESTS, &nbd_requests);
	count_table(RW_TABLE_SWAP_BIOS, &swap_bios);
	count_table(RW_TABLE_SLAB_CACHES, &slab_caches);
	count_table(RW_TABLE_SOCKETS, &memalloc_sockets);
	count_table(RW_TABLE_RECLAIM_TASKS, &reclaim_tasks);
	count_table(RW_TABLE_PAGE_TASKS, &page_tasks);
	return 0;
}
