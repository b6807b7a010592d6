// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// What a run leaves behind: result.json for machines, lines on the terminal for people.
struct Report: Codable {
    var scenario: String
    var kernel: String
    var kernelRelease: String
    var host: String
    var accelerator: String
    /// What holds in the guest: /proc/sys and sysfs, as the guest read them back.
    var settings: [String: String]
    var versions: [String: String]
    /// VmRSS, VmLck, threads of the agent at the end.
    var agent: String
    var outcome: Outcome
    /// Why not completed; empty where it was.
    var reason: String
    /// The tasks that were blocked when the guest was given up, and where.
    var stuck: [String]
    var lastedSeconds: Double
    var worstEventGapSeconds: Double
    /// What each NBD server counted, by device.
    var serverStats: [String: String]
    var rows: [Row]
    var witnesses: Witnesses
    /// Which program watched, `agent` or `events`; absent where none did.
    var watch: String?
    /// The beat of each who beat, from the load's start to its rest; the watch's own is "watch".
    var beats: [String: Beat]
    /// What was alerted, and when.
    var alerts: AlertAccount
    /// The watch's account of what it took for itself.
    var selfAccount: [String: Int]?
    var lockedKiB: Int?

    var failures: [Row] { rows.filter { !$0.passes } }

    /// "a=1 b=2" of the guest's SETTINGS mark.
    static func settings(_ words: String) -> [String: String] {
        var settings: [String: String] = [:]
        for word in words.split(separator: " ") {
            let pair = word.split(separator: "=", maxSplits: 1).map(String.init)
            if pair.count == 2 { settings[pair[0]] = pair[1] }
        }
        return settings
    }

    func write(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try encoder.encode(self).write(to: URL(fileURLWithPath: path))
    }

    func printTable() {
        say("")
        say(
            "\(scenario) on \(kernelRelease), host \(host): \(outcome.rawValue), "
                + "\(Int(lastedSeconds)) s under \(accelerator)")
        if !reason.isEmpty { say("! \(reason)") }
        for task in stuck { say("  stuck  \(task)") }
        for (name, beat) in beats.sorted(by: { $0.key < $1.key }) {
            say(
                "  beat   \(name): worst gap \(beat.worstGapMilliseconds) ms at "
                    + "\(beat.worstGapAtSeconds) s of the load, usually "
                    + "\(beat.usualGapMilliseconds) ms, \(beat.count) beats")
        }
        if watch == "agent" {
            say(
                "  alerts \(alerts.lines), critical after "
                    + "\(WatchChecks.seconds(alerts.criticalAfterSeconds)), lead of a warning: "
                    + "\(WatchChecks.leads(alerts)); longest stall \(Int(alerts.stallSeconds)) s")
        }
        for row in rows { printRow(row) }
        say("")
    }

    /// What speaks against it, once more: a log that is cut tells its end.
    func printFailures() {
        guard !failures.isEmpty || outcome != .completed else { return }
        say("\(scenario) on \(kernelRelease): \(outcome.rawValue) \(reason)")
        for row in failures { printRow(row) }
    }

    private func printRow(_ row: Row) {
        let mark = row.passes ? "  " : "! "
        let name = row.name.padding(toLength: 38, withPad: " ", startingAt: 0)
        let figures = row.kernel.isEmpty ? row.agent : "\(row.agent) = \(row.kernel)"
        say("\(mark)\(name) \(row.verdict.rawValue): \(figures)  \(row.note)")
    }
}
