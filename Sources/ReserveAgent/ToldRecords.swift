// SPDX-License-Identifier: Apache-2.0

import CRecord
import ReserveModel

/// Alerts as they are told, as records: a box keeps the last ones, for readers that froze with
/// the host. Nothing here allocates.
struct ToldRecords {
    private var waiting = InlineArray<4, rw_told>(repeating: rw_told())
    private var count = 0
    private var total: UInt32 = 0

    /// Of more than four in one turn the last are not kept; two tracks tell less.
    mutating func note(_ notice: Notice, picture: borrowing Picture) {
        guard case .alert(let alert) = notice.body, count < 4 else { return }
        var record = rw_told()
        record.header = SumRecords.header(
            RW_AGENT_TOLD, MemoryLayout<rw_told>.size, notice.bootNanoseconds)
        record.track = rw_standing_track(
            track: UInt32(alert.track.rawValue), level: UInt32(alert.level.rawValue),
            incident: alert.incident, peak: UInt32(alert.peak.rawValue),
            since_boot_ns: alert.sinceBootNanoseconds, told: alert.told &+ 1, reserved: 0)
        record.place = total % UInt32(RW_TOLD_KEPT)
        record.state = UInt32(picture.verdict.state.rawValue)
        record.reasons = alert.reasons.rawValue
        record.lost_wire = alert.findings.lostWire.rawValue
        record.dead_receive_path = alert.findings.deadReceivePath.rawValue
        record.silent_server = alert.findings.silentServer.rawValue
        total &+= 1
        waiting[count] = record
        count += 1
    }

    /// The next one that waits, the first told first.
    mutating func next() -> rw_told? {
        guard count > 0 else { return nil }
        let first = waiting[0]
        for index in 1..<count { waiting[index - 1] = waiting[index] }
        count -= 1
        return first
    }
}
