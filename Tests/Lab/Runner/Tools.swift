// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// Running other programs: found on PATH, ended by the process that we started.
enum Tools {
    static func path(_ name: String) -> String? {
        let directories =
            (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
            .map(String.init) + ["/usr/sbin", "/sbin"]
        return directories.map { "\($0)/\(name)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    static func require(_ name: String, package: String) throws -> String {
        guard let path = path(name) else {
            throw LabError.missingTool(name, install: "apt-get install -y \(package)")
        }
        return path
    }

    /// Runs a program to its end and gives its standard output.
    @discardableResult
    static func run(_ path: String, _ arguments: [String], in directory: String? = nil) throws
        -> String
    {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
        let output = Pipe()
        let errors = Pipe()
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        let complaint = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw LabError.failed(
                "\(path) \(arguments.joined(separator: " ")): "
                    + String(decoding: complaint, as: UTF8.self))
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// A TCP port on loopback that was free a moment ago.
    static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard bound else { throw LabError.failed("no free port on loopback") }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}

/// Children that must not outlive us, whatever ends us.
final class Children: @unchecked Sendable {
    static let shared = Children()
    private let lock = NSLock()
    private var processes: [Process] = []

    func start(_ path: String, _ arguments: [String], log: String) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        let file = FileHandle(forWritingAtPath: log)
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = file
        process.standardError = file
        try process.run()
        lock.withLock { processes.append(process) }
        return process
    }

    /// Ends one child: asked first, then made to.
    func stop(_ process: Process) {
        guard process.isRunning else { return }
        process.terminate()
        for _ in 0..<30 where process.isRunning { usleep(100_000) }
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }

    func stopAll() {
        for process in lock.withLock({ processes }) { stop(process) }
    }

    /// SIGINT and SIGTERM end the children first.
    func stopOnSignals() {
        for number in [SIGINT, SIGTERM] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                self.stopAll()
                exit(128 + number)
            }
            source.resume()
            sources.append(source)
        }
    }
    private var sources: [any DispatchSourceSignal] = []
}

/// Prints one line at once: the lab is watched while it runs, through pipes as well.
func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}
