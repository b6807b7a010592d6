// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// A Prometheus outside the guest, with the project's rules, that scrapes the guest's
/// `reservewatch metrics` through the emulator's network: over the wire that is pulled.
struct Scraper {
    /// On loopback, where the emulator takes what goes to the guest's port.
    let forwardedPort: Int
    let scrapeSeconds: Int
    private let process: Process
    private let address: String
    private let directory: String

    /// The guest's side of it, as the emulator's network has it.
    static let guest = "10.0.2.15:9479"
    private static let job = "reservewatch"

    /// A scrape that takes longer has failed; at least a second.
    static func timeout(_ scrapeSeconds: Int) -> Int { max(1, scrapeSeconds - 1) }

    static func start(everySeconds: Int, rules: String, directory: String) throws -> Scraper {
        let prometheus = try Tools.require("prometheus", package: "prometheus")
        _ = try Tools.require("promtool", package: "prometheus")
        let target = try Tools.freePort()
        let port = try Tools.freePort()
        let config: [String: Any] = [
            "global": [
                "scrape_interval": "\(everySeconds)s",
                "scrape_timeout": "\(timeout(everySeconds))s",
                "evaluation_interval": "\(everySeconds)s",
            ],
            "rule_files": [rules],
            "scrape_configs": [
                ["job_name": job, "static_configs": [["targets": ["127.0.0.1:\(target)"]]]]
            ],
        ]
        // JSON is YAML.
        let path = "\(directory)/prometheus.yml"
        try JSONSerialization.data(withJSONObject: config, options: .withoutEscapingSlashes).write(
            to: URL(fileURLWithPath: path))
        Children.shared.removeAtEnd("\(directory)/prometheus")
        let process = try Children.shared.start(
            prometheus,
            [
                "--config.file=\(path)", "--storage.tsdb.path=\(directory)/prometheus",
                "--web.listen-address=127.0.0.1:\(port)", "--log.level=warn",
            ], log: "\(directory)/prometheus.log")
        return Scraper(
            forwardedPort: target, scrapeSeconds: everySeconds, process: process,
            address: "http://127.0.0.1:\(port)", directory: directory)
    }

    /// Fetches all that was scraped, and what fired, and ends it.
    func finish() {
        for (file, selector) in [
            ("scrapes.json", "{job=\"\(Self.job)\",alertname=\"\"}"),
            ("fired.json", "ALERTS{alertstate=\"firing\"}"),
        ] {
            let answer = try? Tools.run(
                try Tools.require("promtool", package: "prometheus"),
                ["query", "instant", "-o", "json", address, "\(selector)[1h]"])
            try? answer?.write(
                toFile: "\(directory)/\(file)", atomically: true, encoding: .utf8)
        }
        Children.shared.stop(process)
        try? FileManager.default.removeItem(atPath: "\(directory)/prometheus")
    }

    /// What ``finish()`` left; nil: it got no answer.
    static func read(_ file: String, of directory: String) -> Scrapes? {
        (try? Data(contentsOf: URL(fileURLWithPath: "\(directory)/\(file)")))
            .flatMap(Scrapes.init(json:))
    }
}
