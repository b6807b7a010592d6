// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// Rules in words and over recordings, by the program that people use.
@Suite struct PolicyTests {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

    private func withRules(_ text: String, _ body: (String) throws -> Void) throws {
        let file = NSTemporaryDirectory() + "reservewatch-\(UUID().uuidString).conf"
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: file) }
        try body(file)
    }

    private static let freeze = """
        # A policy among other sections.
        [Agent]
        Interval=5s

        [Rule freeze-load]
        Mode=enforce
        When=stalling
        Evidence=tasks-wait
        Action=freeze
        Target=/load
        MaxDuration=10s

        [Rule kill]
        When=stalling
        Evidence=!lost-wire
        Action=kill
        Target=largest-in /load
        """

    @Test func aPolicyIsExplained() throws {
        try withRules(Self.freeze) { file in
            let said = try Command(["policy", "explain", "--config", file])
            #expect(said.status == 0, "\(said.errors)")
            #expect(said.output.contains("freeze-load (enforce)"))
            #expect(said.output.contains("a lost wire is ruled out, for 3s"))
        }
    }

    /// The wire was pulled, but that recording is older than the sight of carriers: frozen, and
    /// nobody killed.
    @Test func aRecordingShowsWhatWouldHaveBeenDone() throws {
        try withRules(Self.freeze) { file in
            let said = try Command([
                "policy", "simulate", Fixture.recording("wire-pull-6.12"), "--config", file,
            ])
            #expect(said.status == 0, "\(said.errors)")
            #expect(said.output.contains("rule freeze-load would have frozen /load"))
            #expect(said.output.contains("upon: host is stalling; nbd0 2 in flight"))
            #expect(said.output.contains("kill (observe): would have acted 0 times"))
            let again = try Command([
                "policy", "simulate", Fixture.recording("wire-pull-6.12"), "--config", file,
            ])
            #expect(again.output == said.output)
        }
    }

    @Test func itsLinesAreThoseOfEvents() throws {
        try withRules(Self.freeze) { file in
            let said = try Command([
                "policy", "simulate", Fixture.recording("wire-pull-6.12"), "--config", file,
                "--json",
            ])
            #expect(said.output.contains("\"act\":\"freeze\",\"result\":\"would\""))
            let lines = NSTemporaryDirectory() + "reservewatch-\(UUID().uuidString).jsonl"
            try said.output.write(toFile: lines, atomically: true, encoding: .utf8)
            defer { try? FileManager.default.removeItem(atPath: lines) }
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = [
                "python3", "\(Self.root)/Tests/Lab/validate_events.py",
                "\(Self.root)/docs/schema/events.schema.json", lines,
            ]
            process.standardOutput = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
        }
    }

    @Test func whatCannotBeUnderstoodIsNamedWithFileAndLine() throws {
        try withRules("[Rule a]\nWhen=calm\nAction=freeze\nTarget=/load\n[Rule b\n") { file in
            let said = try Command(["policy", "explain", "--config", file])
            #expect(said.status == 78)
            #expect(said.errors.contains("\(file):2: error: Action=freeze is not done when"))
            #expect(said.errors.contains("\(file):5: error: \"[Rule b\" lacks the ]"))
            #expect(said.output.isEmpty)
        }
        let absent = try Command(["policy", "explain", "--config", "/nowhere.conf"])
        #expect(absent.status == 66)
        #expect(absent.errors.contains("/nowhere.conf"))
    }
}
