// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ReserveKernel
import ReserveModel
import ReserveSinks

extension LineFormat: ExpressibleByArgument {}
extension HookPlan.Arm: ExpressibleByArgument {}

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
            is the summary of it all. Needs root.

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

    @Option(help: "Milliseconds between two samples of the zones in the kernel, 1 to 1000.")
    var samplePeriod: Int = 10

    @Option(help: "Milliseconds from which a stay in direct reclaim is told, 1 to 10000.")
    var slow: Int = 50

    @Option(
        help: ArgumentHelp(
            "Watch what costs more than a calm host should pay: slab or skbs; may be repeated.",
            discussion: """
                slab: every object that is allocated or freed, by cache. skbs: every packet \
                buffer that is allocated. docs/cost.md has what they cost.
                """,
            valueName: "what"))
    var arm: [HookPlan.Arm] = []

    @Option(help: "Size of the kernel's ring in KiB, a power of two from 4 to 65536.")
    var ring: Int = 1024

    mutating func validate() throws {
        if let duration, !(duration > 0 && duration <= 31_536_000) {
            throw ValidationError("--duration \(duration) is not within 0 and 31536000 seconds.")
        }
        guard (1...1000).contains(samplePeriod) else {
            throw ValidationError("--sample-period \(samplePeriod) is not within 1 and 1000.")
        }
        guard (1...10000).contains(slow) else {
            throw ValidationError("--slow \(slow) is not within 1 and 10000.")
        }
        guard (4...65536).contains(ring), ring & (ring - 1) == 0 else {
            throw ValidationError("--ring \(ring) is not a power of two from 4 to 65536.")
        }
    }

    func run() throws {
        var configuration = Watch.Configuration()
        configuration.kinds = lines.kinds
        configuration.format = format
        configuration.output = lines.output
        configuration.recording = record
        configuration.policy = lines.policy
        configuration.durationNanoseconds = duration.map { UInt64($0 * 1_000_000_000) }
        configuration.settings.samplePeriodNanoseconds = UInt64(samplePeriod) * 1_000_000
        configuration.settings.reportPeriodNanoseconds = UInt64(max(samplePeriod, 100)) * 1_000_000
        configuration.settings.slowThresholdNanoseconds = UInt64(slow) * 1_000_000
        configuration.settings.ringBytes = UInt32(ring) * 1024
        configuration.settings.armed = Set(arm)
        let failure: Int32
        do throws(WatchError) {
            var watch = try Watch(configuration)
            failure = watch.run()
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
