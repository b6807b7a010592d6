// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension HostState {
    /// The word of docs/verdict.md.
    public var word: StaticString {
        switch self {
        case .unknown: return "unknown"
        case .calm: return "calm"
        case .pressed: return "pressed"
        case .reserve: return "reserve"
        case .throttling: return "throttling"
        case .stalling: return "stalling"
        case .failing: return "failing"
        case .deadlocked: return "deadlocked"
        }
    }

    /// What the kernel is doing, for people.
    public var meaning: StaticString {
        switch self {
        case .unknown: return "facts are missing"
        case .calm: return "memory to spare"
        case .pressed: return "free memory is below low, kswapd is at work"
        case .reserve: return "free memory is below min, only entitled allocations succeed"
        case .throttling: return "direct reclaimers are put to sleep"
        case .stalling: return "swap requests do not complete, and tasks wait"
        case .failing: return "swap requests fail, or the device has no connection left"
        case .deadlocked: return "nothing completes, and nobody is left who could end it"
        }
    }
}

extension HostConditions.Memory {
    var word: StaticString {
        switch self {
        case .unknown: return "unknown"
        case .aboveLow: return "above_low"
        case .belowLow: return "below_low"
        case .belowMin: return "below_min"
        case .atThrottleLine: return "at_throttle_line"
        }
    }
}

extension HostConditions.Progress {
    var word: StaticString {
        switch self {
        case .unknown: return "unknown"
        case .idle: return "idle"
        case .moving: return "moving"
        case .stopped: return "stopped"
        case .failing: return "failing"
        }
    }
}

extension HostConditions.Actors {
    var word: StaticString {
        switch self {
        case .open: return "open"
        case .receiving: return "receiving"
        case .wireLost: return "wire_lost"
        case .none: return "none"
        }
    }
}

extension NBDSample.Path.Carrier {
    public var word: StaticString {
        switch self {
        case .unknown: return "unknown"
        case .up: return "up"
        case .down: return "down"
        }
    }
}

extension FreeTrend.Confidence {
    public var word: StaticString {
        switch self {
        case .low: return "low"
        case .medium: return "medium"
        case .high: return "high"
        }
    }
}

extension Alert.Track {
    public var word: StaticString {
        switch self {
        case .pressure: return "pressure"
        case .exposure: return "exposure"
        }
    }
}

extension Alert.Level {
    public var word: StaticString {
        switch self {
        case .resolved: return "resolved"
        case .warning: return "warning"
        case .critical: return "critical"
        }
    }
}

extension Alert.Finding {
    public var word: StaticString {
        switch self {
        case .notLooked: return "not_looked"
        case .ruledOut: return "ruled_out"
        case .confirmed: return "confirmed"
        case .cannotTell: return "cannot_tell"
        }
    }
}

extension Alert.Reasons {
    /// Of a single reason.
    public var word: StaticString {
        switch self {
        case .draining: return "draining"
        case .trend: return "trend"
        case .throttling: return "throttling"
        case .slowRequests: return "slow_requests"
        case .stopped: return "stopped"
        case .failing: return "failing"
        case .deadlocked: return "deadlocked"
        case .receiveBuffers: return "receive_buffers"
        case .writebackThrottle: return "writeback_throttle"
        case .localServer: return "local_server"
        default: return "other"
        }
    }

    /// The first thing to do, by the gravest reason.
    public var advice: StaticString {
        if contains(.deadlocked) {
            return "nothing on this host ends it: reset it, then prepare it (reservewatch doctor)"
        }
        if contains(.failing) {
            return "bring the server back; pages on this swap are lost to their processes"
        }
        if contains(.stopped) {
            return "look at link, switch and NBD server first; do not start anything here"
        }
        if contains(.localServer) {
            return "move the NBD server to another host"
        }
        if contains(.receiveBuffers) || contains(.writebackThrottle) {
            return "bound receive buffers and size the reserve: reservewatch doctor has commands"
        }
        if contains(.slowRequests) { return "look at the NBD server's load and the network" }
        if isEmpty { return "nothing; read back what happened: reservewatch replay" }
        return "stop or limit what takes memory"
    }
}
