// SPDX-License-Identifier: Apache-2.0

import CRecord
import ReserveModel

/// A time of the policy that may be set, and set anew while the watch runs. The others are facts
/// of how kernels behave (docs/verdict.md), and no matter of taste.
public struct AdjustableTime: Sendable {
    /// As the agent's own program is told it, in milliseconds.
    public let word: String
    public let field: WritableKeyPath<Policy, UInt64> & Sendable
    /// Where it stands in the record that tells it.
    let place: WritableKeyPath<rw_times, UInt64> & Sendable
    /// In nanoseconds.
    public let range: ClosedRange<UInt64>

    private init(
        _ word: String, _ field: WritableKeyPath<Policy, UInt64> & Sendable,
        _ place: WritableKeyPath<rw_times, UInt64> & Sendable,
        milliseconds range: ClosedRange<UInt64>
    ) {
        self.word = word
        self.field = field
        self.place = place
        self.range = range.lowerBound * 1_000_000...range.upperBound * 1_000_000
    }

    private static let hour: UInt64 = 3_600_000

    public static let interval = AdjustableTime(
        "interval_ms", \.summaryInterval, \.summary_interval_ns, milliseconds: 100...hour)
    public static let directReclaimNotice = AdjustableTime(
        "direct_reclaim_notice_ms", \.directReclaimNotice, \.direct_reclaim_notice_ns,
        milliseconds: 1...hour)
    public static let stallNotice = AdjustableTime(
        "stall_notice_ms", \.stallNotice, \.stall_notice_ns, milliseconds: 100...hour)
    public static let criticalAfter = AdjustableTime(
        "critical_after_ms", \.criticalAfter, \.critical_after_ns, milliseconds: 500...hour)
    public static let slowRequest = AdjustableTime(
        "slow_request_ms", \.slowRequest, \.slow_request_ns, milliseconds: 100...hour)
    public static let timeLeftWarning = AdjustableTime(
        "time_left_warning_ms", \.timeLeftWarning, \.time_left_warning_ns, milliseconds: 0...60_000)
    /// Not less: /dev/kmsg takes ten lines in five seconds, and a track tells two in this time.
    public static let alertHold = AdjustableTime(
        "alert_hold_ms", \.alertHold, \.alert_hold_ns, milliseconds: 5000...hour)
    public static let alertUpdate = AdjustableTime(
        "alert_update_ms", \.alertUpdate, \.alert_update_ns, milliseconds: 5000...24 * hour)
    public static let alertLongestUpdate = AdjustableTime(
        "alert_longest_update_ms", \.alertLongestUpdate, \.alert_longest_update_ns,
        milliseconds: 5000...24 * hour)
    public static let exposureUpdate = AdjustableTime(
        "exposure_update_ms", \.exposureUpdate, \.exposure_update_ns,
        milliseconds: 10_000...720 * hour)

    public static let all = [
        interval, directReclaimNotice, stallNotice, criticalAfter, slowRequest, timeLeftWarning,
        alertHold, alertUpdate, alertLongestUpdate, exposureUpdate,
    ]
}
