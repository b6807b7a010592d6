// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// What a run leaves behind: result.json for machines, lines on the terminal for people.
struct Report: Codable {
    var scenario: String
    var kernel: String
    var kernelRelease: String
    var host: String
    var settings: String
    var agent: String
    var outcome: Outcome
    var worstEventGapSeconds: Double
    var serverStats: String
    var rows: [Row]

    var failures: [Row] { rows.filter { !$0.passes } }

    func write(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try encoder.encode(self).write(to: URL(fileURLWithPath: path))
    }

    func printTable() {
        say("")
        say("\(scenario) on \(kernelRelease), host \(host): \(outcome.rawValue)")
        for row in rows {
            let mark = row.passes ? "  " : "! "
            let name = row.name.padding(toLength: 38, withPad: " ", startingAt: 0)
            let figures = row.kernel.isEmpty ? row.agent : "\(row.agent) = \(row.kernel)"
            say("\(mark)\(name) \(row.verdict.rawValue): \(figures)  \(row.note)")
        }
        say("")
    }
}
