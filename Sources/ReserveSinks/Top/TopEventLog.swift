// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// One thing that happened, as a line to read.
struct TopEntry: Sendable {
    /// The number of the record that told it.
    var record: Int
    var bootNanoseconds: UInt64
    var severity: Notice.Severity
    var kind: NoticeKind
    /// Whom it is about; nil: no single task.
    var tid: UInt32?
    /// Whether a person wants it without having asked: not one of hundreds a second.
    var isForPeople: Bool
    /// Whether the key for the next event stops at it.
    var isLandmark: Bool
    var text: [UInt8]
    /// What failed; nil: nothing did.
    var failure: SwapPathFailure?
    /// Records that told the same failure again within a second, in order.
    var repeats: [Int] = []

    /// Not about one of the tasks that wait, and worth a look unasked.
    var isOfAll: Bool {
        switch kind {
        // What was lost stands in the last line, always.
        case .directReclaim, .throttle, .reserve, .reclaimWait, .kswapd, .loss: return false
        default: return severity != .info
        }
    }
}

extension TopEntry {
    /// How often it was told before a record, itself included.
    func times(before record: Int) -> Int {
        var low = 0
        var high = repeats.count
        while low < high {
            let middle = (low + high) / 2
            if repeats[middle] < record { low = middle + 1 } else { high = middle }
        }
        return low + 1
    }
}

/// What happened, oldest first, up to a bound. Going back in time does not shorten it: what
/// lies after the moment on the screen is not shown, and not told anew when it comes again.
struct TopEventLog {
    private(set) var entries: [TopEntry] = []
    /// Entries that had to make room.
    private(set) var dropped: UInt64 = 0
    private var writer = TopText(capacityBytes: TextLines.lineBytes)
    /// Records below this number have been told.
    private var toldUntil = 0

    static let most = 20_000

    mutating func add(_ notices: borrowing NoticeQueue, record: Int, _ picture: borrowing Picture) {
        guard record >= toldUntil else { return }
        toldUntil = record + 1
        for index in notices.indices { add(notices[index], record: record, picture) }
    }

    private mutating func add(_ notice: Notice, record: Int, _ picture: borrowing Picture) {
        switch notice.body {
        case .summary, .stack: return
        default: break
        }
        let failure = SwapPathFailure(notice.body)
        if let failure, fold(failure, notice.bootNanoseconds, record: record) { return }
        if entries.count >= Self.most {
            entries.removeFirst(Self.most / 8)
            dropped &+= UInt64(Self.most / 8)
        }
        let text = writer.compose { $0.noticeText(notice, picture: picture) }
        entries.append(
            TopEntry(
                record: record, bootNanoseconds: notice.bootNanoseconds, severity: notice.severity,
                kind: notice.kind, tid: Self.tid(of: notice.body),
                isForPeople: TextLines.isForPeople(notice),
                isLandmark: Self.isLandmark(notice.body), text: text, failure: failure))
    }

    /// A dead device fails thousands of requests a second: one entry for each second.
    private mutating func fold(
        _ failure: SwapPathFailure, _ bootNanoseconds: UInt64, record: Int
    ) -> Bool {
        for index in entries.indices.suffix(16).reversed() where entries[index].failure == failure {
            guard bootNanoseconds < entries[index].bootNanoseconds &+ 1_000_000_000 else {
                return false
            }
            entries[index].repeats.append(record)
            return true
        }
        return false
    }

    /// How many entries were told up to (not including) a record.
    func count(before record: Int) -> Int {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].record < record { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private static func tid(of body: Notice.Body) -> UInt32? {
        switch body {
        case .reserve(let taker): return taker.task.tid
        case .directReclaim(_, let stay): return stay.task.tid
        case .throttle(_, let stay): return stay.task.tid
        case .oom(let victim): return victim.task.tid
        case .oomFreed(let freed): return freed.task.tid
        case .reclaimWaits(let group): return group.task.tid
        case .slab(let group): return group.task.tid
        case .drops(let group): return group.drop.task.tid == 0 ? nil : group.drop.task.tid
        default: return nil
        }
    }

    /// Turns of an incident; single tasks come and go by the hundred.
    private static func isLandmark(_ body: Notice.Body) -> Bool {
        switch body {
        case .verdict, .alert, .enforcement, .guardAttempt, .node, .oom, .nbdFailed,
            .swapFailed, .swapAppeared, .swapGone:
            return true
        case .zone(let crossing, _): return crossing == .belowMin
        case .nbd(let phase, _): return phase != .appeared
        case .socket(let phase, _): return phase == .gone
        default: return false
        }
    }
}

/// Texts composed one after another, and kept.
final class TopText {
    private var writer: ByteWriter

    init(capacityBytes: Int) {
        writer = ByteWriter(capacityBytes: capacityBytes)
    }

    func compose(_ body: (inout ByteWriter) -> Void) -> [UInt8] {
        writer.clear()
        body(&writer)
        return [UInt8](writer.bytes)
    }
}
