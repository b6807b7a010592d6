// SPDX-License-Identifier: Apache-2.0

#include "capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(RW_CAP_DAC_READ_SEARCH == CAP_DAC_READ_SEARCH, "linux/capability.h");
_Static_assert(RW_CAP_KILL == CAP_KILL, "linux/capability.h");
_Static_assert(RW_CAP_NET_ADMIN == CAP_NET_ADMIN, "linux/capability.h");
_Static_assert(RW_CAP_IPC_LOCK == CAP_IPC_LOCK, "linux/capability.h");
_Static_assert(RW_CAP_SYS_PTRACE == CAP_SYS_PTRACE, "linux/capability.h");
_Static_assert(RW_CAP_SYS_ADMIN == CAP_SYS_ADMIN, "linux/capability.h");
_Static_assert(RW_CAP_BPF == CAP_BPF, "linux/capability.h");

int rw_keep_capabilities(uint64_t effective, uint64_t permitted)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[2];

	// glibc has no capget(3), and libcap would be one more library for these two calls.
	if (syscall(SYS_capget, &header, sets))
		return -errno;
	for (int i = 0; i < 2; i++) {
		sets[i].permitted &= (uint32_t)(permitted >> (32 * i));
		sets[i].effective = sets[i].permitted & (uint32_t)(effective >> (32 * i));
		sets[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, sets) ? -errno : 0;
}

int rw_forbid_new_rights(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
}

int rw_unlimit_locked_memory(void)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

	return setrlimit(RLIMIT_MEMLOCK, &limit) ? -errno : 0;
}
