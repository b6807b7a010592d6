// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import LabKit

@Suite struct DoctorStatesTests {
    private func document(_ verdict: String, _ findings: (String, String)...) -> [String: Any] {
        [
            "verdict": verdict,
            "findings": findings.map { ["id": $0.0, "severity": $0.1] },
        ]
    }

    private let state = DoctorState(name: "x", findings: ["wbt-on"], verdict: "unfit")

    @Test func aStatePassesWithJustItsFindings() {
        let row = state.row(
            status: 78, document: document("unfit", ("wbt-on", "warning"), ("min-free", "notice")))
        #expect(row.passes)
    }

    @Test func aFindingTooManyOrTooFewFails() {
        let more = document("unfit", ("wbt-on", "warning"), ("tls-proxy", "critical"))
        #expect(!state.row(status: 78, document: more).passes)
        #expect(state.row(status: 78, document: more).note.contains("tls-proxy"))
        #expect(!state.row(status: 78, document: document("unfit")).passes)
        let unknown = document("unfit", ("wbt-on", "warning"), ("client-unknown", "unknown"))
        #expect(!state.row(status: 78, document: unknown).passes, "unknown counts")
    }

    @Test func verdictAndStatusCountAndAStateThatNeverCameFails() {
        let found = document("unfit", ("wbt-on", "warning"))
        #expect(!state.row(status: 0, document: found).passes)
        #expect(!state.row(status: 78, document: document("fit", ("wbt-on", "warning"))).passes)
        #expect(!state.row(status: nil, document: nil).passes)
    }

    /// The guest's script and the table name the same states, in the same order.
    @Test func everyStateOfTheGuestHasARow() throws {
        let script = try String(
            contentsOf: URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .deletingLastPathComponent().appendingPathComponent("Lab/guest/doctor"),
            encoding: .utf8)
        let looks = script.split(separator: "\n").filter { $0.hasPrefix("look ") }
            .map { String($0.dropFirst(5)) }
        #expect(looks == DoctorState.all.map(\.name))
    }
}
