// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// Holds what the agent said against what the kernel said.
struct Checks {
    let run: LabRun
    let lines: [[String: Any]]
    let marks: String
    private(set) var rows: [Row] = []

    init(run: LabRun) {
        self.run = run
        marks = run.guest.text(run.guest.marks)
        lines = run.guest.text(run.guest.events).split(separator: "\n").compactMap {
            (try? JSONSerialization.jsonObject(with: Data($0.utf8))) as? [String: Any]
        }
    }

    private var final: [String: Any]? {
        lines.last { line in
            (line["summary"] as? [String: Any])?["final"] as? Bool == true
        }?["summary"] as? [String: Any]
    }

    mutating func all() {
        rows = []
        guard let final else {
            rows.append(
                .check("final summary", false, "absent", note: "the stream has no final summary"))
            return
        }
        let snapshots = Snapshot.parse(marks: marks)
        counters(final, snapshots)
        requests(final, snapshots)
        zones(final, snapshots["S1"])
        predicate(final)
        loss(final)
        if run.scenario.wireOffAfter != nil { outage() }
        if run.scenario.mustComplete {
            let status = run.guest.mark("LOADED") ?? "absent"
            rows.append(.check("load completed", status.hasPrefix("status=0"), status))
        }
        let exit = run.guest.mark("AGENT-EXIT") ?? "absent"
        rows.append(.check("agent's exit", exit.hasPrefix("status=0"), exit))
    }

    private mutating func counters(_ final: [String: Any], _ snapshots: [String: Snapshot]) {
        let kernel = final["kernel_counters"] as? [String: Any] ?? [:]
        for name in ["allocstall", "pgscan_direct_throttle", "pswpin", "pswpout", "oom_kill"] {
            rows.append(
                .counter(
                    name, agent: kernel[name] as? Int, s0: snapshots["S0"]?.vmstat(name),
                    s0p: snapshots["S0p"]?.vmstat(name), s1: snapshots["S1"]?.vmstat(name),
                    s1p: snapshots["S1p"]?.vmstat(name)))
        }
    }

    private mutating func requests(_ final: [String: Any], _ snapshots: [String: Snapshot]) {
        let device = (final["nbd"] as? [[String: Any]])?.first { $0["device"] as? String == "nbd0" }
        func completed(_ name: String) -> Int? { snapshots[name]?.completedRequests() }
        func sent(_ name: String) -> Int? {
            guard let snapshot = snapshots[name], let done = snapshot.completedRequests(),
                let flying = snapshot.inFlightRequests()
            else { return nil }
            return done + flying
        }
        let requeued = device?["requeued"] as? Int ?? 0
        // No request at all leaves no device in the stream: that is zero, not unknown.
        let seen = device != nil || final["nbd"] != nil
        let done = device.map { $0["completed"] as? Int } ?? (seen ? 0 : nil)
        let issued = device.map { ($0["issued"] as? Int).map { $0 - requeued } } ?? (seen ? 0 : nil)
        rows.append(
            .counter(
                "nbd requests completed", agent: done, s0: completed("S0"), s0p: completed("S0p"),
                s1: completed("S1"), s1p: completed("S1p")))
        rows.append(
            .counter(
                "nbd requests issued", agent: issued, s0: sent("S0"), s0p: sent("S0p"),
                s1: sent("S1"), s1p: sent("S1p")))
        if let device {
            rows.append(
                .equal(
                    "nbd sent and received", agent: device["received"] as? Int,
                    kernel: device["sent"] as? Int, note: "at the quiet end"))
        }
    }

    private mutating func zones(_ final: [String: Any], _ snapshot: Snapshot?) {
        let agent = final["zones"] as? [[String: Any]] ?? []
        for zone in snapshot?.zones() ?? [] {
            let name = "zone \(zone.zone) of node \(zone.node)"
            guard
                let told = agent.first(where: {
                    $0["zone"] as? String == zone.zone && $0["node"] as? Int == zone.node
                })
            else {
                rows.append(.check(name, false, "absent"))
                continue
            }
            for field in ["min", "low", "high", "managed", "present", "spanned"] {
                rows.append(
                    .equal(
                        "\(name): \(field)", agent: told["\(field)_pages"] as? Int,
                        kernel: zone.values[field]))
            }
            rows.append(
                .check(
                    "\(name): protection",
                    told["protection_pages"] as? [Int] == zone.protection,
                    "\(told["protection_pages"] ?? "-")", note: "kernel \(zone.protection)"))
            // The shell that copies the file moves free itself; it is compared with that slack.
            let free = told["free_pages"] as? Int ?? -1
            let lowest = told["lowest_free_pages"] as? Int ?? .max
            rows.append(
                .check(
                    "\(name): free", abs(free - zone.free) <= 1024 && lowest <= free, "\(free)",
                    note: "kernel \(zone.free) a moment before, lowest \(lowest)"))
        }
    }

    private mutating func predicate(_ final: [String: Any]) {
        let throttle = final["throttle"] as? [String: Any] ?? [:]
        let asked = throttle["evaluations"] as? Int ?? -1
        let wrong = throttle["predicate_mismatches"] as? Int ?? -1
        // Free pages can move between the kernel's reading and ours: seen once in 1549.
        rows.append(
            .check(
                "throttle predicate", asked >= 0 && wrong >= 0 && wrong * 500 <= asked,
                "\(wrong) of \(asked)",
                note: "disagreements with allow_direct_reclaim(), "
                    + "\(throttle["predicate_rule"] ?? "-"); up to 1 in 500 is a race"))
    }

    private mutating func loss(_ final: [String: Any]) {
        let loss = final["loss"] as? [String: Any] ?? [:]
        let ring = (loss["ring"] as? [String: Int] ?? [:]).values.reduce(0, +)
        let output = loss["output"] as? Int ?? -1
        rows.append(
            .check(
                "loss is told", output >= 0, "ring \(ring), output \(output)",
                note: "totals are counted in the kernel and do not depend on it"))
        rows.append(
            .check(
                "damaged records",
                loss["malformed_records"] as? Int == 0
                    && loss["unknown_records"] as? Int == 0,
                "\(loss["malformed_records"] ?? "-"), \(loss["unknown_records"] ?? "-")"))
    }

    private mutating func outage() {
        rows.append(
            .check(
                "largest gap between events", run.worstEventGapSeconds < 3,
                String(format: "%.2f s", run.worstEventGapSeconds),
                note: "on the serial line, by the host's clock; a summary is due each second"))
        let oldest = lines.compactMap { line in
            ((line["summary"] as? [String: Any])?["nbd"] as? [[String: Any]])?
                .first?["oldest_us"] as? Int
        }
        let worst = oldest.max() ?? 0
        rows.append(
            .check(
                "oldest request grew with the outage",
                worst > (run.scenario.wireOffFor - 10) * 1_000_000, "\(worst / 1000) ms",
                note: "wire gone for \(run.scenario.wireOffFor) s"))
        rows.append(
            .check(
                "requests completed again", oldest.last == 0,
                "oldest at the end \(oldest.last ?? -1) us"))
    }
}
