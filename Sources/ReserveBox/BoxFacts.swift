// SPDX-License-Identifier: Apache-2.0

import CLinux
import CRecord
import Glibc

/// Who writes a box, on which boot of which host.
public struct BoxFacts: Sendable, Equatable {
    public var writerPID: Int32
    public var writerStartTicks: UInt64
    public var createdBootNanoseconds: UInt64
    public var realtimeOffsetNanoseconds: Int64
    public var bootID: String
    public var agentVersion: String

    /// Of this process, now.
    public static func ofThisProcess(agentVersion: String) -> BoxFacts {
        BoxFacts(
            writerPID: getpid(), writerStartTicks: startTicks(of: getpid()) ?? 0,
            createdBootNanoseconds: rw_boot_ns(),
            realtimeOffsetNanoseconds: rw_realtime_offset_ns(),
            bootID: thisBoot() ?? "", agentVersion: agentVersion)
    }

    /// The id of this boot; nil where /proc is not there.
    public static func thisBoot() -> String? {
        read("/proc/sys/kernel/random/boot_id").map { String($0.prefix { $0 != "\n" }) }
    }

    /// When a process began, in clock ticks since boot: with its pid it names it for good. nil:
    /// there is none, or it is dead and only its parent has not taken note.
    static func startTicks(of pid: Int32) -> UInt64? {
        // The second field is its name in parentheses, which may hold anything.
        guard let stat = read("/proc/\(pid)/stat"), let name = stat.lastIndex(of: ")") else {
            return nil
        }
        let fields = stat[name...].split(separator: " ")
        guard fields.count > 20, fields[1] != "Z", fields[1] != "X" else { return nil }
        return UInt64(fields[20])
    }

    private static func read(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 1024)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
    }

    static let magic: InlineArray<8, UInt8> = [0x52, 0x57, 0x42, 0x4f, 0x58, 0x00, 0xff, 0x0a]

    /// Everything but the magic and the checksum.
    func fill(_ header: inout rw_box_header, size: BoxSize) {
        header.version = UInt32(RW_BOX_VERSION)
        header.page_bytes = UInt32(sysconf(Int32(_SC_PAGESIZE)))
        header.total_bytes = UInt64(size.totalBytes)
        header.small_offset = UInt64(size.smallOffset)
        header.large_offset = UInt64(size.largeOffset)
        header.ring_offset = UInt64(size.ringOffset)
        header.ring_bytes = UInt64(size.ringBytes)
        header.small_slots = UInt32(size.smallSlots)
        header.large_slots = UInt32(size.largeSlots)
        header.created_boot_ns = createdBootNanoseconds
        header.realtime_offset_ns = realtimeOffsetNanoseconds
        header.writer_pid = UInt32(bitPattern: writerPID)
        header.wire_version = UInt32(RW_WIRE_VERSION)
        header.writer_start_ticks = writerStartTicks
        Self.copy(bootID, into: &header.boot_id)
        Self.copy(agentVersion, into: &header.agent_version)
    }

    static func seal(_ header: UnsafeMutablePointer<rw_box_header>) {
        withUnsafeMutableBytes(of: &header.pointee.magic) { bytes in
            for index in 0..<8 { bytes[index] = magic[index] }
        }
        header.pointee.checksum = checksum(of: header)
    }

    /// CRC-32C of what stands before it.
    static func checksum(of header: UnsafePointer<rw_box_header>) -> UInt32 {
        let end = MemoryLayout<rw_box_header>.offset(of: \.checksum) ?? 0
        let bytes = UnsafeRawBufferPointer(start: header, count: end)
        var value = UInt32.max
        for byte in bytes {
            value ^= UInt32(byte)
            for _ in 0..<8 { value = value & 1 != 0 ? value >> 1 ^ 0x82f6_3b78 : value >> 1 }
        }
        return ~value
    }

    init(_ header: rw_box_header) {
        writerPID = Int32(bitPattern: header.writer_pid)
        writerStartTicks = header.writer_start_ticks
        createdBootNanoseconds = header.created_boot_ns
        realtimeOffsetNanoseconds = header.realtime_offset_ns
        bootID = Self.text(header.boot_id)
        agentVersion = Self.text(header.agent_version)
    }

    init(
        writerPID: Int32, writerStartTicks: UInt64, createdBootNanoseconds: UInt64,
        realtimeOffsetNanoseconds: Int64, bootID: String, agentVersion: String
    ) {
        self.writerPID = writerPID
        self.writerStartTicks = writerStartTicks
        self.createdBootNanoseconds = createdBootNanoseconds
        self.realtimeOffsetNanoseconds = realtimeOffsetNanoseconds
        self.bootID = bootID
        self.agentVersion = agentVersion
    }

    private static func copy<Tuple>(_ text: String, into tuple: inout Tuple) {
        withUnsafeMutableBytes(of: &tuple) { bytes in
            for (index, byte) in text.utf8.prefix(bytes.count).enumerated() { bytes[index] = byte }
        }
    }

    private static func text<Tuple>(_ tuple: Tuple) -> String {
        withUnsafeBytes(of: tuple) {
            String(decoding: $0.prefix(while: { $0 != 0 }), as: UTF8.self)
        }
    }
}
