// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension MetricsRegistry {
    static let enforceMetrics: [Metric] = [
        .counter(
            "reservewatch_enforcement_actions_total", by: ["rule", "mode", "result"],
            "Acts of each rule: would (mode observe), done, failed (the kernel refused), refused (by the agent), limited (as often as it may). Absent without rules.",
            from: "rule records"
        ) { picture, out in
            for index in picture.rules.indices {
                let rule = picture.rules[index]
                for outcome in EnforceOutcome.allCases where outcome != .unknown {
                    out.sample(
                        .number(rule[outcome]), .text(rule.name), .word(rule.mode.word),
                        .word(outcome.word))
                }
            }
        },
        .counter(
            "reservewatch_enforcement_undone_total", by: ["rule"],
            "Freezes, stops and limits of each rule that were taken back.", from: "rule records"
        ) { picture, out in
            for index in picture.rules.indices {
                out.sample(.number(picture.rules[index].undone), .text(picture.rules[index].name))
            }
        },
        .gauge(
            "reservewatch_enforcement_stands", by: ["rule", "mode"],
            "1 while a freeze, a stop or a limit of the rule stands; of the mode observe, would stand.",
            from: "rule records"
        ) { picture, out in
            for index in picture.rules.indices {
                let rule = picture.rules[index]
                out.sample(.flag(rule.stands), .text(rule.name), .word(rule.mode.word))
            }
        },
        .gauge(
            "reservewatch_enforcement_target_missing", by: ["rule"],
            "1 when the rule's cgroup or unit is not there, so that it cannot act.",
            from: "rule records"
        ) { picture, out in
            for index in picture.rules.indices {
                let rule = picture.rules[index]
                out.sample(.flag(rule.targetError != 0), .text(rule.name))
            }
        },
        .gauge(
            "reservewatch_enforcement_spare_ready", by: ["rule"],
            "1 while a second connection to the swap's server stands ready; only rules that keep one.",
            from: "rule records"
        ) { picture, out in
            for index in picture.rules.indices where picture.rules[index].spare != .notWanted {
                let rule = picture.rules[index]
                out.sample(.flag(rule.spare == .ready), .text(rule.name))
            }
        },
    ]
}
