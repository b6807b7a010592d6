// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension RuleSet {
    /// One section of a configuration, as far as it is a policy's.
    public struct Section: Sendable, Equatable {
        /// "Policy", or "Rule NAME".
        public var title: String
        public var place: String
        public var lines: [RuleLine]

        public init(title: String, place: String, lines: [RuleLine]) {
            self.title = title
            self.place = place
            self.lines = lines
        }
    }

    public static let keys = ["Mode", "Protect", "SpareExport"]

    /// Whether a section is a policy's at all.
    public static func isPolicy(title: String) -> Bool {
        title == "Policy" || title == "Rule" || title.hasPrefix("Rule ")
    }

    /// Reads the sections `[Policy]` and `[Rule NAME]`; every problem is found. A rule that
    /// comes a second time replaces or adds to the keys of the first, as drop-ins do.
    public static func read(_ sections: [Section], problems: inout [RuleProblem]) -> RuleSet {
        var set = RuleSet()
        var names: [String] = []
        var rules: [String: Section] = [:]
        for section in sections {
            if section.title == "Policy" {
                set.take(section, &problems)
            } else if section.title.hasPrefix("Rule ") {
                let name = String(section.title.dropFirst(5).drop { $0 == " " })
                if rules[name] == nil { names.append(name) }
                rules[name, default: Section(title: name, place: section.place, lines: [])]
                    .lines += section.lines
            } else if section.title == "Rule" {
                problems.append(
                    RuleProblem(
                        place: section.place,
                        sentence: "a rule has a name: [Rule freeze-load]"))
            }
        }
        if names.count > mostRules {
            problems.append(
                RuleProblem(
                    place: rules[names[mostRules]]?.place ?? "",
                    sentence: "there are \(names.count) rules; \(mostRules) are the most"))
        }
        for name in names.prefix(mostRules) {
            guard let section = rules[name],
                let rule = Rule.read(
                    name: name, place: section.place, lines: section.lines, problems: &problems)
            else { continue }
            set.rules.append(rule)
        }
        return set
    }

    private mutating func take(_ section: Section, _ problems: inout [RuleProblem]) {
        for line in section.lines {
            switch line.key {
            case "Mode":
                if let mode = EnforceMode(word: line.value) {
                    ceiling = mode
                } else {
                    problems.append(
                        RuleProblem(
                            place: line.place,
                            sentence: "Mode=\(line.value) is none of off, observe, enforce"))
                }
            case "Protect":
                // An empty one begins the list anew.
                if line.value.isEmpty { protected = [] }
                for word in line.value.split(separator: " ") {
                    protect(String(word), line, &problems)
                }
            case "SpareExport":
                let isPlain = line.value.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != 0x3b }
                if isPlain, line.value.utf8.count <= Self.longestExport {
                    spareExport = line.value
                } else {
                    problems.append(
                        RuleProblem(
                            place: line.place,
                            sentence: "SpareExport= is an export's name as the client has it after "
                                + "-N: at most \(Self.longestExport) printable ASCII characters, "
                                + "without blanks and ;"))
                }
            default:
                problems.append(
                    RuleProblem(
                        place: line.place,
                        sentence: "[Policy] has no \(line.key)=; its keys are "
                            + Self.keys.map { "\($0)=" }.joined(separator: " ")))
            }
        }
    }

    private mutating func protect(
        _ word: String, _ line: RuleLine, _ problems: inout [RuleProblem]
    ) {
        let isClean = word.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f && $0 != 0x3b }
        guard isClean, word.utf8.count <= 100, word != "/" else {
            problems.append(
                RuleProblem(
                    place: line.place,
                    sentence: "Protect= has a name that cannot be one; name a program by its path "
                        + "or name, or a cgroup as cgroup:/a/b, or a unit"))
            return
        }
        if protected.contains(word) { return }
        guard protected.count < Self.mostProtected else {
            problems.append(
                RuleProblem(
                    place: line.place,
                    sentence: "Protect= names more than \(Self.mostProtected); name a cgroup that "
                        + "holds them"))
            return
        }
        protected.append(word)
    }

    /// The set in words of the agent's command line, one each.
    public var words: [String] {
        guard !isIdle else { return [] }
        var all = "policy=Mode=\(ceiling)"
        if !protected.isEmpty { all += ";Protect=" + protected.joined(separator: " ") }
        if !spareExport.isEmpty { all += ";SpareExport=" + spareExport }
        var words = [all]
        for rule in rules {
            words.append(
                "rule="
                    + ([rule.name] + rule.lines.map { "\($0.key)=\($0.value)" })
                    .joined(separator: ";"))
        }
        return words
    }

    /// A section from such a word, without what is before its first `=`.
    public static func section(word: String, isRule: Bool) -> Section {
        var parts = word.split(separator: ";", omittingEmptySubsequences: false).map(String.init)
        let title = isRule ? "Rule " + parts.removeFirst() : "Policy"
        let lines = parts.compactMap { part -> RuleLine? in
            guard let equals = part.firstIndex(of: "=") else { return nil }
            return RuleLine(
                key: String(part[..<equals]), value: String(part[part.index(after: equals)...]),
                place: title)
        }
        return Section(title: title, place: title, lines: lines)
    }
}
