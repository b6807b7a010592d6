// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Stem: socket. Every SOCK_MEMALLOC socket with its figures, and what becomes of
 * packets that lie in PFMEMALLOC memory.
 * Hooks: fentry/sk_set_memalloc (net/core/sock.c) for those marked while we watch;
 *        iter/tcp and iter/unix at the start, in every network namespace that has a
 *        name or a process; the socket table of each NBD device that had a request;
 *        fentry/sk_destruct and tp_btf/inet_sock_set_state for their end;
 *        fexit/sk_filter_trim_cap (net/core/filter.c, softirq): counts
 *        PFMemallocDrop where it refuses; tp_btf/kfree_skb, which has the reason;
 *        tp_btf/netif_receive_skb; only when armed fexit/__alloc_skb.
 *        iter/task_file, fexit/inet_create, inet6_create and inet_csk_accept (process
 *        context) and inet_sock_set_state tell whose socket it is that loses packets.
 * Emits: RW_SOCKET_STATE when new or changed, else each second (from the timer);
 *        RW_SOCKET_GONE; RW_SOCKET_DROPPED, bounded per 100 ms.
 * Blind to: packets dropped for their protocol before any socket is known
 * (__netif_receive_skb_core(), not in PFMemallocDrop either); connections of an NBD device
 * beyond the 16th, in what its path tells.
 */

struct socket_state {
	struct rw_socket record; /* as it goes out, but for its header and figures */
	__u64 told_boot_ns; /* 0: not yet */
	__u64 told_bytes;
	__u32 told_state;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u64);
	__type(value, struct socket_state);
} memalloc_sockets SEC(".maps");

/* Who opened a socket, for those that may lose packets. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct rw_task);
} socket_tasks SEC(".maps");

/* A packet that sk_filter_trim_cap() refused, until kfree_skb() of it tells the reason. */
struct refused_packet {
	__u64 skb;
	struct rw_socket_drop drop;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct refused_packet);
} refused_packets SEC(".maps");

/* A fresh state is too large for the stack beside a caller's. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct socket_state);
} fresh_sockets SEC(".maps");

static __always_inline bool is_memalloc(__u64 address)
{
	struct sock *sk = (void *)address;

	return BPF_CORE_READ(sk, __sk_common.skc_flags) >>
		       bpf_core_enum_value(enum sock_flags, SOCK_MEMALLOC) &
	       1;
}

static __always_inline __u32 swap16(__u16 port)
{
	return (port >> 8) | ((port & 0xff) << 8);
}

static __always_inline void fill_addresses(struct sock *sk, __u32 family, struct rw_address *local,
					   struct rw_address *peer)
{
	__builtin_memset(local, 0, sizeof(*local));
	__builtin_memset(peer, 0, sizeof(*peer));
	if (family == AF_INET) {
		bpf_probe_read_kernel(local->bytes, 4, &sk->__sk_common.skc_rcv_saddr);
		bpf_probe_read_kernel(peer->bytes, 4, &sk->__sk_common.skc_daddr);
	} else if (family == AF_INET6) {
		bpf_probe_read_kernel(local->bytes, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_probe_read_kernel(peer->bytes, 16, &sk->__sk_common.skc_v6_daddr);
	}
	if (family != AF_UNIX) {
		local->port = BPF_CORE_READ(sk, __sk_common.skc_num);
		peer->port = swap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
	}
}

static __always_inline void fill_unix_path(struct sock *sk, char *path)
{
	struct unix_sock *unix_sk = (void *)sk;
	struct unix_address *name = BPF_CORE_READ(unix_sk, addr);

	if (!name) {
		unix_sk = (void *)BPF_CORE_READ(unix_sk, peer);
		name = BPF_CORE_READ(unix_sk, addr);
	}
	if (!name)
		return;
	bpf_probe_read_kernel(path, RW_SOCKET_PATH_BYTES - 1,
			      (void *)name + bpf_core_field_offset(name->name[0].sun_path));
	if (!path[0]) /* an abstract name begins with a NUL */
		path[0] = '@';
}

/* Takes a socket in. with_task: the current task is the one that marked it. */
static __always_inline int take_socket(__u64 address, __u32 found, bool with_task)
{
	struct sock *sk = (void *)address;
	struct socket_state *state;
	__u32 zero = 0;
	__u64 ready;

	if (bpf_map_lookup_elem(&memalloc_sockets, &address))
		return 0;
	state = bpf_map_lookup_elem(&fresh_sockets, &zero);
	if (!state)
		return 0;
	__builtin_memset(state, 0, sizeof(*state));
	if (with_task)
		fill_current(&state->record.task);
	state->record.serial = __sync_fetch_and_add(&rw_shared.socket_serial, 1) + 1;
	state->record.family = BPF_CORE_READ(sk, __sk_common.skc_family);
	state->record.found = found;
	state->record.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	if (state->record.family == AF_UNIX)
		fill_unix_path(sk, state->record.path);
	ready = (__u64)BPF_CORE_READ(sk, sk_data_ready);
	if (ready)
		BPF_SNPRINTF(state->record.owner, RW_OWNER_BYTES, "%ps", ready);
	if (bpf_map_update_elem(&memalloc_sockets, &address, state, BPF_NOEXIST))
		add(&rw_shared.wide.sockets_untracked, 1);
	return 0;
}

/* For the timer, whose path 6.1's verifier takes only piecewise: global, scalars only. */
__noinline int see_nbd_socket(__u64 address)
{
	return take_socket(address, RW_SOCKET_OF_NBD, false);
}

/* The figures of a socket as they are now. */
static __always_inline void fill_figures(struct rw_socket *record, struct sock *sk)
{
	struct tcp_sock *tcp = (void *)sk;
	struct socket_alloc *holder;
	__u32 una = 0;

	/* net/socket.c:SOCK_INODE(): the socket is the first part of what holds both */
	holder = (void *)BPF_CORE_READ(sk, sk_socket);
	record->inode = holder ? BPF_CORE_READ(holder, vfs_inode.i_ino) : 0;
	record->state = BPF_CORE_READ(sk, __sk_common.skc_state);
	fill_addresses(sk, record->family, &record->local, &record->peer);
	record->receive_buffer_bytes = BPF_CORE_READ(sk, sk_rcvbuf);
	record->send_buffer_bytes = BPF_CORE_READ(sk, sk_sndbuf);
	record->receive_memory_bytes = BPF_CORE_READ(sk, sk_backlog.rmem_alloc.counter);
	record->send_memory_bytes = BPF_CORE_READ(sk, sk_wmem_queued);
	if (record->family == AF_UNIX || BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP)
		return;
	record->figures_known = 1;
	record->bytes_sent = BPF_CORE_READ(tcp, bytes_sent);
	record->bytes_received = BPF_CORE_READ(tcp, bytes_received);
	record->segments_sent = BPF_CORE_READ(tcp, segs_out);
	record->segments_received = BPF_CORE_READ(tcp, segs_in);
	record->retransmits = BPF_CORE_READ(tcp, total_retrans);
	record->send_window = BPF_CORE_READ(tcp, snd_wnd);
	record->receive_window = BPF_CORE_READ(tcp, rcv_wnd);
	record->congestion_window = BPF_CORE_READ(tcp, snd_cwnd);
	una = BPF_CORE_READ(tcp, snd_una);
	record->send_queue_bytes = BPF_CORE_READ(tcp, write_seq) - una;
	una = BPF_CORE_READ(tcp, copied_seq);
	record->receive_queue_bytes = (__u32)(BPF_CORE_READ(tcp, rcv_nxt) - una);
	if (record->receive_queue_bytes >> 31)
		record->receive_queue_bytes = 0; /* a FIN counts in rcv_nxt, read a moment apart */
}

static __noinline int tell_socket(struct socket_state *state, __u16 kind)
{
	struct rw_socket *record = begin_record(RW_STEM_SOCKET, kind, sizeof(*record));

	if (!record || !state)
		return 0;
	__builtin_memcpy((void *)record + sizeof(record->header),
			 (void *)&state->record + sizeof(record->header),
			 sizeof(*record) - sizeof(record->header));
	submit_record(record, RW_STEM_SOCKET);
	return 0;
}

SEC("fentry/sk_set_memalloc")
int BPF_PROG(socket_marked, struct sock *sk)
{
	add(&rw_shared.wide.sockets_marked, 1);
	name_current_cgroup();
	take_socket((__u64)sk, RW_SOCKET_MARKED, true);
	return 0;
}

SEC("iter/tcp")
int find_tcp_sockets(struct bpf_iter__tcp *ctx)
{
	struct sock_common *common = ctx->sk_common;
	__u64 address;
	__u32 state;

	if (!common)
		return 0;
	address = (__u64)common;
	state = common->skc_state;
	/* TCP_TIME_WAIT and TCP_NEW_SYN_RECV are no full sockets. */
	if (state != 6 && state != 12 && is_memalloc(address))
		take_socket(address, RW_SOCKET_ITERATED, false);
	return 0;
}

SEC("iter/unix")
int find_unix_sockets(struct bpf_iter__unix *ctx)
{
	__u64 address = (__u64)ctx->unix_sk;

	if (address && is_memalloc(address))
		take_socket(address, RW_SOCKET_ITERATED, false);
	return 0;
}

SEC("iter/task_file")
int find_socket_tasks(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct rw_task owner = {};
	struct socket *socket;
	__u64 address;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	address = (__u64)BPF_CORE_READ(socket, sk);
	if (!address)
		return 0;
	fill_task(&owner, task);
	bpf_map_update_elem(&socket_tasks, &address, &owner, BPF_ANY);
	return 0;
}

SEC("fexit/inet_csk_accept")
int BPF_PROG(socket_accepted)
{
	struct rw_task owner = {};
	__u64 address = 0;

	if (bpf_get_func_ret(ctx, &address) || !address)
		return 0;
	fill_current(&owner);
	bpf_map_update_elem(&socket_tasks, &address, &owner, BPF_ANY);
	return 0;
}

static __always_inline int keep_creator(struct socket *socket, int kern, int ret)
{
	struct rw_task owner = {};
	__u64 address;

	if (ret || kern)
		return 0;
	address = (__u64)BPF_CORE_READ(socket, sk);
	if (!address)
		return 0;
	fill_current(&owner);
	bpf_map_update_elem(&socket_tasks, &address, &owner, BPF_ANY);
	return 0;
}

SEC("fexit/inet_create")
int BPF_PROG(socket_created, struct net *net, struct socket *sock, int protocol, int kern, int ret)
{
	return keep_creator(sock, kern, ret);
}

SEC("fexit/inet6_create")
int BPF_PROG(socket6_created, struct net *net, struct socket *sock, int protocol, int kern, int ret)
{
	return keep_creator(sock, kern, ret);
}

static __always_inline void socket_ended(__u64 address)
{
	struct socket_state *state = bpf_map_lookup_elem(&memalloc_sockets, &address);

	bpf_map_delete_elem(&socket_tasks, &address);
	if (!state)
		return;
	tell_socket(state, RW_SOCKET_GONE);
	bpf_map_delete_elem(&memalloc_sockets, &address);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(socket_moved, const struct sock *sk, int from, int to)
{
	struct rw_task owner = {};
	__u64 address = (__u64)sk;

	if (to == TCP_SYN_SENT) {
		fill_current(&owner);
		bpf_map_update_elem(&socket_tasks, &address, &owner, BPF_ANY);
	} else if (to == TCP_CLOSE) {
		socket_ended(address);
	}
	return 0;
}

SEC("fentry/sk_destruct")
int BPF_PROG(socket_freed, struct sock *sk)
{
	socket_ended((__u64)sk);
	return 0;
}

/* ---- packets ---- */

static __always_inline void fill_drop(struct rw_socket_drop *drop, struct sock *sk)
{
	__u64 address = (__u64)sk;
	struct rw_task *owner = bpf_map_lookup_elem(&socket_tasks, &address);
	struct kernfs_node *cgroup = BPF_CORE_READ(sk, sk_cgrp_data.cgroup, kn);

	drop->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	drop->protocol = BPF_CORE_READ(sk, sk_protocol);
	drop->uid = BPF_CORE_READ(sk, sk_uid.val);
	drop->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	fill_addresses(sk, drop->family, &drop->local, &drop->peer);
	__builtin_memset(&drop->task, 0, sizeof(drop->task));
	if (owner)
		drop->task = *owner;
	else
		drop->task.cgroup_id = BPF_CORE_READ(cgroup, id);
	drop->reserved = 0;
	if (drop->task.cgroup_id && !bpf_map_lookup_elem(&named_cgroups, &drop->task.cgroup_id) &&
	    drop->task.cgroup_id == BPF_CORE_READ(cgroup, id))
		name_cgroup_node((__u64)cgroup, drop->task.cgroup_id);
}

static __always_inline void tell_drop(struct rw_socket_drop *drop)
{
	struct rw_socket_drop *record;

	if (!within_window(RW_STEM_SOCKET))
		return;
	record = begin_record(RW_STEM_SOCKET, RW_SOCKET_DROPPED, sizeof(*record));
	if (!record)
		return;
	__builtin_memcpy((void *)record + sizeof(record->header),
			 (void *)drop + sizeof(record->header),
			 sizeof(*record) - sizeof(record->header));
	submit_record(record, RW_STEM_SOCKET);
}

SEC("fexit/sk_filter_trim_cap")
int BPF_PROG(socket_filtered, struct sock *sk, struct sk_buff *skb)
{
	struct refused_packet *refused;
	struct socket_state *state;
	__u64 address = (__u64)sk, ret = 0;
	__u32 zero = 0;

	if (!BPF_CORE_READ_BITFIELD(skb, pfmemalloc))
		return 0;
	bpf_get_func_ret(ctx, &ret);
	if (is_memalloc(address)) {
		if ((int)ret)
			return 0;
		add(&rw_shared.wide.pfmemalloc_delivered, 1);
		state = bpf_map_lookup_elem(&memalloc_sockets, &address);
		if (state)
			add(&state->record.delivered, 1);
		return 0;
	}
	if ((int)ret != -ENOMEM)
		return 0;
	add(&rw_shared.wide.pfmemalloc_drop, 1);
	refused = bpf_map_lookup_elem(&refused_packets, &zero);
	if (!refused)
		return 0;
	if (refused->skb) /* its kfree_skb() was not seen */
		tell_drop(&refused->drop);
	fill_drop(&refused->drop, sk);
	refused->drop.bytes = skb->len;
	refused->drop.reason = RW_DROP_NOT_TOLD;
	refused->drop.reason_number = 0;
	refused->skb = (__u64)skb;
	return 0;
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(packet_freed, struct sk_buff *skb, void *location, unsigned int reason)
{
	struct refused_packet *refused;
	__u32 zero = 0, kind;

	if (!BPF_CORE_READ_BITFIELD(skb, pfmemalloc))
		return 0;
	add(&rw_shared.wide.pfmemalloc_freed, 1);
	kind = drop_reason(reason);
	if (rw_shared.settings.drops_by_reason) {
		/* The filter's own drops share the reason where PFMEMALLOC has none. */
		if (kind == RW_DROP_PFMEMALLOC ||
		    (kind == RW_DROP_SOCKET_FILTER && !has_pfmemalloc_reason()))
			add(&rw_shared.wide.pfmemalloc_drop, 1);
		return 0;
	}
	refused = bpf_map_lookup_elem(&refused_packets, &zero);
	if (!refused || refused->skb != (__u64)skb)
		return 0;
	refused->drop.reason = kind;
	refused->drop.reason_number = reason;
	tell_drop(&refused->drop);
	refused->skb = 0;
	return 0;
}

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(packet_received, struct sk_buff *skb)
{
	if (BPF_CORE_READ_BITFIELD(skb, pfmemalloc))
		add(&rw_shared.wide.pfmemalloc_received, 1);
	return 0;
}

SEC("fexit/__alloc_skb")
int BPF_PROG(packet_allocated, unsigned int size, unsigned int gfp, int flags, int node,
	     struct sk_buff *skb)
{
	if (skb && BPF_CORE_READ_BITFIELD(skb, pfmemalloc))
		add(&rw_shared.wide.pfmemalloc_allocated, 1);
	return 0;
}

/* ---- reports, from the timer ---- */

/*
 * Adds one connection to what is known of its device's path: what came in through it, and
 * whether the link that it goes out through has a carrier.
 */
__noinline int see_path(__u32 slot, __u64 address)
{
	struct rw_nbd_state *nbd = &rw_shared.nbd[slot & (RW_NBD_DEVICES - 1)];
	struct sock *sk = (void *)address;
	struct tcp_sock *tcp = (void *)address;
	__u32 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	struct net_device *link;
	__u32 local = 0, peer = 0;

	nbd->sockets++;
	if (family == AF_UNIX) {
		nbd->is_local = 1;
		return 0;
	}
	nbd->segments_received += BPF_CORE_READ(tcp, segs_in);
	nbd->segments_sent += BPF_CORE_READ(tcp, segs_out);
	if (family == AF_INET) {
		bpf_probe_read_kernel(&local, 4, &sk->__sk_common.skc_rcv_saddr);
		bpf_probe_read_kernel(&peer, 4, &sk->__sk_common.skc_daddr);
		if (local == peer || (peer & 0xff) == 127)
			nbd->is_local = 1;
	} else if (family == AF_INET6) {
		__u64 ours[2] = {}, theirs[2] = {};

		bpf_probe_read_kernel(ours, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_probe_read_kernel(theirs, 16, &sk->__sk_common.skc_v6_daddr);
		if (ours[0] == theirs[0] && ours[1] == theirs[1])
			nbd->is_local = 1;
	}
	/* A socket whose retransmits are not answered forgets its route: the last one counts. */
	link = BPF_CORE_READ(sk, sk_dst_cache, dev);
	if (link) {
		nbd->link_device = (__u64)link;
		nbd->link_index = BPF_CORE_READ(link, ifindex);
	} else {
		link = (void *)nbd->link_device;
		if (!link || (__u32)BPF_CORE_READ(link, ifindex) != nbd->link_index)
			return 0;
	}
	bpf_probe_read_kernel_str(nbd->link, sizeof(nbd->link), link->name);
	/* include/linux/netdevice.h: __LINK_STATE_NOCARRIER is bit 2 of net_device.state. */
	if (BPF_CORE_READ(link, state) >> LINK_STATE_NOCARRIER & 1)
		nbd->carrier = RW_CARRIER_DOWN;
	else if (nbd->carrier == RW_CARRIER_UNKNOWN)
		nbd->carrier = RW_CARRIER_UP;
	return 0;
}

#define NBD_CONNECTIONS_WALKED 16

/* The sockets of one NBD device: names them, and finds those that were marked before us. */
__noinline int walk_nbd_sockets(__u32 slot)
{
	struct rw_nbd_state *nbd = &rw_shared.nbd[slot & (RW_NBD_DEVICES - 1)];
	struct gendisk *disk = (void *)nbd->gendisk;
	struct nbd_device *device;
	struct nbd_config *config;
	struct nbd_sock **socks;
	__u32 connections;

	nbd->path_known = 0;
	nbd->sockets = 0;
	nbd->segments_received = 0;
	nbd->segments_sent = 0;
	nbd->carrier = RW_CARRIER_UNKNOWN;
	nbd->is_local = 0;
	nbd->link[0] = 0;
	if (!disk || !bpf_core_type_exists(struct nbd_device))
		return 0;
	device = (void *)BPF_CORE_READ(disk, private_data);
	config = BPF_CORE_READ(device, config);
	if (!config)
		return 0;
	nbd->path_known = 1;
	socks = BPF_CORE_READ(config, socks);
	connections = BPF_CORE_READ(config, num_connections);
	for (__u32 i = 0; i < NBD_CONNECTIONS_WALKED; i++) {
		struct nbd_sock *connection = NULL;
		struct socket_state *state;
		struct sock *sk;
		__u64 address;

		if (i >= connections || !socks)
			break;
		bpf_probe_read_kernel(&connection, sizeof(connection), &socks[i]);
		sk = BPF_CORE_READ(connection, sock, sk);
		address = (__u64)sk;
		if (!address || !is_memalloc(address))
			continue;
		see_nbd_socket(address);
		see_path(slot, address);
		state = bpf_map_lookup_elem(&memalloc_sockets, &address);
		if (!state)
			continue;
		state->record.connection = i;
		__builtin_memcpy(state->record.disk, nbd->disk, sizeof(state->record.disk));
	}
	return 0;
}

static long report_socket(struct bpf_map *map, __u64 *address, struct socket_state *state,
			  void *unused)
{
	struct sock *sk = (void *)*address;
	__u64 now = bpf_ktime_get_boot_ns(), bytes;

	/* Where the end cannot be hooked (no fentry), the mark goes with the memory. */
	if (!is_memalloc(*address)) {
		tell_socket(state, RW_SOCKET_GONE);
		bpf_map_delete_elem(map, address);
		return 0;
	}
	fill_figures(&state->record, sk);
	bytes = state->record.bytes_sent + state->record.bytes_received + state->record.delivered;
	if (state->told_boot_ns && state->told_state == state->record.state &&
	    (bytes == state->told_bytes || !rw_shared.below_low) &&
	    now - state->told_boot_ns < 1000000000)
		return 0;
	state->told_boot_ns = now;
	state->told_bytes = bytes;
	state->told_state = state->record.state;
	tell_socket(state, RW_SOCKET_STATE);
	return 0;
}

/* At the end: each as it is now. */
static long report_socket_finally(struct bpf_map *map, __u64 *address, struct socket_state *state,
				  void *unused)
{
	state->told_boot_ns = 0;
	return report_socket(map, address, state, NULL);
}

/* Before the devices are reported: what they say of their path is of this moment. */
static __noinline int find_nbd_sockets(void)
{
	for (__u32 i = 0; i < RW_NBD_DEVICES; i++)
		if (rw_shared.nbd[i].claimed_minor)
			walk_nbd_sockets(i);
	return 0;
}

static __noinline int report_sockets(void)
{
	bpf_for_each_map_elem(&memalloc_sockets, report_socket, NULL, 0);
	return 0;
}
