// SPDX-License-Identifier: Apache-2.0
//
// The seam to libbpf: open the embedded object, ask what this kernel has, load
// what was chosen, attach, share memory, close. It decides nothing. Only its
// .c file includes <bpf/libbpf.h>; libbpf's types do not pass this header.
//
// Functions that can fail return 0 or a negative errno; rw_bpf_message() then
// has the reason in words. All of it is meant for one thread.
#ifndef RESERVEWATCH_CBPF_H
#define RESERVEWATCH_CBPF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../CRecord/include/record.h"
#include "../../CRecord/include/shared.h"
#include "guard.h"

struct rw_bpf;

/// Opens the embedded object with a ring of `ring_bytes` (a power of two, at
/// least one page). Nothing is loaded yet; every program is switched off.
/// NULL on failure.
struct rw_bpf *_Nullable rw_bpf_open(uint32_t ring_bytes);

/// Detaches everything and frees it. NULL is fine.
void rw_bpf_close(struct rw_bpf *_Nullable bpf);

/// The last reason for a failure, in one line. Never NULL.
const char *_Nonnull rw_bpf_message(void);

/// The program that the last rw_bpf_load() was refused for, or "".
const char *_Nonnull rw_bpf_refused_program(void);

/// Chooses a program to be loaded. -ENOENT: the object has no such program.
int rw_bpf_enable(struct rw_bpf *_Nonnull bpf, const char *_Nonnull program);

/// Loads the chosen programs. A refusal loads none: close, open, choose again.
int rw_bpf_load(struct rw_bpf *_Nonnull bpf);

/// Attaches one loaded program to the hook that its section names.
int rw_bpf_attach(struct rw_bpf *_Nonnull bpf, const char *_Nonnull program);

/// Detaches one program that rw_bpf_attach() attached.
int rw_bpf_detach(struct rw_bpf *_Nonnull bpf, const char *_Nonnull program);

/// Runs an iterator program once over all that it iterates; sockets are those of the
/// caller's network namespace.
int rw_bpf_run_iterator(struct rw_bpf *_Nonnull bpf, const char *_Nonnull program);

/// Arms the timer. It stops when the object is closed.
int rw_bpf_start_sampler(struct rw_bpf *_Nonnull bpf);

/// Stops the timer and puts a last report of everything that it samples into the ring.
int rw_bpf_final_report(struct rw_bpf *_Nonnull bpf);

/// What the kernel tells of a loaded program: `struct bpf_prog_info`.
struct rw_bpf_figures {
	/// How often it was skipped, because it was already running on that CPU: an interrupt
	/// hit it. Those events are in no count. -1: this kernel does not tell.
	int64_t missed;
	/// Counted only while somebody has the kernel keep statistics (kernel.bpf_stats_enabled,
	/// BPF_ENABLE_STATS); 0 as well where nobody ever did.
	uint64_t runs;
	uint64_t run_ns;
	/// Of the machine code, the functions of the program added up; 0: not told, or not made.
	uint32_t jited_bytes;
};

/// One system call; takes no memory. False: not loaded, or not told.
bool rw_bpf_figures(struct rw_bpf *_Nonnull bpf, const char *_Nonnull program,
		    struct rw_bpf_figures *_Nonnull figures);

/// The descriptor of a loaded program, or negative.
int rw_bpf_program_descriptor(struct rw_bpf *_Nonnull bpf, const char *_Nonnull program);

/// The descriptor of the object's map with this number, from 0 on; negative: there is none.
int rw_bpf_map_descriptor(struct rw_bpf *_Nonnull bpf, uint32_t index);

/// Most entries that the map takes; 0: the object has no such map.
uint32_t rw_bpf_map_capacity(struct rw_bpf *_Nonnull bpf, const char *_Nonnull map);

/// Has rw_shared.table_entries counted anew: runs the program count_tables.
int rw_bpf_count_tables(struct rw_bpf *_Nonnull bpf);

/// The memory shared with the programs; valid from load to close.
struct rw_shared *_Nullable rw_bpf_shared(struct rw_bpf *_Nonnull bpf);

/// A ring buffer as the kernel maps it: kernel/bpf/ringbuf.c.
struct rw_ring {
	unsigned long *_Nullable consumer_position;
	const unsigned long *_Nullable producer_position;
	const uint8_t *_Nullable data; ///< mapped twice in a row: no record wraps
	size_t size_bytes;
};

/// The ring of the loaded object; fields are NULL before load.
struct rw_ring rw_bpf_ring(struct rw_bpf *_Nonnull bpf);

static inline __attribute__((swift_attr("@_noAllocation"))) unsigned long
rw_ring_load(const unsigned long *_Nonnull position)
{
	return __atomic_load_n(position, __ATOMIC_ACQUIRE);
}

static inline __attribute__((swift_attr("@_noAllocation"))) uint32_t
rw_ring_load_length(const uint8_t *_Nonnull header)
{
	return __atomic_load_n((const uint32_t *)header, __ATOMIC_ACQUIRE);
}

static inline __attribute__((swift_attr("@_noAllocation"))) void
rw_ring_store(unsigned long *_Nonnull position, unsigned long value)
{
	__atomic_store_n(position, value, __ATOMIC_RELEASE);
}

// What BTF says: of the running kernel, or of the one whose file is open.

/// Has the questions below answered from `path`: raw BTF (/sys/kernel/btf/vmlinux, or
/// a copy) or an ELF file with a .BTF section (vmlinux). -ENODATA: it has no BTF,
/// -EPROTO: it is no such file.
int rw_btf_open(const char *_Nonnull path);
/// Frees what was read; the next question is about the running kernel again.
void rw_btf_close(void);
/// 0, or why there is no type information to ask (-ENOENT: the running kernel has no BTF).
int rw_btf_available(void);
/// 1 when BTF has the tracepoint `name` (as btf_trace_<name>), 0 when not.
int rw_btf_has_tracepoint(const char *_Nonnull name);
/// 1 when BTF has the function `name`, 0 when not.
int rw_btf_has_function(const char *_Nonnull name);
/// 1 when BTF has the variable `name`, 0 when not. Most kernels' BTF has per-CPU ones only.
int rw_btf_has_variable(const char *_Nonnull name);

// Trials: they ask the running kernel, whatever file is open.

/// 0 when the kernel lets a trivial fentry program load on `function`. Reads the running
/// kernel's BTF: -EBUSY while a file is open.
int rw_bpf_try_fentry(const char *_Nonnull function);
/// 0 when the kernel lets us create a small ring buffer map: BPF at all.
int rw_bpf_try_ring(void);

#endif
