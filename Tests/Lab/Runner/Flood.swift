// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// The sender outside the guest; its other end, in the guest, is slow to read.
struct Flood {
    /// What the guest's end is started with: HOST PORT STREAMS QUEUE_KIB AFTER_S and perhaps
    /// `never`, `kernel`, `ordinary`.
    let sinkArguments: String
    private let process: Process

    static func start(_ flood: Scenario.Flood, program: String, directory: String) throws -> Flood {
        let port = try Tools.freePort()
        let log = "\(directory)/flood.log"
        let process = try Children.shared.start(
            program, ["send", "\(port)", "\(flood.datagramsPerSecond)"], log: log)
        usleep(200_000)
        guard process.isRunning else {
            throw LabError.failed("the flood's sender did not start on port \(port); see \(log)")
        }
        let host = flood.sharesCard ? "10.0.2.2" : "10.0.3.2"
        return Flood(
            sinkArguments: "\(host) \(port) \(flood.streams) \(flood.queueKiB) \(flood.after)"
                + (flood.neverReads ? " never" : "") + (flood.isBoundedByKernel ? " kernel" : "")
                + (flood.isOrdinary ? " ordinary" : ""),
            process: process)
    }

    /// Ends the sender; it then says what it sent.
    func stop() { Children.shared.stop(process) }

    /// The sender's last line.
    static func sent(directory: String) -> String? {
        (try? String(contentsOfFile: "\(directory)/flood.log", encoding: .utf8))?
            .split(separator: "\n").last.map(String.init)
    }
}
