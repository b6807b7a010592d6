// SPDX-License-Identifier: Apache-2.0

import LabKit

/// What the guest's script is told, in /lab.conf.
struct GuestSettings {
    let scenario: Scenario
    /// Of the servers outside, by device.
    let ports: [String: Int]
    let flood: Flood?
    let agentCommand: String
    /// Of the Alertmanager outside, where there is one.
    let alertPort: Int?

    var all: [(String, String)] { lines + host + load }

    private var lines: [(String, String)] {
        // The shell has a variable SHELL of its own.
        SerialLine.allCases.map { $0 == .shell ? ("SHELL_LINE", $0.device) : $0.setting }
            + [("LINES", SerialLine.allCases.map(\.device).joined(separator: " "))]
    }

    private var host: [(String, String)] {
        let swaps = scenario.swaps.map { $0.words(port: ports[$0.device]) }
        return [
            ("INIT", scenario.usesSystemd ? "systemd" : ""),
            ("ALERT_PORT", alertPort.map(String.init) ?? ""),
            ("HOST", scenario.host),
            ("PREPARE", scenario.preparesByCommand && scenario.host == "prepared" ? "yes" : "no"),
            ("SWAPS", swaps.joined(separator: " ")),
            ("MIN_FREE_KIB", "\(scenario.minFreeKiB)"),
            ("SYSCTLS", scenario.sysctls.joined(separator: "\n")),
            ("SERVER", scenario.serverIsLocal ? "local" : "outside"),
            ("CLIENT_KILL_S", scenario.faults.clientKillAfter.map(String.init) ?? ""),
            ("KEEP_SCRIPT", scenario.faults.losesSwap ? "yes" : "no"),
            ("NBD_PORT", ports["nbd0"].map(String.init) ?? ""),
        ]
    }

    private var load: [(String, String)] {
        [
            ("LOAD", scenario.load),
            ("CGROUP", scenario.cgroup),
            ("LOAD_LIMIT_MIB", scenario.loadLimitMiB.map(String.init) ?? ""),
            ("LOAD_FOR_S", scenario.loadForSeconds.map(String.init) ?? ""),
            ("FLOOD", flood?.sinkArguments ?? ""),
            ("DOCTOR", scenario.doctor ? "yes" : "no"),
            ("SOCKETS", scenario.sockets ? "yes" : "no"),
            ("GUARD", scenario.guarding ? "yes" : "no"),
            ("COMPARE", scenario.companions.map(\.rawValue).joined(separator: " ")),
            ("JAM", scenario.jammed ? "yes" : "no"),
            ("SCRAPED", scenario.scrapeSeconds == nil ? "" : Scraper.guest),
            ("VMSCAN", scenario.trace ? "yes" : "no"),
            ("RULES", scenario.rules ?? ""),
            ("QUEUE", scenario.queueFiles.joined(separator: " ")),
            ("AGENT_COMMAND", agentCommand),
        ]
    }
}
