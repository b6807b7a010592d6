// SPDX-License-Identifier: Apache-2.0

import ReserveModel
import ReserveSinks

/// A stretch of time that a task spent in one place.
struct ReportSpan: Sendable {
    enum Kind: Int, Sendable, CaseIterable {
        case directReclaim, throttle, reclaimWait, kswapd
    }

    var kind: Kind
    var comm: FixedName
    var tid: UInt32
    var began: UInt64
    var durationNanoseconds: UInt64
    /// It had not ended when the recording did.
    var isOpen = false
}

/// The stays of all tasks, in bounded room: when it is used up the shorter half goes.
struct ReportSpans: Sendable {
    static let capacity = 12_000

    private(set) var spans: [ReportSpan] = []
    private(set) var leftOut = 0
    /// The longest that was left out.
    private(set) var longestLeftOut: UInt64 = 0

    mutating func add(_ span: ReportSpan) {
        if spans.count >= Self.capacity {
            spans.sort { $0.durationNanoseconds > $1.durationNanoseconds }
            longestLeftOut = max(longestLeftOut, spans[Self.capacity / 2].durationNanoseconds)
            leftOut += spans.count - Self.capacity / 2
            spans.removeSubrange((Self.capacity / 2)...)
        }
        spans.append(span)
    }
}

/// What the records say of one task's waiting, since the start.
struct ReportTask: Sendable {
    struct Key: Hashable, Sendable {
        var comm: FixedName
        var tid: UInt32
    }

    struct Stays: Sendable {
        var count: UInt64 = 0
        var totalNanoseconds: UInt64 = 0
        var longestNanoseconds: UInt64 = 0

        mutating func add(_ durationNanoseconds: UInt64) {
            count &+= 1
            totalNanoseconds &+= durationNanoseconds
            longestNanoseconds = max(longestNanoseconds, durationNanoseconds)
        }

        /// How many, in all, the longest; "?" where nobody looked.
        func texts(isKnown: Bool) -> [String] {
            guard isKnown || count > 0 else { return ["?", "?", "?"] }
            return ["\(count)", durationText(totalNanoseconds), durationText(longestNanoseconds)]
        }
    }

    var cgroupID: UInt64
    var reclaim = Stays()
    var throttle = Stays()
    var waits = Stays()
    var stillInside = false

    var totalNanoseconds: UInt64 {
        reclaim.totalNanoseconds &+ throttle.totalNanoseconds &+ waits.totalNanoseconds
    }
}

/// What one taker took, and when.
struct ReportTaker: Sendable {
    struct Key: Hashable, Sendable {
        var comm: FixedName
        var context: AllocationContext
        var entitlement: Entitlement
    }

    var allocations: UInt64 = 0
    var pages: UInt64 = 0
    var failed: UInt64 = 0
    var belowMinPages: UInt64 = 0
    var first: UInt64
    var last: UInt64
    var driver: String?
    var series: ReportSeries
}

/// A stretch in which the host was in some state.
struct ReportPeriod: Sendable {
    enum Kind: String, Sendable {
        /// The model's verdict on the host; the subject is the state's word.
        case verdict = "host"
        case belowLow = "below low"
        case belowMin = "below min"
        case throttleLine = "throttle line"
        case stalled = "requests stuck"
    }

    var kind: Kind
    var subject: String
    var from: UInt64
    /// nil: it lasted when the recording ended.
    var to: UInt64?
    /// Ids of the charts that it is drawn behind; "nbd-" stands for several.
    var charts: [String] = []
}

/// An alert as it was told.
struct ReportAlert: Sendable {
    var at: UInt64
    var alert: Alert
    /// The sentence that went to people.
    var text: String
}

/// One line of the list of events.
struct ReportMark: Sendable {
    var at: UInt64
    var severity: Notice.Severity
    var kind: NoticeKind
    var text: String
    /// What failed; nil: nothing did.
    var failure: SwapPathFailure?
    /// How many of the same came within a second: failures come by the thousand.
    var times = 1

    var sentence: String { times > 1 ? "\(text); \(times) such within a second" : text }
}
