// SPDX-License-Identifier: Apache-2.0

import CBPF

extension HookPlan {
    /// Every signal with its ways to be had, the best first.
    ///
    /// A candidate without programs is a file that the agent reads itself
    /// (`VmstatFallback`). Adding a signal: CONTRIBUTING.md, "A new stem".
    public static let signals: [Signal] = [
        Signal(
            stem: RW_STEM_WATERMARK.rawValue, name: "watermark.zones",
            candidates: [
                Candidate(
                    path: "bpf_timer over pg_data_t",
                    programs: ["find_nodes", "start_sampler", "final_report"], needs: [],
                    known: UInt64(RW_KNOWN_ZONES.rawValue)),
                Candidate(
                    path: "/proc/zoneinfo", programs: [], needs: [],
                    known: UInt64(RW_KNOWN_ZONES.rawValue)),
            ]),
        Signal(
            stem: RW_STEM_RESERVE.rawValue, name: "reserve.taken",
            candidates: [
                Candidate(
                    path: "tp_btf/mm_page_alloc, preempt_count",
                    programs: ["reserve_alloc", "reserve_free"],
                    needs: [
                        .tracepoint("mm_page_alloc"), .tracepoint("mm_page_free"),
                        .anySymbol(["pcpu_hot", "__preempt_count"]),
                    ],
                    known: UInt64(RW_KNOWN_RESERVE.rawValue | RW_KNOWN_CONTEXT.rawValue)),
                Candidate(
                    path: "tp_btf/mm_page_alloc",
                    programs: ["reserve_alloc_no_context", "reserve_free"],
                    needs: [.tracepoint("mm_page_alloc"), .tracepoint("mm_page_free")],
                    known: UInt64(RW_KNOWN_RESERVE.rawValue)),
            ]),
        Signal(
            stem: RW_STEM_DIRECT_RECLAIM.rawValue, name: "direct_reclaim.stays",
            candidates: [
                Candidate(
                    path: "tp_btf/mm_vmscan_direct_reclaim_begin, _end",
                    programs: ["reclaim_begin", "reclaim_end"],
                    needs: [
                        .tracepoint("mm_vmscan_direct_reclaim_begin"),
                        .tracepoint("mm_vmscan_direct_reclaim_end"),
                    ],
                    known: UInt64(RW_KNOWN_DIRECT_RECLAIM.rawValue))
            ]),
        Signal(
            stem: RW_STEM_DIRECT_RECLAIM.rawValue, name: "direct_reclaim.allocstall",
            candidates: [
                Candidate(
                    path: "fentry/vmpressure_prio", programs: ["reclaim_pass"],
                    needs: [.fentry("vmpressure_prio")],
                    known: UInt64(RW_KNOWN_ALLOCSTALL.rawValue)),
                vmstat(known: RW_KNOWN_ALLOCSTALL),
            ]),
        Signal(
            stem: RW_STEM_THROTTLE.rawValue, name: "throttle.calls",
            candidates: [
                Candidate(
                    path: "fentry, fexit/throttle_direct_reclaim",
                    programs: ["throttle_enter", "throttle_evaluated", "throttle_exit"],
                    needs: [
                        .fentry("throttle_direct_reclaim"), .fentry("allow_direct_reclaim"),
                        .symbols(["this_cpu_off"]),
                    ],
                    known: UInt64(RW_KNOWN_THROTTLE.rawValue | RW_KNOWN_SNAPSHOT.rawValue)),
                vmstat(known: RW_KNOWN_THROTTLE),
            ]),
        Signal(
            stem: RW_STEM_NBD.rawValue, name: "nbd.requests",
            candidates: [
                Candidate(
                    path: "tp_btf/block_rq_issue, _complete, _requeue",
                    programs: ["nbd_issue", "nbd_complete", "nbd_requeue"],
                    needs: [
                        .tracepoint("block_rq_issue"), .tracepoint("block_rq_complete"),
                        .tracepoint("block_rq_requeue"),
                    ],
                    known: UInt64(RW_KNOWN_NBD.rawValue))
            ]),
        Signal(
            stem: RW_STEM_NBD.rawValue, name: "nbd.phases",
            candidates: [
                Candidate(
                    path: "tp_btf/nbd_header_sent, _received",
                    programs: ["nbd_sent", "nbd_received"], needs: [.module("nbd")], known: 0)
            ]),
        Signal(
            stem: RW_STEM_SWAP.rawValue, name: "swap.pages",
            candidates: [
                Candidate(
                    path: "tp_btf/block_bio_queue, _complete",
                    programs: ["swap_queue", "swap_complete"],
                    needs: [
                        .tracepoint("block_bio_queue"), .tracepoint("block_bio_complete"),
                        .symbols(["end_swap_bio_write", "end_swap_bio_read"]),
                    ],
                    known: UInt64(RW_KNOWN_SWAP.rawValue)),
                vmstat(known: RW_KNOWN_SWAP),
            ]),
        Signal(
            stem: RW_STEM_OOM.rawValue, name: "oom.kills",
            candidates: [
                Candidate(
                    path: "tp_btf/mark_victim, signal_generate",
                    programs: ["oom_signal", "oom_mark"],
                    needs: [.tracepoint("mark_victim"), .tracepoint("signal_generate")],
                    known: UInt64(RW_KNOWN_OOM.rawValue)),
                vmstat(known: RW_KNOWN_OOM),
            ]),
    ]

    private static func vmstat(known: rw_known) -> Candidate {
        Candidate(path: "/proc/vmstat", programs: [], needs: [], known: UInt64(known.rawValue))
    }
}
