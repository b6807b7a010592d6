// SPDX-License-Identifier: Apache-2.0

/// The sum over several runs: what passed, what failed, what the kernel did to itself.
public struct Tally: Equatable, Sendable {
    private var passed = 0
    private var failed: [String] = []
    private var deadlocked: [String] = []
    private var spared: [String] = []
    private var killed: [String] = []

    public init() {}

    /// A deadlock counts as failed unless the scenario says that it may happen: it is the
    /// kernel's outcome, but then nothing was shown about us. Where it may, what the watch
    /// said of it counts. Never retried, always named.
    ///
    /// `kills`: processes that the kernel's OOM killer took, by the console.
    public mutating func count(
        _ label: String, _ outcome: Outcome, rowsPass: Bool, _ scenario: Scenario, kills: Int = 0
    ) {
        if kills > 0, scenario.expectation != .oom { killed.append("\(label) (\(kills))") }
        if outcome == .deadlocked || outcome == .livelocked {
            deadlocked.append(label)
            if scenario.mustComplete {
                failed.append(label)
            } else if rowsPass {
                passed += 1
            } else {
                failed.append("\(label) (\(outcome.rawValue), and a check failed)")
            }
        } else if outcome == .completed && rowsPass {
            passed += 1
            if scenario.expectation == .deadlock { spared.append(label) }
        } else {
            failed.append("\(label) (\(outcome.rawValue))")
        }
    }

    /// A step without a guest.
    public mutating func count(_ label: String, passes: Bool) {
        if passes { passed += 1 } else { failed.append(label) }
    }

    /// The last line is the sum, and the only one of its form.
    public var lines: [String] {
        var lines: [String] = []
        if !deadlocked.isEmpty {
            lines.append(
                "dead or livelocked, the kernel's outcome: \(deadlocked.joined(separator: ", "))")
        }
        if !spared.isEmpty {
            let names = spared.joined(separator: ", ")
            lines.append("came through, though a deadlock was expected: \(names)")
        }
        if !killed.isEmpty {
            lines.append(
                "the kernel's OOM killer took processes: \(killed.joined(separator: ", "))")
        }
        if !failed.isEmpty { lines.append("failed: \(failed.joined(separator: ", "))") }
        return lines + ["\(passed) passed, \(failed.count) failed"]
    }

    /// 0 all passed, 4 only deadlocks stand against it, 1 anything else.
    public var exitStatus: Int32 {
        if failed.isEmpty { return 0 }
        return failed.allSatisfy(deadlocked.contains) ? 4 : 1
    }
}
