// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import ReserveConfig

enum Kind: String, CaseIterable, Sendable { case observe, enforce, off }

/// A configuration as any section's owner would declare it.
enum Example {
    static let period = ConfigKey.duration("Period", in: 100_000_000...3_600_000_000_000)
    static let size = ConfigKey.size("Size", in: 65_536...1 << 30, powerOfTwo: true)
    static let most = ConfigKey.integer("Most", in: 0...99, default: 10)
    static let isOn = ConfigKey.bool("On", default: false)
    static let mode = ConfigKey.choice("Mode", default: Kind.observe)
    static let targets = ConfigKey<String>.text("Target", .words)
    static let when = ConfigKey<String>.text("When", .lines)
    static let file = ConfigKey<String>.path("File")

    static let schema = ConfigSchema([
        ConfigSectionSchema(
            "Agent",
            keys: [
                period.description, size.description, most.description, isOn.description,
                file.description,
            ]),
        ConfigSectionSchema(
            "Rule", isNamed: true,
            keys: [mode.description, targets.description, when.description, most.description],
            check: { rule in
                rule.value(mode) == .enforce && rule.values(targets).isEmpty
                    ? [rule.problem(targets, "enforce needs one")] : []
            }),
    ])
}

func configuration(_ texts: String...) -> Configuration {
    Configuration(
        texts.enumerated().map { ConfigText([UInt8]($0.element.utf8), file: "f\($0.offset)") },
        schema: Example.schema)
}

@Suite struct ConfigTextTests {
    @Test func sectionsKeysAndCommentsAreTakenApart() {
        let text = ConfigText(
            [UInt8]("# a\n; b\n[Agent]\n\n  Period = 5s  \r\n[Rule one]\nTarget=\n".utf8), file: "f"
        )
        #expect(text.problems.isEmpty)
        #expect(text.blocks.map(\.kind) == ["Agent", "Rule"])
        #expect(text.blocks[1].name == "one")
        #expect(text.blocks[1].place.description == "f:6")
        #expect(
            text.blocks[0].assignments == [
                ConfigAssignment(
                    key: "Period", value: "5s", place: ConfigPlace(file: "f", line: 5))
            ])
        #expect(text.blocks[1].assignments[0].value == "")
    }

    @Test func aBackslashJoinsTheNextLineAndCommentsBetweenAreLeftOut() {
        let text = ConfigText(
            [UInt8]("[Rule a]\nTarget=one \\\n# not this\n   two\\\nthree\nMode=off\n".utf8),
            file: "f")
        #expect(text.problems.isEmpty)
        #expect(text.blocks[0].assignments.map(\.value) == ["one two three", "off"])
        #expect(text.blocks[0].assignments.map(\.place.line) == [2, 6])
        // Two of them are a backslash.
        let doubled = ConfigText([UInt8]("[Rule a]\nTarget=one\\\\\nMode=off".utf8), file: "f")
        #expect(doubled.blocks[0].assignments.map(\.value) == ["one\\\\", "off"])
    }

    /// Each with the line it is told of, and words of the reason.
    @Test(arguments: [
        ("Period=5s\n", 1, "before the first [Section]"),
        ("[Agent]\nPeriod\n", 2, "neither [Section] nor Key=Value"),
        ("[Agent\n", 1, "lacks the ]"),
        ("[]\n", 1, "is no [Section]"),
        ("[Rule a b]\n", 1, "is no name"),
        ("[Rule \(String(repeating: "n", count: 65))]\n", 1, "64 bytes"),
        ("[Agent]\n=5\n", 2, "no name of a key"),
        ("[Agent]\nMy Key=5\n", 2, "no name of a key"),
        ("[Agent]\nPeriod=5s\\", 2, "backslash promises"),
        ("[Agent]\nPeriod=5ESC[31ms\n", 2, "U+001B"),
        ("[Agent]\nPeriod=NUL5\n", 2, "U+0000"),
        ("[Agent]\n\u{85}=5\n", 2, "U+0085"),
        ("[Agent]\n# LONG\n", 2, "8192 is the most"),
    ])
    func whatCannotBeTakenApartIsToldWithItsLine(text: String, line: Int, words: String) {
        let written =
            text
            .replacingOccurrences(of: "NUL", with: "\u{0}")
            .replacingOccurrences(of: "ESC", with: "\u{1b}")
            .replacingOccurrences(of: "LONG", with: String(repeating: "x", count: 8192))
        let problems = ConfigText([UInt8](written.utf8), file: "f").problems
        #expect(problems.count == 1, "\(problems)")
        #expect(problems.first?.place == ConfigPlace(file: "f", line: line))
        #expect(problems.first?.reason.contains(words) == true, "\(problems)")
    }

    @Test func whatIsNoUTF8IsToldWithItsLineAndTheRestIsRead() {
        let bytes =
            [UInt8]("[Agent]\nFile=/a".utf8) + [0xff, 0xc3] + [UInt8]("\nMost=5\nOn\n".utf8)
        let text = ConfigText(bytes, file: "f")
        #expect(text.problems.map(\.place.line) == [2, 4])
        #expect(text.problems[0].reason.contains("UTF-8"))
        #expect(text.blocks[0].assignments.map(\.key) == ["Most"])
    }

    @Test func filesLinesSectionsAndAssignmentsAreBounded() {
        let large = ConfigText([UInt8](repeating: 0x0a, count: 256 * 1024 + 1), file: "f")
        #expect(
            large.problems.map(\.sentence) == ["f: error: it has 262145 bytes; 262144 is the most"])
        let sections = ConfigText(
            [UInt8]((0..<300).map { "[Rule r\($0)]\n" }.joined().utf8), file: "f")
        #expect(sections.blocks.count == 256)
        #expect(sections.problems.map(\.place.line) == [257])
        let lines = "[Agent]\n" + String(repeating: "Most=5\n", count: 5000)
        let assignments = ConfigText([UInt8](lines.utf8), file: "f")
        #expect(assignments.blocks[0].assignments.count == 4096)
        #expect(assignments.problems.map(\.place.line) == [4098])
        let joined =
            "[Agent]\nFile=/a\\\n"
            + String(repeating: String(repeating: "b", count: 4000) + "\\\n", count: 3)
        #expect(
            ConfigText([UInt8](joined.utf8), file: "f").problems.first?.reason.contains("joined")
                == true)
    }

    @Test func keysBehindASectionThatIsNotUnderstoodBelongNowhere() {
        let text = ConfigText([UInt8]("[Agent]\nMost=1\n[Agent\nMost=2\n".utf8), file: "f")
        #expect(text.blocks.count == 1)
        #expect(text.blocks[0].assignments.map(\.value) == ["1"])
    }

    /// Whatever stands there, it ends, and what is told names a line of it.
    @Test func anythingIsReadToItsEnd() throws {
        let example = Array(
            "# c\n[Agent]\nPeriod=5s\nSize=64K\nMost=3\nOn=yes\n[Rule a]\nTarget=a \"b c\" \\\n d\nWhen=x y\nMode=enforce\n"
                .utf8)
        var random = SystemRandomNumberGenerator()
        var variants = (0...example.count).map { Array(example[..<$0]) }
        for index in example.indices {
            for bit in 0..<8 {
                var flipped = example
                flipped[index] ^= 1 << UInt8(bit)
                variants.append(flipped)
            }
        }
        for _ in 0..<2000 {
            variants.append(
                (0..<Int.random(in: 0..<300, using: &random)).map { _ in
                    .random(in: 0...255, using: &random)
                })
        }
        for bytes in variants {
            let lines = bytes.split(separator: 0x0a, omittingEmptySubsequences: false).count
            let read = Configuration([ConfigText(bytes, file: "f")], schema: Example.schema)
            for problem in read.problems {
                #expect((1...max(lines, 1)).contains(problem.place.line), "\(problem) of \(bytes)")
            }
            for section in read.sections {
                #expect(Example.schema.sections.contains { $0.kind == section.kind })
                #expect(
                    section.values.keys.allSatisfy { key in
                        Example.schema.section(section.kind)?.keys.contains { $0.name == key }
                            == true
                    })
            }
        }
    }
}
