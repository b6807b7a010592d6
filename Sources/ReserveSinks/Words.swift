// SPDX-License-Identifier: Apache-2.0

import ReserveModel

// The words that every sink uses for the model's enums.

extension AllocationContext {
    var word: StaticString {
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
    var word: StaticString {
        if gfpMemalloc { return "gfp_memalloc" }
        if taskMemalloc { return "pf_memalloc" }
        return oomVictim ? "oom_victim" : "none"
    }
}

extension Notice.Severity {
    var word: StaticString {
        switch self {
        case .info: return "info"
        case .notice: return "notice"
        case .warning: return "warning"
        case .critical: return "critical"
        }
    }
}

extension Notice.Crossing {
    var word: StaticString {
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
    var word: StaticString {
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
    var word: StaticString {
        switch self {
        case .appeared: return "appeared"
        case .stalled: return "stalled"
        case .resumed: return "resumed"
        }
    }
}

extension HookFact.State {
    var word: StaticString {
        switch self {
        case .primary: return "primary"
        case .fallback: return "fallback"
        case .missing: return "missing"
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
    case loss
    case summary

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
        case .loss: return "loss"
        case .summary: return "summary"
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
        case .oom: return .oom
        case .loss: return .loss
        case .summary: return .summary
        }
    }
}
