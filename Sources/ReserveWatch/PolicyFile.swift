// SPDX-License-Identifier: Apache-2.0

import ReservePolicy

/// The sections of a file in systemd's style that are a policy's.
enum PolicyFile {
    static func sections(
        _ text: String, file: String, problems: inout [RuleProblem]
    ) -> [RuleSet.Section] {
        var sections: [RuleSet.Section] = []
        var isOurs = false
        for (index, raw) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            let place = "\(file):\(index + 1)"
            let line = trimmed(raw)
            if line.isEmpty || line.hasPrefix("#") || line.hasPrefix(";") { continue }
            if line.hasPrefix("[") {
                guard line.hasSuffix("]") else {
                    problems.append(
                        RuleProblem(place: place, sentence: "\(line) is no section: [NAME]"))
                    isOurs = false
                    continue
                }
                let title = String(line.dropFirst().dropLast())
                isOurs = RuleSet.isPolicy(title: title)
                if isOurs {
                    sections.append(RuleSet.Section(title: title, place: place, lines: []))
                }
                continue
            }
            guard isOurs else { continue }
            guard let equals = line.firstIndex(of: "=") else {
                problems.append(
                    RuleProblem(place: place, sentence: "\(line) is no Key=value"))
                continue
            }
            sections[sections.count - 1].lines.append(
                RuleLine(
                    key: String(trimmed(line[..<equals])),
                    value: String(trimmed(line[line.index(after: equals)...])), place: place))
        }
        return sections
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop(while: \.isWhitespace)
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return text
    }
}
