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
        case .now:
            // The head before the sequence that goes with it could be older than it: then one
            // record is told twice as a state. The other way round one would be missed.
            position = load(\.head)
            nextSequence = load(\.next_sequence)
            while true {
                let again = load(\.head)
                if again == position { break }
                position = again
                nextSequence = load(\.next_sequence)
            }
        case .oldest:
            position = load(\.tail)
            nextSequence = firstSequence() ?? load(\.next_sequence)
        }
        begunAt = nextSequence
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

    /// Turns of the writer's loop; 0: it has not begun.
    public var beats: UInt64 { load(\.beats) }
    public var beatBootNanoseconds: UInt64 { load(\.beat_boot_ns) }
    /// When the writer ended by itself; nil: it did not.
    public var endedBootNanoseconds: UInt64? {
        let ended = load(\.ended_boot_ns)
        return ended == 0 ? nil : ended
    }
    /// States that found no slot: a reader that comes later does not know them.
    public var unkept: UInt64 { load(\.unkept) }
    /// Bytes that lie between this reader and the writer.
    public var behindBytes: UInt64 { load(\.head) &- position }
    public var totalBytes: Int { mappedBytes }
    /// Of the oldest record that the ring has; nil: it is empty.
    public var oldestBootNanoseconds: UInt64? {
        var probe = load(\.tail)
        let record = frame(at: &probe, end: load(\.head))
        guard let record, record.bytes.count >= 16 else { return nil }
        return record.bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    }

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
                if next == position { catchUp() }
                position = max(position, next)
                continue
            }
            position = next
            if record.sequence > nextSequence {
                lost &+= record.sequence &- nextSequence
                skipped(record.sequence &- nextSequence)
            }
            nextSequence = record.sequence &+ 1
            body(record.bytes)
            count += 1
        }
        return count
    }

    /// Goes on at the oldest record that is left.
    private mutating func catchUp() {
        let tail = load(\.tail)
        // Not overtaken and yet no frame: damaged memory. Go on with what comes from now on.
        position = tail > position ? tail : load(\.head)
    }

    private func firstSequence() -> UInt64? {
        var probe = load(\.tail)
        return frame(at: &probe, end: load(\.head))?.sequence
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
