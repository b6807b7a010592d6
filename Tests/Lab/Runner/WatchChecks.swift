// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// What the watch promises of itself in a stall, whatever becomes of the guest: its beat, what
/// it takes from the host, and what it alerts and when. Held against the kernel's own counters
/// and against what came in outside of the guest.
struct WatchChecks {
    let run: LabRun
    let readings: Readings

    static let worstGapMilliseconds = 500
    static let lockedKiB = 24 * 1024
    /// Policy.criticalAfter.
    static let stoppedSeconds = 1.2
    /// In a deadlock that nobody caused from outside.
    static let deadlockSeconds = 2

    /// The beats of all who beat, by name.
    var beats: [String: Beat] {
        var beats: [String: Beat] = [:]
        for (name, line) in [("watch", SerialLine.beat)]
            + run.scenario.companions.map({ ($0.rawValue, $0.line) })
        {
            beats[name] = beat(run.guest.stamped[line]?.times ?? [])
        }
        // The lab's probe, locked too: what a process could do at best, twice a second.
        let samples = run.guest.stamped[.probe]?.arrivals ?? []
        beats["probe"] = beat(samples.filter { $0.text.hasPrefix("@ ") }.map(\.seconds))
        beats["host"] = beat(run.hostBeat.times)
        return beats
    }

    private func beat(_ times: [Double]) -> Beat? {
        guard let from = run.loadAt, let to = run.endAt else { return nil }
        return Beat.of(times, from: from, to: to)
    }

    var account: AlertAccount {
        let stall = ProbeSample.longestStall(readings.samples)
        return AlertAccount(
            alerts: alerts, stall: stall, arrivals: run.guest.stamped[.alerts]?.arrivals ?? [],
            hostLessBoot: Arrival.hostLessBoot(
                run.guest.stamped[.probe]?.arrivals ?? [], near: stall.sinceBootNanoseconds))
    }

    private var alerts: [AlertLine] { readings.lines.compactMap(AlertLine.parse) }

    /// What the last summary says that the watch took for itself.
    var selfAccount: [String: Int]? {
        for line in readings.lines.reversed() {
            guard let summary = line["summary"] as? [String: Any],
                let told = summary["self"] as? [String: Any]
            else { continue }
            var figures: [String: Int] = [:]
            for (name, value) in told {
                figures[name] = value as? Int ?? (value as? String).flatMap { Int($0) }
            }
            return figures
        }
        return nil
    }

    /// Of the guest's own /proc/PID/status, at the end: "VmRSS:12kBVmLck:34kBThreads:1".
    var lockedKiB: Int? {
        guard let words = run.guest.mark("AGENT"),
            let range = words.range(of: "VmLck:[0-9]+", options: .regularExpression)
        else { return selfAccount?["locked_kib"] }
        return Int(words[range].dropFirst(6))
    }

    func rows() -> [Row] {
        guard run.loadAt != nil else { return [] }
        return [beatRow()] + selfRows() + rightsRows() + alertRows()
    }

    /// Both kernels let every hook in, so that the loop has no use for a right.
    private func rightsRows() -> [Row] {
        guard let words = run.guest.mark("AGENT") else { return [] }
        let held = words.split(separator: " ").filter { $0.hasPrefix("CapPrm:") }
        if run.scenario.rules != nil {
            // The loop and the reaper have none; together the rest has what is told.
            let sets = held.compactMap { UInt64($0.dropFirst(7), radix: 16) }
            let told = EnforceChecks(run: run, readings: readings).toldCapabilities
            return [
                .check(
                    "watch: its threads have the capabilities that it tells",
                    sets.contains(0) && told != nil && sets.reduce(0, |) == told,
                    held.joined(separator: ", "),
                    note: told.map { "told: " + String($0, radix: 16) } ?? "none was told")
            ]
        }
        return [
            .check(
                "watch: no thread of it has a capability", held == ["CapPrm:0000000000000000"],
                held.isEmpty ? "absent" : held.joined(separator: ", "))
        ]
    }

    private func beatRow() -> Row {
        let name = "watch: worst gap of its beat"
        guard let from = run.loadAt, let to = run.endAt, let arrived = beats["watch"],
            let beat = Beat.stamped(
                run.guest.stamped[.beat]?.arrivals ?? [], from: from, to: to)
        else {
            return .check(name, false, "absent", note: "no beat came in")
        }
        // The emulator itself stands still at times: when pages that held translated code are
        // taken for something else (docs/lab-runs.md), or when this machine has no time for it.
        // The lab's own locked process, of the same priority, is late by the same at that moment.
        let since = from + beat.worstGapAtSeconds
        let probe =
            Arrival.lateness(
                run.guest.stamped[.probe]?.arrivals ?? [], from: since,
                to: since + Double(beat.worstGapMilliseconds) / 1000)
        let most = max(Self.worstGapMilliseconds, (probe ?? 0) + 200)
        return .check(
            name, beat.worstGapMilliseconds <= most, "\(beat.worstGapMilliseconds) ms",
            note: "at \(beat.worstGapAtSeconds) s of the load, usually "
                + "\(beat.usualGapMilliseconds) ms; at most \(most) ms; outside of the guest its lines "
                + "came \(arrived.worstGapMilliseconds) ms apart; a locked process beside it was late by "
                + (probe.map { "\($0) ms" } ?? "what is not known")
                + " then; this machine by itself: "
                + (beats["host"].map { "\($0.worstGapMilliseconds) ms" } ?? "-")
        )
    }

    private func selfRows() -> [Row] {
        let told = selfAccount ?? [:]
        let zero = ["pages_allocated", "direct_reclaims", "major_faults"]
        // Faults that find the page in memory, and what kernel and terminals took to write
        // its lines, are told and not promised.
        let words = (zero + ["minor_faults", "sink_pages_allocated", "sink_direct_reclaims"]).map {
            "\($0) \(told[$0].map(String.init) ?? "absent")"
        }
        let locked = lockedKiB
        let isGivenBack =
            told["direct_reclaims"] == 0 && told["major_faults"] == 0 && gaveBack(told)
        return [
            .check(
                "watch: takes nothing from the host",
                zero.allSatisfy { told[$0] == 0 } || isGivenBack,
                words.joined(separator: ", "),
                note: (isGivenBack ? "given back at once, a page of its own was being moved: " : "")
                    + allocationStack),
            .check(
                "watch: locked memory", locked.map { $0 > 0 && $0 <= Self.lockedKiB } == true,
                locked.map { "\($0) KiB" } ?? "absent", note: "at most \(Self.lockedKiB) KiB"),
        ]
    }

    /// Whether all that the loop took was for page faults on pages that the kernel was moving, and
    /// none of it was kept: the kernel's outcome (docs/agent.md).
    private func gaveBack(_ told: [String: Int]) -> Bool {
        guard let pages = told["pages_allocated"], let faults = told["minor_faults"],
            pages > 0, pages <= faults, let frames = allocationFrames,
            let begun = run.guest.mark("AGENT-BEGUN"), begun.hasPrefix("Anonymous:"),
            let ended = run.guest.mark("AGENT")
        else { return false }
        return frames.contains { $0.hasPrefix("handle_mm_fault+") }
            && frames.last?.hasPrefix("asm_exc_page_fault+") == true
            && ended.split(separator: " ").contains(Substring(begun))
    }

    /// Where the loop last took a page, innermost frame first; nil where it took none.
    private var allocationFrames: [String]? {
        guard let id = selfAccount?["allocation_stack"] else { return nil }
        let told = readings.lines.compactMap { $0["stack"] as? [String: Any] }
            .last { $0["stack"] as? Int == id }
        return told?["frames"] as? [String] ?? ["a stack that was not told"]
    }

    private var allocationStack: String {
        allocationFrames.map { "in " + $0.joined(separator: " < ") } ?? ""
    }

    private func alertRows() -> [Row] {
        let account = account
        if EnforceChecks(run: run, readings: readings).hasEndedConnection {
            // What swap that was ended does is no stall to be warned of.
            return []
        }
        if run.outcome == .deadlocked, run.wireOff != nil {
            // The wire gives no notice, and the state that it leaves behind came later.
            return [critical(account, within: Self.deadlockSeconds)]
        }
        if run.outcome == .deadlocked {
            return [
                critical(account, within: Self.deadlockSeconds),
                .check(
                    "watch: a warning ahead of the deadlock",
                    account.warningLeadSeconds.values.contains { $0 > 0 },
                    Self.leads(account)),
            ]
        }
        switch run.scenario.critical {
        case .never:
            // Nothing is to stop there; where this machine has no time for the guest, it does.
            let wrong = AlertAccount.contradicted(
                alerts, by: readings.samples, stoppedFor: Self.stoppedSeconds)
            return [
                .check(
                    "watch: no critical", wrong.isEmpty, "\(wrong.count)",
                    note: "lines of warning: \(account.lines["warning"] ?? 0), of critical: "
                        + "\(account.lines["critical"] ?? 0); counted are those that the kernel's own "
                        + "count of completed requests contradicts")
            ]
        case .within(let seconds):
            return [
                critical(account, within: seconds),
                .check(
                    "watch: resolved after recovery", account.resolvedAfterSeconds != nil,
                    Self.seconds(account.resolvedAfterSeconds),
                    note: "after the first completion"),
            ]
        case nil: return []
        }
    }

    private func critical(_ account: AlertAccount, within seconds: Int) -> Row {
        let standstill = run.standstillSeconds(readings.samples)
        let limit = Double(seconds) + standstill
        let told = account.criticalAfterSeconds
        let arrived = account.criticalArrivedAfterSeconds
        return .check(
            "watch: critical after the last completion",
            told.map { $0 <= limit } == true && arrived.map { $0 <= limit } == true,
            Self.seconds(told),
            note: "its line came in after \(Self.seconds(arrived)); at most \(seconds) s"
                + (standstill > 0 ? ", and the \(standstill) s of the emulator's standstill" : "")
                + (told == nil ? "; \(stopInWords)" : ""))
    }

    /// What the agent saw while nothing completed: why it may have found nobody who waited.
    private var stopInWords: String {
        let stall = ProbeSample.longestStall(readings.samples)
        let lines = readings.lines.filter { line in
            let moment = line["boot_ns"] as? Int ?? 0
            return moment >= stall.sinceBootNanoseconds && moment <= stall.untilBootNanoseconds
        }
        let summaries = lines.compactMap { $0["summary"] as? [String: Any] }
        func most(_ figures: [Int]) -> String { figures.max().map(String.init) ?? "-" }
        let states = Set(
            summaries.compactMap { ($0["verdict"] as? [String: Any])?["state"] as? String })
        let alerts = lines.compactMap(AlertLine.parse).map { "\($0.track) \($0.level)" }
        let inside = most(
            summaries.compactMap { ($0["direct_reclaim"] as? [String: Any])?["inside"] as? Int })
        let reads = most(lines.compactMap(Readings.swapReads))
        return "nothing completed for \(Self.seconds(stall.seconds)) then: "
            + "states \(states.sorted().joined(separator: " ")), alerts "
            + (alerts.isEmpty ? "none" : alerts.joined(separator: ", "))
            + ", most in direct reclaim \(inside), most reads from swap \(reads), killed for want of "
            + "memory \(lines.count { $0["kind"] as? String == "oom" })"
    }

    static func seconds(_ figure: Double?) -> String {
        figure.map { String(format: "%.2f s", $0) } ?? "absent"
    }

    static func leads(_ account: AlertAccount) -> String {
        let words = account.warningLeadSeconds.sorted { $0.key < $1.key }
            .map { "\($0.key) \(seconds($0.value))" }
        return words.isEmpty ? "none" : words.joined(separator: ", ")
    }
}
