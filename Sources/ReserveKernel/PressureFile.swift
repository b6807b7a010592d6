// SPDX-License-Identifier: Apache-2.0

import CBPF
import Glibc

/// /proc/pressure, kept open: the kernel's own view of how much the host waits.
public struct PressureFile: ~Copyable {
    private let memory: Int32
    private let io: Int32
    private let buffer: UnsafeMutableRawBufferPointer

    private static let bufferBytes = 256

    /// Opens what this kernel has; without CONFIG_PSI, or booted with psi=0, there is nothing.
    ///
    /// The first read here makes the kernel take the buffer that all later ones use.
    public init() {
        memory = open("/proc/pressure/memory", O_RDONLY | O_CLOEXEC)
        io = open("/proc/pressure/io", O_RDONLY | O_CLOEXEC)
        buffer = .allocate(byteCount: Self.bufferBytes, alignment: 16)
        _ = sample(bootNanoseconds: 0)
    }

    deinit {
        if memory >= 0 { close(memory) }
        if io >= 0 { close(io) }
        buffer.deallocate()
    }

    /// The record of this moment; nil where the kernel has no figures. No allocation.
    public func sample(bootNanoseconds: UInt64) -> rw_pressure? {
        guard let ofMemory = read(memory), let ofIO = read(io) else { return nil }
        var record = rw_pressure()
        record.header = userHeader(
            stem: RW_STEM_AGENT, kind: RW_AGENT_PRESSURE.rawValue,
            size: MemoryLayout<rw_pressure>.size, bootNanoseconds: bootNanoseconds)
        record.some_avg10 = ofMemory.some.average
        record.some_total_us = ofMemory.some.total
        record.full_avg10 = ofMemory.full.average
        record.full_total_us = ofMemory.full.total
        record.io_some_avg10 = ofIO.some.average
        record.io_some_total_us = ofIO.some.total
        record.io_full_avg10 = ofIO.full.average
        record.io_full_total_us = ofIO.full.total
        return record
    }

    struct Line: Equatable {
        /// Hundredths of a percent.
        var average: UInt32 = 0
        var total: UInt64 = 0
    }

    struct Figures: Equatable {
        var some = Line()
        var full = Line()
    }

    private func read(_ descriptor: Int32) -> Figures? {
        guard descriptor >= 0 else { return nil }
        let count = pread(descriptor, buffer.baseAddress, buffer.count, 0)
        guard count > 0 else { return nil }
        return Self.parse(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    }

    /// "some avg10=1.23 avg60=0.00 avg300=0.00 total=456\n", then the same of "full".
    static func parse(_ text: UnsafeRawBufferPointer) -> Figures? {
        var figures = Figures()
        var start = 0
        var seen = 0
        while start < text.count {
            var end = start
            while end < text.count, text[end] != UInt8(ascii: "\n") { end += 1 }
            let line = UnsafeRawBufferPointer(rebasing: text[start..<end])
            if let parsed = parse(line: line) {
                if line.first == UInt8(ascii: "s") { figures.some = parsed }
                if line.first == UInt8(ascii: "f") { figures.full = parsed }
                seen += 1
            }
            start = end + 1
        }
        return seen == 0 ? nil : figures
    }

    /// The numbers behind the first and the fourth equals sign.
    private static func parse(line: UnsafeRawBufferPointer) -> Line? {
        var equals = 0
        var inValue = false
        var values = InlineArray<4, UInt64>(repeating: 0)
        for byte in line {
            if byte == UInt8(ascii: "=") {
                equals += 1
                inValue = equals <= 4
            } else if byte == UInt8(ascii: " ") {
                inValue = false  // what follows is a name, and names have digits
            } else if inValue, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
                values[equals - 1] = values[equals - 1] &* 10 &+ UInt64(byte - UInt8(ascii: "0"))
            }
        }
        // avg10 has two decimals, so that its digits are hundredths.
        guard equals == 4 else { return nil }
        return Line(average: UInt32(clamping: values[0]), total: values[3])
    }
}
