// SPDX-License-Identifier: Apache-2.0

import Glibc
import ReserveKernel

/// Does a plan, and undoes it, one step after the other. Between any two of them it may end.
public struct Preparer {
    /// What comes next, for tests that stop there.
    public enum Step: Equatable, Sendable {
        case announce(Target)
        case act(Target, String)
        case takeBack(UInt32)
        case clear
    }

    /// A test's crash: nothing more is done.
    public struct Stopped: Error {
        public init() {}
    }

    public enum Outcome: Equatable, Sendable {
        case done
        /// Why not, and what the value is now if that is known.
        case failed(String)
        /// Not tried, because what it goes with was not done.
        case skipped(String)
    }

    public struct Report: Equatable, Sendable {
        public var outcomes: [(Change, Outcome)] = []
        public var isWhole: Bool { outcomes.allSatisfy { $0.1 == .done } }

        public static func == (one: Report, other: Report) -> Bool {
            one.outcomes.elementsEqual(other.outcomes) { $0.0 == $1.0 && $0.1 == $1.1 }
        }
    }

    let hand: Hand
    let journal: JournalFile
    let before: (Step) throws(Stopped) -> Void

    public init(
        hand: Hand, journal: JournalFile,
        before: @escaping (Step) throws(Stopped) -> Void = { (_) throws(Stopped) in }
    ) {
        self.hand = hand
        self.journal = journal
        self.before = before
    }

    // MARK: Apply

    public func apply(_ plan: Plan) throws(Stopped) -> Report {
        var report = Report()
        for change in plan.changes {
            // The reserve only as part of the whole that helps.
            let lacking = report.outcomes.first { before in
                change.kind == .reserve && before.1 != .done && Self.whole.contains(before.0.kind)
            }
            if let lacking {
                report.outcomes.append(
                    (
                        change,
                        .skipped("\(lacking.0.target.path) was not changed; alone it does not help")
                    ))
                continue
            }
            report.outcomes.append((change, try apply(change)))
        }
        return report
    }

    private static let whole: Set<Change.Kind> = [.writebackThrottle, .tcpReceive, .socketReceive]

    private func apply(_ change: Change) throws(Stopped) -> Outcome {
        let target = change.target
        switch hand.present(target) {
        case .gone: return .failed("it is gone, or another by now")
        case .unreadable(let number): return .failed("cannot read it: \(describe(errno: number))")
        case .value(let value) where value != change.old:
            return .failed("it is \(value) by now, and was \(change.old): run prepare again")
        case .value: break
        }
        try before(.announce(target))
        do {
            try journal.announce(target, old: change.old, new: change.new)
        } catch {
            return .failed("not done, for \(error.sentence)")
        }
        try before(.act(target, change.new))
        let result = hand.put(target, change.new)
        guard result == 0 else { return .failed(Self.refusal(result)) }
        guard hand.present(target) == .value(change.new) else {
            // Not what was asked for: better as it was, which the journal holds.
            try before(.act(target, change.old))
            let back = hand.put(target, change.old)
            return .failed(
                "the kernel took another value"
                    + (back == 0 ? ", and has the old one again" : ": \(Self.refusal(back))"))
        }
        return .done
    }

    private static func refusal(_ result: Int32) -> String {
        "the kernel refused: \(describe(errno: result))"
    }

    // MARK: Undo

    public enum Undoing: Equatable, Sendable {
        case restored
        /// It had the old value: never done, or put back by somebody.
        case wasOld
        /// Somebody changed it after us, and it stays so.
        case foreign(String)
        /// The process or the connection ended, and the change with it.
        case gone
        /// It cannot be taken back, and stays.
        case stays(String)
        case failed(String)
    }

    public struct UndoReport: Equatable, Sendable {
        public var undone: [Undone] = []
        public var isWhole: Bool {
            undone.allSatisfy { if case .failed = $0.undoing { return false } else { return true } }
        }
    }

    public struct Undone: Equatable, Sendable {
        public var entry: JournalEntry
        public var undoing: Undoing
    }

    /// The last first. What fails stays in the journal, for the next time.
    public func undo() throws(Stopped) -> UndoReport {
        var report = UndoReport()
        for entry in journal.text.standing.reversed() {
            var undoing = try undo(entry)
            if case .failed = undoing {
                report.undone.append(Undone(entry: entry, undoing: undoing))
                continue
            }
            // A damaged journal is kept as it is found.
            if journal.text.damagedLines == 0 {
                try before(.takeBack(entry.number))
                do {
                    try journal.takeBack(entry.number)
                } catch {
                    undoing = .failed("undone, but \(error.sentence)")
                }
            }
            report.undone.append(Undone(entry: entry, undoing: undoing))
        }
        if report.isWhole, journal.text.damagedLines == 0, journal.text.bootID != nil {
            try before(.clear)
            // What is left in it are changes that were taken back.
            try? journal.clear()
        }
        return report
    }

    private func undo(_ entry: JournalEntry) throws(Stopped) -> Undoing {
        switch Self.state(entry, hand.present(entry.target)) {
        case .ours: break
        case let other: return other.undoing
        }
        try before(.act(entry.target, entry.old))
        let result = hand.put(entry.target, entry.old)
        guard result == 0 else { return .failed(Self.refusal(result)) }
        guard hand.present(entry.target) == .value(entry.old) else {
            return .failed("the kernel took another value")
        }
        return .restored
    }

    /// How an entry of the journal stands to what is found.
    public enum State: Equatable, Sendable {
        case ours
        case old
        case foreign(String)
        case gone
        case stays(String)
        case unreadable(errno: Int32)

        var undoing: Undoing {
            switch self {
            case .ours: return .restored
            case .old: return .wasOld
            case .foreign(let value): return .foreign(value)
            case .gone: return .gone
            case .stays(let why): return .stays(why)
            case .unreadable(let number):
                return .failed("cannot read it: \(describe(errno: number))")
            }
        }
    }

    public static func state(_ entry: JournalEntry, _ reading: Hand.Reading) -> State {
        switch reading {
        case .gone: return .gone
        case .unreadable(let number): return .unreadable(errno: number)
        case .value(let value) where value == entry.new && entry.new == entry.old:
            return .stays("the driver told nobody the old dead_conn_timeout")
        case .value(let value) where value == entry.new: return .ours
        case .value(let value) where value == entry.old: return .old
        case .value(let value): return .foreign(value)
        }
    }
}
