// SPDX-License-Identifier: Apache-2.0

/// What the watch itself cost the host since its start, by its own programs' count.
public struct SelfAccount: Sendable {
    public struct Allocations: Sendable {
        /// In the context of the thread that runs the loop.
        public var pages: UInt64 = 0
        public var calls: UInt64 = 0
        public var directReclaims: UInt64 = 0
        /// By the threads that write to what may wait: kmsg, pipes, files.
        public var sinkPages: UInt64 = 0
        public var sinkDirectReclaims: UInt64 = 0
        /// Id of the kernel stack in which the loop's thread last took a page; nil: it took none,
        /// or no stack could be taken.
        public var lastStack: UInt32?
        public init() {}
    }

    public struct Faults: Sendable {
        public var major: UInt64 = 0
        public var minor: UInt64 = 0
        public init() {}
    }

    /// nil: not counted on this kernel.
    public var allocations: Allocations?
    public var faults: Faults?
    public var lockedKiB: UInt64 = 0
    public var residentKiB: UInt64 = 0
    public var boxBytes: UInt64 = 0
    public var cpuNanoseconds: UInt64 = 0
    public var threads: UInt32 = 0

    /// Kernel memory of the BPF maps.
    public struct Maps: Sendable {
        public var bytes: UInt64 = 0
        /// By the kernel's own account; else the size of keys and values only.
        public var areCounted = false
        public init() {}
    }

    /// What the watch has in the kernel; nil: an older agent did not tell.
    public struct KernelSide: Sendable {
        /// BPF programs that are attached.
        public var programs: UInt32 = 0
        /// The most that a turn of the loop found in the kernel's ring.
        public var ringMostWaitingBytes: UInt64 = 0
        public init() {}
    }

    public var maps: Maps?
    public var programBytes: UInt64?
    public var kernelSide: KernelSide?

    public init() {}
}

/// A table of the kernel side in which an entry that finds no room is lost.
public struct TableUse: Sendable {
    public struct Entries: Sendable {
        public var now: UInt64 = 0
        /// Of one look each second since the agent's start.
        public var most: UInt64 = 0
        public init() {}
    }

    public var name = FixedText()
    public var capacity: UInt32 = 0
    /// nil: the kernel does not count them.
    public var entries: Entries?

    public init() {}
}

/// One place to which the watch writes its alerts, and how that went.
public struct SinkState: Sendable {
    public var name = FixedText()
    public var index: UInt32 = 0
    public var isJSON = false
    public var lines: UInt64 = 0
    public var dropped: UInt64 = 0
    public var waitingBytes: UInt64 = 0
    /// From the verdict to the last byte written; nil: no line yet.
    public var lastNanoseconds: UInt64?
    public var worstNanoseconds: UInt64?
    /// The errno that ended it, or 0.
    public var error: Int32 = 0

    public init() {}
}

/// Where verdict and alerts stand: what a reader that comes later goes on from.
public struct Standing: Sendable {
    public struct Track: Sendable, Equatable {
        public var track = Alert.Track.pressure
        public var level = Alert.Level.resolved
        public var incident: UInt32 = 0
        public var peak = Alert.Level.resolved
        public var sinceBootNanoseconds: UInt64 = 0
        public var told: UInt32 = 0
        /// Incidents that were critical at some time; nil: an older agent did not tell.
        public var criticalIncidents: UInt32?
        public init() {}
    }

    public var state = HostState.unknown
    public var stateSinceBootNanoseconds: UInt64 = 0
    public var tracks = InlineArray<2, Track>(repeating: Track())
    /// nil: an older agent did not tell.
    public var totals: StateTotals?

    public init() {}
}

/// An alert as the agent told it, without the figures of that moment.
public struct ToldAlert: Sendable {
    /// As it stood with this alert.
    public var track = Standing.Track()
    public var state = HostState.unknown
    public var reasons: Alert.Reasons = []
    public var findings = Alert.Findings()

    public init() {}
}

extension Standing: Equatable {
    public static func == (one: Standing, other: Standing) -> Bool {
        guard one.state == other.state,
            one.stateSinceBootNanoseconds == other.stateSinceBootNanoseconds,
            one.totals == other.totals
        else { return false }
        for index in 0..<2 where one.tracks[index] != other.tracks[index] { return false }
        return true
    }
}

extension Picture {
    /// Where verdict and alerts stand now.
    public var standing: Standing {
        var standing = Standing()
        standing.state = verdict.state
        standing.stateSinceBootNanoseconds = verdict.sinceBootNanoseconds
        for index in 0..<2 { standing.tracks[index] = alerts[index].standing }
        standing.totals = stateTotals
        return standing
    }

    /// The NBD disks that swap lies on, once each. Allocates.
    public var nbdDisksWithSwap: [String] {
        var disks: [String] = []
        for index in swaps.indices where !swaps[index].nbdDisk.isEmpty {
            let disk = Self.text(swaps[index].nbdDisk)
            if !disks.contains(disk) { disks.append(disk) }
        }
        return disks
    }

    /// Swap that lies on NBD: the device that its bios name, with the kernel's own number of
    /// it, and the disk below. Allocates.
    public var swapsOnNBD: [(device: UInt32, disk: String)] {
        swaps.indices.compactMap { index in
            let swap = swaps[index]
            // include/linux/kdev_t.h: MINORBITS
            let device = swap.major << 20 | swap.minor
            guard !swap.nbdDisk.isEmpty, device != 0 else { return nil }
            return (device, Self.text(swap.nbdDisk))
        }
    }

    private static func text(_ name: FixedName) -> String {
        String(decoding: (0..<name.count).map { name[$0] }, as: UTF8.self)
    }
}
