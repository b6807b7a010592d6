// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// A time that somebody typed.
public enum TopMoment: Equatable, Sendable {
    /// Of the day that is shown, in UTC, nanoseconds since midnight.
    case ofDay(UInt64)
    /// Nanoseconds since 1970.
    case real(Int64)
    /// From the moment that is shown.
    case relative(Int64)
    /// From the first event on.
    case fromStart(UInt64)

    /// "03:27", "03:27:10.5", "2026-11-25T03:27:10Z", "-30s", "+5m", "@12s"; nil: none of them.
    public init?(_ text: [UInt8]) {
        guard let first = text.first else { return nil }
        switch first {
        case UInt8(ascii: "+"), UInt8(ascii: "-"):
            guard let length = Self.length(text[1...]) else { return nil }
            self = .relative(first == UInt8(ascii: "-") ? -length : length)
        case UInt8(ascii: "@"):
            guard let length = Self.length(text[1...]) else { return nil }
            self = .fromStart(UInt64(length))
        default:
            if text.count > 11, text[10] == UInt8(ascii: "T") || text[10] == UInt8(ascii: " ") {
                guard let day = Self.day(text[..<10]), let time = Self.timeOfDay(text[11...])
                else { return nil }
                self = .real(day * 86_400_000_000_000 + Int64(time))
            } else {
                guard let time = Self.timeOfDay(text[...]) else { return nil }
                self = .ofDay(time)
            }
        }
    }

    /// The boot time that is meant; nil: the host did not tell its clock.
    func bootNanoseconds(now: UInt64, _ picture: borrowing Picture) -> UInt64? {
        switch self {
        case .relative(let step):
            return step < 0
                ? now - min(now, step.magnitude) : now.addingReportingOverflow(UInt64(step)).0
        case .fromStart(let step): return picture.firstBootNanoseconds &+ step
        case .real(let real):
            guard let host = picture.host else { return nil }
            return UInt64(clamping: real &- host.realtimeOffsetNanoseconds)
        case .ofDay(let time):
            guard let host = picture.host else { return nil }
            let day: Int64 = 86_400_000_000_000
            let shown = Int64(clamping: now) &+ host.realtimeOffsetNanoseconds
            var real = shown - shown % day + Int64(time)
            // Around midnight the nearer day is meant.
            if real - shown > day / 2 { real -= day }
            if shown - real > day / 2 { real += day }
            return UInt64(clamping: real &- host.realtimeOffsetNanoseconds)
        }
    }

    /// Nanoseconds of "12", "1.5s", "90s", "5m", "2h".
    private static func length(_ text: ArraySlice<UInt8>) -> Int64? {
        var digits = text
        var unit: Int64 = 1_000_000_000
        switch text.last {
        case UInt8(ascii: "s"): digits = text.dropLast()
        case UInt8(ascii: "m"):
            digits = text.dropLast()
            unit *= 60
        case UInt8(ascii: "h"):
            digits = text.dropLast()
            unit *= 3600
        default: break
        }
        guard let thousandths = thousandths(digits) else { return nil }
        return thousandths * (unit / 1000)
    }

    /// "12.345" in thousandths, at most six digits before the point.
    private static func thousandths(_ text: ArraySlice<UInt8>) -> Int64? {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count <= 2, let whole = number(parts[0], most: 6) else { return nil }
        guard parts.count == 2 else { return whole * 1000 }
        var fraction = Array(parts[1].prefix(3))
        while fraction.count < 3 { fraction.append(UInt8(ascii: "0")) }
        guard !parts[1].isEmpty, let rest = number(fraction[...], most: 3) else { return nil }
        return whole * 1000 + rest
    }

    private static func number(_ text: ArraySlice<UInt8>, most: Int) -> Int64? {
        guard !text.isEmpty, text.count <= most else { return nil }
        var value: Int64 = 0
        for byte in text {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            value = value * 10 + Int64(byte - UInt8(ascii: "0"))
        }
        return value
    }

    private static func timeOfDay(_ text: ArraySlice<UInt8>) -> UInt64? {
        let bare = text.last == UInt8(ascii: "Z") ? text.dropLast() : text
        let parts = bare.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.count == 2 || parts.count == 3, let hours = number(parts[0], most: 2),
            let minutes = number(parts[1], most: 2), hours < 24, minutes < 60
        else { return nil }
        var milliseconds: Int64 = 0
        if parts.count == 3 {
            guard let seconds = thousandths(parts[2]), seconds < 60_000 else { return nil }
            milliseconds = seconds
        }
        return UInt64((hours * 60 + minutes) * 60_000 + milliseconds) * 1_000_000
    }

    /// Days since 1970 of "2026-11-25".
    private static func day(_ text: ArraySlice<UInt8>) -> Int64? {
        let parts = text.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard parts.count == 3, let year = number(parts[0], most: 4),
            let month = number(parts[1], most: 2), let day = number(parts[2], most: 2),
            year >= 1970, (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        // Counted from March, so that a leap day is the last of its year.
        let shifted = month <= 2 ? year - 1 : year
        let fromMarch = (month + 9) % 12
        return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400
            + (fromMarch * 153 + 2) / 5 + day - 1 - 719_468
    }
}
