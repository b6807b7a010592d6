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
        do {
            try process.run()
        } catch {
            throw LabError.failed("cannot start \(path): \(error.localizedDescription)")
        }
        // Both pipes at once: a program that fills the one must not wait for the other.
        let complaint = Received()
        let reader = Thread {
            complaint.put(errors.fileHandleForReading.readDataToEndOfFile())
        }
        reader.start()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw LabError.failed(
                "\(path) \(arguments.joined(separator: " ")): "
                    + String(decoding: complaint.wait(), as: UTF8.self))
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

/// Bytes handed from one thread to another, once.
private final class Received: @unchecked Sendable {
    private let ready = DispatchSemaphore(value: 0)
    private var data = Data()

    func put(_ data: Data) {
        self.data = data
        ready.signal()
    }

    func wait() -> Data {
        ready.wait()
        return data
    }
}

/// Prints one line at once: the lab is watched while it runs, through pipes as well.
func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}
