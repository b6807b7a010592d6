// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

private let would = "1"
private let done = "2"
private let refused = "4"
private let protected = "9"
private let nobody = "10"

@Suite(.serialized, .enabled(if: Host.isFit, "a cgroup v2 hierarchy and root"))
struct ActTests {
    @Test func theLargestIsKilledAndWhatCameFreeIsTold() throws {
        let group = try Group()
        try group.add(mebibytes: 4)
        let large = try group.add(mebibytes: 64)
        try group.add(mebibytes: 16)
        let trial = try Trial("kill", group.path)
        _ = try #require(trial.ready(), "\(trial.said)")
        trial.tell("kill 1")
        let act = try #require(trial.act(0))
        #expect(act["outcome"] == done, "\(act)")
        #expect(act["victim"] == "\(large)")
        #expect(act["choice"] == "1")
        let held = try #require(act["held"].flatMap { Int($0) })
        #expect(held >= 64 * 256 && held < 100 * 256)
        let freed = try #require(act["freed"].flatMap { Int($0) })
        #expect(freed >= 60 * 256, "\(act)")
        #expect(eventually { !group.isAlive(1) })
        #expect(group.isAlive(0) && group.isAlive(2))
        // The next is the next.
        trial.tell("kill 2")
        _ = try #require(trial.act(1))
        #expect(eventually { !group.isAlive(2) })
        #expect(group.isAlive(0))
    }

    /// Frozen tasks die of SIGKILL all the same.
    @Test func aFrozenVictimDies() throws {
        let group = try Group()
        try group.add(mebibytes: 8)
        let trial = try Trial("kill", group.path)
        _ = try #require(trial.ready(), "\(trial.said)")
        trial.tell("freeze 1 600000")
        #expect(try #require(trial.act(0))["outcome"] == done)
        #expect(eventually { group.isWholeFrozen })
        trial.tell("kill 2")
        _ = try #require(trial.act(1))
        #expect(eventually { !group.isAlive(0) })
    }

    @Test func observingNamesTheVictimAndHurtsNobody() throws {
        let group = try Group()
        let pid = try group.add(mebibytes: 8)
        let trial = try Trial("kill", group.path)
        _ = try #require(trial.ready(), "\(trial.said)")
        trial.tell("kill 1 0 0")
        trial.tell("freeze 2 1000 0")
        let act = try #require(trial.act(0))
        #expect(act["outcome"] == would)
        #expect(act["victim"] == "\(pid)")
        #expect(try #require(trial.act(1))["outcome"] == would)
        #expect(group.isAlive(0))
        #expect(!group.isFrozen)
    }

    @Test func anEmptyCgroupHasNobody() throws {
        let group = try Group()
        let trial = try Trial("kill", group.path)
        _ = try #require(trial.ready(), "\(trial.said)")
        trial.tell("kill 1")
        let act = try #require(trial.act(0))
        #expect(act["outcome"] == refused)
        #expect(act["reason"] == nobody)
    }

    @Test func whoIsProtectedIsNotHit() throws {
        let group = try Group()
        try group.add(mebibytes: 32)
        let python = URL(fileURLWithPath: "/usr/bin/python3").resolvingSymlinksInPath().path
        for name in [python, (python as NSString).lastPathComponent, "cgroup:\(group.path)"] {
            let trial = try Trial("kill", group.path, protected: [name])
            _ = try #require(trial.ready(), "\(trial.said)")
            trial.tell("kill 1")
            #expect(try #require(trial.act(0))["reason"] == nobody, "\(name)")
            // A cgroup that holds one of them is left alone as a whole.
            trial.tell("freeze 2 1000")
            let freeze = try #require(trial.act(1))
            #expect(freeze["reason"] == protected, "\(name)")
            #expect(!group.isFrozen)
            trial.tell("kill-cgroup 3")
            #expect(try #require(trial.act(2))["reason"] == protected, "\(name)")
        }
        #expect(group.isAlive(0))
    }

    /// Anybody may call a program "sshd": a name protects only what only root may write.
    @Test func aNameProtectsNoProgramOfOthers() throws {
        let directory = NSTemporaryDirectory() + "/reservewatch-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let python = URL(fileURLWithPath: "/usr/bin/python3").resolvingSymlinksInPath().path
        try FileManager.default.copyItem(atPath: python, toPath: "\(directory)/sshd")
        #expect(chown("\(directory)/sshd", 65534, 65534) == 0)
        let group = try Group()
        try group.add(mebibytes: 8, program: "\(directory)/sshd")
        let trial = try Trial("kill", group.path, protected: ["sshd"])
        _ = try #require(trial.ready(), "\(trial.said)")
        trial.tell("kill 1")
        #expect(try #require(trial.act(0))["outcome"] == done)
        #expect(eventually { !group.isAlive(0) })
    }

    @Test func whoIsPassedOverByTheOOMKillerIsNotHit() throws {
        let group = try Group()
        let pid = try group.add(mebibytes: 8)
        // Lowering it may be refused: then there is nothing to be tested.
        let file = FileHandle(forWritingAtPath: "/proc/\(pid)/oom_score_adj")
        guard (try? file?.write(contentsOf: Data("-1000".utf8))) != nil else { return }
        let trial = try Trial("kill", group.path)
        _ = try #require(trial.ready(), "\(trial.said)")
        trial.tell("kill 1")
        #expect(try #require(trial.act(0))["reason"] == nobody)
        #expect(group.isAlive(0))
    }

    @Test func aWholeCgroupIsKilled() throws {
        let group = try Group()
        try group.add()
        try group.add()
        let trial = try Trial("kill-cgroup", group.path)
        _ = try #require(trial.ready(), "\(trial.said)")
        trial.tell("kill-cgroup 1")
        let act = try #require(trial.act(0))
        #expect(act["outcome"] == done)
        #expect(act["processes"] == "2")
        #expect(eventually { !group.isAlive(0) && !group.isAlive(1) })
    }

    /// A program of Python's, and the first line that it says.
    private func python(_ text: String) throws -> (Process, String) {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", "-c", text]
        process.standardOutput = pipe
        try process.run()
        var line = ""
        while let byte = pipe.fileHandleForReading.readData(ofLength: 1).first, byte != 0x0a {
            line.append(Character(UnicodeScalar(byte)))
        }
        return (process, line)
    }

    /// Whoever does not read what it is sent holds the most unread.
    @Test func theOwnerOfTheSocketsIsFound() throws {
        let group = try Group()
        try group.add()
        let (sink, _) = try python(
            """
            from socket import create_server, create_connection
            from time import sleep
            l = create_server(("127.0.0.1", 0))
            a = create_connection(l.getsockname()); b, _ = l.accept()
            a.setblocking(False)
            try:
                while True: a.send(b"x" * 65536)
            except BlockingIOError: pass
            print(1, flush=True); sleep(1000)
            """)
        defer {
            if sink.isRunning { kill(sink.processIdentifier, SIGKILL) }
        }
        let trial = try Trial("kill-owner", group.path)
        _ = try #require(trial.ready(), "\(trial.said)")
        trial.tell("kill-owner 1 0 0")
        let act = try #require(trial.act(0))
        #expect(act["outcome"] == would, "\(act)")
        #expect(act["victim"] == "\(sink.processIdentifier)")
        #expect((act["held"].flatMap { Int($0) } ?? 0) > 16)
        trial.tell("kill-owner 2")
        #expect(try #require(trial.act(1))["victim"] == "\(sink.processIdentifier)")
        sink.waitUntilExit()
        #expect(sink.terminationReason == .uncaughtSignal)
        #expect(group.isAlive(0))
    }

    /// Whoever listens and does not accept holds what is sent on what waits for him.
    @Test func whatNobodyAcceptedIsItsListeners() throws {
        let group = try Group()
        try group.add()
        let (sink, port) = try python(
            """
            from socket import create_server
            from time import sleep
            l = create_server(("127.0.0.1", 0)); print(l.getsockname()[1], flush=True); sleep(1000)
            """)
        let (source, _) = try python(
            """
            from socket import create_connection
            from time import sleep
            a = create_connection(("127.0.0.1", \(port))); a.setblocking(False)
            try:
                while True: a.send(b"x" * 65536)
            except BlockingIOError: pass
            print(1, flush=True); sleep(1000)
            """)
        defer {
            for process in [sink, source] where process.isRunning {
                kill(process.processIdentifier, SIGKILL)
            }
        }
        let trial = try Trial("kill-owner", group.path)
        _ = try #require(trial.ready(), "\(trial.said)")
        trial.tell("kill-owner 1 0 0")
        let act = try #require(trial.act(0))
        #expect(act["victim"] == "\(sink.processIdentifier)", "\(act)")
        #expect((act["held"].flatMap { Int($0) } ?? 0) > 16)
    }

    /// The rehearsal ends a connection of its own, and sees that it ended.
    @Test func endingConnectionsIsTriedBefore() throws {
        let group = try Group()
        let trial = try Trial("end-connection", group.path)
        #expect(trial.ready() != nil, "\(trial.said)")
    }

    @Test func aCgroupThatComesLaterIsFound() throws {
        let name = "reservewatch-test-\(UUID().uuidString.prefix(8))"
        let trial = try Trial("freeze", "/\(name)")
        _ = try #require(trial.ready(), "\(trial.said)")
        #expect(trial.said.contains("target_error=2"))
        trial.tell("freeze 1 600000")
        let act = try #require(trial.act(0))
        #expect(act["outcome"] == "3")
        #expect(act["error"] == "2")
        let group = try Group(name: name)
        try group.add()
        var serial = 1
        #expect(
            eventually {
                serial += 1
                trial.tell("freeze \(serial) 600000")
                return group.isFrozen
            })
        trial.end(SIGKILL)
        #expect(eventually { !group.isFrozen })
    }

    @Test func aUnitIsFoundByItsName() throws {
        let outer = try Group()
        let inner = try Group(name: "\(outer.name)/trial-\(outer.name.suffix(8)).service")
        try inner.add()
        let trial = try Trial("freeze", "trial-\(outer.name.suffix(8)).service")
        _ = try #require(trial.ready(), "\(trial.said)")
        #expect(trial.said.contains("target_error=0"))
        trial.tell("freeze 1 600000")
        _ = try #require(trial.act(0))
        #expect(inner.isFrozen)
        trial.tell("quit")
        trial.waitUntilExit()
        #expect(!inner.isFrozen)
    }

    @Test func aPlainFileIsNoHierarchy() throws {
        let trial = try Trial("freeze", "/nowhere/at/all")
        #expect(trial.ready() != nil)
        #expect(trial.said.contains("target_error=2"))
    }
}
