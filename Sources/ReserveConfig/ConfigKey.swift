// SPDX-License-Identifier: Apache-2.0

/// Why a value is not taken: the end of the sentence "Key=Value: ...".
public struct ConfigRefusal: Error, Sendable {
    public var reason: String
    public init(_ reason: String) { self.reason = reason }
}

/// How often a key may be set.
public enum ConfigCount: Sendable {
    /// Once; set again, the last one holds.
    case one
    /// A list: words between blanks ("..." keeps blanks), and each assignment adds its own.
    case words
    /// A list: each assignment is one element, blanks and all.
    case lines
}

/// A key of a section: its name, and how its text becomes a value. Declared once, it is what the
/// parser checks, what the section's owner asks with, and what the manual is held against.
public struct ConfigKey<Value: Sendable>: Sendable {
    public let description: ConfigKeyDescription
    let parse: @Sendable (String) throws(ConfigRefusal) -> Value

    /// - Parameters:
    ///   - kind: what may stand there, for people: "seconds, 0.1 to 3600".
    ///   - fallback: what holds where it is not set, in words that the key itself takes; nil:
    ///     nothing.
    public init(
        _ name: String, _ count: ConfigCount = .one, kind: String, default fallback: String?,
        parse: @escaping @Sendable (String) throws(ConfigRefusal) -> Value
    ) {
        self.parse = parse
        description = ConfigKeyDescription(
            name: name, count: count, kind: kind, fallback: fallback
        ) { (text) throws(ConfigRefusal) in _ = try parse(text) }
    }
}

/// A key without the type of its value.
public struct ConfigKeyDescription: Sendable {
    public let name: String
    public let count: ConfigCount
    public let kind: String
    public let fallback: String?
    let check: @Sendable (String) throws(ConfigRefusal) -> Void

    init(
        name: String, count: ConfigCount, kind: String, fallback: String?,
        check: @escaping @Sendable (String) throws(ConfigRefusal) -> Void
    ) {
        self.name = name
        self.count = count
        self.kind = kind
        self.fallback = fallback
        self.check = check
    }
}

extension ConfigKeyDescription {
    /// For an owner that reads its values by itself, and tells by itself what is wrong.
    public init(unchecked name: String, _ count: ConfigCount) {
        self.init(name: name, count: count, kind: "text", fallback: nil) { _ in }
    }
}

extension ConfigKey where Value == String {
    /// Any text; `check` says why one is not taken.
    public static func text(
        _ name: String, _ count: ConfigCount = .one, kind: String = "text",
        default fallback: String? = nil,
        check: @escaping @Sendable (String) -> String? = { _ in nil }
    ) -> ConfigKey {
        ConfigKey(name, count, kind: kind, default: fallback) { (text) throws(ConfigRefusal) in
            if let reason = check(text) { throw ConfigRefusal(reason) }
            return text
        }
    }

    /// A path from the root.
    public static func path(
        _ name: String, _ count: ConfigCount = .one, default fallback: String? = nil
    ) -> ConfigKey {
        text(name, count, kind: "an absolute path", default: fallback) {
            $0.hasPrefix("/") ? nil : "it is no absolute path; begin it with /"
        }
    }
}

extension ConfigKey where Value == Bool {
    /// `yes` or `no`, and what else systemd takes for that.
    public static func bool(_ name: String, default fallback: Bool? = nil) -> ConfigKey {
        ConfigKey(
            name, kind: "yes or no", default: fallback.map { $0 ? "yes" : "no" }
        ) { (text) throws(ConfigRefusal) in
            switch text.lowercased() {
            case "yes", "y", "true", "t", "on", "1": return true
            case "no", "n", "false", "f", "off", "0": return false
            default: throw ConfigRefusal("it is neither yes nor no")
            }
        }
    }
}

extension ConfigKey where Value == Int {
    public static func integer(
        _ name: String, in range: ClosedRange<Int>, default fallback: Int? = nil
    ) -> ConfigKey {
        let kind = "a number from \(range.lowerBound) to \(range.upperBound)"
        return ConfigKey(
            name, kind: kind, default: fallback.map { "\($0)" }
        ) { (text) throws(ConfigRefusal) in
            guard let number = Int(text) else { throw ConfigRefusal("it is not \(kind)") }
            guard range.contains(number) else {
                throw ConfigRefusal("it is not within \(range.lowerBound) and \(range.upperBound)")
            }
            return number
        }
    }
}

extension ConfigKey where Value == UInt64 {
    /// A time in nanoseconds: `500ms`, `5s`, `1min 30s`; a bare number is seconds.
    public static func duration(
        _ name: String, in range: ClosedRange<UInt64>, default fallback: UInt64? = nil
    ) -> ConfigKey {
        let bounds =
            "\(ConfigQuantity.time(range.lowerBound)) to "
            + ConfigQuantity.time(range.upperBound)
        return ConfigKey(
            name, kind: "a time from \(bounds)",
            default: fallback.map { ConfigQuantity.time($0) }
        ) { (text) throws(ConfigRefusal) in
            guard let time = ConfigQuantity.nanoseconds(text) else {
                throw ConfigRefusal("it is no time, such as 500ms, 5s or 1min 30s")
            }
            guard range.contains(time) else { throw ConfigRefusal("it is not from \(bounds)") }
            return time
        }
    }

    /// A size in bytes: `64K`, `4M`, `1.5G`, powers of 1024; a bare number is bytes.
    public static func size(
        _ name: String, in range: ClosedRange<UInt64>, powerOfTwo: Bool = false,
        default fallback: UInt64? = nil
    ) -> ConfigKey {
        let bounds =
            "\(ConfigQuantity.size(range.lowerBound)) to "
            + ConfigQuantity.size(range.upperBound)
        return ConfigKey(
            name, kind: "a size from \(bounds)" + (powerOfTwo ? ", a power of two" : ""),
            default: fallback.map { ConfigQuantity.size($0) }
        ) { (text) throws(ConfigRefusal) in
            guard let bytes = ConfigQuantity.bytes(text) else {
                throw ConfigRefusal("it is no size, such as 512K, 4M or 1G")
            }
            guard range.contains(bytes) else { throw ConfigRefusal("it is not from \(bounds)") }
            if powerOfTwo, bytes & (bytes - 1) != 0 {
                throw ConfigRefusal("it is no power of two, such as 512K, 4M or 1G")
            }
            return bytes
        }
    }
}

extension ConfigKey where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    /// One of the words of an enum.
    public static func choice(
        _ name: String, _ count: ConfigCount = .one, default fallback: Value? = nil
    ) -> ConfigKey {
        let words = Value.allCases.map(\.rawValue)
        let kind =
            words.count == 1
            ? words[0]
            : words.dropLast().joined(separator: ", ")
                + " or " + (words.last ?? "")
        return ConfigKey(
            name, count, kind: kind, default: fallback?.rawValue
        ) { (text) throws(ConfigRefusal) in
            if let value = Value(rawValue: text) { return value }
            let hint = nearest(to: text, among: words).map { "; did you mean \($0)?" } ?? ""
            throw ConfigRefusal("it is not \(kind)\(hint)")
        }
    }
}
