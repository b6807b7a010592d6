// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension MetricsRegistry {
    static let reserveMetrics: [Metric] = [
        reserve("reservewatch_reserve_taken_total", "Blocks that were taken from the reserve.") {
            $0.taken
        },
        reserveBytes("reservewatch_reserve_taken_bytes_total", "Memory taken from the reserve.") {
            $0.takenPages
        },
        reserve("reservewatch_reserve_returned_total", "Blocks of the reserve that came back.") {
            $0.returned
        },
        reserveBytes(
            "reservewatch_reserve_returned_bytes_total", "Memory of the reserve that came back."
        ) { $0.returnedPages },
        .gauge(
            "reservewatch_reserve_outstanding_blocks", "Blocks of the reserve that are out.",
            from: "tp_btf/mm_page_alloc, mm_page_free"
        ) { $1.sample($0.counters?.reserve.map { .number($0.outstanding) }) },
        .gauge(
            "reservewatch_reserve_outstanding_bytes", unit: .bytes,
            "Memory of the reserve that is out.",
            from: "tp_btf/mm_page_alloc, mm_page_free"
        ) { $1.sample($0.bytes($0.counters?.reserve?.outstandingPages)) },
        .gauge(
            "reservewatch_reserve_oldest_block_seconds", unit: .seconds,
            "Age of the oldest block of the reserve that is out; absent when none is, or when records of the reserve were lost.",
            from: "reserve records"
        ) { $1.sample($0.oldestBlockNanoseconds.map { .nanoseconds($0) }) },
        reserveBytes(
            "reservewatch_reserve_untracked_bytes_total",
            "Taken while the table of blocks was full: when it comes back is not seen."
        ) { $0.untrackedPages },
        reserve(
            "reservewatch_allocation_failures_total",
            "Allocations of any kind that got nothing."
        ) { $0.allocFailed },
        reserve(
            "reservewatch_allocation_failures_order0_total", "Of these, those for one page."
        ) { $0.allocFailedOrder0 },
        reserve(
            "reservewatch_allocation_failures_atomic_total", "Of these, those that may not wait."
        ) { $0.allocFailedAtomic },
        .counter(
            "reservewatch_reserve_taker_bytes_total", unit: .bytes, by: ["context", "entitlement"],
            "Memory taken from the reserve, by context and by what entitled to it; summed from records, so that it lacks what was lost.",
            from: "reserve records"
        ) { picture, out in
            guard let counters = picture.counters, counters.reserve != nil else { return }
            for context in contexts where counters.contextKnown || context == .unknown {
                for entitlement in entitlements {
                    var pages: UInt64 = 0
                    var isThere = false
                    for index in picture.takers.indices {
                        let taker = picture.takers[index]
                        guard taker.context == context,
                            word(taker.entitlement, is: entitlement)
                        else { continue }
                        pages &+= taker.pages
                        isThere = true
                    }
                    guard isThere else { continue }
                    out.sample(
                        picture.bytes(pages), .word(context.word), .word(entitlement.word))
                }
            }
        },
        .counter(
            "reservewatch_below_min_allocations_total", by: ["allowance"],
            "Allocations that kept their mark and yet came from a zone below min, by what allowed it.",
            from: "tp_btf/mm_page_alloc"
        ) { picture, out in
            guard let below = picture.counters?.belowMin else { return }
            for allowance in Allowance.allCases where allowance != .unknown {
                out.sample(.number(below.by[Int(allowance.rawValue)]), .word(allowance.word))
            }
        },
        .counter(
            "reservewatch_below_min_bytes_total", unit: .bytes, "Their memory.",
            from: "tp_btf/mm_page_alloc"
        ) { $1.sample($0.bytes($0.counters?.belowMin?.pages)) },
    ]

    private static let contexts: [AllocationContext] = [
        .process, .softirq, .hardirq, .nmi, .kswapd, .unknown,
    ]
    /// One of each word: the first reason that the kernel looks at counts.
    private static let entitlements = [1, 2, 4, 0].map { Entitlement(rawValue: $0) }

    private static func word(_ one: Entitlement, is other: Entitlement) -> Bool {
        one.word.utf8Start == other.word.utf8Start || "\(one.word)" == "\(other.word)"
    }

    private static func reserve(
        _ name: StaticString, _ help: StaticString,
        _ count: @escaping @Sendable (CounterTotals.Reserve) -> UInt64
    ) -> Metric {
        .counter(name, help, from: "tp_btf/mm_page_alloc, mm_page_free") { picture, out in
            out.sample(picture.counters?.reserve.map { .number(count($0)) })
        }
    }

    private static func reserveBytes(
        _ name: StaticString, _ help: StaticString,
        _ pages: @escaping @Sendable (CounterTotals.Reserve) -> UInt64
    ) -> Metric {
        .counter(name, unit: .bytes, help, from: "tp_btf/mm_page_alloc, mm_page_free") {
            picture, out in
            out.sample(picture.bytes(picture.counters?.reserve.map(pages)))
        }
    }
}
