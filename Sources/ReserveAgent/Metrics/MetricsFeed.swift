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
public struct PictureMaker {
    private var model = Model(policy: Policy())
    private var notices = NoticeQueue(capacity: 512)
    public private(set) var marks = HighMarks()

    public init() {}

    public var picture: Picture { model.picture }

    public mutating func take(_ record: UnsafeRawBufferPointer) {
        model.apply(RecordDecoder.decode(record), notices: &notices)
        if !notices.isEmpty { notices.removeAll() }
    }

    public mutating func mark() { marks.take(model.picture) }

    /// Begins anew, and keeps the worst that was seen.
    public mutating func begin(keepingMarks: Bool) {
        model = Model(policy: Policy())
        if !keepingMarks { marks = HighMarks() }
    }
}

/// The box of the agent that runs. Starts none: without one it looks again each second.
///
/// Begins with the states that the box keeps, and all that its ring still tells. A reader that
/// froze with the host finds its place overwritten: what it then has in its picture may be
/// stale, so it begins anew in the same way. Totals and lowest marks are as the agent has them.
public struct BoxFeed: ~Copyable, MetricsFeed {
    private let path: String
    private var reader: BoxReader?
    private var maker = PictureMaker()
    private var writer: (pid: Int32, ticks: UInt64)?
    private var nextLook: UInt64 = 0
    private var opens: UInt64 = 0
    private var skipped: UInt64 = 0
    /// When the agent's loop last turned; 0: it has not.
    private var beat: UInt64 = 0
    private var absence = "no agent was looked for yet"

    /// A beat that is older than this is late: the loop turns every 0.1 s, and was less than two
    /// seconds late in all runs of the lab while hosts stalled (docs/lab-runs.md).
    public static let freshNanoseconds: UInt64 = 5_000_000_000
    private static let lookEachNanoseconds: UInt64 = 1_000_000_000
    private static let batch = 4096

    public init(path: String) {
        self.path = path
    }

    public var picture: Picture? { reader == nil ? nil : maker.picture }

    public mutating func advance() {
        if reader == nil { open() }
        guard reader != nil else { return }
        takeAll()
        if let lost = reader?.lost, lost > 0 {
            skipped &+= lost
            reader = nil
            nextLook = 0
            open()
            takeAll()
        }
        maker.mark()
        look()
        beat = reader?.beatBootNanoseconds ?? 0
    }

    private mutating func takeAll() {
        guard var reader = reader.take() else { return }
        while reader.read(limit: Self.batch, { maker.take($0) }) == Self.batch {}
        self.reader = consume reader
    }

    private mutating func open() {
        let now = rw_boot_ns()
        guard now >= nextLook else { return }
        nextLook = now &+ Self.lookEachNanoseconds
        do throws(BoxError) {
            let fresh = try BoxFile.open(path: path, start: .oldest)
            guard fresh.isWriterAlive else {
                absence = "the agent that wrote \(path) has ended; start one: reservewatch agent"
                return
            }
            let facts = fresh.facts
            let isSame =
                writer.map { $0.pid == facts.writerPID && $0.ticks == facts.writerStartTicks }
                ?? false
            writer = (facts.writerPID, facts.writerStartTicks)
            maker.begin(keepingMarks: isSame)
            fresh.states { maker.take($0) }
            opens &+= 1
            reader = consume fresh
        } catch {
            absence = WatchError(error).sentence
        }
    }

    /// Each second: is the writer still there?
    private mutating func look() {
        let now = rw_boot_ns()
        guard now >= nextLook else { return }
        nextLook = now &+ Self.lookEachNanoseconds
        if reader?.isWriterAlive == false {
            reader = nil
            absence = "the agent that wrote \(path) has ended; start one: reservewatch agent"
        }
    }

    private var beatAge: UInt64? {
        guard reader != nil, beat > 0 else { return nil }
        let now = rw_boot_ns()
        return now > beat ? now - beat : 0
    }

    public func describe(_ facts: inout ReaderFacts) {
        facts.isUp = reader != nil
        facts.beatAgeNanoseconds = beatAge
        facts.skippedRecords = skipped
        facts.boxOpens = opens
        facts.marks = maker.marks
    }

    public var problem: String? {
        guard reader != nil else { return absence }
        guard let age = beatAge else { return "the agent's loop has not begun to turn" }
        guard age > Self.freshNanoseconds else { return nil }
        return "the agent's loop has not turned for \(age / 1_000_000_000) s: the host is short of "
            + "processor time, or the agent is stuck"
    }
}
