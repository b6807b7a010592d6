// SPDX-License-Identifier: Apache-2.0

/// Times and sizes as systemd.time(7) and systemd.unit(5) write them.
public enum ConfigQuantity {
    private static let second: UInt64 = 1_000_000_000

    private static func scale(ofTime unit: Substring) -> UInt64? {
        switch unit {
        case "ns", "nsec": return 1
        case "us", "µs", "μs", "usec": return 1000
        case "ms", "msec": return 1_000_000
        case "", "s", "sec", "second", "seconds": return second
        case "m", "min", "minute", "minutes": return 60 * second
        case "h", "hr", "hour", "hours": return 3600 * second
        case "d", "day", "days": return 86_400 * second
        case "w", "week", "weeks": return 604_800 * second
        default: return nil
        }
    }

    /// `5`, `5s`, `1.5s`, `1min 30s`: nanoseconds; nil: no time, or more than 584 years.
    public static func nanoseconds(_ text: String) -> UInt64? {
        var rest = trim(text[...])
        var sum: UInt64 = 0
        guard !rest.isEmpty else { return nil }
        var parts = 0
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = trim(rest.dropFirst(number.count))
            let unit = rest.prefix { $0.isLetter }
            rest = trim(rest.dropFirst(unit.count))
            parts += 1
            // A bare number is seconds, where it is all there is.
            guard !unit.isEmpty || parts == 1 && rest.isEmpty,
                let scale = scale(ofTime: unit), let part = scaled(number, by: scale)
            else { return nil }
            let (next, overflow) = sum.addingReportingOverflow(part)
            guard !overflow else { return nil }
            sum = next
        }
        return sum
    }

    /// `65536`, `64K`, `64KiB`, `1.5G`: bytes, by powers of 1024; nil: no size.
    public static func bytes(_ text: String) -> UInt64? {
        let text = trim(text[...])
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let shift: UInt64
        switch trim(text.dropFirst(number.count)) {
        case "", "B": shift = 0
        case "K", "KB", "KiB": shift = 10
        case "M", "MB", "MiB": shift = 20
        case "G", "GB", "GiB": shift = 30
        case "T", "TB", "TiB": shift = 40
        default: return nil
        }
        return scaled(number, by: 1 << shift)
    }

    /// A decimal number, with at most nine places, times `scale`; exact, rounded down.
    private static func scaled(_ number: Substring, by scale: UInt64) -> UInt64? {
        let halves = number.split(separator: ".", omittingEmptySubsequences: false)
        guard let whole = halves.first.flatMap({ UInt64($0) }), halves.count <= 2 else {
            return nil
        }
        let (product, overflow) = whole.multipliedReportingOverflow(by: scale)
        guard !overflow else { return nil }
        guard halves.count == 2 else { return product }
        guard (1...9).contains(halves[1].count), let fraction = UInt64(halves[1]) else {
            return nil
        }
        let power = (0..<halves[1].count).reduce(UInt64(1)) { power, _ in power * 10 }
        let part = power.dividingFullWidth(fraction.multipliedFullWidth(by: scale)).quotient
        let (sum, carried) = product.addingReportingOverflow(part)
        return carried ? nil : sum
    }

    /// A time in the largest unit that holds it exactly: `500ms`, `90s`, `1h`.
    public static func time(_ nanoseconds: UInt64) -> String {
        let units: [(String, UInt64)] = [
            ("h", 3600 * second), ("min", 60 * second), ("s", second), ("ms", 1_000_000),
            ("us", 1000),
        ]
        for (unit, scale) in units where nanoseconds >= scale && nanoseconds % scale == 0 {
            return "\(nanoseconds / scale)\(unit)"
        }
        return nanoseconds == 0 ? "0s" : "\(nanoseconds)ns"
    }

    /// A size in the largest unit that holds it exactly: `64K`, `4M`, `1000`.
    public static func size(_ bytes: UInt64) -> String {
        for (unit, shift) in [("T", 40), ("G", 30), ("M", 20), ("K", 10)] as [(String, UInt64)]
        where bytes >= 1 << shift && bytes & ((1 << shift) - 1) == 0 {
            return "\(bytes >> shift)\(unit)"
        }
        return "\(bytes)"
    }
}
