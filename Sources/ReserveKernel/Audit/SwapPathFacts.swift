// SPDX-License-Identifier: Apache-2.0

/// What /proc and /sys tell of a host's way to its swap: facts only, judged by ``audit(_:)``.
///
/// What could not be read is nil, or a case that says why; never zero.
public struct SwapPathFacts: Equatable, Sendable {
    /// The lines of /proc/swaps; nil when the file cannot be read.
    public var swaps: [Swap]? = []
    /// The NBD disks that swap lies on, once each, by name.
    public var disks: [NBDDisk] = []
    public var memory = MemoryFacts()

    public init() {}

    /// One line of /proc/swaps.
    public struct Swap: Equatable, Sendable {
        public var path: String
        public var isPartition: Bool
        public var sizeKiB: UInt64
        public var usedKiB: UInt64
        public var priority: Int32
        public var below: Below
    }

    /// What a swap lies on in the end.
    public enum Below: Equatable, Sendable {
        case nbd(String)
        case otherDevice
        /// The block device could not be found, as below btrfs or NFS.
        case unknown
    }

    /// One NBD disk that holds swap.
    public struct NBDDisk: Equatable, Sendable {
        public var name: String
        /// Sockets of the device, from its hardware queues; the kernel makes no more queues
        /// than CPUs, so with that many queues it is the least there are.
        public var connections: Int?
        public var connectionsAtLeast = false
        /// /sys/block/nbdN/backend, where the client gave a name.
        public var backend: String?
        /// /sys/block/nbdN/queue/io_timeout; the driver leaves 30000 where none was asked for.
        public var ioTimeoutMilliseconds: UInt64?
        public var timeout: Timeout = .unknown("not read")
        /// /sys/block/nbdN/queue/wbt_lat_usec; 0 is off.
        public var wbtLatMicroseconds: UInt64?
        /// The word in brackets of /sys/block/nbdN/queue/scheduler; nil: not readable.
        public var scheduler: String?
        /// /sys/block/nbdN/pid: who set the device up, gone or not.
        public var setUpBy: Int32?
        public var client: Client = .unknown("not read")
        public var sockets: Sockets = .unknown("not read")

        public init(name: String) {
            self.name = name
        }
    }

    /// Whether the NBD driver was given a time after which it gives a connection up.
    public enum Timeout: Equatable, Sendable {
        case none
        case set(milliseconds: UInt64)
        case unknown(String)
    }

    /// Who set the device up and must stay for it.
    public enum Client: Equatable, Sendable {
        /// Set up over netlink: the kernel does the I/O, nobody has to stay.
        case netlink
        /// Sits in ioctl(NBD_DO_IT); when it dies the device is shut down.
        case process(ProcessFacts, ClientOptions)
        case unknown(String)
    }

    /// What the device's requests go through.
    public enum Sockets: Equatable, Sendable {
        case known([Connection])
        case unknown(String)
    }

    /// One socket of the device, and who holds its other end on this host.
    public struct Connection: Equatable, Sendable {
        public enum Kind: Equatable, Sendable {
            case tcp(local: SocketAddress, remote: SocketAddress)
            case unix
        }

        public enum Peer: Equatable, Sendable {
            /// Not on this host, as far as its socket tables tell.
            case remote
            /// Holders of the other end; `tcpConnections` of theirs lead elsewhere.
            case processes([PeerProcess])
            /// On this host, but whose it is could not be told.
            case localUnknown
        }

        public var inode: UInt64
        public var kind: Kind
        public var peer: Peer
        /// No process holds the socket: it was taken for this device's because of that.
        public var isInferred: Bool
        /// SOCK_MEMALLOC, where somebody could tell.
        public var memalloc: Bool?
    }

    public struct PeerProcess: Equatable, Sendable {
        public var process: ProcessFacts
        /// Established TCP connections that it holds besides the one to this host's device.
        public var tcpConnections: Int
        public var options: ClientOptions
    }
}

/// One process that the way to the swap leads through.
public struct ProcessFacts: Equatable, Sendable {
    public var pid: Int32
    public var comm: String
    public var cmdline: [String]
    public var vmLckKiB: UInt64?
    public var vmSwapKiB: UInt64?
    public var vmRSSKiB: UInt64?
    public var oomScoreAdj: Int32?
    /// Clock ticks from boot to its start, field 22 of /proc/PID/stat: with the number, who it is.
    public var startTicks: UInt64?
    /// nil where there is no unified hierarchy, or it could not be read.
    public var cgroup: CgroupFacts?
    /// Field 9 of /proc/PID/task/TID/stat, one for each thread; nil when none could be read.
    public var taskFlags: [UInt64]?

    public init(pid: Int32, comm: String, cmdline: [String] = []) {
        self.pid = pid
        self.comm = comm
        self.cmdline = cmdline
    }

    /// include/linux/sched.h, the same on 6.1 and 6.12: what kernel/sys.c calls PR_IO_FLUSHER.
    public static let memallocNoIO: UInt64 = 0x0008_0000
    public static let localThrottle: UInt64 = 0x0010_0000
    public static let ioFlusher = memallocNoIO | localThrottle

    /// Threads whose allocations may wait for I/O: PR_SET_IO_FLUSHER is each thread's own.
    public var threadsWithoutIOFlusher: Int? {
        taskFlags.map { flags in flags.count { $0 & Self.ioFlusher != Self.ioFlusher } }
    }
}

/// An address as /proc/net/tcp has it, made readable.
public struct SocketAddress: Hashable, Sendable {
    public var host: String
    public var port: UInt16

    public var text: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// Memory, and what is allowed to take it.
public struct MemoryFacts: Equatable, Sendable {
    public var pageBytes: UInt64 = 4096
    public var totalKiB: UInt64?
    public var minFreeKiB: UInt64?
    /// What the kernel itself would have set, see ``DefaultMinFree``.
    public var defaultMinFreeKiB: UInt64?
    /// Pages of the zones that kernel memory comes from.
    public var lowmemPages: UInt64?
    /// net.ipv4.tcp_mem: low, pressure, max, in pages.
    public var tcpMemPages: [UInt64]?
    /// net.ipv4.tcp_rmem: min, default, max, in bytes a socket.
    public var tcpRmemBytes: [UInt64]?
    /// net.core.rmem_max: what SO_RCVBUF may ask for; the kernel takes twice of it.
    public var rmemMaxBytes: UInt64?
    /// What could be had without swapping, by the kernel's own estimate.
    public var availableKiB: UInt64?
    /// Established TCP sockets of the host, in all network namespaces.
    public var tcpSockets: Int?
    /// What each of those in this network namespace may hold by now, from sock_diag(7): more than
    /// the bounds where it has grown before, or was forced to by SO_RCVBUFFORCE.
    public var tcpReceiveBytes: [UInt64]?
    public var swappiness: UInt64?
    /// vm.compact_unevictable_allowed: 1 where compaction moves locked pages too.
    public var compactUnevictableAllowed: UInt64?

    public init() {}
}
