// SPDX-License-Identifier: Apache-2.0

import CBPF
import Glibc

/// Zones from /proc/zoneinfo, for kernels that refuse the sampling timer.
///
/// One pread(2) a beat instead of a sample each 10 ms: dips between two beats are missed,
/// and of the node only what the file tells is known. No allocation after the start.
public struct ZoneinfoFallback: ~Copyable {
    private let descriptor: Int32
    private let buffer: UnsafeMutableRawBufferPointer
    private var marks = InlineArray<64, rw_zone_marks>(repeating: rw_zone_marks())

    /// Eight nodes with six zones and 256 CPUs' pagesets stay below this.
    private static let bufferBytes = 512 * 1024

    public init() throws(WatchError) {
        let opened = open("/proc/zoneinfo", O_RDONLY | O_CLOEXEC)
        guard opened >= 0 else { throw .input(path: "/proc/zoneinfo", errno: errno) }
        descriptor = opened
        buffer = .allocate(byteCount: Self.bufferBytes, alignment: 16)
        buffer.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit {
        close(descriptor)
        buffer.deallocate()
    }

    /// Reads the file and hands one `rw_zone` to `body` for each zone that has managed pages.
    public mutating func sample(
        bootNanoseconds: UInt64, _ body: (UnsafeRawBufferPointer) -> Void
    ) {
        var used = 0
        while used < buffer.count, let base = buffer.baseAddress {
            let count = pread(descriptor, base + used, buffer.count - used, off_t(used))
            if count <= 0 { break }
            used += count
        }
        var slot = 0
        Self.parse(UnsafeRawBufferPointer(rebasing: buffer[..<used])) { parsed in
            var zone = parsed
            zone.header = userHeader(
                stem: RW_STEM_WATERMARK, kind: RW_WATERMARK_ZONE.rawValue,
                size: MemoryLayout<rw_zone>.size, bootNanoseconds: bootNanoseconds)
            if slot < 64 {
                if marks[slot].lowest_boot_ns == 0
                    || zone.free_pages < marks[slot].lowest_free_pages
                {
                    marks[slot].lowest_free_pages = zone.free_pages
                    marks[slot].lowest_boot_ns = bootNanoseconds
                }
                zone.lowest_free_pages = marks[slot].lowest_free_pages
                zone.lowest_boot_ns = marks[slot].lowest_boot_ns
                slot += 1
            }
            zone.recent_lowest_free_pages = zone.free_pages
            withUnsafeBytes(of: &zone, body)
        }
    }

    /// Lines "Node 0, zone   Normal", then "  pages free     3808", then "        min      34" ...
    public static func parse(_ text: UnsafeRawBufferPointer, _ body: (rw_zone) -> Void) {
        var zone = rw_zone()
        var isOpen = false
        var inPagesets = false
        var index: UInt32 = 0
        var start = 0
        while start < text.count {
            var end = start
            while end < text.count, text[end] != UInt8(ascii: "\n") { end += 1 }
            var line = Scanner(UnsafeRawBufferPointer(rebasing: text[start..<end]))
            start = end + 1
            if line.take("Node") {
                if isOpen, zone.managed_pages > 0 { body(zone) }
                let node = UInt32(truncatingIfNeeded: line.number() ?? 0)
                index = isOpen && node == zone.node ? index + 1 : 0
                zone = rw_zone()
                zone.node = node
                zone.index = index
                _ = line.take("zone")
                line.word(into: &zone.name)
                isOpen = true
                inPagesets = false
            } else if line.take("pagesets") {
                inPagesets = true
            } else if line.take("pages") {
                if line.take("free") { zone.free_pages = line.number() ?? 0 }
            } else if line.take("protection") {
                protection(&line, &zone)
            } else if !inPagesets {
                figure(&line, &zone)
            }
        }
        if isOpen, zone.managed_pages > 0 { body(zone) }
    }

    private static func figure(_ line: inout Scanner, _ zone: inout rw_zone) {
        if line.take("boost") {
            zone.boost_pages = line.number() ?? 0
        } else if line.take("min") {
            zone.min_pages = line.number() ?? 0
        } else if line.take("low") {
            zone.low_pages = line.number() ?? 0
        } else if line.take("high") {
            zone.high_pages = line.number() ?? 0
        } else if line.take("managed") {
            zone.managed_pages = line.number() ?? 0
        } else if line.take("present") {
            zone.present_pages = line.number() ?? 0
        } else if line.take("spanned") {
            zone.spanned_pages = line.number() ?? 0
        }
    }

    private static func protection(_ line: inout Scanner, _ zone: inout rw_zone) {
        withUnsafeMutableBytes(of: &zone.protection_pages) { bytes in
            while zone.protection_count < UInt32(RW_ZONE_TYPES), let pages = line.number() {
                bytes.storeBytes(
                    of: pages, toByteOffset: Int(zone.protection_count) * 8, as: UInt64.self)
                zone.protection_count += 1
            }
        }
    }
}

/// Words of one line, without making strings of them.
private struct Scanner {
    private let line: UnsafeRawBufferPointer
    private var at = 0

    init(_ line: UnsafeRawBufferPointer) {
        self.line = line
    }

    private static func separates(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: ",")
            || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "(") || byte == UInt8(ascii: ")")
    }

    private mutating func skip() {
        while at < line.count, Self.separates(line[at]) { at += 1 }
    }

    /// Whether the next word is `word`; then it is passed.
    mutating func take(_ word: StaticString) -> Bool {
        skip()
        let count = word.utf8CodeUnitCount
        guard at + count <= line.count else { return false }
        for index in 0..<count where line[at + index] != word.utf8Start[index] { return false }
        guard at + count == line.count || Self.separates(line[at + count]) else { return false }
        at += count
        return true
    }

    mutating func number() -> UInt64? {
        skip()
        var value: UInt64?
        while at < line.count, line[at] >= UInt8(ascii: "0"), line[at] <= UInt8(ascii: "9") {
            value = (value ?? 0) &* 10 &+ UInt64(line[at] - UInt8(ascii: "0"))
            at += 1
        }
        return value
    }

    mutating func word<Tuple>(into tuple: inout Tuple) {
        skip()
        withUnsafeMutableBytes(of: &tuple) { bytes in
            var index = 0
            while at < line.count, !Self.separates(line[at]), index < bytes.count {
                bytes[index] = line[at]
                at += 1
                index += 1
            }
        }
    }
}
