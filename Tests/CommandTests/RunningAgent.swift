// SPDX-License-Identifier: Apache-2.0

import Foundation

/// An agent of this build on a box of its own, on this machine's kernel.
final class RunningAgent {
    let process = Process()
    let directory: String
    var box: String { "\(directory)/box" }

    /// - Parameters:
    ///   - arguments: DIR in them is its own directory.
    ///   - environment: over this process's.
    init(
        _ arguments: [String] = [], configuration: String? = nil,
        environment: [String: String] = [:]
    ) throws {
        directory = "/dev/shm/reservewatch-agent-test.\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: false)
        process.executableURL = URL(fileURLWithPath: Command.binary)
        process.arguments =
            ["agent", "--box", box]
            + arguments.map {
                $0.replacingOccurrences(of: "DIR", with: directory)
            }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle(forWritingAtPath: "/dev/null")
        try configure(configuration ?? "")
        if configuration != nil {
            process.arguments = (process.arguments ?? []) + ["--config", "\(directory)/r.conf"]
        }
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        _ = FileManager.default.createFile(atPath: "\(directory)/errors", contents: nil)
        process.standardError = FileHandle(forWritingAtPath: "\(directory)/errors")
        try process.run()
    }

    func configure(_ text: String) throws {
        try text.write(toFile: "\(directory)/r.conf", atomically: true, encoding: .utf8)
    }

    /// What it wrote to its log so far.
    var log: String {
        String(
            decoding: FileManager.default.contents(atPath: "\(directory)/errors") ?? Data(),
            as: UTF8.self
        )
        .replacingOccurrences(of: directory + "/", with: "")
    }

    /// Waits until the log holds this; bounded.
    func awaitLog(_ words: String) -> Bool { waits { log.contains(words) } }

    /// Waits until this holds; bounded.
    func waits(_ condition: () -> Bool) -> Bool {
        for _ in 0..<600 {
            if condition() { return true }
            usleep(50_000)
        }
        return false
    }

    /// The process that reads its configuration.
    var keeper: Int32? {
        let pid = process.processIdentifier
        let path = "/proc/\(pid)/task/\(pid)/children"
        return (try? String(contentsOfFile: path, encoding: .utf8))?
            .split(separator: " ").compactMap { Int32($0) }.first
    }

    /// Waits for its box; bounded.
    func awaitBox() -> Bool {
        for _ in 0..<600 {
            if FileManager.default.fileExists(atPath: box), beats > 2 { return true }
            if !process.isRunning { return false }
            usleep(50_000)
        }
        return false
    }

    /// The box's count of its writer's turns: behind the facts and the ring's three words.
    var beats: UInt64 {
        guard let data = FileManager.default.contents(atPath: box), data.count > 216 else {
            return 0
        }
        return data.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 184, as: UInt64.self) }
    }

    func end(_ signal: Int32 = SIGTERM) -> Int32 {
        if process.isRunning { kill(process.processIdentifier, signal) }
        process.waitUntilExit()
        return process.terminationStatus
    }

    deinit {
        _ = end(SIGKILL)
        try? FileManager.default.removeItem(atPath: directory)
    }
}
