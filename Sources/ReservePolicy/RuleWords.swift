// SPDX-License-Identifier: Apache-2.0

import ReserveModel

// A policy in words, for whoever is to decide whether it is what was meant.

extension RuleSet {
    /// Some lines for each rule, then what holds for all.
    public var explanation: [String] {
        if rules.isEmpty {
            return ["No rules: nothing is done to this host, and nothing would be."]
        }
        var lines: [String] = []
        for rule in rules { lines += explanation(of: rule) }
        lines.append(
            "Never touched: process 1, threads of the kernel, this agent, whoever the OOM killer "
                + "passes over (oom_score_adj -1000), and "
                + (Self.alwaysProtected + protected).joined(separator: ", ") + ".")
        if ceiling != .enforce {
            lines.append("[Policy] Mode=\(ceiling): no rule does more than that.")
        }
        return lines
    }

    public func explanation(of rule: Rule) -> [String] {
        var lines = ["\(rule.name) (\(mode(of: rule)))"]
        lines.append("  when   \(rule.condition)")
        lines.append("  does   \(rule.deed)")
        lines.append("  limits \(rule.boundary)")
        switch mode(of: rule) {
        case .off: lines.append("  It is off.")
        case .observe: lines.append("  It only tells and counts what it would do.")
        case .enforce: lines.append("  It does so.")
        }
        lines += rule.cautions.map { "  note   \($0)" }
        return lines
    }
}

extension Rule {
    /// "the host is stalling or deadlocked for 1s, and a lost wire is ruled out"
    var condition: String {
        var text = "the host is " + states.words.joined(separator: " or ")
        for evidence in Evidence.allCases {
            if seen.contains(evidence) { text += ", and \(evidence.phrase) is seen" }
            if ruledOut.contains(evidence) { text += ", and \(evidence.phrase) is ruled out" }
        }
        text += holdNanoseconds == 0 ? ", at once" : ", for \(Span.text(holdNanoseconds))"
        if !action.isUndone {
            text += "; never while a lost wire is seen, nor where a request completes meanwhile"
        }
        return text
    }

    var deed: String {
        let group = target.place?.words ?? ""
        switch action {
        case .freeze:
            return "freezes all processes of \(group) (cgroup.freeze), until that was over for 1s"
        case .memoryHigh:
            return "sets memory.high of \(group) to \(memoryHighPercent)% of what it has then, "
                + "until that was over for 1s"
        case .stop: return "stops \(whom) (SIGSTOP), until that was over for 1s"
        case .kill: return "kills \(whom) (SIGKILL, process_mrelease)"
        case .killCgroup: return "kills all processes of \(group) (cgroup.kill)"
        case .rescue:
            var text =
                "in steps, each only if the former was not enough: freezes \(group); kills the "
                + "process of it with the most memory of its own, the owner of the most unread "
                + "socket memory, then further of the largest, at most \(limits.victims) in all"
            text +=
                keepsSpare
                ? "; where the receive path is still dead 2s later, ends the swap's connection and "
                    + "puts a second one in its place, which is kept ready: what is being read from "
                    + "swap at that moment is lost, the rest is kept, and the disk's I/O scheduler "
                    + "and writeback throttling are off until the agent ends; where none is "
                    + "ready, or it does not "
                    + "answer, disconnects the device and kills all of \(group), AND WHAT LIES IN "
                    + "THAT SWAP IS LOST"
                : endsConnection
                    ? "; where the receive path is still dead 2s later, ends the swap's connection, "
                        + "disconnects its device and kills all of \(group): the host lives on, AND WHAT "
                        + "LIES IN THAT SWAP IS LOST"
                    : "; the swap's connection is left alone"
            return text
        }
    }

    private var whom: String {
        switch target {
        case .largestIn(let place):
            return "the process of \(place.words) that holds the most memory of its own"
        default: return "the process whose sockets hold the most memory unread"
        }
    }

    var boundary: String {
        var parts: [String] = []
        if action.isUndone || action == .rescue {
            parts.append(
                "stands for at most \(Span.text(limits.durationNanoseconds)), taken back also if "
                    + "the agent dies")
        }
        if action == .kill {
            parts.append(
                limits.victims == 1 ? "one process a time" : "\(limits.victims) processes a time")
        }
        let every = Span.text(limits.everyNanoseconds)
        parts.append(limits.times == 1 ? "once in \(every)" : "\(limits.times) times in \(every)")
        return parts.joined(separator: "; ")
    }

    /// What experiments say against such a rule.
    var cautions: [String] {
        var notes: [String] = []
        let early: HostStates = [
            HostStates(.pressed), HostStates(.reserve), HostStates(.throttling),
        ]
        if action.isUndone, !states.isDisjoint(with: early) {
            notes.append(
                "healthy swapping passes through "
                    + states.intersection(early).words.joined(separator: ", ")
                    + " all the time; in trials stopping programs for that saved no host")
        }
        if action == .memoryHigh, memoryHighPercent < 100 {
            notes.append(
                "below 100% the kernel reclaims at once, which may wait for the swap that stands "
                    + "still")
        }
        if action != .memoryHigh {
            notes.append(
                "a process that is hit while it sends a request may cost the swap its connection "
                    + "(docs/kernel-defects.md, 6), unless the swap's disk has no I/O scheduler: "
                    + "reservewatch prepare")
        }
        if action == .rescue {
            notes.append(
                "tried in few runs only (docs/enforcement.md). What survives is prepared before: "
                    + "reservewatch prepare")
        }
        return notes
    }
}
