// SPDX-License-Identifier: Apache-2.0

import ReserveKernel

/// What a change acts on. Enough to find it again later, and to see that it is still the same.
public enum Target: Equatable, Sendable {
    /// A file below /proc/sys or /sys/block that holds one value.
    case file(String)
    /// oom_score_adj of a process; its start tells it from a later one of the same number.
    case oomScore(pid: Int32, startTicks: UInt64)
    /// Timeouts of an NBD disk, by netlink; who set it up tells it from a later connection.
    ///
    /// Its value is the timeout in seconds, 0 for none: dead_conn_timeout goes with it, and the
    /// driver shows that to nobody.
    case nbdTimeouts(disk: String, setUpBy: Int32, deadConnSeconds: UInt64)
    /// A file of a cgroup; the inode of its directory tells it from a later one of the same name.
    case cgroup(path: String, inode: UInt64)

    /// Where to look, for people.
    public var path: String {
        switch self {
        case .file(let path): return path
        case .oomScore(let pid, _): return "/proc/\(pid)/oom_score_adj"
        case .nbdTimeouts(let disk, _, _): return "\(disk) timeout, dead_conn_timeout"
        case .cgroup(let path, _): return path
        }
    }
}

/// One thing to be changed on the host.
public struct Change: Equatable, Sendable {
    /// Kinds, in the order in which they are done; docs/prepare.md has a section for each.
    public enum Kind: String, Sendable {
        case scheduler = "scheduler-off"
        case writebackThrottle = "wbt-off"
        case tcpReceive = "tcp-receive-bound"
        case socketReceive = "socket-receive-bound"
        case oomScore = "oom-score"
        case keepFromSwap = "keep-from-swap"
        case keepInMemory = "keep-in-memory"
        case keepInPlace = "keep-in-place"
        case nbdTimeouts = "nbd-timeouts"
        case reserve
    }

    public var kind: Kind
    public var target: Target
    public var old: String
    public var new: String
    /// How far it may go, and why not further.
    public var bounds: String
    /// Why, with the figures of this host and of the trials.
    public var why: String
    /// What it costs.
    public var costs: String
    /// A line that keeps it over a reboot, and where it belongs; empty where there is none.
    public var keep: String

    /// For a POSIX shell, as root, without this program.
    public var undo: String {
        switch target {
        case .file(let path): return "echo \(quoted(old)) >\(path)"
        case .oomScore(let pid, _): return "echo \(old) >/proc/\(pid)/oom_score_adj"
        // No tool that we know of sends NBD_CMD_RECONFIGURE.
        case .nbdTimeouts: return "reservewatch prepare --undo"
        case .cgroup(let path, _): return "echo \(old) >\(quotedPath(path))"
        }
    }

    /// Unit names have backslashes, and cgroups any name.
    private func quotedPath(_ path: String) -> String {
        "'"
            + path.split(separator: "'", omittingEmptySubsequences: false).joined(
                separator: "'\\''")
            + "'"
    }

    private func quoted(_ value: String) -> String { value.contains(" ") ? "'\(value)'" : value }
}

/// Something that prepare leaves as it is, though it was looked at.
public struct Left: Equatable, Sendable {
    public var id: String
    public var subject: String
    public var found: String
    public var why: String
    /// What to do instead; empty where nothing is known.
    public var instead: String
    /// Whether the host is not prepared because of it.
    public var isShortfall: Bool
}

/// What to do to a host: the changes in their order, and what is left.
public struct Plan: Equatable, Sendable {
    public var changes: [Change] = []
    public var left: [Left] = []
    /// No swap on NBD, and none named: there is nothing to prepare for.
    public var isIdle = false

    public var isWhole: Bool { !left.contains(where: \.isShortfall) }
}

/// What whoever asks may choose.
public struct PlanSettings: Equatable, Sendable {
    /// Bytes that one socket may hold unread, at most.
    public var receiveBytes: UInt64 = Self.provenReceiveBytes
    /// Both or none: see docs/prepare.md, "nbd-timeouts".
    public var nbdTimeouts: NBDTimeouts?

    public struct NBDTimeouts: Equatable, Sendable {
        public var timeoutSeconds: UInt64
        public var deadConnSeconds: UInt64

        public init(timeoutSeconds: UInt64, deadConnSeconds: UInt64) {
            self.timeoutSeconds = timeoutSeconds
            self.deadConnSeconds = deadConnSeconds
        }
    }

    public init() {}

    /// With which guests survived in trials.
    public static let provenReceiveBytes: UInt64 = 262_144
    /// Below it a window of one segment is all that is left.
    public static let leastReceiveBytes: UInt64 = 16_384
}
