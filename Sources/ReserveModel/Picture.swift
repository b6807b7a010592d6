// SPDX-License-Identifier: Apache-2.0

/// Everything that is known about the host now, and the marks that a summary needs.
///
/// A value, made only of what the events told. nil means unknown.
public struct Picture: Sendable {
    public var host: HostFacts?
    public var hooks = BoundedList<HookFact>(capacity: 48)
    public var zones = BoundedList<ZoneSample>(capacity: 48)
    public var nodes = BoundedList<NodeSample>(capacity: 8)
    public var devices = BoundedList<NBDState>(capacity: 16)
    public var swaps = BoundedList<SwapDevice>(capacity: 32)
    /// Tasks that have been inside direct reclaim for longer than the slow threshold.
    public var reclaimers = BoundedList<ReclaimStay>(capacity: 1024)
    /// Tasks asleep in throttle_direct_reclaim().
    public var throttled = BoundedList<ThrottleStay>(capacity: 1024)
    /// Since the start, by name, context and reason.
    public var takers = BoundedList<Taker>(capacity: 256)
    /// Blocks of the reserve that are out, oldest first.
    public var blocks = BoundedList<ReserveBlock>(capacity: 8192)
    public var cgroups = BoundedList<CgroupName>(capacity: 1024)
    /// Stays that reached the slow threshold, by name, since the start.
    public var waiters = BoundedList<WaiterTotals>(capacity: 256)
    /// Swap devices by their bios; ``swaps`` has the lines of /proc/swaps.
    public var swapUsages = BoundedList<SwapUsage>(capacity: 16)
    /// SOCK_MEMALLOC sockets that are there now.
    public var sockets = BoundedList<SocketSample>(capacity: 64)
    /// Who is guarded now.
    public var guarded = BoundedList<GuardedProcess>(capacity: 128)
    /// Slab caches that changed since the start.
    public var caches = BoundedList<SlabCache>(capacity: 256)
    public var stacks = BoundedList<KernelStack>(capacity: 256)
    /// Those of our programs that missed runs, or of which the kernel keeps statistics.
    public var programs = BoundedList<ProgramFigures>(capacity: 96)
    /// How full the tables of the kernel side are.
    public var tables = BoundedList<TableUse>(capacity: 16)
    /// nil: this kernel does not tell.
    public var pressure: PressureSample?
    /// Records that came through the kernel's ring, by stem: equals `emitted` when all is read.
    public var received = InlineArray<16, UInt64>(repeating: 0)
    public var counters: CounterTotals?
    public var verdict = HostVerdict()
    /// What explains the present stop, as far as anything tells.
    public var findings = Alert.Findings()
    /// nil: an older agent, who was there longer than we, did not tell.
    public var stateTotals: StateTotals? = StateTotals()
    /// The incident of each track, as it stands: by ``Alert/Track``'s raw value.
    public var alerts: InlineArray<2, AlertTrack> = [
        AlertTrack(track: .pressure), AlertTrack(track: .exposure),
    ]
    /// The last alert of each track that was told; nil: none.
    public var lastAlerts = InlineArray<2, Alert?>(repeating: nil)
    public var exposure: Exposure?
    public var selfAccount: SelfAccount?
    public var sinks = BoundedList<SinkState>(capacity: 16)
    /// Records that passed this reader by.
    public var skippedRecords: UInt64 = 0
    /// The agent's rules, and the last act of any of them.
    public var rules = BoundedList<EnforceRuleState>(capacity: 16)
    public var lastEnforcement: Enforcement?
    public var oomKills = BoundedList<OOMVictim>(capacity: 64)
    /// Records that this build does not know, or that were too short.
    public var unknownRecords: UInt64 = 0
    public var malformedRecords: UInt64 = 0
    public var firstBootNanoseconds: UInt64 = 0
    public var nowBootNanoseconds: UInt64 = 0
    public var mostReclaimers = 0
    public var mostThrottled = 0

    public init() {}

    public struct ReserveBlock: Sendable {
        public var serial: UInt64
        public var takenBootNanoseconds: UInt64
    }

    public struct CgroupName: Sendable {
        public var id: UInt64
        public var path: FixedText
    }

    /// One NBD device and the worst that was seen of it.
    public struct NBDState: Sendable {
        public var sample: NBDSample
        public var worstOldestNanoseconds: UInt64 = 0
        public var worstBootNanoseconds: UInt64 = 0
        public var mostInFlight: UInt64 = 0
        /// Age at which the next stall notice is due; 0 while nothing is stalled.
        var nextStallNotice: UInt64 = 0
    }

    public enum WaitKind: Sendable, Hashable {
        case directReclaim
        case throttle
    }

    /// Slow stays of all tasks of one name.
    public struct WaiterTotals: Sendable {
        public var comm: FixedName
        public var kind: WaitKind
        public var stays: UInt64 = 0
        public var totalNanoseconds: UInt64 = 0
        public var longestNanoseconds: UInt64 = 0

        public init(comm: FixedName, kind: WaitKind) {
            self.comm = comm
            self.kind = kind
        }
    }

    /// How long ago a moment of CLOCK_BOOTTIME was.
    public func age(since bootNanoseconds: UInt64) -> UInt64 {
        nowBootNanoseconds - min(nowBootNanoseconds, bootNanoseconds)
    }

    /// Whether it is known who sleeps in throttle_direct_reclaim() now: the calls are hooked, or
    /// the timer went through every node's whole list of waiters.
    public var throttledKnown: Bool {
        if counters?.throttle != nil { return true }
        guard !nodes.isEmpty else { return false }
        for index in nodes.indices where !nodes[index].waitersKnown { return false }
        return true
    }

    /// A cgroup's path, nil when no name was sent for the id.
    public func cgroupPath(_ id: UInt64) -> FixedText? {
        cgroups.firstIndex(where: { $0.id == id }).map { cgroups[$0].path }
    }

    /// Age of the oldest reserve block that is out; nil when none is, or when records of
    /// the reserve were lost, so that a return may have been missed.
    public var oldestBlockNanoseconds: UInt64? {
        guard !blocks.isEmpty, blocks.overflowed == 0,
            (counters?.loss.ring[Stem.reserve] ?? 0) == 0
        else { return nil }
        let taken = blocks[0].takenBootNanoseconds
        return nowBootNanoseconds > taken ? nowBootNanoseconds - taken : 0
    }

    /// Sum of all that was lost on the way: nothing of it is in the picture.
    public var lostRecords: UInt64 {
        let here = unknownRecords &+ malformedRecords &+ skippedRecords
        guard let loss = counters?.loss else { return here }
        var sum = loss.output &+ here
        for stem in 0..<16 { sum &+= loss.ring[stem] }
        return sum
    }

    /// Events that reached neither a record nor a total; nil where the kernel does not tell.
    public var missedEvents: UInt64? {
        guard let missed = counters?.loss.missed else { return nil }
        var sum: UInt64 = 0
        for stem in 0..<16 { sum &+= missed[stem] }
        return sum
    }

    /// Entries that the lists of one summary interval had no room for, since the start.
    public var intervalOverflowed: UInt64 = 0

    /// What found no room in one of the tables.
    public var untracked: UInt64 {
        var sum =
            takers.overflowed + blocks.overflowed + reclaimers.overflowed + throttled.overflowed
            + waiters.overflowed + cgroups.overflowed + devices.overflowed + zones.overflowed
            + intervalOverflowed + programs.overflowed
            + guarded.overflowed + swapUsages.overflowed + sockets.overflowed + caches.overflowed
            + stacks.overflowed
        if let counters {
            sum &+= counters.loss.nbdUntracked &+ counters.loss.nbdDevicesUntracked
            sum &+= counters.loss.socketsUntracked &+ counters.loss.stacksUntracked
            sum &+= counters.loss.swapUntracked &+ (counters.slab?.cachesUntracked ?? 0)
            sum &+= counters.directReclaim?.untracked ?? 0
            sum &+= counters.reserve?.untrackedPages ?? 0
            sum &+= counters.guardTotals.untracked
        }
        return sum
    }
}

/// The wire's numbers of the stems, for tables that are kept by stem.
public enum Stem {
    public static let reserve = 1
    public static let watermark = 2
    public static let directReclaim = 3
    public static let throttle = 4
    public static let nbd = 5
    public static let swap = 6
    public static let oom = 7
    public static let kswapd = 8
    public static let reclaimWait = 9
    public static let slab = 10
    public static let socket = 11
    public static let cgroup = 12
    public static let agent = 13
    public static let `guard` = 14
    public static let enforce = 15
    /// Names by number; what is not listed has none yet.
    public static func name(_ number: Int) -> StaticString? {
        switch number {
        case 1: return "reserve"
        case 2: return "watermark"
        case 3: return "direct_reclaim"
        case 4: return "throttle"
        case 5: return "nbd"
        case 6: return "swap"
        case 7: return "oom"
        case 8: return "kswapd"
        case 9: return "reclaim_wait"
        case 10: return "slab"
        case 11: return "socket"
        case 12: return "cgroup"
        case 13: return "agent"
        case 14: return "guard"
        case 15: return "enforce"
        default: return nil
        }
    }
}
