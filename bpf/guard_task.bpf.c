// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Stem: guard. Who is guarded: the agent, the client of an NBD device that carries swap, and
 * who serves such a device on this host.
 * Hooks: none. iter/task and iter/task_file (process context of the agent's searching
 *        thread), run at the start and when a connection came; the timer keeps up which
 *        devices carry swap.
 *        A client is the process whose thread set the device up (nbd_device.pid) and that
 *        still holds it open. A server holds the other end of one of the device's sockets:
 *        the peer of a unix socket, or TCP with the two addresses turned around.
 * Emits: RW_GUARD_GUARDED for each that is found or changed its role, RW_GUARD_RELEASED for
 *        each that is not found any more.
 * Blind to: processes beyond RW_GUARD_TASKS, counted as untracked; a server behind address
 * translation; one that shares its socket with nobody (a server in the kernel).
 */

struct guard_task {
	struct rw_task task; /* as it was found */
	__u64 leader; /* struct task_struct * of its first thread */
	__u64 start_boot_ns; /* tells it from a later process of the same number */
	__u64 generation;
	__u32 role;
	__u32 slots; /* of nbd[], one bit each */
	__u32 next_role; /* as this search finds them */
	__u32 next_slots;
	__u32 told;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RW_GUARD_TASKS);
	__type(key, __u32);
	__type(value, struct guard_task);
} guard_tasks SEC(".maps");

struct guard_ends {
	__u32 family;
	__u32 local[4];
	__u32 peer[4];
	__u32 local_port;
	__u32 peer_port;
};

/* Ends of NBD connections as their servers see them, with the device's slot. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct guard_ends);
	__type(value, __u32);
} guard_peers SEC(".maps");

/* Unix sockets of NBD devices. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u64);
	__type(value, __u32);
} guard_unix SEC(".maps");

/* ---- which devices carry swap ---- */

static __always_inline bool same_disk(const char *one, const char *other)
{
	const __u64 *a = (const void *)one, *b = (const void *)other;

	return a[0] == b[0] && a[1] == b[1];
}

__noinline int see_carried(__u32 slot)
{
	struct rw_nbd_state *nbd = &rw_shared.nbd[slot & (RW_NBD_DEVICES - 1)];
	__u32 carries = 0;

	for (__u32 i = 0; i < RW_SWAPS; i++)
		if (rw_shared.guard_swaps[i].device &&
		    same_disk(nbd->disk, rw_shared.guard_swaps[i].disk))
			carries = 1;
	nbd->carries_swap = carries;
	return 0;
}

/* Called by the timer. */
static __noinline int see_guard_swaps(void)
{
	for (__u32 i = 0; i < RW_NBD_DEVICES; i++)
		if (rw_shared.nbd[i].claimed_minor)
			see_carried(i);
	return 0;
}

/* The first of these slots whose device carries swap; RW_NBD_DEVICES: none. */
__noinline int carrying_slot(__u32 slots)
{
	for (__u32 i = 0; i < RW_NBD_DEVICES; i++)
		if (slots >> i & 1 && rw_shared.nbd[i].carries_swap)
			return i;
	return RW_NBD_DEVICES;
}

/* The slot of a disk that has one; RW_NBD_DEVICES: none. */
static __always_inline __u32 known_slot(struct gendisk *disk)
{
	__u32 claim = BPF_CORE_READ(disk, first_minor) + 1;

	if (BPF_CORE_READ(disk, major) != NBD_MAJOR)
		return RW_NBD_DEVICES;
	for (__u32 i = 0; i < RW_NBD_DEVICES; i++)
		if (rw_shared.nbd[i].claimed_minor == claim)
			return i;
	return RW_NBD_DEVICES;
}

/* The disk of an open block device, its partitions' too. */
static __always_inline struct gendisk *disk_of(struct file *file)
{
	struct block_device *device;
	struct inode *host;

	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFBLK)
		return NULL;
	host = BPF_CORE_READ(file, f_mapping, host);
	if (!host)
		return NULL;
	device = (void *)host - bpf_core_field_offset(struct bdev_inode, vfs_inode);
	return BPF_CORE_READ(device, bd_disk);
}

/* ---- who is guarded ---- */

/* What is kept of a guarded process; NULL: it is not, or not now. `task`: any of its threads. */
static __always_inline struct guard_task *guarded(struct task_struct *task)
{
	__u32 tgid = BPF_CORE_READ(task, tgid);
	struct guard_task *found = bpf_map_lookup_elem(&guard_tasks, &tgid);

	if (!found || BPF_CORE_READ(task, group_leader, start_boottime) != found->start_boot_ns)
		return NULL;
	if (found->role & RW_GUARD_AGENT || carrying_slot(found->slots) < RW_NBD_DEVICES)
		return found;
	return NULL;
}

static __always_inline void fill_disk(char *disk, __u32 slots)
{
	__u32 slot = carrying_slot(slots);

	for (__u32 i = 0; i < RW_NBD_DEVICES && slot >= RW_NBD_DEVICES; i++)
		if (slots >> i & 1)
			slot = i;
	__builtin_memset(disk, 0, RW_NAME_BYTES);
	if (slot < RW_NBD_DEVICES)
		__builtin_memcpy(disk, rw_shared.nbd[slot & (RW_NBD_DEVICES - 1)].disk,
				 RW_NAME_BYTES);
}

__noinline int tell_guarded(__u32 tgid, __u32 kind)
{
	struct guard_task *found = bpf_map_lookup_elem(&guard_tasks, &tgid);
	struct task_struct *leader;
	struct rw_guarded *record;

	if (!found)
		return 0;
	leader = (void *)found->leader;
	name_cgroup(leader, found->task.cgroup_id);
	record = begin_record(RW_STEM_GUARD, kind, sizeof(*record));
	if (!record)
		return 0;
	record->task = found->task;
	record->role = found->role;
	record->reserved = 0;
	record->start_boot_ns = found->start_boot_ns;
	record->score_adj = 0;
	record->tracer = 0;
	record->locked_pages = 0;
	record->swapped_pages = 0;
	fill_disk(record->disk, found->slots);
	if (kind == RW_GUARD_GUARDED) {
		struct mm_struct *mm = BPF_CORE_READ(leader, mm);

		record->score_adj = BPF_CORE_READ(leader, signal, oom_score_adj);
		if (BPF_CORE_READ(leader, ptrace))
			record->tracer = BPF_CORE_READ(leader, parent, tgid);
		if (mm) {
			record->locked_pages = BPF_CORE_READ(mm, locked_vm);
			record->swapped_pages = mm_counter(mm, 2);
		}
	}
	submit_record(record, RW_STEM_GUARD);
	return 0;
}

/* Takes a process in, or keeps it; told at the end of the search. slot: RW_NBD_DEVICES none. */
__noinline int take_guarded(__u64 address, __u32 role, __u32 slot)
{
	struct task_struct *leader = (void *)address;
	__u32 tgid = BPF_CORE_READ(leader, tgid);
	__u32 slots = slot < RW_NBD_DEVICES ? 1u << (slot & (RW_NBD_DEVICES - 1)) : 0;
	struct guard_task *found = bpf_map_lookup_elem(&guard_tasks, &tgid);
	struct guard_task fresh = {};

	if (found && found->start_boot_ns == BPF_CORE_READ(leader, start_boottime)) {
		if (found->generation != rw_shared.guard_generation) {
			found->generation = rw_shared.guard_generation;
			found->next_role = 0;
			found->next_slots = 0;
		}
		found->role |= role;
		found->slots |= slots;
		found->next_role |= role;
		found->next_slots |= slots;
		return 0;
	}
	if (found)
		tell_guarded(tgid, RW_GUARD_RELEASED);
	fill_task(&fresh.task, leader);
	fresh.leader = address;
	fresh.start_boot_ns = BPF_CORE_READ(leader, start_boottime);
	fresh.generation = rw_shared.guard_generation;
	fresh.role = role;
	fresh.slots = slots;
	fresh.next_role = role;
	fresh.next_slots = slots;
	if (bpf_map_update_elem(&guard_tasks, &tgid, &fresh, BPF_ANY))
		add(&rw_shared.wide.guard_untracked, 1);
	return 0;
}

/* ---- the search: guard_begin, guard_find_clients, guard_find_holders, guard_end ---- */

/* Addresses of a TCP socket. IPv4 within IPv6 counts as IPv4: servers often listen so. */
static __always_inline bool fill_ends(struct sock *sk, struct guard_ends *ends)
{
	__u32 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	__builtin_memset(ends, 0, sizeof(*ends));
	if (family == AF_INET6) {
		bpf_probe_read_kernel(ends->local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_probe_read_kernel(ends->peer, 16, &sk->__sk_common.skc_v6_daddr);
		if (!ends->peer[0] && !ends->peer[1] && ends->peer[2] == 0xffff0000) {
			ends->local[0] = ends->local[3];
			ends->peer[0] = ends->peer[3];
			for (int i = 1; i < 4; i++) {
				ends->local[i] = 0;
				ends->peer[i] = 0;
			}
			family = AF_INET;
		}
	} else if (family == AF_INET) {
		bpf_probe_read_kernel(ends->local, 4, &sk->__sk_common.skc_rcv_saddr);
		bpf_probe_read_kernel(ends->peer, 4, &sk->__sk_common.skc_daddr);
	} else {
		return false;
	}
	ends->family = family;
	ends->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	ends->peer_port = swap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
	return true;
}

/* One socket of a device: whoever holds its other end serves the device. */
__noinline int note_connection(__u64 address, __u32 slot)
{
	struct sock *sk = (void *)address;
	struct guard_ends ends, turned = {};

	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_UNIX) {
		bpf_map_update_elem(&guard_unix, &address, &slot, BPF_ANY);
		return 0;
	}
	if (!fill_ends(sk, &ends))
		return 0;
	turned.family = ends.family;
	for (int i = 0; i < 4; i++) {
		turned.local[i] = ends.peer[i];
		turned.peer[i] = ends.local[i];
	}
	turned.local_port = ends.peer_port;
	turned.peer_port = ends.local_port;
	bpf_map_update_elem(&guard_peers, &turned, &slot, BPF_ANY);
	return 0;
}

__noinline int note_device(__u32 slot)
{
	struct rw_nbd_state *nbd = &rw_shared.nbd[slot & (RW_NBD_DEVICES - 1)];
	struct gendisk *disk = (void *)nbd->gendisk;
	struct nbd_device *device;
	struct nbd_config *config;
	struct nbd_sock **socks;
	__u32 connections;

	nbd->setup_tid = 0;
	nbd->client_tgid = 0;
	if (!disk || !bpf_core_type_exists(struct nbd_device))
		return 0;
	device = (void *)BPF_CORE_READ(disk, private_data);
	config = BPF_CORE_READ(device, config);
	if (!config)
		return 0;
	nbd->setup_tid = BPF_CORE_READ(device, pid);
	socks = BPF_CORE_READ(config, socks);
	connections = BPF_CORE_READ(config, num_connections);
	for (__u32 i = 0; i < NBD_CONNECTIONS_WALKED; i++) {
		struct nbd_sock *connection = NULL;
		__u64 address;

		if (i >= connections || !socks)
			break;
		bpf_probe_read_kernel(&connection, sizeof(connection), &socks[i]);
		address = (__u64)BPF_CORE_READ(connection, sock, sk);
		if (address)
			note_connection(address, slot);
	}
	return 0;
}

static long forget_peer(struct bpf_map *map, struct guard_ends *ends, __u32 *slot, void *unused)
{
	bpf_map_delete_elem(map, ends);
	return 0;
}

static long forget_unix(struct bpf_map *map, __u64 *address, __u32 *slot, void *unused)
{
	bpf_map_delete_elem(map, address);
	return 0;
}

SEC("syscall")
int guard_begin(void *ctx)
{
	struct task_struct *agent = current_task();

	rw_shared.guard_generation++;
	if (!rw_shared.counters.timer_ticks) {
		/* Later the timer does it, and nobody else may. */
		find_nbd();
		see_guard_swaps();
	}
	bpf_for_each_map_elem(&guard_peers, forget_peer, NULL, 0);
	bpf_for_each_map_elem(&guard_unix, forget_unix, NULL, 0);
	for (__u32 i = 0; i < RW_NBD_DEVICES; i++)
		if (rw_shared.nbd[i].claimed_minor)
			note_device(i);
	if (rw_shared.settings.guard_agent)
		take_guarded((__u64)BPF_CORE_READ(agent, group_leader), RW_GUARD_AGENT,
			     RW_NBD_DEVICES);
	return 0;
}

SEC("iter/task")
int guard_find_clients(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (!task)
		return 0;
	for (__u32 i = 0; i < RW_NBD_DEVICES; i++)
		if (rw_shared.nbd[i].setup_tid && rw_shared.nbd[i].setup_tid == (__u32)task->pid)
			rw_shared.nbd[i].client_tgid = task->tgid;
	return 0;
}

SEC("iter/task_file")
int guard_find_holders(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct unix_sock *unix_sk;
	struct guard_ends ends;
	struct gendisk *disk;
	struct socket *socket;
	__u32 *found, slot;
	__u64 peer;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket) {
		disk = disk_of(file);
		slot = disk ? known_slot(disk) : RW_NBD_DEVICES;
		if (slot < RW_NBD_DEVICES &&
		    rw_shared.nbd[slot & (RW_NBD_DEVICES - 1)].client_tgid == (__u32)task->tgid)
			take_guarded((__u64)BPF_CORE_READ(task, group_leader), RW_GUARD_CLIENT,
				     slot);
		return 0;
	}
	unix_sk = (void *)BPF_CORE_READ(socket, sk);
	if (!unix_sk)
		return 0;
	if (BPF_CORE_READ((struct sock *)unix_sk, __sk_common.skc_family) == AF_UNIX) {
		peer = (__u64)BPF_CORE_READ(unix_sk, peer);
		found = bpf_map_lookup_elem(&guard_unix, &peer);
	} else {
		if (!fill_ends((struct sock *)unix_sk, &ends))
			return 0;
		found = bpf_map_lookup_elem(&guard_peers, &ends);
	}
	if (found)
		take_guarded((__u64)BPF_CORE_READ(task, group_leader), RW_GUARD_SERVER, *found);
	return 0;
}

static long settle(struct bpf_map *map, __u32 *tgid, struct guard_task *task, void *unused)
{
	bool changed;

	if (task->generation != rw_shared.guard_generation) {
		tell_guarded(*tgid, RW_GUARD_RELEASED);
		bpf_map_delete_elem(map, tgid);
		return 0;
	}
	changed = !task->told || task->role != task->next_role || task->slots != task->next_slots;
	task->role = task->next_role;
	task->slots = task->next_slots;
	task->told = 1;
	if (changed)
		tell_guarded(*tgid, RW_GUARD_GUARDED);
	return 0;
}

SEC("syscall")
int guard_end(void *ctx)
{
	bpf_for_each_map_elem(&guard_tasks, settle, NULL, 0);
	return 0;
}
