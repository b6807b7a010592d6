// SPDX-License-Identifier: Apache-2.0

import Glibc
import ReserveKernel
import ReserveModel
import ReserveRecord
import ReserveSinks
import ReserveStore

/// Records of a recording in, lines out: the decoder, model and sinks of the live stream,
/// with an output that is waited for, so that nothing is lost.
struct ReplayStream: ~Copyable {
    private var model: Model
    private var notices = NoticeQueue(capacity: 512)
    private var json = JSONLines()
    private var text = TextLines()
    private let format: ReplayFormat
    private let kinds: NoticeKinds
    private let policy: Policy
    private var queue: OutputQueue
    /// Lines told, those without which the others could not be read aside.
    private(set) var told = 0

    private static let queueBytes = 1 << 20

    init(
        path: String?, format: ReplayFormat, kinds: NoticeKinds, policy: Policy
    ) throws(WatchError) {
        // A reader that went away is told by write(2), and is no reason to die.
        signal(SIGPIPE, SIG_IGN)
        model = Model(policy: policy)
        self.format = format
        self.kinds = kinds
        self.policy = policy
        guard let path, path != "-" else {
            queue = OutputQueue(
                descriptor: STDOUT_FILENO, capacityBytes: Self.queueBytes, closesAtEnd: false)
            return
        }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw .output(path: path, errno: errno) }
        queue = OutputQueue(
            descriptor: descriptor, capacityBytes: Self.queueBytes, closesAtEnd: true)
    }

    /// The errno that ended the output, or 0.
    var failure: Int32 { queue.failure }

    /// Takes a record in. Outside of the window, and for state that a segment repeats, only
    /// that is told without which later lines could not be read: who watched, and the stacks
    /// that lines name by number.
    mutating func take(_ entry: RecordSource.Entry, isTold: Bool) {
        // Another agent: its totals begin anew, and nothing of the former is true any more.
        if entry.isHost, model.picture.host != nil { model = Model(policy: policy) }
        model.apply(RecordDecoder.decode(entry.bytes), notices: &notices)
        guard !notices.isEmpty else { return }
        for index in notices.indices {
            let notice = notices[index]
            guard kinds.contains(notice.kind) else { continue }
            guard isTold || notice.kind == .start || notice.kind == .stack else { continue }
            if isTold { told += 1 }
            switch format {
            case .json: json.write(notice, picture: model.picture) { queue.append($0) }
            case .text: text.write(notice, picture: model.picture) { queue.append($0) }
            case .words: break
            }
        }
        notices.removeAll()
        flush()
    }

    /// What happened, in words, from the picture as it stands.
    mutating func writeWords() {
        var words = WordsSummary()
        words.write(picture: model.picture) { queue.append($0) }
        flush()
    }

    mutating func flush() { queue.finish(withinMilliseconds: .max) }
}
