// SPDX-License-Identifier: Apache-2.0

import CRecord

/// Which state a record tells, so that the box keeps the last one of each.
enum BoxKey {
    /// What a record does to the box's table of states.
    enum Effect: Equatable {
        /// It is the latest word on this key.
        case keep(UInt64)
        /// What was told under this key is over.
        case drop(UInt64)
        /// An event: it is in the ring only.
        case none
    }

    /// The lines of one reading of /proc/swaps share this: a new reading replaces them all.
    static let swapTableStem = UInt64(RW_STEM_SWAP.rawValue)

    @_noAllocation
    static func effect(of record: UnsafeRawBufferPointer) -> Effect {
        guard record.count >= MemoryLayout<rw_header>.size else { return .none }
        let header = record.loadUnaligned(as: rw_header.self)
        let kind = UInt32(header.kind)
        switch UInt32(header.stem) {
        case RW_STEM_AGENT.rawValue: return agent(record, kind)
        case RW_STEM_WATERMARK.rawValue:
            // Node and, for zones, index follow the header in both.
            if kind == RW_WATERMARK_ZONE.rawValue { return .keep(key(header, word(record, 24))) }
            return kind == RW_WATERMARK_NODE.rawValue
                ? .keep(key(header, half(record, 24))) : .none
        case RW_STEM_NBD.rawValue where kind == RW_NBD_DEVICE.rawValue:
            return .keep(key(header, half(record, 28)))
        case RW_STEM_SWAP.rawValue: return swap(record, header)
        case RW_STEM_SOCKET.rawValue:
            let serial = key(header, word(record, 56), RW_SOCKET_STATE.rawValue)
            if kind == RW_SOCKET_STATE.rawValue { return .keep(serial) }
            return kind == RW_SOCKET_GONE.rawValue ? .drop(serial) : .none
        case RW_STEM_GUARD.rawValue:
            let process = key(header, half(record, 28), RW_GUARD_GUARDED.rawValue)
            if kind == RW_GUARD_GUARDED.rawValue { return .keep(process) }
            return kind == RW_GUARD_RELEASED.rawValue ? .drop(process) : .none
        case RW_STEM_SLAB.rawValue where kind == RW_SLAB_CACHE.rawValue:
            return .keep(key(header, word(record, 56)))
        case RW_STEM_CGROUP.rawValue where kind == RW_CGROUP_NAME.rawValue:
            return .keep(key(header, word(record, 24)))
        case RW_STEM_DIRECT_RECLAIM.rawValue:
            let stay = key(header, half(record, 24), RW_DIRECT_RECLAIM_INSIDE.rawValue)
            if kind == RW_DIRECT_RECLAIM_INSIDE.rawValue { return .keep(stay) }
            if kind == RW_DIRECT_RECLAIM_LEFT.rawValue { return .drop(stay) }
            return kind == RW_DIRECT_RECLAIM_TASK.rawValue
                ? .keep(key(header, half(record, 24))) : .none
        case RW_STEM_THROTTLE.rawValue:
            let stay = key(header, half(record, 24), RW_THROTTLE_BEGAN.rawValue)
            if kind == RW_THROTTLE_BEGAN.rawValue { return .keep(stay) }
            return kind == RW_THROTTLE_ENDED.rawValue ? .drop(stay) : .none
        case RW_STEM_RESERVE.rawValue:
            if kind == RW_RESERVE_PAGES.rawValue { return .keep(key(header, half(record, 24))) }
            let block = key(header, word(record, 56), RW_RESERVE_TAKEN.rawValue)
            if word(record, 56) == 0 { return .none }
            if kind == RW_RESERVE_TAKEN.rawValue { return .keep(block) }
            return kind == RW_RESERVE_RETURNED.rawValue ? .drop(block) : .none
        case RW_STEM_ENFORCE.rawValue where kind == RW_ENFORCE_RULE.rawValue:
            // Its index, behind its name and its target.
            return .keep(key(header, half(record, 184)))
        case RW_STEM_OOM.rawValue where kind == RW_OOM_KILL.rawValue:
            return .keep(key(header, half(record, 24)))
        default: return .none
        }
    }

    @_noAllocation
    private static func agent(_ record: UnsafeRawBufferPointer, _ kind: UInt32) -> Effect {
        let header = record.loadUnaligned(as: rw_header.self)
        switch kind {
        case RW_AGENT_HOST.rawValue, RW_AGENT_COUNTERS.rawValue, RW_AGENT_PRESSURE.rawValue,
            RW_AGENT_SELF.rawValue, RW_AGENT_EXPOSURE.rawValue, RW_AGENT_STANDING.rawValue,
            RW_AGENT_SETTINGS.rawValue:
            return .keep(key(header, 0))
        // signal, behind stem and state
        case RW_AGENT_HOOK.rawValue: return .keep(key(header, hash(record, 32..<64)))
        case RW_AGENT_PROGRAM.rawValue, RW_AGENT_TABLE.rawValue:
            return .keep(key(header, hash(record, 24..<56)))
        case RW_AGENT_SINK.rawValue: return .keep(key(header, half(record, 88)))
        // Its place, behind the track.
        case RW_AGENT_TOLD.rawValue: return .keep(key(header, half(record, 56)))
        case RW_AGENT_STACK.rawValue: return .keep(key(header, half(record, 24)))
        case RW_AGENT_TAKER.rawValue:
            // comm, and context and entitlement behind the flags
            return .keep(key(header, hash(record, 40..<56) ^ half(record, 76) & 0xffff))
        case RW_AGENT_WAITER.rawValue: return .keep(key(header, hash(record, 24..<44)))
        default: return .none
        }
    }

    @_noAllocation
    private static func swap(_ record: UnsafeRawBufferPointer, _ header: rw_header) -> Effect {
        switch UInt32(header.kind) {
        case RW_SWAP_DEVICE.rawValue: return .keep(key(header, hash(record, 24..<152)))
        case RW_SWAP_TABLE_READ.rawValue: return .keep(key(header, 0))
        case RW_SWAP_USAGE.rawValue: return .keep(key(header, word(record, 24)))
        default: return .none
        }
    }

    @_noAllocation
    static func isSwapLine(_ key: UInt64) -> Bool {
        key >> 48 == UInt64(RW_STEM_SWAP.rawValue) << 8 | UInt64(RW_SWAP_DEVICE.rawValue)
    }

    /// What a task did, and victims of the OOM killer: told of tasks that may be long gone.
    @_noAllocation
    static func isOfPastTask(_ key: UInt64) -> Bool {
        switch UInt32(key >> 56) {
        case RW_STEM_DIRECT_RECLAIM.rawValue:
            return UInt32(key >> 48 & 0xff) == RW_DIRECT_RECLAIM_TASK.rawValue
        case RW_STEM_RESERVE.rawValue: return UInt32(key >> 48 & 0xff) == RW_RESERVE_PAGES.rawValue
        case RW_STEM_OOM.rawValue: return UInt32(key >> 48 & 0xff) == RW_OOM_KILL.rawValue
        default: return false
        }
    }

    @_noAllocation
    private static func key(_ header: rw_header, _ identity: UInt64, _ kind: UInt32? = nil)
        -> UInt64
    {
        UInt64(header.stem & 0xff) << 56 | UInt64((kind ?? UInt32(header.kind)) & 0xff) << 48
            | (identity ^ identity >> 48) & 0xffff_ffff_ffff
    }

    @_noAllocation
    private static func word(_ record: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
        guard record.count >= offset + 8 else { return 0 }
        return record.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }

    @_noAllocation
    private static func half(_ record: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
        guard record.count >= offset + 4 else { return 0 }
        return UInt64(record.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    /// FNV-1a.
    @_noAllocation
    private static func hash(_ record: UnsafeRawBufferPointer, _ range: Range<Int>) -> UInt64 {
        var value: UInt64 = 0xcbf2_9ce4_8422_2325
        guard record.count >= range.upperBound else { return value }
        for offset in range {
            value = (value ^ UInt64(record[offset])) &* 0x100_0000_01b3
        }
        return value
    }
}
