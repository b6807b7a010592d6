// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// Bytes of one line in memory taken at the start. Nothing here allocates.
///
/// A line that does not fit is given up whole: `isWhole` turns false and the caller counts it.
public struct ByteWriter: ~Copyable {
    private let buffer: UnsafeMutableRawBufferPointer
    private var used = 0
    public private(set) var isWhole = true

    public init(capacityBytes: Int) {
        buffer = .allocate(byteCount: capacityBytes, alignment: 16)
        buffer.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit {
        buffer.deallocate()
    }

    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: buffer[..<used]) }
    public var count: Int { used }

    @_noAllocation
    public mutating func clear() {
        used = 0
        isWhole = true
    }

    /// Gives up what is behind `limit`, whole characters of UTF-8 only.
    @_noAllocation
    mutating func cut(to limit: Int) {
        guard used > limit else { return }
        used = limit
        while used > 0, buffer[used] & 0xc0 == 0x80 { used -= 1 }
    }

    @_noAllocation
    public mutating func byte(_ value: UInt8) {
        guard used < buffer.count else {
            isWhole = false
            return
        }
        buffer[used] = value
        used += 1
    }

    @_noAllocation
    public mutating func text(_ text: StaticString) {
        for index in 0..<text.utf8CodeUnitCount { byte(text.utf8Start[index]) }
    }

    @_noAllocation
    public mutating func number(_ value: UInt64) {
        var digits = InlineArray<20, UInt8>(repeating: 0)
        var rest = value
        var count = 0
        repeat {
            digits[count] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
            count += 1
        } while rest > 0
        while count > 0 {
            count -= 1
            byte(digits[count])
        }
    }

    @_noAllocation
    public mutating func number(_ value: Int64) {
        if value < 0 { byte(UInt8(ascii: "-")) }
        number(value.magnitude)
    }

    /// `value` with leading zeros, `width` digits of it.
    @_noAllocation
    public mutating func padded(_ value: UInt64, width: Int) {
        var scale: UInt64 = 1
        for _ in 1..<width { scale *= 10 }
        var rest = value
        while scale > 0 {
            byte(UInt8(ascii: "0") + UInt8(rest / scale % 10))
            rest %= scale
            scale /= 10
        }
    }

    @_noAllocation
    public mutating func hexadecimal(_ value: UInt64) {
        text("0x")
        hexadecimalDigits(value)
    }

    /// Without "0x" and leading zeros.
    @_noAllocation
    mutating func hexadecimalDigits(_ value: UInt64) {
        var started = false
        for shift in stride(from: 60, through: 0, by: -4) {
            let digit = UInt8(value >> UInt64(shift) & 15)
            if digit != 0 || started || shift == 0 {
                started = true
                byte(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            }
        }
    }

    /// Nanoseconds since 1970 as RFC 3339 in UTC, to the nanosecond.
    @_noAllocation
    public mutating func time(realNanoseconds: Int64, dateToo: Bool = true) {
        var seconds = realNanoseconds / 1_000_000_000
        var rest = realNanoseconds % 1_000_000_000
        if rest < 0 {
            rest += 1_000_000_000
            seconds -= 1
        }
        var days = seconds / 86400
        var second = seconds % 86400
        if second < 0 {
            second += 86400
            days -= 1
        }
        if dateToo {
            let (year, month, day) = Self.civil(days: days)
            padded(UInt64(max(year, 0)), width: 4)
            byte(UInt8(ascii: "-"))
            padded(UInt64(month), width: 2)
            byte(UInt8(ascii: "-"))
            padded(UInt64(day), width: 2)
            byte(UInt8(ascii: "T"))
        }
        padded(UInt64(second / 3600), width: 2)
        byte(UInt8(ascii: ":"))
        padded(UInt64(second / 60 % 60), width: 2)
        byte(UInt8(ascii: ":"))
        padded(UInt64(second % 60), width: 2)
        byte(UInt8(ascii: "."))
        if dateToo {
            padded(UInt64(rest), width: 9)
            byte(UInt8(ascii: "Z"))
        } else {
            padded(UInt64(rest / 1_000_000), width: 3)
        }
    }

    /// Days since 1970-01-01 to the proleptic Gregorian date, counting years from March.
    @_noAllocation
    static func civil(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let fromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * fromMarch + 2) / 5 + 1
        let month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }
}
