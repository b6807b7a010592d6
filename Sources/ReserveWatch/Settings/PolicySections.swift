// SPDX-License-Identifier: Apache-2.0

import ReserveConfig
import ReservePolicy

/// `[Policy]` and `[Rule NAME]`: read by the policy itself, which has the words for what is wrong.
enum PolicySections {
    static let policy = ConfigSectionSchema(
        "Policy",
        keys: RuleSet.keys.map {
            ConfigKeyDescription(unchecked: $0, $0 == "Protect" ? .words : .one)
        })
    static let rule = ConfigSectionSchema(
        "Rule", isNamed: true,
        keys: Rule.keys.map { ConfigKeyDescription(unchecked: $0, .one) })

    /// The rules of a configuration; each problem is found.
    static func rules(
        _ configuration: Configuration, problems: inout [ConfigProblem]
    ) -> RuleSet {
        var places: [String: ConfigPlace] = [:]
        let sections = (configuration.sections("Policy") + configuration.sections("Rule")).map {
            section in
            let place = section.place ?? ConfigPlace(file: section.title, line: 0)
            places["\(place)"] = place
            let keys = section.kind == "Rule" ? Rule.keys : RuleSet.keys
            let lines = keys.flatMap { key in
                section.texts(key).map { value in
                    places["\(value.place)"] = value.place
                    return RuleLine(key: key, value: value.text, place: "\(value.place)")
                }
            }
            return RuleSet.Section(
                title: section.name.map { "Rule \($0)" } ?? section.kind, place: "\(place)",
                lines: lines)
        }
        var found: [RuleProblem] = []
        let rules = RuleSet.read(sections, problems: &found)
        problems += found.map {
            ConfigProblem(
                at: places[$0.place] ?? ConfigPlace(file: $0.place, line: 0), $0.sentence)
        }
        return rules
    }
}
