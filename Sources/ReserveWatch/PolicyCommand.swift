// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import ReserveAgent
import ReserveKernel
import ReserveModel
import ReservePolicy
import ReserveRecord
import ReserveSinks
import ReserveStore

struct PolicyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy",
        abstract: "Rules by which the agent acts on the host: in words, and over a recording.",
        subcommands: [PolicyExplain.self, PolicySimulate.self])
}

struct PolicyExplain: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Says in words what the rules of a configuration would do, and when.",
        discussion: """
            EXAMPLES
              reservewatch policy explain --config rules.conf
            """)

    @OptionGroup var file: ConfigOptions

    func run() throws {
        for line in try HostSettings.load(file).rules.explanation { print(plainText(line)) }
    }
}

struct PolicySimulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Shows what the rules would have done in a recording, when, and upon what.",
        discussion: """
            Needs no root. RECORDING is a file, a segment, a directory of segments, or an \
            agent's black box. The decision is the agent's own code. Every rule that is not off \
            is shown, in the mode that it has or not.

            Nothing is done in a recording, so nothing changes by it: a rule goes on deciding \
            upon a host that went on without it. Whom "the largest" would have been a recording \
            does not tell.

            EXAMPLES
              reservewatch policy simulate incident.rwr --config rules.conf
              reservewatch policy simulate /run/reservewatch/box
              reservewatch policy simulate incident.rwr --config rules.conf --json
            """)

    @Argument(help: "A recording made by record or by events --record, or an agent's black box.")
    var recording: String

    @OptionGroup var file: ConfigOptions

    @Flag(help: "The lines of events (kind enforce) instead of text.")
    var json = false

    func run() throws {
        let set = try HostSettings.load(file).rules
        let records: RecordSource
        do throws(StoreError) {
            records = try RecordSource(path: recording)
        } catch {
            throw leave(error)
        }
        var run = SimulationRun(set, isJSON: json)
        while let entry = records.next() { run.take(entry) }
        for problem in records.takeProblems() { printError(problem.sentence) }
        run.finish()
        if run.failure != 0 && run.failure != EPIPE {
            printError("the output ended early: \(describe(errno: run.failure))")
            throw ExitCode(74)
        }
    }
}

/// The records of a recording through model and rules, and what they would do, as lines.
struct SimulationRun: ~Copyable {
    private var model = Model(policy: Policy())
    private var notices = NoticeQueue(capacity: 512)
    private var simulation: Simulation
    private var json = JSONLines()
    private var writer = ByteWriter(capacityBytes: 8192)
    private var queue = OutputQueue(
        descriptor: STDOUT_FILENO, capacityBytes: 1 << 20, closesAtEnd: false)
    private let isJSON: Bool
    private let set: RuleSet
    private var acts = 0

    init(_ set: RuleSet, isJSON: Bool) {
        self.set = set
        self.isJSON = isJSON
        simulation = Simulation(set, policy: Policy())
    }

    var failure: Int32 { queue.failure }

    mutating func take(_ entry: RecordSource.Entry) {
        if entry.isHost, model.picture.host != nil {
            model = Model(policy: Policy())
            simulation.restart()
        }
        let event = RecordDecoder.decode(entry.bytes)
        model.apply(event, notices: &notices)
        notices.removeAll()
        guard case .tick = event.body, !entry.isState else { return }
        var found: [Enforcement] = []
        simulation.decide(model.picture, at: event.bootNanoseconds) { found.append($0) }
        for act in found { tell(act, at: event.bootNanoseconds) }
    }

    private mutating func tell(_ act: Enforcement, at now: UInt64) {
        acts += 1
        if isJSON {
            let notice = Notice(
                bootNanoseconds: now, severity: .notice, body: .enforcement(act))
            json.write(notice, picture: model.picture) { queue.append($0) }
        } else {
            let pageKB = UInt64(model.picture.host?.pageSizeBytes ?? 4096) / 1024
            writer.clear()
            if let host = model.picture.host {
                writer.time(
                    realNanoseconds: Int64(clamping: now) &+ host.realtimeOffsetNanoseconds,
                    dateToo: false)
                writer.text(" ")
            }
            writer.enforcementLine(act, picture: model.picture, pageKB: pageKB)
            if act.reason == .rule, act.outcome == .would {
                writer.text("\n             upon: ")
                writer.verdictEvidence(model.picture, pageKB: pageKB)
            }
            writer.text("\n")
            queue.append(writer.bytes)
        }
        queue.finish(withinMilliseconds: .max)
    }

    /// What became of each rule.
    mutating func finish() {
        guard !isJSON else { return }
        var lines = acts == 0 ? ["Nothing would have been done."] : [""]
        if simulation.moments == 0 {
            lines = ["The recording has no moment at which anything could be decided."]
        }
        for (index, rule) in set.rules.enumerated() {
            let standing = simulation.standings[index]
            if set.mode(of: rule) == .off {
                lines.append("\(rule.name): off")
                continue
            }
            let held = simulation.longestHolds[index]
            lines.append(
                "\(rule.name) (\(set.mode(of: rule))): would have acted \(standing.would) times, "
                    + "was at its limit \(standing.limited) times; what it waits for held for at "
                    + "most \(held / 1_000_000) ms of \(rule.holdNanoseconds / 1_000_000)")
        }
        var text = lines.joined(separator: "\n") + "\n"
        text.withUTF8 { queue.append(UnsafeRawBufferPointer($0)) }
        queue.finish(withinMilliseconds: .max)
    }
}
