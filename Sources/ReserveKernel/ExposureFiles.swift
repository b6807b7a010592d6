// SPDX-License-Identifier: Apache-2.0

import CBPF
import CLinux
import Glibc

/// What the host's sockets may hold at most, and what throttles the swap's disks: the files
/// of /proc and /sys that say so, kept open.
///
/// For each reading of a sysctl the kernel takes memory (fs/proc/proc_sysctl.c:
/// proc_sys_call_handler(), kvzalloc): so a thread beside the loop reads, and only while the host
/// is calm.
public struct ExposureFiles: ~Copyable {
    /// In the order in which the thread has them; behind them wbt_lat_usec of the disks that hold
    /// swap.
    private enum File: Int, CaseIterable {
        case sockstat, tcpRmem, tcpMem, rmemDefault, rmemMaximum, udpMem

        var path: String {
            switch self {
            case .sockstat: "/proc/net/sockstat"
            case .tcpRmem: "/proc/sys/net/ipv4/tcp_rmem"
            case .tcpMem: "/proc/sys/net/ipv4/tcp_mem"
            case .rmemDefault: "/proc/sys/net/core/rmem_default"
            case .rmemMaximum: "/proc/sys/net/core/rmem_max"
            case .udpMem: "/proc/sys/net/ipv4/udp_mem"
            }
        }
    }

    private static let firstDisk = File.udpMem.rawValue + 1
    private static let disks = 8
    private static let bufferBytes = 1024

    private var descriptors: [Int32]
    private let reader: OpaquePointer
    private let pageBytes: UInt64
    /// nil: no card told.
    private var receiveRingsBytes: UInt64?

    /// Opens the files and starts the thread.
    ///
    /// - Throws: ``WatchError/resources(operation:errno:)`` when it cannot be started.
    public init() throws(WatchError) {
        descriptors =
            File.allCases.map { Self.open($0.path) }
            + [Int32](repeating: -1, count: Self.disks)
        guard let thread = rw_reader_open(descriptors, Int32(descriptors.count), Self.bufferBytes)
        else {
            for descriptor in descriptors where descriptor >= 0 { close(descriptor) }
            throw .resources(operation: "start a thread that reads /proc/sys", errno: EAGAIN)
        }
        reader = thread
        pageBytes = UInt64(sysconf(Int32(_SC_PAGESIZE)))
    }

    // The files stay open: the thread reads them until the process ends.

    private static func open(_ path: String) -> Int32 {
        Glibc.open(path, O_RDONLY | O_CLOEXEC)
    }

    /// Keeps open what belongs to these disks. Opens files: for the start, and for the moments
    /// when the table of swaps changed.
    ///
    /// - Returns: false when the thread is still at reading: to be tried again.
    public mutating func follow(disks: [String]) -> Bool {
        guard rw_reader_replace(reader, Int32(Self.firstDisk), -1) else { return false }
        receiveRingsBytes = Self.receiveRings(pageBytes: pageBytes)
        for index in 0..<Self.disks {
            let place = Self.firstDisk + index
            if descriptors[place] >= 0 { close(descriptors[place]) }
            descriptors[place] =
                index < disks.count
                ? Self.open("/sys/block/\(disks[index])/queue/wbt_lat_usec") : -1
            rw_reader_replace(reader, Int32(place), descriptors[place])
        }
        return true
    }

    /// Has the files read. Does not wait; no system call that takes memory.
    public func ask() { rw_reader_ask(reader) }

    /// What was read since this was called last; nil: nothing. No memory is taken.
    public func take(bootNanoseconds: UInt64) -> rw_exposure? {
        guard let readings = rw_reader_take(reader) else { return nil }
        func read(_ file: File) -> UnsafeRawBufferPointer? { readings[file.rawValue].text }
        var record = rw_exposure()
        record.header = userHeader(
            stem: RW_STEM_AGENT, kind: RW_AGENT_EXPOSURE.rawValue,
            size: MemoryLayout<rw_exposure>.size, bootNanoseconds: bootNanoseconds)
        if let text = read(.sockstat) {
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
        if let figures = read(.tcpRmem).flatMap({ Self.figures(in: $0) }) {
            record.tcp_receive_maximum_bytes = figures.2
            record.known |= 1 << 1
        }
        if let figures = read(.tcpMem).flatMap({ Self.figures(in: $0) }) {
            record.tcp_memory_maximum_bytes = figures.2.multipliedSaturating(by: pageBytes)
            record.known |= 1 << 2
        }
        if let figures = read(.rmemDefault).flatMap({ Self.figures(in: $0) }) {
            record.receive_default_bytes = figures.0
            record.known |= 1 << 5
        }
        if let figures = read(.rmemMaximum).flatMap({ Self.figures(in: $0) }) {
            record.receive_maximum_bytes = figures.0
            record.known |= 1 << 6
        }
        if let figures = read(.udpMem).flatMap({ Self.figures(in: $0) }) {
            record.udp_memory_maximum_bytes = figures.2.multipliedSaturating(by: pageBytes)
            record.known |= 1 << 7
        }
        if let receiveRingsBytes {
            record.receive_rings_bytes = receiveRingsBytes
            record.known |= 1 << 9
        }
        for index in 0..<Self.disks {
            guard
                let figures = readings[Self.firstDisk + index].text
                    .flatMap({ Self.figures(in: $0) })
            else { continue }
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
