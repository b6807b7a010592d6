// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

func kinds(_ output: String) throws -> [String] {
    try output.split(separator: "\n").map { line in
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
        return (object as? [String: Any])?["kind"] as? String ?? "-"
    }
}

func body(_ output: String, _ kind: String) throws -> [String: Any]? {
    try output.split(separator: "\n").compactMap { line in
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        return object?[kind] as? [String: Any]
    }.last
}

@Suite(.serialized, .enabled(if: geteuid() == 0 || getenv("CI") != nil, "BPF needs root"))
struct AgentTests {
    @Test func readersReadItsBoxAndItTakesNothingFromTheHost() throws {
        let agent = try RunningAgent()
        #expect(agent.awaitBox())
        let reader = try Command(["events", "--box", agent.box, "--duration", "2"])
        #expect(reader.status == 0, "\(reader.errors)")
        let told = try kinds(reader.output)
        #expect(told.first == "start")
        #expect(told.filter { $0 == "summary" }.count >= 2)
        let summary = try #require(try body(reader.output, "summary"))
        #expect(summary["final"] as? Bool == true)
        let own = try #require(summary["self"] as? [String: Any])
        #expect(own["pages_allocated"] as? Int == 0)
        #expect(own["direct_reclaims"] as? Int == 0)
        #expect(own["major_faults"] as? Int == 0)
        #expect((own["locked_kib"] as? Int ?? .max) > 0)
        #expect(agent.process.isRunning)
        #expect(agent.end() == 0)
    }

    /// What a thread of a process may do, as the kernel has it: CapPrm, CapEff and NoNewPrivs.
    private func rights(of pid: Int32, thread: String) throws -> [String: UInt64] {
        let text = try String(
            contentsOfFile: "/proc/\(pid)/task/\(thread)/status", encoding: .utf8)
        var rights: [String: UInt64] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(whereSeparator: { ":\t ".contains($0) })
            if words.count == 2 { rights[String(words[0])] = UInt64(words[1], radix: 16) }
        }
        return rights
    }

    /// All but what the start line says to be kept, and why; the threads beside the loop keep
    /// nothing.
    @Test func itGivesItsCapabilitiesAwayOnceItHasAttached() throws {
        let agent = try RunningAgent(["--alert-to", "DIR/alerts"])
        #expect(agent.awaitBox())
        let replay = try Command(["replay", agent.box])
        let start = try #require(try body(replay.output, "start"))
        let hooks = try #require(start["hooks"] as? [[String: Any]])
        let line = try #require(hooks.first { $0["signal"] as? String == "agent.capabilities" })
        #expect(["primary", "fallback"].contains(line["state"] as? String))
        let numbers = ["ipc_lock": 14, "sys_ptrace": 19, "sys_admin": 21, "bpf": 39]
        var told: UInt64 = 0
        for name in try #require(line["path"] as? String).split(separator: ", ")
        where name != "none" {
            told |= 1 << UInt64(try #require(numbers[String(name)], "\(name) is kept"))
        }
        #expect((told == 0) == (line["state"] as? String == "primary"))
        #expect(told == 0 || (line["reason"] as? String)?.isEmpty == false)
        let pid = agent.process.processIdentifier
        let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")
        // The loop, the writer of the alerts, the search for those who are guarded, the reader of
        // /proc/sys; where the kernel lets no hook count for us, that of /proc/vmstat.
        let isRead = hooks.contains { $0["path"] as? String == "/proc/vmstat" }
        #expect(threads.count == (isRead ? 5 : 4))
        for thread in threads {
            let rights = try rights(of: pid, thread: thread)
            let expected = thread == String(pid) ? told : 0
            #expect(rights["CapPrm"] == expected)
            #expect(rights["CapEff"] == expected)
            #expect(rights["CapInh"] == 0)
            #expect(rights["NoNewPrivs"] == 1)
        }
        // And it still has what it tells at its end.
        #expect(agent.end() == 0)
        let ended = try Command(["replay", agent.box])
        let summary = try #require(try body(ended.output, "summary"))
        #expect(summary["final"] as? Bool == true)
    }

    @Test func aSecondOneOnTheSameBoxIsRefused() throws {
        let agent = try RunningAgent()
        #expect(agent.awaitBox())
        let second = try Command(["agent", "--box", agent.box])
        #expect(second.status == 75)
        #expect(second.errors.contains("process \(agent.process.processIdentifier) writes"))
    }

    @Test func aBoxWhoseAgentWasKilledIsReplayedLikeARecording() throws {
        let agent = try RunningAgent()
        #expect(agent.awaitBox())
        _ = agent.end(SIGKILL)
        let replay = try Command(["replay", agent.box])
        #expect(replay.status == 0, "\(replay.errors)")
        #expect(try kinds(replay.output).first == "start")
        let again = try Command(["replay", agent.box])
        #expect(again.output == replay.output)
    }

    @Test func aReaderTellsThatItsAgentDied() throws {
        let agent = try RunningAgent()
        #expect(agent.awaitBox())
        let pid = agent.process.processIdentifier
        Thread.detachNewThread {
            usleep(1_500_000)
            kill(pid, SIGKILL)
        }
        let reader = try Command(["events", "--box", agent.box, "--duration", "30"])
        #expect(reader.status == 75)
        #expect(reader.errors.contains("died"))
        #expect(try kinds(reader.output).contains("summary"))
    }

    /// The reader is its parent: until it takes note, the dead agent is still in the table.
    @Test func aReaderTellsThatItsOwnAgentDied() throws {
        let pipe = Pipe()
        let errors = Pipe()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Command.binary)
        process.arguments = ["events", "--private", "--kind", "summary"]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = pipe
        process.standardError = errors
        try process.run()
        // Its first line.
        #expect(!pipe.fileHandleForReading.availableData.isEmpty)
        let reader = process.processIdentifier
        let children = try String(
            contentsOfFile: "/proc/\(reader)/task/\(reader)/children", encoding: .utf8)
        let agent = try #require(pid_t(children.split(separator: " ").first ?? ""))
        kill(agent, SIGKILL)
        process.waitUntilExit()
        #expect(process.terminationStatus == 75)
        let told = String(
            decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        #expect(told.contains("its own agent died"))
    }

    /// A FIFO that nobody empties, and a file: the alert's first line comes to the file, and
    /// the loop goes on.
    @Test func aPlaceThatTakesNothingHoldsUpNothing() throws {
        let directory = NSTemporaryDirectory() + "reservewatch-sinks-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let fifo = "\(directory)/fifo"
        #expect(mkfifo(fifo, 0o600) == 0)
        let reader = open(fifo, O_RDONLY | O_NONBLOCK)
        let filler = open(fifo, O_WRONLY | O_NONBLOCK)
        defer {
            close(filler)
            close(reader)
        }
        let page = [UInt8](repeating: 0x78, count: 4096)
        while write(filler, page, page.count) > 0 {}
        let agent = try RunningAgent([
            "--alert-to", fifo, "--alert-to", "\(directory)/alerts", "--beat-to",
            "\(directory)/beat",
        ])
        #expect(agent.awaitBox())
        let summary = try #require(
            try body(
                try Command(["events", "--box", agent.box, "--duration", "2"]).output, "summary"))
        let sinks = try #require(summary["sinks"] as? [[String: Any]])
        #expect(sinks.count == 2)
        #expect(sinks[0]["lines"] as? Int == 0)
        #expect((sinks[0]["waiting_bytes"] as? Int ?? 0) > 0)
        #expect(sinks[1]["lines"] as? Int == 1)
        let beats = agent.beats
        usleep(1_000_000)
        #expect(agent.beats > beats)
        #expect(agent.end() == 0)
        let opening = try String(contentsOfFile: "\(directory)/alerts", encoding: .utf8)
        #expect(opening.hasSuffix("alerts come here\n"))
    }

    @Test func whatItCannotOpenIsNamedAtTheStart() throws {
        let nowhere = try Command([
            "agent", "--box", "/dev/shm/reservewatch-test-none/box", "--alert-to",
            "/nowhere/at.all",
        ])
        #expect(nowhere.status == 73)
        #expect(nowhere.errors.contains("/nowhere/at.all"))
        let group = try Command(["agent", "--group", "no-such-group"])
        #expect(group.status == 64)
    }
}
