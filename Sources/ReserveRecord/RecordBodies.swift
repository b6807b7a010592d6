// SPDX-License-Identifier: Apache-2.0

import CRecord
import ReserveModel

// One function for each struct of record.h: field by field, nothing computed.

extension RecordDecoder {
    static func allocation(_ record: rw_reserve) -> ReserveAllocation {
        var allocation = ReserveAllocation(
            task: task(record.task), serial: record.serial, gfpFlags: record.gfp_flags,
            order: record.order, context: context(record.context),
            entitlement: Entitlement(rawValue: record.entitlement))
        allocation.allowance = Allowance(rawValue: record.allowance) ?? .unknown
        allocation.stack = stackID(record.stack)
        return allocation
    }

    static func stackID(_ raw: Int32) -> UInt32? { raw >= 0 ? UInt32(raw) : nil }

    static func context(_ raw: UInt8) -> AllocationContext {
        switch UInt32(raw) {
        case RW_CONTEXT_PROCESS.rawValue: return .process
        case RW_CONTEXT_SOFTIRQ.rawValue: return .softirq
        case RW_CONTEXT_HARDIRQ.rawValue: return .hardirq
        case RW_CONTEXT_NMI.rawValue: return .nmi
        case RW_CONTEXT_KSWAPD.rawValue: return .kswapd
        default: return .unknown
        }
    }

    static func zone(_ record: rw_zone) -> ZoneSample {
        var zone = ZoneSample()
        zone.node = record.node
        zone.index = record.index
        zone.name = name(record.name)
        zone.freePages = record.free_pages
        zone.lowestFreePages = record.lowest_free_pages
        zone.lowestBootNanoseconds = record.lowest_boot_ns
        zone.recentLowestFreePages = record.recent_lowest_free_pages
        zone.minPages = record.min_pages
        zone.lowPages = record.low_pages
        zone.highPages = record.high_pages
        zone.boostPages = record.boost_pages
        zone.managedPages = record.managed_pages
        zone.presentPages = record.present_pages
        zone.spannedPages = record.spanned_pages
        zone.highAtomicPages = record.high_atomic_pages
        zone.protectionCount = min(Int(record.protection_count), Int(RW_ZONE_TYPES))
        zone.protectionPages = numbers(record.protection_pages)
        return zone
    }

    static func node(_ record: rw_node) -> NodeSample {
        var node = NodeSample()
        node.node = record.node
        node.directReclaimAllowed = record.direct_reclaim_allowed != 0
        node.kswapdState = record.kswapd_state
        node.waitersKnown = record.waiters_known != 0
        node.pfmemallocReservePages = record.pfmemalloc_reserve_pages
        node.throttleLinePages = record.throttle_line_pages
        node.freePages = record.free_pages
        node.lowestFreePages = record.lowest_free_pages
        node.lowestBootNanoseconds = record.lowest_boot_ns
        node.kswapdFailures = record.kswapd_failures
        node.throttleWaiters = record.throttle_waiters
        node.kswapdTID = record.kswapd_tid
        node.kswapdOrder = record.kswapd_order
        node.kswapdWakes = record.kswapd_wakes
        node.kswapdSleeps = record.kswapd_sleeps
        node.kswapdRequests = record.kswapd_requests
        return node
    }

    static func reclaim(_ record: rw_direct_reclaim) -> ReclaimStay {
        var stay = ReclaimStay(
            task: task(record.task), beganBootNanoseconds: record.began_boot_ns,
            durationNanoseconds: record.duration_ns, reclaimedPages: record.reclaimed_pages,
            gfpFlags: record.gfp_flags, order: record.order)
        stay.stack = stackID(record.stack)
        stay.isKernelThread = record.is_kernel_thread != 0
        return stay
    }

    static func throttle(_ record: rw_throttle) -> ThrottleStay {
        ThrottleStay(
            task: task(record.task), beganBootNanoseconds: record.began_boot_ns,
            durationNanoseconds: record.duration_ns, freePages: record.free_pages,
            throttleLinePages: record.throttle_line_pages, node: record.node,
            gfpFlags: record.gfp_flags, evaluations: record.evaluations)
    }

    static func nbdDevice(_ record: rw_nbd_device) -> NBDSample {
        var device = NBDSample()
        device.firstMinor = record.first_minor
        device.disk = name(record.disk)
        device.issued = record.issued
        device.requeued = record.requeued
        device.completed = record.completed
        device.completedUnseen = record.completed_unseen
        device.errors = record.errors
        device.inFlight = record.in_flight
        device.oldestNanoseconds = record.oldest_ns
        device.worstOldestNanoseconds = record.worst_oldest_ns
        device.worstBootNanoseconds = record.worst_boot_ns
        device.mostInFlight = record.most_in_flight
        if record.phases_known != 0 {
            var phases = NBDSample.Phases()
            phases.sent = record.sent
            phases.received = record.received
            phases.unsent = record.unsent
            device.phases = phases
        }
        device.lastCompletionBootNanoseconds = record.last_completion_boot_ns
        device.readBytes = record.read_bytes
        device.writtenBytes = record.written_bytes
        device.latency = numbers(record.latency_us)
        if record.path_known != 0 {
            var path = NBDSample.Path()
            path.sockets = record.sockets
            path.segmentsReceived = record.segments_received
            path.segmentsSent = record.segments_sent
            path.carrier = NBDSample.Path.Carrier(rawValue: record.carrier) ?? .unknown
            path.isLocal = record.is_local != 0
            path.link = name(record.link)
            device.path = path
        }
        if record.config_known != 0 {
            var config = NBDSample.Config()
            config.connections = record.connections
            config.liveConnections = record.live_connections
            config.clientPID = record.client_pid
            config.timeoutNanoseconds = record.timeout_ns
            config.deadConnTimeoutNanoseconds = record.dead_conn_timeout_ns
            device.config = config
        }
        return device
    }

    static func nbdFailed(_ record: rw_nbd_failed) -> NBDFailure {
        var failure = NBDFailure()
        failure.disk = name(record.disk)
        failure.durationNanoseconds = record.duration_ns
        failure.bytes = record.bytes
        failure.error = record.error
        failure.isWrite = record.is_write != 0
        return failure
    }

    static func swapDevice(_ record: rw_swap_device) -> SwapDevice {
        var device = SwapDevice()
        device.path = text(record.path)
        device.nbdDisk = name(record.nbd_disk)
        device.isPartition = record.is_partition != 0
        device.priority = record.priority
        device.sizeKiB = record.size_kib
        device.usedKiB = record.used_kib
        device.major = record.major
        device.minor = record.minor
        return device
    }

    static func swapFailed(_ record: rw_swap_failed) -> SwapFailure {
        var failure = SwapFailure()
        failure.major = record.major
        failure.minor = record.minor
        failure.isWrite = record.is_write != 0
        failure.status = record.status
        return failure
    }

    static func oom(_ record: rw_oom, killed: Bool) -> OOMVictim {
        var victim = OOMVictim(
            task: task(record.victim), killed: killed, totalVMPages: record.total_vm_pages,
            rssPages: record.rss_pages, scoreAdjust: record.score_adj, uid: record.uid)
        victim.points = record.points != 0 ? record.points : nil
        // Wire 1 had their sum alone: all of them 0 is then no figure.
        if record.anon_pages | record.file_pages | record.shmem_pages != 0 || record.rss_pages == 0
        {
            victim.resident = OOMVictim.Resident(
                anonPages: record.anon_pages, filePages: record.file_pages,
                shmemPages: record.shmem_pages)
        }
        return victim
    }

    static func host(_ record: rw_host) -> HostFacts {
        var host = HostFacts()
        host.wireVersion = record.wire_version
        host.pageSizeBytes = record.page_size_bytes
        host.cpus = record.cpus
        host.realtimeOffsetNanoseconds = record.realtime_offset_ns
        host.slowThresholdNanoseconds = record.slow_threshold_ns
        host.samplePeriodNanoseconds = record.sample_period_ns
        host.ringBytes = record.ring_bytes
        host.bootID = text(record.boot_id)
        host.host = text(record.host)
        host.kernelRelease = text(record.kernel_release)
        host.machine = text(record.machine)
        host.agentVersion = text(record.agent_version)
        return host
    }

    static func hook(_ record: rw_hook) -> HookFact {
        var hook = HookFact()
        hook.stem = record.stem
        switch record.state {
        case RW_HOOK_PRIMARY.rawValue: hook.state = .primary
        case RW_HOOK_FALLBACK.rawValue: hook.state = .fallback
        case RW_HOOK_MISSING.rawValue: hook.state = .missing
        case RW_HOOK_OFF.rawValue: hook.state = .off
        default: hook.state = .unknown(record.state)
        }
        hook.signal = text(record.signal)
        hook.path = text(record.path)
        hook.reason = text(record.reason)
        return hook
    }

    /// A C array of rw_u64, which Swift sees as a tuple.
    static func numbers<let count: Int, Tuple>(_ tuple: Tuple) -> InlineArray<count, UInt64> {
        var numbers = InlineArray<count, UInt64>(repeating: 0)
        withUnsafeBytes(of: tuple) { bytes in
            for index in 0..<min(count, bytes.count / 8) {
                numbers[index] = bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)
            }
        }
        return numbers
    }
}
