// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// What a Prometheus outside knows after the wire was gone: the first page after it, held against
/// the agent's own lines of the same moment. The lines left the guest over a serial line, all the
/// time; Prometheus got nothing.
extension Checks {
    mutating func scraped() {
        let timeout = Double(Scraper.timeout(run.scenario.scrapeSeconds ?? 1))
        guard let scrapes = Scraper.read("scrapes.json", of: run.directory),
            let fired = Scraper.read("fired.json", of: run.directory),
            let off = run.wireOff?.timeIntervalSince1970,
            let on = run.wireOn?.timeIntervalSince1970
        else {
            rows.append(.check("scrapes", false, "absent", note: "prometheus.log may say why"))
            return
        }
        let within = scrapes.scrapes.filter { $0.seconds > off && $0.seconds < on - timeout }
        let expected = Int(on - timeout - off) / (run.scenario.scrapeSeconds ?? 1) - 1
        rows.append(
            .check(
                "scrape: up is 0 while the wire is gone",
                within.count >= expected && within.allSatisfy { !$0.isGood },
                "\(within.filter { !$0.isGood }.count) of \(within.count)",
                note: "the swap's card is the scrape's too"))
        guard let last = scrapes.good.last(where: { $0 <= off }),
            let first = scrapes.good.first(where: { $0 > on - timeout })
        else {
            rows.append(.check("scrape: one before and one after", false, "absent"))
            return
        }
        rows.append(
            .check(
                "scrape: the first after the wire came back", true,
                String(format: "%.1f s", first - on),
                note: String(
                    format: "%.0f s without one; the reader is an ordinary process", first - last)))
        page(scrapes, at: first, since: last)
        rows.append(fires(fired, after: first))
    }

    private mutating func page(_ scrapes: Scrapes, at first: Double, since last: Double) {
        func bracket(_ moment: Double) -> SummaryBracket? {
            scrapes.value("reservewatch_agent_beats_total", at: moment).flatMap {
                SummaryBracket(summaries, beats: Int($0))
            }
        }
        guard let now = bracket(first), let before = bracket(last) else {
            rows.append(.check("scrape: beats", false, "absent", note: "no summary to compare"))
            return
        }
        for (metric, path) in Self.counters {
            let value = scrapes.value(metric, at: first).map { Int($0) }
            guard let range = now.range(path), let began = before.range(path) else {
                rows.append(.check("scrape: \(metric)", false, "no \(path) in the agent's lines"))
                continue
            }
            rows.append(
                .within(
                    "scrape: \(Self.short(metric))", agent: value, low: range.low,
                    high: range.high,
                    note: "kernel is the agent's own line; since the last good scrape "
                        + "\(range.low - began.high)"))
        }
        marks(scrapes, at: first, since: last, now)
        verdict(scrapes, at: first, now)
        tables(scrapes, at: first)
    }

    private var summaries: [[String: Any]] {
        lines.compactMap { line in
            guard var summary = line["summary"] as? [String: Any] else { return nil }
            summary["boot_ns"] = line["boot_ns"]
            return summary
        }
    }

    /// Counted where they happen, told in one record of one moment: exactly the line's.
    private static let counters = [
        ("reservewatch_allocstall_total", "kernel_counters.allocstall"),
        (
            "reservewatch_pgscan_direct_throttle_total",
            "kernel_counters.pgscan_direct_throttle"
        ),
        ("reservewatch_pswpin_total", "kernel_counters.pswpin"),
        ("reservewatch_pswpout_total", "kernel_counters.pswpout"),
        ("reservewatch_oom_kill_total", "kernel_counters.oom_kill"),
        ("reservewatch_direct_reclaim_begun_total", "direct_reclaim.begun"),
        ("reservewatch_direct_reclaim_ended_total", "direct_reclaim.ended"),
        ("reservewatch_throttle_refusals_total", "throttle.false_returns"),
        ("reservewatch_reserve_taken_total", "reserve.taken"),
        ("reservewatch_allocation_failures_total", "reserve.alloc_failed"),
    ]

    private static func short(_ metric: String) -> String {
        String(metric.dropFirst("reservewatch_".count))
    }

    /// The lowest and the worst, whenever they were.
    private mutating func marks(
        _ scrapes: Scrapes, at first: Double, since last: Double, _ now: SummaryBracket
    ) {
        let page = 4096
        for (metric, path) in [
            ("reservewatch_node_lowest_free_bytes", "nodes.0.lowest_free_pages"),
            ("reservewatch_zone_lowest_free_bytes", "zones.1.lowest_free_pages"),
        ] {
            let labels = metric.contains("zone") ? ["zone": "DMA32"] : [:]
            let value = scrapes.value(metric, labels, at: first).map { Int($0) / page }
            let range = now.range(path, goesOn: true)
            rows.append(
                .within(
                    "scrape: \(Self.short(metric)), pages", agent: value, low: range?.low ?? 0,
                    high: range?.high ?? -1, note: "kernel is the agent's own line"))
        }
        rows.append(lowestRow(scrapes, at: first, since: last))
        let worst = scrapes.value("reservewatch_nbd_worst_oldest_request_seconds", at: first)
        let range = now.range("nbd.0.worst_oldest_us", goesOn: true)
        rows.append(
            .within(
                "scrape: oldest request, ms", agent: worst.map { Int($0 * 1000) },
                low: (range?.low ?? 0) / 1000, high: (range?.high ?? -1) / 1000,
                note: "kernel is the agent's own line; the most that any scrape saw in flight: "
                    + (scrapes.most("reservewatch_nbd_oldest_request_seconds").map {
                        String(format: "%.1f s", $0)
                    } ?? "-")))
        rows.append(
            .check(
                "scrape: the oldest request is as old as the outage",
                (worst ?? 0) > Double(run.scenario.wireOffFor) - 10,
                worst.map { String(format: "%.1f s", $0) } ?? "absent",
                note: "wire gone for \(run.scenario.wireOffFor) s"))
    }

    /// What no scrape saw: the lowest came while there was none. By the guest's clock, to a second.
    private func lowestRow(_ scrapes: Scrapes, at first: Double, since last: Double) -> Row {
        let name = "scrape: the lowest was while nobody scraped"
        guard let at = scrapes.value("reservewatch_node_lowest_free_time_seconds", at: first),
            let told = scrapes.value("reservewatch_node_lowest_free_bytes", at: first),
            let was = scrapes.value("reservewatch_node_lowest_free_bytes", at: last)
        else { return .check(name, false, "absent") }
        return .check(
            name, told < was && at > last - 1 && at < first + 1,
            String(format: "%.1f s after the last good scrape", at - last),
            note: "until then \(Int(was) / 1024) KiB at the lowest, now \(Int(told) / 1024) KiB")
    }

    /// How long the host stood still, and that it was told as critical.
    private mutating func verdict(_ scrapes: Scrapes, at first: Double, _ now: SummaryBracket) {
        var seconds = 0.0
        for state in Self.stopped {
            seconds +=
                scrapes.value("reservewatch_verdict_seconds_total", ["state": state], at: first)
                ?? -1e9
        }
        let range = [now.before, now.later].map { stoppedMilliseconds(until: $0) }
        rows.append(
            .within(
                "scrape: time the host stood still, ms", agent: Int(seconds * 1000),
                low: range[0], high: range[1], note: "kernel is the agent's verdict lines"))
        let until = SummaryBracket.figure("boot_ns", in: now.later) ?? 0
        let alerts = lines.compactMap(AlertLine.parse).filter {
            $0.track == "pressure" && $0.bootNanoseconds <= until
        }
        for (metric, told) in [
            ("incidents", Set(alerts.map(\.incident)).count),
            (
                "critical_incidents",
                Set(alerts.filter { $0.level == "critical" }.map(\.incident)).count
            ),
        ] {
            let value = scrapes.value(
                "reservewatch_alert_\(metric)_total", ["track": "pressure"], at: first)
            rows.append(
                .equal(
                    "scrape: alert_\(metric)_total", agent: value.map { Int($0) }, kernel: told,
                    note: "kernel is the agent's alert lines"))
        }
        let skipped = scrapes.value("reservewatch_exporter_skipped_records_total", at: first)
        rows.append(
            .check(
                "scrape: what passed the reader by is counted", skipped != nil,
                skipped.map { "\(Int($0)) records" } ?? "absent",
                note: "it begins anew then, with the states that the box keeps"))
        rows.append(
            .check(
                "scrape: it was critical meanwhile",
                alerts.contains { $0.level == "critical" }, "\(alerts.count) lines of pressure"))
    }

    private static let stopped = ["stalling", "failing", "deadlocked"]

    /// Time in these states until a summary: of the lines of kind "verdict", which come when the
    /// state changes.
    private func stoppedMilliseconds(until summary: [String: Any]) -> Int {
        let until = SummaryBracket.figure("boot_ns", in: summary) ?? 0
        var sum = 0
        var since: Int?
        for line in lines {
            guard let verdict = line["verdict"] as? [String: Any],
                let state = verdict["state"] as? String,
                let at = SummaryBracket.figure("boot_ns", in: line), at <= until
            else { continue }
            if let began = since { sum += at - began }
            since = Self.stopped.contains(state) ? at : nil
        }
        if let since { sum += until - since }
        return sum / 1_000_000
    }

    /// The kernel counts its tables from 6.6 on: then the figures must be possible ones.
    private mutating func tables(_ scrapes: Scrapes, at first: Double) {
        let labels = ["table": "reserve_blocks"]
        let most = scrapes.value("reservewatch_table_most_entries", labels, at: first)
        let capacity = scrapes.value("reservewatch_table_capacity", labels, at: first)
        rows.append(
            .check(
                "scrape: the fullest table of reserve blocks",
                capacity != nil && most.map { $0 > 0 && $0 <= (capacity ?? 0) } ?? true,
                most.map { "\(Int($0))" } ?? "not counted by this kernel",
                note: "of \(Int(capacity ?? 0))"))
        let maps = scrapes.series.first { $0.name == "reservewatch_maps_memory_bytes" }
        rows.append(
            .check(
                "scrape: kernel memory of the maps", maps?.samples.last?.value ?? 0 > 0,
                "\(Int(maps?.samples.last?.value ?? 0) / 1024) KiB",
                note: maps?.labels["accounting"] ?? "absent"))
    }

    /// The rules of dashboards/ make an alert of it, though nobody scraped meanwhile.
    private func fires(_ fired: Scrapes, after first: Double) -> Row {
        let names = fired.series.filter { $0.samples.contains { $0.seconds >= first } }
            .compactMap { $0.labels["alertname"] }
        return .check(
            "scrape: rules fire for it afterwards", names.contains("ReserveWatchMissedCritical"),
            Set(names).sorted().joined(separator: ", "))
    }
}
