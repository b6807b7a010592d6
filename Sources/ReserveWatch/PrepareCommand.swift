// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import ReserveAgent
import ReserveEnforce
import ReserveKernel

struct PrepareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prepare",
        abstract: "Brings the host into the state that survives swapping over NBD; undoes it.",
        discussion: """
            From the doctor's findings: bounds what sockets may hold unread, takes writeback \
            throttling and the I/O scheduler off the swap's disks, keeps client and local \
            server from the OOM killer and from being swapped, and locked memory where it is, \
            and only with these raises the reserve above what sockets may hold. Each change is \
            bounded, told with its reason, and written to a journal before it is done.

            Nothing of it outlives a reboot: "keep" tells the line that would.

            Exit status 0 when all is done or nothing was to do, 78 when not all could be done or \
            undone, 65 when the journal is damaged, 75 while another prepare runs, 77 without root.

            EXAMPLES
              reservewatch prepare --dry-run
              reservewatch prepare --apply --device nbd0      before swapon
              reservewatch prepare --status
              reservewatch prepare --undo
            """
    )

    enum Mode: String, EnumerableFlag {
        case dryRun, apply, undo, status

        static func help(for value: Mode) -> ArgumentHelp? {
            switch value {
            case .dryRun: return "Tell what would be changed; change nothing."
            case .apply: return "Change it. What is done already stays as it is."
            case .undo: return "Put back what is still as prepare left it, the last first."
            case .status: return "Tell what the journal holds, and how the host stands to it."
            }
        }
    }

    @Flag(exclusivity: .exclusive)
    var mode: Mode

    @Flag(help: "One JSON document: docs/schema/prepare.schema.json.")
    var json = false

    @Option(
        help: ArgumentHelp(
            "An NBD disk that swap will lie on, besides those that it lies on; may be repeated.",
            valueName: "nbdN"))
    var device: [String] = []

    @Option(
        help: ArgumentHelp(
            "What one socket may hold unread, at most.",
            discussion: "\(PlanSettings.leastReceiveBytes) to 16777216; trials had 262144.",
            valueName: "bytes"))
    var receiveMax: UInt64 = PlanSettings.provenReceiveBytes

    @Option(
        help: ArgumentHelp(
            "Give a silent connection up after this time; only with --nbd-dead-conn-timeout.",
            discussion: """
                Loses the swap when the wire stays away for the two together, and nobody \
                reconnects the device. Without it such a wire heals by itself.
                """,
            valueName: "seconds"))
    var nbdTimeout: UInt64?

    @Option(
        help: ArgumentHelp(
            "How long requests wait for a new connection when none is left.",
            valueName: "seconds"))
    var nbdDeadConnTimeout: UInt64?

    @Option(
        help: ArgumentHelp("Where the journal is.", valueName: "file"))
    var journal: String?

    @Option(help: .hidden)
    var root = ""

    func validate() throws {
        guard (nbdTimeout == nil) == (nbdDeadConnTimeout == nil) else {
            throw ValidationError(
                "--nbd-timeout and --nbd-dead-conn-timeout go together: alone, a timeout loses "
                    + "the swap when the only connection dies")
        }
        // A day; the driver multiplies by its ticks without looking.
        for seconds in [nbdTimeout, nbdDeadConnTimeout].compactMap({ $0 })
        where !(1...86_400).contains(seconds) {
            throw ValidationError("timeouts are 1 to 86400 seconds")
        }
        guard (PlanSettings.leastReceiveBytes...16_777_216).contains(receiveMax) else {
            throw ValidationError(
                "--receive-max takes \(PlanSettings.leastReceiveBytes) to 16777216 bytes")
        }
        for name in device where nbdIndex(name) == nil {
            throw ValidationError("--device takes the name of an NBD disk, such as nbd0")
        }
    }

    func run() throws {
        let report: PrepareReport
        do {
            report = try make()
        } catch let error as WatchError {
            throw leave(error)
        }
        try printOut(json ? report.json.bytes : Array(report.text.utf8))
        if report.exitStatus != 0 { throw ExitCode(report.exitStatus) }
    }

    private var journalPath: String { journal ?? "\(root)/run/reservewatch/prepare.journal" }

    private func make() throws -> PrepareReport {
        let hand = Hand(root: root)
        switch mode {
        case .dryRun:
            return .planned(try plan(), journal: journalPath)
        case .apply:
            try mayChange()
            let journal = try open(hand)
            try refuseDamaged(journal)
            let plan = try plan()
            let done = try Preparer(hand: hand, journal: journal).apply(plan)
            return .applied(plan, done, journal: journalPath)
        case .undo:
            try mayChange()
            let journal = try open(hand)
            let damaged = journal.text.damagedLines
            let done = try Preparer(hand: hand, journal: journal).undo()
            return .undone(done, damagedLines: damaged, journal: journalPath)
        case .status:
            let text = try JournalFile.look(journalPath) ?? JournalText()
            let isOfThisBoot = text.bootID.map { $0 == hand.bootID } ?? true
            let standing = isOfThisBoot ? text.standing : []
            return .standing(
                standing.map { ($0, hand.present($0.target)) }, damagedLines: text.damagedLines,
                journal: journalPath)
        }
    }

    private func plan() throws -> Plan {
        for name in device where access("\(root)/sys/block/\(name)", F_OK) != 0 {
            throw WatchError.input(path: "/sys/block/\(name)", errno: errno)
        }
        let handed = root.isEmpty ? HandedFacts.live() : HandedFacts()
        let facts = SwapPathFacts.read(root: root, handed: handed, disks: device)
        var settings = PlanSettings()
        settings.receiveBytes = receiveMax
        if let timeout = nbdTimeout, let dead = nbdDeadConnTimeout {
            settings.nbdTimeouts = .init(timeoutSeconds: timeout, deadConnSeconds: dead)
        }
        return ReserveEnforce.plan(facts, settings)
    }

    private func mayChange() throws {
        guard root.isEmpty, geteuid() != 0 else { return }
        throw WatchError.notPermitted(
            operation: "changing this host", reason: "run it as root, or with --dry-run")
    }

    private func open(_ hand: Hand) throws -> JournalFile {
        let journal = try JournalFile(path: journalPath, bootID: hand.bootID)
        if journal.text.isTorn {
            printError(
                "the last line of \(journalPath) is torn: what it announced was not done")
        }
        return journal
    }

    private func refuseDamaged(_ journal: JournalFile) throws {
        guard journal.text.damagedLines > 0 else { return }
        throw WatchError.notAJournal(
            path: journalPath,
            reason: "\(journal.text.damagedLines) lines cannot be believed",
            remedy: "undo what the others tell with prepare --undo, then remove it")
    }
}
