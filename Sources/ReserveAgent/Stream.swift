// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import ReserveKernel
import ReserveModel
import ReserveRecord
import ReserveSinks

/// The shapes in which notices can be told.
public enum LineFormat: String, CaseIterable, Sendable {
    case json
    case text
}

/// Records in, lines out: decoder, model and sink in a row. Watch, readers and replay use
/// this one.
public struct Stream: ~Copyable {
    public private(set) var model: Model
    private var notices = NoticeQueue(capacity: 512)
    private var json = JSONLines()
    private var text = TextLines()
    private let format: LineFormat
    private let kinds: NoticeKinds
    private var output: Output

    /// Waiting lines; a second of them at a hundred lines a second fits many times.
    private static let queueBytes = 512 * 1024

    /// Writes to `path`; nil is standard output. May wait for it: for readers and replay.
    public static func toReader(
        path: String?, format: LineFormat, kinds: NoticeKinds, policy: Policy
    ) throws(WatchError) -> Stream {
        let (descriptor, isOurs) = try openOutput(path)
        return Stream(
            output: .forReader(
                descriptor: descriptor, capacityBytes: queueBytes, closesAtEnd: isOurs),
            format: format, kinds: kinds, policy: policy)
    }

    /// For the watch's loop; without a path no lines are made, and the model alone is kept.
    public static func forLoop(
        path: String?, format: LineFormat, policy: Policy
    ) throws(WatchError) -> Stream {
        guard let path else {
            return Stream(output: .nowhere(), format: format, kinds: [], policy: policy)
        }
        return Stream(
            output: try openForLoop(path, capacityBytes: queueBytes), format: format, kinds: .all,
            policy: policy)
    }

    private init(
        output: consuming Output, format: LineFormat, kinds: NoticeKinds, policy: Policy
    ) {
        model = Model(policy: policy)
        self.format = format
        self.kinds = kinds
        self.output = output
    }

    /// Lines that were dropped, because they found no room or were too long.
    public var lost: UInt64 { output.lost &+ json.lost &+ text.lost }
    /// The errno that ended the output, or 0.
    public var failure: Int32 { output.failure }
    /// For poll(2): the descriptor while lines wait, else -1.
    public var waitingDescriptor: Int32 { output.waitingDescriptor }
    /// Whether a reader should take no more records in before some lines have gone.
    public var isFull: Bool { output.waitingBytes > Self.queueBytes / 2 }

    /// Takes one record in; hands each alert to `alerted`, as long as it stands in the picture.
    public mutating func take(
        _ record: UnsafeRawBufferPointer,
        alerted: (Notice, borrowing Picture) -> Void = { _, _ in }
    ) {
        model.apply(RecordDecoder.decode(record), notices: &notices)
        guard !notices.isEmpty else { return }
        for index in notices.indices {
            let notice = notices[index]
            if notice.isForAlerts { alerted(notice, model.picture) }
            guard kinds.contains(notice.kind) else { continue }
            switch format {
            case .json: json.write(notice, picture: model.picture) { output.append($0) }
            case .text: text.write(notice, picture: model.picture) { output.append($0) }
            }
        }
        notices.removeAll()
    }

    /// Between the summaries of these lines.
    public mutating func setSummaryInterval(nanoseconds: UInt64) {
        model.setSummaryInterval(nanoseconds: nanoseconds)
    }

    /// Writes what the output takes now.
    public mutating func flush() { output.flush() }

    public mutating func finish(withinMilliseconds limit: Int32) {
        output.finish(withinMilliseconds: limit)
    }
}

extension Notice {
    /// What people are to be told where alerts go: these, and what was done to the host.
    fileprivate var isForAlerts: Bool {
        switch body {
        case .alert: return true
        case .enforcement(let act):
            return act.outcome == .done || act.outcome == .failed
        default: return false
        }
    }
}

/// Keeps the raw records, framed, for replay.
public struct RecordingSink: ~Copyable {
    private let framer = RecordingFramer()
    private var output: Output

    private static let queueBytes = 1 << 20

    public static func toReader(path: String) throws(WatchError) -> RecordingSink {
        let (descriptor, isOurs) = try openOutput(path)
        return RecordingSink(
            .forReader(descriptor: descriptor, capacityBytes: queueBytes, closesAtEnd: isOurs))
    }

    static func forLoop(path: String) throws(WatchError) -> RecordingSink {
        RecordingSink(try openForLoop(path, capacityBytes: queueBytes))
    }

    private init(_ output: consuming Output) {
        self.output = output
        framer.opening { self.output.append($0) }
    }

    public var lost: UInt64 { output.lost }
    public var failure: Int32 { output.failure }
    public var waitingDescriptor: Int32 { output.waitingDescriptor }
    public var isFull: Bool { output.waitingBytes > Self.queueBytes / 2 }

    public mutating func take(_ record: UnsafeRawBufferPointer) {
        framer.frame(record: record) { output.append($0) }
    }

    public mutating func flush() { output.flush() }

    public mutating func finish(withinMilliseconds limit: Int32) {
        output.finish(withinMilliseconds: limit)
    }
}

/// Opens what a user named: a file is begun anew, a terminal is used as it is, raw.
func openOutput(_ path: String?) throws(WatchError) -> (descriptor: Int32, isOurs: Bool) {
    guard let path, path != "-" else { return (STDOUT_FILENO, false) }
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0o640)
    guard descriptor >= 0 else { throw .output(path: path, errno: errno) }
    _ = rw_make_raw(descriptor)
    return (descriptor, true)
}

func openForLoop(_ path: String, capacityBytes: Int) throws(WatchError) -> Output {
    let (descriptor, isOurs) = try openOutput(path)
    guard
        let output = Output.forLoop(
            descriptor: descriptor, capacityBytes: capacityBytes, closesAtEnd: isOurs)
    else { throw .resources(operation: "start a thread for \(path)", errno: EAGAIN) }
    return output
}
