// SPDX-License-Identifier: Apache-2.0

import ReserveModel
import ReservePolicy
import Testing

/// Reads one rule from lines of text; what is wrong with it.
private func read(_ text: String, name: String = "r") -> (rule: Rule?, problems: [RuleProblem]) {
    var problems: [RuleProblem] = []
    let lines = text.split(separator: "\n").enumerated().map { index, line -> RuleLine in
        let pair = line.split(separator: "=", maxSplits: 1)
        return RuleLine(
            key: String(pair[0]), value: pair.count > 1 ? String(pair[1]) : "",
            place: "f:\(index + 2)")
    }
    let rule = Rule.read(name: name, place: "f:1", lines: lines, problems: &problems)
    return (rule, problems)
}

@Suite struct RuleTextTests {
    @Test func aWholeRuleIsRead() throws {
        let rule = try #require(
            read(
                """
                Mode=enforce
                When=stalling deadlocked
                Evidence=tasks-wait !lost-wire
                For=1500ms
                Action=freeze
                Target=/load
                MaxTimes=2
                Every=10min
                MaxDuration=20s
                """
            ).rule)
        #expect(rule.mode == .enforce)
        #expect(rule.states == [HostStates(.stalling), HostStates(.deadlocked)])
        #expect(rule.seen == EvidenceSet(.tasksWait))
        #expect(rule.ruledOut == EvidenceSet(.lostWire))
        #expect(rule.holdNanoseconds == 1_500_000_000)
        #expect(rule.target == .cgroup("/load"))
        #expect(rule.limits.times == 2)
        #expect(rule.limits.everyNanoseconds == 600_000_000_000)
        #expect(rule.limits.durationNanoseconds == 20_000_000_000)
    }

    @Test func whatIsNotSaidIsCareful() throws {
        let kill = try #require(
            read("When=deadlocked\nAction=kill\nTarget=socket-memory-owner").rule)
        #expect(kill.mode == .observe)
        #expect(kill.limits.times == 1)
        #expect(kill.limits.victims == 1)
        #expect(kill.holdNanoseconds == 3_000_000_000)
        let rescue = try #require(read("Action=rescue\nTarget=batch.slice").rule)
        #expect(rescue.states == HostStates(.deadlocked))
        #expect(rescue.endsConnection == false)
        #expect(rescue.mode == .observe)
        #expect(rescue.target == .unit("batch.slice"))
    }

    @Test func itsLinesGiveTheSameRuleAgain() throws {
        for text in [
            "Mode=enforce\nWhen=stalling\nEvidence=!lost-wire\nAction=kill\n"
                + "Target=largest-in /a/b\nMaxVictims=3\nFor=90s",
            "Action=rescue\nTarget=/load\nEndConnection=yes\nMaxDuration=2min",
            "Action=rescue\nTarget=/load\nEndConnection=yes\nSpareConnection=yes",
            "When=reserve\nAction=memory-high\nTarget=x.service\nMemoryHigh=80%",
            "When=stalling\nAction=stop\nTarget=socket-memory-owner\nFor=0",
            "When=deadlocked\nAction=kill-cgroup\nTarget=/load\nMode=off",
        ] {
            let rule = try #require(read(text).rule, "\(read(text).problems)")
            var problems: [RuleProblem] = []
            let again = Rule.read(
                name: rule.name, place: "", lines: rule.lines, problems: &problems)
            #expect(again == rule)
        }
    }

    @Test(arguments: [
        ("When=calm\nAction=freeze\nTarget=/load", "f:2", "calm"),
        ("When=reserve\nAction=kill\nTarget=largest-in /load", "f:2", "in vain"),
        ("When=stalling\nAction=rescue\nTarget=/load", "f:2", "deadlocked"),
        ("When=stalling\nAction=freeze\nTarget=largest-in /load", "f:4", "name a cgroup"),
        ("When=stalling\nAction=kill\nTarget=/load", "f:4", "largest-in"),
        ("When=stalling\nAction=freeze\nTarget=/", "f:4", "no cgroup below the root"),
        ("When=stalling\nAction=freeze\nTarget=/a/../b", "f:4", "no cgroup below the root"),
        ("When=stalling\nAction=freeze\nTarget=load", "f:4", "neither a cgroup"),
        ("When=stalling\nAction=shoot\nTarget=/load", "f:3", "none of"),
        ("When=stalling\nAction=kill\nTarget=largest-in /l\nFor=200ms", "f:5", "from 1s"),
        ("When=stalling\nAction=freeze\nTarget=/l\nMaxDuration=1h", "f:5", "10min"),
        ("When=stalling\nAction=freeze\nTarget=/l\nMaxVictims=2", "f:5", "means nothing"),
        ("When=stalling\nAction=freeze\nTarget=/l\nEvidence=weather", "f:5", "lost-wire"),
        (
            "When=stalling\nAction=freeze\nTarget=/l\nEvidence=lost-wire !lost-wire", "f:5",
            "contrary"
        ),
        ("When=stalling\nAction=freeze\nTarget=/l\nColour=red", "f:5", "no Colour="),
        ("When=stalling\nAction=freeze\nTarget=/l\nMode=on", "f:5", "off, observe, enforce"),
        ("Action=freeze\nTarget=/l", "f:1", "no When="),
        ("When=stalling\nTarget=/l", "f:1", "no Action="),
        ("When=stalling\nAction=freeze\nTarget=/l;rm", "f:4", "without blanks"),
    ])
    func whatIsWrongIsNamedWithItsPlace(_ text: String, _ place: String, _ word: String) {
        let (rule, problems) = read(text)
        #expect(rule == nil)
        #expect(
            problems.contains { $0.place == place && $0.sentence.contains(word) }, "\(problems)")
    }

    @Test func everyProblemIsFound() {
        let (_, problems) = read("When=calm\nAction=freeze\nTarget=/l\nMode=on\nFor=never")
        #expect(problems.count == 3)
        #expect(read("When=stalling\nAction=freeze\nTarget=/l", name: "a b").problems.count == 1)
    }

    @Test func aSetTakesDropInsAndItsCeiling() throws {
        var problems: [RuleProblem] = []
        func section(_ title: String, _ lines: [(String, String)]) -> RuleSet.Section {
            RuleSet.Section(
                title: title, place: "f:1",
                lines: lines.map { RuleLine(key: $0.0, value: $0.1, place: "f:2") })
        }
        let set = RuleSet.read(
            [
                section(
                    "Policy",
                    [
                        ("Mode", "observe"), ("Protect", "postgres /usr/bin/x"),
                        ("SpareExport", "swap/1"),
                    ]),
                section(
                    "Rule a",
                    [
                        ("When", "stalling"), ("Action", "freeze"), ("Target", "/l"),
                        ("Mode", "enforce"),
                    ]),
                section("Rule a", [("Target", "/m")]),
            ], problems: &problems)
        #expect(problems.isEmpty)
        #expect(set.rules.count == 1)
        #expect(set.rules[0].target == .cgroup("/m"))
        #expect(set.mode(of: set.rules[0]) == .observe)
        #expect(set.protected == ["postgres", "/usr/bin/x"])
        // To the agent and back.
        var again = RuleSet.read(
            set.words.map { word in
                RuleSet.section(
                    word: String(word.drop { $0 != "=" }.dropFirst()),
                    isRule: word.hasPrefix("rule="))
            }, problems: &problems)
        #expect(again == set)
        again.rules[0].mode = .off
        #expect(again.isIdle)
        #expect(again.words.isEmpty)
    }

    @Test func aSpareConnectionIsForOneThatMayBeEnded() throws {
        let alone = read("Action=rescue\nTarget=/load\nSpareConnection=yes")
        #expect(alone.rule == nil)
        #expect(alone.problems.map(\.sentence).contains { $0.contains("EndConnection=yes") })
        #expect(read("When=stalling\nAction=freeze\nTarget=/load\nSpareConnection=yes").rule == nil)
        let whole = try #require(
            read("Action=rescue\nTarget=/load\nEndConnection=yes\nSpareConnection=yes").rule)
        #expect(whole.keepsSpare)
        var set = RuleSet()
        set.rules = [whole]
        #expect(set.explanation.joined().contains("puts a second one in its place"))
    }

    @Test(arguments: [
        ("", true), ("swap/host-1", true), (String(repeating: "x", count: 63), true),
        (String(repeating: "x", count: 64), false), ("a b", false), ("a;b", false),
    ])
    func anExportsNameComesThroughOrIsRefused(_ name: String, _ isTaken: Bool) {
        var problems: [RuleProblem] = []
        let set = RuleSet.read(
            [
                RuleSet.Section(
                    title: "Policy", place: "f:1",
                    lines: [RuleLine(key: "SpareExport", value: name, place: "f:2")])
            ], problems: &problems)
        #expect(problems.isEmpty == isTaken)
        #expect(set.spareExport == (isTaken ? name : ""))
    }

    @Test func aPolicyIsExplainedInWords() throws {
        var set = RuleSet()
        #expect(set.explanation.count == 1)
        set.rules = [
            try #require(read("Action=rescue\nTarget=/load\nEndConnection=yes").rule),
            try #require(
                read("When=reserve\nAction=freeze\nTarget=/load\nMode=enforce").rule),
        ]
        let text = set.explanation.joined(separator: "\n")
        #expect(text.contains("LIES IN THAT SWAP IS LOST"))
        #expect(text.contains("It only tells and counts"))
        #expect(text.contains("It does so."))
        #expect(text.contains("saved no host"))
        #expect(text.contains("no I/O scheduler"))
        #expect(text.contains("sshd"))
    }
}
