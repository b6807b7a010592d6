// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import CLinux
import Glibc
import ReserveAgent
import ReserveKernel
import ReserveRecord
import ReserveStore

/// Takes records from somewhere and hands them to the segments; what is to be told goes to
/// standard error.
struct Recorder {
    let path: String
    let settings: SegmentWriter.Settings

    /// Records between two looks at the bounds.
    private static let batch = 256
    private static let beatMilliseconds: Int32 = 100

    /// Keeps a recording anew. Returns whether all of it is kept.
    func copy(_ source: RecordSource) throws(StoreError) -> Bool {
        // What a segment begins with is no record of its own.
        var state = StateKeeper()
        var entry = source.next()
        while let first = entry, first.isState {
            state.take(first.bytes)
            entry = source.next()
        }
        let writer = try begin(state)
        var count = 0
        while let record = entry {
            if !record.isState { writer.take(record.bytes, now: Clock.bootNanoseconds()) }
            count += 1
            if count % Self.batch == 0 { turn(writer) }
            entry = source.next()
        }
        for problem in source.takeProblems() { printError(problem.sentence) }
        return finish(writer)
    }

    /// Keeps what an agent publishes, until a signal, the end of the duration, or the
    /// agent's. Returns whether all of it is kept.
    func follow(
        _ source: consuming LiveSource, durationNanoseconds: UInt64?
    ) throws(WatchError) -> Bool {
        let signals = rw_open_signals()
        if signals < 0 { throw .resources(operation: "watch for signals", errno: signals) }
        defer { close(signals) }
        var state = StateKeeper()
        source.states { state.take($0) }
        let writer: SegmentWriter
        do throws(StoreError) { writer = try begin(state) } catch { throw WatchError(error) }
        let began = Clock.bootNanoseconds()
        var follower = Follower()
        var isStopping = false
        do throws(WatchError) {
            while true {
                let count = try follower.take(from: &source, into: writer, limit: Self.batch)
                turn(writer)
                if source.hasEnded { break }
                if count == Self.batch { continue }
                let isAsked = wait(signals)
                let isOver =
                    durationNanoseconds.map { Clock.bootNanoseconds() - began >= $0 } ?? false
                if isStopping {
                    // What our own agent still has to say is on its way.
                    if isAsked { break }
                } else if isAsked || isOver {
                    isStopping = true
                    if !source.stop() {
                        while try follower.take(from: &source, into: writer, limit: Self.batch)
                            == Self.batch
                        { turn(writer) }
                        // The last record of a recorder whose agent goes on.
                        let bare = UserRecords.stopped(bootNanoseconds: rw_boot_ns())
                        withUnsafeBytes(of: bare) { writer.take($0, now: Clock.bootNanoseconds()) }
                        break
                    }
                }
            }
        } catch {
            _ = finish(writer)
            throw error
        }
        return finish(writer)
    }

    /// Takes records one by one, for only then it is known where others are missing.
    private struct Follower {
        private var lost: UInt64 = 0
        private var lastBoot: UInt64 = 0

        mutating func take(
            from source: inout LiveSource, into writer: SegmentWriter, limit: Int
        ) throws(WatchError) -> Int {
            var total = 0
            while total < limit {
                var came: [[UInt8]] = []
                let count = try source.read(limit: 1) { came.append([UInt8]($0)) }
                let now = Clock.bootNanoseconds()
                if source.lost > lost {
                    writer.tellLoss(
                        of: source.lost - lost, sinceBootNanoseconds: lastBoot, now: now)
                    lost = source.lost
                }
                guard count > 0, let record = came.first else { break }
                record.withUnsafeBytes {
                    lastBoot = $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
                    writer.take($0, now: now)
                }
                total += 1
            }
            return total
        }
    }

    private func begin(_ state: StateKeeper) throws(StoreError) -> SegmentWriter {
        // A limit on the size of files is an error like others, and no reason to die.
        signal(SIGXFSZ, SIG_IGN)
        return try SegmentWriter(
            directory: path, settings: settings, state: state, now: Clock.bootNanoseconds())
    }

    private func turn(_ writer: SegmentWriter) {
        writer.turn(now: Clock.bootNanoseconds())
        for message in writer.takeMessages() { printError(message) }
    }

    private func finish(_ writer: SegmentWriter) -> Bool {
        let isWhole = writer.finish(now: Clock.bootNanoseconds())
        for message in writer.takeMessages() { printError(message) }
        return isWhole
    }

    /// Sleeps for a beat; whether a signal asks to stop.
    private func wait(_ signals: Int32) -> Bool {
        var entry = pollfd(fd: signals, events: Int16(POLLIN), revents: 0)
        guard poll(&entry, 1, Self.beatMilliseconds) > 0 else { return false }
        let signal = rw_read_signal(signals)
        return signal == SIGINT || signal == SIGTERM || signal == SIGHUP
    }
}

extension WatchError {
    /// What a recording's error is to a user.
    init(_ error: StoreError) {
        switch error {
        case .input(let path, let errno): self = .input(path: path, errno: errno)
        case .notARecording(let path, let reason):
            self = .notARecording(path: path, reason: reason)
        case .output(let path, let errno): self = .output(path: path, errno: errno)
        case .busy(let path): self = .output(path: path, errno: EBUSY)
        }
    }
}

/// Prints the sentence of an error and leaves with its status.
func leave(_ error: StoreError) -> ExitCode {
    printError(error.sentence)
    return ExitCode(error.exitStatus)
}
