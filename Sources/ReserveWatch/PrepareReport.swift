// SPDX-License-Identifier: Apache-2.0

import ReserveEnforce
import ReserveKernel
import ReserveSinks

/// What prepare has to say, to read or as one JSON document.
struct PrepareReport {
    static let schemaVersion: UInt64 = 1

    /// One change of a plan or of the journal, and what became of it.
    private struct Item {
        var word: String
        var title: String
        var details: [(String, String)]
        var json: [(String, JSONDocument?)]
    }

    private let mode: String
    private let journal: String
    private var changes: [Item] = []
    private var left: [Item] = []
    private var sum: String
    let exitStatus: Int32

    // MARK: The four modes

    static func planned(_ plan: Plan, journal: String) -> PrepareReport {
        let count = plan.changes.count
        let sum =
            plan.isIdle
            ? idle(plan)
            : count == 0 ? "Nothing is to be changed" : "\(count) changes would be made"
        var report = PrepareReport(
            mode: "dry_run", journal: journal, sum: sum + shortfall(plan),
            exitStatus: plan.isWhole ? 0 : 78)
        report.changes = plan.changes.map { item($0, "would", nil) }
        report.left = plan.left.map(item)
        return report
    }

    static func applied(
        _ plan: Plan, _ done: Preparer.Report, journal: String
    ) -> PrepareReport {
        let all = done.outcomes.count
        let made = done.outcomes.count { $0.1 == .done }
        let sum =
            plan.isIdle
            ? idle(plan)
            : all == 0 ? "Nothing was to be changed" : "\(made) of \(all) changes were made"
        var report = PrepareReport(
            mode: "apply", journal: journal, sum: sum + shortfall(plan),
            exitStatus: plan.isWhole && done.isWhole ? 0 : 78)
        report.changes = done.outcomes.map { change, outcome in
            switch outcome {
            case .done: return item(change, "done", nil)
            case .failed(let reason): return item(change, "failed", reason)
            case .skipped(let reason): return item(change, "skipped", reason)
            }
        }
        report.left = plan.left.map(item)
        return report
    }

    static func undone(
        _ done: Preparer.UndoReport, damagedLines: Int, journal: String
    ) -> PrepareReport {
        let failed = done.undone.count { if case .failed = $0.undoing { true } else { false } }
        var sum = done.undone.isEmpty ? "Nothing was to be undone" : "Undone"
        if failed > 0 { sum = "\(failed) of \(done.undone.count) changes could not be undone" }
        var report = PrepareReport(
            mode: "undo", journal: journal, sum: sum + damage(damagedLines, journal),
            exitStatus: damagedLines > 0 ? 65 : failed > 0 ? 78 : 0)
        report.changes = done.undone.map { undone in
            let entry = undone.entry
            switch undone.undoing {
            case .restored:
                var back = item(entry, "restored", nil)
                back.title = "\(entry.target.path): \(entry.new) -> \(entry.old)"
                return back
            case .wasOld: return item(entry, "was-old", "it has its old value already")
            case .foreign(let value):
                return item(entry, "foreign", "somebody made it \(value) since: it stays so")
            case .gone: return item(entry, "gone", "what was changed is no longer there")
            case .stays(let why): return item(entry, "stays", why)
            case .failed(let why): return item(entry, "failed", why)
            }
        }
        return report
    }

    static func standing(
        _ standing: [(JournalEntry, Hand.Reading)], damagedLines: Int, journal: String
    ) -> PrepareReport {
        let sum =
            standing.isEmpty
            ? "Nothing is changed by prepare" : "\(standing.count) changes stand in \(journal)"
        var report = PrepareReport(
            mode: "status", journal: journal, sum: sum + damage(damagedLines, journal),
            exitStatus: damagedLines > 0 ? 65 : 0)
        report.changes = standing.map { entry, reading in
            switch Preparer.state(entry, reading) {
            case .ours: return item(entry, "ours", nil)
            case .stays(let why): return item(entry, "ours", why)
            case .old: return item(entry, "was-old", "it has its old value")
            case .foreign(let value):
                return item(entry, "foreign", "somebody made it \(value) since")
            case .gone: return item(entry, "gone", "what was changed is no longer there")
            case .unreadable(let number):
                return item(entry, "unknown", "cannot read it: \(describe(errno: number))")
            }
        }
        return report
    }

    private init(mode: String, journal: String, sum: String, exitStatus: Int32) {
        self.mode = mode
        self.journal = journal
        self.sum = sum + "."
        self.exitStatus = exitStatus
    }

    private static func idle(_ plan: Plan) -> String {
        plan.isWhole
            ? "No swap lies on NBD: there is nothing to prepare. Name a disk with --device"
            : "Whether swap lies on NBD is not known. Name its disk with --device"
    }

    private static func shortfall(_ plan: Plan) -> String {
        let count = plan.left.count(where: \.isShortfall)
        return count == 0 || plan.isIdle
            ? "" : "; \(count) things are left that prepare cannot mend"
    }

    private static func damage(_ lines: Int, _ journal: String) -> String {
        lines == 0
            ? ""
            : "; \(lines) lines of \(journal) cannot be believed, and what they told is not known"
    }

    // MARK: Items

    private static func item(_ change: Change, _ word: String, _ reason: String?) -> Item {
        Item(
            word: word,
            title: "\(change.kind.rawValue)  \(change.target.path): \(change.old) -> \(change.new)",
            details: [
                ("because", reason ?? ""), ("bounds", change.bounds), ("why", change.why),
                ("costs", change.costs), ("keep", change.keep), ("undo", change.undo),
            ],
            json: [
                ("id", .string(change.kind.rawValue)), ("target", target(change.target)),
                ("old", .string(change.old)), ("new", .string(change.new)),
                ("bounds", .string(change.bounds)), ("why", .string(change.why)),
                ("costs", .string(change.costs)), ("keep", .string(change.keep)),
                ("undo", .string(change.undo)), ("outcome", .string(word)),
                ("reason", reason.map { .string($0) }),
            ])
    }

    private static func item(_ entry: JournalEntry, _ word: String, _ reason: String?) -> Item {
        Item(
            word: word, title: "\(entry.target.path): \(entry.old) -> \(entry.new)",
            details: [("because", reason ?? "")],
            json: [
                ("number", .number(UInt64(entry.number))), ("target", target(entry.target)),
                ("old", .string(entry.old)), ("new", .string(entry.new)),
                ("outcome", .string(word)), ("reason", reason.map { .string($0) }),
            ])
    }

    private static func item(_ left: Left) -> Item {
        Item(
            word: left.isShortfall ? "left" : "as-is",
            title: "\(left.id)  \(left.subject): \(left.found)",
            details: [("why", left.why), ("instead", left.instead)],
            json: [
                ("id", .string(left.id)), ("subject", .string(left.subject)),
                ("found", .string(left.found)), ("why", .string(left.why)),
                ("instead", .string(left.instead)), ("shortfall", .bool(left.isShortfall)),
            ])
    }

    private static func target(_ target: Target) -> JSONDocument {
        switch target {
        case .file(let path):
            return .object([("kind", .string("file")), ("path", .string(path))])
        case .cgroup(let path, _):
            return .object([("kind", .string("cgroup")), ("path", .string(path))])
        case .oomScore(let pid, let ticks):
            return .object([
                ("kind", .string("oom_score_adj")), ("pid", .signed(Int64(pid))),
                ("start_ticks", .number(ticks)),
            ])
        case .nbdTimeouts(let disk, let setUpBy, let seconds):
            return .object([
                ("kind", .string("nbd_timeouts")), ("device", .string(disk)),
                ("set_up_by", .signed(Int64(setUpBy))), ("dead_conn_timeout_s", .number(seconds)),
            ])
        }
    }

    // MARK: To read

    var text: String {
        var lines = (changes + left).flatMap(Self.lines)
        lines.append(sum)
        return lines.map { plainText($0) + "\n" }.joined()
    }

    private static func lines(_ item: Item) -> [String] {
        let width = 10
        let padding = String(repeating: " ", count: max(1, width - item.word.utf8.count))
        let indent = String(repeating: " ", count: width)
        return ["\(item.word)\(padding)\(item.title)"]
            + item.details.filter { !$0.1.isEmpty }.map { "\(indent)\($0.0): \($0.1)" }
    }

    // MARK: For machines

    var json: JSONDocument {
        .object([
            ("schema", .number(Self.schemaVersion)), ("kind", .string("prepare")),
            ("mode", .string(mode)), ("journal", .string(journal)),
            ("changes", .array(changes.map { .known($0.json) })),
            ("left", .array(left.map { .known($0.json) })),
            ("exit_status", .signed(Int64(exitStatus))),
        ])
    }
}
