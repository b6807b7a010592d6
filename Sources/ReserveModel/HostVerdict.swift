// SPDX-License-Identifier: Apache-2.0

/// What is concluded about the host, since when, and from what.
public struct HostVerdict: Sendable {
    public var state = HostState.unknown
    /// The state before; `unknown` at the start.
    public var from = HostState.unknown
    public var sinceBootNanoseconds: UInt64 = 0
    public var conditions = HostConditions(memory: .unknown, progress: .unknown, actors: .open)
    public var evidence = Evidence()

    public init() {}

    /// The figures behind a verdict, of the moment at which it was drawn. nil means unknown.
    public struct Evidence: Sendable {
        /// The node that is worst off.
        public var node: Node?
        /// The swap's device that is worst off.
        public var device: Device?
        /// Tasks inside direct reclaim for longer than the slow threshold, and the longest stay.
        public var reclaimers: UInt64 = 0
        public var longestReclaimNanoseconds: UInt64 = 0
        /// Tasks asleep in throttle_direct_reclaim().
        public var throttled: UInt64 = 0
        /// What is read from the swaps on NBD, over all of them; nil: unknown.
        public var swapIns: SwapUsage.Waiting?
        /// A kernel thread that is inside direct reclaim itself, the one that is longest.
        public var worker: Worker?
        /// Allocations that could not wait and got nothing, within the last second or so.
        public var failedAtomicAllocations: UInt64?
        /// Of ``node``.
        public var timeLeft: FreeTrend.Estimate?

        public init() {}

        /// For how long no page has come from a swap's device that completes nothing though pages
        /// were asked for; nil: none is missed, or it is not known.
        public var swapInsMissed: UInt64? {
            guard let swapIns, swapIns.nanoseconds > 0, let device,
                device.stoppedNanoseconds > 0
            else { return nil }
            return swapIns.nanoseconds
        }

        /// Whether tasks, and not kswapd alone, are seen to wait: in direct reclaim, in the
        /// throttle, or for a page that lies in swap.
        public func showsWaitingTasks(_ policy: Policy) -> Bool {
            longestReclaimNanoseconds >= policy.waitingAfter || throttled > 0
                || (swapIns?.nanoseconds ?? 0) >= policy.waitingAfter
        }
    }

    public struct Node: Sendable {
        public var node: UInt32 = 0
        public var freePages: UInt64 = 0
        /// Sum of the min marks of the zones that count, with boost: the reserve as
        /// allow_direct_reclaim() has it.
        public var minPages: UInt64 = 0
        /// The same without boost; nil where no zone of the node was seen.
        public var minWithoutBoostPages: UInt64?
        public var lowPages: UInt64?
        public var throttleLinePages: UInt64 = 0
        public var kswapdIsBlocked = false
        public var kswapdFailures: UInt64 = 0
    }

    public struct Device: Sendable {
        public var disk = FixedName()
        public var inFlight: UInt64 = 0
        public var oldestNanoseconds: UInt64 = 0
        /// Since a request completed while others were in flight; 0: they complete.
        public var stoppedNanoseconds: UInt64 = 0
        public var unsent: UInt64?
        public var failed: UInt64 = 0
        public var connections: UInt32?
        public var liveConnections: UInt32?
        public var path: NBDSample.Path?
        /// Since anything was received on the device's connections; nil: not known.
        public var silentNanoseconds: UInt64?
    }

    public struct Worker: Sendable {
        public var task: TaskIdentity
        public var insideNanoseconds: UInt64
        public var stack: UInt32?
        /// Whether its stack leads through the receive path of a network driver.
        public var receives: Bool
    }
}

/// What would become of the reserve if the sockets filled: standing configuration, looked at
/// while the host is calm.
public struct Exposure: Sendable {
    /// Established and other TCP sockets of the agent's network namespace.
    public var tcpSockets: UInt64?
    /// net.ipv4.tcp_rmem's maximum, bytes a socket.
    public var tcpReceiveMaximumBytes: UInt64?
    /// net.ipv4.tcp_mem's maximum, bytes of the host.
    public var tcpMemoryMaximumBytes: UInt64?
    /// What TCP holds now.
    public var tcpMemoryBytes: UInt64?
    public var udpSockets: UInt64?
    /// net.core.rmem_default and rmem_max, bytes a socket.
    public var receiveDefaultBytes: UInt64?
    public var receiveMaximumBytes: UInt64?
    /// net.ipv4.udp_mem's maximum, bytes of the host.
    public var udpMemoryMaximumBytes: UInt64?
    /// queue/wbt_lat_usec of the swap's disks, the largest; nil: none or not readable.
    public var writebackThrottleMicroseconds: UInt64?

    /// What network cards must be given for every packet that they have room for.
    public var receiveRingsBytes: UInt64?

    public init() {}

    /// What receiving may take of the reserve at most: buffers and rings; nil: not known.
    public var neededBytes: UInt64? {
        receiveBoundBytes.map { $0.addedSaturating(to: receiveRingsBytes ?? 0) }
    }

    /// The most that sockets may hold in receive buffers: what each may grow to, bounded by
    /// what the protocol may hold in all. nil: not known.
    public var receiveBoundBytes: UInt64? {
        guard let tcpSockets, let tcpReceiveMaximumBytes, let tcpMemoryMaximumBytes else {
            return nil
        }
        let tcp = min(
            tcpSockets.multipliedSaturating(by: tcpReceiveMaximumBytes), tcpMemoryMaximumBytes)
        guard let udpSockets, let receiveDefaultBytes, let udpMemoryMaximumBytes else {
            return tcp
        }
        let udp = min(
            udpSockets.multipliedSaturating(by: receiveDefaultBytes), udpMemoryMaximumBytes)
        return tcp.addedSaturating(to: udp)
    }
}
