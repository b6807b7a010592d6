// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ReserveAgent
import ReserveKernel
import ReserveModel
import ReserveSinks

extension LineFormat: ExpressibleByArgument {}

extension NoticeKind: ExpressibleByArgument {
    public init?(argument: String) {
        guard let kind = Self.allCases.first(where: { "\($0.word)" == argument }) else {
            return nil
        }
        self = kind
    }

    public static var allValueStrings: [String] { allCases.map { "\($0.word)" } }
}

/// The choice of lines, the same for live and replay.
struct LineOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Only lines of this kind; may be repeated.",
            discussion: "One of: \(NoticeKind.allValueStrings.joined(separator: ", ")).",
            valueName: "kind"))
    var kind: [NoticeKind] = []

    @Option(help: ArgumentHelp("Write to this file or device.", valueName: "file"))
    var output: String?

    @Option(help: ArgumentHelp("Seconds between two summary lines, 0.1 to 3600."))
    var interval: Double = 1

    mutating func validate() throws {
        guard interval >= 0.1, interval <= 3600 else {
            throw ValidationError("--interval \(interval) is not within 0.1 and 3600 seconds.")
        }
    }

    var kinds: NoticeKinds {
        kind.isEmpty ? .all : NoticeKinds(kind.map { NoticeKinds($0) })
    }

    var policy: Policy {
        var policy = Policy()
        policy.summaryInterval = UInt64(interval * 1_000_000_000)
        return policy
    }
}

struct EventsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events",
        abstract: "Tells what happens to the reserves, a line an event, until SIGINT or SIGTERM.",
        discussion: """
            JSON lines on standard output, described by docs/schema/events.schema.json. \
            Each second a summary line holds exact totals since the start; the last line \
            is the summary of it all.

            Reads the black box of the agent that runs; where none runs, starts one of its own, \
            which needs root. It may freeze with the host: what it missed it reads up \
            afterwards, and what is not there any more it counts.

            EXAMPLES
              reservewatch events
              reservewatch events --format text
              reservewatch events --kind nbd --kind throttle | jq .
              reservewatch events --duration 60 --output /dev/ttyS1 --record incident.rwr
            """
    )

    @OptionGroup var lines: LineOptions

    @Option(help: "json; or text to read, which leaves out stays in reclaim below four seconds.")
    var format: LineFormat = .json

    @Option(help: ArgumentHelp("Stop after so many seconds.", valueName: "seconds"))
    var duration: Double?

    @Option(help: ArgumentHelp("Keep the raw records in this file, for replay.", valueName: "file"))
    var record: String?

    @OptionGroup var source: SourceOptions
    @OptionGroup var watch: WatchOptions

    mutating func validate() throws {
        if let duration, !(duration > 0 && duration <= 31_536_000) {
            throw ValidationError("--duration \(duration) is not within 0 and 31536000 seconds.")
        }
    }

    func run() throws {
        var choice = source.choice(watch)
        choice.settings.intervalMilliseconds = Int(min(lines.interval, 1) * 1000)
        let failure: Int32
        do throws(WatchError) {
            let stream = try Stream.toReader(
                path: lines.output, format: format, kinds: lines.kinds, policy: lines.policy)
            let recording: RecordingSink? =
                if let record { try RecordingSink.toReader(path: record) } else { nil }
            var run = try LiveRun.start(
                choice, stream: stream, recording: recording,
                durationNanoseconds: duration.map { UInt64($0 * 1_000_000_000) })
            failure = try run.run()
        } catch {
            throw leave(error)
        }
        // A reader that went away (head, less) is no error of ours.
        if failure != 0 && failure != 32 /* EPIPE */ {
            printError("the output ended early: \(describe(errno: failure)); what followed is lost")
            throw ExitCode(74)
        }
    }
}
