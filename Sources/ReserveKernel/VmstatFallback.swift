// SPDX-License-Identifier: Apache-2.0

import CBPF
import Glibc

/// The kernel's own counters from /proc/vmstat, for signals that no hook can be had for.
///
/// Opened once; a reading is one pread(2) into memory held for it. The figures are
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

    /// Larger than any kernel's /proc/vmstat so far (about 6 kB).
    private static let bufferBytes = 32 * 1024

    /// Opens the file and takes the first reading.
    public init() throws(WatchError) {
        let opened = open("/proc/vmstat", O_RDONLY | O_CLOEXEC)
        guard opened >= 0 else { throw .input(path: "/proc/vmstat", errno: errno) }
        descriptor = opened
        buffer = .allocate(byteCount: Self.bufferBytes, alignment: 16)
        first = absolute() ?? Counters()
    }

    deinit {
        close(descriptor)
        buffer.deallocate()
    }

    /// Puts into `counters` those whose bit in `missing` is set. One system call, no allocation.
    public func fill(_ counters: inout rw_counters, missing: UInt64) {
        guard missing != 0, let now = absolute() else { return }
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
