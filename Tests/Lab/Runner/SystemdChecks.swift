// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// What must be true of the units of a guest with systemd: that the stall ended none, that
/// alerts came out of the guest, and that its journal tells what happened.
struct SystemdChecks {
    let run: LabRun

    func rows() -> [Row] {
        guard run.outcome == .completed else { return [] }
        return unitRows() + protectionRows() + ruleRows() + [metricsRow(), reloadRow()]
            + alertRows() + journalRows()
    }

    /// Of the drop-in for rules.
    private func ruleRows() -> [Row] {
        guard run.scenario.rules != nil else { return [] }
        let opened = run.guest.mark("OPENED") ?? "absent"
        return [
            .check(
                "rules: the disk's queue is the unit's to set", opened == "scheduler wbt_lat_usec",
                opened)
        ]
    }

    /// "unit <pid>,success,0,active,running,<invocation>,;" of each, before and after, in the order
    /// in which systemctl tells it.
    private func units(_ mark: String) -> [String: String] {
        var units: [String: String] = [:]
        for line in (run.guest.mark(mark) ?? "").split(separator: ";") {
            let words = line.split(separator: " ")
            if words.count == 2 { units[String(words[0])] = String(words[1]) }
        }
        return units
    }

    private func unitRows() -> [Row] {
        let before = units("UNITS-BEFORE")
        let after = units("UNITS-AFTER")
        guard !before.isEmpty else { return [.check("units", false, "absent")] }
        return before.sorted { $0.key < $1.key }.map { unit, state in
            .check(
                "unit \(unit): up, and the same, after the stall",
                state.split(separator: ",").contains("active") && after[unit] == state,
                after[unit] ?? "absent",
                note: after[unit] == state ? "" : "before: \(state)")
        }
    }

    private func protectionRows() -> [Row] {
        let told = Report.settings(run.guest.mark("PROTECTED") ?? "")
        let box = run.guest.mark("BOX") ?? "absent"
        return [
            .check(
                "the unit's protections hold",
                told["oom_score_adj"] == "-1000" && told["memory.min"] == "\(48 << 20)"
                    && told["policy"] == "1",
                "oom_score_adj \(told["oom_score_adj"] ?? "-"), memory.min "
                    + "\(told["memory.min"] ?? "-"), policy \(told["policy"] ?? "-")",
                note: "1 is SCHED_FIFO"),
            .check(
                "a restart keeps the black box",
                box.contains("-rw-r----- root reservewatch box;")
                    && box.contains("-rw-r----- root reservewatch box.old;")
                    && (Int(told["box_replays"] ?? "") ?? 0) > 0,
                box, note: "\(told["box_replays"] ?? "-") summaries in box.old"),
        ]
    }

    /// systemctl reload, with a value that counts at once and with one that is none.
    private func reloadRow() -> Row {
        let words = run.guest.mark("RELOADED") ?? "absent"
        let told = Report.settings(words)
        return .check(
            "unit's reload: a value counts, an error is told, the agent goes on",
            words.contains("SlowRequest=3s=0") && (Int(told["taken"] ?? "") ?? 0) > 0
                && told["refused"] == "1" && told["pid"] == told["was"],
            words, note: "by the journal")
    }

    private func metricsRow() -> Row {
        let text = run.guest.mark("METRICS") ?? "absent"
        return .check(
            "metrics of the socket's service tell of the incident",
            text.contains("reservewatch_up 1;")
                && text.range(
                    of: "reservewatch_alert_incidents_total[^;]*pressure[^;]* [1-9]",
                    options: .regularExpression) != nil,
            String(text.prefix(160)))
    }

    /// Sent from a guest that had no wire: with the time at which it happened.
    private func alertRows() -> [Row] {
        guard let off = run.wireOff, let on = run.wireOn else { return [] }
        let critical = run.alertmanager?.seen.values.filter { $0.severity == "critical" } ?? []
        let words = critical.map { seen in
            let began = seen.startsAt.map { String(format: "%.0f s", $0.timeIntervalSince(off)) }
            return "began \(began ?? "-") after the wire went, came in "
                + String(format: "%.0f s after it was back", seen.at.timeIntervalSince(on))
        }
        return [
            .check(
                "a critical alert reached the Alertmanager outside, with its own time",
                critical.contains { seen in
                    seen.startsAt.map { $0 > off.addingTimeInterval(-2) && $0 < on } == true
                },
                words.isEmpty ? "none came in" : words.joined(separator: "; "),
                note: "in all: \(run.alertmanager?.seen.count ?? 0) alerts")
        ]
    }

    private func journalRows() -> [Row] {
        let text = run.guest.text("\(run.directory)/\(SerialLine.journal.file ?? "")")
        let lines = text.split(separator: "\n")
        let agent = lines.filter {
            $0.contains(" reservewatch-agent[") || $0.contains(" reservewatch[")
        }
        let kernel = lines.filter { $0.hasPrefix("K ") && $0.contains(" reservewatch: ") }
        func count(_ lines: [Substring], _ word: String) -> Int {
            lines.filter { $0.contains("\"level\":\"\(word)\"") || $0.contains(word.uppercased()) }
                .count
        }
        let killed = lines.filter {
            $0.contains("Watchdog timeout") || $0.contains("watchdog timeout")
        }
        return [
            .check(
                "the journal has the alerts, from the agent",
                count(agent, "critical") > 0 && count(agent, "resolved") > 0,
                "\(agent.count) lines, \(count(agent, "critical")) critical, "
                    + "\(count(agent, "resolved")) resolved"),
            .check(
                "and from the kernel's log",
                count(kernel, "critical") > 0 && count(kernel, "resolved") > 0,
                "\(kernel.count) lines, \(count(kernel, "critical")) critical, "
                    + "\(count(kernel, "resolved")) resolved"),
            .check("no watchdog ended a unit", killed.isEmpty, "\(killed.count) lines"),
        ]
    }
}
