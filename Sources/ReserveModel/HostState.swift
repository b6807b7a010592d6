// SPDX-License-Identifier: Apache-2.0

/// What the host's kernel is doing about its memory, from harmless to hopeless.
///
/// The order is that of the raw values. The first five tell how far the reserve is used up,
/// the last three what the way to the swap does; a state of the path outranks one of the
/// memory, for it decides whether memory can come free at all.
///
///     from \ to    any better state            any worse state
///     each         after it held for           at once
///                  `Policy.stateHold`
///     deadlocked   only once requests complete
///     unknown      to whatever is seen, at once, and back when the facts are gone
public enum HostState: UInt8, Sendable, CaseIterable, Comparable {
    /// Facts are missing: no zone was seen, or the zones cannot be observed.
    case unknown = 0
    /// Free memory is above the low watermark of every node.
    case calm = 1
    /// free < low: kswapd is at work.
    case pressed = 2
    /// free < min: only entitled allocations succeed.
    case reserve = 3
    /// mm/vmscan.c:allow_direct_reclaim() is false, or tasks sleep on pfmemalloc_wait.
    case throttling = 4
    /// Swap requests are in flight, none completes, and tasks wait.
    case stalling = 5
    /// Swap requests end in errors, or no connection of a swap device is left.
    case failing = 6
    /// Stalling, and nobody is left who could end it.
    case deadlocked = 7

    public static func < (one: HostState, other: HostState) -> Bool {
        one.rawValue < other.rawValue
    }
}

/// What is seen of the host at one moment, in the few words that the state depends on.
public struct HostConditions: Sendable, Equatable {
    /// How far free memory is down, on the node where it is worst.
    public enum Memory: UInt8, Sendable, CaseIterable {
        case unknown
        case aboveLow
        case belowLow
        case belowMin
        /// At or below the throttle line, or somebody is asleep for it.
        case atThrottleLine
    }

    /// What the requests of the swap's devices do.
    public enum Progress: UInt8, Sendable, CaseIterable {
        /// Requests cannot be observed.
        case unknown
        /// None in flight.
        case idle
        case moving
        /// In flight, none completed for `Policy.stallAfter`, and tasks wait.
        case stopped
        /// They end in errors, or the device has no connection left.
        case failing
    }

    /// Who could end a stop.
    public enum Actors: UInt8, Sendable, CaseIterable {
        /// Nothing stops, or it is not known whether somebody could.
        case open
        /// Packets arrive on the device's path: whoever is at the other end may answer.
        case receiving
        /// The link is down: it may come back.
        case wireLost
        /// Nothing arrives, and the worker that would have to receive waits for memory itself;
        /// or the server is on this host, and waits like all others.
        case none
    }

    public var memory: Memory
    public var progress: Progress
    public var actors: Actors

    public init(memory: Memory, progress: Progress, actors: Actors) {
        self.memory = memory
        self.progress = progress
        self.actors = actors
    }

    /// The state that these conditions are, with no regard to what was before.
    public var state: HostState {
        switch progress {
        case .failing: return .failing
        case .stopped: return actors == .none ? .deadlocked : .stalling
        case .unknown, .idle, .moving: break
        }
        switch memory {
        case .unknown: return .unknown
        case .aboveLow: return .calm
        case .belowLow: return .pressed
        case .belowMin: return .reserve
        case .atThrottleLine: return .throttling
        }
    }
}

/// The state over time: worse at once, better after it held.
public struct HostStateMachine: Sendable {
    public private(set) var state = HostState.unknown
    /// When ``state`` was entered.
    public private(set) var sinceBootNanoseconds: UInt64 = 0
    /// When what is seen became better than ``state``; 0: it is not.
    private var betterSince: UInt64 = 0
    /// The worst of what was seen since then: the state that it will fall to.
    private var worstSince = HostState.unknown

    public init() {}

    /// Goes on from where another watcher of the same host stands.
    public init(state: HostState, sinceBootNanoseconds: UInt64) {
        self.state = state
        self.sinceBootNanoseconds = sinceBootNanoseconds
    }

    /// Takes in what is seen at `now`.
    ///
    /// - Returns: the state before, where it changed.
    public mutating func see(
        _ conditions: HostConditions, at now: UInt64, holdNanoseconds hold: UInt64
    ) -> HostState? {
        let target = conditions.state
        if target == state {
            betterSince = 0
            return nil
        }
        // What is not known is neither better nor worse than anything.
        if target > state || target == .unknown || state == .unknown {
            return move(to: target, at: now)
        }
        // Free memory does not end a deadlock: only a request that completes does.
        if state == .deadlocked, conditions.progress == .stopped, conditions.actors != .receiving {
            betterSince = 0
            return nil
        }
        if betterSince == 0 {
            betterSince = now
            worstSince = target
        }
        worstSince = max(worstSince, target)
        guard now &- betterSince >= hold else { return nil }
        return move(to: worstSince, at: now)
    }

    private mutating func move(to target: HostState, at now: UInt64) -> HostState {
        let before = state
        state = target
        sinceBootNanoseconds = now
        betterSince = 0
        return before
    }
}

/// How long the host was in each state, and how often it came to be: since the agent's start.
public struct StateTotals: Sendable, Equatable {
    /// In stays that are over, by the state's raw value.
    public private(set) var nanoseconds = InlineArray<8, UInt64>(repeating: 0)
    public private(set) var entries = InlineArray<8, UInt32>(repeating: 0)

    public init() {}

    public init(nanoseconds: InlineArray<8, UInt64>, entries: InlineArray<8, UInt32>) {
        self.nanoseconds = nanoseconds
        self.entries = entries
    }

    mutating func move(
        from before: HostState, after stay: UInt64, to state: HostState
    ) {
        nanoseconds[Int(before.rawValue)] &+= stay
        entries[Int(state.rawValue)] &+= 1
    }

    /// Changes of the state so far.
    var changes: UInt64 {
        var sum: UInt64 = 0
        for index in 0..<8 { sum &+= UInt64(entries[index]) }
        return sum
    }

    public static func == (one: StateTotals, other: StateTotals) -> Bool {
        for index in 0..<8
        where one.nanoseconds[index] != other.nanoseconds[index]
            || one.entries[index] != other.entries[index]
        {
            return false
        }
        return true
    }
}

extension Picture {
    /// How long the host was in a state since the agent's start, until now; nil: not known.
    public func nanoseconds(in state: HostState) -> UInt64? {
        guard let stateTotals else { return nil }
        let over = stateTotals.nanoseconds[Int(state.rawValue)]
        guard state == verdict.state else { return over }
        let since = stateSinceBootNanoseconds
        return over &+ (nowBootNanoseconds > since ? nowBootNanoseconds - since : 0)
    }

    /// Since when the host is in its state: since the agent's start where it was in no other.
    var stateSinceBootNanoseconds: UInt64 {
        verdict.sinceBootNanoseconds > 0 ? verdict.sinceBootNanoseconds : firstBootNanoseconds
    }
}
