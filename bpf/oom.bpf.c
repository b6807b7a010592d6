// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Stem: oom. Whom the OOM killer killed.
 * Hooks: tp_btf/signal_generate and tp_btf/mark_victim (mm/oom_kill.c, process
 *        context of whoever ran out of memory).
 * mark_victim alone also fires for a task that was dying anyway and is only
 * let at the reserves. __oom_kill_process() counts oom_kill, sends SIGKILL as
 * the kernel, then marks: a mark just after such a signal to the same task, by
 * the same current, is a kill.
 * fentry/oom_kill_process has the victim's points; fentry/exit_mmap (mm/mmap.c) is
 * where what the OOM reaper has left of its memory is torn down.
 * Emits: RW_OOM_KILL, RW_OOM_MARKED, with the victim's own cgroup; RW_OOM_FREED.
 * Blind to: a victim that was marked before.
 */

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} oom_signals SEC(".maps");

struct oom_choice {
	__u32 victim;
	__u32 reserved;
	__s64 points;
};

/* By whoever ran out of memory. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct oom_choice);
} oom_choices SEC(".maps");

struct oom_victim {
	struct rw_task task;
	__u64 marked_boot_ns;
	__u64 marked_pages;
};

/* By the victim's mm. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, __u64);
	__type(value, struct oom_victim);
} oom_victims SEC(".maps");

SEC("fentry/oom_kill_process")
int BPF_PROG(oom_chosen, struct oom_control *oc)
{
	__u32 killer = (__u32)bpf_get_current_pid_tgid();
	struct oom_choice choice = {};

	choice.victim = BPF_CORE_READ(oc, chosen, pid);
	choice.points = BPF_CORE_READ(oc, chosen_points);
	bpf_map_update_elem(&oom_choices, &killer, &choice, BPF_ANY);
	return 0;
}

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
	struct oom_choice *choice = bpf_map_lookup_elem(&oom_choices, &killer);
	struct oom_victim victim = {};
	__u64 key = (__u64)mm;
	struct rw_oom *record;

	if (killed)
		bpf_map_delete_elem(&oom_signals, &killer);
	add(killed ? &rw_shared.counters.oom_kill : &rw_shared.counters.oom_marked, 1);
	fill_task(&victim.task, task);
	victim.marked_boot_ns = bpf_ktime_get_boot_ns();
	victim.marked_pages = mm_rss_pages(mm);
	if (key)
		bpf_map_update_elem(&oom_victims, &key, &victim, BPF_NOEXIST);
	name_cgroup(task, victim.task.cgroup_id);
	record = begin_record(RW_STEM_OOM, killed ? RW_OOM_KILL : RW_OOM_MARKED, sizeof(*record));
	if (!record)
		return 0;
	record->victim = victim.task;
	record->total_vm_pages = BPF_CORE_READ(mm, total_vm);
	record->rss_pages = victim.marked_pages;
	record->score_adj = BPF_CORE_READ(task, signal, oom_score_adj);
	record->uid = uid;
	record->points = choice && choice->victim == victim.task.tid ? choice->points : 0;
	record->file_pages = mm_counter(mm, 0);
	record->anon_pages = mm_counter(mm, 1);
	record->shmem_pages = mm_counter(mm, 3);
	submit_record(record, RW_STEM_OOM);
	return 0;
}

SEC("fentry/exit_mmap")
int BPF_PROG(oom_torn_down, struct mm_struct *mm)
{
	__u64 key = (__u64)mm;
	struct oom_victim *found = bpf_map_lookup_elem(&oom_victims, &key);
	struct rw_oom_freed *record;
	__u64 left;

	if (!found)
		return 0;
	add(&rw_shared.wide.oom_freed_pages, found->marked_pages);
	record = begin_record(RW_STEM_OOM, RW_OOM_FREED, sizeof(*record));
	if (record) {
		left = mm_rss_pages(mm);
		record->victim = found->task;
		record->marked_boot_ns = found->marked_boot_ns;
		record->after_ns = record->header.boot_ns - found->marked_boot_ns;
		record->marked_pages = found->marked_pages;
		record->reaped_pages = found->marked_pages > left ? found->marked_pages - left : 0;
		submit_record(record, RW_STEM_OOM);
	}
	bpf_map_delete_elem(&oom_victims, &key);
	return 0;
}
