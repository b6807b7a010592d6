// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Stem: oom. Whom the OOM killer killed.
 * Hooks: tp_btf/signal_generate and tp_btf/mark_victim (mm/oom_kill.c, process
 *        context of whoever ran out of memory).
 * mark_victim alone also fires for a task that was dying anyway and is only
 * let at the reserves. __oom_kill_process() counts oom_kill, sends SIGKILL as
 * the kernel, then marks: a mark just after such a signal to the same task, by
 * the same current, is a kill.
 * Emits: RW_OOM_KILL, RW_OOM_MARKED, with the victim's own cgroup.
 * Blind to: a victim that was marked before.
 */

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} oom_signals SEC(".maps");

SEC("tp_btf/signal_generate")
int BPF_PROG(oom_signal, int sig, struct kernel_siginfo *info, struct task_struct *task)
{
	__u32 killer = (__u32)bpf_get_current_pid_tgid();
	__u32 target;

	if (sig != SIGKILL || (unsigned long)info != SEND_SIG_PRIV)
		return 0;
	target = task->pid;
	bpf_map_update_elem(&oom_signals, &killer, &target, BPF_ANY);
	return 0;
}

SEC("tp_btf/mark_victim")
int BPF_PROG(oom_mark, struct task_struct *task, unsigned int uid)
{
	__u32 killer = (__u32)bpf_get_current_pid_tgid();
	__u32 *target = bpf_map_lookup_elem(&oom_signals, &killer);
	bool killed = target && *target == task->pid;
	struct mm_struct *mm = task->mm;
	__u64 cgroup_id = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	struct rw_oom *record;

	if (killed)
		bpf_map_delete_elem(&oom_signals, &killer);
	add(killed ? &rw_shared.counters.oom_kill : &rw_shared.counters.oom_marked, 1);
	name_cgroup(task, cgroup_id);
	record = begin_record(RW_STEM_OOM, killed ? RW_OOM_KILL : RW_OOM_MARKED, sizeof(*record));
	if (!record)
		return 0;
	record->victim.tid = task->pid;
	record->victim.tgid = task->tgid;
	record->victim.cgroup_id = cgroup_id;
	BPF_CORE_READ_INTO(&record->victim.comm, task, comm);
	record->total_vm_pages = BPF_CORE_READ(mm, total_vm);
	record->rss_pages = mm_rss_pages(mm);
	record->score_adj = BPF_CORE_READ(task, signal, oom_score_adj);
	record->uid = uid;
	submit_record(record, RW_STEM_OOM);
	return 0;
}
