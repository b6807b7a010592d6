// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import ReserveModel
@testable import ReserveSinks

@Suite struct SettingsLinesTests {
    private func line(_ state: SettingsState) -> String {
        var writer = ByteWriter(capacityBytes: 4096)
        writer.settingsLine(state)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    private func json(_ state: SettingsState) throws -> [String: Any] {
        var lines = JSONLines()
        var text = ""
        lines.write(
            Notice(bootNanoseconds: 1, severity: .notice, body: .settings(state)),
            picture: Picture()
        ) { text = String(decoding: $0, as: UTF8.self) }
        let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        #expect(object?["kind"] as? String == "settings")
        return try #require(object?["settings"] as? [String: Any])
    }

    @Test func whatHoldsAndWhatWaitsIsSaid() throws {
        var state = SettingsState()
        state.outcome = .taken
        state.asked = 2
        state.waiting = 1
        state.policy.criticalAfter = 2_500_000_000
        #expect(
            line(state)
                == "settings taken: critical after 2.5 s, slow from 2.0 s, time left 2.0 s, "
                + "hold 5.0 s, again after 10.0 s to 60.0 s, exposure each 3600 s; "
                + "reclaim told from 100 ms, stalls from 1.0 s; 1 setting waits for a restart")
        let object = try json(state)
        #expect(object["outcome"] as? String == "taken")
        #expect(object["critical_after_us"] as? Int == 2_500_000)
        #expect(object["asked"] as? Int == 2)
        #expect(object["waiting"] as? Int == 1)
        #expect(object["errors"] == nil)
    }

    @Test func whatWasRefusedSaysThatNothingChanged() throws {
        var state = SettingsState()
        state.outcome = .refused
        state.errors = 3
        #expect(
            line(state).hasPrefix(
                "settings refused, the configuration has 3 errors; as before: critical after"))
        #expect(try json(state)["errors"] as? Int == 3)
        state.outcome = .unanswered
        #expect(line(state).contains("nobody has read them yet; as before"))
        #expect(try json(state)["errors"] == nil)
    }
}
