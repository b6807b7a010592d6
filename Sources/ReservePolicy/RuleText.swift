// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// One `Key=value` of a section, and where it stands.
public struct RuleLine: Sendable, Equatable {
    public var key: String
    public var value: String
    /// "FILE:LINE", for messages.
    public var place: String

    public init(key: String, value: String, place: String) {
        self.key = key
        self.value = value
        self.place = place
    }
}

/// What of a policy's text cannot be taken, where, and what to do.
public struct RuleProblem: Error, Sendable, Equatable {
    public var place: String
    public var sentence: String

    public init(place: String, sentence: String) {
        self.place = place
        self.sentence = sentence
    }
}

extension Rule {
    /// The keys of a section `[Rule NAME]`.
    public static let keys = [
        "Mode", "When", "Evidence", "For", "Action", "Target", "MaxTimes", "Every", "MaxDuration",
        "MaxVictims", "MemoryHigh", "EndConnection", "SpareConnection",
    ]

    /// Reads one section; every problem of it is found, not only the first.
    ///
    /// - Returns: nil with at least one problem.
    public static func read(
        name: String, place: String, lines: [RuleLine], problems: inout [RuleProblem]
    ) -> Rule? {
        var reader = RuleReader(name: name, place: place, lines: lines)
        let rule = reader.read()
        problems += reader.problems
        return reader.problems.isEmpty ? rule : nil
    }

    /// The lines that give this rule again.
    public var lines: [RuleLine] {
        var pairs: [(String, String)] = [("Mode", "\(mode)")]
        pairs.append(("When", states.words.joined(separator: " ")))
        let evidence = Evidence.allCases.compactMap {
            seen.contains($0) ? $0.word : ruledOut.contains($0) ? "!" + $0.word : nil
        }
        if !evidence.isEmpty { pairs.append(("Evidence", evidence.joined(separator: " "))) }
        pairs.append(("For", Span.text(holdNanoseconds)))
        pairs.append(("Action", action.rawValue))
        pairs.append(("Target", target.words))
        pairs.append(("MaxTimes", "\(limits.times)"))
        pairs.append(("Every", Span.text(limits.everyNanoseconds)))
        if action.isUndone || action == .rescue {
            pairs.append(("MaxDuration", Span.text(limits.durationNanoseconds)))
        }
        if action == .kill || action == .rescue {
            pairs.append(("MaxVictims", "\(limits.victims)"))
        }
        if action == .memoryHigh { pairs.append(("MemoryHigh", "\(memoryHighPercent)%")) }
        if action == .rescue {
            pairs.append(("EndConnection", endsConnection ? "yes" : "no"))
            pairs.append(("SpareConnection", keepsSpare ? "yes" : "no"))
        }
        return pairs.map { RuleLine(key: $0.0, value: $0.1, place: "") }
    }
}

extension HostStates {
    public var words: [String] {
        HostState.allCases.filter { contains($0) }.map { "\($0)" }
    }
}

/// Reads one section.
private struct RuleReader {
    let name: String
    let place: String
    let lines: [RuleLine]
    var problems: [RuleProblem] = []

    init(name: String, place: String, lines: [RuleLine]) {
        self.name = name
        self.place = place
        self.lines = lines
    }

    private mutating func reject(_ key: String?, _ sentence: String) {
        let line = lines.last { $0.key == key }
        problems.append(RuleProblem(place: line?.place ?? place, sentence: sentence))
    }

    /// The last of a key counts; an empty value is as if it were not there.
    private func value(_ key: String) -> String? {
        guard let value = lines.last(where: { $0.key == key })?.value, !value.isEmpty else {
            return nil
        }
        return value
    }

    mutating func read() -> Rule? {
        checkName()
        for line in lines where !Rule.keys.contains(line.key) {
            problems.append(
                RuleProblem(
                    place: line.place,
                    sentence: "[Rule \(name)] has no \(line.key)=; its keys are "
                        + Rule.keys.map { "\($0)=" }.joined(separator: " ")))
        }
        guard let action = readAction(), let target = readTarget(action) else { return nil }
        var rule = Rule(name: name, action: action, target: target)
        readMode(&rule)
        readStates(&rule)
        readEvidence(&rule)
        rule.holdNanoseconds = action.usualHold
        if let span = span("For", from: action.leastHold, to: 600_000_000_000) {
            rule.holdNanoseconds = span
        }
        readLimits(&rule)
        readParticulars(&rule)
        return rule
    }

    private mutating func checkName() {
        let isPlain = name.utf8.allSatisfy {
            $0 >= 0x61 && $0 <= 0x7a || $0 >= 0x41 && $0 <= 0x5a || $0 >= 0x30 && $0 <= 0x39
                || $0 == 0x2e || $0 == 0x5f || $0 == 0x2d
        }
        guard isPlain, !name.isEmpty, name.utf8.count <= 31 else {
            return reject(
                nil,
                "a rule's name is 1 to 31 letters, digits, dots, dashes and underscores: "
                    + "[Rule freeze-load]")
        }
    }

    private mutating func readAction() -> Rule.Action? {
        let words = Rule.Action.allCases.map(\.rawValue).joined(separator: ", ")
        guard let text = value("Action") else {
            reject(nil, "[Rule \(name)] has no Action=; it is one of \(words)")
            return nil
        }
        guard let action = Rule.Action(rawValue: text) else {
            reject("Action", "Action=\(text) is none of \(words)")
            return nil
        }
        return action
    }

    private mutating func readTarget(_ action: Rule.Action) -> RuleTarget? {
        guard let text = value("Target") else {
            reject(nil, "[Rule \(name)] has no Target=; " + Self.targets(action))
            return nil
        }
        guard let target = parseTarget(text) else { return nil }
        let isGroup: Bool
        switch target {
        case .cgroup, .unit: isGroup = true
        case .largestIn, .socketMemoryOwner: isGroup = false
        }
        guard isGroup != (action == .stop || action == .kill) else {
            reject(
                "Target",
                "Target=\(text) is not for Action=\(action.rawValue): " + Self.targets(action))
            return nil
        }
        return target
    }

    private static func targets(_ action: Rule.Action) -> String {
        switch action {
        case .stop, .kill:
            return "name largest-in CGROUP, largest-in UNIT, or socket-memory-owner"
        default: return "name a cgroup, such as /load, or a unit, such as batch.service"
        }
    }

    private mutating func parseTarget(_ text: String) -> RuleTarget? {
        if text == "socket-memory-owner" { return .socketMemoryOwner }
        let words = text.split(separator: " ")
        if words.first == "largest-in", words.count == 2 {
            return parsePlace(String(words[1])).map { .largestIn($0) }
        }
        switch parsePlace(text) {
        case .cgroup(let path): return .cgroup(path)
        case .unit(let unit): return .unit(unit)
        case nil: return nil
        }
    }

    private mutating func parsePlace(_ text: String) -> RuleTarget.Place? {
        let isClean = text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f && $0 != 0x3b }
        guard isClean, text.utf8.count <= 100 else {
            reject("Target", "a cgroup or unit has at most 100 bytes, without blanks and ;")
            return nil
        }
        if text.hasPrefix("/") {
            let parts = text.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
            guard !parts.contains(where: { $0.isEmpty || $0 == "." || $0 == ".." }) else {
                reject(
                    "Target",
                    "Target=\(text) is no cgroup below the root: write its path as "
                        + "/proc/PID/cgroup has it, without a / at the end")
                return nil
            }
            return .cgroup(text)
        }
        guard [".service", ".scope", ".slice"].contains(where: text.hasSuffix), !text.contains("/")
        else {
            reject(
                "Target",
                "Target=\(text) is neither a cgroup, which begins with /, nor a unit, which ends "
                    + "with .service, .scope or .slice")
            return nil
        }
        return .unit(text)
    }

    private mutating func readMode(_ rule: inout Rule) {
        guard let text = value("Mode") else { return }
        guard let mode = EnforceMode(word: text) else {
            return reject("Mode", "Mode=\(text) is none of off, observe, enforce")
        }
        rule.mode = mode
    }

    private mutating func readStates(_ rule: inout Rule) {
        guard let text = value("When") else {
            if rule.action == .rescue {
                rule.states = HostStates(.deadlocked)
            } else {
                reject(nil, "[Rule \(name)] has no When=; name states, such as stalling deadlocked")
            }
            return
        }
        for word in text.split(whereSeparator: { $0 == " " || $0 == "," }) {
            guard let state = HostState.allCases.first(where: { "\($0)" == word }) else {
                reject(
                    "When",
                    "When= has \(word), which is no state; they are "
                        + "pressed, reserve, throttling, stalling, failing, deadlocked")
                continue
            }
            rule.states.insert(HostStates(state))
        }
        let allowed = rule.action.states
        let beyond = rule.states.subtracting(allowed)
        if !beyond.isEmpty {
            reject(
                "When",
                "Action=\(rule.action.rawValue) is not done when the host is "
                    + beyond.words.joined(separator: " or ") + ": \(rule.action.whyThese); "
                    + "leave \(allowed.words.joined(separator: ", "))")
        }
    }

    private mutating func readEvidence(_ rule: inout Rule) {
        guard let text = value("Evidence") else { return }
        for word in text.split(whereSeparator: { $0 == " " || $0 == "," }) {
            let isRuledOut = word.hasPrefix("!")
            let bare = isRuledOut ? word.dropFirst() : word
            guard let evidence = Evidence.allCases.first(where: { $0.word == bare }) else {
                reject(
                    "Evidence",
                    "Evidence= has \(word); there are "
                        + Evidence.allCases.map(\.word).joined(separator: ", ")
                        + ", each with ! before it when it is to be ruled out")
                continue
            }
            if isRuledOut {
                rule.ruledOut.insert(EvidenceSet(evidence))
            } else {
                rule.seen.insert(EvidenceSet(evidence))
            }
        }
        if !rule.seen.isDisjoint(with: rule.ruledOut) {
            reject("Evidence", "Evidence= asks for something and for its contrary")
        }
    }

    private mutating func readLimits(_ rule: inout Rule) {
        let action = rule.action
        if let number = number("MaxTimes", 1...Rule.Limits.mostTimes) { rule.limits.times = number }
        if let span = span("Every", from: 60_000_000_000, to: 604_800_000_000_000) {
            rule.limits.everyNanoseconds = span
        }
        if refused("MaxDuration", unless: action.isUndone || action == .rescue, action) { return }
        if let span = span("MaxDuration", from: 1_000_000_000, to: Rule.Limits.longestDuration) {
            rule.limits.durationNanoseconds = span
        }
        if refused("MaxVictims", unless: action == .kill || action == .rescue, action) { return }
        if let number = number("MaxVictims", 1...Rule.Limits.mostVictims) {
            rule.limits.victims = number
        }
    }

    private mutating func readParticulars(_ rule: inout Rule) {
        let action = rule.action
        if !refused("MemoryHigh", unless: action == .memoryHigh, action),
            let text = value("MemoryHigh")
        {
            if text.hasSuffix("%"), let percent = UInt64(text.dropLast()),
                (10...100).contains(percent)
            {
                rule.memoryHighPercent = percent
            } else {
                reject(
                    "MemoryHigh",
                    "MemoryHigh=\(text) is not 10% to 100% of what the cgroup has then")
            }
        }
        rule.endsConnection = isSet("EndConnection", action)
        rule.keepsSpare = isSet("SpareConnection", action)
        if rule.keepsSpare, !rule.endsConnection {
            reject(
                "SpareConnection",
                "SpareConnection=yes is for EndConnection=yes: it takes the ended one's place")
        }
    }

    /// Of a rescue; not without it.
    private mutating func isSet(_ key: String, _ action: Rule.Action) -> Bool {
        guard !refused(key, unless: action == .rescue, action), let text = value(key) else {
            return false
        }
        switch text {
        case "yes", "true", "on", "1": return true
        case "no", "false", "off", "0": return false
        default:
            reject(key, "\(key)=\(text) is neither yes nor no")
            return false
        }
    }

    private mutating func refused(_ key: String, unless isRight: Bool, _ action: Rule.Action)
        -> Bool
    {
        guard !isRight, value(key) != nil else { return false }
        reject(key, "\(key)= means nothing for Action=\(action.rawValue); leave it out")
        return true
    }

    private mutating func number(_ key: String, _ range: ClosedRange<Int>) -> Int? {
        guard let text = value(key) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            reject(
                key, "\(key)=\(text) is no number from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return number
    }

    private mutating func span(_ key: String, from least: UInt64, to most: UInt64) -> UInt64? {
        guard let text = value(key) else { return nil }
        guard let span = Span.parse(text), span >= least, span <= most else {
            reject(
                key,
                "\(key)=\(text) is no time from \(Span.text(least)) to \(Span.text(most)), "
                    + "such as 500ms, 15s, 10min, 1h")
            return nil
        }
        return span
    }
}

extension Rule.Action {
    /// In which states it may be done at all.
    var states: HostStates {
        let all: HostStates = HostStates(rawValue: .max).subtracting(.harmless)
        switch self {
        case .freeze, .memoryHigh, .stop: return all
        case .kill, .killCgroup:
            return [HostStates(.stalling), HostStates(.failing), HostStates(.deadlocked)]
        case .rescue: return HostStates(.deadlocked)
        }
    }

    var whyThese: String {
        switch self {
        case .freeze, .memoryHigh, .stop: return "nothing is wrong then"
        case .kill, .killCgroup:
            return "in trials kills for low memory hit processes in vain"
        case .rescue: return "it is for a host that nothing else ends"
        }
    }

    var usualHold: UInt64 {
        switch self {
        case .freeze, .memoryHigh, .stop: return 1_000_000_000
        case .kill, .killCgroup: return 3_000_000_000
        case .rescue: return 5_000_000_000
        }
    }

    /// Stops of a healthy storm last less than half a second.
    var leastHold: UInt64 {
        switch self {
        case .freeze, .memoryHigh, .stop: return 0
        case .kill, .killCgroup: return 1_000_000_000
        case .rescue: return 2_000_000_000
        }
    }
}

extension EnforceMode {
    public init?(word: some StringProtocol) {
        guard let mode = Self.allCases.first(where: { "\($0)" == word }) else { return nil }
        self = mode
    }
}

/// Times as people write them: 500ms, 15s, 10min, 1h, 7d.
public enum Span {
    private static let units: [(String, UInt64)] = [
        ("ms", 1_000_000), ("min", 60_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000),
        ("h", 3_600_000_000_000), ("d", 86_400_000_000_000),
    ]

    static func parse(_ text: String) -> UInt64? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }
        guard let number = UInt64(digits), number <= 1_000_000_000 else { return nil }
        if unit.isEmpty { return number * 1_000_000_000 }
        return units.first { $0.0 == unit }.map { number.multipliedReportingOverflow(by: $0.1) }
            .flatMap { $0.overflow ? nil : $0.partialValue }
    }

    public static func text(_ nanoseconds: UInt64) -> String {
        for (unit, size) in [
            ("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("min", 60_000_000_000),
            ("s", 1_000_000_000),
        ] as [(String, UInt64)]
        where nanoseconds >= size && nanoseconds % size == 0 {
            return "\(nanoseconds / size)\(unit)"
        }
        return "\(nanoseconds / 1_000_000)ms"
    }
}

extension FixedText {
    public init(_ text: String) {
        var copy = text
        self = copy.withUTF8 { FixedText(bytes: UnsafeRawBufferPointer($0)) }
    }
}
