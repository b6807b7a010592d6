// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import ReserveAgent
import ReserveKernel
import ReserveSinks

/// A reader that tells what happens, line by line, until a signal or the end of its time.
///
/// It may be slow, and may freeze with the host: the agent does not notice, and what was
/// missed is read up from the box, or counted.
struct LiveRun: ~Copyable {
    private var source: LiveSource
    private var stream: Stream
    private var recording: RecordingSink?
    private let signals: Int32
    private let durationNanoseconds: UInt64?

    private static let batch = 1024
    private static let beatMilliseconds: Int32 = 50

    static func start(
        _ choice: LiveSource.Choice, stream: consuming Stream,
        recording: consuming RecordingSink?, durationNanoseconds: UInt64?
    ) throws(WatchError) -> LiveRun {
        // The agent is started before signals are blocked, so that it does not inherit that.
        let source = try LiveSource.open(choice)
        let signals = rw_open_signals()
        if signals < 0 { throw .resources(operation: "watch for signals", errno: signals) }
        return LiveRun(
            source: source, stream: stream, recording: recording, signals: signals,
            durationNanoseconds: durationNanoseconds)
    }

    private init(
        source: consuming LiveSource, stream: consuming Stream,
        recording: consuming RecordingSink?, signals: Int32, durationNanoseconds: UInt64?
    ) {
        self.source = source
        self.signals = signals
        self.stream = stream
        self.recording = recording
        self.durationNanoseconds = durationNanoseconds
    }

    /// - Returns: the errno that ended the output early, or 0.
    mutating func run() throws(WatchError) -> Int32 {
        let began = rw_boot_ns()
        source.states { record in
            recording?.take(record)
            stream.take(record)
        }
        var isStopping = false
        while failure == 0 {
            let count = try take()
            if source.hasEnded { break }
            if count == Self.batch && !isFull { continue }
            let isAsked = wait()
            let isOver = durationNanoseconds.map { rw_boot_ns() - began >= $0 } ?? false
            if isStopping {
                // What our own agent still has to say is on its way.
                if isAsked { break }
            } else if isAsked || isOver {
                isStopping = true
                if !source.stop() {
                    _ = try take()
                    end()
                    break
                }
            }
        }
        stream.finish(withinMilliseconds: 2000)
        recording?.finish(withinMilliseconds: 2000)
        return failure
    }

    private var isFull: Bool {
        mutating get { stream.isFull || recording?.isFull ?? false }
    }

    private var failure: Int32 {
        mutating get { stream.failure != 0 ? stream.failure : recording?.failure ?? 0 }
    }

    /// As many records as the outputs have room for.
    private mutating func take() throws(WatchError) -> Int {
        guard !isFull else {
            stream.flush()
            recording?.flush()
            return 0
        }
        let count = try source.read(limit: Self.batch) { record in
            recording?.take(record)
            stream.take(record)
        }
        stream.flush()
        recording?.flush()
        return count
    }

    /// The last line of a reader whose agent goes on.
    private mutating func end() {
        var bare = UserRecords.stopped(bootNanoseconds: rw_boot_ns())
        withUnsafeBytes(of: &bare) { record in
            recording?.take(record)
            stream.take(record)
        }
    }

    /// - Returns: whether a signal asks to stop.
    private mutating func wait() -> Bool {
        var entries: InlineArray<3, pollfd> = [
            pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
            pollfd(fd: stream.waitingDescriptor, events: Int16(POLLOUT), revents: 0),
            pollfd(fd: recording?.waitingDescriptor ?? -1, events: Int16(POLLOUT), revents: 0),
        ]
        let ready = withUnsafeMutableBytes(of: &entries) { bytes in
            poll(bytes.assumingMemoryBound(to: pollfd.self).baseAddress, 3, Self.beatMilliseconds)
        }
        guard ready > 0, entries[0].revents != 0 else { return false }
        let signal = rw_read_signal(signals)
        return signal == SIGINT || signal == SIGTERM || signal == SIGHUP
    }
}
