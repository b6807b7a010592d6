// SPDX-License-Identifier: Apache-2.0

import CBPF
import CLinux
import Glibc

/// The kernel's own counters from /proc/vmstat, for signals that no hook can be had for.
///
/// For each reading the kernel takes memory (mm/vmstat.c:vmstat_start(), kmalloc): so a thread
/// beside the loop reads, and the loop takes what came, at most a second old. The figures are
/// differences to the first reading, so that they mean "since the start" as all others do.
public struct VmstatFallback: ~Copyable {
    /// The counters that stand in for hooks; `allocstall` is the sum over its zones.
    public struct Counters: Equatable, Sendable {
        public var allocstall: UInt64 = 0
        public var pgscanDirectThrottle: UInt64 = 0
        public var pswpin: UInt64 = 0
        public var pswpout: UInt64 = 0
        public var oomKill: UInt64 = 0

        public init() {}
    }

    private let descriptor: Int32
    private let buffer: UnsafeMutableRawBufferPointer
    private var first = Counters()
    /// As they were read last; nil: no counter of these is wanted.
    private var latest: Counters?
    private let missing: UInt64
    private let reader: OpaquePointer?

    /// Larger than any kernel's /proc/vmstat so far (about 6 kB).
    private static let bufferBytes = 32 * 1024

    /// The bits of counters that can be had here.
    private static let counted =
        UInt64(RW_KNOWN_ALLOCSTALL.rawValue) | UInt64(RW_KNOWN_THROTTLE.rawValue)
        | UInt64(RW_KNOWN_SWAP.rawValue) | UInt64(RW_KNOWN_OOM.rawValue)

    /// Opens the file and takes the first reading. `missing`: what no hook counts.
    public init(missing: UInt64) throws(WatchError) {
        let opened = open("/proc/vmstat", O_RDONLY | O_CLOEXEC)
        guard opened >= 0 else { throw .input(path: "/proc/vmstat", errno: errno) }
        let wanted = missing & Self.counted
        var file = opened
        let thread = wanted == 0 ? nil : rw_reader_open(&file, 1, Self.bufferBytes)
        guard wanted == 0 || thread != nil else {
            close(opened)
            throw .resources(operation: "start a thread that reads /proc/vmstat", errno: EAGAIN)
        }
        descriptor = opened
        reader = thread
        self.missing = wanted
        buffer = .allocate(byteCount: Self.bufferBytes, alignment: 16)
        first = absolute() ?? Counters()
        latest = first
    }

    deinit {
        // The thread goes on reading until the process ends.
        if reader == nil { close(descriptor) }
        buffer.deallocate()
    }

    /// Takes what was read since it was asked for last, and asks for more. Does not wait.
    public mutating func refresh() {
        guard let reader else { return }
        if let reading = rw_reader_take(reader), let text = reading.pointee.text {
            latest = Self.parse(text)
        }
        rw_reader_ask(reader)
    }

    /// Reads here and now: for the end, whose totals are of one moment.
    public mutating func readNow() {
        if missing != 0, let now = absolute() { latest = now }
    }

    /// Puts into `counters` those that no hook counts. No system call.
    public func fill(_ counters: inout rw_counters) {
        guard missing != 0, let now = latest else { return }
        if missing & UInt64(RW_KNOWN_ALLOCSTALL.rawValue) != 0 {
            counters.allocstall = now.allocstall &- first.allocstall
        }
        if missing & UInt64(RW_KNOWN_THROTTLE.rawValue) != 0 {
            counters.pgscan_direct_throttle = now.pgscanDirectThrottle &- first.pgscanDirectThrottle
        }
        if missing & UInt64(RW_KNOWN_SWAP.rawValue) != 0 {
            counters.pswpin = now.pswpin &- first.pswpin
            counters.pswpout = now.pswpout &- first.pswpout
        }
        if missing & UInt64(RW_KNOWN_OOM.rawValue) != 0 {
            counters.oom_kill = now.oomKill &- first.oomKill
        }
    }

    private func absolute() -> Counters? {
        let count = pread(descriptor, buffer.baseAddress, buffer.count, 0)
        guard count > 0 else { return nil }
        return Self.parse(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    }

    /// Lines are "name value\n". Unknown names are passed over.
    public static func parse(_ text: UnsafeRawBufferPointer) -> Counters {
        var counters = Counters()
        var start = 0
        while start < text.count {
            var space = start
            while space < text.count, text[space] != UInt8(ascii: " ") { space += 1 }
            var end = space + 1
            var value: UInt64 = 0
            while end < text.count, text[end] != UInt8(ascii: "\n") {
                value = value &* 10 &+ UInt64(text[end] &- UInt8(ascii: "0"))
                end += 1
            }
            if end >= text.count { break }  // a cut line is no line
            let name = UnsafeRawBufferPointer(rebasing: text[start..<space])
            if has(name, prefix: "allocstall") {
                counters.allocstall &+= value
            } else if name.count == 22, has(name, prefix: "pgscan_direct_throttle") {
                counters.pgscanDirectThrottle = value
            } else if name.count == 6, has(name, prefix: "pswpin") {
                counters.pswpin = value
            } else if name.count == 7, has(name, prefix: "pswpout") {
                counters.pswpout = value
            } else if name.count == 8, has(name, prefix: "oom_kill") {
                counters.oomKill = value
            }
            start = end + 1
        }
        return counters
    }

    private static func has(_ name: UnsafeRawBufferPointer, prefix: StaticString) -> Bool {
        guard name.count >= prefix.utf8CodeUnitCount, let base = name.baseAddress else {
            return false
        }
        return memcmp(base, prefix.utf8Start, prefix.utf8CodeUnitCount) == 0
    }
}
