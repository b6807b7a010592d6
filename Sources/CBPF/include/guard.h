// SPDX-License-Identifier: Apache-2.0
//
// What the guard needs beside loading and attaching: whether this kernel lets a program refuse,
// the cgroups that are excepted, and the search for those who are to be guarded.
#ifndef RESERVEWATCH_CBPF_GUARD_H
#define RESERVEWATCH_CBPF_GUARD_H

struct rw_bpf;

/// How a program can refuse what others do.
enum rw_refusal {
	/// A program of the BPF LSM, called where "bpf" is among the LSMs that are switched on.
	RW_REFUSAL_LSM = 0,
	/// fmod_ret on a security_*(), which needs no LSM.
	RW_REFUSAL_MODIFY_RETURN = 1,
};

/// Attaches a program that refuses this process, and no other, to signal itself; signals
/// itself with signal 0; lets go of it. 0 when it was refused, -ESRCH when the program was
/// taken and is never called, else why it was not taken.
int rw_bpf_try_refusal(enum rw_refusal how);

/// Excepts the tasks of a cgroup, and of all below it, from being refused anything. `path` as
/// /proc/PID/cgroup has it, shorter than RW_GUARD_PATH_BYTES. -ENAMETOOLONG; -E2BIG: no room.
int rw_bpf_except(struct rw_bpf *_Nonnull bpf, const char *_Nonnull path);

/// Searches for those who are to be guarded, once, and starts a thread that does so again
/// whenever it is asked to. Before the sampler is started.
int rw_bpf_start_guard_search(struct rw_bpf *_Nonnull bpf);

/// Has the thread search. Does not wait, does not allocate. Nothing where no thread was started.
void rw_bpf_search_guarded(struct rw_bpf *_Nonnull bpf);

#endif
