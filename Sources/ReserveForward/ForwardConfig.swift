// SPDX-License-Identifier: Apache-2.0

import ReserveConfig

/// What of the configuration is forward's: `[Forward]`, and a `[Destination NAME]` for each place
/// to which alerts go.
public enum ForwardConfig {
    public static let sections = [forward, destination]

    private static let queueMaxBytes = ConfigKey<UInt64>.size(
        "QueueMaxBytes", in: 64 << 10...1 << 30, default: 4 << 20)
    private static let queueMaxAge = ConfigKey<UInt64>.duration(
        "QueueMaxAge", in: second...365 * 86_400 * second, default: 7 * 86_400 * second)
    private static let retryMax = ConfigKey<UInt64>.duration(
        "RetryMax", in: second...3600 * second, default: 60 * second)
    private static let second: UInt64 = 1_000_000_000

    private static let forward = ConfigSectionSchema(
        "Forward",
        keys: [queueMaxBytes.description, queueMaxAge.description, retryMax.description])

    /// Each key takes what a destination of its own would; whether they fit together is looked at
    /// when all of them are right.
    private static let keys = DestinationSettings.keys.map { key in
        ConfigKey<String>.text(
            key.name, key.isList ? .lines : .one, kind: key.says,
            check: { value in
                var trial = DestinationSettings(name: "trial")
                return trial.set(key.name, value)
            })
    }

    private static let destination = ConfigSectionSchema(
        "Destination", isNamed: true, keys: keys.map(\.description)
    ) { section in
        let name = section.name ?? ""
        let problem: String?
        if let reason = DestinationSettings.nameProblem(name) {
            problem = "the name is not taken: \(reason)"
        } else {
            problem = settings(of: section).problem
        }
        guard let problem, let place = section.place else { return [] }
        return [ConfigProblem(at: place, "\(section.title): \(problem)")]
    }

    static func settings(of section: ConfigSection) -> DestinationSettings {
        var settings = DestinationSettings(name: section.name ?? "")
        for key in keys {
            for value in section.texts(key.description.name) {
                _ = settings.set(key.description.name, value.text)
            }
        }
        return settings
    }

    static func take(_ configuration: Configuration, into settings: inout ForwardSettings) {
        let section = configuration.section("Forward")
        if let bytes = section.value(queueMaxBytes) { settings.queueMaxBytes = bytes }
        if let age = section.value(queueMaxAge) { settings.queueMaxNanoseconds = age }
        if let most = section.value(retryMax) { settings.backoff.mostNanoseconds = most }
        settings.destinations += configuration.sections("Destination").map(Self.settings(of:))
    }
}

extension ForwardSettings {
    /// What a configuration without errors says; the rest as it is without one.
    public init(_ configuration: Configuration) {
        self.init()
        ForwardConfig.take(configuration, into: &self)
    }
}
