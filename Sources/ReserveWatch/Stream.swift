// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import ReserveKernel
import ReserveModel
import ReserveRecord
import ReserveSinks

/// The shapes in which notices can be told.
enum LineFormat: String, CaseIterable {
    case json
    case text
}

/// Records in, lines out: decoder, model and sink in a row. Live and replay use this one.
struct Stream: ~Copyable {
    private(set) var model: Model
    private var notices = NoticeQueue(capacity: 512)
    private var json = JSONLines()
    private var text = TextLines()
    private let format: LineFormat
    private let kinds: NoticeKinds
    private var queue: OutputQueue
    /// A live stream must never wait for its reader, a replay must lose nothing.
    private let isLive: Bool

    /// Waiting lines; a second of them at a hundred lines a second fits many times.
    private static let queueBytes = 512 * 1024

    /// - Parameter path: file or device to write; nil is standard output.
    init(
        path: String?, format: LineFormat, kinds: NoticeKinds, policy: Policy, isLive: Bool = true
    ) throws(WatchError) {
        model = Model(policy: policy)
        self.isLive = isLive
        self.format = format
        self.kinds = kinds
        queue = try openOutput(path: path, capacityBytes: Self.queueBytes)
    }

    /// Lines that were dropped, because they found no room or were too long.
    var lost: UInt64 { queue.lost + json.lost + text.lost }
    /// The errno that ended the output, or 0.
    var failure: Int32 { queue.failure }
    /// For poll(2): the descriptor while lines wait, else -1.
    var waitingDescriptor: Int32 { queue.isWaiting ? queue.descriptor : -1 }

    mutating func take(_ record: UnsafeRawBufferPointer) {
        model.apply(RecordDecoder.decode(record), notices: &notices)
        guard !notices.isEmpty else { return }
        for index in notices.indices {
            let notice = notices[index]
            guard kinds.contains(notice.kind) else { continue }
            switch format {
            case .json: json.write(notice, picture: model.picture) { queue.append($0) }
            case .text: text.write(notice, picture: model.picture) { queue.append($0) }
            }
        }
        notices.removeAll()
    }

    mutating func flush() {
        if isLive { queue.flush() } else { queue.finish(withinMilliseconds: .max) }
    }

    /// What happened, in words, from the picture as it stands.
    mutating func writeWords() {
        var words = WordsSummary()
        words.write(picture: model.picture) { queue.append($0) }
    }

    mutating func finish(withinMilliseconds limit: Int32) {
        queue.finish(withinMilliseconds: limit)
    }
}

/// Keeps the raw records, framed, for replay.
struct RecordingSink: ~Copyable {
    private let framer = RecordingFramer()
    private var queue: OutputQueue

    private static let queueBytes = 1 << 20

    init(path: String) throws(WatchError) {
        queue = try openOutput(path: path, capacityBytes: Self.queueBytes)
        framer.opening { queue.append($0) }
    }

    var lost: UInt64 { queue.lost }
    var failure: Int32 { queue.failure }
    var waitingDescriptor: Int32 { queue.isWaiting ? queue.descriptor : -1 }

    mutating func take(_ record: UnsafeRawBufferPointer) {
        framer.frame(record: record) { queue.append($0) }
    }

    mutating func flush() {
        queue.flush()
    }

    mutating func finish(withinMilliseconds limit: Int32) {
        queue.finish(withinMilliseconds: limit)
    }
}

/// Opens what a user named: a file is begun anew, a terminal is used as it is, raw.
private func openOutput(path: String?, capacityBytes: Int) throws(WatchError) -> OutputQueue {
    guard let path, path != "-" else {
        return OutputQueue(
            descriptor: STDOUT_FILENO, capacityBytes: capacityBytes, closesAtEnd: false)
    }
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0o640)
    guard descriptor >= 0 else { throw .output(path: path, errno: errno) }
    _ = rw_make_raw(descriptor)
    return OutputQueue(descriptor: descriptor, capacityBytes: capacityBytes, closesAtEnd: true)
}
