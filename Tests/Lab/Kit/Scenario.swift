// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Why the lab cannot go on, with the way out. Each has an exit status of its own.
public enum LabError: Error, Equatable {
    case usage(String)
    case missingTool(String, install: String)
    case failed(String)

    public var exitStatus: Int32 {
        switch self {
        case .usage: return 2
        case .missingTool: return 3
        case .failed: return 5
        }
    }

    public var sentence: String {
        switch self {
        case .usage(let text): return text
        case .missingTool(let tool, let install):
            return "\(tool) is not installed; run: \(install)"
        case .failed(let text): return text
        }
    }
}

/// One scenario: what load, what fault, when. Read from a file of `key=value` lines.
public struct Scenario: Equatable, Sendable {
    public var name: String
    public var about = ""
    /// The command that the guest runs as its load.
    public var load = ""
    /// `prepared` or `default`: see README, "Hosts".
    public var host = "prepared"
    public var memoryMiB = 256
    public var cpus = 2
    public var minFreeKiB = 32768
    /// Seconds after the load's start at which the wire is pulled, and for how long.
    public var wireOffAfter: Int?
    public var wireOffFor = 60
    /// The guest is given up after so many seconds.
    public var limitSeconds = 420
    /// Whether the load must end well.
    public var mustComplete = true

    public init(name: String) {
        self.name = name
    }

    /// Parses a scenario file. An unknown key is an error that names file and line.
    public static func parse(_ text: String, name: String) throws -> Scenario {
        var scenario = Scenario(name: name)
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            let trimmed = line.trimmingCharacters(in: .whitespaces)
            if trimmed.isEmpty || trimmed.hasPrefix("#") { continue }
            guard let equals = trimmed.firstIndex(of: "=") else {
                throw LabError.usage("\(name).scenario:\(index + 1): expected key=value")
            }
            let key = String(trimmed[..<equals])
            let value = String(trimmed[trimmed.index(after: equals)...])
            guard scenario.set(key, value) else {
                throw LabError.usage("\(name).scenario:\(index + 1): cannot use \(key)=\(value)")
            }
        }
        return scenario
    }

    private mutating func set(_ key: String, _ value: String) -> Bool {
        func number(_ assign: (Int) -> Void) -> Bool {
            guard let number = Int(value), number >= 0 else { return false }
            assign(number)
            return true
        }
        switch key {
        case "about": about = value
        case "load": load = value
        case "host":
            guard ["prepared", "default"].contains(value) else { return false }
            host = value
        case "memory_mib": return number { memoryMiB = $0 }
        case "cpus": return number { cpus = $0 }
        case "min_free_kib": return number { minFreeKiB = $0 }
        case "wire_off_after_s": return number { wireOffAfter = $0 }
        case "wire_off_for_s": return number { wireOffFor = $0 }
        case "limit_s": return number { limitSeconds = $0 }
        case "must_complete": mustComplete = value == "yes"
        default: return false
        }
        return true
    }
}
