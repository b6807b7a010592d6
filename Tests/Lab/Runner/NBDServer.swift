// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// The server of one NBD device: outside the guest, on loopback, healthy. Its own counts of
/// requests are a witness that shares nothing with the guest.
struct NBDServer {
    let device: String
    let port: Int
    let process: Process
    private let statsFile: String

    /// The file whose being there makes the server fail some writes.
    static func faults(_ directory: String) -> String { "\(directory)/faults" }

    /// - Parameter failing: the share of writes that fail once ``faults(_:)`` is there: "0.5%".
    static func start(
        _ swap: SwapDevice, directory: String, tls: Bool = false, failing: String? = nil,
        slow: Faults.SlowWire? = nil, port: Int? = nil
    ) throws -> NBDServer {
        let nbdkit = try Tools.require("nbdkit", package: "nbdkit")
        let port = try port ?? Tools.freePort()
        // One device is the rule: its files have no suffix.
        let suffix = swap.device == "nbd0" ? "" : "-\(swap.device)"
        let stats = "\(directory)/nbdkit-stats\(suffix).txt"
        let log = "\(directory)/nbdkit\(suffix).log"
        let process = try Children.shared.start(
            nbdkit,
            ["-f", "-p", "\(port)", "-i", "127.0.0.1"]
                + (tls ? try offerTLS(directory: directory) : []) + ["--filter=stats"]
                + (failing == nil ? [] : ["--filter=error"]) + (slow?.filters ?? [])
                + (try backend(swap, directory: directory)) + ["statsfile=\(stats)"]
                + (slow?.parameters ?? [])
                + (failing.map {
                    [
                        "error=EIO", "error-pwrite-rate=\($0)",
                        "error-pwrite-file=\(faults(directory))",
                    ]
                } ?? []),
            log: log)
        usleep(200_000)
        guard process.isRunning else {
            let words = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
            throw LabError.failed("nbdkit did not start on port \(port): \(words)")
        }
        return NBDServer(device: swap.device, port: port, process: process, statsFile: stats)
    }

    /// Memory; or, for a swap on a partition, a file with a partition table.
    private static func backend(_ swap: SwapDevice, directory: String) throws -> [String] {
        guard swap.placement == .partition else { return ["memory", "\(swap.sizeMiB)M"] }
        let image = "\(directory)/\(swap.device).disk"
        Children.shared.removeAtEnd(image)
        _ = try Tools.require("sfdisk", package: "fdisk")
        // A MiB before the partition, and 82: Linux swap.
        try Tools.run(
            try Tools.require("sh", package: "dash"),
            [
                "-c",
                "truncate -s \(swap.sizeMiB + 1)M \"$1\" && "
                    + "echo 'start=2048, type=82' | PATH=$PATH:/usr/sbin:/sbin sfdisk -q -X dos \"$1\"",
                "partition", image,
            ])
        return ["file", image]
    }

    /// Clients may use TLS, and need not: a certificate of our own, for some days.
    private static func offerTLS(directory: String) throws -> [String] {
        let pki = "\(directory)/pki"
        try FileManager.default.createDirectory(atPath: pki, withIntermediateDirectories: true)
        try Tools.run(
            try Tools.require("openssl", package: "openssl"),
            [
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3", "-subj", "/CN=lab",
                "-keyout", "\(pki)/server-key.pem", "-out", "\(pki)/server-cert.pem",
            ])
        try FileManager.default.copyItem(
            atPath: "\(pki)/server-cert.pem", toPath: "\(pki)/ca-cert.pem")
        return ["--tls=on", "--tls-certificates=\(pki)"]
    }

    func signal(_ number: Int32) { kill(process.processIdentifier, number) }

    /// Ends the server; it then writes its own counts.
    func stop() -> String {
        Children.shared.stop(process)
        return (try? String(contentsOfFile: statsFile, encoding: .utf8)) ?? ""
    }
}
