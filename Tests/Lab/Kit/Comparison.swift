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
    public var verdict: Verdict
    public var note: String

    public init(name: String, agent: String, kernel: String, verdict: Verdict, note: String = "") {
        self.name = name
        self.agent = agent
        self.kernel = kernel
        self.verdict = verdict
        self.note = note
    }

    public var passes: Bool { verdict != .differs && verdict != .failed }

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
        let low = s1 - s0p
        let high = s1p - s0
        let kernel = low == high ? "\(low)" : "\(low)..\(high)"
        guard let agent else {
            return Row(
                name: name, agent: "-", kernel: kernel, verdict: .notObserved,
                note: "absent from the stream: unknown")
        }
        if low == high && agent == low {
            return Row(name: name, agent: "\(agent)", kernel: kernel, verdict: .exact)
        }
        if agent >= low && agent <= high {
            return Row(
                name: name, agent: "\(agent)", kernel: kernel, verdict: .withinBracket,
                note: "the counter moved around the start or the stop")
        }
        if lost > 0, agent < low, agent + lost >= low {
            return Row(
                name: name, agent: "\(agent)", kernel: kernel, verdict: .explainedByLoss,
                note: "\(lost) lost")
        }
        return Row(
            name: name, agent: "\(agent)", kernel: kernel, verdict: .differs,
            note: "off by \(agent < low ? agent - low : agent - high)")
    }

    /// Two figures that must be the same.
    public static func equal(_ name: String, agent: Int?, kernel: Int?, note: String = "") -> Row {
        Row(
            name: name, agent: agent.map(String.init) ?? "-",
            kernel: kernel.map(String.init) ?? "-",
            verdict: agent != nil && agent == kernel ? .exact : .differs, note: note)
    }

    /// A statement that holds or not.
    public static func check(_ name: String, _ holds: Bool, _ figure: String, note: String = "")
        -> Row
    {
        Row(name: name, agent: figure, kernel: "", verdict: holds ? .ok : .failed, note: note)
    }
}
