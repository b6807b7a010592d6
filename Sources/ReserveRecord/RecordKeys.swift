// SPDX-License-Identifier: Apache-2.0

import CRecord

/// What of each kind of record is state: by which key the latest counts, and what ends it.
///
/// The table by which a recorder knows what a later segment needs. A kind that is not in it
/// is an event: told once, and over.
enum RecordKeys {
    enum Identity {
        /// There is one.
        case single
        /// A field of so many bytes at this offset.
        case number32(Int)
        case number64(Int, zeroIsNone: Bool)
        /// A name, NUL padded.
        case name(Int, bytes: Int)
        /// Fields that are the key together, wherever they stand.
        case fields([Range<Int>])
    }

    enum Rule {
        case event
        /// Everything begins anew.
        case begins
        /// Replaces the former of its key. `kind`: under which it is kept.
        case latest(Identity, kind: UInt32)
        /// Ends what is kept under `kind`.
        case ends(Identity, kind: UInt32)
        /// A line of a table, and what ends the table.
        case line
        case table
    }

    static func place(stem: UInt16, kind: UInt32) -> UInt32 { UInt32(stem) << 16 | kind & 0xffff }

    static func place(stem: UInt16, kind: rw_agent_kind) -> UInt32 {
        place(stem: stem, kind: kind.rawValue)
    }

    static func place(_ header: rw_header) -> UInt32 {
        place(stem: header.stem, kind: UInt32(header.kind))
    }

    static func rule(stem: UInt32, kind: UInt32) -> Rule {
        switch stem {
        case RW_STEM_AGENT.rawValue: return agent(kind)
        case RW_STEM_RESERVE.rawValue:
            let serial = Identity.number64(offset(\rw_reserve.serial), zeroIsNone: true)
            if kind == RW_RESERVE_TAKEN.rawValue { return .latest(serial, kind: kind) }
            if kind == RW_RESERVE_PAGES.rawValue {
                return .latest(.number32(offset(\rw_page_task.task.tid)), kind: kind)
            }
            return kind == RW_RESERVE_RETURNED.rawValue
                ? .ends(serial, kind: RW_RESERVE_TAKEN.rawValue) : .event
        case RW_STEM_WATERMARK.rawValue:
            if kind == RW_WATERMARK_ZONE.rawValue {
                // Node and index stand side by side: both are the key.
                return .latest(
                    .number64(offset(\rw_zone.node), zeroIsNone: false), kind: kind)
            }
            return kind == RW_WATERMARK_NODE.rawValue
                ? .latest(.number32(offset(\rw_node.node)), kind: kind) : .event
        case RW_STEM_DIRECT_RECLAIM.rawValue:
            let task = Identity.number32(offset(\rw_direct_reclaim.task.tid))
            if kind == RW_DIRECT_RECLAIM_INSIDE.rawValue { return .latest(task, kind: kind) }
            if kind == RW_DIRECT_RECLAIM_TASK.rawValue {
                return .latest(.number32(offset(\rw_reclaim_task.task.tid)), kind: kind)
            }
            return kind == RW_DIRECT_RECLAIM_LEFT.rawValue
                ? .ends(task, kind: RW_DIRECT_RECLAIM_INSIDE.rawValue) : .event
        case RW_STEM_THROTTLE.rawValue:
            let task = Identity.number32(offset(\rw_throttle.task.tid))
            if kind == RW_THROTTLE_BEGAN.rawValue || kind == RW_THROTTLE_WAITING.rawValue {
                return .latest(task, kind: RW_THROTTLE_BEGAN.rawValue)
            }
            return kind == RW_THROTTLE_ENDED.rawValue
                ? .ends(task, kind: RW_THROTTLE_BEGAN.rawValue) : .event
        case RW_STEM_NBD.rawValue:
            return kind == RW_NBD_DEVICE.rawValue
                ? .latest(.number64(offset(\rw_nbd_device.major), zeroIsNone: false), kind: kind)
                : .event
        case RW_STEM_SWAP.rawValue: return swap(kind)
        case RW_STEM_OOM.rawValue:
            return kind == RW_OOM_KILL.rawValue
                ? .latest(.number32(offset(\rw_oom.victim.tid)), kind: kind) : .event
        case RW_STEM_SLAB.rawValue:
            return kind == RW_SLAB_CACHE.rawValue
                ? .latest(.number64(offset(\rw_slab_cache.serial), zeroIsNone: false), kind: kind)
                : .event
        case RW_STEM_SOCKET.rawValue:
            let serial = Identity.number64(offset(\rw_socket.serial), zeroIsNone: false)
            if kind == RW_SOCKET_STATE.rawValue { return .latest(serial, kind: kind) }
            return kind == RW_SOCKET_GONE.rawValue
                ? .ends(serial, kind: RW_SOCKET_STATE.rawValue) : .event
        case RW_STEM_GUARD.rawValue:
            let process = Identity.number32(offset(\rw_guarded.task.tgid))
            if kind == RW_GUARD_GUARDED.rawValue { return .latest(process, kind: kind) }
            return kind == RW_GUARD_RELEASED.rawValue
                ? .ends(process, kind: RW_GUARD_GUARDED.rawValue) : .event
        case RW_STEM_CGROUP.rawValue:
            return kind == RW_CGROUP_NAME.rawValue
                ? .latest(.number64(offset(\rw_cgroup.cgroup_id), zeroIsNone: false), kind: kind)
                : .event
        case RW_STEM_ENFORCE.rawValue:
            return kind == RW_ENFORCE_RULE.rawValue
                ? .latest(.number32(offset(\rw_enforce_rule.rule_index)), kind: kind) : .event
        default: return .event
        }
    }

    private static func agent(_ kind: UInt32) -> Rule {
        switch kind {
        case RW_AGENT_HOST.rawValue: return .begins
        case RW_AGENT_HOOK.rawValue:
            return .latest(.name(offset(\rw_hook.signal), bytes: 32), kind: kind)
        case RW_AGENT_COUNTERS.rawValue, RW_AGENT_TICK.rawValue, RW_AGENT_PRESSURE.rawValue,
            RW_AGENT_SELF.rawValue, RW_AGENT_EXPOSURE.rawValue, RW_AGENT_STANDING.rawValue,
            RW_AGENT_SETTINGS.rawValue:
            return .latest(.single, kind: kind)
        case RW_AGENT_SINK.rawValue:
            return .latest(.number32(offset(\rw_sink.index)), kind: kind)
        case RW_AGENT_TOLD.rawValue:
            return .latest(.number32(offset(\rw_told.place)), kind: kind)
        case RW_AGENT_TAKER.rawValue:
            let comm = offset(\rw_taker.task.comm)
            let context = offset(\rw_taker.context)
            // The entitlement follows the context.
            return .latest(
                .fields([comm..<comm + Int(RW_NAME_BYTES), context..<context + 2]), kind: kind)
        case RW_AGENT_WAITER.rawValue:
            let comm = offset(\rw_waiter.comm)
            let isThrottle = offset(\rw_waiter.is_throttle)
            return .latest(
                .fields([comm..<comm + Int(RW_NAME_BYTES), isThrottle..<isThrottle + 4]),
                kind: kind)
        case RW_AGENT_STACK.rawValue:
            return .latest(.number32(offset(\rw_stack.stack)), kind: kind)
        case RW_AGENT_PROGRAM.rawValue:
            return .latest(.name(offset(\rw_program.name), bytes: 32), kind: kind)
        case RW_AGENT_TABLE.rawValue:
            return .latest(.name(offset(\rw_table.name), bytes: 32), kind: kind)
        default: return .event
        }
    }

    private static func swap(_ kind: UInt32) -> Rule {
        switch kind {
        case RW_SWAP_DEVICE.rawValue: return .line
        case RW_SWAP_TABLE_READ.rawValue: return .table
        case RW_SWAP_USAGE.rawValue:
            return .latest(
                .number64(offset(\rw_swap_usage.major), zeroIsNone: false), kind: kind)
        default: return .event
        }
    }

    private static func offset<Record, Field>(_ field: KeyPath<Record, Field>) -> Int {
        // Every field here is stored, so that it has an offset; a test looks at each.
        MemoryLayout<Record>.offset(of: field) ?? Int.max / 2
    }
}
