// SPDX-License-Identifier: Apache-2.0

import CBPF
import CLinux
import Glibc

/// What the watch tells of itself.
extension UserRecords {
    /// Figures of the watch that the kernel side does not keep.
    public struct Own: Sendable {
        public var lockedKiB: UInt64 = 0
        public var residentKiB: UInt64 = 0
        public var threads: UInt32 = 0
        public var boxBytes: UInt64 = 0
        public var memory = LiveKernel.Memory()
        /// The most that a turn of the loop found in the kernel's ring.
        public var ringMostWaitingBytes: UInt64 = 0
        /// Faults that the loop's thread had before its loop began.
        public var majorFaultsBefore: UInt64 = 0
        public var minorFaultsBefore: UInt64 = 0

        public init() {}

        /// As /proc says now. Allocates: for the start, and by the loop's thread.
        public mutating func note(boxBytes: Int) {
            self.boxBytes = UInt64(boxBytes)
            let status = readFile("/proc/self/status", limit: 16 * 1024) ?? ""
            for line in status.split(separator: "\n") {
                let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
                guard words.count >= 2, let value = UInt64(words[1]) else { continue }
                switch words[0] {
                case "VmLck:": lockedKiB = value
                case "VmRSS:": residentKiB = value
                case "Threads:": threads = UInt32(value)
                default: break
                }
            }
            // Of this thread alone, as they are told: those of others would be taken off too.
            _ = rw_own_faults(&majorFaultsBefore, &minorFaultsBefore)
        }
    }

    /// The account of this moment. No allocation.
    public static func own(
        _ own: Own, kernel: borrowing LiveKernel, bootNanoseconds: UInt64
    ) -> rw_self {
        var record = rw_self()
        record.header = userHeader(
            stem: RW_STEM_AGENT, kind: RW_AGENT_SELF.rawValue, size: MemoryLayout<rw_self>.size,
            bootNanoseconds: bootNanoseconds)
        let wide = kernel.shared.pointee.wide
        if kernel.known & UInt64(RW_KNOWN_RESERVE.rawValue) != 0,
            kernel.known & UInt64(RW_KNOWN_DIRECT_RECLAIM.rawValue) != 0
        {
            record.known |= 1
            record.pages_allocated = wide.self_pages
            record.allocations = wide.self_allocations
            record.direct_reclaims = wide.self_direct_reclaims
            record.sink_pages_allocated = wide.self_sink_pages
            record.sink_direct_reclaims = wide.self_sink_direct_reclaims
        }
        if kernel.faultsKnown {
            record.known |= 2
            record.major_faults =
                wide.self_major_faults
                &- min(
                    own.majorFaultsBefore, wide.self_major_faults)
            record.minor_faults =
                wide.self_minor_faults
                &- min(
                    own.minorFaultsBefore, wide.self_minor_faults)
        }
        record.locked_kib = own.lockedKiB
        record.resident_kib = own.residentKiB
        record.box_bytes = own.boxBytes
        record.cpu_ns = rw_cpu_ns()
        record.threads = own.threads
        if let bytes = own.memory.mapBytes {
            record.known |= 4
            record.map_bytes = bytes
            record.maps_are_counted = own.memory.mapsAreCounted ? 1 : 0
        }
        if let bytes = own.memory.programBytes {
            record.known |= 8
            record.program_bytes = bytes
        }
        record.known |= 16
        record.ring_most_waiting_bytes = own.ringMostWaitingBytes
        record.programs = UInt32(kernel.programs)
        if let stack = UInt32(exactly: kernel.shared.pointee.self_stack - 1) {
            record.known |= 32
            record.allocation_stack = stack
        }
        return record
    }

    /// How full one of our tables is.
    public static func table(
        name: String, capacity: UInt32, entries: UInt64?, most: UInt64, bootNanoseconds: UInt64
    ) -> rw_table {
        var record = rw_table()
        record.header = userHeader(
            stem: RW_STEM_AGENT, kind: RW_AGENT_TABLE.rawValue, size: MemoryLayout<rw_table>.size,
            bootNanoseconds: bootNanoseconds)
        copy(name, into: &record.name)
        record.capacity = capacity
        record.entries_known = entries == nil ? 0 : 1
        record.entries = entries ?? 0
        record.most_entries = most
        return record
    }

    /// How one sink of alerts stands.
    public static func sink(
        name: UnsafeRawBufferPointer, index: Int, isJSON: Bool, lines: UInt64, dropped: UInt64,
        waitingBytes: UInt64, lastNanoseconds: UInt64, worstNanoseconds: UInt64, error: Int32,
        bootNanoseconds: UInt64
    ) -> rw_sink {
        var record = rw_sink()
        record.header = userHeader(
            stem: RW_STEM_AGENT, kind: RW_AGENT_SINK.rawValue, size: MemoryLayout<rw_sink>.size,
            bootNanoseconds: bootNanoseconds)
        withUnsafeMutableBytes(of: &record.name) { bytes in
            for index in 0..<min(bytes.count, name.count) { bytes[index] = name[index] }
        }
        record.index = UInt32(index)
        record.is_json = isJSON ? 1 : 0
        record.lines = lines
        record.dropped = dropped
        record.waiting_bytes = waitingBytes
        record.last_ns = lastNanoseconds
        record.worst_ns = worstNanoseconds
        record.error = error
        return record
    }

    /// A reader's own: it fell behind by so many records.
    public static func skipped(_ records: UInt64, bootNanoseconds: UInt64) -> rw_skipped {
        var record = rw_skipped()
        record.header = userHeader(
            stem: RW_STEM_AGENT, kind: RW_AGENT_SKIPPED.rawValue,
            size: MemoryLayout<rw_skipped>.size, bootNanoseconds: bootNanoseconds)
        record.records = records
        return record
    }
}
