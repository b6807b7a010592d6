// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ReserveConfig

@Suite struct ConfigurationTests {
    @Test func valuesComeWithTheirTypes() throws {
        let read = configuration(
            "[Agent]\nPeriod=1min 30s\nSize=4M\nMost=7\nOn=on\nFile=/a b\n"
                + "[Rule r.1]\nMode=enforce\nTarget=a \"b c\"\nTarget=d\nWhen=x y\nWhen=z\n")
        #expect(read.problems.isEmpty)
        let agent = read.section("Agent")
        #expect(agent.value(Example.period) == 90_000_000_000)
        #expect(agent.value(Example.size) == 4 << 20)
        #expect(agent.value(Example.most) == 7)
        #expect(agent.value(Example.isOn) == true)
        #expect(agent.value(Example.file) == "/a b")
        let rule = try #require(read.sections("Rule").first)
        #expect(rule.name == "r.1")
        #expect(rule.title == "[Rule r.1]")
        #expect(rule.value(Example.mode) == .enforce)
        #expect(rule.values(Example.targets) == ["a", "b c", "d"])
        #expect(rule.values(Example.when) == ["x y", "z"])
        #expect(rule.place(of: Example.when)?.description == "f0:12")
        #expect(read.section("Other").value(Example.most) == nil)
    }

    @Test func aLaterFileReplacesAddsAndTakesBack() {
        let read = configuration(
            "[Agent]\nMost=1\nFile=/a\n[Rule a]\nTarget=one\n[Rule b]\nTarget=two\n",
            "[Rule b]\nTarget=\nTarget=three\n[Agent]\nFile=\n[Rule a]\nTarget=four\n[Agent]\nMost=2\n"
        )
        #expect(read.problems.isEmpty)
        #expect(read.section("Agent").value(Example.most) == 2)
        #expect(read.section("Agent").place(of: Example.most)?.description == "f1:9")
        #expect(read.section("Agent").value(Example.file) == nil)
        #expect(read.sections("Rule").map(\.name) == ["a", "b"])
        #expect(
            read.sections("Rule").map { $0.values(Example.targets) } == [
                ["one", "four"], ["three"],
            ])
    }

    /// Each with the sentence that is told.
    @Test(arguments: [
        ("[Agnet]", "f0:1: error: there is no section [Agnet]; did you mean [Agent]?"),
        (
            "[Weather]",
            "f0:1: error: there is no section [Weather]; there are [Agent], [Rule NAME]"
        ),
        ("[Rule]", "f0:1: error: [Rule] needs a name of its own: [Rule NAME]"),
        ("[Agent x]", "f0:1: error: [Agent] takes no name; write [Agent]"),
        ("[Agent]\nPeroid=5s", "f0:2: error: [Agent] has no Peroid=; did you mean Period=?"),
        ("[Agent]\nperiod=5s", "f0:2: error: [Agent] has no period=; did you mean Period=?"),
        ("[Agent]\nTarget=x", "f0:2: error: [Agent] has no Target=; it belongs into [Rule]"),
        ("[Agent]\nWeather=x", "f0:2: error: [Agent] has no Weather="),
        (
            "[Agent]\nPeriod=soon",
            "f0:2: error: [Agent] Period=soon: it is no time, such as 500ms, 5s or 1min 30s"
        ),
        ("[Agent]\nPeriod=1ms", "f0:2: error: [Agent] Period=1ms: it is not from 100ms to 1h"),
        (
            "[Agent]\nSize=65537",
            "f0:2: error: [Agent] Size=65537: it is no power of two, such as 512K, 4M or 1G"
        ),
        ("[Agent]\nSize=4K", "f0:2: error: [Agent] Size=4K: it is not from 64K to 1G"),
        (
            "[Agent]\nSize=big",
            "f0:2: error: [Agent] Size=big: it is no size, such as 512K, 4M or 1G"
        ),
        ("[Agent]\nMost=100", "f0:2: error: [Agent] Most=100: it is not within 0 and 99"),
        ("[Agent]\nMost=x", "f0:2: error: [Agent] Most=x: it is not a number from 0 to 99"),
        (
            "[Agent]\nMost=5 # few",
            "f0:2: error: [Agent] Most=5 # few: it is not a number from 0 to 99; "
                + "a comment needs a line of its own"
        ),
        ("[Agent]\nOn=maybe", "f0:2: error: [Agent] On=maybe: it is neither yes nor no"),
        (
            "[Agent]\nFile=etc/passwd",
            "f0:2: error: [Agent] File=etc/passwd: it is no absolute path; begin it with /"
        ),
        (
            "[Rule a]\nMode=enforced",
            "f0:2: error: [Rule a] Mode=enforced: it is not observe, enforce or off; "
                + "did you mean enforce?"
        ),
        (
            "[Rule a]\nTarget=\"a",
            "f0:2: error: [Rule a] Target=\"a: a quotation mark lacks its other"
        ),
        ("[Rule a]\n\nMode=enforce", "f0:1: error: [Rule a] Target=: enforce needs one"),
        (
            "[Agent]\nMost=1\nMost=2",
            "f0:3: warning: [Agent] Most= is set in line 2 already; this one holds"
        ),
    ])
    func whatIsNotTakenIsToldInOneSentence(text: String, sentence: String) {
        let read = configuration(text)
        #expect(read.problems.map(\.sentence) == [sentence])
        #expect(read.isValid == sentence.contains(": warning:"))
    }

    @Test func allProblemsAreToldInTheOrderOfTheText() {
        let read = configuration(
            "[Agnet]\nMost=1\n[Agent]\nnonsense\nMost=x\nPeriod=1ms\n[Rule a]\nMode=enforce\n",
            "[Agent]\nOn=2\n")
        #expect(
            read.problems.map(\.place.description) == [
                "f0:1", "f0:4", "f0:5", "f0:6", "f1:2", "f0:7",
            ])
    }

    @Test func namesOfOtherProgramsAreLeftAlone() {
        let read = configuration("[X-Mine]\nA=b\n[Agent]\nX-Note=this\nMost=3\n")
        #expect(read.problems.isEmpty)
        #expect(read.section("Agent").value(Example.most) == 3)
    }

    @Test func everyDefaultIsTakenByItsOwnKey() throws {
        for key in Example.schema.sections.flatMap(\.keys) {
            if let fallback = key.fallback { try key.check(fallback) }
        }
    }

    @Test(
        arguments: [
            ("5", 5_000_000_000), ("0", 0), ("5s", 5_000_000_000), ("0.5s", 500_000_000),
            ("500ms", 500_000_000), ("1min 30s", 90_000_000_000), ("1min30s", 90_000_000_000),
            ("2h", 7_200_000_000_000), ("1d", 86_400_000_000_000), ("10 us", 10_000),
            ("0.000000001", 1),
        ] as [(String, UInt64)])
    func timesAreRead(text: String, nanoseconds: UInt64) {
        #expect(ConfigQuantity.nanoseconds(text) == nanoseconds)
        let again = ConfigQuantity.time(nanoseconds)
        #expect(ConfigQuantity.nanoseconds(again) == nanoseconds)
    }

    @Test(arguments: [
        "", "s", "5 5", "5x", "-5", "5s 5", "1e9", ".5", "5.", "1.2.3", "99999999999999999999",
        "999999999999w", "٥", "0.0000000001", "5s,", "infinity",
    ])
    func whatIsNoTimeIsNone(text: String) {
        #expect(ConfigQuantity.nanoseconds(text) == nil)
    }

    @Test(
        arguments: [
            ("0", 0), ("65536", 65_536), ("64K", 65_536), ("64KiB", 65_536),
            ("1.5G", 1_610_612_736),
            ("4 M", 4_194_304), ("1T", 1 << 40), ("17B", 17),
        ] as [(String, UInt64)])
    func sizesAreRead(text: String, bytes: UInt64) {
        #expect(ConfigQuantity.bytes(text) == bytes)
        #expect(ConfigQuantity.bytes(ConfigQuantity.size(bytes)) == bytes)
    }

    @Test(arguments: ["", "K", "4X", "-1", "1.5.5K", "99999999999T", "4K4", "0x10"])
    func whatIsNoSizeIsNone(text: String) {
        #expect(ConfigQuantity.bytes(text) == nil)
    }
}
