// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// A service manager's end of the socket.
private final class Manager {
    let path = NSTemporaryDirectory() + "notify-\(UUID().uuidString)"
    let descriptor: Int32
    private(set) var heard: [String] = []

    init() throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        let bound = Self.withAddress(path) { bind(descriptor, $0, $1) }
        try #require(bound == 0)
    }

    static func withAddress(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    /// Whether somebody said this by now.
    func hears(_ words: String) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            guard count > 0 else { break }
            heard.append(String(decoding: buffer[..<count], as: UTF8.self))
        }
        return heard.contains { $0.contains(words) }
    }

    /// Sends until nothing more fits.
    func fill() throws {
        let sender = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(sender) }
        try #require(Self.withAddress(path) { connect(sender, $0, $1) } == 0)
        while send(sender, "x", 1, Int32(MSG_DONTWAIT)) == 1 {}
    }

    deinit {
        close(descriptor)
        unlink(path)
    }
}

@Suite(.serialized, .enabled(if: geteuid() == 0 || getenv("CI") != nil, "BPF needs root"))
struct ReloadTests {
    @Test func aBrokenFileLeavesTheAgentAsItWasAndIsToldWithItsLines() throws {
        let agent = try RunningAgent(configuration: "[Alerts]\nAgain=20s\n")
        #expect(agent.awaitBox())
        let pid = agent.process.processIdentifier
        try agent.configure("[Agent]\nInterval=soon\nSlow=1d\n[Alerts]\nAgain=30s\n")
        kill(pid, SIGHUP)
        #expect(agent.awaitLog("the agent goes on with what it has"), "\(agent.log)")
        #expect(agent.log.contains("r.conf:2: error: [Agent] Interval=soon: it is no time"))
        #expect(agent.log.contains("r.conf:3: error: [Agent] Slow=1d: it is not from"))
        #expect(agent.log.contains("for it has 2 errors"))
        #expect(!agent.log.contains("takes effect"))
        let beats = agent.beats
        #expect(agent.waits { agent.beats > beats + 3 })
        #expect(agent.process.isRunning)
        let reader = try Command(["events", "--box", agent.box, "--duration", "1.5"])
        let settings = try #require(try body(reader.output, "settings"))
        #expect(settings["outcome"] as? String == "refused")
        #expect(settings["errors"] as? Int == 2)
        // What holds is what it began with.
        #expect(settings["alert_update_us"] as? Int == 20_000_000)
        let own = try #require(try body(reader.output, "summary")?["self"] as? [String: Any])
        #expect(own["pages_allocated"] as? Int == 0)
        #expect(agent.end() == 0)
    }

    @Test func timesTakeEffectAndTheRestIsToldToWait() throws {
        let agent = try RunningAgent(
            ["--slow", "40"], configuration: "[Agent]\nSlow=20ms\n[Box]\nSize=4M\n")
        #expect(agent.awaitBox())
        try agent.configure(
            "[Agent]\nSlow=30ms\nStallNotice=3s\n[Alerts]\nCriticalAfter=2s\n[Box]\nSize=1M\n")
        kill(agent.process.processIdentifier, SIGHUP)
        #expect(agent.awaitLog("needs a restart"), "\(agent.log)")
        #expect(
            agent.log == """
                reservewatch: takes effect: [Agent] StallNotice=3s (r.conf:3)
                reservewatch: takes effect: [Alerts] CriticalAfter=2s (r.conf:5)
                reservewatch: needs a restart: [Box] Size=1M (r.conf:7)

                """)
        var settings: [String: Any] = [:]
        #expect(
            agent.waits {
                let reader = try? Command(["events", "--box", agent.box, "--duration", "0.3"])
                settings = (try? body(reader?.output ?? "", "settings")) ?? [:]
                return settings["outcome"] as? String == "taken"
            })
        #expect(settings["critical_after_us"] as? Int == 2_000_000)
        #expect(settings["stall_notice_us"] as? Int == 3_000_000)
        #expect(settings["waiting"] as? Int == 1)
        #expect(settings["asked"] as? Int == 1)
        // Back as it was: nothing waits.
        try agent.configure("[Box]\nSize=4M\n")
        kill(agent.process.processIdentifier, SIGHUP)
        #expect(agent.awaitLog("takes effect: [Agent] StallNotice=1s\n"), "\(agent.log)")
        #expect(agent.end() == 0)
    }

    @Test func whoReadsTheConfigurationMayBeFrozenAndEndsWithTheAgent() throws {
        let agent = try RunningAgent(configuration: "")
        #expect(agent.awaitBox())
        let keeper = try #require(agent.keeper)
        #expect(
            try String(contentsOfFile: "/proc/\(keeper)/comm", encoding: .utf8) == "rw-settings\n")
        kill(keeper, SIGSTOP)
        try agent.configure("[Agent]\nInterval=2s\n")
        for _ in 0..<20 { kill(agent.process.processIdentifier, SIGHUP) }
        let beats = agent.beats
        #expect(agent.waits { agent.beats > beats + 5 })
        #expect(agent.log.isEmpty)
        kill(keeper, SIGCONT)
        #expect(agent.awaitLog("takes effect: [Agent] Interval=2s"))
        #expect(agent.end(SIGKILL) == SIGKILL)
        #expect(agent.waits { kill(keeper, 0) != 0 })
    }

    @Test func theServiceManagerIsToldOfStartReloadAndEnd() throws {
        let manager = try Manager()
        let agent = try RunningAgent(
            configuration: "",
            environment: ["NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "1200000"])
        #expect(agent.awaitBox())
        #expect(agent.waits { manager.hears("READY=1\nSTATUS=host is ") }, "\(manager.heard)")
        #expect(
            agent.waits {
                _ = manager.hears("")
                return manager.heard.filter { $0.contains("WATCHDOG=1") }.count >= 3
            }, "\(manager.heard)")
        kill(agent.process.processIdentifier, SIGHUP)
        #expect(agent.waits { manager.hears("RELOADING=1\nMONOTONIC_USEC=") })
        #expect(agent.waits { manager.hears("READY=1\nSTATUS=settings taken") })
        #expect(agent.end() == 0)
        #expect(manager.hears("STOPPING=1"))
    }

    /// As with a manager that is frozen: its queue is full, and the loop goes on and counts.
    @Test func aManagerThatReadsNothingHoldsUpNothing() throws {
        let manager = try Manager()
        try manager.fill()
        let agent = try RunningAgent(
            environment: ["NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"])
        #expect(agent.awaitBox())
        let beats = agent.beats
        #expect(agent.waits { agent.beats > beats + 15 })
        let reader = try Command(["events", "--box", agent.box, "--duration", "1.5"])
        let sinks = try #require(
            try body(reader.output, "summary")?["sinks"] as? [[String: Any]])
        #expect(sinks.map { $0["name"] as? String } == ["service manager"])
        #expect(sinks[0]["lines"] as? Int == 0)
        #expect((sinks[0]["waiting_bytes"] as? Int ?? 0) > 0)
        #expect(agent.end() == 0)
    }

    @Test func aReadersOwnAgentIsNobodysService() throws {
        let manager = try Manager()
        let reader = try Command(
            ["events", "--private", "--duration", "0.5"],
            through: ["env", "NOTIFY_SOCKET=\(manager.path)"])
        #expect(reader.status == 0, "\(reader.errors)")
        #expect(!manager.hears(""), "\(manager.heard)")
    }
}
