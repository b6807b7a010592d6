// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import LabKit

@Suite struct GuardStepsTests {
    private let step = GuardStep(
        "e-kill", "EPERM", GuardStep.Told("signal", "refused", "rule"))
    private let event = ["action": "signal", "result": "refused", "reason": "rule"]

    @Test func aStepPassesWithJustItsOutcomeAndItsEvents() {
        let told = [GuardStep.Told(event)]
        #expect(step.row(outcome: "EPERM", told: told).passes)
        #expect(!step.row(outcome: "0", told: told).passes)
        #expect(!step.row(outcome: nil, told: told).passes)
        #expect(!step.row(outcome: "EPERM", told: []).passes)
        #expect(!step.row(outcome: "EPERM", told: told + told).passes)
        var other = event
        other["way"] = "kernel"
        #expect(!step.row(outcome: "EPERM", told: [GuardStep.Told(other)]).passes)
    }

    /// The guest's script makes the attempts of the table, in its order.
    @Test func everyAttemptOfTheGuestHasARow() throws {
        let script = try String(
            contentsOf: URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .deletingLastPathComponent().appendingPathComponent("Lab/guest/guard"),
            encoding: .utf8)
        let made = script.split(separator: "\n").compactMap { line -> String? in
            let words = line.split(separator: " ")
            if words.first == "try", words.count > 2 { return String(words[1]) }
            if words.count == 4, words[0] == "mark", words[1] == "\"TRIED" {
                return String(words[2])
            }
            return nil
        }
        #expect(made.filter { !$0.hasPrefix("$") } == GuardStep.all.dropLast(2).map(\.name))
        #expect(GuardStep.all.suffix(2).map(\.name) == ["nbd-client", "init"])
    }
}
