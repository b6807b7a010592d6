// SPDX-License-Identifier: Apache-2.0

import Glibc
import ReserveAgent
import ReserveBox
import ReserveConfig
import ReserveKernel

private let millisecond: UInt64 = 1_000_000
private let usual = AgentSettings()

/// `[Agent]`: how the watch watches.
enum AgentKeys {
    static let interval = key("Interval", .interval)
    static let directReclaimNotice = key("DirectReclaimNotice", .directReclaimNotice)
    static let stallNotice = key("StallNotice", .stallNotice)
    static let samplePeriod = ConfigKey.duration(
        "SamplePeriod", in: millisecond...1000 * millisecond,
        default: UInt64(usual.samplePeriodMilliseconds) * millisecond)
    static let slow = ConfigKey.duration(
        "Slow", in: millisecond...10_000 * millisecond,
        default: UInt64(usual.slowMilliseconds) * millisecond)
    static let arm = ConfigKey<HookPlan.Arm>.choice("Arm", .words)
    static let ring = ConfigKey.size(
        "Ring", in: 4 << 10...64 << 20, powerOfTwo: true, default: UInt64(usual.ringKiB) << 10)
    static let priority = ConfigKey.integer(
        "Priority", in: 0...99, default: Int(usual.realTimePriority))
    static let eventsTo = ConfigKey<String>.path("EventsTo")
    static let eventsFormat = ConfigKey.choice("EventsFormat", default: usual.eventsFormat)
    static let recordTo = ConfigKey<String>.path("RecordTo")
    static let beatTo = ConfigKey<String>.path("BeatTo")

    static let section = ConfigSectionSchema(
        "Agent",
        keys: [
            interval.description, directReclaimNotice.description, stallNotice.description,
            samplePeriod.description, slow.description, arm.description,
            ring.description, priority.description, eventsTo.description,
            eventsFormat.description, recordTo.description, beatTo.description,
        ])
}

/// `[Alerts]`: where the watch itself writes what it warns of.
enum AlertKeys {
    static let to = ConfigKey<String>.text(
        "To", .words, kind: "kmsg, stdout or absolute paths, up to \(AgentSettings.mostAlertPlaces)"
    ) {
        ["kmsg", "stdout", "-"].contains($0) || $0.hasPrefix("/")
            ? nil : "it is neither kmsg nor stdout nor an absolute path"
    }
    static let format = ConfigKey.choice("Format", default: usual.alertFormat)
    static let criticalAfter = key("CriticalAfter", .criticalAfter)
    static let slowRequest = key("SlowRequest", .slowRequest)
    static let timeLeft = key("TimeLeft", .timeLeftWarning)
    static let hold = key("Hold", .alertHold)
    static let again = key("Again", .alertUpdate)
    static let againLongest = key("AgainLongest", .alertLongestUpdate)
    static let exposureAgain = key("ExposureAgain", .exposureUpdate)

    static let section = ConfigSectionSchema(
        "Alerts",
        keys: [
            to.description, format.description, criticalAfter.description,
            slowRequest.description, timeLeft.description, hold.description, again.description,
            againLongest.description, exposureAgain.description,
        ]
    ) { alerts in
        var problems: [ConfigProblem] = []
        let places = alerts.values(to).count
        if places > AgentSettings.mostAlertPlaces {
            problems.append(
                alerts.problem(
                    to, "that makes \(places) places; \(AgentSettings.mostAlertPlaces) is the most")
            )
        }
        let longest = alerts.value(againLongest) ?? usual.policy.alertLongestUpdate
        if alerts.value(again) ?? usual.policy.alertUpdate > longest {
            problems.append(
                alerts.problem(
                    again, "it is more than AgainLongest=, \(ConfigQuantity.time(longest))"))
        }
        return problems
    }
}

/// The times that may be set anew while the watch runs: every key of these, and no other.
enum LiveKeys {
    static let times: [(section: String, key: ConfigKey<UInt64>, time: AdjustableTime)] = [
        ("Agent", AgentKeys.interval, .interval),
        ("Agent", AgentKeys.directReclaimNotice, .directReclaimNotice),
        ("Agent", AgentKeys.stallNotice, .stallNotice),
        ("Alerts", AlertKeys.criticalAfter, .criticalAfter),
        ("Alerts", AlertKeys.slowRequest, .slowRequest),
        ("Alerts", AlertKeys.timeLeft, .timeLeftWarning),
        ("Alerts", AlertKeys.hold, .alertHold),
        ("Alerts", AlertKeys.again, .alertUpdate),
        ("Alerts", AlertKeys.againLongest, .alertLongestUpdate),
        ("Alerts", AlertKeys.exposureAgain, .exposureUpdate),
    ]

    /// Whether a setting, by its section's title and its name, is one.
    static func contains(_ title: String, _ name: String) -> Bool {
        times.contains { "[\($0.section)]" == title && $0.key.description.name == name }
    }
}

private func key(_ name: String, _ time: AdjustableTime) -> ConfigKey<UInt64> {
    .duration(name, in: time.range, default: usual.policy[keyPath: time.field])
}

/// `[Box]`: the shared memory between the watch and its readers.
enum BoxKeys {
    static let path = ConfigKey<String>.path("Path", default: BoxFile.usualPath)
    static let size = ConfigKey.size(
        "Size", in: 64 << 10...1 << 30, powerOfTwo: true, default: UInt64(usual.boxRingKiB) << 10)
    static let group = ConfigKey<String>.text("Group", kind: "a group, by name or number")

    static let section = ConfigSectionSchema(
        "Box", keys: [path.description, size.description, group.description])
}

extension AgentSettings {
    /// What the sections say; the rest is as usual.
    ///
    /// - Parameter problems: what only this host can tell, such as that there is no such group.
    init(_ configuration: Configuration, problems: inout [ConfigProblem]) {
        self.init()
        let agent = configuration.section("Agent")
        func milliseconds(_ key: ConfigKey<UInt64>) -> Int? {
            agent.value(key).map { Int($0 / millisecond) }
        }
        for (section, key, time) in LiveKeys.times {
            guard let value = configuration.section(section).value(key) else { continue }
            policy[keyPath: time.field] = value
        }
        if let value = milliseconds(AgentKeys.samplePeriod) { samplePeriodMilliseconds = value }
        if let value = milliseconds(AgentKeys.slow) { slowMilliseconds = value }
        armed = Set(agent.values(AgentKeys.arm))
        if let value = agent.value(AgentKeys.ring) { ringKiB = Int(value >> 10) }
        if let value = agent.value(AgentKeys.priority) { realTimePriority = Int32(value) }
        eventsTo = agent.value(AgentKeys.eventsTo)
        if let value = agent.value(AgentKeys.eventsFormat) { eventsFormat = value }
        recordTo = agent.value(AgentKeys.recordTo)
        beatTo = agent.value(AgentKeys.beatTo)
        guardRules = GuardKeys.rules(configuration)
        let alerts = configuration.section("Alerts")
        alertsTo = alerts.values(AlertKeys.to)
        if let value = alerts.value(AlertKeys.format) { alertFormat = value }
        let shared = configuration.section("Box")
        if let value = shared.value(BoxKeys.path) { box = .path(value) }
        if let value = shared.value(BoxKeys.size) { boxRingKiB = Int(value >> 10) }
        if let name = shared.value(BoxKeys.group) {
            group = Group.number(name)
            if group == nil {
                problems.append(shared.problem(BoxKeys.group, "there is no such group here"))
            }
        } else {
            group = Group.number("reservewatch")
        }
    }
}

/// Groups by /etc/group itself: a static program has no way to ask other directories.
enum Group {
    /// The number of a group, by its name or by itself; nil: there is none of that name.
    static func number(_ name: String) -> UInt32? {
        for line in (readFile("/etc/group", limit: 1 << 20) ?? "").split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count >= 3, fields[0] == name, let number = UInt32(fields[2]) {
                return number
            }
        }
        return UInt32(name)
    }
}
