// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import ReserveKernel
import ReserveModel
import ReserveSinks

/// Every place to which the watch itself writes alerts: kmsg, serial lines, files, its own
/// standard output. All of them opened before the loop began.
///
/// A place that does not take its line holds up neither the loop nor another place. kmsg takes
/// ten lines in five seconds and drops more without a word: a track tells at most two in that
/// time (``Policy/alertHold``), so that it never does.
struct AlertSinks: ~Copyable {
    /// More would be more threads and stacks to lock.
    static let most = AgentSettings.mostAlertPlaces

    private var first: AlertSink?
    private var second: AlertSink?
    private var third: AlertSink?
    private var fourth: AlertSink?
    private var lines = AlertLines()
    /// What the box is to keep of each alert.
    var told = ToldRecords()

    /// Opens them all.
    init(_ names: [String], format: LineFormat) throws(WatchError) {
        if names.count > 0 { first = try AlertSink(names[0], index: 0, format: format) }
        if names.count > 1 { second = try AlertSink(names[1], index: 1, format: format) }
        if names.count > 2 { third = try AlertSink(names[2], index: 2, format: format) }
        if names.count > 3 { fourth = try AlertSink(names[3], index: 3, format: format) }
    }

    /// Has each place take its buffers, the kernel's too, by an opening line. What else an alert
    /// needs is in locked memory.
    mutating func rehearse(_ picture: borrowing Picture, at now: UInt64) {
        lines.opening(picture)
        first?.put(lines, since: now)
        second?.put(lines, since: now)
        third?.put(lines, since: now)
        fourth?.put(lines, since: now)
        flush(now)
    }

    /// Hands one alert to every place. Does not allocate, does not wait.
    mutating func tell(_ notice: Notice, picture: borrowing Picture) {
        told.note(notice, picture: picture)
        lines.write(notice, picture: picture)
        let since = notice.bootNanoseconds
        first?.put(lines, since: since)
        second?.put(lines, since: since)
        third?.put(lines, since: since)
        fourth?.put(lines, since: since)
    }

    mutating func flush(_ now: UInt64) {
        first?.flush(now)
        second?.flush(now)
        third?.flush(now)
        fourth?.flush(now)
    }

    /// Hands the record of each place that changed to `body`.
    mutating func states(at now: UInt64, _ body: (UnsafeRawBufferPointer) -> Void) {
        first?.state(at: now, body)
        second?.state(at: now, body)
        third?.state(at: now, body)
        fourth?.state(at: now, body)
    }

    mutating func finish(withinMilliseconds limit: Int32) {
        first?.finish(withinMilliseconds: limit)
        second?.finish(withinMilliseconds: limit)
        third?.finish(withinMilliseconds: limit)
        fourth?.finish(withinMilliseconds: limit)
    }
}

/// One of them.
struct AlertSink: ~Copyable {
    private enum Kind {
        case kmsg
        case stream
    }

    private let kind: Kind
    private let index: Int
    private let isJSON: Bool
    private let name: [UInt8]
    private var output: Output
    // Of the direct queue: what the thread of the other counts by itself.
    private var handed: UInt64 = 0
    private var written: UInt64 = 0
    private var waitingSince: UInt64 = 0
    private var last: UInt64 = 0
    private var worst: UInt64 = 0
    private var toldLines: UInt64 = .max
    private var toldDropped: UInt64 = 0

    init(_ name: String, index: Int, format: LineFormat) throws(WatchError) {
        self.index = index
        self.name = [UInt8](name.utf8.prefix(63))
        isJSON = format == .json
        kind = name == "kmsg" ? .kmsg : .stream
        let path = name == "kmsg" ? "/dev/kmsg" : name
        let descriptor: Int32
        if name == "stdout" || name == "-" {
            descriptor = dup(STDOUT_FILENO)
        } else {
            var flags = O_WRONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK
            if kind == .stream { flags |= O_CREAT | O_APPEND }
            descriptor = open(path, flags, 0o640)
        }
        guard descriptor >= 0 else {
            // A FIFO without a reader answers ENXIO.
            throw .output(path: path, errno: errno)
        }
        if kind == .stream { _ = rw_make_raw(descriptor) }
        guard
            let output = Output.forLoop(
                descriptor: descriptor, capacityBytes: 64 * 1024, closesAtEnd: true)
        else { throw .resources(operation: "start a thread for \(path)", errno: EAGAIN) }
        self.output = output
    }

    mutating func put(_ lines: borrowing AlertLines, since: UInt64) {
        let line =
            switch kind {
            case .kmsg: lines.kmsg(isJSON: isJSON)
            case .stream: lines.line(isJSON: isJSON)
            }
        guard !line.isEmpty else { return }
        handed &+= 1
        if waitingSince == 0 { waitingSince = since }
        output.append(line, since: since)
    }

    mutating func flush(_ now: UInt64) {
        guard waitingSince > 0 else { return }
        output.flush()
        guard output.waitingBytes == 0 else { return }
        // The last byte is written, of all that waited since then.
        let end = rw_boot_ns()
        last = end > waitingSince ? end - waitingSince : 0
        worst = max(worst, last)
        written = handed &- min(output.lost, handed)
        waitingSince = 0
    }

    mutating func state(at now: UInt64, _ body: (UnsafeRawBufferPointer) -> Void) {
        // A thread measures for itself, to the moment at which write(2) returned.
        let state = output.threadState
        let lines = state?.lines ?? written
        let dropped = output.lost
        let waiting = output.waitingBytes
        guard lines != toldLines || dropped != toldDropped || waiting > 0 else { return }
        toldLines = lines
        toldDropped = dropped
        var record = name.withUnsafeBytes {
            UserRecords.sink(
                name: $0, index: index, isJSON: isJSON, lines: lines, dropped: dropped,
                waitingBytes: UInt64(waiting), lastNanoseconds: state?.last_ns ?? last,
                worstNanoseconds: state?.worst_ns ?? worst,
                error: output.failure, bootNanoseconds: now)
        }
        withUnsafeBytes(of: &record, body)
    }

    mutating func finish(withinMilliseconds limit: Int32) {
        output.finish(withinMilliseconds: limit)
    }
}
