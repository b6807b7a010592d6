// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import ReserveBox
import ReserveKernel
import ReserveModel
import ReserveRecord
import ReserveSinks

/// Where metrics come from: a box, or a recording.
public protocol MetricsFeed: ~Copyable {
    /// Takes in what has come. Never waits.
    mutating func advance()
    /// nil: nobody tells anything.
    var picture: Picture? { get }
    /// What it knows beside the picture.
    func describe(_ facts: inout ReaderFacts)
    /// Why there is nothing, or nothing fresh; nil: all is well.
    var problem: String? { get }
}

/// Records in, picture out.
public struct PictureMaker: BoxSink {
    private var model = Model(policy: Policy())
    private var notices = NoticeQueue(capacity: 512)
    public private(set) var marks = HighMarks()

    public init() {}

    public var picture: Picture { model.picture }

    public mutating func take(_ record: UnsafeRawBufferPointer) {
        let event = RecordDecoder.decode(record)
        model.apply(event, notices: &notices)
        // Who came late counts incidents as the agent does.
        if case .standing(let standing) = event.body { model.follow(standing) }
        if !notices.isEmpty { notices.removeAll() }
    }

    public mutating func mark() { marks.take(model.picture) }

    /// Begins anew, and keeps the worst that was seen.
    public mutating func begin(keepingMarks: Bool) {
        model = Model(policy: Policy())
        if !keepingMarks { marks = HighMarks() }
    }

    public mutating func begin(_ facts: BoxFacts, isSameWriter: Bool) {
        begin(keepingMarks: isSameWriter)
    }

    public mutating func state(_ record: UnsafeRawBufferPointer) { take(record) }
    public mutating func statesEnded() {}
    public mutating func record(_ record: UnsafeRawBufferPointer) { take(record) }
}

/// The box of the agent that runs. Starts none: without one it looks again each second.
public struct BoxFeed: ~Copyable, MetricsFeed {
    private let path: String
    private let forwardStatus: String
    private var follower: BoxFollower
    private var maker = PictureMaker()

    /// A beat that is older than this is late: the loop turns every 0.1 s, and was less than two
    /// seconds late in all runs of the lab while hosts stalled (docs/lab-runs.md).
    public static let freshNanoseconds: UInt64 = 5_000_000_000

    /// - Parameter forwardStatus: the file in which `forward` tells how it goes.
    public init(path: String, forwardStatus: String) {
        self.path = path
        self.forwardStatus = forwardStatus
        follower = BoxFollower(path: path)
    }

    public var picture: Picture? { follower.isFollowing ? maker.picture : nil }

    public mutating func advance() {
        follower.advance(&maker)
        if follower.isFollowing { maker.mark() }
    }

    private var beatAge: UInt64? {
        let beat = follower.beatBootNanoseconds
        guard follower.isFollowing, beat > 0 else { return nil }
        let now = rw_boot_ns()
        return now > beat ? now - beat : 0
    }

    public func describe(_ facts: inout ReaderFacts) {
        facts.isUp = follower.isFollowing
        facts.beatAgeNanoseconds = beatAge
        facts.skippedRecords = follower.skipped
        facts.boxOpens = follower.opens
        facts.marks = maker.marks
        describeForward(&facts)
    }

    private func describeForward(_ facts: inout ReaderFacts) {
        facts.forward = nil
        facts.forwardAgeNanoseconds = nil
        // No file, or one of another boot: nobody forwards here.
        guard
            let text = readFile(forwardStatus, limit: ForwardStatus.longestBytes),
            let status = ForwardStatus(text), status.bootID == BoxFacts.thisBoot()
        else { return }
        let now = rw_boot_ns()
        facts.forward = status
        facts.forwardAgeNanoseconds =
            now > status.writtenBootNanoseconds ? now - status.writtenBootNanoseconds : 0
    }

    public var problem: String? {
        guard follower.isFollowing else { return absence }
        guard let age = beatAge else { return "the agent's loop has not begun to turn" }
        guard age > Self.freshNanoseconds else { return nil }
        return "the agent's loop has not turned for \(age / 1_000_000_000) s: the host is short of "
            + "processor time, or the agent is stuck"
    }

    private var absence: String {
        switch follower.absence {
        case .notLooked: return "no agent was looked for yet"
        case .ended:
            return "the agent that wrote \(path) has ended; start one: reservewatch agent"
        case .failed(let error): return WatchError(error).sentence
        }
    }
}
