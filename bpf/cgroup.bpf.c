// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Stem: cgroup. Not a hook of its own: the other stems call name_cgroup() with
 * a task, or a cgroup's node, that is about to appear in a record.
 * Emits: RW_CGROUP_NAME once per cgroup, before the first record that has its id.
 * Blind to: cgroup v1 hierarchies other than that of memory; renames and
 * removals after the first use; more than CGROUP_DEPTH levels (cut at the front).
 */

#define CGROUP_DEPTH 8
#define CGROUP_NAME_BYTES 64

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u8);
} named_cgroups SEC(".maps");

/* Twice the path: names are laid down from the middle backwards, the copy runs from there on. */
struct path_scratch {
	char bytes[4 * RW_PATH_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4); /* one for each context that can interrupt another */
	__type(key, __u32);
	__type(value, struct path_scratch);
} path_scratches SEC(".maps");

__noinline int name_cgroup_node(__u64 address, __u64 id)
{
	struct kernfs_node *kn = (void *)address;
	struct rw_cgroup *record;
	struct path_scratch *scratch;
	__u32 start = RW_PATH_BYTES;
	__u32 slot = 0;
	__u8 one = 1;
	char name[CGROUP_NAME_BYTES];

	if (bpf_map_update_elem(&named_cgroups, &id, &one, BPF_NOEXIST))
		return 0; /* another CPU was first */
	scratch = bpf_map_lookup_elem(&path_scratches, &slot);
	if (!scratch)
		return 0;
	__builtin_memset(scratch->bytes, 0, 256);
	__builtin_memset(scratch->bytes + 256, 0, 256);
	for (int depth = 0; depth < CGROUP_DEPTH && kn; depth++) {
		struct kernfs_node *parent = kernfs_parent(kn);
		long length;

		if (!parent)
			break; /* the root has no name */
		length = bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(kn, name));
		if (length < 2 || start < length)
			break;
		length -= 1; /* without its NUL */
		start -= length;
		bpf_probe_read_kernel(&scratch->bytes[start & (RW_PATH_BYTES - 1)],
				      length & (CGROUP_NAME_BYTES - 1), name);
		start -= 1;
		scratch->bytes[start & (RW_PATH_BYTES - 1)] = '/';
		if (!start)
			break;
		kn = parent;
	}
	if (start == RW_PATH_BYTES) {
		start -= 1;
		scratch->bytes[start & (RW_PATH_BYTES - 1)] = '/';
	}
	record = begin_record(RW_STEM_CGROUP, RW_CGROUP_NAME, sizeof(*record));
	if (!record) {
		bpf_map_delete_elem(&named_cgroups, &id);
		return 0;
	}
	record->cgroup_id = id;
	bpf_probe_read_kernel(record->path, sizeof(record->path),
			      &scratch->bytes[start & (RW_PATH_BYTES - 1)]);
	submit_record(record, RW_STEM_CGROUP);
	return 0;
}

static __always_inline void name_cgroup(struct task_struct *task, __u64 id)
{
	if (id && !bpf_map_lookup_elem(&named_cgroups, &id))
		name_cgroup_node((__u64)task_cgroup(task), id);
}
