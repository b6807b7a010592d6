// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// Children that must not outlive us, whatever ends us.
///
/// A signal ends them here; where we are killed outright, the kernel ends them
/// (`setpriv --pdeathsig`, prctl(2) PR_SET_PDEATHSIG).
final class Children: @unchecked Sendable {
    static let shared = Children()
    private let lock = NSLock()
    private var processes: [Process] = []
    private var paths: [String] = []
    private var isStopping = false
    private var sources: [any DispatchSourceSignal] = []

    func start(_ path: String, _ arguments: [String], log: String) throws -> Process {
        let process = Process()
        process.executableURL = URL(
            fileURLWithPath: try Tools.require("setpriv", package: "util-linux"))
        process.arguments = ["--pdeathsig", "KILL", "--", path] + arguments
        guard FileManager.default.createFile(atPath: log, contents: nil) else {
            throw LabError.failed("cannot write \(log); give another directory with --out")
        }
        let file = FileHandle(forWritingAtPath: log)
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = file
        process.standardError = file
        try lock.withLock {
            if isStopping { throw LabError.failed("interrupted") }
            do {
                try process.run()
            } catch {
                throw LabError.failed("cannot start \(path): \(error.localizedDescription)")
            }
            processes.append(process)
        }
        return process
    }

    /// A file or directory that goes when we go.
    func removeAtEnd(_ path: String) {
        lock.withLock { paths.append(path) }
    }

    /// Ends one child: asked first, then made to. Waits five seconds at most for the latter:
    /// an emulator may hang in the kernel.
    func stop(_ process: Process) {
        guard process.isRunning else { return }
        process.terminate()
        for _ in 0..<30 where process.isRunning { usleep(100_000) }
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        for _ in 0..<50 where process.isRunning { usleep(100_000) }
    }

    func stopAll() {
        let (processes, paths) = lock.withLock {
            isStopping = true
            return (self.processes, self.paths)
        }
        for process in processes { stop(process) }
        for path in paths { try? FileManager.default.removeItem(atPath: path) }
    }

    /// True once a signal came: what else fails now is its consequence.
    var isInterrupted: Bool { lock.withLock { isStopping } }

    /// SIGINT, SIGTERM and SIGHUP end the children first.
    func stopOnSignals() {
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                self.stopAll()
                say("lab: stopped by signal \(number); nothing is left running")
                exit(128 + number)
            }
            source.resume()
            sources.append(source)
        }
    }
}
