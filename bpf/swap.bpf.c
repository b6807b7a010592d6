// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Stem: swap. Pages that go out and come in, per device, how long they take, and
 * bios that failed; how full each device is.
 * Hooks: tp_btf/block_bio_queue (block/blk-core.c:submit_bio_noacct(), process
 *        context, also of kswapd and kworkers); tp_btf/block_rq_complete for devices
 *        with requests, tp_btf/block_bio_complete for those without (any context).
 *        swap_info[] of mm/swapfile.c, read by the timer.
 * A swap bio is known by whom it calls at its end: mm/page_io.c:
 * end_swap_bio_write(), end_swap_bio_read(). count_swpout_vm_event() counts
 * just before the same submission, so pswpin and pswpout agree with ours.
 * Emits: RW_SWAP_FAILED; RW_SWAP_USAGE at each report.
 * Blind to: swap on a synchronous device such as zram (its bios end elsewhere,
 * though they count in pswpin and pswpout), swap on a network file system; the
 * share of a device beyond RW_SWAPS (it counts in the totals).
 */

struct swap_bio {
	__u64 queued_boot_ns;
	__u32 slot;
	__u32 is_read;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct swap_bio);
} swap_bios SEC(".maps");

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

/* RW_SWAPS: no room. A slot is claimed by a device's first bio, or when it is swapped on. */
static __always_inline __u32 swap_slot(__u32 device)
{
	for (__u32 i = 0; i < RW_SWAPS; i++) {
		struct rw_swap_state *state = &rw_shared.swaps[i];

		if (!state->claimed && !__sync_lock_test_and_set(&state->claimed, 1)) {
			state->device = device;
			return i;
		}
		if (state->device == device)
			return i;
	}
	return RW_SWAPS;
}

SEC("tp_btf/block_bio_queue")
int BPF_PROG(swap_queue, struct bio *bio)
{
	struct swap_bio queued = {};
	struct rw_swap_state *state;
	__u64 key = (__u64)bio, pages;
	bool out = is_swap_out(bio);

	if (!out && !is_swap_in(bio))
		return 0;
	pages = bio->bi_iter.bi_size >> PAGE_SHIFT;
	add(out ? &rw_shared.counters.pswpout : &rw_shared.counters.pswpin, pages);
	queued.slot = swap_slot(BPF_CORE_READ(bio, bi_bdev, bd_dev));
	if (queued.slot >= RW_SWAPS)
		return 0;
	state = &rw_shared.swaps[queued.slot & (RW_SWAPS - 1)];
	add(out ? &state->out_pages : &state->in_pages, pages);
	queued.queued_boot_ns = bpf_ktime_get_boot_ns();
	queued.is_read = !out;
	if (bpf_map_update_elem(&swap_bios, &key, &queued, BPF_NOEXIST)) {
		add(&rw_shared.wide.swap_untracked, 1);
		return 0;
	}
	add(&state->in_flight, 1);
	if (out)
		return 0;
	if (!state->reads_in_flight)
		state->reads_since_boot_ns = queued.queued_boot_ns;
	add(&state->reads_in_flight, 1);
	return 0;
}

/* A bio has ended, or will within this very call; a scalar, for it may come out of a chain. */
static __noinline int swap_bio_ended(__u64 key, __u32 status)
{
	struct bio *bio = (void *)key;
	struct rw_swap_state *state = NULL;
	struct rw_swap_failed *record;
	__u64 end = (__u64)BPF_CORE_READ(bio, bi_end_io);
	bool out = end == rw_shared.settings.end_swap_bio_write;
	struct swap_bio *found;
	__u32 slot, device;

	if (!end || (!out && end != rw_shared.settings.end_swap_bio_read))
		return 0;
	found = bpf_map_lookup_elem(&swap_bios, &key);
	if (found) {
		__u64 queued_boot_ns = found->queued_boot_ns, now = bpf_ktime_get_boot_ns();
		/* As it was counted: what is left of a bio whose end was missed may be another's now. */
		bool is_read = found->is_read;

		state = &rw_shared.swaps[found->slot & (RW_SWAPS - 1)];
		if (!bpf_map_delete_elem(&swap_bios, &key)) {
			add(&state->in_flight, -1);
			if (is_read) {
				add(&state->reads_in_flight, -1);
				state->reads_since_boot_ns = now;
			}
			count_latency(out ? state->write_us : state->read_us, now - queued_boot_ns);
		}
	}
	if (!status)
		return 0;
	add(out ? &rw_shared.counters.swap_write_errors : &rw_shared.counters.swap_read_errors, 1);
	device = BPF_CORE_READ(bio, bi_bdev, bd_dev);
	if (!state) {
		slot = swap_slot(device);
		if (slot < RW_SWAPS)
			state = &rw_shared.swaps[slot & (RW_SWAPS - 1)];
	}
	if (state)
		add(out ? &state->write_errors : &state->read_errors, 1);
	/* A dead device fails hundred thousands of writes: one record each would be a flood. */
	if (!within_window(RW_STEM_SWAP))
		return 0;
	record = begin_record(RW_STEM_SWAP, RW_SWAP_FAILED, sizeof(*record));
	if (!record)
		return 0;
	record->major = device >> 20;
	record->minor = device & 0xfffff;
	record->is_write = out;
	record->status = status;
	submit_record(record, RW_STEM_SWAP);
	return 0;
}

/* Device-mapper and others that pass bios on. */
SEC("tp_btf/block_bio_complete")
int BPF_PROG(swap_complete, struct request_queue *q, struct bio *bio)
{
	if (is_swap_out(bio) || is_swap_in(bio))
		swap_bio_ended((__u64)bio, bio->bi_status);
	return 0;
}

struct ended_bios {
	__u64 bio;
	__u64 bytes; /* of the request that end now and are not walked over yet */
	__u32 status;
	__u32 reserved;
};

static long end_next_bio(__u32 index, struct ended_bios *ended)
{
	struct bio *bio = (void *)ended->bio;
	__u32 size = BPF_CORE_READ(bio, bi_iter.bi_size);

	/* block/blk-mq.c:blk_update_request(): a bio of which a part is left has not ended */
	if (!bio || ended->bytes < size)
		return 1;
	ended->bytes -= size;
	ended->bio = (__u64)BPF_CORE_READ(bio, bi_next);
	swap_bio_ended((__u64)bio, ended->status);
	return 0;
}

#define BIOS_OF_A_REQUEST 8192

/*
 * Devices with requests: blk_update_request() takes the bios' own completion event away,
 * for this one stands for it. The bios of the request are still chained to it.
 */
SEC("tp_btf/block_rq_complete")
int BPF_PROG(swap_request_complete, struct request *rq, unsigned int error, unsigned int bytes)
{
	struct ended_bios ended = {};
	struct bio *bio = rq->bio;

	if (!bio || (!is_swap_out(bio) && !is_swap_in(bio)))
		return 0;
	ended.bio = (__u64)bio;
	ended.bytes = bytes;
	ended.status = error & 0xff;
	bpf_loop(BIOS_OF_A_REQUEST, end_next_bio, &ended, 0);
	return 0;
}

__noinline int report_swap(__u32 slot)
{
	struct rw_swap_state *state = &rw_shared.swaps[slot & (RW_SWAPS - 1)];
	struct rw_swap_usage *record;
	__u64 since;

	record = begin_record(RW_STEM_SWAP, RW_SWAP_USAGE, sizeof(*record));
	if (!record)
		return 0;
	record->major = state->device >> 20;
	record->minor = state->device & 0xfffff;
	record->priority = 0;
	record->usage_known = 0;
	record->pages = 0;
	record->used_pages = 0;
	for (int i = 0; i < RW_SWAPS; i++) {
		struct swap_info_struct *swap = NULL;

		if (!rw_shared.settings.swap_info)
			break;
		bpf_probe_read_kernel(&swap, sizeof(swap),
				      (void *)(rw_shared.settings.swap_info + i * 8));
		if (!swap || !(BPF_CORE_READ(swap, flags) & SWP_USED) ||
		    BPF_CORE_READ(swap, bdev, bd_dev) != state->device)
			continue;
		record->usage_known = 1;
		record->priority = (short)BPF_CORE_READ(swap, prio);
		record->pages = BPF_CORE_READ(swap, pages);
		record->used_pages = swap_used_pages(swap);
	}
	record->in_pages = state->in_pages;
	record->out_pages = state->out_pages;
	record->read_errors = state->read_errors;
	record->write_errors = state->write_errors;
	record->in_flight = state->in_flight;
	__builtin_memcpy(record->read_us, state->read_us, sizeof(record->read_us));
	__builtin_memcpy(record->write_us, state->write_us, sizeof(record->write_us));
	since = state->reads_since_boot_ns;
	record->reads_known = 1;
	record->reserved = 0;
	record->reads_in_flight = state->reads_in_flight;
	record->reads_waited_ns = 0;
	if (record->reads_in_flight && since < record->header.boot_ns)
		record->reads_waited_ns = record->header.boot_ns - since;
	submit_record(record, RW_STEM_SWAP);
	return 0;
}

/* Swap devices that have had no bio yet. */
__noinline int claim_swap(__u32 index)
{
	struct swap_info_struct *swap = NULL;
	__u32 device;

	bpf_probe_read_kernel(
		&swap, sizeof(swap),
		(void *)(rw_shared.settings.swap_info + (index & (RW_SWAPS - 1)) * 8));
	if (!swap || !(BPF_CORE_READ(swap, flags) & SWP_USED))
		return 0;
	device = BPF_CORE_READ(swap, bdev, bd_dev);
	if (device)
		swap_slot(device);
	return 0;
}

/* Called by the timer. */
static __noinline int report_swaps(void)
{
	if (rw_shared.settings.swap_info)
		for (__u32 i = 0; i < RW_SWAPS; i++)
			claim_swap(i);
	for (__u32 i = 0; i < RW_SWAPS; i++)
		if (rw_shared.swaps[i].claimed)
			report_swap(i);
	return 0;
}
