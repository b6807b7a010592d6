// SPDX-License-Identifier: Apache-2.0

/// One swap device as its bios tell it, with swap_info[] where that can be read.
public struct SwapUsage: Sendable {
    public var major: UInt32 = 0
    public var minor: UInt32 = 0
    public var area: Area?
    /// Pages since the agent's start.
    public var inPages: UInt64 = 0
    public var outPages: UInt64 = 0
    /// Bios.
    public var readErrors: UInt64 = 0
    public var writeErrors: UInt64 = 0
    public var inFlight: UInt64 = 0
    public var reads = LatencyBuckets(repeating: 0)
    public var writes = LatencyBuckets(repeating: 0)
    /// nil: an older agent did not tell.
    public var waiting: Waiting?

    /// Reads in flight. Nobody reads from swap ahead of a need: for one of those that a fault
    /// asks for a task waits (mm/swap_state.c:swapin_readahead()).
    public struct Waiting: Sendable, Equatable {
        /// Bios.
        public var reads: UInt64
        /// For how long some have been in flight and none has ended; 0: none is.
        public var nanoseconds: UInt64

        public init(reads: UInt64, nanoseconds: UInt64) {
            self.reads = reads
            self.nanoseconds = nanoseconds
        }
    }

    /// mm/swapfile.c:struct swap_info_struct.
    public struct Area: Sendable {
        public var priority: Int32 = 0
        public var pages: UInt64 = 0
        public var usedPages: UInt64 = 0
        public init() {}
    }

    public init() {}
}

/// What came free of a victim of the OOM killer: mm/mmap.c:exit_mmap().
public struct OOMFreed: Sendable {
    public var task: TaskIdentity
    /// From the mark to the tear-down.
    public var afterNanoseconds: UInt64
    public var markedPages: UInt64
    /// Of these, gone before: the OOM reaper's.
    public var reapedPages: UInt64

    public init(
        task: TaskIdentity, afterNanoseconds: UInt64, markedPages: UInt64, reapedPages: UInt64
    ) {
        self.task = task
        self.afterNanoseconds = afterNanoseconds
        self.markedPages = markedPages
        self.reapedPages = reapedPages
    }
}

/// A node's kswapd woke, or went to sleep.
public struct KswapdMove: Sendable {
    public var woke = false
    public var node: UInt32 = 0
    /// Woke: of the request.
    public var order: UInt32 = 0
    public var highestZone: UInt32 = 0
    /// Slept; nil: it woke before the agent's start.
    public var awakeNanoseconds: UInt64?

    public init() {}
}

/// What one task did in reclaim since its first event, counted in the kernel.
///
/// A task that paused for long begins anew, with another first event: the sum is what it did.
public struct ReclaimTask: Sendable {
    public var task: TaskIdentity
    public var firstBootNanoseconds: UInt64 = 0
    /// try_to_free_pages() begun; the times are of those that ended.
    public var directReclaims: UInt64 = 0
    public var directReclaimNanoseconds: UInt64 = 0
    public var longestNanoseconds: UInt64 = 0
    /// What try_to_free_pages() returned.
    public var directReclaimedPages: UInt64 = 0
    /// wakeup_kswapd() by this task.
    public var kswapdRequests: UInt64 = 0
    /// kswapd only: woken from sleep, and begun anew without sleep between.
    public var kswapdWakes: UInt64 = 0
    public var kswapdRewakes: UInt64 = 0
    public var kswapdAwakeNanoseconds: UInt64 = 0
    public var kswapdLongestNanoseconds: UInt64 = 0
    /// mm_vmscan_lru_isolate, of whatever list.
    public var scannedAnonPages: UInt64 = 0
    public var scannedFilePages: UInt64 = 0
    /// mm_vmscan_lru_shrink_inactive.
    public var reclaimedAnonPages: UInt64 = 0
    public var reclaimedFilePages: UInt64 = 0
    /// mm_vmscan_write_folio, in calls.
    public var writtenAnonPages: UInt64 = 0
    public var writtenFilePages: UInt64 = 0
    /// By order; the last counts all from 11 on.
    public var begunByOrder = InlineArray<12, UInt32>(repeating: 0)
    public var requestsByOrder = InlineArray<12, UInt32>(repeating: 0)
    public var wakesByOrder = InlineArray<12, UInt32>(repeating: 0)
    public var rewakesByOrder = InlineArray<12, UInt32>(repeating: 0)

    public init(task: TaskIdentity) {
        self.task = task
    }

    /// Two lives of one task together.
    public func plus(_ other: ReclaimTask) -> ReclaimTask {
        var sum = self
        sum.firstBootNanoseconds = min(firstBootNanoseconds, other.firstBootNanoseconds)
        sum.directReclaims &+= other.directReclaims
        sum.directReclaimNanoseconds &+= other.directReclaimNanoseconds
        sum.longestNanoseconds = max(longestNanoseconds, other.longestNanoseconds)
        sum.directReclaimedPages &+= other.directReclaimedPages
        sum.kswapdRequests &+= other.kswapdRequests
        sum.kswapdWakes &+= other.kswapdWakes
        sum.kswapdRewakes &+= other.kswapdRewakes
        sum.kswapdAwakeNanoseconds &+= other.kswapdAwakeNanoseconds
        sum.kswapdLongestNanoseconds = max(
            kswapdLongestNanoseconds, other.kswapdLongestNanoseconds)
        sum.scannedAnonPages &+= other.scannedAnonPages
        sum.scannedFilePages &+= other.scannedFilePages
        sum.reclaimedAnonPages &+= other.reclaimedAnonPages
        sum.reclaimedFilePages &+= other.reclaimedFilePages
        sum.writtenAnonPages &+= other.writtenAnonPages
        sum.writtenFilePages &+= other.writtenFilePages
        for order in 0..<12 {
            sum.begunByOrder[order] &+= other.begunByOrder[order]
            sum.requestsByOrder[order] &+= other.requestsByOrder[order]
            sum.wakesByOrder[order] &+= other.wakesByOrder[order]
            sum.rewakesByOrder[order] &+= other.rewakesByOrder[order]
        }
        return sum
    }
}

/// What one task did at the page allocator since its first event; as ``ReclaimTask``.
public struct PageTask: Sendable {
    public var task: TaskIdentity
    public var firstBootNanoseconds: UInt64 = 0
    /// mm_page_alloc, those that got nothing too.
    public var allocations: UInt64 = 0
    public var allocatedPages: UInt64 = 0
    public var frees: UInt64 = 0
    public var freedPages: UInt64 = 0
    public var batchedFrees: UInt64 = 0
    /// Pages that the buddy allocator gave under the zone's lock, and runs of them.
    public var zoneLocked: UInt64 = 0
    public var refills: UInt64 = 0
    /// Pages that went from a per-CPU list back to the zone, and runs of them.
    public var drainedPages: UInt64 = 0
    public var drains: UInt64 = 0
    /// Allocations that took from a block of another mobility.
    public var fallbacks: UInt64 = 0
    public var severeFallbacks: UInt64 = 0

    public init(task: TaskIdentity) {
        self.task = task
    }

    /// Two lives of one task together.
    public func plus(_ other: PageTask) -> PageTask {
        var sum = self
        sum.firstBootNanoseconds = min(firstBootNanoseconds, other.firstBootNanoseconds)
        sum.allocations &+= other.allocations
        sum.allocatedPages &+= other.allocatedPages
        sum.frees &+= other.frees
        sum.freedPages &+= other.freedPages
        sum.batchedFrees &+= other.batchedFrees
        sum.zoneLocked &+= other.zoneLocked
        sum.refills &+= other.refills
        sum.drainedPages &+= other.drainedPages
        sum.drains &+= other.drains
        sum.fallbacks &+= other.fallbacks
        sum.severeFallbacks &+= other.severeFallbacks
        return sum
    }
}

/// enum vmscan_throttle_state, by name: its numbers differ between kernels.
public enum ReclaimReason: UInt32, Sendable, Hashable, CaseIterable {
    case writeback = 0
    case isolated = 1
    case noProgress = 2
    case congested = 3
    case other = 4
}

/// A wait in mm/vmscan.c:reclaim_throttle(), which is not throttle_direct_reclaim().
public struct ReclaimWait: Sendable {
    public var task: TaskIdentity
    public var node: UInt32
    public var reason: ReclaimReason
    public var timeoutNanoseconds: UInt64
    public var delayedNanoseconds: UInt64

    public init(
        task: TaskIdentity, node: UInt32, reason: ReclaimReason, timeoutNanoseconds: UInt64,
        delayedNanoseconds: UInt64
    ) {
        self.task = task
        self.node = node
        self.reason = reason
        self.timeoutNanoseconds = timeoutNanoseconds
        self.delayedNanoseconds = delayedNanoseconds
    }
}

/// A slab whose pages came from the reserve, or an object of such a slab that was refused.
public struct SlabAllocation: Sendable {
    public var task: TaskIdentity
    /// Empty for a refusal: the kernel asks without naming it.
    public var cache: FixedText
    public var gfpFlags: UInt32
    public var order: UInt32
    public var stack: UInt32?

    public init(
        task: TaskIdentity, cache: FixedText, gfpFlags: UInt32, order: UInt32, stack: UInt32?
    ) {
        self.task = task
        self.cache = cache
        self.gfpFlags = gfpFlags
        self.order = order
        self.stack = stack
    }
}

/// How a slab cache grew and shrank since the agent's start.
public struct SlabCache: Sendable {
    public var name = FixedText()
    /// Tells caches of one name apart.
    public var serial: UInt64 = 0
    public var slabsAllocated: UInt64 = 0
    public var slabsFreed: UInt64 = 0
    public var slabsFromReserve: UInt64 = 0
    /// nil unless armed.
    public var objects: Objects?
    public var objectBytes: UInt32 = 0
    /// 2^order pages a slab, where memory suffices.
    public var slabOrder: UInt32 = 0

    public struct Objects: Sendable {
        public var allocated: UInt64 = 0
        public var freed: UInt64 = 0
        public init() {}
    }

    public init() {}
}

/// An IP address as the socket has it, or nothing for a unix socket.
public struct SocketAddress: Sendable, Hashable {
    /// The first four for AF_INET, in network order.
    public var low: UInt64 = 0
    public var high: UInt64 = 0
    public var port: UInt32 = 0

    public init() {}

    public subscript(index: Int) -> UInt8 {
        index < 8
            ? UInt8(truncatingIfNeeded: low >> UInt64(index * 8))
            : UInt8(truncatingIfNeeded: high >> UInt64((index - 8) * 8))
    }
}

/// A SOCK_MEMALLOC socket: one that may use the reserve, for it frees memory.
public struct SocketSample: Sendable {
    public enum Found: UInt32, Sendable {
        case unknown = 0
        /// sk_set_memalloc() while we watched.
        case marked = 1
        /// When the sockets were gone through.
        case iterated = 2
        /// In the table of an NBD device.
        case ofNBD = 3
    }

    /// Who marked it; nil where it was found.
    public var task: TaskIdentity?
    public var serial: UInt64 = 0
    /// AF_UNIX 1, AF_INET 2, AF_INET6 10.
    public var family: UInt32 = 0
    /// TCP_ESTABLISHED 1, ...
    public var state: UInt32 = 0
    public var found = Found.unknown
    /// Inode of the network namespace.
    public var netns: UInt32 = 0
    public var local = SocketAddress()
    public var peer = SocketAddress()
    /// sk_data_ready, as the kernel names it: whose socket it is, where no NBD device says so.
    public var owner = FixedText()
    public var path = FixedText()
    /// Empty: no NBD device, or not known.
    public var disk = FixedName()
    public var connection: UInt32 = 0
    /// nil: not TCP.
    public var tcp: TCP?
    public var receiveBufferBytes: UInt32 = 0
    public var sendBufferBytes: UInt32 = 0
    public var receiveMemoryBytes: UInt32 = 0
    public var sendMemoryBytes: UInt32 = 0
    /// Packets in PFMEMALLOC memory that it took since the agent's start.
    public var delivered: UInt64 = 0
    /// As /proc/PID/fd names it; 0: none.
    public var inode: UInt64 = 0

    /// As struct tcp_info has them.
    public struct TCP: Sendable {
        public var bytesSent: UInt64 = 0
        public var bytesReceived: UInt64 = 0
        public var segmentsSent: UInt32 = 0
        public var segmentsReceived: UInt32 = 0
        public var retransmits: UInt32 = 0
        public var sendWindowBytes: UInt32 = 0
        public var receiveWindowBytes: UInt32 = 0
        public var congestionWindow: UInt32 = 0
        public var sendQueueBytes: UInt64 = 0
        public var receiveQueueBytes: UInt64 = 0
        public init() {}
    }

    public init() {}
}

/// A packet in PFMEMALLOC memory, dropped because its socket is not SOCK_MEMALLOC:
/// net/core/filter.c:sk_filter_trim_cap().
public struct SocketDrop: Sendable {
    public enum Reason: UInt32, Sendable, Hashable {
        case other = 0
        case socketFilter = 1
        case pfmemalloc = 2
        /// No kfree_skb() of this packet was seen.
        case notTold = 3
    }

    /// Who opened the destination; tid 0: not known.
    public var task = TaskIdentity(tid: 0, tgid: 0, cgroupID: 0, comm: FixedName())
    public var family: UInt32 = 0
    public var protocolNumber: UInt32 = 0
    public var local = SocketAddress()
    public var peer = SocketAddress()
    public var bytes: UInt32 = 0
    public var uid: UInt32 = 0
    public var reason = Reason.notTold
    /// enum skb_drop_reason of that kernel.
    public var reasonNumber: UInt32 = 0
    public var netns: UInt32 = 0

    public init() {}
}

/// A kernel stack, innermost frame first, in the names that its own kernel gives.
public struct KernelStack: Sendable {
    public static let frameLimit = 16
    static let frameBytes = 48

    public var id: UInt32 = 0
    public var frames = 0
    private var text = InlineArray<768, UInt8>(repeating: 0)

    /// Takes 16 frames of 48 bytes each, NUL padded.
    public init(id: UInt32, frames: Int, text source: UnsafeRawBufferPointer) {
        self.id = id
        self.frames = min(frames, Self.frameLimit)
        for index in 0..<min(768, source.count) { text[index] = source[index] }
    }

    /// The module of the innermost frame that is in one: whose driver asked; nil: none is.
    public var innermostModule: FixedName? {
        for frame in 0..<frames {
            var opened: Int?
            for place in 0..<Self.frameBytes {
                let byte = text[frame * Self.frameBytes + place]
                if byte == 0 { break }
                if byte == UInt8(ascii: "[") { opened = place + 1 }
                if byte == UInt8(ascii: "]"), let first = opened, place > first {
                    var name = InlineArray<16, UInt8>(repeating: 0)
                    for index in 0..<min(16, place - first) {
                        name[index] = text[frame * Self.frameBytes + first + index]
                    }
                    return withUnsafeBytes(of: name) { FixedName(bytes: $0) }
                }
            }
        }
        return nil
    }

    /// Whether some frame's symbol has `word` in it.
    public func mentions(_ word: StaticString) -> Bool {
        let length = word.utf8CodeUnitCount
        for frame in 0..<frames {
            let first = frame * Self.frameBytes
            for start in first..<(first + Self.frameBytes - length) {
                var same = 0
                while same < length, text[start + same] == word.utf8Start[same] { same += 1 }
                if same == length { return true }
            }
        }
        return false
    }

    /// "symbol+0x1c/0x90 [module]"
    public func frame(_ index: Int) -> FixedText {
        var copy = InlineArray<48, UInt8>(repeating: 0)
        for byte in 0..<Self.frameBytes { copy[byte] = text[index * Self.frameBytes + byte] }
        return withUnsafeBytes(of: copy) { FixedText(bytes: $0) }
    }
}

/// /proc/pressure: context, not evidence. Averages in hundredths of a percent.
public struct PressureSample: Sendable {
    public struct Line: Sendable {
        public var average10: UInt32 = 0
        /// Since boot.
        public var totalMicroseconds: UInt64 = 0
        public init() {}
    }

    public var memorySome = Line()
    public var memoryFull = Line()
    public var ioSome = Line()
    public var ioFull = Line()

    public init() {}
}

/// What the kernel tells of one of our programs, since the agent's start.
public struct ProgramFigures: Sendable {
    public struct Runs: Sendable {
        public var count: UInt64 = 0
        public var nanoseconds: UInt64 = 0
        public init() {}
    }

    public var name = FixedText()
    public var stem: UInt32 = 0
    /// Runs that it skipped, for the program was running there already.
    public var missed: UInt64 = 0
    /// While the kernel kept statistics; nil: it kept none.
    public var runs: Runs?

    public init() {}
}
