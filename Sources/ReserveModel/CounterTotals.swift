// SPDX-License-Identifier: Apache-2.0

/// Totals since the agent's start, counted in the kernel where the event happens.
///
/// They stay right when records are lost. A group that no hook keeps on this host is nil:
/// unknown is not zero.
public struct CounterTotals: Sendable {
    public struct Reserve: Sendable {
        public var taken: UInt64 = 0
        public var takenPages: UInt64 = 0
        public var returned: UInt64 = 0
        public var returnedPages: UInt64 = 0
        public var outstanding: UInt64 = 0
        public var outstandingPages: UInt64 = 0
        public var untrackedPages: UInt64 = 0
        public var allocFailed: UInt64 = 0
        public var allocFailedOrder0: UInt64 = 0
        public var allocFailedAtomic: UInt64 = 0
        public init() {}
    }

    public struct DirectReclaim: Sendable {
        public var begun: UInt64 = 0
        public var ended: UInt64 = 0
        public var endedUnseen: UInt64 = 0
        public var untracked: UInt64 = 0
        public var inside: UInt64 = 0
        public var totalNanoseconds: UInt64 = 0
        public var reclaimedPages: UInt64 = 0
        public var durations = LatencyBuckets(repeating: 0)
        public init() {}
    }

    public struct Throttle: Sendable {
        /// Returns of allow_direct_reclaim().
        public var evaluations: UInt64 = 0
        public var refusals: UInt64 = 0
        /// How often our own computation disagreed with the kernel's answer, with
        /// zone_page_state() and with zone_page_state_snapshot().
        public var mismatchesPlain: UInt64 = 0
        public var mismatchesSnapshot: UInt64 = 0
        public var ended: UInt64 = 0
        public var totalNanoseconds: UInt64 = 0
        public init() {}
    }

    /// Figures that the kernel keeps too, under the kernel's own names.
    public struct Kernel: Sendable {
        public var allocstall: UInt64?
        public var pgscanDirectThrottle: UInt64?
        public var pswpin: UInt64?
        public var pswpout: UInt64?
        public var oomKill: UInt64?
        public init() {}
    }

    public struct Loss: Sendable {
        /// By stem number.
        public var ring = InlineArray<16, UInt64>(repeating: 0)
        public var suppressed = InlineArray<16, UInt64>(repeating: 0)
        public var emitted = InlineArray<16, UInt64>(repeating: 0)
        /// Runs of our programs that the kernel skipped, because an interrupt hit the same
        /// program: such events are in no count. nil: the kernel does not tell.
        public var missed: InlineArray<16, UInt64>?
        public var output: UInt64 = 0
        public var nbdUntracked: UInt64 = 0
        public var nbdDevicesUntracked: UInt64 = 0
        public var socketsUntracked: UInt64 = 0
        public var stacksUntracked: UInt64 = 0
        public var swapUntracked: UInt64 = 0
        public init() {}
    }

    /// Allocations that kept their mark and yet came from a zone below min.
    public struct BelowMin: Sendable {
        public var allocations: UInt64 = 0
        public var pages: UInt64 = 0
        /// By ``Allowance``.
        public var by = InlineArray<8, UInt64>(repeating: 0)
        public init() {}
    }

    public struct Kswapd: Sendable {
        /// Equals pageoutrun of /proc/vmstat.
        public var wakes: UInt64 = 0
        public var sleeps: UInt64 = 0
        public var requests: UInt64 = 0
        public init() {}
    }

    /// By ``ReclaimReason``.
    public struct ReclaimWaits: Sendable {
        public var count = InlineArray<8, UInt64>(repeating: 0)
        public var nanoseconds = InlineArray<8, UInt64>(repeating: 0)
        public init() {}
    }

    public struct Slab: Sendable {
        public var allocated: UInt64 = 0
        public var freed: UInt64 = 0
        public var fromReserve: UInt64 = 0
        public var cachesUntracked: UInt64 = 0
        public init() {}
    }

    public struct SlabQuestions: Sendable {
        /// Calls of mm/slub.c:gfp_pfmemalloc_allowed()'s caller that met a reserve slab.
        public var asked: UInt64 = 0
        public var refused: UInt64 = 0
        public init() {}
    }

    public struct SlabObjects: Sendable {
        public var kmallocs: UInt64 = 0
        public var kmallocBytes: UInt64 = 0
        public var kfrees: UInt64 = 0
        public init() {}
    }

    /// Packets in PFMEMALLOC memory; nil: not observed.
    public struct Packets: Sendable {
        public var allocated: UInt64?
        public var received: UInt64?
        public var delivered: UInt64?
        /// Equals PFMemallocDrop of /proc/net/netstat, over all network namespaces.
        public var dropped: UInt64?
        /// kfree_skb() of such a packet, for whatever reason.
        public var freed: UInt64?
        public init() {}
    }

    public var reserve: Reserve?
    public var belowMin: BelowMin?
    public var kswapd: Kswapd?
    public var reclaimWaits: ReclaimWaits?
    public var slab: Slab?
    public var slabQuestions: SlabQuestions?
    public var slabObjects: SlabObjects?
    public var packets = Packets()
    public var socketsKnown = false
    public var socketsMarked: UInt64?
    public var swapDevicesKnown = false
    public var oomFreedPages: UInt64?
    public var guardTotals = GuardTotals()
    /// Whether what each task did in reclaim is counted.
    public var reclaimTasksKnown = false
    /// Events of tasks that found no room in the table.
    public var reclaimTasksUntracked: UInt64 = 0
    /// The same of the page allocator, which is watched only when armed.
    public var pageTasksKnown = false
    public var pageTasksUntracked: UInt64 = 0
    /// Whether contexts other than unknown can be told.
    public var contextKnown = false
    public var zonesKnown = false
    public var nbdKnown = false
    public var directReclaim: DirectReclaim?
    public var throttle: Throttle?
    public var kernel = Kernel()
    public var swapReadErrors: UInt64?
    public var swapWriteErrors: UInt64?
    public var oomMarked: UInt64?
    public var loss = Loss()
    public var timerTicks: UInt64 = 0
    public var beats: UInt64 = 0
    public var beatWorstGapNanoseconds: UInt64 = 0

    public init() {}
}
