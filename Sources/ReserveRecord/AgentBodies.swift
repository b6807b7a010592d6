// SPDX-License-Identifier: Apache-2.0

import CRecord
import ReserveModel

// What the watch tells of itself.

extension RecordDecoder {
    static func selfAccount(_ record: rw_self) -> SelfAccount {
        var account = SelfAccount()
        if record.known & 1 != 0 {
            var own = SelfAccount.Allocations()
            own.pages = record.pages_allocated
            own.calls = record.allocations
            own.directReclaims = record.direct_reclaims
            own.sinkPages = record.sink_pages_allocated
            own.sinkDirectReclaims = record.sink_direct_reclaims
            if record.known & 32 != 0 { own.lastStack = record.allocation_stack }
            account.allocations = own
        }
        if record.known & 2 != 0 {
            var faults = SelfAccount.Faults()
            faults.major = record.major_faults
            faults.minor = record.minor_faults
            account.faults = faults
        }
        account.lockedKiB = record.locked_kib
        account.residentKiB = record.resident_kib
        account.boxBytes = record.box_bytes
        account.cpuNanoseconds = record.cpu_ns
        account.threads = record.threads
        if record.known & 4 != 0 {
            var maps = SelfAccount.Maps()
            maps.bytes = record.map_bytes
            maps.areCounted = record.maps_are_counted != 0
            account.maps = maps
        }
        if record.known & 8 != 0 { account.programBytes = record.program_bytes }
        if record.known & 16 != 0 {
            var kernelSide = SelfAccount.KernelSide()
            kernelSide.programs = record.programs
            kernelSide.ringMostWaitingBytes = record.ring_most_waiting_bytes
            account.kernelSide = kernelSide
        }
        return account
    }

    static func table(_ record: rw_table) -> TableUse {
        var table = TableUse()
        table.name = text(record.name)
        table.capacity = record.capacity
        if record.entries_known != 0 {
            var entries = TableUse.Entries()
            entries.now = record.entries
            entries.most = record.most_entries
            table.entries = entries
        }
        return table
    }

    static func sink(_ record: rw_sink) -> SinkState {
        var sink = SinkState()
        sink.name = text(record.name)
        sink.index = record.index
        sink.isJSON = record.is_json != 0
        sink.lines = record.lines
        sink.dropped = record.dropped
        sink.waitingBytes = record.waiting_bytes
        if record.lines > 0 {
            sink.lastNanoseconds = record.last_ns
            sink.worstNanoseconds = record.worst_ns
        }
        sink.error = record.error
        return sink
    }

    static func settings(_ record: rw_times) -> SettingsState {
        var state = SettingsState()
        state.outcome = SettingsState.Outcome(rawValue: record.outcome)
        state.asked = record.asked
        state.errors = record.errors
        state.waiting = record.waiting
        state.policy.summaryInterval = record.summary_interval_ns
        state.policy.directReclaimNotice = record.direct_reclaim_notice_ns
        state.policy.stallNotice = record.stall_notice_ns
        state.policy.criticalAfter = record.critical_after_ns
        state.policy.slowRequest = record.slow_request_ns
        state.policy.timeLeftWarning = record.time_left_warning_ns
        state.policy.alertHold = record.alert_hold_ns
        state.policy.alertUpdate = record.alert_update_ns
        state.policy.alertLongestUpdate = record.alert_longest_update_ns
        state.policy.exposureUpdate = record.exposure_update_ns
        return state
    }

    static func exposure(_ record: rw_exposure) -> Exposure {
        func known(_ bit: UInt64, _ value: UInt64) -> UInt64? {
            record.known >> bit & 1 != 0 ? value : nil
        }
        var exposure = Exposure()
        exposure.tcpSockets = known(0, record.tcp_sockets)
        exposure.tcpReceiveMaximumBytes = known(1, record.tcp_receive_maximum_bytes)
        exposure.tcpMemoryMaximumBytes = known(2, record.tcp_memory_maximum_bytes)
        exposure.tcpMemoryBytes = known(3, record.tcp_memory_bytes)
        exposure.udpSockets = known(4, record.udp_sockets)
        exposure.receiveDefaultBytes = known(5, record.receive_default_bytes)
        exposure.receiveMaximumBytes = known(6, record.receive_maximum_bytes)
        exposure.udpMemoryMaximumBytes = known(7, record.udp_memory_maximum_bytes)
        exposure.writebackThrottleMicroseconds = known(8, record.writeback_throttle_us)
        exposure.receiveRingsBytes = known(9, record.receive_rings_bytes)
        return exposure
    }

    static func standing(_ record: rw_standing) -> Standing {
        var standing = Standing()
        standing.state = HostState(rawValue: UInt8(truncatingIfNeeded: record.state)) ?? .unknown
        standing.stateSinceBootNanoseconds = record.state_since_boot_ns
        standing.tracks[0] = track(record.tracks.0)
        standing.tracks[1] = track(record.tracks.1)
        guard record.totals_known != 0 else { return standing }
        standing.tracks[0].criticalIncidents = record.critical_incidents.0
        standing.tracks[1].criticalIncidents = record.critical_incidents.1
        var times = InlineArray<8, UInt64>(repeating: 0)
        var entries = InlineArray<8, UInt32>(repeating: 0)
        withUnsafeBytes(of: record.state_ns) { bytes in
            for state in 0..<8 {
                times[state] = bytes.loadUnaligned(fromByteOffset: state * 8, as: UInt64.self)
            }
        }
        withUnsafeBytes(of: record.state_entries) { bytes in
            for state in 0..<8 {
                entries[state] = bytes.loadUnaligned(fromByteOffset: state * 4, as: UInt32.self)
            }
        }
        standing.totals = StateTotals(nanoseconds: times, entries: entries)
        return standing
    }

    static func told(_ record: rw_told) -> ToldAlert {
        var told = ToldAlert()
        told.track = track(record.track)
        told.state = HostState(rawValue: UInt8(truncatingIfNeeded: record.state)) ?? .unknown
        told.reasons = Alert.Reasons(rawValue: record.reasons)
        told.findings.lostWire = finding(record.lost_wire)
        told.findings.deadReceivePath = finding(record.dead_receive_path)
        told.findings.silentServer = finding(record.silent_server)
        return told
    }

    private static func finding(_ number: UInt8) -> Alert.Finding {
        Alert.Finding(rawValue: number) ?? .cannotTell
    }

    private static func track(_ record: rw_standing_track) -> Standing.Track {
        var track = Standing.Track()
        track.track = Alert.Track(rawValue: UInt8(truncatingIfNeeded: record.track)) ?? .pressure
        track.level = Alert.Level(rawValue: UInt8(truncatingIfNeeded: record.level)) ?? .resolved
        track.incident = record.incident
        track.peak = Alert.Level(rawValue: UInt8(truncatingIfNeeded: record.peak)) ?? .resolved
        track.sinceBootNanoseconds = record.since_boot_ns
        track.told = record.told
        return track
    }

    static func takerTotal(_ record: rw_taker) -> Taker {
        let allocation = ReserveAllocation(
            task: task(record.task), serial: 0, gfpFlags: record.gfp_flags,
            order: record.largest_order, context: context(record.context),
            entitlement: Entitlement(rawValue: record.entitlement))
        var taker = Taker(allocation)
        taker.allocations = record.allocations
        taker.pages = record.pages
        taker.gfpFlags = record.gfp_flags
        taker.largestOrder = record.largest_order
        taker.stack = stackID(record.stack)
        return taker
    }

    static func waiterTotal(_ record: rw_waiter) -> Picture.WaiterTotals {
        var waiter = Picture.WaiterTotals(
            comm: name(record.comm), kind: record.is_throttle != 0 ? .throttle : .directReclaim)
        waiter.stays = record.stays
        waiter.totalNanoseconds = record.total_ns
        waiter.longestNanoseconds = record.longest_ns
        return waiter
    }
}
