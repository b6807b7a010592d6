// SPDX-License-Identifier: Apache-2.0

import Glibc
import ReserveBox

/// Everything that `forward` is told at its start, and the words in which the command hands it
/// to the program of its own.
public struct ForwardSettings: Equatable, Sendable {
    public var box = BoxFile.usualPath
    /// The queue's directory.
    public var state: String
    /// The file that `metrics` reads; nil: none.
    public var status: String?
    public var queueMaxBytes: UInt64 = 4 << 20
    public var queueMaxNanoseconds: UInt64 = 7 * 86_400 * 1_000_000_000
    var backoff = Backoff()
    var lookMilliseconds = 250
    var statusMilliseconds = 1000
    var destinations: [DestinationSettings] = []
    /// Of this build: what is sent says who sends it.
    public var version = "unknown"
    /// What prints the settings anew, for SIGHUP: a program and its words.
    public var command: [String] = []
    /// Tries every destination, and ends.
    public var isTest = false

    public static let usualState = "/var/lib/reservewatch-forward"
    public static let usualStatus = "/run/reservewatch-forward/status"
    /// More would be more than a host should tell.
    public static let mostDestinations = 32

    public init() {
        // What systemd gives a service of ours.
        state = Self.environment("STATE_DIRECTORY") ?? Self.usualState
        status = Self.environment("RUNTIME_DIRECTORY").map { "\($0)/status" } ?? Self.usualStatus
    }

    private static func environment(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        // More than one are separated by colons: the first is ours.
        let first = String(cString: value).prefix { $0 != ":" }
        return first.hasPrefix("/") ? String(first) : nil
    }

    /// Reads `name=value` words; those of a destination are `destination.NAME.KEY=value`, and
    /// `words=DESCRIPTOR` is a file in memory with more of them, a line each.
    public init(words: [String]) throws(ForwardError) {
        self.init()
        for word in try Self.allWords(words) {
            guard let equals = word.firstIndex(of: "=") else {
                throw .badSetting(name: word, reason: "it is no name=value")
            }
            let name = String(word[..<equals])
            let value = String(word[word.index(after: equals)...])
            if name.hasPrefix("destination.") {
                try takeDestination(name, value)
            } else if let reason = take(name, value) {
                throw .badSetting(name: name, reason: reason)
            }
        }
        try check()
    }

    private static func allWords(_ words: [String]) throws(ForwardError) -> [String] {
        var all: [String] = []
        for word in words {
            guard word.hasPrefix("words=") else {
                all.append(word)
                continue
            }
            guard let descriptor = Int32(word.dropFirst("words=".count)), descriptor > 2 else {
                throw .badSetting(name: "words", reason: "it is no descriptor")
            }
            defer { close(descriptor) }
            var bytes = [UInt8](repeating: 0, count: 1 << 20)
            let count = pread(descriptor, &bytes, bytes.count, 0)
            guard count >= 0 else {
                throw .resources(operation: "read the settings", errno: errno)
            }
            let text = String(decoding: bytes[..<count], as: UTF8.self)
            all += text.split(separator: "\n").map(String.init)
        }
        return all
    }

    /// One `name=value` for each setting, as ``init(words:)`` reads them.
    public var words: [String] {
        var words = [
            "box=\(box)", "state=\(state)", "status=\(status ?? "")", "version=\(version)",
            "queue_bytes=\(queueMaxBytes)", "queue_age_ms=\(queueMaxNanoseconds / 1_000_000)",
            "retry_most_ms=\(backoff.mostNanoseconds / 1_000_000)", "test=\(isTest ? 1 : 0)",
        ]
        words += command.map { "command=\($0)" }
        for destination in destinations {
            words += destination.settings.map {
                "destination.\(destination.name).\($0.key)=\($0.value)"
            }
        }
        return words
    }

    private mutating func takeDestination(
        _ name: String, _ value: String
    ) throws(ForwardError) {
        let parts = name.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3 else {
            throw .badSetting(name: name, reason: "it is no destination.NAME.KEY")
        }
        try set(destination: String(parts[1]), key: String(parts[2]), value: value)
    }

    /// One setting of one destination, which is made where it is new.
    public mutating func set(
        destination: String, key: String, value: String
    ) throws(ForwardError) {
        var index = destinations.firstIndex { $0.name == destination }
        if index == nil {
            if let reason = DestinationSettings.nameProblem(destination) {
                throw .badSetting(name: "destination \"\(destination)\"", reason: reason)
            }
            destinations.append(DestinationSettings(name: destination))
            index = destinations.count - 1
        }
        guard let index else { return }
        if let reason = destinations[index].set(key, value) {
            throw .badSetting(name: "\(key)= of destination \(destination)", reason: reason)
        }
    }

    private mutating func take(_ name: String, _ value: String) -> String? {
        switch name {
        case "box": box = value
        case "state": state = value
        case "version": version = value
        case "command": command.append(value)
        case "test": isTest = value == "1"
        case "status": status = value.isEmpty ? nil : value
        default:
            guard let number = UInt64(value) else {
                return "there is no such setting, or it is no number"
            }
            switch name {
            case "queue_bytes":
                guard number >= 64 << 10 else { return "it is less than 64 KiB" }
                queueMaxBytes = number
            case "queue_age_ms": queueMaxNanoseconds = number &* 1_000_000
            case "retry_first_ms": backoff.firstNanoseconds = number &* 1_000_000
            case "retry_most_ms": backoff.mostNanoseconds = number &* 1_000_000
            case "status_ms": statusMilliseconds = Int(clamping: min(number, 60_000))
            case "look_ms": lookMilliseconds = Int(clamping: min(number, 60_000))
            default: return "there is no such setting"
            }
        }
        return nil
    }

    public func check() throws(ForwardError) {
        guard !destinations.isEmpty else { throw .noDestination }
        guard destinations.reduce(0, { $0 + $1.laneCount }) <= Self.mostDestinations else {
            throw .badSetting(
                name: "destinations", reason: "more than \(Self.mostDestinations) are configured")
        }
        for destination in destinations {
            if let reason = destination.problem {
                throw .badSetting(name: "destination \(destination.name)", reason: reason)
            }
            try destination.checkFiles()
        }
    }

    var queue: AlertQueue.Settings {
        AlertQueue.Settings(mostBytes: queueMaxBytes, mostNanoseconds: queueMaxNanoseconds)
    }
}
