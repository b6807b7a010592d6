// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// What watches in the guest: which programs go there, and how they are started. The one
/// place that knows whether it is `reservewatch agent` or `reservewatch events`.
struct WatchProgram {
    /// The command line tool.
    let tool: String
    /// The watch itself, beside the tool; where there is none, the tool watches.
    let agent: String?
    private let hasBeat: Bool

    init(tool: String) {
        let agent = (tool as NSString).deletingLastPathComponent + "/reservewatch-agent"
        self.tool = tool
        let isThere = FileManager.default.isExecutableFile(atPath: agent)
        self.agent = isThere ? agent : nil
        hasBeat =
            isThere && ((try? Tools.run(tool, ["agent", "--help"])) ?? "").contains("--beat-to")
    }

    /// The files, all of which go to the guest's /bin.
    var programs: [String] { [tool] + (agent.map { [$0] } ?? []) }

    /// What the agent's program and its box, both locked, take from a guest whose size was chosen
    /// when one program did it all: MiB.
    var addedMiB: Int {
        guard let agent else { return 0 }
        let attributes = try? FileManager.default.attributesOfItem(atPath: agent)
        return ((attributes?[.size] as? Int ?? 0) >> 20) + 1 + Self.boxMiB
    }

    /// 4 MiB of history and what stands before it.
    private static let boxMiB = 6

    var name: String { agent == nil ? "events" : "agent" }

    /// The option with which it writes its events as people read them.
    var textOption: String { agent == nil ? "--format text" : "--events-format text" }

    /// The guest's command.
    func command(_ scenario: Scenario, options: String) -> String {
        let sinks =
            agent == nil
            ? "--output \(SerialLine.events.device) --record \(SerialLine.record.device)"
            : "--box /run/reservewatch/box --events-to \(SerialLine.events.device) "
                + "--record-to \(SerialLine.record.device) --alert-format json "
                + "--alert-to \(SerialLine.alerts.device) --alert-to kmsg"
        var words = ["reservewatch", name, sinks, "--interval 1"]
        if hasBeat { words.append("--beat-to \(SerialLine.beat.device)") }
        if agent != nil, scenario.jammed {
            // What guest/jammed has blocked before.
            words.append("--alert-to \(SerialLine.jammed.device) --alert-to /jam/tty")
        }
        // A unit's agent finds them below /etc.
        if agent != nil, scenario.rules != nil, !scenario.usesSystemd {
            words.append("--config /rules.conf")
        }
        words += [scenario.agentOptions, options]
        return words.filter { !$0.isEmpty }.joined(separator: " ")
    }
}
