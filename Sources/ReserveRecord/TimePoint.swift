// SPDX-License-Identifier: Apache-2.0

/// A moment of a recording, as people write it.
public enum TimePoint: Equatable, Sendable {
    /// `2026-11-25T07:10:48.5Z`: nanoseconds since 1970.
    case absolute(Int64)
    /// `07:10:48`, UTC, of the day on which the recording begins; before its begin: the next.
    case timeOfDay(Int64)
    /// `+12.5s`: after the recording's begin.
    case afterBegin(Int64)
    /// `-30s`: before its end.
    case beforeEnd(Int64)

    private static let second: Int64 = 1_000_000_000
    private static let day: Int64 = 86_400 * second

    /// Reads what a user wrote; nil: none of these.
    public init?(_ text: String) {
        let bytes = [UInt8](text.utf8)
        guard let first = bytes.first else { return nil }
        if first == UInt8(ascii: "+") || first == UInt8(ascii: "-") {
            guard let distance = Self.duration(String(text.dropFirst())) else { return nil }
            self = first == UInt8(ascii: "+") ? .afterBegin(distance) : .beforeEnd(distance)
            return
        }
        var scanner = Scanner(bytes: bytes)
        if bytes.count >= 3, bytes[2] == UInt8(ascii: ":") {
            guard let time = scanner.timeOfDay(secondsRequired: false), scanner.isAtEnd else {
                return nil
            }
            self = .timeOfDay(time)
            return
        }
        guard let days = scanner.date(), scanner.takeAny(of: "Tt "),
            let time = scanner.timeOfDay(secondsRequired: true), let zone = scanner.zone(),
            scanner.isAtEnd
        else { return nil }
        let (nanoseconds, overflow) = (days * 86_400 - zone).multipliedReportingOverflow(
            by: Self.second)
        guard !overflow else { return nil }
        self = .absolute(nanoseconds + time)
    }

    /// The moment in a recording from `begin` to `end`, in nanoseconds since 1970.
    public func resolved(begin: Int64, end: Int64) -> Int64 {
        switch self {
        case .absolute(let time): return time
        case .timeOfDay(let time):
            let midnight = begin &- (begin % Self.day + Self.day) % Self.day
            let onThatDay = midnight &+ time
            // A second of grace: the begin as it is shown may be rounded.
            return onThatDay &+ Self.second < begin ? onThatDay &+ Self.day : onThatDay
        case .afterBegin(let distance): return begin &+ distance
        case .beforeEnd(let distance): return end &- distance
        }
    }

    /// `90`, `12.5s`, `500ms`, `10m`, `2h`, `7d`: nanoseconds, at most a century; nil: none.
    public static func duration(_ text: String) -> Int64? {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard !digits.isEmpty, digits.first != ".", digits.last != ".",
            let number = Double(digits)
        else { return nil }
        let scale: Double
        switch text.dropFirst(digits.count) {
        case "ms": scale = 0.001
        case "", "s": scale = 1
        case "m", "min": scale = 60
        case "h": scale = 3600
        case "d": scale = 86_400
        default: return nil
        }
        let seconds = number * scale
        guard seconds.isFinite, seconds <= 3_155_760_000 else { return nil }
        return Int64((seconds * 1e9).rounded())
    }
}

/// Digits and separators, one after the other.
private struct Scanner {
    let bytes: [UInt8]
    private var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }

    mutating func take(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    mutating func takeAny(of choices: String) -> Bool {
        for choice in choices.utf8 where take(choice) { return true }
        return false
    }

    /// Exactly so many digits, within the range.
    mutating func number(digits: Int, _ range: ClosedRange<Int64>) -> Int64? {
        guard position + digits <= bytes.count else { return nil }
        var value: Int64 = 0
        for byte in bytes[position..<position + digits] {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            value = value * 10 + Int64(byte - UInt8(ascii: "0"))
        }
        position += digits
        return range.contains(value) ? value : nil
    }

    /// `2026-11-25`: days since 1970.
    mutating func date() -> Int64? {
        guard let year = number(digits: 4, 1970...2261), take(UInt8(ascii: "-")),
            let month = number(digits: 2, 1...12), take(UInt8(ascii: "-")),
            let day = number(digits: 2, 1...31)
        else { return nil }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let lengths: [Int64] = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard day <= lengths[Int(month) - 1] else { return nil }
        // Years counted from March, as ByteWriter's civil(days:) does the other way.
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted % 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
            - 719_468
    }

    /// `07:10:48.25`, or without seconds: nanoseconds since midnight.
    mutating func timeOfDay(secondsRequired: Bool) -> Int64? {
        guard let hour = number(digits: 2, 0...23), take(UInt8(ascii: ":")),
            let minute = number(digits: 2, 0...59)
        else { return nil }
        var nanoseconds = (hour * 3600 + minute * 60) * 1_000_000_000
        guard take(UInt8(ascii: ":")) else { return secondsRequired ? nil : nanoseconds }
        guard let second = number(digits: 2, 0...60) else { return nil }
        nanoseconds += second * 1_000_000_000
        guard take(UInt8(ascii: ".")) else { return nanoseconds }
        var unit: Int64 = 100_000_000
        var digits = 0
        while let digit = number(digits: 1, 0...9) {
            nanoseconds += digit * unit
            unit /= 10
            digits += 1
        }
        return digits >= 1 && digits <= 9 ? nanoseconds : nil
    }

    /// `Z`, `+02:00`: seconds east of UTC.
    mutating func zone() -> Int64? {
        if takeAny(of: "Zz") { return 0 }
        let isWest = take(UInt8(ascii: "-"))
        guard isWest || take(UInt8(ascii: "+")), let hour = number(digits: 2, 0...23),
            take(UInt8(ascii: ":")), let minute = number(digits: 2, 0...59)
        else { return nil }
        let seconds = hour * 3600 + minute * 60
        return isWest ? -seconds : seconds
    }
}
