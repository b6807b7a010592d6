// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Stem: swap. Pages that go out and come in, and bios that failed.
 * Hooks: tp_btf/block_bio_queue (block/blk-core.c:submit_bio_noacct(), process
 *        context, also of kswapd and kworkers), tp_btf/block_bio_complete (any).
 * A swap bio is known by whom it calls at its end: mm/page_io.c:
 * end_swap_bio_write(), end_swap_bio_read(). count_swpout_vm_event() counts
 * just before the same submission, so pswpin and pswpout agree with ours.
 * Emits: RW_SWAP_FAILED.
 * Blind to: swap on a synchronous device such as zram (its bios end elsewhere,
 * though they count in pswpin and pswpout), swap on a network file system.
 */

static __always_inline bool is_swap_out(struct bio *bio)
{
	__u64 end = (__u64)bio->bi_end_io;

	return end && end == rw_shared.settings.end_swap_bio_write;
}

static __always_inline bool is_swap_in(struct bio *bio)
{
	__u64 end = (__u64)bio->bi_end_io;

	return end && end == rw_shared.settings.end_swap_bio_read;
}

SEC("tp_btf/block_bio_queue")
int BPF_PROG(swap_queue, struct bio *bio)
{
	if (is_swap_out(bio))
		add(&rw_shared.counters.pswpout, bio->bi_iter.bi_size >> PAGE_SHIFT);
	else if (is_swap_in(bio))
		add(&rw_shared.counters.pswpin, bio->bi_iter.bi_size >> PAGE_SHIFT);
	return 0;
}

SEC("tp_btf/block_bio_complete")
int BPF_PROG(swap_complete, struct request_queue *q, struct bio *bio)
{
	__u32 status = bio->bi_status;
	struct rw_swap_failed *record;
	bool out;

	if (!status)
		return 0;
	out = is_swap_out(bio);
	if (!out && !is_swap_in(bio))
		return 0;
	add(out ? &rw_shared.counters.swap_write_errors : &rw_shared.counters.swap_read_errors, 1);
	record = begin_record(RW_STEM_SWAP, RW_SWAP_FAILED, sizeof(*record));
	if (!record)
		return 0;
	record->major = BPF_CORE_READ(bio, bi_bdev, bd_dev) >> 20;
	record->minor = BPF_CORE_READ(bio, bi_bdev, bd_dev) & 0xfffff;
	record->is_write = out;
	record->status = status;
	submit_record(record, RW_STEM_SWAP);
	return 0;
}
