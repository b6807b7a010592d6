// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension SettingsState.Outcome {
    var word: StaticString {
        switch self {
        case .started: return "started"
        case .taken: return "taken"
        case .refused: return "refused"
        case .unanswered: return "unanswered"
        case .unknown: return "unknown"
        }
    }
}

extension ByteWriter {
    mutating func settings(_ state: SettingsState) {
        field("outcome", word: state.outcome.word)
        field("asked", state.asked)
        if state.outcome == .refused { field("errors", state.errors) }
        field("waiting", state.waiting)
        let policy = state.policy
        field("direct_reclaim_notice_us", microseconds: policy.directReclaimNotice)
        field("stall_notice_us", microseconds: policy.stallNotice)
        field("critical_after_us", microseconds: policy.criticalAfter)
        field("slow_request_us", microseconds: policy.slowRequest)
        field("time_left_warning_us", microseconds: policy.timeLeftWarning)
        field("alert_hold_us", microseconds: policy.alertHold)
        field("alert_update_us", microseconds: policy.alertUpdate)
        field("alert_longest_update_us", microseconds: policy.alertLongestUpdate)
        field("exposure_update_us", microseconds: policy.exposureUpdate)
    }

    /// "settings taken: critical after 1.2 s, ..."
    package mutating func settingsLine(_ state: SettingsState) {
        switch state.outcome {
        case .started: text("settings: ")
        case .taken: text("settings taken: ")
        case .refused:
            text("settings refused, the configuration has ")
            number(UInt64(state.errors))
            text(state.errors == 1 ? " error; " : " errors; ")
        case .unanswered: text("settings asked for, and nobody has read them yet; ")
        case .unknown: text("settings of an unknown kind: ")
        }
        if state.outcome == .refused || state.outcome == .unanswered { text("as before: ") }
        let policy = state.policy
        text("critical after ")
        duration(policy.criticalAfter)
        text(", slow from ")
        duration(policy.slowRequest)
        text(", time left ")
        duration(policy.timeLeftWarning)
        text(", hold ")
        duration(policy.alertHold)
        text(", again after ")
        duration(policy.alertUpdate)
        text(" to ")
        duration(policy.alertLongestUpdate)
        text(", exposure each ")
        duration(policy.exposureUpdate)
        text("; reclaim told from ")
        duration(policy.directReclaimNotice)
        text(", stalls from ")
        duration(policy.stallNotice)
        if state.waiting > 0 {
            text("; ")
            number(UInt64(state.waiting))
            text(state.waiting == 1 ? " setting waits" : " settings wait")
            text(" for a restart")
        }
    }
}
