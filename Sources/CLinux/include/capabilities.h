// SPDX-License-Identifier: Apache-2.0
//
// capabilities(7): what a process gives away once it has what it needed them for.
#ifndef RESERVEWATCH_CAPABILITIES_H
#define RESERVEWATCH_CAPABILITIES_H

#include <stdint.h>

/// Numbers of capabilities, linux/capability.h; a set has bit N for number N.
#define RW_CAP_DAC_READ_SEARCH 2
#define RW_CAP_KILL 5
#define RW_CAP_NET_ADMIN 12
#define RW_CAP_IPC_LOCK 14
#define RW_CAP_SYS_PTRACE 19
#define RW_CAP_SYS_ADMIN 21
#define RW_CAP_BPF 39

/// capset(2): of the calling thread's capabilities only these remain, in effect and permitted;
/// none is inheritable. What the thread does not have it does not get. The other threads of the
/// process keep theirs.
int rw_keep_capabilities(uint64_t effective, uint64_t permitted);

/// prctl(2) PR_SET_NO_NEW_PRIVS: no execve(2) gives this thread, or those that it starts, a right
/// that it does not have.
int rw_forbid_new_rights(void);

/// setrlimit(2): no limit to locked memory, so that what is mapped later needs no CAP_IPC_LOCK.
/// -EPERM where there is a limit that we may not lift.
int rw_unlimit_locked_memory(void);

#endif
