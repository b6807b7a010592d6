// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Stem: guard. Attempts to end, stop or trace a guarded process (guard_task.bpf.c), to switch
 * swap on NBD off, and to disconnect a device that carries swap: told, and refused where the
 * rule says so.
 * Hooks: lsm/task_kill, ptrace_access_check, file_open, file_ioctl, netlink_send where the
 *        BPF LSM is switched on, else fmod_ret on the security_*() that would call them
 *        (process context of who tries); tp_btf/signal_generate (kernel/signal.c, any
 *        context) for signals that pass no such check, or where there is neither;
 *        tp_btf/cgroup_freeze; fexit/file_open_name (fs/open.c) below swapoff(2);
 *        fentry/nbd_ioctl, nbd_disconnect_and_put (drivers/block/nbd.c).
 *        What may be refused is refused in the first kind; what goes on is told by the
 *        others, so that each attempt is one record.
 * Emits: RW_GUARD_ATTEMPT, bounded per 100 ms; the totals have them all.
 * Blind to: what the kernel or another LSM refused before; attempts before the process is
 * guarded; writes to sysfs, sockets that are destroyed (ss -K), a guarded process that is
 * starved instead of ended.
 */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, char[RW_GUARD_PATH_BYTES]);
	__type(value, __u32);
} guard_exceptions SEC(".maps");

#define GUARD_DEPTH 16
#define GUARD_SCRATCHES 8

struct guard_scratch {
	char path[2 * RW_GUARD_PATH_BYTES]; /* the first half is a key of guard_exceptions */
	__u64 chain[GUARD_DEPTH]; /* from the task's own cgroup up */
	__u32 busy;
	__u32 reserved;
};

/* These programs may be preempted, and another one run here meanwhile. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GUARD_SCRATCHES);
	__type(key, __u32);
	__type(value, struct guard_scratch);
} guard_scratches SEC(".maps");

/* Signals without a sender that security_task_kill() was asked about, by the sending thread. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} guard_asked SEC(".maps");

struct guard_case {
	__u64 target; /* struct task_struct *; 0: none */
	__u32 action;
	__u32 way;
	__u32 signal;
	__u32 role;
	__u32 device;
	__u32 slots;
	__u32 result;
	__u32 reason;
};

/* ---- who may ---- */

static __noinline int match_path(struct guard_scratch *scratch, struct kernfs_node *kn)
{
	__u32 depth = 0, used = 0;

	for (; depth < GUARD_DEPTH; depth++) {
		struct kernfs_node *parent = kernfs_parent(kn);

		if (!parent)
			break;
		scratch->chain[depth & (GUARD_DEPTH - 1)] = (__u64)kn;
		kn = parent;
	}
	if (depth >= GUARD_DEPTH) /* its root was not reached: no name below it is sure */
		return 0;
	__builtin_memset(scratch->path, 0, RW_GUARD_PATH_BYTES);
	for (__u32 i = 0; i < GUARD_DEPTH && i < depth; i++) {
		struct kernfs_node *node =
			(void *)scratch->chain[(depth - 1 - i) & (GUARD_DEPTH - 1)];
		long length;

		if (used >= RW_GUARD_PATH_BYTES - 2)
			return 0;
		scratch->path[used & (RW_GUARD_PATH_BYTES - 1)] = '/';
		used++;
		length = bpf_probe_read_kernel_str(&scratch->path[used & (RW_GUARD_PATH_BYTES - 1)],
						   RW_GUARD_PATH_BYTES, BPF_CORE_READ(node, name));
		if (length < 2)
			return 0;
		used += length - 1;
		if (used >= RW_GUARD_PATH_BYTES)
			return 0;
		if (bpf_map_lookup_elem(&guard_exceptions, scratch->path))
			return 1;
	}
	return 0;
}

/* Whether the current task is in a cgroup that was named, or below one. */
static __noinline int in_excepted_cgroup(void)
{
	struct kernfs_node *kn = BPF_CORE_READ(current_task(), cgroups, dfl_cgrp, kn);
	int found = 0;

	for (__u32 i = 0; i < GUARD_SCRATCHES && kn; i++) {
		__u32 slot = i;
		struct guard_scratch *scratch = bpf_map_lookup_elem(&guard_scratches, &slot);

		if (!scratch || __sync_lock_test_and_set(&scratch->busy, 1))
			continue;
		found = match_path(scratch, kn);
		scratch->busy = 0;
		break;
	}
	return found;
}

#define DOT_SERVICE 0x656369767265732eull /* ".service" */

/* Whether the service manager put the current task into the target's own service. */
static __noinline int of_same_service(__u64 address)
{
	struct task_struct *target = (void *)address;
	struct kernfs_node *own = BPF_CORE_READ(current_task(), cgroups, dfl_cgrp, kn);
	struct kernfs_node *its = BPF_CORE_READ(target, cgroups, dfl_cgrp, kn);
	const char *text;
	char name[RW_GUARD_PATH_BYTES];
	__u64 tail = 0;
	long length;

	if (!own || !its || (own != its && kernfs_parent(own) != its))
		return 0;
	text = BPF_CORE_READ(its, name);
	length = bpf_probe_read_kernel_str(name, sizeof(name), text);
	if (length < 10 || length >= RW_GUARD_PATH_BYTES)
		return 0;
	bpf_probe_read_kernel(&tail, sizeof(tail), text + length - 9);
	return tail == DOT_SERVICE;
}

static __always_inline __u32 exception(__u64 target)
{
	if (bpf_get_current_pid_tgid() >> 32 == 1)
		return RW_GUARD_BY_INIT;
	if (guarded(current_task()))
		return RW_GUARD_BY_GUARDED;
	if (target && of_same_service(target))
		return RW_GUARD_BY_UNIT;
	return in_excepted_cgroup() ? RW_GUARD_BY_CGROUP : 0;
}

/* ---- what comes of it ---- */

static __noinline int tell_attempt(struct guard_case *what)
{
	struct task_struct *target = (void *)what->target;
	struct rw_guard_attempt *record;

	add(&rw_shared.wide.guard_attempts[what->action & (RW_GUARD_ACTIONS - 1)]
					  [what->result & (RW_GUARD_RESULTS - 1)],
	    1);
	if (!within_window(RW_STEM_GUARD))
		return 0;
	name_current_cgroup();
	record = begin_record(RW_STEM_GUARD, RW_GUARD_ATTEMPT, sizeof(*record));
	if (!record)
		return 0;
	fill_current(&record->task);
	__builtin_memset(&record->target, 0, sizeof(record->target));
	if (target)
		fill_task(&record->target, target);
	record->action = what->action;
	record->result = what->result;
	record->reason = what->reason;
	record->way = what->way;
	record->uid = (__u32)bpf_get_current_uid_gid();
	record->signal = what->signal;
	record->role = what->role;
	record->device = what->device;
	fill_disk(record->disk, what->slots);
	submit_record(record, RW_STEM_GUARD);
	return 0;
}

/* Tells what goes on; nothing here stops it. */
static __noinline int tell_going_on(struct guard_case *what, __u32 mode)
{
	what->reason = what->way == RW_GUARD_WAY_KERNEL ? 0 : exception(what->target);
	what->result = what->reason ? RW_GUARD_EXCEPTED : RW_GUARD_ALLOWED;
	if (!what->reason && mode == RW_GUARD_ENFORCE)
		what->reason = RW_GUARD_NO_HOOK;
	return tell_attempt(what);
}

/* -EPERM and told as refused, or 0 and not told. */
static __noinline int refuse(struct guard_case *what, __u32 mode)
{
	if (mode != RW_GUARD_ENFORCE || exception(what->target))
		return 0;
	what->reason = RW_GUARD_BY_RULE;
	what->result = RW_GUARD_REFUSED;
	tell_attempt(what);
	return -EPERM;
}

/* ---- signals ---- */

/* Whether a signal ends or stops a process that does nothing about it. */
static __always_inline bool is_disarming(int sig)
{
	return sig > 0 && sig <= 64 && sig != SIGCHLD && sig != SIGCONT && sig != SIGURG &&
	       sig != SIGWINCH;
}

/* The target's case, if it is guarded and not the current process itself. */
static __always_inline bool is_case(struct task_struct *target, struct guard_case *what)
{
	struct guard_task *found;

	if (bpf_get_current_pid_tgid() >> 32 == (__u32)BPF_CORE_READ(target, tgid))
		return false;
	found = guarded(target);
	if (!found)
		return false;
	what->target = (__u64)target;
	what->role = found->role;
	what->slots = found->slots;
	return true;
}

static __always_inline int judge(struct guard_case *what, __u32 mode)
{
	int refused = refuse(what, mode);

	if (!refused)
		tell_going_on(what, mode);
	return refused;
}

static __always_inline int judge_signal(struct task_struct *target, struct kernel_siginfo *info,
					int sig)
{
	struct guard_case what = {.action = RW_GUARD_SIGNAL, .signal = sig};
	__u32 thread = (__u32)bpf_get_current_pid_tgid(), tgid;

	if (!is_disarming(sig) || !is_case(target, &what))
		return 0;
	if ((unsigned long)info == SEND_SIG_NOINFO) {
		tgid = BPF_CORE_READ(target, tgid);
		bpf_map_update_elem(&guard_asked, &thread, &tgid, BPF_ANY);
	}
	return judge(&what, rw_shared.settings.guard_processes);
}

SEC("lsm/task_kill")
int BPF_PROG(guard_kill, struct task_struct *target, struct kernel_siginfo *info, int sig,
	     const struct cred *cred, int ret)
{
	return ret ? ret : judge_signal(target, info, sig);
}

SEC("fmod_ret/security_task_kill")
int BPF_PROG(guard_kill_modified, struct task_struct *target, struct kernel_siginfo *info, int sig,
	     const struct cred *cred, int ret)
{
	return ret ? ret : judge_signal(target, info, sig);
}

/* What the kernel, or a write to a file of its own, sends: cgroup.kill, OOM, terminal, sysrq. */
static __always_inline bool is_of_kernel(int sig, struct task_struct *target)
{
	struct task_struct *task = current_task();

	if (sig != SIGHUP && sig != SIGINT && sig != SIGQUIT && sig != SIGKILL && sig != SIGTERM &&
	    sig != SIGSTOP && sig != SIGTSTP)
		return false;
	/* PTRACE_ATTACH stops so whom it traces from now on: told as that, where it is seen. */
	return sig != SIGSTOP || !rw_shared.settings.guard_trace_hook ||
	       !BPF_CORE_READ(target, ptrace) || BPF_CORE_READ(target, parent) != task;
}

SEC("tp_btf/signal_generate")
int BPF_PROG(guard_signalled, int sig, struct kernel_siginfo *info, struct task_struct *target)
{
	struct guard_case what = {.action = RW_GUARD_SIGNAL, .signal = sig};
	__u32 thread = (__u32)bpf_get_current_pid_tgid(), *asked;
	unsigned long sender = (unsigned long)info;

	if (!is_disarming(sig) || !is_case(target, &what))
		return 0;
	if (sender == SEND_SIG_NOINFO) {
		asked = bpf_map_lookup_elem(&guard_asked, &thread);
		if (asked && *asked == (__u32)BPF_CORE_READ(target, tgid)) {
			bpf_map_delete_elem(&guard_asked, &thread);
			return 0;
		}
	}
	if (sender == SEND_SIG_NOINFO || sender == SEND_SIG_PRIV) {
		if (!is_of_kernel(sig, target))
			return 0;
		what.way = RW_GUARD_WAY_KERNEL;
	} else if (rw_shared.settings.guard_kill_hook || BPF_CORE_READ(info, si_code) > 0) {
		return 0;
	}
	tell_going_on(&what, rw_shared.settings.guard_processes);
	return 0;
}

struct freeze_search {
	__u64 cgroup_id;
	__u64 found; /* struct task_struct * */
	__u32 role;
	__u32 slots;
};

static long find_frozen(struct bpf_map *map, __u32 *tgid, struct guard_task *task,
			struct freeze_search *search)
{
	struct task_struct *leader = (void *)task->leader;

	if ((__u32)BPF_CORE_READ(leader, tgid) != *tgid ||
	    BPF_CORE_READ(leader, start_boottime) != task->start_boot_ns ||
	    BPF_CORE_READ(leader, cgroups, dfl_cgrp, kn, id) != search->cgroup_id ||
	    !guarded(leader))
		return 0;
	search->found = task->leader;
	search->role = task->role;
	search->slots = task->slots;
	return 1;
}

/* For each cgroup that is frozen, those below the one that was written to as well. */
SEC("tp_btf/cgroup_freeze")
int BPF_PROG(guard_frozen, struct cgroup *cgroup, const char *path)
{
	struct freeze_search search = {.cgroup_id = BPF_CORE_READ(cgroup, kn, id)};
	struct guard_case what = {.action = RW_GUARD_FREEZE};

	bpf_for_each_map_elem(&guard_tasks, find_frozen, &search, 0);
	if (!search.found)
		return 0;
	what.target = search.found;
	what.role = search.role;
	what.slots = search.slots;
	tell_going_on(&what, rw_shared.settings.guard_processes);
	return 0;
}

/* ---- traces ---- */

static __always_inline int judge_trace(struct task_struct *target, unsigned int mode)
{
	struct guard_case what = {.action = RW_GUARD_TRACE};

	if (!(mode & PTRACE_MODE_ATTACH) || !is_case(target, &what))
		return 0;
	if (mode & PTRACE_MODE_FSCREDS)
		what.way = RW_GUARD_WAY_PROC;
	return judge(&what, rw_shared.settings.guard_processes);
}

SEC("lsm/ptrace_access_check")
int BPF_PROG(guard_trace, struct task_struct *target, unsigned int mode, int ret)
{
	return ret ? ret : judge_trace(target, mode);
}

SEC("fmod_ret/security_ptrace_access_check")
int BPF_PROG(guard_trace_modified, struct task_struct *target, unsigned int mode, int ret)
{
	return ret ? ret : judge_trace(target, mode);
}
