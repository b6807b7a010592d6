// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// The NBD server: outside the guest, on loopback, healthy. Its own counts of requests are a
/// witness that shares nothing with the guest.
struct NBDServer {
    let port: Int
    let process: Process
    private let statsFile: String

    static func start(directory: String) throws -> NBDServer {
        let nbdkit = try Tools.require("nbdkit", package: "nbdkit")
        let port = try Tools.freePort()
        let stats = "\(directory)/nbdkit-stats.txt"
        let process = try Children.shared.start(
            nbdkit,
            [
                "-f", "-p", "\(port)", "-i", "127.0.0.1", "--filter=stats", "memory", "2G",
                "statsfile=\(stats)",
            ],
            log: "\(directory)/nbdkit.log")
        usleep(200_000)
        guard process.isRunning else {
            let words =
                (try? String(contentsOfFile: "\(directory)/nbdkit.log", encoding: .utf8)) ?? ""
            throw LabError.failed("nbdkit did not start on port \(port): \(words)")
        }
        return NBDServer(port: port, process: process, statsFile: stats)
    }

    /// Ends the server; it then writes its own counts.
    func stop() -> String {
        Children.shared.stop(process)
        return (try? String(contentsOfFile: statsFile, encoding: .utf8)) ?? ""
    }
}
