// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// Tests here need a cgroup v2 hierarchy and root. With CI=true they run all the same, and fail.
enum Host {
    /// Where a cgroup v2 hierarchy is mounted; nil: nowhere.
    static let mount: String? = {
        let table = (try? String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)) ?? ""
        for line in table.split(separator: "\n") where line.contains(" - cgroup2 ") {
            let words = line.split(separator: " ")
            if words.count > 4, words[3] == "/" { return String(words[4]) }
        }
        return nil
    }()

    static let isFit = (geteuid() == 0 && mount != nil) || getenv("CI") != nil
}

/// A cgroup of the test's own, with processes in it.
final class Group {
    let name: String
    var path: String { "/\(name)" }
    private(set) var members: [Process] = []
    private var directory: String { "\(Host.mount ?? "")/\(name)" }

    init(name: String = "reservewatch-test-\(UUID().uuidString.prefix(8))") throws {
        self.name = name
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: false)
    }

    /// A process with so much memory of its own.
    @discardableResult
    func add(mebibytes: Int = 1, program: String = "/usr/bin/python3") throws -> Int32 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = [
            "-c",
            "echo 0 >\(directory)/cgroup.procs; exec \(program) -c '"
                + "import time; b = bytearray(b\"x\" * (\(mebibytes) << 20)); print(1, flush=True); "
                + "time.sleep(1000)'",
        ]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        // It has its memory once it says so.
        _ = pipe.fileHandleForReading.readData(ofLength: 1)
        members.append(process)
        return process.processIdentifier
    }

    func read(_ file: String) -> String {
        (try? String(contentsOfFile: "\(directory)/\(file)", encoding: .utf8))?
            .trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
    }

    func write(_ file: String, _ value: String) throws {
        try value.write(toFile: "\(directory)/\(file)", atomically: false, encoding: .utf8)
    }

    var isFrozen: Bool { read("cgroup.freeze") == "1" }
    var isWholeFrozen: Bool { read("cgroup.events").contains("frozen 1") }

    func isAlive(_ index: Int) -> Bool { members[index].isRunning }

    func state(_ index: Int) -> Character? { processState(members[index].processIdentifier) }

    deinit {
        try? write("cgroup.freeze", "0")
        try? write("cgroup.kill", "1")
        for process in members where process.isRunning {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        for _ in 0..<100 {
            if rmdir(directory) == 0 { return }
            usleep(20_000)
        }
        Issue.record("cannot remove \(directory): \(errno)")
    }
}

func processState(_ pid: Int32) -> Character? {
    let text = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
    return text.split(separator: ")").last?.dropFirst().first
}

/// Whether it has ended; whoever should collect it may be slow.
func isGone(_ pid: Int32) -> Bool { kill(pid, 0) != 0 || processState(pid) == "Z" }

/// Waits until it is so; a bound only against waiting for ever.
func eventually(_ isSo: () -> Bool) -> Bool {
    for _ in 0..<1500 {
        if isSo() { return true }
        usleep(20_000)
    }
    return isSo()
}

/// The program that beats, acts and tells: Tests/Hand/main.c.
///
/// Started by posix_spawn(3) itself: Foundation's Process sees the end of a child by a descriptor
/// that the keeper shares.
/// What it said is under a lock; the rest is one thread's.
final class Trial: @unchecked Sendable {
    let journal: String
    private(set) var pid: pid_t = 0
    private(set) var status: Int32?
    private var input: Int32 = -1
    private var text = ""
    private let lock = NSLock()

    static var binary: String {
        let bundle = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") }?.bundlePath
        let here = bundle ?? CommandLine.arguments[0]
        return (here as NSString).deletingLastPathComponent + "/handtrial"
    }

    init(_ rule: String, _ place: String, protected: [String] = [], journal: String? = nil) throws {
        self.journal = journal ?? "/dev/shm/reservewatch-hand.\(UUID().uuidString)"
        var toIt: [Int32] = [0, 0]
        var fromIt: [Int32] = [0, 0]
        #expect(pipe(&toIt) == 0 && pipe(&fromIt) == 0)
        for descriptor in toIt + fromIt { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, toIt[0], 0)
        posix_spawn_file_actions_adddup2(&actions, fromIt[1], 1)
        let words = [Self.binary, self.journal, rule, place] + protected
        var copies = words.map { strdup($0) } + [nil]
        defer { copies.forEach { free($0) } }
        let result = posix_spawn(&pid, Self.binary, &actions, nil, &copies, environ)
        close(toIt[0])
        close(fromIt[1])
        try #require(result == 0)
        input = toIt[1]
        let output = fromIt[0]
        Thread.detachNewThread { [weak self] in
            var bytes = [UInt8](repeating: 0, count: 4096)
            while true {
                let count = read(output, &bytes, bytes.count)
                guard count > 0 else { break }
                let said = String(decoding: bytes[..<count], as: UTF8.self)
                self?.lock.withLock { self?.text += said }
            }
            close(output)
        }
    }

    deinit {
        close(input)
        if isRunning {
            kill(pid, SIGCONT)
            end(SIGKILL)
        }
        unlink(journal)
    }

    /// Whether it has not ended by now.
    var isRunning: Bool {
        if status != nil { return false }
        var ended: Int32 = 0
        guard waitpid(pid, &ended, WNOHANG) == pid else { return true }
        status = ended
        return false
    }

    var said: String { lock.withLock { text } }

    /// The keeper's process, once the hands are ready.
    func ready() -> Int32? {
        guard eventually({ said.contains("ready ") || !isRunning }) else { return nil }
        guard let words = said.components(separatedBy: "keeper=").dropFirst().first else {
            return nil
        }
        return Int32(words.prefix { $0.isNumber })
    }

    func tell(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = write(input, bytes, bytes.count)
    }

    /// What was told of the acts so far, each as its fields.
    var acts: [[String: String]] { Self.acts(in: said) }

    static func acts(in text: String) -> [[String: String]] {
        text.split(separator: "\n").filter { $0.hasPrefix("act ") }.map { line in
            var fields: [String: String] = [:]
            for word in line.split(separator: " ").dropFirst() {
                let pair = word.split(separator: "=", maxSplits: 1)
                fields[String(pair[0])] = pair.count > 1 ? String(pair[1]) : ""
            }
            return fields
        }
    }

    /// Waits for the number-th act to be told.
    func act(_ number: Int) -> [String: String]? {
        _ = eventually { acts.count > number || !isRunning }
        return acts.count > number ? acts[number] : nil
    }

    /// Ends it as a signal does, and waits for that.
    func end(_ signal: Int32) {
        kill(pid, signal)
        waitUntilExit()
    }

    func waitUntilExit() {
        while isRunning { usleep(5000) }
    }

    /// What a successor finds and takes back.
    static func clear(_ journal: String) throws -> (status: Int32, acts: [[String: String]]) {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: binary)
        process.arguments = ["clear", journal]
        process.standardOutput = pipe
        try process.run()
        let text = String(
            decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, acts(in: text))
    }
}
