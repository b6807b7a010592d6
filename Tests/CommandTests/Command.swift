// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The real `reservewatch` of this build, run as a user would.
struct Command {
    let status: Int32
    let output: String
    let errors: String

    /// Beside the test bundle, where SwiftPM leaves all products.
    static var binary: String {
        let bundle = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") }?.bundlePath
        let here = bundle ?? CommandLine.arguments[0]
        return (here as NSString).deletingLastPathComponent + "/reservewatch"
    }

    /// Becomes nobody, without any capability.
    static let asNobody = [
        "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
    ]

    /// - Parameter through: a program, with its arguments, that runs the command.
    init(_ arguments: [String], through: [String] = []) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        var binary = Self.binary
        if !through.isEmpty {
            // The checkout may lie where only root may go.
            let directory = NSTemporaryDirectory() + "/reservewatch-\(UUID().uuidString)"
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: false,
                attributes: [.posixPermissions: 0o755])
            binary = directory + "/reservewatch"
            try FileManager.default.copyItem(atPath: Self.binary, toPath: binary)
            try FileManager.default.copyItem(
                atPath: Self.binary + "-agent", toPath: binary + "-agent")
        }
        defer {
            if !through.isEmpty {
                let directory = (binary as NSString).deletingLastPathComponent
                try? FileManager.default.removeItem(atPath: directory)
            }
        }
        process.arguments = through + [binary] + arguments
        let output = Pipe()
        let errors = Pipe()
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = FileHandle.nullDevice
        try process.run()
        // Small enough for the pipe's buffer, so that the order does not matter.
        let said = output.fileHandleForReading.readDataToEndOfFile()
        let complained = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        status = process.terminationStatus
        self.output = String(decoding: said, as: UTF8.self)
        self.errors = String(decoding: complained, as: UTF8.self)
    }
}

/// The recordings that the lab made on real kernels.
enum Fixture {
    static let directory =
        URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().path + "/Fixtures"
    /// `wire-1` was made before the records grew: an old agent's, which every newer one reads.
    static let names = ["wire-pull-6.1", "wire-pull-6.12", "wire-1"]

    static func recording(_ name: String) -> String { "\(directory)/\(name).rwr" }

    static func golden(_ name: String, _ format: String) throws -> String {
        try String(contentsOfFile: "\(directory)/\(name).\(format)", encoding: .utf8)
    }
}
