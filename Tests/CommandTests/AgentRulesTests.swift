// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// An agent with rules, on this machine's kernel. That acts are done the lab shows.
@Suite(.serialized, .enabled(if: geteuid() == 0 || getenv("CI") != nil, "BPF needs root"))
struct AgentRulesTests {
    private static let stop = """
        [Rule stop-largest]
        Mode=enforce
        When=stalling deadlocked
        Action=stop
        Target=largest-in /reservewatch-test-none
        """

    private func withRules(_ text: String, _ body: (String) throws -> Void) throws {
        let file = NSTemporaryDirectory() + "reservewatch-\(UUID().uuidString).conf"
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: file) }
        try body(file)
    }

    /// Its children but the one that reads its configuration.
    private func children(of pid: Int32) throws -> [Int32] {
        try String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)
            .split(separator: " ").compactMap { Int32($0) }
            .filter {
                try String(contentsOfFile: "/proc/\($0)/comm", encoding: .utf8) != "rw-settings\n"
            }
    }

    private func capabilities(_ path: String) throws -> UInt64 {
        let text = try String(contentsOfFile: "\(path)/status", encoding: .utf8)
        let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("CapPrm") })
        return try #require(UInt64(line.suffix(16), radix: 16))
    }

    private func last(_ output: String, _ kind: String) throws -> [String: Any] {
        let bodies = output.split(separator: "\n").compactMap { line in
            let object = try? JSONSerialization.jsonObject(with: Data(line.utf8))
            return (object as? [String: Any])?[kind] as? [String: Any]
        }
        return try #require(bodies.last)
    }

    private func hook(_ name: String, _ box: String) throws -> [String: Any] {
        let start = try last(try Command(["replay", box]).output, "start")
        let hooks = try #require(start["hooks"] as? [[String: Any]])
        return try #require(hooks.first { $0["signal"] as? String == name })
    }

    @Test func itsThreadsKeepWhatTheRulesNeedAndNoMore() throws {
        try withRules(Self.stop) { file in
            let agent = try RunningAgent(["--config", file])
            #expect(agent.awaitBox())
            let told = try hook("agent.hands", agent.box)
            #expect(told["path"] as? String == "kill, sys_ptrace")
            let pid = agent.process.processIdentifier
            let keeper = try #require(try children(of: pid).first)
            #expect(
                try hook("agent.keeper", agent.box)["path"] as? String == "process \(keeper)")
            let signals: UInt64 = 1 << 5
            let ptrace: UInt64 = 1 << 19
            #expect(try capabilities("/proc/\(keeper)") == signals)
            var kept: [UInt64] = []
            for thread in try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")
            where thread != "\(pid)" {
                kept.append(try capabilities("/proc/\(pid)/task/\(thread)"))
            }
            // The others: those beside the loop of every agent.
            #expect(kept.contains(0))
            #expect(kept.filter { $0 != 0 }.sorted() == [signals, ptrace])
            #expect(agent.end() == 0)
            #expect(kill(keeper, 0) != 0)
            #expect(!FileManager.default.fileExists(atPath: "\(agent.box).hand"))
        }
    }

    /// On a calm host: they are there, and nothing was done.
    @Test func itsRulesAreInTheSummary() throws {
        try withRules(Self.stop) { file in
            let agent = try RunningAgent(["--config", file])
            #expect(agent.awaitBox())
            let reader = try Command(["events", "--box", agent.box, "--duration", "2"])
            let summary = try last(reader.output, "summary")
            let rules = try #require(summary["rules"] as? [[String: Any]])
            #expect(rules.count == 1)
            #expect(rules.first?["rule"] as? String == "stop-largest")
            #expect(rules.first?["mode"] as? String == "enforce")
            #expect(rules.first?["done"] as? Int == 0)
            // Its cgroup is not there, and that is told.
            #expect(rules.first?["target_error"] != nil)
            #expect(!reader.output.contains("\"kind\":\"enforce\""))
            let own = try #require(summary["self"] as? [String: Any])
            #expect(own["pages_allocated"] as? Int == 0)
        }
    }

    @Test func aKilledOneLeavesItsPlaceToTheNext() throws {
        try withRules(Self.stop) { file in
            let agent = try RunningAgent(["--config", file])
            #expect(agent.awaitBox())
            let keeper = try #require(try children(of: agent.process.processIdentifier).first)
            _ = agent.end(SIGKILL)
            // The keeper lets go of the box and goes too.
            for _ in 0..<600 where kill(keeper, 0) == 0 { usleep(10_000) }
            let next = Process()
            next.executableURL = URL(fileURLWithPath: Command.binary)
            next.arguments = ["agent", "--box", agent.box, "--config", file]
            next.standardError = FileHandle.nullDevice
            try next.run()
            for _ in 0..<600 where next.isRunning && agent.beats < 3 { usleep(50_000) }
            #expect(next.isRunning)
            kill(next.processIdentifier, SIGTERM)
            next.waitUntilExit()
            #expect(next.terminationStatus == 0)
        }
    }

    /// A cgroup whose parent hands no controllers on has no memory.high.
    @Test func whatItsCgroupCannotDoIsRefused() throws {
        let table = try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)
        let line = try #require(
            table.split(separator: "\n").first { $0.contains(" - cgroup2 ") })
        let name = "reservewatch-test-\(UUID().uuidString.prefix(8))"
        let directory = "\(line.split(separator: " ")[4])/\(name)"
        try FileManager.default.createDirectory(
            atPath: "\(directory)/inner", withIntermediateDirectories: true)
        defer {
            rmdir("\(directory)/inner")
            rmdir(directory)
        }
        let high = """
            [Rule high]
            Mode=enforce
            When=stalling
            Action=memory-high
            Target=/\(name)/inner
            """
        try withRules(high) { file in
            let said = try Command([
                "agent", "--box", "/dev/shm/\(name).box", "--config", file,
            ])
            #expect(said.status == 69)
            #expect(said.errors.contains("rule high cannot keep its Mode=enforce: cannot open"))
            #expect(said.errors.contains("/inner"))
            #expect(said.errors.contains("or set Mode=off"))
            unlink("/dev/shm/\(name).box")
        }
    }
}

@Suite struct AgentRulesFileTests {
    @Test func rulesThatAreNoneStartNothing() throws {
        let absent = try Command(["agent", "--config", "/nowhere.conf"])
        #expect(absent.status == 66)
        #expect(absent.errors.contains("/nowhere.conf"))
        let file = NSTemporaryDirectory() + "reservewatch-\(UUID().uuidString).conf"
        try "[Rule a]\nAction=dance\n".write(toFile: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: file) }
        let said = try Command(["agent", "--config", file])
        #expect(said.status == 78)
        #expect(said.errors.contains("\(file):2: "))
    }
}
