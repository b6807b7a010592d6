// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// All that a run left to read: the agent's lines, the probe's snapshots and samples.
struct Readings {
    let lines: [[String: Any]]
    let snapshots: [String: Snapshot]
    let samples: [ProbeSample]
    let witnesses: Witnesses

    init(_ run: LabRun) {
        let text = run.guest.samples.text
        snapshots = Snapshot.parse(text)
        samples = ProbeSample.parse(text)
        lines = run.guest.text(run.guest.events).split(separator: "\n").compactMap {
            (try? JSONSerialization.jsonObject(with: Data($0.utf8))) as? [String: Any]
        }
        var witnesses = Witnesses(
            snapshots: snapshots, samples: samples, console: run.guest.mutters.text)
        witnesses.agentLoss = Witnesses.flat(
            Self.final(lines)?["loss"] as? [String: Any] ?? [:])
        witnesses.flood["sent"] = Flood.sent(directory: run.directory)
        witnesses.flood["read"] = run.guest.mark("FLOOD")
        self.witnesses = witnesses
    }

    /// Bios that read from all swaps, in flight, as a line's summary has it; nil of any other line.
    static func swapReads(_ line: [String: Any]) -> Int? {
        let swaps = (line["summary"] as? [String: Any])?["swap_devices"] as? [[String: Any]]
        return swaps?.compactMap { $0["reads_in_flight"] as? Int }.reduce(0, +)
    }

    /// The last line of the stream, if the agent came to its end.
    var final: [String: Any]? { Self.final(lines) }

    private static func final(_ lines: [[String: Any]]) -> [String: Any]? {
        lines.last { line in
            (line["summary"] as? [String: Any])?["final"] as? Bool == true
        }?["summary"] as? [String: Any]
    }
}
