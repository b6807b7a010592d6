// SPDX-License-Identifier: Apache-2.0
//
// What the files of this target share.
#ifndef RESERVEWATCH_CBPF_INTERNAL_H
#define RESERVEWATCH_CBPF_INTERNAL_H

#include "cbpf.h"

#define PROGRAMS_MAX 96

struct bpf_link;
struct bpf_object;
struct guard_search;

struct rw_bpf {
	struct bpf_object *object;
	struct bpf_link *links[PROGRAMS_MAX];
	const char *linked[PROGRAMS_MAX];
	struct rw_shared *shared;
	size_t shared_bytes;
	struct rw_ring ring;
	size_t ring_mapped_bytes;
	struct guard_search *guard_search;
};

// BTF's number of a function, not above 0 when there is none; of the file where one is open.
int rw_function_id(const char *name);

// Ends the searching thread; nothing where there is none.
void rw_end_guard_search(struct rw_bpf *bpf);

#endif
