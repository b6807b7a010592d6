// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Stem: guard. Attempts on the swap itself: swapoff(2), and the ways to disconnect its NBD
 * device. Hooks, what is emitted and what is not seen: guard.bpf.c.
 */

/* ---- swapoff ---- */

/* The slots of the NBD disk below a line of guard_swaps[]. */
__noinline int slots_below(__u32 line)
{
	struct rw_guard_swap *swap = &rw_shared.guard_swaps[line & (RW_SWAPS - 1)];
	__u32 slots = 0;

	for (__u32 i = 0; i < RW_NBD_DEVICES; i++)
		if (rw_shared.nbd[i].claimed_minor && same_disk(rw_shared.nbd[i].disk, swap->disk))
			slots |= 1u << i;
	return slots;
}

/*
 * dev_t of the swap that a file is; 0: none that lies on NBD. Before it is opened, so that a
 * block device is known by its node.
 */
static __always_inline __u32 swap_on_nbd(struct inode *inode, __u32 *disk_slots)
{
	__u32 kind = BPF_CORE_READ(inode, i_mode) & S_IFMT, device;

	if (kind == S_IFBLK)
		device = BPF_CORE_READ(inode, i_rdev);
	else if (kind == S_IFREG && BPF_CORE_READ(inode, i_flags) & S_SWAPFILE)
		device = BPF_CORE_READ(inode, i_sb, s_dev);
	else
		return 0;
	for (__u32 i = 0; i < RW_SWAPS; i++) {
		if (!device || rw_shared.guard_swaps[i].device != device)
			continue;
		*disk_slots = slots_below(i);
		return device;
	}
	return 0;
}

/* Whether the current task is in swapoff(2); no other call of these numbers opens a file. */
static __always_inline bool in_swapoff(void)
{
	struct pt_regs *registers = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	unsigned long call = BPF_CORE_READ(registers, orig_ax);

	return call == NR_SWAPOFF || call == NR_SWAPOFF_COMPAT;
}

static __noinline int refuse_swapoff(__u64 address)
{
	struct guard_case what = {.action = RW_GUARD_SWAPOFF};

	what.device = swap_on_nbd((void *)address, &what.slots);
	return what.device ? refuse(&what, rw_shared.settings.guard_swapoff) : 0;
}

/* For every open(2) of the host: first what needs the fewest instructions. */
static __always_inline int judge_open(struct file *file)
{
	struct inode *inode = file->f_inode;
	__u32 kind = inode->i_mode & S_IFMT;

	if (kind != S_IFBLK && (kind != S_IFREG || !(inode->i_flags & S_SWAPFILE)))
		return 0;
	return in_swapoff() ? refuse_swapoff((__u64)inode) : 0;
}

SEC("lsm/file_open")
int BPF_PROG(guard_open, struct file *file, int ret)
{
	return ret ? ret : judge_open(file);
}

SEC("fmod_ret/security_file_open")
int BPF_PROG(guard_open_modified, struct file *file, int ret)
{
	return ret ? ret : judge_open(file);
}

/* Within the kernel only, and so rarely: swapoff(2) opens its argument by it. */
SEC("fexit/file_open_name")
int BPF_PROG(guard_swapoff)
{
	struct guard_case what = {.action = RW_GUARD_SWAPOFF};
	struct file *file;
	__u64 opened = 0;

	if (bpf_get_func_ret(ctx, &opened) || !opened || opened >= -4096ull || !in_swapoff())
		return 0;
	file = (void *)opened;
	what.device = swap_on_nbd(BPF_CORE_READ(file, f_inode), &what.slots);
	if (!what.device)
		return 0;
	tell_going_on(&what, rw_shared.settings.guard_swapoff);
	return 0;
}

/* ---- disconnect ---- */

static __always_inline bool is_disconnect(unsigned int command, struct guard_case *what)
{
	what->way = command == NBD_DISCONNECT ? RW_GUARD_WAY_DISCONNECT : RW_GUARD_WAY_CLEAR_SOCK;
	return command == NBD_DISCONNECT || command == NBD_CLEAR_SOCK;
}

/* Whether a disk is one of NBD that carries swap. */
static __always_inline bool is_carrying(struct gendisk *disk, struct guard_case *what)
{
	__u32 slot = disk ? known_slot(disk) : RW_NBD_DEVICES;

	if (slot >= RW_NBD_DEVICES || !rw_shared.nbd[slot & (RW_NBD_DEVICES - 1)].carries_swap)
		return false;
	what->slots = 1u << (slot & (RW_NBD_DEVICES - 1));
	return true;
}

static __always_inline int judge_ioctl(struct file *file, unsigned int command)
{
	struct guard_case what = {.action = RW_GUARD_DISCONNECT};

	if (!is_disconnect(command, &what) || !is_carrying(disk_of(file), &what))
		return 0;
	return refuse(&what, rw_shared.settings.guard_disconnect);
}

SEC("lsm/file_ioctl")
int BPF_PROG(guard_ioctl, struct file *file, unsigned int command, unsigned long argument, int ret)
{
	return ret ? ret : judge_ioctl(file, command);
}

SEC("lsm/file_ioctl_compat")
int BPF_PROG(guard_ioctl_compat, struct file *file, unsigned int command, unsigned long argument,
	     int ret)
{
	return ret ? ret : judge_ioctl(file, command);
}

SEC("fmod_ret/security_file_ioctl")
int BPF_PROG(guard_ioctl_modified, struct file *file, unsigned int command, unsigned long argument,
	     int ret)
{
	return ret ? ret : judge_ioctl(file, command);
}

SEC("fmod_ret/security_file_ioctl_compat")
int BPF_PROG(guard_ioctl_compat_modified, struct file *file, unsigned int command,
	     unsigned long argument, int ret)
{
	return ret ? ret : judge_ioctl(file, command);
}

/* include/uapi/linux/netlink.h, genetlink.h */
struct netlink_message {
	__u32 length;
	__u16 type;
	__u16 flags;
	__u32 sequence;
	__u32 port;
	__u8 command;
	__u8 version;
	__u16 reserved;
};

struct netlink_attribute {
	__u16 length;
	__u16 type;
	__u32 value; /* of NBD_ATTR_INDEX */
};

#define NETLINK_MESSAGES 8
#define NETLINK_ATTRIBUTES 8

/* The slot of the device with this index, if it carries swap. */
__noinline int carrying_index(__u32 index)
{
	for (__u32 i = 0; i < RW_NBD_DEVICES; i++) {
		struct gendisk *disk = (void *)rw_shared.nbd[i].gendisk;
		struct nbd_device *device;

		if (!rw_shared.nbd[i].claimed_minor || !rw_shared.nbd[i].carries_swap || !disk ||
		    !bpf_core_type_exists(struct nbd_device))
			continue;
		device = (void *)BPF_CORE_READ(disk, private_data);
		if ((__u32)BPF_CORE_READ(device, index) == index)
			return i;
	}
	return RW_NBD_DEVICES;
}

/* The slot that a message's attributes name. The last one of a type counts, as in nla_parse(). */
__noinline int slot_named(__u64 from, __u32 bytes)
{
	__u32 at = 0, index = 0;
	bool named = false;

	for (int i = 0; i < NETLINK_ATTRIBUTES; i++) {
		struct netlink_attribute attribute = {};

		if (at + 4 > bytes ||
		    bpf_probe_read_kernel(&attribute, at + 8 <= bytes ? 8 : 4, (void *)from + at) ||
		    attribute.length < 4)
			break;
		if ((attribute.type & 0x3fff) == NBD_ATTR_INDEX && attribute.length >= 8) {
			index = attribute.value;
			named = true;
		}
		at += (attribute.length + 3) & ~3u;
	}
	return named ? carrying_index(index) : RW_NBD_DEVICES;
}

static __noinline int refuse_netlink(__u64 data, __u32 bytes)
{
	struct guard_case what = {
		.action = RW_GUARD_DISCONNECT,
		.way = RW_GUARD_WAY_NETLINK,
	};
	__u32 at = 0, slot;

	for (int i = 0; i < NETLINK_MESSAGES; i++) {
		struct netlink_message message = {};

		if (at + sizeof(message) > bytes ||
		    bpf_probe_read_kernel(&message, sizeof(message), (void *)data + at) ||
		    message.length < sizeof(message) || message.length > bytes - at)
			break;
		if (message.type == rw_shared.settings.nbd_family &&
		    message.command == NBD_CMD_DISCONNECT) {
			slot = slot_named(data + at + sizeof(message),
					  message.length - sizeof(message));
			if (slot < RW_NBD_DEVICES) {
				what.slots = 1u << (slot & (RW_NBD_DEVICES - 1));
				return refuse(&what, rw_shared.settings.guard_disconnect);
			}
		}
		at += (message.length + 3) & ~3u;
	}
	return 0;
}

static __always_inline int judge_netlink(struct sock *sk, struct sk_buff *skb)
{
	if (BPF_CORE_READ(sk, sk_protocol) != NETLINK_GENERIC)
		return 0;
	return refuse_netlink((__u64)BPF_CORE_READ(skb, data), BPF_CORE_READ(skb, len));
}

SEC("lsm/netlink_send")
int BPF_PROG(guard_netlink, struct sock *sk, struct sk_buff *skb, int ret)
{
	return ret ? ret : judge_netlink(sk, skb);
}

SEC("fmod_ret/security_netlink_send")
int BPF_PROG(guard_netlink_modified, struct sock *sk, struct sk_buff *skb, int ret)
{
	return ret ? ret : judge_netlink(sk, skb);
}

SEC("fentry/nbd_ioctl")
int BPF_PROG(guard_disconnected, struct block_device *device, unsigned int mode,
	     unsigned int command)
{
	struct guard_case what = {.action = RW_GUARD_DISCONNECT};

	if (!is_disconnect(command, &what) || !is_carrying(BPF_CORE_READ(device, bd_disk), &what))
		return 0;
	tell_going_on(&what, rw_shared.settings.guard_disconnect);
	return 0;
}

/* NBD_CMD_DISCONNECT, and nothing else. */
SEC("fentry/nbd_disconnect_and_put")
int BPF_PROG(guard_disconnected_by_netlink, struct nbd_device *device)
{
	struct guard_case what = {
		.action = RW_GUARD_DISCONNECT,
		.way = RW_GUARD_WAY_NETLINK,
	};

	if (!is_carrying(BPF_CORE_READ(device, disk), &what))
		return 0;
	tell_going_on(&what, rw_shared.settings.guard_disconnect);
	return 0;
}
