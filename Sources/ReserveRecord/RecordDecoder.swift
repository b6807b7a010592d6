// SPDX-License-Identifier: Apache-2.0

import CRecord
import ReserveModel

/// Bytes of one record in, one event out. Knows no libbpf; live and replay share it.
///
/// A record may be longer than this build knows (a newer agent wrote it): the rest is
/// passed over. One that is shorter than its kind is `.malformed`. Neither is a crash.
public enum RecordDecoder {
    /// Decodes one record. Does not allocate.
    public static func decode(_ bytes: UnsafeRawBufferPointer) -> Event {
        guard let header = load(bytes, rw_header.self) else {
            return Event(bootNanoseconds: 0, cpu: 0, body: .malformed(stem: 0, kind: 0))
        }
        let body =
            decodeBody(bytes, stem: UInt32(header.stem), kind: UInt32(header.kind))
            ?? .malformed(stem: header.stem, kind: header.kind)
        return Event(bootNanoseconds: header.boot_ns, cpu: header.cpu, body: body)
    }

    /// nil: shorter than its kind.
    private static func decodeBody(
        _ bytes: UnsafeRawBufferPointer, stem: UInt32, kind: UInt32
    ) -> Event.Body? {
        switch (stem, kind) {
        case (RW_STEM_RESERVE.rawValue, RW_RESERVE_TAKEN.rawValue):
            return load(bytes, rw_reserve.self).map { .reserveTaken(allocation($0)) }
        case (RW_STEM_RESERVE.rawValue, RW_RESERVE_FAILED.rawValue):
            return load(bytes, rw_reserve.self).map { .allocationFailed(allocation($0)) }
        case (RW_STEM_RESERVE.rawValue, RW_RESERVE_BELOW_MIN.rawValue):
            return load(bytes, rw_reserve.self).map { .allocatedBelowMin(allocation($0)) }
        case (RW_STEM_RESERVE.rawValue, RW_RESERVE_PAGES.rawValue):
            return load(bytes, rw_page_task.self).map { .pageTask(pageTask($0)) }
        case (RW_STEM_RESERVE.rawValue, RW_RESERVE_RETURNED.rawValue):
            return load(bytes, rw_reserve.self).map {
                .reserveReturned(
                    ReserveReturn(
                        serial: $0.serial, heldNanoseconds: $0.held_ns, order: $0.order))
            }
        case (RW_STEM_WATERMARK.rawValue, RW_WATERMARK_ZONE.rawValue):
            return load(bytes, rw_zone.self).map { .zone(zone($0)) }
        case (RW_STEM_WATERMARK.rawValue, RW_WATERMARK_NODE.rawValue):
            return load(bytes, rw_node.self).map { .node(node($0)) }
        case (RW_STEM_DIRECT_RECLAIM.rawValue, RW_DIRECT_RECLAIM_INSIDE.rawValue):
            return load(bytes, rw_direct_reclaim.self).map { .reclaimInside(reclaim($0)) }
        case (RW_STEM_DIRECT_RECLAIM.rawValue, RW_DIRECT_RECLAIM_LEFT.rawValue):
            return load(bytes, rw_direct_reclaim.self).map { .reclaimLeft(reclaim($0)) }
        case (RW_STEM_DIRECT_RECLAIM.rawValue, RW_DIRECT_RECLAIM_TASK.rawValue):
            return load(bytes, rw_reclaim_task.self).map { .reclaimTask(reclaimTask($0)) }
        case (RW_STEM_THROTTLE.rawValue, RW_THROTTLE_BEGAN.rawValue):
            return load(bytes, rw_throttle.self).map { .throttleBegan(throttle($0)) }
        case (RW_STEM_THROTTLE.rawValue, RW_THROTTLE_ENDED.rawValue):
            return load(bytes, rw_throttle.self).map { .throttleEnded(throttle($0)) }
        case (RW_STEM_THROTTLE.rawValue, RW_THROTTLE_WAITING.rawValue):
            return load(bytes, rw_throttle.self).map { .throttleWaiting(throttle($0)) }
        case (RW_STEM_NBD.rawValue, RW_NBD_DEVICE.rawValue):
            return load(bytes, rw_nbd_device.self).map { .nbdDevice(nbdDevice($0)) }
        case (RW_STEM_NBD.rawValue, RW_NBD_FAILED.rawValue):
            return load(bytes, rw_nbd_failed.self).map { .nbdFailed(nbdFailed($0)) }
        case (RW_STEM_SWAP.rawValue, RW_SWAP_DEVICE.rawValue):
            return load(bytes, rw_swap_device.self).map { .swapDevice(swapDevice($0)) }
        case (RW_STEM_SWAP.rawValue, RW_SWAP_TABLE_READ.rawValue):
            return .swapTableRead
        case (RW_STEM_SWAP.rawValue, RW_SWAP_FAILED.rawValue):
            return load(bytes, rw_swap_failed.self).map { .swapFailed(swapFailed($0)) }
        case (RW_STEM_OOM.rawValue, RW_OOM_KILL.rawValue),
            (RW_STEM_OOM.rawValue, RW_OOM_MARKED.rawValue):
            return load(bytes, rw_oom.self).map {
                .oom(oom($0, killed: kind == RW_OOM_KILL.rawValue))
            }
        case (RW_STEM_SWAP.rawValue, RW_SWAP_USAGE.rawValue):
            return load(bytes, rw_swap_usage.self).map { .swapUsage(swapUsage($0)) }
        case (RW_STEM_OOM.rawValue, RW_OOM_FREED.rawValue):
            return load(bytes, rw_oom_freed.self).map { .oomFreed(oomFreed($0)) }
        case (RW_STEM_KSWAPD.rawValue, RW_KSWAPD_WOKE.rawValue),
            (RW_STEM_KSWAPD.rawValue, RW_KSWAPD_SLEPT.rawValue):
            return load(bytes, rw_kswapd.self).map {
                .kswapd(kswapd($0, woke: kind == RW_KSWAPD_WOKE.rawValue))
            }
        case (RW_STEM_RECLAIM_WAIT.rawValue, RW_RECLAIM_WAIT_ENDED.rawValue):
            return load(bytes, rw_reclaim_wait.self).map { .reclaimWait(reclaimWait($0)) }
        case (RW_STEM_SLAB.rawValue, RW_SLAB_TAKEN.rawValue):
            return load(bytes, rw_slab.self).map { .slabTaken(slab($0)) }
        case (RW_STEM_SLAB.rawValue, RW_SLAB_REFUSED.rawValue):
            return load(bytes, rw_slab.self).map { .slabRefused(slab($0)) }
        case (RW_STEM_SLAB.rawValue, RW_SLAB_CACHE.rawValue):
            return load(bytes, rw_slab_cache.self).map { .slabCache(slabCache($0)) }
        case (RW_STEM_SOCKET.rawValue, RW_SOCKET_STATE.rawValue):
            return load(bytes, rw_socket.self).map { .socket(socket($0)) }
        case (RW_STEM_SOCKET.rawValue, RW_SOCKET_GONE.rawValue):
            return load(bytes, rw_socket.self).map { .socketGone(socket($0)) }
        case (RW_STEM_SOCKET.rawValue, RW_SOCKET_DROPPED.rawValue):
            return load(bytes, rw_socket_drop.self).map { .socketDrop(socketDrop($0)) }
        case (RW_STEM_GUARD.rawValue, RW_GUARD_ATTEMPT.rawValue):
            return load(bytes, rw_guard_attempt.self).map { .guardAttempt(guardAttempt($0)) }
        case (RW_STEM_GUARD.rawValue, RW_GUARD_GUARDED.rawValue):
            return load(bytes, rw_guarded.self).map { .guarded(guarded($0)) }
        case (RW_STEM_GUARD.rawValue, RW_GUARD_RELEASED.rawValue):
            return load(bytes, rw_guarded.self).map { .guardReleased(guarded($0)) }
        case (RW_STEM_AGENT.rawValue, RW_AGENT_STACK.rawValue):
            return load(bytes, rw_stack.self).map { .stack(stack($0)) }
        case (RW_STEM_AGENT.rawValue, RW_AGENT_PRESSURE.rawValue):
            return load(bytes, rw_pressure.self).map { .pressure(pressure($0)) }
        case (RW_STEM_AGENT.rawValue, RW_AGENT_SELF.rawValue):
            return load(bytes, rw_self.self).map { .selfAccount(selfAccount($0)) }
        case (RW_STEM_AGENT.rawValue, RW_AGENT_SINK.rawValue):
            return load(bytes, rw_sink.self).map { .sink(sink($0)) }
        case (RW_STEM_AGENT.rawValue, RW_AGENT_EXPOSURE.rawValue):
            return load(bytes, rw_exposure.self).map { .exposure(exposure($0)) }
        case (RW_STEM_AGENT.rawValue, RW_AGENT_STANDING.rawValue):
            return load(bytes, rw_standing.self).map { .standing(standing($0)) }
        case (RW_STEM_AGENT.rawValue, RW_AGENT_TOLD.rawValue):
            return load(bytes, rw_told.self).map { .told(told($0)) }
        case (RW_STEM_AGENT.rawValue, RW_AGENT_TAKER.rawValue):
            return load(bytes, rw_taker.self).map { .takerTotal(takerTotal($0)) }
        case (RW_STEM_AGENT.rawValue, RW_AGENT_WAITER.rawValue):
            return load(bytes, rw_waiter.self).map { .waiterTotal(waiterTotal($0)) }
        case (RW_STEM_AGENT.rawValue, RW_AGENT_SKIPPED.rawValue):
            return load(bytes, rw_skipped.self).map { .skipped($0.records) }
        case (RW_STEM_AGENT.rawValue, RW_AGENT_SETTINGS.rawValue):
            return load(bytes, rw_times.self).map { .settings(settings($0)) }
        case (RW_STEM_AGENT.rawValue, RW_AGENT_PROGRAM.rawValue):
            return load(bytes, rw_program.self).map { .program(program($0)) }
        case (RW_STEM_AGENT.rawValue, RW_AGENT_TABLE.rawValue):
            return load(bytes, rw_table.self).map { .table(table($0)) }
        case (RW_STEM_ENFORCE.rawValue, RW_ENFORCE_ACT.rawValue):
            return load(bytes, rw_enforce.self).map { .enforcement(enforcement($0)) }
        case (RW_STEM_ENFORCE.rawValue, RW_ENFORCE_RULE.rawValue):
            return load(bytes, rw_enforce_rule.self).map { .enforceRule(enforceRule($0)) }
        case (RW_STEM_CGROUP.rawValue, RW_CGROUP_NAME.rawValue):
            return load(bytes, rw_cgroup.self).map {
                .cgroupName(id: $0.cgroup_id, path: text($0.path))
            }
        case (RW_STEM_AGENT.rawValue, RW_AGENT_HOST.rawValue):
            return load(bytes, rw_host.self).map { .host(host($0)) }
        case (RW_STEM_AGENT.rawValue, RW_AGENT_HOOK.rawValue):
            return load(bytes, rw_hook.self).map { .hook(hook($0)) }
        case (RW_STEM_AGENT.rawValue, RW_AGENT_COUNTERS.rawValue):
            return load(bytes, rw_counters_record.self).map { .counters(counters($0)) }
        case (RW_STEM_AGENT.rawValue, RW_AGENT_TICK.rawValue):
            return .tick
        case (RW_STEM_AGENT.rawValue, RW_AGENT_STOPPED.rawValue):
            return .stopped
        default:
            return .unknown(stem: UInt16(stem), kind: UInt16(kind))
        }
    }

    /// The record, or nil when it is shorter than any wire ever had it.
    private static func load<Record: BitwiseCopyable & GrownRecord>(
        _ bytes: UnsafeRawBufferPointer, _ type: Record.Type
    ) -> Record? {
        if bytes.count >= MemoryLayout<Record>.size { return bytes.loadUnaligned(as: type) }
        guard bytes.count >= Record.firstSize else { return nil }
        return Record.grown(from: bytes)
    }

    /// A record that never grew.
    private static func load<Record: BitwiseCopyable>(
        _ bytes: UnsafeRawBufferPointer, _ type: Record.Type
    ) -> Record? {
        guard bytes.count >= MemoryLayout<Record>.size else { return nil }
        return bytes.loadUnaligned(as: type)
    }

    static func name<Tuple>(_ tuple: Tuple) -> FixedName {
        withUnsafeBytes(of: tuple) { FixedName(bytes: $0) }
    }

    static func text<Tuple>(_ tuple: Tuple) -> FixedText {
        withUnsafeBytes(of: tuple) { FixedText(bytes: $0) }
    }

    static func task(_ task: rw_task) -> TaskIdentity {
        TaskIdentity(
            tid: task.tid, tgid: task.tgid, cgroupID: task.cgroup_id, comm: name(task.comm))
    }
}
