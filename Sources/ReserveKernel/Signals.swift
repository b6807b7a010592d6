// SPDX-License-Identifier: Apache-2.0

import CBPF

extension HookPlan {
    /// Every signal with its ways to be had, the best first.
    ///
    /// A candidate without programs is a file that the agent reads itself
    /// (`VmstatFallback`). Adding a signal: CONTRIBUTING.md, "A new stem".
    public static let signals: [Signal] =
        memorySignals + reclaimSignals + deviceSignals + oomSignals + slabSignals + socketSignals
        + guardSignals

    private static let memorySignals = [
        Signal(
            RW_STEM_WATERMARK, "watermark.zones",
            Candidate(
                "bpf_timer over pg_data_t", timerPrograms, needs: [], known: [RW_KNOWN_ZONES],
                cost: .beat,
                blind: "dips between two samples; nodes without a kswapd"),
            Candidate(
                "/proc/zoneinfo", [], needs: [], known: [RW_KNOWN_ZONES], cost: .beat,
                blind: "dips between two readings; nothing while the agent does not run")),
        Signal(
            RW_STEM_RESERVE, "reserve.taken",
            Candidate(
                "tp_btf/mm_page_alloc, preempt_count", ["reserve_alloc", "reserve_free"],
                needs: [
                    .tracepoint("mm_page_alloc"), .tracepoint("mm_page_free"),
                    .anySymbol(["pcpu_hot", "__preempt_count"]),
                ],
                known: [RW_KNOWN_RESERVE, RW_KNOWN_CONTEXT, RW_KNOWN_BELOW_MIN], cost: .page,
                blind: "an interrupt's pages while it hit this program (counted as missed)"),
            Candidate(
                "tp_btf/mm_page_alloc", ["reserve_alloc_no_context", "reserve_free"],
                needs: [.tracepoint("mm_page_alloc"), .tracepoint("mm_page_free")],
                known: [RW_KNOWN_RESERVE, RW_KNOWN_BELOW_MIN], cost: .page,
                blind: "the context; an interrupt's pages while it hit this program")),
        Signal(
            RW_STEM_RESERVE, "reserve.pages", armedBy: .pages,
            tracepoints(
                [
                    "mm_page_alloc", "mm_page_free", "mm_page_free_batched",
                    "mm_page_alloc_zone_locked", "mm_page_pcpu_drain", "mm_page_alloc_extfrag",
                ],
                [
                    "task_page_allocated", "task_page_freed", "task_page_freed_batched",
                    "task_page_zone_locked", "task_page_drained", "task_page_fell_back",
                ], and: [.timer], known: [RW_KNOWN_PAGE_TASKS], cost: .page,
                blind: "tasks beyond the 2048th (counted)")),
    ]

    private static let reclaimSignals = [
        Signal(
            RW_STEM_DIRECT_RECLAIM, "direct_reclaim.stays",
            tracepoints(
                ["mm_vmscan_direct_reclaim_begin", "mm_vmscan_direct_reclaim_end"],
                ["reclaim_begin", "reclaim_end"], known: [RW_KNOWN_DIRECT_RECLAIM], cost: .rare,
                blind: "reclaim of a memory cgroup's own limit")),
        Signal(
            RW_STEM_DIRECT_RECLAIM, "direct_reclaim.allocstall",
            Candidate(
                "fentry/vmpressure_prio", ["reclaim_pass"], needs: [.fentry("vmpressure_prio")],
                known: [RW_KNOWN_ALLOCSTALL], cost: .rare, blind: ""),
            vmstat(RW_KNOWN_ALLOCSTALL)),
        Signal(
            RW_STEM_DIRECT_RECLAIM, "direct_reclaim.tasks",
            tracepoints(
                [
                    "mm_vmscan_direct_reclaim_begin", "mm_vmscan_direct_reclaim_end",
                    "mm_vmscan_wakeup_kswapd", "mm_vmscan_kswapd_wake", "mm_vmscan_kswapd_sleep",
                    "mm_vmscan_lru_isolate", "mm_vmscan_lru_shrink_inactive",
                    "mm_vmscan_write_folio",
                ],
                [
                    "task_reclaim_began", "task_reclaim_ended", "task_asked_kswapd",
                    "task_kswapd_woke", "task_kswapd_slept", "task_scanned", "task_reclaimed",
                    "task_wrote",
                ], and: [.timer], known: [RW_KNOWN_RECLAIM_TASKS], cost: .rare,
                blind: "tasks beyond the 1024th (counted)")),
        Signal(
            RW_STEM_THROTTLE, "throttle.calls",
            Candidate(
                "fentry, fexit/throttle_direct_reclaim",
                ["throttle_enter", "throttle_evaluated", "throttle_exit"],
                needs: [
                    .fentry("throttle_direct_reclaim"), .fentry("allow_direct_reclaim"),
                    .symbols(["this_cpu_off"]),
                ],
                known: [RW_KNOWN_THROTTLE, RW_KNOWN_SNAPSHOT], cost: .rare, blind: ""),
            Candidate(
                "/proc/vmstat", [], needs: [], known: [RW_KNOWN_THROTTLE], cost: .beat,
                blind: "who begins and ends; tasks are seen waiting every 100 ms")),
        Signal(
            RW_STEM_KSWAPD, "kswapd.wakes",
            tracepoints(
                ["mm_vmscan_kswapd_wake", "mm_vmscan_kswapd_sleep", "mm_vmscan_wakeup_kswapd"],
                ["kswapd_woke", "kswapd_slept", "kswapd_asked"], known: [RW_KNOWN_KSWAPD],
                cost: .rare, blind: "nodes beyond the eighth")),
        Signal(
            RW_STEM_RECLAIM_WAIT, "reclaim_wait.waits",
            tracepoints(
                ["mm_vmscan_throttled"], ["reclaim_waited"], known: [RW_KNOWN_RECLAIM_WAIT],
                cost: .rare, blind: "a wait that has not ended (a fifth of a second at most)")),
    ]

    private static let deviceSignals = [
        Signal(
            RW_STEM_NBD, "nbd.requests",
            tracepoints(
                ["block_rq_issue", "block_rq_complete", "block_rq_requeue"],
                ["nbd_issue", "nbd_complete", "nbd_requeue"], and: [.timer], known: [RW_KNOWN_NBD],
                cost: .request, blind: "requests that wait in the scheduler, not yet issued")),
        Signal(
            RW_STEM_NBD, "nbd.phases",
            Candidate(
                "tp_btf/nbd_header_sent, _received", ["nbd_sent", "nbd_received"],
                needs: [.module("nbd"), .timer], known: [], cost: .request,
                blind: "replies after the header was read")),
        Signal(
            RW_STEM_NBD, "nbd.devices",
            Candidate(
                "nbd_index_idr", [], needs: [.module("nbd"), .symbols(["nbd_index_idr"]), .timer],
                known: [], cost: .beat, blind: "devices beyond the 64th; connected a second ago"),
            Candidate(
                "by their requests", [], needs: [], known: [], cost: .request,
                blind: "devices that have had no request")),
        Signal(
            RW_STEM_SWAP, "swap.pages",
            Candidate(
                "tp_btf/block_bio_queue, _complete, block_rq_complete",
                ["swap_queue", "swap_complete", "swap_request_complete"],
                needs: [
                    .tracepoint("block_bio_queue"), .tracepoint("block_bio_complete"),
                    .tracepoint("block_rq_complete"),
                    .symbols(["end_swap_bio_write", "end_swap_bio_read"]),
                ],
                known: [RW_KNOWN_SWAP], cost: .request,
                blind: "synchronous devices (zram, pmem), swap files on network file systems"),
            vmstat(RW_KNOWN_SWAP)),
        Signal(
            RW_STEM_SWAP, "swap.devices",
            Candidate(
                "with swap.pages, told by the timer", [],
                needs: [
                    .tracepoint("block_bio_queue"), .tracepoint("block_rq_complete"),
                    .symbols(["end_swap_bio_write", "end_swap_bio_read"]), .timer,
                    .loaded("swap_queue"),
                ],
                known: [RW_KNOWN_SWAP_DEVICES], cost: .beat, blind: "devices beyond the 16th")),
        Signal(
            RW_STEM_SWAP, "swap.usage",
            Candidate(
                "swap_info[]", [], needs: [.symbols(["swap_info"]), .timer],
                known: [RW_KNOWN_SWAP_USAGE], cost: .beat, blind: "swap beyond the 16th area")),
    ]

    private static let oomSignals = [
        Signal(
            RW_STEM_OOM, "oom.kills",
            tracepoints(
                ["mark_victim", "signal_generate"], ["oom_signal", "oom_mark"],
                known: [RW_KNOWN_OOM], cost: .rare, blind: ""),
            vmstat(RW_KNOWN_OOM)),
        Signal(
            RW_STEM_OOM, "oom.points",
            Candidate(
                "fentry/oom_kill_process", ["oom_chosen"], needs: [.fentry("oom_kill_process")],
                known: [], cost: .rare, blind: "")),
        Signal(
            RW_STEM_OOM, "oom.freed",
            Candidate(
                "fentry/exit_mmap", ["oom_torn_down"], needs: [.fentry("exit_mmap")],
                known: [RW_KNOWN_OOM_FREED], cost: .rare, blind: "victims marked before the start")
        ),
    ]

    private static let slabSignals = [
        Signal(
            RW_STEM_SLAB, "slab.slabs",
            Candidate(
                "fexit/allocate_slab, fentry/__free_slab", ["slab_allocated", "slab_freed"],
                needs: [.fentry("allocate_slab"), .fentry("__free_slab")],
                known: [RW_KNOWN_SLAB], cost: .slab, blind: "kmalloc of more than two pages")),
        Signal(
            RW_STEM_SLAB, "slab.refusals",
            Candidate(
                "fexit/gfp_pfmemalloc_allowed", ["slab_question"],
                needs: [.fentry("gfp_pfmemalloc_allowed")], known: [RW_KNOWN_SLAB_REFUSALS],
                cost: .rare, blind: "which cache refused")),
        Signal(
            RW_STEM_SLAB, "slab.objects", armedBy: .slab,
            tracepoints(
                ["kmem_cache_alloc", "kmem_cache_free", "kmalloc", "kfree"],
                ["slab_object_allocated", "slab_object_freed", "slab_kmalloc", "slab_kfree"],
                and: [.timer], known: [RW_KNOWN_SLAB_OBJECTS], cost: .object,
                blind: "objects of bulk allocations")),
    ]

    private static let socketSignals = [
        Signal(
            RW_STEM_SOCKET, "socket.memalloc",
            Candidate(
                "fentry/sk_set_memalloc, iter/tcp, iter/unix",
                [
                    "socket_marked", "socket_moved", "socket_freed", "find_tcp_sockets",
                    "find_unix_sockets",
                ],
                needs: [
                    .fentry("sk_set_memalloc"), .fentry("sk_destruct"),
                    .tracepoint("inet_sock_set_state"), .timer,
                ],
                known: [RW_KNOWN_SOCKETS, RW_KNOWN_SOCKETS_MARKED], cost: .connection,
                blind: "sockets marked earlier in a network namespace without process and name"),
            Candidate(
                "iter/tcp, iter/unix, nbd_config",
                ["socket_moved", "find_tcp_sockets", "find_unix_sockets"],
                needs: [.tracepoint("inet_sock_set_state"), .timer], known: [RW_KNOWN_SOCKETS],
                cost: .connection,
                blind: "sockets marked after the start that no NBD device and no new swap leads to")
        ),
        Signal(
            RW_STEM_SOCKET, "socket.tasks",
            Candidate(
                "fexit/inet_create, inet6_create, inet_csk_accept",
                ["socket_created", "socket6_created", "socket_accepted", "find_socket_tasks"],
                needs: [
                    .fentry("inet_create"), .fentry("inet6_create"), .fentry("inet_csk_accept"),
                ],
                known: [], cost: .connection, blind: "sockets handed to another process"),
            Candidate(
                "fexit/inet_csk_accept, iter/task_file", ["socket_accepted", "find_socket_tasks"],
                needs: [.fentry("inet_csk_accept")], known: [], cost: .connection,
                blind: "UDP sockets opened after the start; those handed to another process"),
            Candidate(
                "iter/task_file", ["find_socket_tasks"], needs: [], known: [], cost: .once,
                blind: "who accepted after the start")),
        Signal(
            RW_STEM_SOCKET, "socket.drops",
            Candidate(
                "fexit/sk_filter_trim_cap, tp_btf/kfree_skb", ["socket_filtered", "packet_freed"],
                needs: [.fentry("sk_filter_trim_cap"), .tracepoint("kfree_skb")],
                known: [RW_KNOWN_DROPS, RW_KNOWN_DELIVERED], cost: .packet,
                blind: "packets dropped before a socket is known"),
            Candidate(
                "tp_btf/kfree_skb", ["packet_freed"], needs: [.tracepoint("kfree_skb")],
                known: [RW_KNOWN_DROPS], cost: .packet,
                blind: "the socket; before v6.17 a socket filter's own drops count as well")),
        Signal(
            RW_STEM_SOCKET, "socket.received",
            tracepoints(
                ["netif_receive_skb"], ["packet_received"], known: [RW_KNOWN_RECEIVED],
                cost: .packet, blind: "packets taken before the stack (XDP)")),
        Signal(
            RW_STEM_SOCKET, "socket.skbs", armedBy: .skbs,
            Candidate(
                "fexit/__alloc_skb", ["packet_allocated"], needs: [.fentry("__alloc_skb")],
                known: [RW_KNOWN_SKBS], cost: .packet,
                blind: "receive buffers that drivers build from their own pages")),
    ]

    private static let searched: [Need] = [.loaded("guard_begin"), .timer]
    private static let signalled: [Need] =
        [.tracepoint("signal_generate"), .tracepoint("cgroup_freeze")] + searched

    private static let guardSignals = [
        Signal(
            "guard.processes", .processes,
            Candidate(
                "iter/task, iter/task_file", searchPrograms, needs: [.timer], known: [],
                cost: .connection, blind: "a server behind address translation")),
        Signal(
            "guard.signals", .processes, refuses: true,
            Candidate(
                "lsm/task_kill, tp_btf/signal_generate",
                ["guard_kill", "guard_signalled", "guard_frozen"],
                needs: [.lsm("task_kill")] + signalled, known: [RW_KNOWN_GUARD_SIGNALS],
                cost: .attempt, blind: blindOfSignals, canRefuse: true),
            Candidate(
                "fmod_ret/security_task_kill, tp_btf/signal_generate",
                ["guard_kill_modified", "guard_signalled", "guard_frozen"],
                needs: [.modifyReturn("security_task_kill")] + signalled,
                known: [RW_KNOWN_GUARD_SIGNALS], cost: .attempt, blind: blindOfSignals,
                canRefuse: true),
            Candidate(
                "tp_btf/signal_generate", ["guard_signalled", "guard_frozen"], needs: signalled,
                known: [RW_KNOWN_GUARD_SIGNALS], cost: .attempt,
                blind: "signals that the kernel or an LSM refused; nothing can be refused here")),
        Signal(
            "guard.traces", .processes, refuses: true,
            Candidate(
                "lsm/ptrace_access_check", ["guard_trace"],
                needs: [.lsm("ptrace_access_check")] + searched, known: [RW_KNOWN_GUARD_TRACES],
                cost: .attempt, blind: "who traced already", canRefuse: true),
            Candidate(
                "fmod_ret/security_ptrace_access_check", ["guard_trace_modified"],
                needs: [.modifyReturn("security_ptrace_access_check")] + searched,
                known: [RW_KNOWN_GUARD_TRACES], cost: .attempt, blind: "who traced already",
                canRefuse: true)),
        Signal(
            "guard.swapoff", .swapoff,
            Candidate(
                "fexit/file_open_name", ["guard_swapoff"],
                needs: [.fentry("file_open_name"), .timer],
                known: [RW_KNOWN_GUARD_SWAPOFF], cost: .attempt,
                blind: "what comes of it: the swap is gone, or not")),
        Signal(
            "guard.swapoff_refusal", .swapoff, refuses: true, onlyRefuses: true,
            Candidate(
                "lsm/file_open", ["guard_open"], needs: [.lsm("file_open"), .timer], known: [],
                cost: .open, blind: "", canRefuse: true),
            Candidate(
                "fmod_ret/security_file_open", ["guard_open_modified"],
                needs: [.modifyReturn("security_file_open"), .timer], known: [], cost: .open,
                blind: "", canRefuse: true)),
        Signal(
            "guard.disconnect", .disconnect,
            Candidate(
                "fentry/nbd_ioctl, nbd_disconnect_and_put",
                ["guard_disconnected", "guard_disconnected_by_netlink"],
                needs: [
                    .moduleFunction("nbd_ioctl", of: "nbd"),
                    .moduleFunction("nbd_disconnect_and_put", of: "nbd"), .timer,
                ],
                known: [RW_KNOWN_GUARD_DISCONNECT], cost: .attempt,
                blind: "sockets that are destroyed (ss -K), a wire that is cut")),
        Signal(
            "guard.disconnect_refusal", .disconnect, refuses: true, onlyRefuses: true,
            refusal("lsm/file_ioctl, _compat, netlink_send", "", compat: true) { .lsm($0) },
            refusal("lsm/file_ioctl, netlink_send", "", compat: false) { .lsm($0) },
            refusal(
                "fmod_ret/security_file_ioctl, _compat, netlink_send", "_modified", compat: true
            ) {
                .modifyReturn("security_\($0)")
            },
            refusal("fmod_ret/security_file_ioctl, netlink_send", "_modified", compat: false) {
                .modifyReturn("security_\($0)")
            }),
    ]

    private static let blindOfSignals =
        "what was refused before; cgroup.kill and cgroup.freeze are told, and not refused"

    /// Newer kernels ask about ioctl(2) of 32-bit programs by a hook of its own.
    private static func refusal(
        _ path: String, _ suffix: String, compat: Bool, _ need: (String) -> Need
    ) -> Candidate {
        Candidate(
            path,
            ["guard_ioctl\(suffix)"] + (compat ? ["guard_ioctl_compat\(suffix)"] : [])
                + ["guard_netlink\(suffix)"],
            needs: [need("file_ioctl")] + (compat ? [need("file_ioctl_compat")] : [])
                + [need("netlink_send"), .module("nbd"), .nbdFamily, .timer],
            known: [], cost: .control, blind: "", canRefuse: true)
    }

    private static func vmstat(_ known: rw_known) -> Candidate {
        Candidate(
            "/proc/vmstat", [], needs: [], known: [known], cost: .beat,
            blind: "single events: only their number is known")
    }

    /// What needs its tracepoints and nothing else: "tp_btf/block_rq_issue and 2 more".
    private static func tracepoints(
        _ names: [String], _ programs: [String], and further: [Need] = [], known: [rw_known],
        cost: Cost, blind: String
    ) -> Candidate {
        let more = names.count > 1 ? " and \(names.count - 1) more" : ""
        return Candidate(
            "tp_btf/" + names[0] + more, programs,
            needs: names.map { .tracepoint($0) } + further, known: known, cost: cost, blind: blind)
    }
}
