// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Stem: agent. Kernel stacks, named by the kernel itself: no table of symbols in
 * the agent, and a recording can be read on any machine.
 * Hooks: none of its own; other stems call stack_of().
 * Emits: RW_AGENT_STACK once for each distinct stack, before the record that
 *        first has its id.
 * Blind to: stacks beyond RW_STACKS or that hash onto another one's place
 * (counted in stacks_untracked); frames beyond RW_STACK_FRAMES.
 */

#define BPF_F_FAST_STACK_CMP (1ull << 9)
/*
 * What stands on top of every stack and is ours: the program and its trampoline, or
 * the program and what calls it from a tracepoint.
 */
#define TRAMPOLINE_FRAMES 3
#define TRACEPOINT_FRAMES 4

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, RW_STACKS);
	__uint(key_size, 4);
	__uint(value_size, (TRACEPOINT_FRAMES + RW_STACK_FRAMES) * 8);
} stacks SEC(".maps");

static __noinline int tell_stack(void *ctx, int id, __u32 skip)
{
	struct rw_stack *record;
	__u64 addresses[RW_STACK_FRAMES] = {};
	long bytes = bpf_get_stack(ctx, addresses, sizeof(addresses), skip);

	record = begin_record(RW_STEM_AGENT, RW_AGENT_STACK, sizeof(*record));
	if (!record) {
		rw_shared.stack_told[id & (RW_STACKS - 1)] = 0;
		return 0;
	}
	record->stack = id;
	record->frames = 0;
	for (int i = 0; i < RW_STACK_FRAMES; i++) {
		record->frame[i][0] = 0;
		if (i * 8 >= bytes || !addresses[i])
			continue;
		BPF_SNPRINTF(record->frame[i], RW_FRAME_BYTES, "%pB", addresses[i]);
		record->frames++;
	}
	submit_record(record, RW_STEM_AGENT);
	return 0;
}

/* The id of the current kernel stack; negative: none to be had, or no room. */
static __always_inline int stack_of(void *ctx, __u32 skip)
{
	int id = bpf_get_stackid(ctx, &stacks, skip | BPF_F_FAST_STACK_CMP);

	if (id < 0) {
		add(&rw_shared.wide.stacks_untracked, 1);
		return -1;
	}
	if (!__sync_lock_test_and_set(&rw_shared.stack_told[id & (RW_STACKS - 1)], 1))
		tell_stack(ctx, id, skip);
	return id;
}
