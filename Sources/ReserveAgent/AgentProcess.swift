// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import ReserveBox
import ReserveKernel

/// Programs that go with `reservewatch`: where they are, and how it becomes one of them.
public enum OwnProgram {
    /// Where packages put them.
    private static let libexec = "/usr/libexec/reservewatch"

    /// Beside the running program, or where packages put it.
    public static func find(_ name: String) throws(WatchError) -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { bytes in
            bytes.withMemoryRebound(to: CChar.self) { characters in
                characters.baseAddress.map { readlink("/proc/self/exe", $0, bytes.count) } ?? -1
            }
        }
        var places = ["\(libexec)/\(name)"]
        if count > 0 {
            let own = String(decoding: buffer[..<count], as: UTF8.self)
            let directory = own[..<(own.lastIndex(of: "/") ?? own.startIndex)]
            places.insert("\(directory)/\(name)", at: 0)
        }
        for place in places where access(place, X_OK) == 0 { return place }
        throw .input(path: places[0], errno: ENOENT)
    }

    /// Becomes it: does not return unless that fails.
    public static func become(_ name: String, _ words: [String]) throws(WatchError) {
        let path = try find(name)
        withArguments([path] + words) { _ = execv(path, $0) }
        throw .input(path: path, errno: errno)
    }

    fileprivate static func withArguments(
        _ words: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Void
    ) {
        var copies = words.map { strdup($0) } + [nil]
        defer { copies.forEach { free($0) } }
        copies.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { body(base) } }
    }
}

/// The agent's own program.
public enum AgentProgram {
    public static let name = "reservewatch-agent"

    /// Becomes the agent: does not return unless that fails.
    public static func become(_ settings: AgentSettings) throws(WatchError) {
        try OwnProgram.become(name, settings.words)
    }
}

/// An agent that belongs to one reader: a child of its own on a box that has no name.
public struct PrivateAgent: ~Copyable {
    private let pid: pid_t
    private let memory: Int32
    private var status: Int32?

    /// Starts it and waits until its loop turns.
    ///
    /// - Throws: ``WatchError/agentFailed(status:)`` with the child's own exit status, its
    ///   message being on standard error already.
    public static func start(_ settings: AgentSettings) throws(WatchError) -> PrivateAgent {
        let path = try OwnProgram.find(AgentProgram.name)
        let memory = rw_memory_file("reservewatch-box")
        guard memory >= 0 else { throw .resources(operation: "make a box", errno: memory) }
        var settings = settings
        settings.box = .descriptor(memory)
        settings.parent = getpid()
        var pid: pid_t = 0
        var result: Int32 = 0
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // The terminal's Ctrl-C is for the reader, which ends the agent in its own time.
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
        OwnProgram.withArguments([path] + settings.words) {
            result = posix_spawn(&pid, path, nil, &attributes, $0, environ)
        }
        guard result == 0 else {
            close(memory)
            throw .resources(operation: "start \(path)", errno: result)
        }
        var agent = PrivateAgent(pid: pid, memory: memory)
        try agent.awaitReady()
        return agent
    }

    private init(pid: pid_t, memory: Int32) {
        self.pid = pid
        self.memory = memory
    }

    deinit {
        if status == nil {
            kill(pid, SIGTERM)
            var ended: Int32 = 0
            waitpid(pid, &ended, 0)
        }
        close(memory)
    }

    private mutating func awaitReady() throws(WatchError) {
        while true {
            if hasEnded { throw .agentFailed(status: exitStatus) }
            if BoxFile.beats(of: memory) > 0 { return }
            usleep(10_000)
        }
    }

    /// A reader of its box.
    public func reader(_ start: BoxReader.Start) throws(WatchError) -> BoxReader {
        let copy = dup(memory)
        guard copy >= 0 else { throw .resources(operation: "open the box", errno: errno) }
        do throws(BoxError) {
            return try BoxFile.reader(
                of: copy, path: "the agent's box", start: start, ofThisBoot: true)
        } catch {
            close(copy)
            throw WatchError(error)
        }
    }

    /// Whether it has ended by now.
    public var hasEnded: Bool {
        mutating get {
            if status != nil { return true }
            var ended: Int32 = 0
            guard waitpid(pid, &ended, WNOHANG) == pid else { return false }
            status = ended
            return true
        }
    }

    /// Asks it to tell its last totals and end.
    public func stop() { kill(pid, SIGTERM) }

    public var exitStatus: Int32 {
        guard let status else { return 0 }
        return status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f
    }
}
