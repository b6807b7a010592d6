// SPDX-License-Identifier: Apache-2.0

import ReserveBox
import ReserveKernel
import ReserveModel
import ReservePolicy
import ReserveSinks

/// Everything that the watch is told at its start, and the words in which the command hands
/// it to the agent's own program.
public struct AgentSettings: Sendable, Equatable {
    /// Where the black box is. A descriptor is one that the agent inherits.
    public enum Box: Sendable, Equatable {
        case path(String)
        case descriptor(Int32)
    }

    /// Places that alerts are written to.
    public static let mostAlertPlaces = 4

    public var box = Box.path(BoxFile.usualPath)
    public var boxRingKiB = 4096
    public var group: UInt32?
    /// "kmsg", "stdout" or a path; each gets every alert.
    public var alertsTo: [String] = []
    public var alertFormat = LineFormat.text
    public var eventsTo: String?
    public var eventsFormat = LineFormat.json
    public var recordTo: String?
    public var beatTo: String?
    /// What is told, and when; only ``AdjustableTime`` of it can be set.
    public var policy = Policy()
    /// Descriptors that come with the agent: the exchange with who reads its configuration, and
    /// the bell that wakes that one.
    public var exchange: Exchange?
    public var samplePeriodMilliseconds = 10
    public var slowMilliseconds = 50
    public var ringKiB = 1024
    public var armed: Set<HookPlan.Arm> = []
    public var guardRules = GuardRules()
    public var realTimePriority: Int32 = 10
    /// The process with which the watch ends; nil: it outlives its parent.
    public var parent: Int32?
    /// By which it acts on the host.
    public var rules = RuleSet()

    public struct Exchange: Sendable, Equatable {
        public var file: Int32
        public var bell: Int32

        public init(file: Int32, bell: Int32) {
            self.file = file
            self.bell = bell
        }
    }

    /// Between two summaries.
    public var intervalMilliseconds: Int {
        get { Int(policy.summaryInterval / 1_000_000) }
        set { policy.summaryInterval = UInt64(newValue) * 1_000_000 }
    }

    public init() {}

    /// Why a word is not taken.
    public struct Problem: Error, Equatable {
        public var word: String
        public var reason: String
    }

    /// One `name=value` for each setting.
    public var words: [String] {
        var words: [String] = []
        switch box {
        case .path(let path): words.append("box=\(path)")
        case .descriptor(let number): words.append("box_descriptor=\(number)")
        }
        words.append("box_ring_kib=\(boxRingKiB)")
        if let group { words.append("group=\(group)") }
        words += alertsTo.map { "alert_to=\($0)" }
        words.append("alert_format=\(alertFormat.rawValue)")
        if let eventsTo { words.append("events_to=\(eventsTo)") }
        words.append("events_format=\(eventsFormat.rawValue)")
        if let recordTo { words.append("record_to=\(recordTo)") }
        if let beatTo { words.append("beat_to=\(beatTo)") }
        words += AdjustableTime.all.map {
            "\($0.word)=\(policy[keyPath: $0.field] / 1_000_000)"
        }
        words.append("sample_period_ms=\(samplePeriodMilliseconds)")
        words.append("slow_ms=\(slowMilliseconds)")
        words.append("ring_kib=\(ringKiB)")
        words += armed.map { "arm=\($0.rawValue)" }.sorted()
        for (word, rule) in Self.guardWords {
            if let mode = guardRules[rule] { words.append("\(word)=\(mode.rawValue)") }
        }
        words += guardRules.exceptions.map { "guard_except=\($0)" }
        words.append("priority=\(realTimePriority)")
        if let parent { words.append("parent=\(parent)") }
        if let exchange { words.append("exchange=\(exchange.file),\(exchange.bell)") }
        return words + rules.words
    }

    private static let guardWords: [(String, GuardRules.Rule)] = [
        ("guard", .processes), ("guard_swapoff", .swapoff), ("guard_disconnect", .disconnect),
    ]

    /// Reads such words; what is not named keeps its default.
    public init(words: [String]) throws(Problem) {
        var sections: [(word: String, section: RuleSet.Section)] = []
        for word in words {
            guard let equals = word.firstIndex(of: "=") else {
                throw Problem(word: word, reason: "it is no name=value")
            }
            let name = String(word[..<equals])
            let value = String(word[word.index(after: equals)...])
            if name == "rule" || name == "policy" {
                sections.append(
                    (word, RuleSet.section(word: value, isRule: name == "rule")))
                continue
            }
            if let reason = take(name, value) { throw Problem(word: word, reason: reason) }
        }
        var problems: [RuleProblem] = []
        rules = RuleSet.read(sections.map(\.section), problems: &problems)
        if let problem = problems.first {
            let word = sections.first { $0.section.title == problem.place }?.word
            throw Problem(word: word ?? problem.place, reason: problem.sentence)
        }
        if let reason = conflict {
            throw Problem(word: words.joined(separator: " "), reason: reason)
        }
    }

    /// Takes one setting in; why not, otherwise.
    private mutating func take(_ name: String, _ value: String) -> String? {
        switch name {
        case "box": box = .path(value)
        case "box_descriptor":
            guard let number = Int32(value), number > 2 else { return "it is no descriptor" }
            box = .descriptor(number)
        case "group":
            guard let number = UInt32(value) else { return "it is no number of a group" }
            group = number
        case "alert_to": alertsTo.append(value)
        case "alert_format":
            guard let format = LineFormat(rawValue: value) else { return "json or text" }
            alertFormat = format
        case "events_to": eventsTo = value
        case "events_format":
            guard let format = LineFormat(rawValue: value) else { return "json or text" }
            eventsFormat = format
        case "record_to": recordTo = value
        case "beat_to": beatTo = value
        case "arm":
            guard let arm = HookPlan.Arm(rawValue: value) else { return "nothing to arm" }
            armed.insert(arm)
        case "guard", "guard_swapoff", "guard_disconnect":
            guard let mode = GuardMode(rawValue: value) else { return "off, observe or enforce" }
            for (word, rule) in Self.guardWords where word == name { guardRules[rule] = mode }
        case "guard_except":
            if let problem = GuardRules.problem(ofException: value) { return problem }
            if !guardRules.exceptions.contains(value) { guardRules.exceptions.append(value) }
        case "exchange":
            let numbers = value.split(separator: ",").compactMap { Int32($0) }
            guard numbers.count == 2, numbers.allSatisfy({ $0 > 2 }) else {
                return "these are no two descriptors"
            }
            exchange = Exchange(file: numbers[0], bell: numbers[1])
        case "parent":
            guard let number = Int32(value), number > 0 else { return "it is no process" }
            parent = number
        default: return takeNumber(name, value)
        }
        return nil
    }

    private mutating func takeNumber(_ name: String, _ value: String) -> String? {
        guard let number = Int(value) else { return "there is no such setting, or it is no number" }
        func within(_ range: ClosedRange<Int>, _ set: (Int) -> Void) -> String? {
            guard range.contains(number) else {
                return "it is not within \(range.lowerBound) and \(range.upperBound)"
            }
            set(number)
            return nil
        }
        if let time = AdjustableTime.all.first(where: { $0.word == name }) {
            let bounds = time.range
            return within(Int(bounds.lowerBound / 1_000_000)...Int(bounds.upperBound / 1_000_000)) {
                policy[keyPath: time.field] = UInt64($0) * 1_000_000
            }
        }
        switch name {
        case "box_ring_kib": return within(64...1_048_576) { boxRingKiB = $0 }
        case "sample_period_ms": return within(1...1000) { samplePeriodMilliseconds = $0 }
        case "slow_ms": return within(1...10_000) { slowMilliseconds = $0 }
        case "ring_kib": return within(4...65_536) { ringKiB = $0 }
        case "priority": return within(0...99) { realTimePriority = Int32($0) }
        default: return "there is no such setting"
        }
    }

    private var conflict: String? {
        if ringKiB & (ringKiB - 1) != 0 { return "ring_kib is no power of two" }
        if !BoxSize.isValid(ringBytes: boxRingKiB << 10) {
            return "box_ring_kib is no power of two"
        }
        if guardRules.exceptions.count > GuardRules.mostExceptions {
            return "more than \(GuardRules.mostExceptions) guard_except"
        }
        if alertsTo.count > AlertSinks.most { return "more than \(AlertSinks.most) alert_to" }
        return nil
    }

    /// What the programs are told.
    var kernelSettings: LiveKernel.Settings {
        var settings = LiveKernel.Settings()
        settings.samplePeriodNanoseconds = UInt64(samplePeriodMilliseconds) * 1_000_000
        settings.reportPeriodNanoseconds = UInt64(max(samplePeriodMilliseconds, 100)) * 1_000_000
        settings.slowThresholdNanoseconds = UInt64(slowMilliseconds) * 1_000_000
        settings.ringBytes = UInt32(ringKiB) * 1024
        settings.armed = armed
        settings.guardRules = guardRules
        settings.guardsItself = parent == nil
        return settings
    }
}
