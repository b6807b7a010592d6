// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * The one BPF object: each stem is a file of its own, included here, so that
 * all programs share their maps and load in one step. Which programs are
 * loaded is decided in user space by what the running kernel takes.
 */
#include "kernel.bpf.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "record.h"
#include "shared.h"

#include "compat.bpf.h"
#include "common.bpf.h"
#include "zones.bpf.h"

#include "cgroup.bpf.c"
#include "stack.bpf.c"
#include "reserve.bpf.c"
#include "direct_reclaim.bpf.c"
#include "throttle.bpf.c"
#include "nbd.bpf.c"
#include "swap.bpf.c"
#include "oom.bpf.c"
#include "kswapd.bpf.c"
#include "reclaim_task.bpf.c"
#include "page_task.bpf.c"
#include "reclaim_wait.bpf.c"
#include "slab.bpf.c"
#include "socket.bpf.c"
#include "guard_task.bpf.c"
#include "guard.bpf.c"
#include "guard_device.bpf.c"
#include "watermark.bpf.c" /* last of the stems: its timer reports for the others */
#include "tables.bpf.c"

char LICENSE[] SEC("license") = "GPL";
