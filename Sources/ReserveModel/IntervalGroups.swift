// SPDX-License-Identifier: Apache-2.0

/// What one task waited in reclaim_throttle() for one reason.
public struct WaitGroup: Sendable {
    public var task: TaskIdentity
    public var node: UInt32
    public var reason: ReclaimReason
    public var waits: UInt64 = 0
    public var totalNanoseconds: UInt64 = 0
    public var longestNanoseconds: UInt64 = 0
}

/// Slabs of one cache that one task took from the reserve, or objects that it was refused.
public struct SlabGroup: Sendable {
    public var task: TaskIdentity
    public var cache: FixedText
    public var isRefusal: Bool
    public var times: UInt64 = 0
    public var pages: UInt64 = 0
    /// All flags seen, as that kernel numbers them.
    public var gfpFlags: UInt32 = 0
    public var stack: UInt32?
}

/// Packets in PFMEMALLOC memory that one socket lost for one reason.
public struct DropGroup: Sendable {
    /// The first of them.
    public var drop: SocketDrop
    public var packets: UInt64 = 0
    public var bytes: UInt64 = 0
}

/// Sums of one summary interval, for events that come by the hundred.
struct IntervalGroups: Sendable {
    var waits = BoundedList<WaitGroup>(capacity: 128)
    var slabs = BoundedList<SlabGroup>(capacity: 128)
    var drops = BoundedList<DropGroup>(capacity: 128)

    var overflowed: UInt64 { waits.overflowed &+ slabs.overflowed &+ drops.overflowed }

    mutating func add(_ wait: ReclaimWait) {
        let found = waits.firstIndex(where: { $0.task == wait.task && $0.reason == wait.reason })
        if found == nil {
            let group = WaitGroup(task: wait.task, node: wait.node, reason: wait.reason)
            guard waits.append(group) else { return }
        }
        let index = found ?? waits.count - 1
        waits[index].waits &+= 1
        waits[index].totalNanoseconds &+= wait.delayedNanoseconds
        waits[index].longestNanoseconds = max(
            waits[index].longestNanoseconds, wait.delayedNanoseconds)
    }

    mutating func add(_ slab: SlabAllocation, isRefusal: Bool) {
        let found = slabs.firstIndex(where: {
            $0.task == slab.task && $0.cache == slab.cache && $0.isRefusal == isRefusal
        })
        if found == nil {
            let group = SlabGroup(task: slab.task, cache: slab.cache, isRefusal: isRefusal)
            guard slabs.append(group) else { return }
        }
        let index = found ?? slabs.count - 1
        slabs[index].times &+= 1
        if !isRefusal { slabs[index].pages &+= 1 << UInt64(slab.order & 15) }
        slabs[index].gfpFlags |= slab.gfpFlags
        if let stack = slab.stack { slabs[index].stack = stack }
    }

    mutating func add(_ drop: SocketDrop) {
        let found = drops.firstIndex(where: {
            $0.drop.local == drop.local && $0.drop.peer == drop.peer
                && $0.drop.netns == drop.netns && $0.drop.reason == drop.reason
                && $0.drop.task == drop.task
        })
        if found == nil { guard drops.append(DropGroup(drop: drop)) else { return } }
        let index = found ?? drops.count - 1
        drops[index].packets &+= 1
        drops[index].bytes &+= UInt64(drop.bytes)
    }
}
