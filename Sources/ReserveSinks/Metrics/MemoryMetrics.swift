// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension MetricsRegistry {
    static let memoryMetrics: [Metric] =
        [
            node(
                "reservewatch_node_free_bytes",
                "Free memory of the zones that count for the reserve."
            ) { $0.freePages },
            node(
                "reservewatch_node_lowest_free_bytes",
                "Lowest of the kernel timer's samples since the agent's start: what a scrape came too late to see."
            ) { $0.lowestFreePages },
            .gauge(
                "reservewatch_node_lowest_free_time_seconds", unit: .seconds, by: ["node"],
                "Unix time of that lowest sample.", from: "pg_data_t"
            ) { picture, out in
                guard picture.counters?.zonesKnown == true else { return }
                for index in picture.nodes.indices
                where picture.nodes[index].lowestBootNanoseconds > 0 {
                    let node = picture.nodes[index]
                    out.sample(
                        picture.unixTime(node.lowestBootNanoseconds), .number(UInt64(node.node)))
                }
            },
            node(
                "reservewatch_node_pfmemalloc_reserve_bytes",
                "Sum of the min marks, boost included, as mm/vmscan.c:allow_direct_reclaim() has it."
            ) { $0.pfmemallocReservePages },
            node(
                "reservewatch_node_throttle_line_bytes",
                "Direct reclaimers are put to sleep while free memory is not above this."
            ) { $0.throttleLinePages },
            .gauge(
                "reservewatch_node_direct_reclaim_allowed", by: ["node"],
                "What allow_direct_reclaim() answers: 0 while it throttles.", from: "pg_data_t"
            ) { picture, out in
                guard picture.counters?.zonesKnown == true else { return }
                for index in picture.nodes.indices {
                    let node = picture.nodes[index]
                    out.sample(.flag(node.directReclaimAllowed), .number(UInt64(node.node)))
                }
            },
            .gauge(
                "reservewatch_node_throttle_waiters", by: ["node"],
                "Tasks asleep on pgdat->pfmemalloc_wait.", from: "pg_data_t"
            ) { picture, out in
                for index in picture.nodes.indices where picture.nodes[index].waitersKnown {
                    let node = picture.nodes[index]
                    out.sample(.number(node.throttleWaiters), .number(UInt64(node.node)))
                }
            },
            .gauge(
                "reservewatch_node_kswapd_failures", by: ["node"],
                "pgdat->kswapd_failures: runs in a row that reclaimed nothing; 16 and kswapd gives up.",
                from: "pg_data_t"
            ) { picture, out in
                guard picture.counters?.zonesKnown == true else { return }
                for index in picture.nodes.indices {
                    let node = picture.nodes[index]
                    out.sample(.number(node.kswapdFailures), .number(UInt64(node.node)))
                }
            },
            .gauge(
                "reservewatch_node_kswapd_state", by: ["node", "state"],
                "1 for the state of the node's kswapd; uninterruptible is blocked.",
                from: "task_struct.__state"
            ) { picture, out in
                for index in picture.nodes.indices where picture.nodes[index].kswapdTID != 0 {
                    let node = picture.nodes[index]
                    out.states(
                        [UInt8(0), 1, 2], is: node.kswapdState, word: kswapdWord,
                        .number(UInt64(node.node)))
                }
            },
            kswapd(
                "reservewatch_kswapd_wakes_total",
                "balance_pgdat() begun; pageoutrun of /proc/vmstat."
            ) { $0.kswapdWakes },
            kswapd("reservewatch_kswapd_sleeps_total", "kswapd went to sleep.") { $0.kswapdSleeps },
            kswapd("reservewatch_kswapd_requests_total", "wakeup_kswapd() called.") {
                $0.kswapdRequests
            },
            zone("reservewatch_zone_free_bytes", "NR_FREE_PAGES of the zone.") { $0.freePages },
            zone(
                "reservewatch_zone_lowest_free_bytes",
                "Lowest of the kernel timer's samples since the agent's start."
            ) { $0.lowestFreePages },
            zone("reservewatch_zone_min_bytes", "The min watermark, boost included.") {
                $0.minPages
            },
            zone("reservewatch_zone_low_bytes", "The low watermark, boost included.") {
                $0.lowPages
            },
            zone("reservewatch_zone_high_bytes", "The high watermark, boost included.") {
                $0.highPages
            },
            zone("reservewatch_zone_boost_bytes", "What watermark boosting adds to the marks now.")
            {
                $0.boostPages
            },
            zone("reservewatch_zone_managed_bytes", "Memory that the buddy allocator has.") {
                $0.managedPages
            },
            zone(
                "reservewatch_zone_highatomic_bytes", "Reserved for high-order atomic allocations."
            ) {
                $0.highAtomicPages
            },
        ] + pressureMetrics

    private static func kswapdWord(_ state: UInt8) -> StaticString {
        switch state {
        case 0: return "running"
        case 1: return "sleeping"
        default: return "uninterruptible"
        }
    }

    private static func node(
        _ name: StaticString, _ help: StaticString,
        _ pages: @escaping @Sendable (NodeSample) -> UInt64
    ) -> Metric {
        .gauge(name, unit: .bytes, by: ["node"], help, from: "pg_data_t") { picture, out in
            guard picture.counters?.zonesKnown == true else { return }
            for index in picture.nodes.indices {
                let node = picture.nodes[index]
                out.sample(picture.bytes(pages(node)), .number(UInt64(node.node)))
            }
        }
    }

    private static func kswapd(
        _ name: StaticString, _ help: StaticString,
        _ count: @escaping @Sendable (NodeSample) -> UInt64
    ) -> Metric {
        .counter(name, by: ["node"], help, from: "tp_btf/mm_vmscan_kswapd_*") { picture, out in
            guard picture.counters?.kswapd != nil else { return }
            for index in picture.nodes.indices {
                let node = picture.nodes[index]
                out.sample(.number(count(node)), .number(UInt64(node.node)))
            }
        }
    }

    /// Of the zones that hold memory.
    private static func zone(
        _ name: StaticString, _ help: StaticString,
        _ pages: @escaping @Sendable (ZoneSample) -> UInt64
    ) -> Metric {
        .gauge(name, unit: .bytes, by: ["node", "zone"], help, from: "struct zone") {
            picture, out in
            guard picture.counters?.zonesKnown == true else { return }
            for index in picture.zones.indices where picture.zones[index].managedPages > 0 {
                let zone = picture.zones[index]
                out.sample(
                    picture.bytes(pages(zone)), .number(UInt64(zone.node)), .name(zone.name))
            }
        }
    }

    private static let pressureMetrics: [Metric] = [
        .counter(
            "reservewatch_pressure_seconds_total", unit: .seconds, by: ["resource", "level"],
            "Time in which some or all tasks waited for memory or I/O, since boot.",
            from: "/proc/pressure, total="
        ) { picture, out in
            guard let pressure = picture.pressure else { return }
            out.sample(
                .microseconds(pressure.memorySome.totalMicroseconds), .word("memory"),
                .word("some"))
            out.sample(
                .microseconds(pressure.memoryFull.totalMicroseconds), .word("memory"),
                .word("full"))
            out.sample(.microseconds(pressure.ioSome.totalMicroseconds), .word("io"), .word("some"))
            out.sample(.microseconds(pressure.ioFull.totalMicroseconds), .word("io"), .word("full"))
        },
        .gauge(
            "reservewatch_pressure_ratio", unit: .ratio, by: ["resource", "level"],
            "Share of the last ten seconds in which some or all tasks waited.",
            from: "/proc/pressure, avg10="
        ) { picture, out in
            guard let pressure = picture.pressure else { return }
            out.sample(
                .hundredths(pressure.memorySome.average10), .word("memory"), .word("some"))
            out.sample(
                .hundredths(pressure.memoryFull.average10), .word("memory"), .word("full"))
            out.sample(.hundredths(pressure.ioSome.average10), .word("io"), .word("some"))
            out.sample(.hundredths(pressure.ioFull.average10), .word("io"), .word("full"))
        },
    ]
}
