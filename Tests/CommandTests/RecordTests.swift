// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// A directory of its own, gone at the end.
private final class Place {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "/reservewatch-record-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var recording: String { "\(path)/recording" }

    var segments: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: recording)) ?? []).sorted()
    }

    /// Cuts a fixture into segments.
    func cut(_ name: String, _ options: [String] = []) throws -> Command {
        try Command(
            ["record", recording, "--source", Fixture.recording(name), "--segment-size", "64K"]
                + options)
    }
}

@Suite struct RecordTests {
    @Test(arguments: Fixture.names) func segmentsGiveTheLinesOfTheFileByteForByte(name: String)
        throws
    {
        let place = try Place()
        let record = try place.cut(name)
        #expect(record.status == 0, "\(record.errors)")
        #expect(record.errors.isEmpty && record.output.isEmpty)
        #expect(place.segments.count > 1)
        #expect(place.segments.allSatisfy { $0.hasSuffix(".rwr.zst") }, "\(place.segments)")
        for format in ["json", "text", "words"] {
            let replay = try Command(["replay", place.recording, "--format", format])
            let file = try Command(["replay", Fixture.recording(name), "--format", format])
            #expect(replay.output == file.output, "\(format)")
            #expect(replay.errors.isEmpty, "\(replay.errors)")
        }
    }

    @Test func aSegmentAloneIsARecording() throws {
        let place = try Place()
        _ = try place.cut("wire-pull-6.12", ["--no-compress"])
        let second = try Command(["replay", "\(place.recording)/00000002.rwr"])
        #expect(second.status == 0)
        #expect(second.errors.isEmpty, "\(second.errors)")
        let lines = second.output.split(separator: "\n")
        #expect(lines.first?.contains("\"kind\":\"start\"") == true)
        #expect(lines.count > 10)
    }

    @Test func thePartOfADeadRecorderIsContinuedAndTornEndsAreTold() throws {
        let place = try Place()
        _ = try place.cut("wire-pull-6.1", ["--no-compress"])
        let last = try #require(place.segments.last)
        let url = URL(fileURLWithPath: "\(place.recording)/\(last)")
        try Data(contentsOf: url).dropLast(100).write(to: url)
        let torn = try Command(["replay", place.recording])
        #expect(torn.status == 0)
        #expect(torn.errors.contains("ends in the middle of a record"), "\(torn.errors)")
        _ = try place.cut("wire-pull-6.12")
        let both = try Command(["replay", place.recording, "--kind", "start"])
        #expect(both.output.split(separator: "\n").count == 2, "two agents, one after the other")
        let alone = try Command(["replay", Fixture.recording("wire-pull-6.12")])
        let all = try Command(["replay", place.recording])
        #expect(all.output.hasSuffix(alone.output), "the second is as if the first were not there")
    }

    /// Two hosts, in truth; to a reader two boots, whose times have nothing to do with each other.
    @Test func aReportOfTwoBootsIsThatOfTheLast() throws {
        let place = try Place()
        _ = try place.cut("wire-pull-6.1")
        _ = try place.cut("wire-pull-6.12")
        let both = try Command(["report", place.recording, "--format", "text"])
        let last = try Command(
            ["report", Fixture.recording("wire-pull-6.12"), "--format", "text"])
        func body(_ report: Command) -> [String] {
            Array(report.output.components(separatedBy: "\nWHAT HAPPENED\n").dropFirst())
        }
        #expect(body(both).count == 1)
        #expect(body(both) == body(last))
        #expect(both.output.contains("also holds a boot of the host before this one"))
        #expect(!last.output.contains("before this one"))
    }

    @Test func whatExceedsTheBoundIsDeletedAndTold() throws {
        let place = try Place()
        let record = try place.cut("wire-pull-6.12", ["--keep-size", "128K", "--no-compress"])
        #expect(record.status == 0)
        #expect(record.errors.contains("deleted 00000001.rwr"), "\(record.errors)")
        #expect(place.segments.first != "00000001.rwr")
        let replay = try Command(["replay", place.recording])
        #expect(replay.output.hasPrefix("{\"schema\":1"))
        #expect(replay.output.contains("\"kind\":\"start\""), "the head has who recorded")
    }

    @Test func whatCannotBeRecordedIsNamed() throws {
        let place = try Place()
        let fixture = Fixture.recording("wire-pull-6.1")
        for (arguments, status, words) in [
            (["--source", "/etc/passwd"], 65, "/etc/passwd is no recording"),
            (["--source", "/nowhere.rwr"], 66, "/nowhere.rwr"),
        ] as [([String], Int32, String)] {
            let record = try Command(["record", place.recording] + arguments)
            #expect(record.status == status, "\(record.errors)")
            #expect(record.errors.contains(words), "\(record.errors)")
            #expect(place.segments.isEmpty, "nothing is begun")
        }
        for target in ["/etc/passwd", "/nowhere/at/all", "/proc/self"] {
            let record = try Command(["record", target, "--source", fixture])
            #expect(record.status == 73, "\(target): \(record.errors)")
            #expect(record.errors.contains(target), "\(record.errors)")
        }
    }

    /// A limit on the size of files: an error that no retry helps, and that must not kill.
    @Test func whatTheTargetDoesNotTakeIsToldAndTheRestIsSound() throws {
        let place = try Place()
        let record = try Command(
            ["record", place.recording, "--source", Fixture.recording("wire-pull-6.12")],
            through: ["prlimit", "--fsize=50000"])
        #expect(record.status == 74, "\(record.errors)")
        #expect(record.errors.contains("File too large"), "\(record.errors)")
        #expect(record.errors.contains("ends early"), "\(record.errors)")
        let replay = try Command(["replay", place.recording])
        #expect(replay.status == 0)
        #expect(replay.errors.isEmpty, "whole frames only: \(replay.errors)")
        #expect(replay.output.contains("\"kind\":\"start\""))
    }

    @Test(arguments: [
        ["record"], ["record", "x", "--segment-size", "1K"], ["record", "x", "--keep-size", "64M"],
        ["record", "x", "--segment-size", "many"], ["record", "x", "--keep-age", "1x"],
        ["record", "x", "--duration", "-1"],
        ["record", "x", "--source", "/nowhere.rwr", "--duration", "5"],
        ["record", "x", "--source", "/nowhere.rwr", "--backlog"],
    ])
    func wrongUsageHasItsOwnStatus(arguments: [String]) throws {
        let record = try Command(arguments)
        #expect(record.status == 64, "\(record.errors)")
    }
}

/// From the host, with an agent of its own.
@Suite(.serialized, .enabled(if: geteuid() == 0 || getenv("CI") != nil, "needs root"))
struct LiveRecordTests {
    @Test func whatTheHostDoesIsRecordedUntilTheEnd() throws {
        let place = try Place()
        let record = try Command([
            "record", place.recording, "--private", "--duration", "2", "--no-compress",
        ])
        #expect(record.status == 0, "\(record.errors)")
        #expect(record.errors.isEmpty, "\(record.errors)")
        let replay = try Command(["replay", place.recording])
        #expect(replay.status == 0)
        #expect(replay.errors.isEmpty, "\(replay.errors)")
        let lines = replay.output.split(separator: "\n")
        #expect(lines.first?.contains("\"kind\":\"start\"") == true)
        #expect(lines.last?.contains("\"final\":true") == true)
        #expect(lines.filter { $0.contains("\"kind\":\"summary\"") }.count >= 2)
    }

    @Test func aRecorderThatIsKilledLeavesAWholeRecording() throws {
        let place = try Place()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Command.binary)
        process.arguments = ["record", place.recording, "--private"]
        process.standardError = FileHandle.nullDevice
        try process.run()
        for _ in 0..<120 {
            Thread.sleep(forTimeInterval: 0.5)
            guard place.segments == ["00000001.rwr"] else { continue }
            let sofar = try Command(["replay", place.recording])
            if sofar.output.contains("\"kind\":\"summary\"") { break }
        }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        #expect(place.segments == ["00000001.rwr"])
        let replay = try Command(["replay", place.recording])
        #expect(replay.status == 0)
        let lines = replay.output.split(separator: "\n")
        #expect(lines.count >= 2, "\(replay.output)")
        #expect(lines.contains { $0.contains("\"kind\":\"summary\"") })
        // The next recorder goes on behind it.
        let next = try Command([
            "record", place.recording, "--private", "--duration", "1",
        ])
        #expect(next.status == 0, "\(next.errors)")
        let both = try Command(["replay", place.recording])
        #expect(both.output.hasPrefix(replay.output))
        #expect(both.output.contains("\"final\":true"))
    }
}

/// The black box outlives its agent.
@Suite(.serialized, .enabled(if: geteuid() == 0 || getenv("CI") != nil, "needs root"))
struct DeadBoxTests {
    @Test func theBoxOfAKilledAgentIsReplayedLikeWhatWasRecordedOfIt() throws {
        let place = try Place()
        let directory = "/dev/shm/reservewatch-test-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let box = "\(directory)/box"
        let agent = Process()
        agent.executableURL = URL(fileURLWithPath: Command.binary)
        agent.arguments = ["agent", "--box", box]
        agent.standardOutput = FileHandle.nullDevice
        agent.standardError = FileHandle.nullDevice
        try agent.run()
        // Loading its programs takes a while on a busy machine.
        for _ in 0..<120 {
            Thread.sleep(forTimeInterval: 0.5)
            guard FileManager.default.fileExists(atPath: box) else { continue }
            if try Command(["replay", box]).output.contains("\"kind\":\"summary\"") { break }
        }
        let record = try Command([
            "record", place.recording, "--box", box, "--backlog", "--duration", "1",
        ])
        kill(agent.processIdentifier, SIGKILL)
        agent.waitUntilExit()
        #expect(record.status == 0, "\(record.errors)")
        let dead = try Command(["replay", box])
        #expect(dead.status == 0, "\(dead.errors)")
        let recorded = try Command(["replay", place.recording])
        // The recorder's last line is its own: the agent went on.
        let lines = recorded.output.split(separator: "\n").dropLast()
        #expect(lines.count >= 2)
        #expect(dead.output.split(separator: "\n").starts(with: lines))
    }
}

@Suite struct ReplayTests {
    private static let fixture = Fixture.recording("wire-pull-6.12")

    private static func lines(_ arguments: String...) throws -> [[String: Any]] {
        let replay = try Command(["replay", fixture] + arguments)
        #expect(replay.status == 0, "\(replay.errors)")
        return try replay.output.split(separator: "\n").map {
            try #require(
                try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
    }

    private static func raw(_ arguments: String...) throws -> [Substring] {
        try Command(["replay", fixture] + arguments).output.split(separator: "\n")
    }

    private static func time(_ line: Substring) -> String {
        guard let begin = line.range(of: "\"time\":\"") else { return "" }
        return String(line[begin.upperBound...].prefix(30))
    }

    /// Every line of the whole replay that lies in the window, and no other; before it only
    /// what they refer to. The state is thus that of the whole.
    @Test func aWindowTellsExactlyTheLinesWithin() throws {
        let whole = try Self.raw()
        let times = whole.map(Self.time)
        let from = times[times.count / 8]
        let to = times[times.count * 9 / 10]
        #expect(from < to)
        let expected = whole.filter { line in
            let time = Self.time(line)
            return time >= from && time <= to
        }
        #expect(expected.count > 10)
        let window = try Self.raw("--from", from, "--to", to)
        let within = window.filter { Self.time($0) >= from }
        #expect(within == expected)
        let before = window.filter { Self.time($0) < from }
        #expect(
            before.allSatisfy {
                $0.contains("\"kind\":\"start\"") || $0.contains("\"kind\":\"stack\"")
            })
        #expect(before.first?.contains("\"kind\":\"start\"") == true)
        // The same in segments, whatever lies in which.
        let place = try Place()
        _ = try place.cut("wire-pull-6.12")
        let cut = try Command(["replay", place.recording, "--from", from, "--to", to])
        #expect(cut.output.split(separator: "\n") == window)
    }

    @Test func aTimeCanBeWrittenInManyWays() throws {
        // It begins at 03:26:46.279607010Z; the wire is pulled some ten seconds later.
        let absolute = try Self.raw("--from", "2026-11-25T03:26:56.279607010Z", "--to", "+12s")
        #expect(absolute.count > 20)
        #expect(try Self.raw("--from", "+10s", "--to", "+12s") == absolute)
        #expect(try Self.raw("--from", "03:26:56.279607010", "--to", "+12000ms") == absolute)
        #expect(
            try Self.raw(
                "--from", "2026-11-25T05:26:56.279607010+02:00", "--to", "03:26:58.27960701")
                == absolute)
        // The last record is 138.600060591 s after the first.
        let last = try Self.raw("--from", "-1s")
        #expect(last.last?.contains("\"final\":true") == true)
        #expect(last.count < absolute.count)
    }

    @Test(arguments: [
        ["--from", "yesterday"], ["--to", "10"], ["--from", "-5x"], ["--speed", "slow"],
        ["--speed", "0"], ["--from", "+20s", "--to", "+10s"],
        ["--format", "words", "--from", "+1s"],
    ])
    func wrongTimesHaveTheStatusOfWrongUsage(arguments: [String]) throws {
        let replay = try Command(["replay", Self.fixture] + arguments)
        #expect(replay.status == 64, "\(replay.errors)")
        #expect(replay.output.isEmpty)
        if let value = arguments.dropFirst().first, arguments.count == 2 {
            #expect(replay.errors.contains(value), "\(replay.errors)")
        }
    }

    @Test func anEmptyWindowIsToldWithTheBounds() throws {
        let replay = try Command(["replay", Self.fixture, "--from", "2027-01-01T00:00:00Z"])
        #expect(replay.status == 0)
        #expect(replay.errors.contains("2026-11-25T03:26:46.279607010Z"), "\(replay.errors)")
    }

    @Test func wordsCanEndEarlier() throws {
        let early = try Command(["replay", Self.fixture, "--format", "words", "--to", "+11s"])
        let whole = try Command(["replay", Self.fixture, "--format", "words"])
        #expect(early.status == 0)
        #expect(!early.output.isEmpty)
        #expect(early.output != whole.output)
    }

    @Test func recordedSpeedTakesAsLongAsItTook() throws {
        let window = ["--from", "+10s", "--to", "+11s"]
        let full = try Command(["replay", Self.fixture] + window)
        func seconds(_ speed: String) throws -> Double {
            let began = Date()
            let replay = try Command(["replay", Self.fixture] + window + ["--speed", speed])
            #expect(replay.output == full.output, "the lines are the same")
            return Date().timeIntervalSince(began)
        }
        let recorded = try seconds("recorded")
        let faster = try seconds("10")
        #expect(recorded > 0.9, "\(recorded)")
        #expect(faster > 0.09 && faster < recorded, "\(faster)")
    }

    @Test func linesGoWhereTheyWereToldTo() throws {
        let place = try Place()
        let out = "\(place.path)/out.jsonl"
        let replay = try Command(["replay", Self.fixture, "--output", out, "--kind", "nbd"])
        #expect(replay.status == 0)
        #expect(replay.output.isEmpty)
        let text = try String(contentsOfFile: out, encoding: .utf8)
        #expect(text.split(separator: "\n").allSatisfy { $0.contains("\"kind\":\"nbd\"") })
        #expect(!text.isEmpty)
        let full = try Command(["replay", Self.fixture, "--output", "/dev/full"])
        #expect(full.status == 74, "\(full.errors)")
        let nowhere = try Command(["replay", Self.fixture, "--output", "/nowhere/out"])
        #expect(nowhere.status == 73)
    }

    @Test(.enabled(if: geteuid() == 0 || getenv("CI") != nil, "needs root to become nobody"))
    func neitherRootNorTypeInformationIsNeeded() throws {
        let place = try Place()
        _ = try place.cut("wire-pull-6.12")
        #expect(chmod(place.path, 0o755) == 0 && chmod(place.recording, 0o755) == 0)
        for name in place.segments { #expect(chmod("\(place.recording)/\(name)", 0o644) == 0) }
        let plain = try Command(["replay", Self.fixture])
        let hide = ["unshare", "--mount", "sh", "-c", "umount -l /sys && exec \"$@\"", "sh"]
        let replay = try Command(
            ["replay", place.recording], through: hide + Command.asNobody)
        #expect(replay.status == 0, "\(replay.errors)")
        #expect(replay.output == plain.output)
    }
}
