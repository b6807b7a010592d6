// SPDX-License-Identifier: Apache-2.0

// What the agent does to the host by its rules, as events tell it. How a rule decides is not
// the model's: it lies in ReservePolicy, so that readers need not know the rules.

/// What a rule may do. The numbers are the wire's.
public enum EnforceMode: UInt8, Sendable, CaseIterable {
    case off = 0
    /// Logs and counts what it would have done.
    case observe = 1
    case enforce = 2
}

/// One act on the host. The numbers are the wire's.
public enum EnforceVerb: UInt8, Sendable, CaseIterable {
    /// Of a newer agent.
    case unknown = 0
    /// cgroup.freeze, and back.
    case freeze = 1
    case thaw = 2
    /// memory.high, and the value that it had before.
    case memoryHigh = 3
    case memoryHighBack = 4
    /// SIGSTOP, and SIGCONT to those whom we stopped.
    case stop = 5
    case resume = 6
    /// SIGKILL and process_mrelease(2).
    case kill = 7
    /// cgroup.kill.
    case killCgroup = 8
    /// SOCK_DESTROY of one connection of an NBD device.
    case endConnection = 9
    /// NBD_CMD_RECONFIGURE with a connection that was set up before.
    case reconnect = 10
    /// No act of its own: how a rescue ended.
    case rescue = 11
    /// NBD_CMD_DISCONNECT: what was sent and not answered ends.
    case disconnect = 12
    /// NBD_CLEAR_SOCK: what was sent and not answered ends, and the device may be connected anew.
    case clear = 13
    /// A file of the disk's queue/, which a rescue sets on the way; what it was before once the agent
    /// ends.
    case calmQueue = 14
    case queueBack = 15

    /// What takes it back; nil: nothing does.
    public var undoing: EnforceVerb? {
        switch self {
        case .freeze: return .thaw
        case .memoryHigh: return .memoryHighBack
        case .stop: return .resume
        case .calmQueue: return .queueBack
        default: return nil
        }
    }

    public var isUndoing: Bool {
        switch self {
        case .thaw, .memoryHighBack, .resume, .queueBack: return true
        default: return false
        }
    }
}

/// What came of an act. The numbers are the wire's.
public enum EnforceOutcome: UInt8, Sendable, CaseIterable {
    /// Of a newer agent.
    case unknown = 0
    /// The mode is observe: this is what it would have done.
    case would = 1
    case done = 2
    /// The kernel refused it.
    case failed = 3
    /// We refused it: ``EnforceReason`` says why.
    case refused = 4
    /// The rule's limits do not allow another one.
    case limited = 5
}

/// Why an act was done, or not done, or taken back. The numbers are the wire's.
public enum EnforceReason: UInt8, Sendable, CaseIterable {
    case none = 0
    /// What the rule waits for held for long enough.
    case rule = 1
    /// It holds no more.
    case released = 2
    case deadline = 3
    /// The watch ended without a word, or stands still: the keeper took it back.
    case watchDied = 4
    case watchStands = 5
    /// The keeper ended: nothing may stand without it.
    case keeperDied = 6
    case agentEnds = 7
    /// Found at the start: of an agent that is no more.
    case leftOver = 8
    /// Refused: somebody who is protected would be hit.
    case protected = 9
    /// Refused: nobody is there to be hit.
    case nobody = 10
    /// Refused: the target's connection is in another network namespace, or not known.
    case unreachable = 11
    /// Refused: the acts before it are not finished.
    case busy = 12
    /// Refused: somebody else has changed it meanwhile, and it stays so.
    case foreign = 13
    /// Of a rescue: requests complete again.
    case recovered = 14
    /// Of a rescue: every step that the rule allows was taken, and nothing helped.
    case exhausted = 15
    /// Of a rescue: the wire is lost, which heals by itself.
    case wireLost = 16
    /// Of a rescue: the host receives again, but the swap's connection is ended.
    case receivesAgain = 17
    /// Refused: no other connection stands ready.
    case noSpare = 18
}

/// Why this one and no other. The numbers are the wire's.
public enum EnforceChoice: UInt8, Sendable, CaseIterable {
    /// The rule names it.
    case named = 0
    /// Holds the most memory of its own in the rule's cgroup.
    case largest = 1
    /// Its sockets hold the most memory unread.
    case socketOwner = 2
}

/// One act of a rule, with what it met.
public struct Enforcement: Sendable {
    public var rule = FixedText()
    public var ruleIndex: UInt32 = 0
    /// Counts the agent's acts, from 1; an act and its undoing have the same.
    public var serial: UInt32 = 0
    public var mode = EnforceMode.observe
    public var verb = EnforceVerb.freeze
    public var outcome = EnforceOutcome.would
    public var reason = EnforceReason.none
    public var choice = EnforceChoice.named
    /// A cgroup's path, a connection's disk; empty: only a process.
    public var target = FixedText()
    /// tid 0: no single process.
    public var victim = TaskIdentity(tid: 0, tgid: 0, cgroupID: 0, comm: FixedName())
    /// Processes that it reached; nil: not counted, as for a cgroup that is frozen whole.
    public var processes: UInt32?
    /// errno; 0: none.
    public var error: Int32 = 0
    /// From the decision to the act's end.
    public var tookNanoseconds: UInt64 = 0
    /// What the victim held: memory of its own, or unread in its sockets; nil: not looked at.
    public var heldPages: UInt64?
    /// When that was looked at.
    public var heldBootNanoseconds: UInt64 = 0
    /// Gone from the victim's resident set when the act was over; nil: not known.
    public var freedPages: UInt64?
    /// Free pages of the host before and after.
    public var freeBeforePages: UInt64?
    public var freeAfterPages: UInt64?
    /// Until when it stands at most; 0: it does not stand.
    public var deadlineBootNanoseconds: UInt64 = 0

    public init() {}
}

/// One rule: what it is, how often it acted, and what stands of it.
public struct EnforceRuleState: Sendable {
    public var name = FixedText()
    public var index: UInt32 = 0
    public var mode = EnforceMode.off
    /// The first act that it does.
    public var verb = EnforceVerb.freeze
    public var target = FixedText()
    /// Since the agent's start, by ``EnforceOutcome``.
    public var would: UInt64 = 0
    public var done: UInt64 = 0
    public var failed: UInt64 = 0
    public var refused: UInt64 = 0
    public var limited: UInt64 = 0
    /// Undoings that were done.
    public var undone: UInt64 = 0
    /// An act of it stands now; of the mode observe: would stand.
    public var stands = false
    /// errno with which its target could not be found; 0: it is there.
    public var targetError: Int32 = 0
    /// Of a rescue: whether a connection stands ready to take the ended one's place.
    public var spare = Spare.notWanted

    /// The errno is that with which none could be made.
    public enum Spare: Sendable, Equatable {
        /// The rule wants none, or only tells, or an older agent did not say.
        case notWanted
        case ready
        case missing(errno: Int32)
    }

    public init() {}

    public subscript(outcome: EnforceOutcome) -> UInt64 {
        get {
            switch outcome {
            case .would: return would
            case .done: return done
            case .failed: return failed
            case .refused: return refused
            case .limited: return limited
            case .unknown: return 0
            }
        }
        set {
            switch outcome {
            case .would: would = newValue
            case .done: done = newValue
            case .failed: failed = newValue
            case .refused: refused = newValue
            case .limited: limited = newValue
            case .unknown: break
            }
        }
    }
}

extension Enforcement {
    /// An act on the host is at least a warning, what would have been one a notice.
    var severity: Notice.Severity {
        switch outcome {
        case .done:
            if verb.isUndoing || verb == .rescue { return .notice }
            return .warning
        case .failed: return .warning
        case .would, .refused, .limited, .unknown: return .notice
        }
    }
}
