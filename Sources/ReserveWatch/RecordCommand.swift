// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ReserveAgent
import ReserveKernel
import ReserveStore

struct RecordCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "record",
        abstract: "Keeps the raw records in a directory of segments, for replay.",
        discussion: """
            PATH is made where it is missing; a recording that is there is continued. Segments \
            are closed by size and age, compressed when they are closed, and deleted from the \
            oldest on when all together exceed the bounds. When PATH is full, read-only or \
            gone, that is told, and recording goes on when it can; what was lost meanwhile \
            stands in the recording. docs/recordings.md has the format.

            Reads the black box of the agent that runs; where none runs, starts one of its own, \
            which needs root.

            Sizes are bytes, or with K, M, G; durations are seconds, or with m, h, d.

            EXAMPLES
              reservewatch record /var/lib/reservewatch
              reservewatch record /var/lib/reservewatch --keep-size 10G --keep-age 30d
              reservewatch record incident --duration 10m
              reservewatch record small --source incident.rwr --segment-size 1M
            """
    )

    @Argument(help: "The directory of the recording.")
    var path: String

    @Option(help: ArgumentHelp("Begin a new segment after so many bytes.", valueName: "bytes"))
    var segmentSize = ByteCount(bytes: 64 << 20)

    @Option(help: ArgumentHelp("Begin a new segment after so long; 0: never.", valueName: "time"))
    var segmentAge = TimeSpan(seconds: 3600)

    @Option(
        help: ArgumentHelp("Delete the oldest beyond so many bytes; 0: never.", valueName: "bytes"))
    var keepSize = ByteCount(bytes: 1 << 30)

    @Option(help: ArgumentHelp("Delete what is older than this; 0: nothing.", valueName: "time"))
    var keepAge = TimeSpan(seconds: 0)

    @Flag(name: .customLong("no-compress"), help: "Leave closed segments as they are.")
    var noCompress = false

    @Option(
        help: ArgumentHelp(
            "Wait for the disk so often; 0: only when a segment is closed.", valueName: "time"))
    var sync = TimeSpan(seconds: 5)

    @Option(help: ArgumentHelp("Stop after so long.", valueName: "time"))
    var duration: TimeSpan?

    @Flag(help: "Begin with what the agent still has of the time before.")
    var backlog = false

    @Option(
        name: .customLong("source"),
        help: ArgumentHelp(
            "Take the records from this recording instead of from the host, to cut or to compress it.",
            valueName: "recording"))
    var copied: String?

    @OptionGroup var source: SourceOptions
    @OptionGroup var watch: WatchOptions

    func validate() throws {
        if copied != nil, duration != nil || backlog {
            throw ValidationError(
                "--duration and --backlog are for what an agent tells now; leave them out with "
                    + "--source.")
        }
        guard segmentSize.bytes >= 65536, segmentSize.bytes <= 1 << 30 else {
            throw ValidationError(
                "--segment-size \(segmentSize.bytes) is not within 64K and 1G.")
        }
        guard keepSize.bytes == 0 || keepSize.bytes >= 2 * segmentSize.bytes else {
            throw ValidationError(
                "--keep-size \(keepSize.bytes) is less than two segments of "
                    + "\(segmentSize.bytes) bytes; raise it, or lower --segment-size.")
        }
    }

    func run() throws {
        let recorder = Recorder(path: path, settings: settings)
        let isWhole: Bool
        if let copied {
            do throws(StoreError) {
                // Before the directory is begun: an input that is none leaves nothing behind.
                isWhole = try recorder.copy(try RecordSource(path: copied))
            } catch {
                throw leave(error)
            }
        } else {
            var choice = source.choice(watch)
            if backlog { choice.start = .oldest }
            do throws(WatchError) {
                isWhole = try recorder.follow(
                    try LiveSource.open(choice), durationNanoseconds: duration?.nanoseconds)
            } catch {
                throw leave(error)
            }
        }
        if !isWhole { throw ExitCode(74) }
    }

    private var settings: SegmentWriter.Settings {
        var settings = SegmentWriter.Settings()
        settings.segmentBytes = segmentSize.bytes
        settings.segmentNanoseconds = segmentAge.nanoseconds
        settings.keepBytes = keepSize.bytes
        settings.keepNanoseconds = keepAge.nanoseconds
        settings.compresses = !noCompress
        settings.syncNanoseconds = sync.nanoseconds
        return settings
    }
}
