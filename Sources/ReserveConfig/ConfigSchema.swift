// SPDX-License-Identifier: Apache-2.0

/// One kind of section: whose it is, which keys it has. Each target that is configured declares
/// its own; the command puts them together.
public struct ConfigSectionSchema: Sendable {
    public let kind: String
    /// `[Kind NAME]`, as many as there are names; else `[Kind]`, once.
    public let isNamed: Bool
    public let keys: [ConfigKeyDescription]
    let check: @Sendable (ConfigSection) -> [ConfigProblem]

    /// - Parameter check: what no key can know by itself: keys that exclude or need each other.
    ///   Asked for each section that is there and whose keys were all taken.
    public init(
        _ kind: String, isNamed: Bool = false, keys: [ConfigKeyDescription],
        check: @escaping @Sendable (ConfigSection) -> [ConfigProblem] = { _ in [] }
    ) {
        self.kind = kind
        self.isNamed = isNamed
        self.keys = keys
        self.check = check
    }
}

/// All that may stand in the configuration.
public struct ConfigSchema: Sendable {
    public let sections: [ConfigSectionSchema]

    public init(_ sections: [ConfigSectionSchema]) {
        self.sections = sections
    }

    func section(_ kind: String) -> ConfigSectionSchema? {
        sections.first { $0.kind == kind }
    }
}

/// A value as it was set, and where.
public struct ConfigValue: Sendable, Equatable {
    public var text: String
    public var place: ConfigPlace
}

/// A section as all files together set it.
public struct ConfigSection: Sendable {
    public let kind: String
    public let name: String?
    /// Where it stands first; nil: nowhere.
    public let place: ConfigPlace?
    /// By key, in order.
    var values: [String: [ConfigValue]] = [:]

    init(kind: String, name: String?, place: ConfigPlace?) {
        self.kind = kind
        self.name = name
        self.place = place
    }

    /// `[Kind NAME]`, as it is written.
    public var title: String { name.map { "[\(kind) \($0)]" } ?? "[\(kind)]" }

    /// What the key is set to; nil: not set, or not to be taken.
    public func value<Value>(_ key: ConfigKey<Value>) -> Value? {
        values(key).last
    }

    /// A list's elements; empty: not set.
    public func values<Value>(_ key: ConfigKey<Value>) -> [Value] {
        texts(key.description.name).compactMap { value in
            // What does not parse is a problem of the configuration already.
            do throws(ConfigRefusal) { return try key.parse(value.text) } catch { return nil }
        }
    }

    /// What was written, with its places.
    public func texts(_ key: String) -> [ConfigValue] { values[key] ?? [] }

    /// Where the key is set; nil: nowhere.
    public func place<Value>(of key: ConfigKey<Value>) -> ConfigPlace? {
        texts(key.description.name).last?.place
    }

    /// A problem of a key, at its place; of one that is not set, at the section's.
    public func problem<Value>(
        _ key: ConfigKey<Value>, _ reason: String, _ severity: ConfigProblem.Severity = .error
    ) -> ConfigProblem {
        let name = key.description.name
        let last = texts(name).last
        let subject = last.map { "\(name)=\(quoted($0.text))" } ?? "\(name)="
        return ConfigProblem(
            severity, at: last?.place ?? place ?? ConfigPlace(file: title, line: 0),
            "\(title) \(subject): \(reason)")
    }
}
