// SPDX-License-Identifier: Apache-2.0

import CRecord
import ReserveModel

/// Sums and standings that grow from events, as records of their own: whoever did not see the
/// events has the sums all the same.
struct SumRecords {
    private var toldTakers = [UInt64](repeating: 0, count: 256)
    private var toldWaiters = [UInt64](repeating: 0, count: 256)
    private var toldStanding: Standing?

    /// Hands one record for each sum that changed to `body`. Does not allocate.
    mutating func changed(
        in picture: borrowing Picture, at now: UInt64, _ body: (UnsafeRawBufferPointer) -> Void
    ) {
        for index in picture.takers.indices {
            let taker = picture.takers[index]
            guard toldTakers[index] != taker.allocations else { continue }
            toldTakers[index] = taker.allocations
            var record = Self.record(taker, at: now)
            withUnsafeBytes(of: &record, body)
        }
        for index in picture.waiters.indices {
            let waiter = picture.waiters[index]
            guard toldWaiters[index] != waiter.stays else { continue }
            toldWaiters[index] = waiter.stays
            var record = Self.record(waiter, at: now)
            withUnsafeBytes(of: &record, body)
        }
    }

    static func header(_ kind: rw_agent_kind, _ size: Int, _ now: UInt64) -> rw_header {
        rw_header(
            stem: UInt16(RW_STEM_AGENT.rawValue), kind: UInt16(kind.rawValue), size: UInt32(size),
            boot_ns: now, cpu: 0, reserved: 0)
    }

    private static func record(_ taker: Taker, at now: UInt64) -> rw_taker {
        var record = rw_taker()
        record.header = header(RW_AGENT_TAKER, MemoryLayout<rw_taker>.size, now)
        record.task.tid = taker.task.tid
        record.task.tgid = taker.task.tgid
        record.task.cgroup_id = taker.task.cgroupID
        copy(taker.task.comm, into: &record.task.comm)
        record.allocations = taker.allocations
        record.pages = taker.pages
        record.gfp_flags = taker.gfpFlags
        record.context = raw(taker.context)
        record.entitlement = taker.entitlement.rawValue
        record.largest_order = taker.largestOrder
        record.stack = taker.stack.map { Int32(bitPattern: $0) } ?? -1
        return record
    }

    private static func record(_ waiter: Picture.WaiterTotals, at now: UInt64) -> rw_waiter {
        var record = rw_waiter()
        record.header = header(RW_AGENT_WAITER, MemoryLayout<rw_waiter>.size, now)
        copy(waiter.comm, into: &record.comm)
        record.is_throttle = waiter.kind == .throttle ? 1 : 0
        record.stays = waiter.stays
        record.total_ns = waiter.totalNanoseconds
        record.longest_ns = waiter.longestNanoseconds
        return record
    }

    private static func copy<Tuple>(_ name: FixedName, into tuple: inout Tuple) {
        withUnsafeMutableBytes(of: &tuple) { bytes in
            for index in 0..<min(16, bytes.count) { bytes[index] = name[index] }
        }
    }

    private static func raw(_ context: AllocationContext) -> UInt8 {
        switch context {
        case .unknown: return UInt8(RW_CONTEXT_UNKNOWN.rawValue)
        case .process: return UInt8(RW_CONTEXT_PROCESS.rawValue)
        case .softirq: return UInt8(RW_CONTEXT_SOFTIRQ.rawValue)
        case .hardirq: return UInt8(RW_CONTEXT_HARDIRQ.rawValue)
        case .nmi: return UInt8(RW_CONTEXT_NMI.rawValue)
        case .kswapd: return UInt8(RW_CONTEXT_KSWAPD.rawValue)
        }
    }

    /// The standing, where it is another one than was told last.
    mutating func standing(of picture: borrowing Picture, at now: UInt64) -> rw_standing? {
        let standing = picture.standing
        if let toldStanding, toldStanding == standing { return nil }
        toldStanding = standing
        var record = rw_standing()
        record.header = Self.header(RW_AGENT_STANDING, MemoryLayout<rw_standing>.size, now)
        record.state = UInt32(standing.state.rawValue)
        record.state_since_boot_ns = standing.stateSinceBootNanoseconds
        record.tracks.0 = Self.record(standing.tracks[0])
        record.tracks.1 = Self.record(standing.tracks[1])
        guard let totals = standing.totals, let pressure = standing.tracks[0].criticalIncidents,
            let exposure = standing.tracks[1].criticalIncidents
        else { return record }
        record.totals_known = 1
        record.critical_incidents = (pressure, exposure)
        withUnsafeMutableBytes(of: &record.state_ns) { bytes in
            for state in 0..<8 {
                bytes.storeBytes(
                    of: totals.nanoseconds[state], toByteOffset: state * 8, as: UInt64.self)
            }
        }
        withUnsafeMutableBytes(of: &record.state_entries) { bytes in
            for state in 0..<8 {
                bytes.storeBytes(
                    of: totals.entries[state], toByteOffset: state * 4, as: UInt32.self)
            }
        }
        return record
    }

    private static func record(_ track: Standing.Track) -> rw_standing_track {
        rw_standing_track(
            track: UInt32(track.track.rawValue), level: UInt32(track.level.rawValue),
            incident: track.incident, peak: UInt32(track.peak.rawValue),
            since_boot_ns: track.sinceBootNanoseconds, told: track.told, reserved: 0)
    }
}
