// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import ReserveAgent
import ReserveKernel
import ReserveRecord
import ReserveSinks
import ReserveStore

enum ReplayFormat: String, CaseIterable, ExpressibleByArgument {
    case json
    case text
    case words
}

struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Tells the events of a recording again, through the same decoder and model.",
        discussion: """
            Needs no root, no BTF and no BPF. RECORDING is a file, a segment, or a directory \
            of segments. A torn end is normal and costs only itself; damage in the middle is \
            told on standard error.

            A time is one of 2026-11-25T07:10:48Z; 07:10:48, UTC, on the day on which the \
            recording begins; +12.5s after its begin; -30s before its end (ms, s, m, h, d).

            EXAMPLES
              reservewatch replay incident.rwr
              reservewatch replay incident.rwr --kind throttle
              reservewatch replay incident.rwr --format words
              reservewatch replay /var/lib/reservewatch --from 07:10 --to 07:12:30
              reservewatch replay incident.rwr --from -30s --format text --speed recorded
            """
    )

    @Argument(help: "A recording made by record or by events --record, or an agent's black box.")
    var recording: String

    @OptionGroup var lines: LineOptions

    @Option(help: "json, text to read, or words: what happened, at the end only.")
    var format: ReplayFormat = .json

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Tell only what happened from this moment on; what was before makes the state.",
            valueName: "time"),
        transform: { try timePoint($0, option: "--from") })
    var from: TimePoint?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("End with this moment.", valueName: "time"),
        transform: { try timePoint($0, option: "--to") })
    var to: TimePoint?

    @Option(help: "full; recorded: as fast as it happened; or so many times as fast, like 10.")
    var speed: ReplaySpeed = .full

    func validate() throws {
        if format == .words, from != nil {
            throw ValidationError(
                "--from has no part in --format words: they tell it from the begin; leave it out.")
        }
    }

    func run() throws {
        let source: RecordSource
        let window: ReplayWindow
        do throws(StoreError) {
            source = try RecordSource(path: recording)
            window = try ReplayWindow(path: recording, from: from, to: to)
        } catch {
            throw leave(error)
        }
        if window.isEmpty {
            throw ValidationError("--to is before --from: nothing lies between them.")
        }
        let failure: Int32
        do throws(WatchError) {
            failure = try replay(source, window)
        } catch {
            throw leave(error)
        }
        // A reader that went away (head, less) is no error of ours.
        if failure != 0 && failure != EPIPE {
            printError("the output ended early: \(describe(errno: failure)); what followed is lost")
            throw ExitCode(74)
        }
    }

    /// Returns the errno that ended the output early, or 0.
    private func replay(
        _ source: RecordSource, _ window: ReplayWindow
    ) throws(WatchError) -> Int32 {
        var stream = try ReplayStream(
            path: lines.output, format: format, kinds: format == .words ? [] : lines.kinds,
            policy: lines.policy)
        var pace = ReplayPace(speed)
        while let entry = source.next(), stream.failure == 0 {
            if window.isOver(entry) { break }
            let isTold = !entry.isState && window.contains(entry)
            if entry.isHost { pace.restart() }
            if isTold { pace.wait(until: entry.realNanoseconds) }
            stream.take(entry, isTold: isTold)
        }
        for problem in source.takeProblems() { printError(problem.sentence) }
        if format == .words { stream.writeWords() }
        if stream.told == 0, let hint = window.hint { printError("\(recording): \(hint)") }
        return stream.failure
    }
}

private func timePoint(_ text: String, option: String) throws -> TimePoint {
    guard let point = TimePoint(text) else {
        throw ValidationError(
            "\(option) \(text) is no time; write 2026-11-25T07:10:48Z, 07:10:48 (UTC), "
                + "+12.5s after the begin, or -30s before the end.")
    }
    return point
}
