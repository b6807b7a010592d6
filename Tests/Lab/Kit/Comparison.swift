// SPDX-License-Identifier: Apache-2.0

import Foundation

/// One row of a run's result: what the agent said, what the kernel said, whether they agree.
public struct Row: Codable, Equatable, Sendable {
    public enum Verdict: String, Codable, Sendable {
        case exact
        /// The kernel's counter moved while it was read; the agent lies within.
        case withinBracket = "within_bracket"
        case ok
        case explainedByLoss = "explained_by_loss"
        case notObserved = "not_observed"
        case differs
        case failed
    }

    public var name: String
    public var agent: String
    public var kernel: String
    /// Least and most that the kernel's figure allows; absent where no number is compared.
    public var kernelLow: Int?
    public var kernelHigh: Int?
    public var verdict: Verdict
    public var note: String

    public init(
        name: String, agent: String, kernel: String, range: ClosedRange<Int>? = nil,
        verdict: Verdict, note: String = ""
    ) {
        self.name = name
        self.agent = agent
        self.kernel = kernel
        kernelLow = range?.lowerBound
        kernelHigh = range?.upperBound
        self.verdict = verdict
        self.note = note
    }

    /// Both kernels of the lab can tell all that is compared: not observed is a failure here.
    public var passes: Bool { ![.differs, .failed, .notObserved].contains(verdict) }

    /// The agent's total against the kernel's counter, read before and after the agent's
    /// start (`s0`, `s0p`) and before and after its stop (`s1`, `s1p`).
    public static func counter(
        _ name: String, agent: Int?, s0: Int?, s0p: Int?, s1: Int?, s1p: Int?, lost: Int = 0
    ) -> Row {
        guard let s0, let s0p, let s1, let s1p else {
            return Row(
                name: name, agent: agent.map(String.init) ?? "-", kernel: "-", verdict: .failed,
                note: "a snapshot is missing")
        }
        // Least and most that happened while the agent watched.
        return within(name, agent: agent, low: s1 - s0p, high: s1p - s0, lost: lost)
    }

    /// A figure against the least and the most that the kernel's own reading allows.
    public static func within(
        _ name: String, agent: Int?, low: Int, high: Int, lost: Int = 0, note: String = ""
    ) -> Row {
        func row(_ agent: String, _ verdict: Verdict, _ text: String) -> Row {
            Row(
                name: name, agent: agent, kernel: low == high ? "\(low)" : "\(low)..\(high)",
                range: low <= high ? low...high : nil, verdict: verdict,
                note: [text, note].filter { !$0.isEmpty }.joined(separator: "; "))
        }
        guard low <= high else {
            return row(agent.map(String.init) ?? "-", .failed, "the kernel's counter went back")
        }
        guard let agent else {
            return row("-", .notObserved, "absent from the stream: unknown")
        }
        if agent >= low && agent <= high {
            return low == high
                ? row("\(agent)", .exact, "")
                : row("\(agent)", .withinBracket, "the counter moved while it was read")
        }
        if lost > 0, agent < low, agent + lost >= low {
            return row("\(agent)", .explainedByLoss, "\(lost) lost")
        }
        return row("\(agent)", .differs, "off by \(agent < low ? agent - low : agent - high)")
    }

    /// Two figures that must be the same.
    public static func equal(_ name: String, agent: Int?, kernel: Int?, note: String = "") -> Row {
        Row(
            name: name, agent: agent.map(String.init) ?? "-",
            kernel: kernel.map(String.init) ?? "-", range: kernel.map { $0...$0 },
            verdict: agent != nil && agent == kernel ? .exact : .differs, note: note)
    }

    /// A statement that holds or not.
    public static func check(_ name: String, _ holds: Bool, _ figure: String, note: String = "")
        -> Row
    {
        Row(name: name, agent: figure, kernel: "", verdict: holds ? .ok : .failed, note: note)
    }
}
