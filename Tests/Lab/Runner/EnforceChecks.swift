// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// What the agent did by its rules, held against what the kernel's own counters and the guest's
/// script say of it. What became of the host is the kernel's outcome and is told; what we did, and
/// what we say that came of it, is ours and may fail.
struct EnforceChecks {
    let run: LabRun
    let readings: Readings

    private struct Act {
        let bootNanoseconds: Int
        let rule: String
        let verb: String
        let result: String
        let reason: String
        let serial: Int

        init?(_ line: [String: Any]) {
            guard let body = line["enforce"] as? [String: Any] else { return nil }
            bootNanoseconds = line["boot_ns"] as? Int ?? 0
            rule = body["rule"] as? String ?? "-"
            verb = body["act"] as? String ?? "-"
            result = body["result"] as? String ?? "-"
            reason = body["reason"] as? String ?? "-"
            serial = body["serial"] as? Int ?? 0
        }

        var isUndoing: Bool { ["thaw", "memory_high_back", "resume", "queue_back"].contains(verb) }
        var isForGood: Bool {
            [
                "kill", "kill_cgroup", "end_connection", "disconnect", "clear", "reconnect",
            ].contains(verb)
        }
    }

    private var acts: [Act] { readings.lines.compactMap(Act.init) }

    /// Whether the swap's connection was ended by a rule.
    var hasEndedConnection: Bool {
        acts.contains { $0.verb == "end_connection" && $0.result == "done" }
    }

    /// What `agent.hands` of the start line names, as a set.
    var toldCapabilities: UInt64? {
        let numbers = [
            "dac_read_search": 2, "kill": 5, "net_admin": 12, "sys_ptrace": 19, "sys_admin": 21,
        ]
        for line in readings.lines {
            let hooks = (line["start"] as? [String: Any])?["hooks"] as? [[String: Any]] ?? []
            for hook in hooks where hook["signal"] as? String == "agent.hands" {
                let names = (hook["path"] as? String ?? "").components(separatedBy: ", ")
                return names.reduce(0) { $0 | (numbers[$1].map { 1 << UInt64($0) } ?? 0) }
            }
        }
        return nil
    }

    func rows() -> [Row] {
        var rows = [steps]
        if run.outcome == .completed { rows += [takenBack, asBefore, queueAsBefore, sums] }
        switch run.scenario.acts {
        case .none:
            rows.append(.check("rules: nothing was done", acts.isEmpty, "\(acts.count) acts"))
        case .undone:
            let forGood = acts.filter { $0.isForGood && $0.result != "would" }
            rows.append(
                .check(
                    "rules: nothing for good was tried", forGood.isEmpty, "\(forGood.count)",
                    note: "the load's end is the kernel's word for it"))
        case .any: rows += rescue
        }
        return rows
    }

    /// In the order in which they came, after the last completion before the longest stall.
    private var steps: Row {
        let since = ProbeSample.longestStall(readings.samples).sinceBootNanoseconds
        let words = acts.map { act in
            String(
                format: "%+.1f s %@ %@ %@", Double(act.bootNanoseconds - since) / 1e9, act.verb,
                act.result, act.reason)
        }
        return .check(
            "rules: acts", true, "\(acts.count)",
            note: words.isEmpty ? "none" : words.joined(separator: "; "))
    }

    private var takenBack: Row {
        let stood = acts.filter {
            ["freeze", "memory_high", "stop", "calm_queue"].contains($0.verb) && $0.result == "done"
        }
        let left = stood.filter { act in
            !acts.contains {
                $0.isUndoing && $0.rule == act.rule && $0.serial == act.serial
                    && ($0.result == "done" || $0.reason == "foreign")
            }
        }
        return .check(
            "rules: what stood was taken back", left.isEmpty, "\(stood.count - left.count)",
            note: left.map { "\($0.rule) \($0.verb) \($0.serial)" }.joined(separator: ", "))
    }

    private var asBefore: Row {
        let words = run.guest.mark("GROUP") ?? "absent"
        return .check(
            "rules: the load's cgroup is as it was", words == "freeze=0 high=max", words,
            note: "read by the guest's script")
    }

    private var queueAsBefore: Row {
        let before = Report.settings(run.guest.mark("SETTINGS") ?? "")
        let after = Report.settings(run.guest.mark("QUEUE") ?? "")
        let names = ["scheduler", "wbt_lat_usec"]
        let words = names.map { "\($0)=\(after[$0] ?? "absent")" }.joined(separator: " ")
        return .check(
            "rules: the queues of the disks are as they were",
            names.allSatisfy { after[$0] != nil && after[$0] == before[$0] }, words,
            note: "read by the guest's script after the agent's end")
    }

    private var sums: Row {
        let rules = readings.final?["rules"] as? [[String: Any]] ?? []
        func sum(_ name: String) -> Int { rules.reduce(0) { $0 + ($1[name] as? Int ?? 0) } }
        let done = acts.filter { !$0.isUndoing && $0.verb != "rescue" && $0.result == "done" }
        let undone = acts.filter { $0.isUndoing && $0.result == "done" }
        return .check(
            "rules: the summary's sums are the lines'",
            !rules.isEmpty && sum("done") == done.count && sum("undone") == undone.count,
            "\(sum("done")) done, \(sum("undone")) undone",
            note: "lines: \(done.count), \(undone.count)")
    }

    // MARK: a rescue

    private var rescue: [Row] {
        let stall = ProbeSample.longestStall(readings.samples)
        let isBack = run.outcome == .completed
        let ended = hasEndedConnection
        let isReplaced =
            acts.contains { $0.verb == "reconnect" && $0.result == "done" }
            && !acts.contains { $0.verb == "disconnect" && $0.result == "done" }
        // drivers/block/nbd.c says so when a connection is lost.
        let console = run.guest.mutters.text
        let lost = [
            "Receive control failed", "shutting down sockets", "Connection timed out",
            "Dead connection",
        ].contains { console.contains($0) }
        var rows: [Row] = [
            .check(
                "rescue: the host can be reached", true, isBack ? "yes" : "no",
                note: "the kernel's outcome: \(run.outcome.rawValue), longest stall "
                    + String(format: "%.1f s", stall.seconds)),
            .check(
                "rescue: the connection was ended as told", lost == ended, lost ? "ended" : "kept",
                note: "by the kernel's console; told: \(ended ? "ended" : "left alone")"),
            swapKept(ended: ended, isReplaced: isReplaced),
            .check(
                "rescue: a deadlocked host is tried", isBack || !acts.isEmpty,
                "\(acts.count) acts"),
        ]
        if let first = acts.first {
            let done = readings.samples.last { $0.bootNanoseconds <= first.bootNanoseconds }?
                .lastDoneNanoseconds
            let seconds = done.map { Double(first.bootNanoseconds - $0) / 1e9 } ?? 0
            rows.append(
                .check(
                    "rescue: it began in a stall", seconds >= 2,
                    String(format: "%.1f s after the last completion", seconds),
                    note: "by the kernel's counters"))
            let critical = readings.lines.first {
                ($0["alert"] as? [String: Any])?["level"] as? String == "critical"
            }
            let alerted = critical?["boot_ns"] as? Int
            rows.append(
                .check(
                    "rescue: critical was told before the first act",
                    alerted.map { $0 < first.bootNanoseconds } == true,
                    alerted.map {
                        String(format: "%.1f s before", Double(first.bootNanoseconds - $0) / 1e9)
                    } ?? "absent"))
        }
        if let end = acts.last(where: { $0.verb == "rescue" && $0.reason == "recovered" }) {
            let began = acts.first?.bootNanoseconds ?? end.bootNanoseconds
            let before = readings.samples.last { $0.bootNanoseconds <= began }
            let after = readings.samples.last { $0.bootNanoseconds <= end.bootNanoseconds }
            let moved = (after?.completed ?? 0) - (before?.completed ?? 0)
            rows.append(
                .check(
                    "rescue: requests completed where it says recovered", moved > 0, "\(moved)",
                    note: "by the kernel's counters, from the first act on"))
        }
        return rows
    }

    /// Requests that came to the server, and were answered, after the last act for good: then swap is
    /// what it was, but for what was being read when the connection ended.
    private func swapKept(ended: Bool, isReplaced: Bool) -> Row {
        let last = acts.last { $0.isForGood && $0.result == "done" }
        let lines = readings.lines.compactMap { line -> (Int, [String: Any])? in
            guard let nbd = (line["summary"] as? [String: Any])?["nbd"] as? [[String: Any]],
                let device = nbd.first, let time = line["boot_ns"] as? Int
            else { return nil }
            return (time, device)
        }
        func good(_ device: [String: Any]?) -> Int {
            (device?["completed"] as? Int ?? 0) - (device?["errors"] as? Int ?? 0)
        }
        let before = lines.last { $0.0 <= last?.bootNanoseconds ?? 0 }?.1
        let moved = good(lines.last?.1) - good(before)
        let isKept = last == nil || moved > 0
        let failedReads = readings.lines.filter { line in
            let swap = line["swap"] as? [String: Any]
            return swap?["phase"] as? String == "failed" && swap?["write"] as? Bool == false
        }.count
        return .check(
            "rescue: swap is kept or lost as told", isKept == (!ended || isReplaced),
            isKept ? "kept" : "lost",
            note: "\(max(moved, 0)) requests answered after the last act; told: "
                + (isReplaced ? "replaced" : ended ? "ended" : "left alone")
                + "; reads of swap that failed: \(failedReads)")
    }
}
