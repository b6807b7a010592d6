// SPDX-License-Identifier: Apache-2.0

import CLinux

/// What comes out of the boxes that a reader follows, one after the other.
public protocol BoxSink: ~Copyable {
    /// A box was opened: what was known is over, its states come next, then its ring.
    ///
    /// - Parameter isSameWriter: the writer is that of the box before; records of it were lost,
    ///   or it is opened for the first time after the reader's own start.
    mutating func begin(_ facts: BoxFacts, isSameWriter: Bool)
    /// A state from before the first record that the ring still has.
    mutating func state(_ record: UnsafeRawBufferPointer)
    mutating func statesEnded()
    mutating func record(_ record: UnsafeRawBufferPointer)
}

/// Follows whoever writes the box at a path, for readers that start no agent: waits where there
/// is none, goes on with the next when one ended.
///
/// Begins with the states that the box keeps, and all that its ring still tells. A reader that
/// froze with the host finds its place overwritten: what it then knows may be stale, so it begins
/// anew in the same way.
public struct BoxFollower: ~Copyable {
    /// Why there is nothing to read.
    public enum Absence: Equatable, Sendable {
        case notLooked
        case ended
        case failed(BoxError)
    }

    /// Who wrote which box, for good: a pid alone may be used again.
    public struct Writer: Equatable, Sendable {
        public var pid: Int32
        public var startTicks: UInt64
        /// When the box was made.
        public var createdBootNanoseconds: UInt64

        public init(pid: Int32, startTicks: UInt64, createdBootNanoseconds: UInt64) {
            self.pid = pid
            self.startTicks = startTicks
            self.createdBootNanoseconds = createdBootNanoseconds
        }

        public init(_ facts: BoxFacts) {
            self.init(
                pid: facts.writerPID, startTicks: facts.writerStartTicks,
                createdBootNanoseconds: facts.createdBootNanoseconds)
        }
    }

    private let path: String
    private let readsEnded: Bool
    private var reader: BoxReader?
    private var writer: Writer?
    /// Of a writer that had ended when its box was opened: read, and not to be read again.
    private var finished: Writer?
    private var nextLook: UInt64 = 0

    public private(set) var absence = Absence.notLooked
    /// How often a box was opened: the first, after each agent's end, after each loss.
    public private(set) var opens: UInt64 = 0
    /// Records that were overwritten before they were read.
    public private(set) var skipped: UInt64 = 0
    /// When the writer's loop last turned; 0: it has not, or there is none.
    public private(set) var beatBootNanoseconds: UInt64 = 0

    private static let lookEachNanoseconds: UInt64 = 1_000_000_000
    private static let batch = 4096

    /// - Parameters:
    ///   - readsEnded: reads also what a writer left that has ended.
    ///   - writer: that of the box that was read last, by an earlier run of the reader. What is
    ///     left of it beside the path (`path.old`) is read before a newer one.
    public init(path: String, readsEnded: Bool = false, after writer: Writer? = nil) {
        self.path = path
        self.readsEnded = readsEnded
        self.writer = writer
    }

    /// Somebody writes the box that is read.
    public var isFollowing: Bool { reader != nil }

    /// Hands over what has come. Never waits.
    public mutating func advance<Sink: BoxSink & ~Copyable>(_ sink: inout Sink) {
        if reader == nil { open(&sink) }
        guard reader != nil else { return }
        takeAll(&sink)
        if let lost = reader?.lost, lost > 0 {
            skipped &+= lost
            reader = nil
            nextLook = 0
            open(&sink)
            takeAll(&sink)
        }
        look(&sink)
        beatBootNanoseconds = reader?.beatBootNanoseconds ?? 0
    }

    private mutating func takeAll<Sink: BoxSink & ~Copyable>(_ sink: inout Sink) {
        guard var reader = reader.take() else { return }
        while reader.read(limit: Self.batch, { sink.record($0) }) == Self.batch {}
        self.reader = consume reader
    }

    private mutating func open<Sink: BoxSink & ~Copyable>(_ sink: inout Sink) {
        let now = rw_boot_ns()
        guard now >= nextLook else { return }
        nextLook = now &+ Self.lookEachNanoseconds
        do throws(BoxError) {
            let fresh = try BoxFile.open(path: path, start: .oldest)
            let next = Writer(fresh.facts)
            let isAlive = fresh.isWriterAlive
            guard isAlive || (readsEnded && finished != next) else {
                absence = .ended
                return
            }
            if readsEnded, let writer, writer != next { readRest(of: writer, &sink) }
            begin(fresh, next, &sink)
            guard !isAlive else {
                reader = consume fresh
                return
            }
            reader = consume fresh
            takeAll(&sink)
            reader = nil
            finished = next
            absence = .ended
        } catch {
            absence = .failed(error)
        }
    }

    private mutating func begin<Sink: BoxSink & ~Copyable>(
        _ box: borrowing BoxReader, _ next: Writer, _ sink: inout Sink
    ) {
        sink.begin(box.facts, isSameWriter: writer == next)
        writer = next
        box.states { sink.state($0) }
        sink.statesEnded()
        opens &+= 1
    }

    /// What is left of the box before this one, where it is the one that was read last.
    private mutating func readRest<Sink: BoxSink & ~Copyable>(
        of last: Writer, _ sink: inout Sink
    ) {
        guard finished != last, var box = try? BoxFile.open(path: "\(path).old", start: .oldest),
            Writer(box.facts) == last
        else { return }
        begin(box, last, &sink)
        while box.read(limit: Self.batch, { sink.record($0) }) == Self.batch {}
    }

    /// Each second: is the writer still there?
    private mutating func look<Sink: BoxSink & ~Copyable>(_ sink: inout Sink) {
        let now = rw_boot_ns()
        guard now >= nextLook else { return }
        nextLook = now &+ Self.lookEachNanoseconds
        guard reader?.isWriterAlive == false else { return }
        // It may have told something between our last turn and its end.
        takeAll(&sink)
        reader = nil
        finished = writer
        absence = .ended
    }
}
