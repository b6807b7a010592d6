// SPDX-License-Identifier: Apache-2.0

/// What happened, decoded: one case for each kind of record on the wire.
///
/// Times are CLOCK_BOOTTIME in nanoseconds, sizes are in the unit that they name.
public struct Event: Sendable {
    public var bootNanoseconds: UInt64
    public var cpu: UInt32
    public var body: Body

    public enum Body: Sendable {
        case host(HostFacts)
        case hook(HookFact)
        case counters(CounterTotals)
        case tick
        case stopped
        case zone(ZoneSample)
        case node(NodeSample)
        case reserveTaken(ReserveAllocation)
        case reserveReturned(ReserveReturn)
        case allocationFailed(ReserveAllocation)
        /// A page of a zone below min, by an allocation that kept its mark.
        case allocatedBelowMin(ReserveAllocation)
        case reclaimInside(ReclaimStay)
        case reclaimLeft(ReclaimStay)
        case reclaimTask(ReclaimTask)
        case pageTask(PageTask)
        case throttleBegan(ThrottleStay)
        case throttleEnded(ThrottleStay)
        case throttleWaiting(ThrottleStay)
        case nbdDevice(NBDSample)
        case nbdFailed(NBDFailure)
        case swapDevice(SwapDevice)
        case swapTableRead
        case swapFailed(SwapFailure)
        case swapUsage(SwapUsage)
        case oom(OOMVictim)
        case oomFreed(OOMFreed)
        case kswapd(KswapdMove)
        case reclaimWait(ReclaimWait)
        case slabTaken(SlabAllocation)
        case slabRefused(SlabAllocation)
        case slabCache(SlabCache)
        case socket(SocketSample)
        case socketGone(SocketSample)
        case socketDrop(SocketDrop)
        case guardAttempt(GuardAttempt)
        case guarded(GuardedProcess)
        case guardReleased(GuardedProcess)
        case stack(KernelStack)
        case pressure(PressureSample)
        case program(ProgramFigures)
        case table(TableUse)
        case selfAccount(SelfAccount)
        case sink(SinkState)
        case exposure(Exposure)
        case standing(Standing)
        case told(ToldAlert)
        /// What the agent did by a rule, or would have done; and how each rule stands.
        case settings(SettingsState)
        case enforcement(Enforcement)
        case enforceRule(EnforceRuleState)
        /// Sums since the agent's start, for those who did not see them grow.
        case takerTotal(Taker)
        case waiterTotal(Picture.WaiterTotals)
        /// A reader fell behind, and these many records passed it by.
        case skipped(UInt64)
        case cgroupName(id: UInt64, path: FixedText)
        /// A stem or kind of a newer agent: skipped, counted, shown.
        case unknown(stem: UInt16, kind: UInt16)
        /// A record shorter than its kind: damaged, counted, shown.
        case malformed(stem: UInt16, kind: UInt16)
    }

    public init(bootNanoseconds: UInt64, cpu: UInt32, body: Body) {
        self.bootNanoseconds = bootNanoseconds
        self.cpu = cpu
        self.body = body
    }
}

/// The facts about a host that open its stream.
public struct HostFacts: Sendable {
    public var wireVersion: UInt32 = 0
    public var pageSizeBytes: UInt32 = 4096
    public var cpus: UInt32 = 0
    /// CLOCK_REALTIME - CLOCK_BOOTTIME.
    public var realtimeOffsetNanoseconds: Int64 = 0
    public var slowThresholdNanoseconds: UInt64 = 0
    public var samplePeriodNanoseconds: UInt64 = 0
    public var ringBytes: UInt64 = 0
    public var bootID = FixedText()
    public var host = FixedText()
    public var kernelRelease = FixedText()
    public var machine = FixedText()
    public var agentVersion = FixedText()

    public init() {}
}

/// Which hook a signal got, and why no better one.
public struct HookFact: Sendable {
    public enum State: Sendable, Equatable {
        case primary
        case fallback
        /// Not observed on this host: what it would tell is unknown, never zero.
        case missing
        /// Armed only when asked for; as unknown as a missing one.
        case off
        case unknown(UInt32)
    }

    public var stem: UInt32 = 0
    public var state = State.unknown(0)
    public var signal = FixedText()
    public var path = FixedText()
    public var reason = FixedText()

    public init() {}

    /// Not a signal but one of the agent's own protections against the stall.
    public var isProtection: Bool { stem == UInt32(Stem.agent) }
}

/// One zone at one moment. Marks include the boost, as min_wmark_pages() and /proc/zoneinfo do.
public struct ZoneSample: Sendable {
    public var node: UInt32 = 0
    public var index: UInt32 = 0
    public var name = FixedName()
    public var freePages: UInt64 = 0
    /// Lowest of the kernel timer's samples since the agent's start.
    public var lowestFreePages: UInt64 = 0
    public var lowestBootNanoseconds: UInt64 = 0
    /// Lowest since the former sample of this zone that was sent.
    public var recentLowestFreePages: UInt64 = 0
    public var minPages: UInt64 = 0
    public var lowPages: UInt64 = 0
    public var highPages: UInt64 = 0
    public var boostPages: UInt64 = 0
    public var managedPages: UInt64 = 0
    public var presentPages: UInt64 = 0
    public var spannedPages: UInt64 = 0
    public var highAtomicPages: UInt64 = 0
    public var protectionPages = InlineArray<6, UInt64>(repeating: 0)
    public var protectionCount = 0

    public init() {}

    /// Whether it counts for the node's reserve: mm/vmscan.c:allow_direct_reclaim() goes up to
    /// ZONE_NORMAL; highmem, ZONE_MOVABLE and ZONE_DEVICE are above it.
    public var isOfReserve: Bool {
        managedPages > 0 && name != FixedName("Movable") && name != FixedName("Device")
            && name != FixedName("HighMem")
    }
}

/// The PFMEMALLOC reserve of one node, as mm/vmscan.c:allow_direct_reclaim() computes it.
public struct NodeSample: Sendable {
    public var node: UInt32 = 0
    public var directReclaimAllowed = true
    /// Low byte of kswapd's task state: 0 running, 1 sleeping, 2 uninterruptible.
    public var kswapdState: UInt8 = 0
    public var waitersKnown = false
    public var pfmemallocReservePages: UInt64 = 0
    /// Direct reclaimers are put to sleep while free is not above this.
    public var throttleLinePages: UInt64 = 0
    public var freePages: UInt64 = 0
    public var lowestFreePages: UInt64 = 0
    public var lowestBootNanoseconds: UInt64 = 0
    public var kswapdFailures: UInt64 = 0
    /// Tasks on pgdat->pfmemalloc_wait.
    public var throttleWaiters: UInt64 = 0
    public var kswapdTID: UInt32 = 0
    public var kswapdOrder: UInt32 = 0
    /// Since the agent's start: balance_pgdat() begun, kswapd asleep, wakeup_kswapd() called.
    public var kswapdWakes: UInt64 = 0
    public var kswapdSleeps: UInt64 = 0
    public var kswapdRequests: UInt64 = 0

    public init() {}
}

/// In which context an allocation was made; what interrupted tells who is not to blame.
public enum AllocationContext: Sendable, Hashable {
    case process
    case softirq
    case hardirq
    case nmi
    case kswapd
    /// The kernel does not let preempt_count be read.
    case unknown
}

/// Why the watermarks were ignored: mm/page_alloc.c:__gfp_pfmemalloc_flags().
public struct Entitlement: Sendable, Hashable {
    public var rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    public var gfpMemalloc: Bool { rawValue & 1 != 0 }
    public var taskMemalloc: Bool { rawValue & 2 != 0 }
    public var oomVictim: Bool { rawValue & 4 != 0 }
}

/// What lets an allocation below min although it keeps a mark: mm/page_alloc.c:
/// gfp_to_alloc_flags(), the first that applies.
public enum Allowance: UInt8, Sendable, Hashable, CaseIterable {
    /// It passed the mark, and others took the zone below meanwhile.
    case none = 0
    /// __GFP_HIGH, may block.
    case high = 1
    /// __GFP_HIGH, may not block.
    case atomic = 2
    /// May not block, without __GFP_HIGH.
    case nonBlock = 3
    /// A real-time task in process context.
    case realTime = 4
    case unknown = 7
}

/// An allocation that took from the reserve, or one that got nothing.
public struct ReserveAllocation: Sendable {
    public var task: TaskIdentity
    public var serial: UInt64
    public var gfpFlags: UInt32
    /// 2^order pages.
    public var order: UInt8
    public var context: AllocationContext
    public var entitlement: Entitlement
    /// Why an allocation that kept its mark may go below min.
    public var allowance = Allowance.none
    /// Id of a ``KernelStack``; nil: not taken.
    public var stack: UInt32?

    public init(
        task: TaskIdentity, serial: UInt64, gfpFlags: UInt32, order: UInt8,
        context: AllocationContext, entitlement: Entitlement
    ) {
        self.task = task
        self.serial = serial
        self.gfpFlags = gfpFlags
        self.order = order
        self.context = context
        self.entitlement = entitlement
    }

    public var pages: UInt64 { 1 << UInt64(order & 15) }
}

/// A block of the reserve that came back.
public struct ReserveReturn: Sendable {
    public var serial: UInt64
    public var heldNanoseconds: UInt64
    public var order: UInt8

    public init(serial: UInt64, heldNanoseconds: UInt64, order: UInt8) {
        self.serial = serial
        self.heldNanoseconds = heldNanoseconds
        self.order = order
    }
}

/// A stay inside try_to_free_pages().
public struct ReclaimStay: Sendable {
    public var task: TaskIdentity
    public var beganBootNanoseconds: UInt64
    public var durationNanoseconds: UInt64
    public var reclaimedPages: UInt64
    public var gfpFlags: UInt32
    public var order: UInt32
    /// Id of the ``KernelStack`` of the way in; nil: not taken, as for all user tasks.
    public var stack: UInt32?
    public var isKernelThread = false

    public init(
        task: TaskIdentity, beganBootNanoseconds: UInt64, durationNanoseconds: UInt64,
        reclaimedPages: UInt64, gfpFlags: UInt32, order: UInt32
    ) {
        self.task = task
        self.beganBootNanoseconds = beganBootNanoseconds
        self.durationNanoseconds = durationNanoseconds
        self.reclaimedPages = reclaimedPages
        self.gfpFlags = gfpFlags
        self.order = order
    }
}

/// A sleep in throttle_direct_reclaim(), on pgdat->pfmemalloc_wait.
public struct ThrottleStay: Sendable {
    public var task: TaskIdentity
    /// 0 where the agent only saw the task waiting.
    public var beganBootNanoseconds: UInt64
    public var durationNanoseconds: UInt64
    public var freePages: UInt64
    public var throttleLinePages: UInt64
    public var node: UInt32
    public var gfpFlags: UInt32
    public var evaluations: UInt32

    public init(
        task: TaskIdentity, beganBootNanoseconds: UInt64, durationNanoseconds: UInt64,
        freePages: UInt64, throttleLinePages: UInt64, node: UInt32, gfpFlags: UInt32,
        evaluations: UInt32
    ) {
        self.task = task
        self.beganBootNanoseconds = beganBootNanoseconds
        self.durationNanoseconds = durationNanoseconds
        self.freePages = freePages
        self.throttleLinePages = throttleLinePages
        self.node = node
        self.gfpFlags = gfpFlags
        self.evaluations = evaluations
    }
}

/// Buckets of durations: number i counts those from 2^i us to below 2^(i+1) us.
public typealias LatencyBuckets = InlineArray<24, UInt64>

/// One network block device; counts since the agent's start, as /sys/block/nbdN/stat counts.
public struct NBDSample: Sendable {
    public var firstMinor: UInt32 = 0
    public var disk = FixedName()
    public var issued: UInt64 = 0
    public var requeued: UInt64 = 0
    public var completed: UInt64 = 0
    public var completedUnseen: UInt64 = 0
    public var errors: UInt64 = 0
    public var inFlight: UInt64 = 0
    /// Age of the oldest request in flight; 0 when there is none.
    public var oldestNanoseconds: UInt64 = 0
    /// The greatest such age since the agent's start, as its timer saw it; 0 from older agents.
    public var worstOldestNanoseconds: UInt64 = 0
    /// When that was.
    public var worstBootNanoseconds: UInt64 = 0
    /// Most requests in flight since the agent's start, likewise.
    public var mostInFlight: UInt64 = 0
    /// nil where the nbd tracepoints are not attached: unknown.
    public var phases: Phases?
    /// 0: none since the start.
    public var lastCompletionBootNanoseconds: UInt64 = 0
    public var readBytes: UInt64 = 0
    public var writtenBytes: UInt64 = 0
    public var latency = LatencyBuckets(repeating: 0)
    /// nil where struct nbd_device could not be read: unknown.
    public var config: Config?

    /// nil where the device's sockets could not be gone through: unknown.
    public var path: Path?

    /// What the device's connections go through.
    public struct Path: Sendable {
        public enum Carrier: UInt32, Sendable {
            case unknown = 0
            case up = 1
            case down = 2
        }

        /// SOCK_MEMALLOC sockets of the device.
        public var sockets: UInt32 = 0
        /// TCP segments over all of them, as tcpi_segs_in and tcpi_segs_out.
        public var segmentsReceived: UInt64 = 0
        public var segmentsSent: UInt64 = 0
        public var carrier = Carrier.unknown
        /// The server is on this host: unix socket, loopback, or our own address.
        public var isLocal = false
        /// Of the link that they go out through; empty: not known.
        public var link = FixedName()
        public init() {}
    }

    /// drivers/block/nbd.c:struct nbd_device and struct nbd_config.
    public struct Config: Sendable {
        /// 0: disconnected.
        public var connections: UInt32 = 0
        public var liveConnections: UInt32 = 0
        /// Of the client that sits in NBD_DO_IT; 0 for one that left after netlink.
        public var clientPID: UInt32 = 0
        /// Of a request; 0: none is set.
        public var timeoutNanoseconds: UInt64 = 0
        public var deadConnTimeoutNanoseconds: UInt64 = 0
        public init() {}
    }

    public struct Phases: Sendable {
        public var sent: UInt64 = 0
        public var received: UInt64 = 0
        /// In flight with the header not yet sent: blocked before or in sendmsg().
        public var unsent: UInt64 = 0
        public init() {}
    }

    public init() {}
}

/// An NBD request that ended in error.
public struct NBDFailure: Sendable {
    public var disk = FixedName()
    public var durationNanoseconds: UInt64 = 0
    public var bytes: UInt64 = 0
    /// Negative errno.
    public var error: Int32 = 0
    public var isWrite = false

    public init() {}
}

/// One line of /proc/swaps, followed down to the NBD disk below it.
public struct SwapDevice: Sendable {
    public var path = FixedText()
    /// Empty: no NBD below.
    public var nbdDisk = FixedName()
    public var isPartition = false
    public var priority: Int32 = 0
    public var sizeKiB: UInt64 = 0
    public var usedKiB: UInt64 = 0
    /// Of the block device that its bios name; 0, 0 where it is not known.
    public var major: UInt32 = 0
    public var minor: UInt32 = 0

    public init() {}
}

/// A swap bio that failed.
public struct SwapFailure: Sendable {
    public var major: UInt32 = 0
    public var minor: UInt32 = 0
    public var isWrite = false
    /// blk_status_t
    public var status: UInt32 = 0

    public init() {}
}

/// Whom the OOM killer chose.
public struct OOMVictim: Sendable {
    /// With the victim's own cgroup.
    public var task: TaskIdentity
    /// false: it was dying already and is only let at the reserves; oom_kill does not count it.
    public var killed: Bool
    public var totalVMPages: UInt64
    public var rssPages: UInt64
    public var scoreAdjust: Int32
    public var uid: UInt32
    /// oom_badness() of the victim; nil: not observed.
    public var points: Int64?
    /// Of what ``rssPages`` are made; nil: an older agent did not tell.
    public var resident: Resident?

    public struct Resident: Sendable, Equatable {
        public var anonPages: UInt64
        public var filePages: UInt64
        public var shmemPages: UInt64

        public init(anonPages: UInt64, filePages: UInt64, shmemPages: UInt64) {
            self.anonPages = anonPages
            self.filePages = filePages
            self.shmemPages = shmemPages
        }
    }

    public init(
        task: TaskIdentity, killed: Bool, totalVMPages: UInt64, rssPages: UInt64,
        scoreAdjust: Int32, uid: UInt32
    ) {
        self.task = task
        self.killed = killed
        self.totalVMPages = totalVMPages
        self.rssPages = rssPages
        self.scoreAdjust = scoreAdjust
        self.uid = uid
    }
}
