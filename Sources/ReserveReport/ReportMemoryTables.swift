// SPDX-License-Identifier: Apache-2.0

import ReserveModel
import ReserveSinks

// Who took from the reserve, who waited, who reclaimed.

extension ReportCollector {
    func cgroup(_ id: UInt64) -> String {
        picture.cgroupPath(id).map { plain($0) } ?? "?"
    }

    var reserveSection: ReportSection {
        var section = ReportSection(id: "takers", title: "Who took from the reserve")
        guard let reserve = picture.counters?.reserve else {
            section.paragraphs.append("Not observed on this host: unknown.")
            return section
        }
        let recorded = takers.values.reduce(UInt64(0)) { $0 &+ $1.pages } &+ takersLeftOut
        section.paragraphs.append(
            "\(reserve.takenPages) pages in \(reserve.taken) allocations were given with the"
                + " watermarks ignored; the records below account for \(recorded) of them."
                + " \(reserve.outstandingPages) pages are still out.")
        var table = ReportTable(
            "Takers, by name, context and entitlement", "@taker", "context", "entitled by",
            "#pages", "#allocs", "first", "last", "@driver")
        let sorted = takers.sorted { one, other in
            one.value.pages != other.value.pages
                ? one.value.pages > other.value.pages
                : one.value.failed != other.value.failed
                    ? one.value.failed > other.value.failed
                    : (one.value.first, one.key.comm.sortKey)
                        < (other.value.first, other.key.comm.sortKey)
        }
        for (key, taker) in sorted where taker.pages > 0 {
            table.rows.append([
                plain(key.comm), "\(key.context.word)", "\(key.entitlement.word)",
                "\(taker.pages)", "\(taker.allocations)",
                String(clock(taker.first).prefix(8)), String(clock(taker.last).prefix(8)),
                taker.driver ?? "",
            ])
        }
        table.limit(to: 60, "takers")
        var others = ReportTable(
            "Allocations that got nothing, and pages from below min without the reserve (records)",
            "@task", "context", "#failed", "#pages below min", "first", "last")
        for (key, taker) in sorted where taker.failed > 0 || taker.belowMinPages > 0 {
            others.rows.append([
                plain(key.comm), "\(key.context.word)", "\(taker.failed)",
                "\(taker.belowMinPages)", String(clock(taker.first).prefix(8)),
                String(clock(taker.last).prefix(8)),
            ])
        }
        others.limit(to: 40, "tasks")
        section.tables += [table, others].filter { !$0.rows.isEmpty }
        return section
    }

    var waitSection: ReportSection {
        var section = ReportSection(id: "waits", title: "Who waited")
        let counters = picture.counters
        let slow = picture.host?.slowThresholdNanoseconds ?? 0
        if counters?.directReclaim == nil {
            section.paragraphs.append("Direct reclaim was not observed on this host: unknown.")
        }
        if counters?.kernel.pgscanDirectThrottle == nil {
            section.paragraphs.append(
                "throttle_direct_reclaim() was not observed on this host: unknown.")
        }
        if counters?.reclaimWaits == nil {
            section.paragraphs.append("reclaim_throttle() was not observed: unknown.")
        }
        section.paragraphs.append(
            "Single stays are recorded from \(durationText(slow)) on, sleeps in the PFMEMALLOC"
                + " throttle all. * marks a task that was still inside at the end.")
        var table = ReportTable(
            "Tasks, longest in all first", "@task", "@cgroup", "#reclaims", "#in all", "#longest",
            "#throttled", "#in all", "#waits", "#in all")
        let sorted = tasks.sorted {
            $0.value.totalNanoseconds != $1.value.totalNanoseconds
                ? $0.value.totalNanoseconds > $1.value.totalNanoseconds
                : ($0.key.tid, $0.key.comm.sortKey) < ($1.key.tid, $1.key.comm.sortKey)
        }
        // What no hook tells is unknown for every task.
        let isReclaimKnown = counters?.directReclaim != nil
        let isThrottleKnown = counters?.kernel.pgscanDirectThrottle != nil
        let isWaitKnown = counters?.reclaimWaits != nil
        for (key, task) in sorted {
            table.rows.append(
                ["\(plain(key.comm))[\(key.tid)]" + (task.stillInside ? "*" : "")]
                    + [cgroup(task.cgroupID)]
                    + task.reclaim.texts(isKnown: isReclaimKnown)
                    + task.throttle.texts(isKnown: isThrottleKnown).prefix(2)
                    + task.waits.texts(isKnown: isWaitKnown).prefix(2))
        }
        table.limit(to: 60, "tasks")
        if table.rows.isEmpty {
            section.paragraphs.append("No such stay was recorded.")
        } else {
            section.tables.append(table)
        }
        return section
    }

    // MARK: what trace-vmscan-postprocess.pl tells

    var reclaimSection: ReportSection {
        var section = ReportSection(
            id: "reclaim", title: "Reclaim by process and kswapd")
        guard picture.counters?.reclaimTasksKnown == true else {
            section.paragraphs.append(
                "Totals of each task were not recorded: an older agent, or a kernel without the"
                    + " tracepoints. Who waited, above, has the stays that were slow.")
            reclaimSummary(&section, sums: [])
            return section
        }
        section.paragraphs.append(
            "As trace-vmscan-postprocess.pl counts, since the start of the watch: scanned by"
                + " mm_vmscan_lru_isolate, reclaimed by mm_vmscan_lru_shrink_inactive, written by"
                + " mm_vmscan_write_folio, all by the task that ran.")
        let sums = reclaimTasks.sums { $0.directReclaimNanoseconds }
        var processes = ReportTable(
            "Direct reclaim by task", "@process", "#tid", "#rclms", "#wakeups", "#scanned",
            "#rclmed",
            "#written", "#stalled s", "#longest s", "orders")
        for task in sums where task.directReclaims > 0 {
            processes.rows.append([
                plain(task.task.comm), "\(task.task.tid)", "\(task.directReclaims)",
                "\(task.kswapdRequests)", "\(task.scannedAnonPages + task.scannedFilePages)",
                "\(task.reclaimedAnonPages + task.reclaimedFilePages)",
                "\(task.writtenAnonPages + task.writtenFilePages)",
                secondsText(task.directReclaimNanoseconds), secondsText(task.longestNanoseconds),
                orders("direct", task.begunByOrder, "wakeup", task.requestsByOrder),
            ])
        }
        processes.limit(to: 200, "tasks")
        var kswapds = ReportTable(
            "kswapd", "@name", "#tid", "#wakes", "#rewakes", "#scanned", "#rclmed", "#written",
            "#awake s", "#longest s", "orders")
        for task in sums where task.kswapdWakes + task.kswapdRewakes > 0 {
            kswapds.rows.append([
                plain(task.task.comm), "\(task.task.tid)", "\(task.kswapdWakes)",
                "\(task.kswapdRewakes)", "\(task.scannedAnonPages + task.scannedFilePages)",
                "\(task.reclaimedAnonPages + task.reclaimedFilePages)",
                "\(task.writtenAnonPages + task.writtenFilePages)",
                secondsText(task.kswapdAwakeNanoseconds),
                secondsText(task.kswapdLongestNanoseconds),
                orders("wake", task.wakesByOrder, "rewake", task.rewakesByOrder),
            ])
        }
        section.tables = [processes, kswapds].filter { !$0.rows.isEmpty }
        reclaimSummary(&section, sums: sums)
        return section
    }

    private func orders(
        _ one: String, _ counts: InlineArray<12, UInt32>, _ other: String,
        _ further: InlineArray<12, UInt32>
    ) -> String {
        var parts: [String] = []
        for order in 0..<12 where counts[order] > 0 {
            parts.append("\(one)-\(order)=\(counts[order])")
        }
        for order in 0..<12 where further[order] > 0 {
            parts.append("\(other)-\(order)=\(further[order])")
        }
        return parts.joined(separator: " ")
    }

    /// The script's own summary, with what we cannot tell left out.
    private func reclaimSummary(_ section: inout ReportSection, sums: [ReclaimTask]) {
        var table = ReportTable("Summary", "figure", "#value")
        func row(_ name: String, _ value: String) { table.rows.append([name, value]) }
        if let reclaim = picture.counters?.directReclaim {
            row("Direct reclaims", "\(reclaim.begun)")
            row("Time stalled in direct reclaim, s", secondsText(reclaim.totalNanoseconds))
            row("Pages that direct reclaim freed", "\(reclaim.reclaimedPages)")
        }
        let direct = sums.filter { $0.directReclaims > 0 }
        if !direct.isEmpty {
            rows(&table, "Direct reclaim", direct)
            row(
                "Wake kswapd requests of these tasks",
                "\(direct.reduce(UInt64(0)) { $0 &+ $1.kswapdRequests })")
        }
        if let kswapd = picture.counters?.kswapd {
            row("Wake kswapd requests of all", "\(kswapd.requests)")
            row("kswapd wakes, rewakes included", "\(kswapd.wakes)")
            row("kswapd sleeps", "\(kswapd.sleeps)")
        }
        let kswapds = sums.filter { $0.kswapdWakes + $0.kswapdRewakes > 0 }
        if !kswapds.isEmpty {
            rows(&table, "kswapd", kswapds)
            row(
                "Time kswapd awake, s",
                secondsText(kswapds.reduce(UInt64(0)) { $0 &+ $1.kswapdAwakeNanoseconds }))
        }
        if let reclaim = picture.counters?.directReclaim {
            for (name, permille) in [("half", UInt64(500)), ("99 %", 990), ("all", 1000)] {
                if let bucket = bucket(of: reclaim.durations, reaching: permille) {
                    row("Direct reclaim: \(name) of the stays took", bucketText(bucket))
                }
            }
        }
        if !table.rows.isEmpty { section.tables.append(table) }
        if let untracked = picture.counters?.reclaimTasksUntracked, untracked > 0 {
            section.paragraphs.append(
                "\(untracked) events of tasks that found no room in the kernel's table are in no"
                    + " row of a task.")
        }
    }

    private func rows(_ table: inout ReportTable, _ who: String, _ tasks: [ReclaimTask]) {
        func sum(_ figure: (ReclaimTask) -> UInt64) -> String {
            "\(tasks.reduce(UInt64(0)) { $0 &+ figure($1) })"
        }
        table.rows.append(["\(who) file pages scanned", sum { $0.scannedFilePages }])
        table.rows.append(["\(who) anon pages scanned", sum { $0.scannedAnonPages }])
        table.rows.append(["\(who) file pages reclaimed", sum { $0.reclaimedFilePages }])
        table.rows.append(["\(who) anon pages reclaimed", sum { $0.reclaimedAnonPages }])
        table.rows.append(["\(who) file pages written", sum { $0.writtenFilePages }])
        table.rows.append(["\(who) anon pages written", sum { $0.writtenAnonPages }])
    }
}

extension FixedName {
    /// For an order that does not change from run to run.
    var sortKey: String { plain(self) }
}
