// SPDX-License-Identifier: Apache-2.0

import CBPF
import CLinux
import Glibc

/// What the host's sockets may hold at most, and what throttles the swap's disks: the files
/// of /proc and /sys that say so, kept open.
///
/// Reading them makes the kernel take a little memory for each: they are read while the host
/// is calm, and not in a stall.
public struct ExposureFiles: ~Copyable {
    private let sockstat: Int32
    private let tcpRmem: Int32
    private let tcpMem: Int32
    private let rmemDefault: Int32
    private let rmemMaximum: Int32
    private let udpMem: Int32
    /// wbt_lat_usec of the disks that hold swap.
    private var throttles = InlineArray<8, Int32>(repeating: -1)
    private let buffer: UnsafeMutableRawBufferPointer
    private let pageBytes: UInt64
    /// nil: no card told.
    private var receiveRingsBytes: UInt64?

    private static let bufferBytes = 1024

    public init() {
        sockstat = Self.open("/proc/net/sockstat")
        tcpRmem = Self.open("/proc/sys/net/ipv4/tcp_rmem")
        tcpMem = Self.open("/proc/sys/net/ipv4/tcp_mem")
        rmemDefault = Self.open("/proc/sys/net/core/rmem_default")
        rmemMaximum = Self.open("/proc/sys/net/core/rmem_max")
        udpMem = Self.open("/proc/sys/net/ipv4/udp_mem")
        buffer = .allocate(byteCount: Self.bufferBytes, alignment: 16)
        pageBytes = UInt64(sysconf(Int32(_SC_PAGESIZE)))
    }

    deinit {
        for descriptor in [sockstat, tcpRmem, tcpMem, rmemDefault, rmemMaximum, udpMem]
        where descriptor >= 0 {
            close(descriptor)
        }
        for index in 0..<8 where throttles[index] >= 0 { close(throttles[index]) }
        buffer.deallocate()
    }

    private static func open(_ path: String) -> Int32 {
        Glibc.open(path, O_RDONLY | O_CLOEXEC)
    }

    /// Keeps open what belongs to these disks. Opens files: for the start, and for the moments
    /// when the table of swaps changed.
    public mutating func follow(disks: [String]) {
        receiveRingsBytes = Self.receiveRings(pageBytes: pageBytes)
        for index in 0..<8 where throttles[index] >= 0 {
            close(throttles[index])
            throttles[index] = -1
        }
        for (index, disk) in disks.prefix(8).enumerated() {
            throttles[index] = Self.open("/sys/block/\(disk)/queue/wbt_lat_usec")
        }
    }

    /// The record of this moment. No memory of this process is taken.
    public func sample(bootNanoseconds: UInt64) -> rw_exposure {
        var record = rw_exposure()
        record.header = userHeader(
            stem: RW_STEM_AGENT, kind: RW_AGENT_EXPOSURE.rawValue,
            size: MemoryLayout<rw_exposure>.size, bootNanoseconds: bootNanoseconds)
        if let text = read(sockstat) {
            if let tcp = Self.figures(in: text, after: "TCP: inuse ") {
                record.tcp_sockets = tcp.0
                record.known |= 1
                // "TCP: inuse 1 orphan 0 tw 0 alloc 2 mem 3": the last of the line
                if let memory = Self.figures(in: text, after: " mem ") {
                    record.tcp_memory_bytes = memory.0 &* pageBytes
                    record.known |= 1 << 3
                }
            }
            if let udp = Self.figures(in: text, after: "UDP: inuse ") {
                record.udp_sockets = udp.0
                record.known |= 1 << 4
            }
        }
        if let figures = read(tcpRmem).flatMap({ Self.figures(in: $0) }) {
            record.tcp_receive_maximum_bytes = figures.2
            record.known |= 1 << 1
        }
        if let figures = read(tcpMem).flatMap({ Self.figures(in: $0) }) {
            record.tcp_memory_maximum_bytes = figures.2.multipliedSaturating(by: pageBytes)
            record.known |= 1 << 2
        }
        if let figures = read(rmemDefault).flatMap({ Self.figures(in: $0) }) {
            record.receive_default_bytes = figures.0
            record.known |= 1 << 5
        }
        if let figures = read(rmemMaximum).flatMap({ Self.figures(in: $0) }) {
            record.receive_maximum_bytes = figures.0
            record.known |= 1 << 6
        }
        if let figures = read(udpMem).flatMap({ Self.figures(in: $0) }) {
            record.udp_memory_maximum_bytes = figures.2.multipliedSaturating(by: pageBytes)
            record.known |= 1 << 7
        }
        if let receiveRingsBytes {
            record.receive_rings_bytes = receiveRingsBytes
            record.known |= 1 << 9
        }
        for index in 0..<8 {
            guard let figures = read(throttles[index]).flatMap({ Self.figures(in: $0) }) else {
                continue
            }
            record.writeback_throttle_us = max(record.writeback_throttle_us, figures.0)
            record.known |= 1 << 8
        }
        return record
    }

    /// What the cards that are up must be given for every packet that they have room for: at
    /// most a page each. Only those that have a device behind them.
    private static func receiveRings(pageBytes: UInt64) -> UInt64? {
        var sum: UInt64?
        for link in entries(of: "/sys/class/net") ?? [] {
            guard access("/sys/class/net/\(link)/device", F_OK) == 0,
                readFile("/sys/class/net/\(link)/operstate", limit: 32) != "down\n"
            else { continue }
            let ring = rw_receive_ring(link)
            if ring > 0 { sum = (sum ?? 0) + UInt64(ring) * pageBytes }
        }
        return sum
    }

    private func read(_ descriptor: Int32) -> UnsafeRawBufferPointer? {
        guard descriptor >= 0 else { return nil }
        let count = pread(descriptor, buffer.baseAddress, buffer.count, 0)
        guard count > 0 else { return nil }
        return UnsafeRawBufferPointer(rebasing: buffer[..<count])
    }

    /// Up to three numbers, from the start or from behind the first `word`; nil: none there.
    static func figures(
        in text: UnsafeRawBufferPointer, after word: StaticString = ""
    ) -> (UInt64, UInt64, UInt64)? {
        guard var place = end(of: word, in: text) else { return nil }
        var values = InlineArray<3, UInt64>(repeating: 0)
        var count = 0
        while count < 3, place < text.count {
            while place < text.count, text[place] == 0x20 || text[place] == 0x09 { place += 1 }
            guard place < text.count, (0x30...0x39).contains(text[place]) else { break }
            while place < text.count, (0x30...0x39).contains(text[place]) {
                values[count] = values[count] &* 10 &+ UInt64(text[place] &- 0x30)
                place += 1
            }
            count += 1
        }
        return count == 0 ? nil : (values[0], values[1], values[2])
    }

    private static func end(of word: StaticString, in text: UnsafeRawBufferPointer) -> Int? {
        let length = word.utf8CodeUnitCount
        var start = 0
        while start + length <= text.count {
            var same = 0
            while same < length, text[start + same] == word.utf8Start[same] { same += 1 }
            if same == length { return start + length }
            start += 1
        }
        return nil
    }
}

extension UInt64 {
    fileprivate func multipliedSaturating(by other: UInt64) -> UInt64 {
        let (product, isOver) = multipliedReportingOverflow(by: other)
        return isOver ? .max : product
    }
}
