// SPDX-License-Identifier: Apache-2.0

import CLinux
import CRecord
import Glibc

/// How large a box is.
public struct BoxSize: Sendable, Equatable {
    /// Memory for the history: a power of two from 64 KiB to 1 GiB.
    public var ringBytes: Int
    /// Places for the last record of each state.
    public var smallSlots = 2048
    public var largeSlots = 384

    public init(ringBytes: Int) {
        self.ringBytes = ringBytes
    }

    public static func isValid(ringBytes: Int) -> Bool {
        ringBytes >= 64 << 10 && ringBytes <= 1 << 30 && ringBytes & (ringBytes - 1) == 0
    }

    var smallOffset: Int { Int(RW_BOX_HEADER_BYTES) }
    var largeOffset: Int { smallOffset + smallSlots * Int(RW_BOX_SMALL_BYTES) }
    var ringOffset: Int { (largeOffset + largeSlots * Int(RW_BOX_LARGE_BYTES) + 4095) & ~4095 }
    /// Bytes of the whole segment.
    public var totalBytes: Int { ringOffset + ringBytes }
}

/// The one writer of a black box. After ``init`` it allocates nothing and waits for nobody.
///
/// The memory is the segment's and stays when the writer dies.
public struct BoxWriter: ~Copyable {
    private let memory: UnsafeMutableRawPointer
    private let header: UnsafeMutablePointer<rw_box_header>
    private let size: BoxSize
    /// What lies in which slot, known to the writer alone.
    private var small: SlotIndex
    private var large: SlotIndex
    public let descriptor: Int32

    /// Records that are longer do not occur: the longest state is the totals'.
    private static let longestRecordBytes = 16 * 1024

    /// Lays a box out in a segment of `size.totalBytes` that is mapped at `memory`.
    init(
        memory: UnsafeMutableRawPointer, size: BoxSize, descriptor: Int32, facts: BoxFacts
    ) {
        self.memory = memory
        self.size = size
        self.descriptor = descriptor
        // All of it touched now: no page of it is first asked for in a stall.
        memset(memory, 0, size.totalBytes)
        header = memory.bindMemory(to: rw_box_header.self, capacity: 1)
        small = SlotIndex(first: 0, count: size.smallSlots)
        large = SlotIndex(first: size.smallSlots, count: size.largeSlots)
        facts.fill(&header.pointee, size: size)
        header.pointee.next_sequence = 1
        // The magic last: until then it is no box.
        rw_box_fence()
        BoxFacts.seal(header)
    }

    deinit {
        munmap(memory, size.totalBytes)
        if descriptor >= 0 { close(descriptor) }
    }

    public var bytes: Int { size.totalBytes }

    /// Takes one record in: into the ring, and into its slot where it is the last word on a
    /// state. No allocation, no system call.
    @_noAllocation
    public mutating func publish(_ record: UnsafeRawBufferPointer) {
        guard record.count <= Self.longestRecordBytes, !record.isEmpty else { return }
        let sequence = header.pointee.next_sequence
        append(record, sequence)
        switch BoxKey.effect(of: record) {
        case .keep(let key):
            // A new reading of the swap table begins with its first line.
            if BoxKey.isSwapLine(key), isSwapTableWhole { dropSwapLines() }
            keep(record, key, sequence)
            isSwapTableWhole = !BoxKey.isSwapLine(key) && isSwapTableWhole || isTableEnd(record)
        case .drop(let key): drop(key)
        case .none: break
        }
    }

    private var isSwapTableWhole = true

    @_noAllocation
    private func isTableEnd(_ record: UnsafeRawBufferPointer) -> Bool {
        let header = record.loadUnaligned(as: rw_header.self)
        return UInt32(header.stem) == RW_STEM_SWAP.rawValue
            && UInt32(header.kind) == RW_SWAP_TABLE_READ.rawValue
    }

    /// Tells that the loop turned.
    @_noAllocation
    public func beat(_ count: UInt64, at bootNanoseconds: UInt64) {
        rw_box_store(&header.pointee.beat_boot_ns, bootNanoseconds)
        rw_box_store(&header.pointee.beats, count)
    }

    /// Tells that the writer ends by itself.
    @_noAllocation
    public func end(at bootNanoseconds: UInt64) {
        rw_box_store(&header.pointee.ended_boot_ns, bootNanoseconds)
    }

    // MARK: ring

    @_noAllocation
    private func append(_ record: UnsafeRawBufferPointer, _ sequence: UInt64) {
        let frameBytes = MemoryLayout<rw_box_frame>.size
        let needed = (frameBytes + record.count + 7) & ~7
        var position = header.pointee.head
        let room = size.ringBytes - Int(position & UInt64(size.ringBytes - 1))
        if room < needed {
            makeRoom(until: position &+ UInt64(room))
            if room >= frameBytes {
                frame(at: position).pointee = rw_box_frame(
                    sequence: 0, size: RW_BOX_SKIP, reserved: 0)
            }
            position &+= UInt64(room)
            rw_box_store(&header.pointee.head, position)
        }
        makeRoom(until: position &+ UInt64(needed))
        let frame = frame(at: position)
        frame.pointee = rw_box_frame(
            sequence: sequence, size: UInt32(record.count), reserved: 0)
        if let from = record.baseAddress {
            rw_box_copy(UnsafeMutableRawPointer(frame) + frameBytes, from, UInt(record.count))
        }
        rw_box_store(&header.pointee.next_sequence, sequence &+ 1)
        rw_box_store(&header.pointee.head, position &+ UInt64(needed))
    }

    @_noAllocation
    private func frame(at position: UInt64) -> UnsafeMutablePointer<rw_box_frame> {
        (memory + size.ringOffset + Int(position & UInt64(size.ringBytes - 1)))
            .assumingMemoryBound(to: rw_box_frame.self)
    }

    /// Moves the tail past every frame that bytes up to `end` will overwrite.
    @_noAllocation
    private func makeRoom(until end: UInt64) {
        var tail = header.pointee.tail
        guard end &- tail > UInt64(size.ringBytes) else { return }
        while end &- tail > UInt64(size.ringBytes) {
            tail = Self.next(after: tail, in: memory + size.ringOffset, ringBytes: size.ringBytes)
        }
        rw_box_store(&header.pointee.tail, tail)
        rw_box_fence()
    }

    /// The position behind the frame at `position`.
    @_noAllocation
    static func next(
        after position: UInt64, in ring: UnsafeRawPointer, ringBytes: Int
    ) -> UInt64 {
        let frameBytes = MemoryLayout<rw_box_frame>.size
        let offset = Int(position & UInt64(ringBytes - 1))
        let room = ringBytes - offset
        guard room >= frameBytes else { return position &+ UInt64(room) }
        let frame = (ring + offset).loadUnaligned(as: rw_box_frame.self)
        if frame.size == RW_BOX_SKIP { return position &+ UInt64(room) }
        return position &+ UInt64((frameBytes + Int(frame.size) + 7) & ~7)
    }

    // MARK: slots

    @_noAllocation
    private mutating func keep(
        _ record: UnsafeRawBufferPointer, _ key: UInt64, _ sequence: UInt64
    ) {
        let head = MemoryLayout<rw_box_slot>.size
        let (taken, isCrowded) =
            if record.count <= Int(RW_BOX_SMALL_BYTES) - head {
                Self.place(for: key, in: &small)
            } else if record.count <= Int(RW_BOX_LARGE_BYTES) - head {
                Self.place(for: key, in: &large)
            } else {
                (slot: Int?.none, isCrowded: true)
            }
        if isCrowded { header.pointee.unkept &+= 1 }
        guard let taken else { return }
        write(slot(taken), key, record, sequence)
    }

    /// Where there is no room, the figures of the task that changed longest ago make some: of
    /// tasks there are ever more, of all else as many as the host has.
    @_noAllocation
    private static func place(
        for key: UInt64, in index: inout SlotIndex
    ) -> (slot: Int?, isCrowded: Bool) {
        let mayGo = BoxKey.isOfPastTask(key)
        if let slot = index.take(key, mayGo: mayGo) { return (slot, false) }
        return (index.releaseOldest() ? index.take(key, mayGo: mayGo) : nil, true)
    }

    @_noAllocation
    private mutating func drop(_ key: UInt64) {
        guard let index = small.release(key) ?? large.release(key) else { return }
        write(slot(index), 0, UnsafeRawBufferPointer(start: nil, count: 0), 0)
    }

    /// There are few; their keys are collected before any is dropped.
    @_noAllocation
    private mutating func dropSwapLines() {
        var lines = InlineArray<32, UInt64>(repeating: 0)
        var count = 0
        small.forEach { key in
            guard BoxKey.isSwapLine(key), count < 32 else { return }
            lines[count] = key
            count += 1
        }
        for index in 0..<count { drop(lines[index]) }
    }

    @_noAllocation
    private func slot(_ index: Int) -> UnsafeMutableRawPointer {
        index < size.smallSlots
            ? memory + size.smallOffset + index * Int(RW_BOX_SMALL_BYTES)
            : memory + size.largeOffset + (index - size.smallSlots) * Int(RW_BOX_LARGE_BYTES)
    }

    @_noAllocation
    private func write(
        _ slot: UnsafeMutableRawPointer, _ key: UInt64, _ record: UnsafeRawBufferPointer,
        _ sequence: UInt64
    ) {
        let head = slot.assumingMemoryBound(to: rw_box_slot.self)
        let version = head.pointee.version
        rw_box_store(&head.pointee.version, version &+ 1)
        rw_box_fence()
        head.pointee.key = key
        head.pointee.sequence = sequence
        head.pointee.size = UInt32(record.count)
        if let from = record.baseAddress {
            rw_box_copy(slot + MemoryLayout<rw_box_slot>.size, from, UInt(record.count))
        }
        rw_box_store(&head.pointee.version, version &+ 2)
    }
}
