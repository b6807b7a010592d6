// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension MetricsRegistry {
    static let reclaimMetrics: [Metric] = [
        vmstat("reservewatch_allocstall_total", "Runs of direct reclaim: allocstall_*.") {
            $0.allocstall
        },
        vmstat(
            "reservewatch_pgscan_direct_throttle_total",
            "Sleeps in throttle_direct_reclaim(): pgscan_direct_throttle."
        ) { $0.pgscanDirectThrottle },
        vmstat("reservewatch_pswpin_total", "Pages read from swap: pswpin.") { $0.pswpin },
        vmstat("reservewatch_pswpout_total", "Pages written to swap: pswpout.") { $0.pswpout },
        vmstat("reservewatch_oom_kill_total", "Processes that the OOM killer killed: oom_kill.") {
            $0.oomKill
        },
        .counter(
            "reservewatch_oom_marked_total",
            "Tasks that were let at the reserves as victims, with those that were dying already.",
            from: "tp_btf/mark_victim"
        ) { $1.sample($0.counters?.oomMarked.map { .number($0) }) },
        .counter(
            "reservewatch_oom_freed_bytes_total", unit: .bytes, "Memory that came free of victims.",
            from: "fentry/exit_mmap"
        ) { $1.sample($0.bytes($0.counters?.oomFreedPages)) },
        reclaim("reservewatch_direct_reclaim_begun_total", "try_to_free_pages() entered.") {
            .number($0.begun)
        },
        reclaim("reservewatch_direct_reclaim_ended_total", "try_to_free_pages() left.") {
            .number($0.ended)
        },
        reclaim(
            "reservewatch_direct_reclaim_ended_unseen_total",
            "Left, having been entered before the agent's start or untracked."
        ) { .number($0.endedUnseen) },
        .gauge(
            "reservewatch_direct_reclaim_inside", "Tasks inside direct reclaim now.",
            from: "tp_btf/mm_vmscan_direct_reclaim_*"
        ) { $1.sample($0.counters?.directReclaim.map { .number($0.inside) }) },
        .gauge(
            "reservewatch_direct_reclaim_longest_seconds", unit: .seconds,
            "How long the task that is inside direct reclaim longest has been there; 0 when none is there for longer than the slow threshold.",
            from: "direct_reclaim records"
        ) { picture, out in
            guard picture.counters?.directReclaim != nil else { return }
            out.sample(.nanoseconds(picture.verdict.evidence.longestReclaimNanoseconds))
        },
        .counter(
            "reservewatch_direct_reclaim_reclaimed_bytes_total", unit: .bytes,
            "Memory that direct reclaim freed.", from: "tp_btf/mm_vmscan_direct_reclaim_end"
        ) { $1.sample($0.bytes($0.counters?.directReclaim?.reclaimedPages)) },
        .histogram(
            "reservewatch_direct_reclaim_duration_seconds",
            "Stays in direct reclaim that ended.", from: "tp_btf/mm_vmscan_direct_reclaim_*"
        ) { picture, out in
            guard let reclaim = picture.counters?.directReclaim else { return }
            out.histogram(reclaim.durations, sumNanoseconds: reclaim.totalNanoseconds)
        },
        throttle(
            "reservewatch_throttle_evaluations_total", "Returns of allow_direct_reclaim()."
        ) { .number($0.evaluations) },
        throttle(
            "reservewatch_throttle_refusals_total", "Of these, those that said no."
        ) { .number($0.refusals) },
        throttle(
            "reservewatch_throttle_ended_total", "Sleeps in throttle_direct_reclaim() that ended."
        ) { .number($0.ended) },
        throttle(
            "reservewatch_throttle_seconds_total", unit: .seconds, "Time in these sleeps."
        ) { .nanoseconds($0.totalNanoseconds) },
        throttle(
            "reservewatch_throttle_mismatches_total",
            "Returns of allow_direct_reclaim() that our own computation contradicts, by the better of its two rules."
        ) { .number(min($0.mismatchesPlain, $0.mismatchesSnapshot)) },
        .counter(
            "reservewatch_reclaim_waits_total", by: ["reason"],
            "Waits in reclaim_throttle(), which is not throttle_direct_reclaim().",
            from: "tp_btf/mm_vmscan_throttled"
        ) { picture, out in
            guard let waits = picture.counters?.reclaimWaits else { return }
            for reason in ReclaimReason.allCases {
                out.sample(.number(waits.count[Int(reason.rawValue)]), .word(reason.word))
            }
        },
        .counter(
            "reservewatch_reclaim_wait_seconds_total", unit: .seconds, by: ["reason"],
            "Time in these waits.", from: "tp_btf/mm_vmscan_throttled"
        ) { picture, out in
            guard let waits = picture.counters?.reclaimWaits else { return }
            for reason in ReclaimReason.allCases {
                out.sample(
                    .nanoseconds(waits.nanoseconds[Int(reason.rawValue)]), .word(reason.word))
            }
        },
    ]

    static let slabMetrics: [Metric] = [
        slab("reservewatch_slabs_allocated_total", "Slabs that caches got.") { $0.allocated },
        slab("reservewatch_slabs_freed_total", "Slabs that caches gave back.") { $0.freed },
        slab("reservewatch_slabs_from_reserve_total", "Slabs whose pages came from the reserve.") {
            $0.fromReserve
        },
        .counter(
            "reservewatch_slab_questions_total",
            "Times that an object of a reserve slab was asked for.",
            from: "fexit/gfp_pfmemalloc_allowed"
        ) { $1.sample($0.counters?.slabQuestions.map { .number($0.asked) }) },
        .counter(
            "reservewatch_slab_refusals_total", "Of these, those that were refused.",
            from: "fexit/gfp_pfmemalloc_allowed"
        ) { $1.sample($0.counters?.slabQuestions.map { .number($0.refused) }) },
    ]

    private static func vmstat(
        _ name: StaticString, _ help: StaticString,
        _ count: @escaping @Sendable (CounterTotals.Kernel) -> UInt64?
    ) -> Metric {
        .counter(name, help, from: "what /proc/vmstat counts, since the agent's start") {
            picture, out in
            out.sample(picture.counters.flatMap { count($0.kernel) }.map { .number($0) })
        }
    }

    private static func reclaim(
        _ name: StaticString, _ help: StaticString,
        _ value: @escaping @Sendable (CounterTotals.DirectReclaim) -> MetricValue
    ) -> Metric {
        .counter(name, help, from: "tp_btf/mm_vmscan_direct_reclaim_*") { picture, out in
            out.sample(picture.counters?.directReclaim.map(value))
        }
    }

    private static func throttle(
        _ name: StaticString, unit: Metric.Unit = .none, _ help: StaticString,
        _ value: @escaping @Sendable (CounterTotals.Throttle) -> MetricValue
    ) -> Metric {
        .counter(name, unit: unit, help, from: "fexit/throttle_direct_reclaim") { picture, out in
            out.sample(picture.counters?.throttle.map(value))
        }
    }

    private static func slab(
        _ name: StaticString, _ help: StaticString,
        _ count: @escaping @Sendable (CounterTotals.Slab) -> UInt64
    ) -> Metric {
        .counter(name, help, from: "fexit/allocate_slab, fentry/__free_slab") { picture, out in
            out.sample(picture.counters?.slab.map { .number(count($0)) })
        }
    }
}
