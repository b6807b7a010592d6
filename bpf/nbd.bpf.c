// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Stem: nbd. Requests of network block devices: issued, sent, received,
 * completed, and how old the oldest one in flight is.
 * Hooks: tp_btf/block_rq_issue, block_rq_requeue, block_rq_complete (any
 *        context), filtered by the NBD major: they count as /sys/block/nbdN/stat
 *        does. tp_btf/nbd_header_sent and nbd_header_received (drivers/block/
 *        nbd.c, when nbd.ko is loaded before the agent) tell in addition what
 *        is stuck before or in sendmsg() from what waits for its reply.
 * Emits: RW_NBD_DEVICE at every report of the timer; RW_NBD_FAILED, bounded per 100 ms,
 *        the rest counted as suppressed.
 * Blind to: requests issued before the start (counted as completed_unseen when
 * they end); devices beyond RW_NBD_DEVICES, counted as untracked.
 */

struct nbd_inflight {
	__u64 issued_boot_ns;
	__u64 bytes;
	__u32 slot;
	__u8 is_write;
	__u8 sent;
	__u16 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct nbd_inflight);
} nbd_requests SEC(".maps");

/*
 * RW_NBD_DEVICES: none. A slot is claimed by the first request of a device and kept. `address`
 * is that of its struct gendisk. A function of its own, and verified once: inlined, all that
 * follows was verified for each slot.
 */
__noinline __u32 nbd_slot(__u64 address)
{
	struct gendisk *disk = (void *)address;
	__u32 claim = BPF_CORE_READ(disk, first_minor) + 1;

	for (__u32 i = 0; i < RW_NBD_DEVICES; i++) {
		struct rw_nbd_state *state = &rw_shared.nbd[i];
		__u32 owner = state->claimed_minor;

		if (!owner) {
			owner = __sync_val_compare_and_swap(&state->claimed_minor, 0, claim);
			if (!owner) {
				state->major = NBD_MAJOR;
				state->gendisk = address;
				bpf_probe_read_kernel_str(state->disk, sizeof(state->disk),
							  &disk->disk_name);
				return i;
			}
		}
		if (owner == claim)
			return i;
	}
	return RW_NBD_DEVICES;
}

static __always_inline struct gendisk *nbd_disk(struct request *rq)
{
	struct gendisk *disk;

	if (!rq) /* never, but the verifier wants to see it asked for module tracepoints */
		return NULL;
	disk = BPF_CORE_READ(rq, q, disk);
	return disk && BPF_CORE_READ(disk, major) == NBD_MAJOR ? disk : NULL;
}

SEC("tp_btf/block_rq_issue")
int BPF_PROG(nbd_issue, struct request *rq)
{
	struct gendisk *disk = nbd_disk(rq);
	struct nbd_inflight request = {};
	__u64 key = (__u64)rq;
	__u32 slot;

	if (!disk)
		return 0;
	slot = nbd_slot((__u64)disk);
	if (slot >= RW_NBD_DEVICES) {
		add(&rw_shared.counters.nbd_devices_untracked, 1);
		return 0;
	}
	request.issued_boot_ns = bpf_ktime_get_boot_ns();
	request.bytes = BPF_CORE_READ(rq, __data_len);
	request.is_write = (BPF_CORE_READ(rq, cmd_flags) & REQ_OP_MASK) == REQ_OP_WRITE;
	request.slot = slot;
	add(&rw_shared.nbd[slot].issued, 1);
	if (bpf_map_update_elem(&nbd_requests, &key, &request, BPF_NOEXIST))
		add(&rw_shared.counters.nbd_untracked, 1);
	else
		add(&rw_shared.nbd[slot].in_flight, 1);
	return 0;
}

SEC("tp_btf/block_rq_requeue")
int BPF_PROG(nbd_requeue, struct request *rq)
{
	struct gendisk *disk = nbd_disk(rq);
	__u64 key = (__u64)rq;
	__u32 slot;

	if (!disk)
		return 0;
	slot = nbd_slot((__u64)disk);
	if (slot >= RW_NBD_DEVICES)
		return 0;
	add(&rw_shared.nbd[slot].requeued, 1);
	if (!bpf_map_delete_elem(&nbd_requests, &key))
		add(&rw_shared.nbd[slot].in_flight, -1);
	return 0;
}

/* block/blk-core.c:blk_errors[]: the errno that the waiter sees */
static __always_inline int errno_of(__u32 status)
{
	switch (status) {
	case 1: /* BLK_STS_NOTSUPP */
		return -95;
	case 2: /* BLK_STS_TIMEOUT */
		return -110;
	case 3: /* BLK_STS_NOSPC */
		return -28;
	case 4: /* BLK_STS_TRANSPORT */
		return -67;
	case 5: /* BLK_STS_TARGET */
		return -121;
	case 9: /* BLK_STS_RESOURCE */
		return -12;
	default:
		return -5;
	}
}

__noinline int report_failed(__u32 slot, __u32 status, __u64 duration_ns, __u64 bytes,
			     __u32 is_write)
{
	struct rw_nbd_state *state = &rw_shared.nbd[slot & (RW_NBD_DEVICES - 1)];
	struct rw_nbd_failed *record;

	/* A dead device fails ten thousand a second: the totals have them all. */
	if (!within_window(RW_STEM_NBD))
		return 0;
	record = begin_record(RW_STEM_NBD, RW_NBD_FAILED, sizeof(*record));
	if (!record)
		return 0;
	record->major = NBD_MAJOR;
	record->first_minor = state->claimed_minor - 1;
	__builtin_memcpy(record->disk, state->disk, sizeof(record->disk));
	record->duration_ns = duration_ns;
	record->bytes = bytes;
	record->error = errno_of(status);
	record->is_write = is_write;
	submit_record(record, RW_STEM_NBD);
	return 0;
}

SEC("tp_btf/block_rq_complete")
int BPF_PROG(nbd_complete, struct request *rq, unsigned int status, unsigned int nr_bytes)
{
	struct gendisk *disk = nbd_disk(rq);
	struct nbd_inflight *found, request = {};
	struct rw_nbd_state *state;
	__u64 key = (__u64)rq;
	__u64 now, duration_ns = 0;
	__u32 slot;

	if (!disk)
		return 0;
	slot = nbd_slot((__u64)disk);
	if (slot >= RW_NBD_DEVICES)
		return 0;
	state = &rw_shared.nbd[slot];
	now = bpf_ktime_get_boot_ns();
	found = bpf_map_lookup_elem(&nbd_requests, &key);
	if (found) {
		request = *found;
		if (!bpf_map_delete_elem(&nbd_requests, &key))
			add(&state->in_flight, -1);
		duration_ns = now - request.issued_boot_ns;
		count_latency(state->latency_us, duration_ns);
		add(request.is_write ? &state->written_bytes : &state->read_bytes, request.bytes);
	} else {
		add(&state->completed_unseen, 1);
	}
	status &= 0xff; /* blk_status_t is a byte */
	add(&state->completed, 1);
	state->last_completion_boot_ns = now;
	if (status) {
		add(&state->errors, 1);
		report_failed(slot, status, duration_ns, request.bytes, request.is_write);
	}
	return 0;
}

SEC("tp_btf/nbd_header_sent")
int BPF_PROG(nbd_sent, struct request *rq)
{
	struct gendisk *disk = nbd_disk(rq);
	struct nbd_inflight *request;
	__u64 key = (__u64)rq;
	__u32 slot;

	if (!disk)
		return 0;
	slot = nbd_slot((__u64)disk);
	if (slot >= RW_NBD_DEVICES)
		return 0;
	add(&rw_shared.nbd[slot].sent, 1);
	request = bpf_map_lookup_elem(&nbd_requests, &key);
	if (request)
		request->sent = 1;
	return 0;
}

SEC("tp_btf/nbd_header_received")
int BPF_PROG(nbd_received, struct request *rq)
{
	struct gendisk *disk = nbd_disk(rq);
	__u32 slot;

	if (!disk)
		return 0;
	slot = nbd_slot((__u64)disk);
	if (slot < RW_NBD_DEVICES)
		add(&rw_shared.nbd[slot].received, 1);
	return 0;
}

static long age_request(struct bpf_map *map, __u64 *key, struct nbd_inflight *request, void *unused)
{
	struct rw_nbd_state *state = &rw_shared.nbd[request->slot & (RW_NBD_DEVICES - 1)];

	if (!state->oldest_boot_ns || request->issued_boot_ns < state->oldest_boot_ns)
		state->oldest_boot_ns = request->issued_boot_ns;
	if (!request->sent)
		state->unsent++;
	return 0;
}

/* struct nbd_device and its configuration, where the module's types are known. */
static __always_inline void fill_nbd_config(struct rw_nbd_device *record, struct gendisk *disk)
{
	struct nbd_device *device;
	struct nbd_config *config;

	record->config_known = 0;
	record->connections = 0;
	record->live_connections = 0;
	record->client_pid = 0;
	record->timeout_ns = 0;
	record->dead_conn_timeout_ns = 0;
	if (!disk || !bpf_core_type_exists(struct nbd_device) || !rw_shared.jiffy_ns)
		return;
	device = (void *)BPF_CORE_READ(disk, private_data);
	config = BPF_CORE_READ(device, config);
	if (!device)
		return;
	record->config_known = 1;
	record->client_pid = BPF_CORE_READ(device, pid);
	record->timeout_ns = BPF_CORE_READ(device, tag_set.timeout) * rw_shared.jiffy_ns;
	/* Disconnected, or about to be, because somebody asked for it: no connection is lost. */
	if (!config || BPF_CORE_READ(config, runtime_flags) >> NBD_RT_DISCONNECT_REQUESTED & 1)
		return;
	record->connections = BPF_CORE_READ(config, num_connections);
	record->live_connections = BPF_CORE_READ(config, live_connections.counter);
	record->dead_conn_timeout_ns =
		BPF_CORE_READ(config, dead_conn_timeout) * rw_shared.jiffy_ns;
}

__noinline int report_nbd_device(__u32 slot)
{
	struct rw_nbd_state *state = &rw_shared.nbd[slot & (RW_NBD_DEVICES - 1)];
	struct rw_nbd_device *record;
	__u64 now = bpf_ktime_get_boot_ns(), oldest = 0;

	/* Before the record, and kept where there is none: it says what was seen. */
	if (state->oldest_boot_ns && state->oldest_boot_ns < now)
		oldest = now - state->oldest_boot_ns;
	if (oldest > state->worst_oldest_ns) {
		state->worst_oldest_ns = oldest;
		state->worst_boot_ns = now;
	}
	if (state->in_flight > state->most_in_flight)
		state->most_in_flight = state->in_flight;
	record = begin_record(RW_STEM_NBD, RW_NBD_DEVICE, sizeof(*record));
	if (!record)
		return 0;
	record->header.boot_ns = now;
	record->major = state->major;
	record->first_minor = state->claimed_minor - 1;
	__builtin_memcpy(record->disk, state->disk, sizeof(record->disk));
	record->issued = state->issued;
	record->requeued = state->requeued;
	record->completed = state->completed;
	record->completed_unseen = state->completed_unseen;
	record->errors = state->errors;
	record->in_flight = state->in_flight;
	record->oldest_ns = oldest;
	record->sent = state->sent;
	record->received = state->received;
	record->unsent = state->unsent;
	record->last_completion_boot_ns = state->last_completion_boot_ns;
	record->read_bytes = state->read_bytes;
	record->written_bytes = state->written_bytes;
	record->phases_known = rw_shared.settings.nbd_phases;
	record->reserved = 0;
	__builtin_memcpy(record->latency_us, state->latency_us, sizeof(record->latency_us));
	fill_nbd_config(record, (void *)state->gendisk);
	record->path_known = state->path_known;
	record->sockets = state->sockets;
	record->segments_received = state->segments_received;
	record->segments_sent = state->segments_sent;
	record->carrier = state->carrier;
	record->is_local = state->is_local;
	__builtin_memcpy(record->link, state->link, sizeof(record->link));
	record->worst_oldest_ns = state->worst_oldest_ns;
	record->worst_boot_ns = state->worst_boot_ns;
	record->most_in_flight = state->most_in_flight;
	submit_record(record, RW_STEM_NBD);
	return 0;
}

/* Called by the timer: it alone walks, so that the working state needs no lock. */
/*
 * Claims a slot for a device that is connected and has had no request yet: its sockets are
 * to be known by its name. nbd_index_idr of up to 64 devices is one node of a radix tree.
 */
__noinline int claim_nbd(__u32 index)
{
	struct idr *table = (void *)rw_shared.settings.nbd_index_idr;
	struct nbd_device *device = NULL;
	struct xa_node *node;
	struct gendisk *disk;
	__u64 head;

	/* Here and not with the caller: 6.1 verifies a global function by itself. */
	if (!bpf_core_type_exists(struct nbd_device))
		return 0;
	head = (__u64)BPF_CORE_READ(table, idr_rt.xa_head);
	node = (void *)(head & ~3ull);

	/* lib/xarray.c: an inner entry ends in binary 10 */
	if ((head & 3) != 2 || BPF_CORE_READ(node, shift))
		return 0;
	bpf_probe_read_kernel(&device, sizeof(device),
			      (void *)node + bpf_core_field_offset(node->slots) +
				      (index & 63) * sizeof(void *));
	if (!device || (__u64)device & 3 || !BPF_CORE_READ(device, config))
		return 0;
	disk = BPF_CORE_READ(device, disk);
	if (disk)
		nbd_slot((__u64)disk);
	return 0;
}

/* Called by the timer each second. */
static __noinline int find_nbd(void)
{
	if (rw_shared.settings.nbd_index_idr)
		for (__u32 i = 0; i < 64; i++)
			claim_nbd(i);
	return 0;
}

static __noinline int report_nbd(void)
{
	__u64 in_flight = 0;

	for (__u32 i = 0; i < RW_NBD_DEVICES; i++) {
		rw_shared.nbd[i].oldest_boot_ns = 0;
		rw_shared.nbd[i].unsent = 0;
		in_flight += rw_shared.nbd[i].in_flight;
	}
	if (in_flight)
		bpf_for_each_map_elem(&nbd_requests, age_request, NULL, 0);
	for (__u32 i = 0; i < RW_NBD_DEVICES; i++)
		if (rw_shared.nbd[i].claimed_minor)
			report_nbd_device(i);
	return 0;
}
