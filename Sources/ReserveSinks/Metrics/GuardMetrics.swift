// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension MetricsRegistry {
    static let guardMetrics: [Metric] = [
        .counter(
            "reservewatch_guard_attempts_total", by: ["action", "result"],
            "Attempts to end, stop, trace or freeze a guarded process (signal, trace, freeze), to switch swap on NBD off, to disconnect its device. Result: allowed, excepted, refused. An action that is not observed is absent.",
            from: "guard records' totals"
        ) { picture, out in
            guard let totals = picture.counters?.guardTotals else { return }
            attempts("signal", totals.signals, &out)
            attempts("trace", totals.traces, &out)
            attempts("freeze", totals.freezes, &out)
            attempts("swapoff", totals.swapoffs, &out)
            attempts("disconnect", totals.disconnects, &out)
        },
        .gauge(
            "reservewatch_guarded_processes", by: ["role"],
            "Processes that are guarded now; one that is several things counts for each.",
            from: "guarded records"
        ) { picture, out in
            guard picture.counters?.guardTotals.isKnown == true else { return }
            func count(_ role: StaticString, _ has: (GuardRole) -> Bool) {
                var number: UInt64 = 0
                for index in picture.guarded.indices where has(picture.guarded[index].role) {
                    number += 1
                }
                out.sample(.number(number), .word(role))
            }
            count("agent") { $0.isAgent }
            count("client") { $0.isClient }
            count("server") { $0.isServer }
        },
    ]

    private static func attempts(
        _ action: StaticString, _ counts: CounterTotals.GuardCounts?, _ out: inout MetricWriter
    ) {
        guard let counts else { return }
        out.sample(.number(counts.allowed), .word(action), .word("allowed"))
        out.sample(.number(counts.excepted), .word(action), .word("excepted"))
        out.sample(.number(counts.refused), .word(action), .word("refused"))
    }
}
