// SPDX-License-Identifier: Apache-2.0

import ReserveModel

// The words that every sink uses for the model's enums.

extension AllocationContext {
    package var word: StaticString {
        switch self {
        case .process: return "process"
        case .softirq: return "softirq"
        case .hardirq: return "hardirq"
        case .nmi: return "nmi"
        case .kswapd: return "kswapd"
        case .unknown: return "unknown"
        }
    }
}

extension Entitlement {
    /// Why the watermarks were ignored, the first reason that the kernel looks at.
    package var word: StaticString {
        if gfpMemalloc { return "gfp_memalloc" }
        if taskMemalloc { return "pf_memalloc" }
        return oomVictim ? "oom_victim" : "none"
    }
}

extension Notice.Severity {
    package var word: StaticString {
        switch self {
        case .info: return "info"
        case .notice: return "notice"
        case .warning: return "warning"
        case .critical: return "critical"
        }
    }
}

extension Notice.Crossing {
    package var word: StaticString {
        switch self {
        case .belowLow: return "below_low"
        case .belowMin: return "below_min"
        case .aboveMin: return "above_min"
        case .aboveLow: return "above_low"
        case .atThrottleLine: return "at_throttle_line"
        case .aboveThrottleLine: return "above_throttle_line"
        }
    }
}

extension Notice.StayPhase {
    package var word: StaticString {
        switch self {
        case .stalled: return "stalled"
        case .left: return "left"
        case .began: return "began"
        case .ended: return "ended"
        case .waiting: return "waiting"
        }
    }
}

extension Notice.DevicePhase {
    package var word: StaticString {
        switch self {
        case .appeared: return "appeared"
        case .stalled: return "stalled"
        case .resumed: return "resumed"
        case .connectionLost: return "connection_lost"
        }
    }
}

extension Allowance {
    package var word: StaticString {
        switch self {
        case .none: return "none"
        case .high: return "high"
        case .atomic: return "atomic"
        case .nonBlock: return "non_block"
        case .realTime: return "real_time"
        case .unknown: return "unknown"
        }
    }
}

extension ReclaimReason {
    /// As mm/vmscan.c names them, without the prefix VMSCAN_THROTTLE_.
    package var word: StaticString {
        switch self {
        case .writeback: return "writeback"
        case .isolated: return "isolated"
        case .noProgress: return "noprogress"
        case .congested: return "congested"
        case .other: return "other"
        }
    }
}

extension Notice.SocketPhase {
    package var word: StaticString {
        switch self {
        case .appeared: return "appeared"
        case .moved: return "moved"
        case .gone: return "gone"
        }
    }
}

extension SocketSample.Found {
    package var word: StaticString {
        switch self {
        case .marked: return "marked"
        case .iterated: return "iterated"
        case .ofNBD: return "nbd"
        case .unknown: return "unknown"
        }
    }
}

extension SocketSample {
    package var familyWord: StaticString {
        switch family {
        case 1: return "unix"
        case 2: return "inet"
        case 10: return "inet6"
        default: return "other"
        }
    }

    /// include/net/tcp_states.h; unix sockets use the same numbers.
    package var stateWord: StaticString {
        switch state {
        case 1: return "established"
        case 2: return "syn_sent"
        case 3: return "syn_recv"
        case 4: return "fin_wait1"
        case 5: return "fin_wait2"
        case 6: return "time_wait"
        case 7: return "close"
        case 8: return "close_wait"
        case 9: return "last_ack"
        case 10: return "listen"
        case 11: return "closing"
        default: return "other"
        }
    }

    /// Whose it is, by the callback that the owner put in; empty where that tells nothing.
    package var ownerWord: StaticString {
        if !disk.isEmpty { return "nbd" }
        if owner.starts(with: "nvme_tcp_data_ready") { return "nvme_tcp" }
        if owner.starts(with: "iscsi_sw_tcp_data_ready") { return "iscsi" }
        if owner.starts(with: "xs_") { return "sunrpc" }
        if owner.starts(with: "sock_def_readable") || owner.starts(with: "unix_") {
            return "unknown"
        }
        return "other"
    }
}

extension FixedText {
    func starts(with text: StaticString) -> Bool {
        guard count >= text.utf8CodeUnitCount else { return false }
        for index in 0..<text.utf8CodeUnitCount where self[index] != text.utf8Start[index] {
            return false
        }
        return true
    }
}

extension SocketDrop.Reason {
    /// As the kernel names them, in lower case, without the prefix SKB_DROP_REASON_.
    package var word: StaticString {
        switch self {
        case .socketFilter: return "socket_filter"
        case .pfmemalloc: return "pfmemalloc"
        case .notTold: return "not_told"
        case .other: return "other"
        }
    }
}

extension HookFact.State {
    package var word: StaticString {
        switch self {
        case .primary: return "primary"
        case .fallback: return "fallback"
        case .missing: return "missing"
        case .off: return "off"
        case .unknown: return "unknown"
        }
    }
}

/// The kind of a line, as in `--kind` and in the schema.
public enum NoticeKind: UInt32, CaseIterable, Sendable {
    case start
    case watermark
    case reserve
    case directReclaim
    case throttle
    case nbd
    case swap
    case oom
    case kswapd
    case reclaimWait
    case slab
    case socket
    case stack
    case loss
    case summary
    case verdict
    case alert
    case enforce
    case `guard`
    case settings

    public var word: StaticString {
        switch self {
        case .start: return "start"
        case .watermark: return "watermark"
        case .reserve: return "reserve"
        case .directReclaim: return "direct_reclaim"
        case .throttle: return "throttle"
        case .nbd: return "nbd"
        case .swap: return "swap"
        case .oom: return "oom"
        case .kswapd: return "kswapd"
        case .reclaimWait: return "reclaim_wait"
        case .slab: return "slab"
        case .socket: return "socket"
        case .stack: return "stack"
        case .loss: return "loss"
        case .summary: return "summary"
        case .verdict: return "verdict"
        case .alert: return "alert"
        case .enforce: return "enforce"
        case .guard: return "guard"
        case .settings: return "settings"
        }
    }
}

/// A choice of kinds.
public struct NoticeKinds: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public init(_ kind: NoticeKind) { rawValue = 1 << kind.rawValue }
    public static let all = NoticeKinds(rawValue: .max)

    public func contains(_ kind: NoticeKind) -> Bool { rawValue & 1 << kind.rawValue != 0 }
}

extension Notice {
    public var kind: NoticeKind {
        switch body {
        case .start: return .start
        case .zone, .node: return .watermark
        case .reserve: return .reserve
        case .directReclaim: return .directReclaim
        case .throttle: return .throttle
        case .nbd, .nbdFailed: return .nbd
        case .swapAppeared, .swapGone, .swapFailed: return .swap
        case .oom, .oomFreed: return .oom
        case .kswapd: return .kswapd
        case .reclaimWaits: return .reclaimWait
        case .slab: return .slab
        case .socket, .drops: return .socket
        case .stack: return .stack
        case .loss: return .loss
        case .summary: return .summary
        case .verdict: return .verdict
        case .alert: return .alert
        case .enforcement: return .enforce
        case .settings: return .settings
        case .guardAttempt, .guarded: return .guard
        }
    }
}

/// What failed on the way to the swap. Such lines come by the thousand: a list has one for each
/// of these in a second.
package enum SwapPathFailure: Sendable {
    case nbdRead
    case nbdWrite
    case swapIn
    case swapOut

    /// nil: nothing failed.
    package init?(_ body: Notice.Body) {
        switch body {
        case .nbdFailed(let failure): self = failure.isWrite ? .nbdWrite : .nbdRead
        case .swapFailed(let failure): self = failure.isWrite ? .swapOut : .swapIn
        default: return nil
        }
    }
}
