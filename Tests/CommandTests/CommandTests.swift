// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@Suite struct RefusalTests {
    /// One line, named like every Unix tool's, that says what to do.
    private func expectSentence(_ command: Command, status: Int32, _ words: String...) {
        #expect(command.status == status)
        #expect(command.output.isEmpty)
        let lines = command.errors.split(separator: "\n")
        #expect(lines.count == 1, "\(command.errors)")
        #expect(command.errors.hasPrefix("reservewatch: "))
        for word in words { #expect(command.errors.contains(word), "\(command.errors)") }
    }

    @Test(.enabled(if: geteuid() == 0 || getenv("CI") != nil, "needs root to become nobody"))
    func whoIsNotRootIsToldHow() throws {
        expectSentence(
            try Command(["events"], through: Command.asNobody), status: 77, "not permitted",
            "as root")
        expectSentence(
            try Command(["doctor"], through: Command.asNobody), status: 77, "not permitted",
            "as root")
    }

    @Test(.enabled(if: geteuid() == 0 || getenv("CI") != nil, "needs root to give it up"))
    func rootWithoutCapabilitiesIsToldWhichItLacks() throws {
        expectSentence(
            try Command(["events"], through: ["setpriv", "--bounding-set=-all"]), status: 77,
            "not permitted", "CAP_BPF")
    }

    @Test(.enabled(if: geteuid() == 0 || getenv("CI") != nil, "needs root to unmount"))
    func withoutTypeInformationTheKernelIsRefused() throws {
        let hide = ["unshare", "--mount", "sh", "-c", "umount -l /sys && exec \"$@\"", "sh"]
        expectSentence(
            try Command(["events"], through: hide), status: 69, "no type information", "BTF")
    }

    @Test func whatIsNoRecordingIsNamed() throws {
        expectSentence(
            try Command(["replay", "/etc/passwd"]), status: 65, "/etc/passwd", "no recording")
        expectSentence(
            try Command(["replay", "/nowhere/at.all"]), status: 66, "/nowhere/at.all",
            "No such file")
        expectSentence(try Command(["replay", "/dev/null"]), status: 65, "/dev/null", "empty")
        expectSentence(
            try Command(["report", "/etc/passwd"]), status: 65, "/etc/passwd", "no recording")
    }

    @Test func aReportIsWrittenWholeOrNotAtAll() throws {
        let recording = Fixture.recording("wire-1")
        expectSentence(
            try Command(["report", recording, "-o", "/nowhere/report.html"]), status: 73,
            "/nowhere/report.html")
        let full = try Command(["report", recording, "-o", "/dev/full"])
        #expect(full.status == 74)
        #expect(full.errors.contains("not whole"), "\(full.errors)")
        let path = NSTemporaryDirectory() + "/report-\(getpid()).html"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try "the former one".write(toFile: path, atomically: true, encoding: .utf8)
        #expect(try Command(["report", "/etc/passwd", "-o", path]).status == 65)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "the former one")
        #expect(try Command(["report", recording, "-o", path]).status == 0)
        #expect(try String(contentsOfFile: path, encoding: .utf8).hasSuffix("</html>\n"))
    }

    @Test(arguments: [
        ["replay"], ["report"], ["metrics", "--once", "--replay"], ["top", "--once", "--replay"],
        ["metrics", "--describe", "markdown", "--replay"],
    ])
    func anOutputThatFailsOnTheWayHasItsOwnStatus(arguments: [String]) throws {
        let full = try Command(
            arguments + [Fixture.recording("wire-1")],
            through: ["sh", "-c", "exec \"$@\" >/dev/full", "sh"])
        #expect(full.status == 74)
        #expect(full.errors.contains("No space left on device"), "\(full.errors)")
    }

    @Test(arguments: [["replay"], ["report"], ["metrics", "--once", "--replay"]])
    func aReaderThatGoesAwayIsNoError(arguments: [String]) throws {
        let head = try Command(
            arguments + [Fixture.recording("wire-pull-6.12")],
            through: ["bash", "-c", "set -o pipefail; \"$@\" | head -c 1", "bash"])
        #expect(head.status == 0)
        #expect(head.errors.isEmpty, "\(head.errors)")
    }

    @Test func whatDescribesNoKernelIsNamed() throws {
        expectSentence(
            try Command(["doctor", "--btf", "/nowhere/vmlinux"]), status: 66, "/nowhere/vmlinux",
            "No such file")
        expectSentence(
            try Command(["doctor", "--btf", "/etc/passwd"]), status: 65, "/etc/passwd",
            "describes no kernel")
        expectSentence(
            try Command(["doctor", "--btf", "/etc/passwd", "--config", "/etc/passwd"]), status: 65,
            "CONFIG_")
    }

    @Test(.enabled(if: geteuid() == 0 || getenv("CI") != nil, "needs root to get that far"))
    func anOutputThatCannotBeOpenedIsNamed() throws {
        expectSentence(
            try Command(["events", "--output", "/nowhere/out"]), status: 73, "/nowhere/out")
        expectSentence(
            try Command(["events", "--record", "/proc/self"]), status: 73, "/proc/self")
    }

    @Test(arguments: [
        ["events", "--interval", "0"], ["events", "--ring", "3"], ["events", "--kind", "weather"],
        ["events", "--duration", "-1"], ["events", "--sample-period", "0"], ["replay"],
        ["events", "--format", "xml"], ["nonsense"], ["doctor", "--config", "/etc/passwd"],
    ])
    func wrongUsageHasItsOwnStatus(arguments: [String]) throws {
        let command = try Command(arguments)
        #expect(command.status == 64)
        #expect(!command.errors.isEmpty)
    }

    @Test(arguments: [
        ["--help"], ["help", "events"], ["help", "replay"], ["help", "report"], ["help", "doctor"],
        ["help", "top"], ["help", "metrics"],
    ])
    func helpHasExamples(arguments: [String]) throws {
        let command = try Command(arguments)
        #expect(command.status == 0)
        #expect(command.output.contains("EXAMPLES"))
    }
}

@Suite(.serialized, .enabled(if: geteuid() == 0 || getenv("CI") != nil, "needs root"))
struct LiveCommandTests {
    @Test func eventsBeginWithTheHostAndEndWithTheTotals() throws {
        let recording = NSTemporaryDirectory() + "/events-\(getpid()).rwr"
        defer { try? FileManager.default.removeItem(atPath: recording) }
        let live = try Command([
            "events", "--duration", "1.5", "--interval", "0.5", "--record", recording,
        ])
        #expect(live.status == 0, "\(live.errors)")
        let lines = live.output.split(separator: "\n")
        #expect(lines.first?.contains("\"kind\":\"start\"") == true)
        #expect(lines.last?.contains("\"final\":true") == true)
        let replay = try Command(["replay", recording, "--interval", "0.5"])
        #expect(replay.output == live.output, "a replay gives the live lines, byte for byte")
    }

    @Test func onlyTheKindsAskedForAreTold() throws {
        let live = try Command(["events", "--duration", "1.2", "--kind", "summary"])
        let lines = live.output.split(separator: "\n")
        #expect(!lines.isEmpty)
        #expect(lines.allSatisfy { $0.contains("\"kind\":\"summary\"") })
    }

    @Test func doctorNamesEverySignal() throws {
        let doctor = try Command(["doctor"])
        #expect(doctor.status == 0 || doctor.status == 1)
        for signal in ["watermark.zones", "reserve.taken", "throttle.calls", "nbd.requests"] {
            #expect(doctor.output.contains(signal))
        }
    }
}

@Suite struct OfflineDoctorTests {
    @Test func aKernelIsJudgedByItsFilesWithoutRoot() throws {
        let through = geteuid() == 0 ? Command.asNobody : []
        let doctor = try Command(
            ["doctor", "--btf", "/sys/kernel/btf/vmlinux"], through: through)
        #expect(doctor.status == 0 || doctor.status == 1)
        #expect(doctor.errors.contains("without --config"))
        #expect(doctor.output.contains("reserve.taken"))
        #expect(doctor.output.contains("cost: page (each page allocated or freed)"))
        #expect(doctor.output.contains("blind to: "))
    }

    @Test func aConfigurationThatForbidsFentryLeavesSignalsMissing() throws {
        let config = NSTemporaryDirectory() + "/config-\(getpid())"
        defer { try? FileManager.default.removeItem(atPath: config) }
        try "CONFIG_KALLSYMS_ALL=y\n".write(toFile: config, atomically: true, encoding: .utf8)
        let doctor = try Command([
            "doctor", "--btf", "/sys/kernel/btf/vmlinux", "--config", config,
        ])
        #expect(doctor.status == 1)
        #expect(doctor.errors.isEmpty)
        #expect(doctor.output.contains("kernel refuses fentry (Operation not supported)"))
    }
}

/// Real records of both kernels, through the real decoder and model.
@Suite struct FixtureTests {
    @Test(arguments: Fixture.names) func everyRecordIsKnownAndWhole(name: String) throws {
        let replay = try Command(["replay", Fixture.recording(name)])
        #expect(replay.status == 0)
        #expect(replay.errors.isEmpty, "\(replay.errors)")
        let last = try #require(replay.output.split(separator: "\n").last)
        let line = try #require(
            try JSONSerialization.jsonObject(with: Data(last.utf8)) as? [String: Any])
        let summary = try #require(line["summary"] as? [String: Any])
        #expect(summary["final"] as? Bool == true)
        let loss = try #require(summary["loss"] as? [String: Any])
        #expect(loss["unknown_records"] as? Int == 0)
        #expect(loss["malformed_records"] as? Int == 0)
        let unknown = try #require(summary["unknown"] as? [String])
        // The agents that made these knew no guard; they knew all else.
        let lacksOnlyTheGuard =
            unknown == ["guard_signals", "guard_traces", "guard_swapoff", "guard_disconnect"]
        #expect(lacksOnlyTheGuard == (name != "wire-1"), "\(unknown)")
    }

    @Test func whatAnOldAgentDidNotTellIsUnknownAndNotZero() throws {
        let replay = try Command(["replay", Fixture.recording("wire-1")])
        let last = try #require(replay.output.split(separator: "\n").last)
        let line = try #require(
            try JSONSerialization.jsonObject(with: Data(last.utf8)) as? [String: Any])
        let summary = try #require(line["summary"] as? [String: Any])
        let unknown = try #require(summary["unknown"] as? [String])
        for (name, field) in [
            ("kswapd", "kswapd"), ("slab", "slab"), ("sockets", "sockets"),
            ("reclaim_wait", "reclaim_wait"), ("below_min", "below_min"),
            ("swap_devices", "swap_devices"), ("pressure", "pressure"),
        ] {
            #expect(unknown.contains(name))
            #expect(summary[field] == nil, "\(field)")
        }
        #expect(!unknown.contains("allocstall"))
        #expect(!unknown.contains("reserve"))
    }

    @Test(arguments: Fixture.names) func textAndWordsAreAsTheyWere(name: String) throws {
        for format in ["text", "words"] {
            let replay = try Command(["replay", Fixture.recording(name), "--format", format])
            let golden = try Fixture.golden(name, format)
            #expect(replay.output == golden, "\(name).\(format); see CONTRIBUTING, Fixtures")
        }
    }

    @Test(arguments: Fixture.names) func reportsAreAsTheyWere(name: String) throws {
        for format in ["text", "markdown"] {
            let report = try Command(["report", Fixture.recording(name), "--format", format])
            #expect(report.status == 0)
            #expect(report.errors.isEmpty, "\(report.errors)")
            let golden = try Fixture.golden(name, "report.\(format)")
            #expect(report.output == golden, "\(name).report.\(format); see scripts/fixtures")
            if format == "text" {
                let widest = report.output.split(separator: "\n").map(\.count).max() ?? 0
                #expect(widest <= 78)
            }
        }
    }

    @Test(arguments: Fixture.names) func everyLineMatchesTheSchema(name: String) throws {
        let replay = try Command(["replay", Fixture.recording(name)])
        let lines = NSTemporaryDirectory() + "/\(name)-\(getpid()).jsonl"
        defer { try? FileManager.default.removeItem(atPath: lines) }
        try replay.output.write(toFile: lines, atomically: true, encoding: .utf8)
        let root = (Fixture.directory as NSString).deletingLastPathComponent + "/.."
        let validator = Process()
        validator.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        validator.arguments = [
            "python3", "\(root)/Tests/Lab/validate_events.py",
            "\(root)/docs/schema/events.schema.json", lines,
        ]
        validator.standardOutput = FileHandle.nullDevice
        try validator.run()
        validator.waitUntilExit()
        #expect(validator.terminationStatus == 0)
    }
}
