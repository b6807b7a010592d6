// SPDX-License-Identifier: Apache-2.0

import CLinux
import CRecord
import Glibc

/// A reader of a black box: first the state so far, then every record in its order.
///
/// The writer does not know of it. A reader that is slow loses records, and knows exactly how
/// many.
public struct BoxReader: ~Copyable {
    /// Where to begin.
    public enum Start: Sendable {
        /// With what is true now; what was before is told as states only.
        case now
        /// With the oldest record that the ring still has.
        case oldest
    }

    private let memory: UnsafeRawPointer
    private let header: UnsafePointer<rw_box_header>
    private let mappedBytes: Int
    private let ringOffset: Int
    private let ringBytes: Int
    private let descriptor: Int32
    private var position: UInt64 = 0
    private var nextSequence: UInt64 = 1
    /// A frame is copied here before it is believed.
    private let copy: UnsafeMutableRawBufferPointer
    /// Records that were overwritten before this reader came to them.
    public private(set) var lost: UInt64 = 0
    public let facts: BoxFacts

    /// A map that was found to hold a box: see BoxFile.
    init(
        memory: UnsafeRawPointer, mappedBytes: Int, descriptor: Int32, start: Start
    ) {
        self.memory = memory
        self.mappedBytes = mappedBytes
        self.descriptor = descriptor
        header = memory.assumingMemoryBound(to: rw_box_header.self)
        ringOffset = Int(header.pointee.ring_offset)
        ringBytes = Int(header.pointee.ring_bytes)
        facts = BoxFacts(header.pointee)
        copy = .allocate(byteCount: 64 * 1024, alignment: 16)
        switch start {
        case .now: (position, nextSequence) = end
        case .oldest:
            // A writer that overtakes meanwhile would leave the one without the other.
            repeat {
                position = load(\.tail)
                var probe = position
                nextSequence =
                    frame(at: &probe, end: load(\.head))?.sequence ?? load(\.next_sequence)
            } while load(\.tail) != position
        }
        begunAt = nextSequence
    }

    /// Where the ring ends, and the sequence of the record that will come there.
    ///
    /// The head before the sequence that goes with it could be older than it: then one record
    /// is told twice as a state. The other way round one would be missed.
    private var end: (position: UInt64, sequence: UInt64) {
        var head = load(\.head)
        while true {
            let sequence = load(\.next_sequence)
            let again = load(\.head)
            if again == head { return (head, sequence) }
            head = again
        }
    }

    /// Sequence of the first record that the ring is to give: states before it are told.
    private var begunAt: UInt64 = 1

    deinit {
        copy.deallocate()
        munmap(UnsafeMutableRawPointer(mutating: memory), mappedBytes)
        if descriptor >= 0 { close(descriptor) }
    }

    private func load(_ field: KeyPath<rw_box_header, UInt64>) -> UInt64 {
        guard let offset = MemoryLayout<rw_box_header>.offset(of: field) else { return 0 }
        return rw_box_load((memory + offset).assumingMemoryBound(to: UInt64.self))
    }

    // MARK: what the box says of its writer

    /// When the writer's loop last turned; 0: it has not begun.
    public var beatBootNanoseconds: UInt64 { load(\.beat_boot_ns) }
    /// When the writer ended by itself; nil: it did not.
    public var endedBootNanoseconds: UInt64? {
        let ended = load(\.ended_boot_ns)
        return ended == 0 ? nil : ended
    }
    /// Records of states that have no slot: a reader that comes later does not know them.
    public var unkept: UInt64 { load(\.unkept) }
    public var totalBytes: Int { mappedBytes }

    /// Whether the writer still runs: its process is there, and is the same.
    public var isWriterAlive: Bool {
        endedBootNanoseconds == nil
            && BoxFacts.startTicks(of: facts.writerPID) == facts.writerStartTicks
    }

    // MARK: states

    /// Hands the last record of each state to `body`, in the order in which they came; those
    /// that the ring will give again are left out. To be called once, before ``read(limit:_:)``.
    public func states(_ body: (UnsafeRawBufferPointer) -> Void) {
        var found: [(sequence: UInt64, bytes: [UInt8])] = []
        let small = (Int(header.pointee.small_offset), Int(header.pointee.small_slots))
        let large = (Int(header.pointee.large_offset), Int(header.pointee.large_slots))
        for index in 0..<small.1 {
            slot(at: small.0 + index * Int(RW_BOX_SMALL_BYTES), Int(RW_BOX_SMALL_BYTES), &found)
        }
        for index in 0..<large.1 {
            slot(at: large.0 + index * Int(RW_BOX_LARGE_BYTES), Int(RW_BOX_LARGE_BYTES), &found)
        }
        found.sort { $0.sequence < $1.sequence }
        for state in found { state.bytes.withUnsafeBytes(body) }
    }

    private func slot(
        at offset: Int, _ size: Int, _ found: inout [(sequence: UInt64, bytes: [UInt8])]
    ) {
        let head = (memory + offset).assumingMemoryBound(to: rw_box_slot.self)
        // A writer that died in the midst of one leaves it odd for ever.
        for _ in 0..<1000 {
            let before = rw_box_load(&UnsafeMutablePointer(mutating: head).pointee.version)
            if before == 0 { return }
            if before & 1 != 0 { continue }
            let copied = head.pointee
            let count = Int(copied.size)
            guard count <= size - MemoryLayout<rw_box_slot>.size else { return }
            let bytes = [UInt8](
                UnsafeRawBufferPointer(
                    start: memory + offset + MemoryLayout<rw_box_slot>.size, count: count))
            rw_box_fence()
            let after = rw_box_load(&UnsafeMutablePointer(mutating: head).pointee.version)
            guard after == before else { continue }
            if copied.key != 0, copied.sequence < begunAt, count > 0 {
                found.append((copied.sequence, bytes))
            }
            return
        }
    }

    // MARK: ring

    /// Hands records to `body`, oldest first, at most `limit`; never waits. Where some were
    /// lost before the one that comes next, `skipped` is told how many.
    ///
    /// - Returns: how many were handed over.
    @discardableResult
    public mutating func read(
        limit: Int = .max, skipped: (UInt64) -> Void = { _ in },
        _ body: (UnsafeRawBufferPointer) -> Void
    ) -> Int {
        var count = 0
        while count < limit {
            let end = load(\.head)
            guard position < end else { break }
            var next = position
            guard let record = frame(at: &next, end: end) else {
                if next == position { catchUp(skipped) }
                position = max(position, next)
                continue
            }
            position = next
            lose(until: record.sequence, skipped)
            nextSequence = record.sequence &+ 1
            body(record.bytes)
            count += 1
        }
        return count
    }

    /// Goes on at the oldest record that is left.
    private mutating func catchUp(_ skipped: (UInt64) -> Void) {
        let tail = load(\.tail)
        guard tail <= position else {
            position = tail
            return
        }
        // Not overtaken and yet no frame: damaged memory. What follows of it cannot be found,
        // and of a dead writer nothing will come that would tell how much that was.
        let (head, sequence) = end
        position = head
        lose(until: sequence, skipped)
        nextSequence = max(nextSequence, sequence)
    }

    /// Counts and tells the records before `sequence` that did not come.
    private mutating func lose(until sequence: UInt64, _ skipped: (UInt64) -> Void) {
        guard sequence > nextSequence else { return }
        lost &+= sequence &- nextSequence
        skipped(sequence &- nextSequence)
    }

    /// A sound copy of the frame at `position`, which moves behind it; a skip moves it only.
    /// nil and `position` where it was: overtaken.
    private func frame(
        at position: inout UInt64, end: UInt64
    ) -> (sequence: UInt64, bytes: UnsafeRawBufferPointer)? {
        while position < end {
            let offset = Int(position & UInt64(ringBytes - 1))
            let room = ringBytes - offset
            let frameBytes = MemoryLayout<rw_box_frame>.size
            guard room >= frameBytes else {
                position &+= UInt64(room)
                continue
            }
            let head = (memory + ringOffset + offset).loadUnaligned(as: rw_box_frame.self)
            if head.size == RW_BOX_SKIP {
                rw_box_fence()
                guard load(\.tail) <= position else { return nil }
                position &+= UInt64(room)
                continue
            }
            let size = Int(head.size)
            guard size >= MemoryLayout<rw_header>.size, size <= copy.count,
                frameBytes + size <= room, let to = copy.baseAddress
            else { return nil }
            memcpy(to, memory + ringOffset + offset + frameBytes, size)
            rw_box_fence()
            guard load(\.tail) <= position else { return nil }
            position &+= UInt64((frameBytes + size + 7) & ~7)
            return (head.sequence, UnsafeRawBufferPointer(rebasing: copy[..<size]))
        }
        return nil
    }
}
