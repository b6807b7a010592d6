// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// Why an attempt to deliver an alert failed.
public enum FailureCause: String, CaseIterable, Sendable {
    case noName = "no_name"
    case noConnection = "no_connection"
    case untrusted
    case timeout
    case closed
    case noHTTP = "no_http"
    case redirect
    case unauthorized
    case busy
    case status4xx = "status_4xx"
    case status5xx = "status_5xx"
    /// A command's status, and its end by a signal.
    case exit
    case killed
    /// It could not be begun: a secret that cannot be read, no descriptor, a socket that is not
    /// there.
    case local

    var word: StaticString {
        switch self {
        case .noName: return "no_name"
        case .noConnection: return "no_connection"
        case .untrusted: return "untrusted"
        case .timeout: return "timeout"
        case .closed: return "closed"
        case .noHTTP: return "no_http"
        case .redirect: return "redirect"
        case .unauthorized: return "unauthorized"
        case .busy: return "busy"
        case .status4xx: return "status_4xx"
        case .status5xx: return "status_5xx"
        case .exit: return "exit"
        case .killed: return "killed"
        case .local: return "local"
        }
    }
}

/// Why an alert was given up for a destination.
public enum DropCause: String, CaseIterable, Sendable {
    /// The destination will never take it.
    case refused
    /// The queue had no room for it.
    case room
    /// It waited too long.
    case age
    /// Its frame in the queue was damaged.
    case damaged

    var word: StaticString {
        switch self {
        case .refused: return "refused"
        case .room: return "room"
        case .age: return "age"
        case .damaged: return "damaged"
        }
    }
}

/// How the delivery of alerts stands: written by `forward` into a file, read by `metrics`.
public struct ForwardStatus: Sendable, Equatable {
    public struct Destination: Sendable, Equatable {
        public var name = ""
        public var endpoint = ""
        public var queued: UInt64 = 0
        public var oldestNanoseconds: UInt64 = 0
        public var sent: UInt64 = 0
        /// Nanoseconds since 1970; nil: it never took anything.
        public var lastSuccess: Int64?
        public var failed: [FailureCause: UInt64] = [:]
        public var dropped: [DropCause: UInt64] = [:]

        public init() {}
    }

    /// CLOCK_BOOTTIME of the writing, on which boot.
    public var writtenBootNanoseconds: UInt64 = 0
    public var bootID = ""
    /// An agent's box is read.
    public var isFollowing = false
    public var queueBytes: UInt64 = 0
    public var queueFailures: UInt64 = 0
    public var missedLines: UInt64 = 0
    public var missedIncidents: UInt64 = 0
    public var destinations: [Destination] = []

    /// It is written this often at least: what is three times as old says nothing of now.
    public static let writtenEachNanoseconds: UInt64 = 10_000_000_000
    public static let longestBytes = 64 * 1024
    private static let mostDestinations = 64

    public init() {}

    public var bytes: [UInt8] {
        var text = "forward=1\n"
        func add(_ name: String, _ value: some CustomStringConvertible) {
            text += "\(name)=\(plainText(value.description))\n"
        }
        add("written_boot_ns", writtenBootNanoseconds)
        add("boot_id", bootID)
        add("following", isFollowing ? 1 : 0)
        add("queue_bytes", queueBytes)
        add("queue_failures", queueFailures)
        add("missed_lines", missedLines)
        add("missed_incidents", missedIncidents)
        for destination in destinations {
            add("destination", destination.name)
            add("endpoint", destination.endpoint)
            add("queued", destination.queued)
            add("oldest_ns", destination.oldestNanoseconds)
            add("sent", destination.sent)
            if let time = destination.lastSuccess { add("last_success", time) }
            for cause in FailureCause.allCases {
                add("failed.\(cause.rawValue)", destination.failed[cause] ?? 0)
            }
            for cause in DropCause.allCases {
                add("dropped.\(cause.rawValue)", destination.dropped[cause] ?? 0)
            }
        }
        return Array(text.utf8)
    }

    /// nil: it is no such file.
    public init?(_ text: String) {
        let lines = text.split(separator: "\n")
        guard lines.first == "forward=1" else { return nil }
        for line in lines.dropFirst() {
            guard let equals = line.firstIndex(of: "=") else { return nil }
            let name = String(line[..<equals])
            let value = String(line[line.index(after: equals)...])
            if name == "destination" {
                guard destinations.count < Self.mostDestinations else { return nil }
                destinations.append(Destination())
            }
            if destinations.isEmpty {
                take(name, value)
            } else {
                destinations[destinations.count - 1].take(name, value)
            }
        }
        guard writtenBootNanoseconds > 0 else { return nil }
    }

    private mutating func take(_ name: String, _ value: String) {
        switch name {
        case "boot_id": bootID = value
        case "following": isFollowing = value == "1"
        case "written_boot_ns": writtenBootNanoseconds = UInt64(value) ?? 0
        case "queue_bytes": queueBytes = UInt64(value) ?? 0
        case "queue_failures": queueFailures = UInt64(value) ?? 0
        case "missed_lines": missedLines = UInt64(value) ?? 0
        case "missed_incidents": missedIncidents = UInt64(value) ?? 0
        default: break  // of a newer build
        }
    }
}

extension ForwardStatus.Destination {
    fileprivate mutating func take(_ name: String, _ value: String) {
        switch name {
        case "destination": self.name = value
        case "endpoint": endpoint = value
        case "last_success": lastSuccess = Int64(value)
        default:
            guard let number = UInt64(value) else { return }
            switch name {
            case "queued": queued = number
            case "oldest_ns": oldestNanoseconds = number
            case "sent": sent = number
            default:
                let parts = name.split(separator: ".")
                guard parts.count == 2 else { return }
                if parts[0] == "failed", let cause = FailureCause(rawValue: String(parts[1])) {
                    failed[cause] = number
                } else if parts[0] == "dropped",
                    let cause = DropCause(rawValue: String(parts[1]))
                {
                    dropped[cause] = number
                }
            }
        }
    }
}
