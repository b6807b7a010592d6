// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// What must have happened for a scenario to have shown anything.
extension Checks {
    mutating func expected() {
        if run.scenario.swaps != Scenario(name: "").swaps { swapsUsed() }
        if run.scenario.flood != nil { drops() }
        switch run.scenario.expectation {
        case .oom: kills()
        case .loss:
            let ring = readings.witnesses.agentLoss.filter { $0.key.hasPrefix("ring.") }
            let lost = ring.values.reduce(0, +)
            rows.append(
                .check("records were lost to the ring", lost > 0, "\(lost)", note: "\(ring)"))
        case .deadlock: break
        case nil: victimsTold()
        }
    }

    private mutating func swapsUsed() {
        let used = readings.witnesses.mostUsedKiB
        rows.append(
            .check(
                "every swap was used",
                used.values.filter { $0 > 0 }.count == run.scenario.swaps.count,
                used.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value) KiB" }
                    .joined(separator: ", "),
                note: "the most that a sample saw"))
    }

    /// It may stay 0: then no packet for that socket lay in reserve memory.
    private mutating func drops() {
        let drop = readings.witnesses.pfmemallocDrop
        let before = drop["S0p"]
        let after = drop["S1"]
        let count = before.flatMap { before in after.map { $0 - before } }
        rows.append(
            .check(
                "PFMemallocDrop was read", count != nil, count.map(String.init) ?? "-",
                note: count == 0 ? "no packet of the flood came in PFMEMALLOC memory" : ""))
    }

    /// What the agent tells of those that were killed.
    private var toldKilled: [[String: Any]] {
        lines.compactMap { $0["oom"] as? [String: Any] }.filter { $0["killed"] as? Bool == true }
    }

    /// Where it may come and need not: the same processes as on the console, none as a rule.
    private mutating func victimsTold() {
        let kills = readings.witnesses.oomKills
        rows.append(
            .check(
                "whom the OOM killer took was told",
                toldKilled.compactMap { $0["tgid"] as? Int }.sorted() == kills.map(\.pid).sorted(),
                "\(toldKilled.count)",
                note: "console: " + kills.map { "\($0.pid) \($0.name)" }.joined(separator: ", ")))
    }

    /// The console's kills, the kernel's counter and the agent's events: the same processes.
    private mutating func kills() {
        let kills = readings.witnesses.oomKills
        let count = readings.witnesses.moved["oom_kill"]
        rows.append(.check("the OOM killer came", count ?? 0 > 0, "\(count ?? 0)"))
        rows.append(
            .equal(
                "oom kills on the console", agent: kills.count, kernel: count,
                note: "agent is the console here"))
        let told = toldKilled
        let pids = told.compactMap { $0["tgid"] as? Int }
        rows.append(
            .check(
                "oom events name the killed",
                pids.sorted() == kills.map(\.pid).sorted(), "\(pids.count) events",
                note: "console: " + kills.map { "\($0.pid) \($0.name)" }.joined(separator: ", ")))
        for kill in kills {
            guard let event = told.first(where: { $0["tgid"] as? Int == kill.pid }) else {
                continue
            }
            rows.append(
                .equal(
                    "oom \(kill.pid) \(kill.name): total_vm",
                    agent: event["total_vm_pages"] as? Int,
                    kernel: kill.totalVMKiB / 4, note: "pages of 4 KiB"))
            for (field, kib) in [
                ("anon", kill.anonRSSKiB), ("file", kill.fileRSSKiB), ("shmem", kill.shmemRSSKiB),
            ] {
                // The victim goes on until it meets its signal: between the mark and the
                // console's line it may still take or lose some pages.
                rows.append(
                    .within(
                        "oom victim's \(field) pages", agent: event["\(field)_pages"] as? Int,
                        low: kib / 4 - 64, high: kib / 4 + 64,
                        note: "console \(kib / 4); \(kill.pid) \(kill.name)"))
            }
        }
    }
}
