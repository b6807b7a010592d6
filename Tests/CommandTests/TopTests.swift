// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@Suite struct TopCommandTests {
    /// One line of Tests/Fixtures/top/frames.list.
    struct Frame: CustomStringConvertible, Sendable {
        var recording: String
        var at: String
        var pane: String
        var size: String
        var charset: String

        var description: String {
            "\(recording)-\(pane)-\(size)-\(charset)-\(at.drop { $0 == "@" })"
        }

        static let all: [Frame] = {
            let list = try? String(
                contentsOfFile: "\(Fixture.directory)/top/frames.list", encoding: .utf8)
            return (list ?? "").split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
                let words = line.split(separator: " ").map(String.init)
                return Frame(
                    recording: words[0], at: words[1], pane: words[2], size: words[3],
                    charset: words[4])
            }
        }()
    }

    @Test func thereAreFrames() { #expect(Frame.all.count >= 20) }

    @Test(arguments: Frame.all) func aFrameIsAsItWas(_ frame: Frame) throws {
        let top = try Command([
            "top", "--replay", Fixture.recording(frame.recording), "--at", frame.at, "--once",
            "--pane", frame.pane, "--size", frame.size, "--charset", frame.charset,
        ])
        #expect(top.status == 0, "\(top.errors)")
        let golden = try String(
            contentsOfFile: "\(Fixture.directory)/top/\(frame).txt", encoding: .utf8)
        #expect(top.output == golden, "\(frame); scripts/top-frames makes them anew")
    }

    @Test func theDocumentShowsARealFrame() throws {
        let docs = (Fixture.directory as NSString).deletingLastPathComponent + "/../docs"
        let text = try String(contentsOfFile: "\(docs)/top.md", encoding: .utf8)
        let frame = try String(
            contentsOfFile: "\(Fixture.directory)/top/deadlock-6.12-overview-80x24-ascii-8.2s.txt",
            encoding: .utf8)
        #expect(text.contains("```\n\(frame)```"))
    }

    @Test func aPlainFrameHasNoEscapes() throws {
        let top = try Command(["top", "--replay", Fixture.recording("wire-pull-6.1"), "--once"])
        #expect(top.status == 0)
        #expect(!top.output.isEmpty)
        #expect(!top.output.utf8.contains { $0 < 0x20 && $0 != 0x0a })
    }

    @Test func withoutATerminalItSaysWhatToDo() throws {
        let top = try Command(["top", "--replay", Fixture.recording("wire-1")])
        #expect(top.status == 73)
        #expect(top.output.isEmpty)
        #expect(top.errors.contains("--once"))
        #expect(top.errors.split(separator: "\n").count == 1)
    }

    @Test(arguments: [
        ["--interval", "0"], ["--interval", "61"], ["--speed", "1000"], ["--at", "soon"],
        ["--size", "3x3"], ["--pane", "story"], ["--pane", "weather"], ["--charset", "ebcdic"],
        ["--color", "pink"],
    ])
    func wrongUsageIsToldBeforeAnythingIsDrawn(options: [String]) throws {
        let top = try Command(["top", "--replay", Fixture.recording("wire-1"), "--once"] + options)
        #expect(top.status == 64)
        #expect(top.output.isEmpty)
    }

    @Test func whatIsNoRecordingIsNamed() throws {
        #expect(try Command(["top", "--replay", "/etc/passwd", "--once"]).status == 65)
        #expect(try Command(["top", "--replay", "/nowhere", "--once"]).status == 66)
    }

    /// The real program in a real terminal: keys, sizes, and how it leaves.
    @Test(
        .enabled(
            if: FileManager.default.isExecutableFile(atPath: "/usr/bin/tmux")
                || getenv("CI") != nil, "needs tmux"))
    func itDrivesATerminal() throws {
        let root = (Fixture.directory as NSString).deletingLastPathComponent + "/.."
        let script = Process()
        script.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        script.arguments = ["python3", "\(root)/Tests/Terminal/top.py", Command.binary]
        let said = Pipe()
        script.standardOutput = said
        script.standardError = said
        script.standardInput = FileHandle.nullDevice
        try script.run()
        let text = String(
            decoding: said.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        script.waitUntilExit()
        #expect(script.terminationStatus == 0, "\(text)")
    }
}
