// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// One rule of a policy: when to act on the host, how, on whom, and how far.
public struct Rule: Sendable, Equatable {
    /// At most 31 bytes of letters, digits, `.`, `_` and `-`.
    public var name: String
    public var mode = EnforceMode.observe
    /// The host must be in one of these.
    public var states: HostStates = []
    /// Each of these must be seen, or be known not to be. What is not known is neither.
    public var seen: EvidenceSet = []
    public var ruledOut: EvidenceSet = []
    /// For so long without a break.
    public var holdNanoseconds: UInt64 = 1_000_000_000
    public var action: Action
    public var target: RuleTarget
    public var limits: Limits
    /// Of ``Action/memoryHigh``: a share of what the cgroup has then.
    public var memoryHighPercent: UInt64 = 100
    /// Of ``Action/rescue``: whether it may end the swap's connection.
    public var endsConnection = false
    /// Of ``Action/rescue``: whether a second connection to the server stands ready to take the
    /// ended one's place, so that swap is kept.
    public var keepsSpare = false

    public init(name: String, action: Action, target: RuleTarget) {
        self.name = name
        self.action = action
        self.target = target
        limits = Limits(action)
    }

    /// What a rule does.
    public enum Action: String, Sendable, CaseIterable {
        case freeze
        case memoryHigh = "memory-high"
        case stop
        case kill
        case killCgroup = "kill-cgroup"
        case rescue

        /// Whether the act stands until it is taken back; else it is for good.
        public var isUndone: Bool { self == .freeze || self == .memoryHigh || self == .stop }

        /// The first act.
        public var verb: EnforceVerb {
            switch self {
            case .freeze, .rescue: return .freeze
            case .memoryHigh: return .memoryHigh
            case .stop: return .stop
            case .kill: return .kill
            case .killCgroup: return .killCgroup
            }
        }
    }

    /// How far a rule may go.
    public struct Limits: Sendable, Equatable {
        /// Acts in each ``everyNanoseconds``; a rescue, and kills for one occasion, are one.
        public var times: Int
        public var everyNanoseconds: UInt64
        /// Until when what stands is taken back, by the watch or by the keeper.
        public var durationNanoseconds: UInt64
        /// Processes killed on one occasion.
        public var victims: Int

        public static let mostTimes = 8
        public static let mostVictims = 16
        public static let longestDuration: UInt64 = 600_000_000_000

        public init(_ action: Action) {
            times = action.isUndone ? 3 : 1
            everyNanoseconds = 3_600_000_000_000
            durationNanoseconds = action == .rescue ? 60_000_000_000 : 15_000_000_000
            victims = action == .rescue ? 4 : 1
        }
    }
}

/// Whom a rule acts on.
public enum RuleTarget: Sendable, Equatable {
    /// A path below the root of the cgroup hierarchy, "/load".
    case cgroup(String)
    /// A unit of systemd; its cgroup is looked for.
    case unit(String)
    /// The process in a cgroup or unit that holds the most memory of its own.
    case largestIn(Place)
    /// The process whose sockets hold the most memory unread.
    case socketMemoryOwner

    public enum Place: Sendable, Equatable {
        case cgroup(String)
        case unit(String)

        public var words: String {
            switch self {
            case .cgroup(let path): return path
            case .unit(let name): return name
            }
        }
    }

    /// The cgroup that the rule names; nil: none.
    public var place: Place? {
        switch self {
        case .cgroup(let path): return .cgroup(path)
        case .unit(let name): return .unit(name)
        case .largestIn(let place): return place
        case .socketMemoryOwner: return nil
        }
    }

    public var words: String {
        switch self {
        case .cgroup(let path): return path
        case .unit(let name): return name
        case .largestIn(let place): return "largest-in \(place.words)"
        case .socketMemoryOwner: return "socket-memory-owner"
        }
    }

    public var choice: EnforceChoice {
        switch self {
        case .cgroup, .unit: return .named
        case .largestIn: return .largest
        case .socketMemoryOwner: return .socketOwner
        }
    }
}

/// All rules, and what holds for all of them.
public struct RuleSet: Sendable, Equatable {
    public var rules: [Rule] = []
    /// No rule does more than this.
    public var ceiling = EnforceMode.enforce
    /// Whom no rule may stop, freeze or kill, beside those that are never touched: a program
    /// by its path or by its name (then its file must be root's), a cgroup, a unit.
    public var protected: [String] = []
    /// The server's name for what the swap lies on; empty is its default export.
    public var spareExport = ""

    public static let longestExport = 63
    public static let mostRules = 16
    public static let mostProtected = 32

    public init() {}

    /// What a rule may do, with the ceiling.
    public func mode(of rule: Rule) -> EnforceMode {
        rule.mode.rawValue <= ceiling.rawValue ? rule.mode : ceiling
    }

    /// Whether anything is to be watched for at all.
    public var isIdle: Bool { rules.allSatisfy { mode(of: $0) == .off } }

    /// Protected whatever is configured; programs by name must be root's own files.
    public static let alwaysProtected = [
        "sshd", "sshd-session", "systemd", "systemd-journald", "systemd-logind", "dbus-daemon",
        "nbd-client", "nbd-server", "nbdkit", "qemu-nbd", "reservewatch", "reservewatch-agent",
    ]
}

/// States of the host, any of which will do.
public struct HostStates: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    public init(_ state: HostState) { rawValue = 1 << state.rawValue }

    public func contains(_ state: HostState) -> Bool { rawValue & 1 << state.rawValue != 0 }

    /// In which nothing is wrong: no rule acts there.
    public static let harmless: HostStates = [HostStates(.unknown), HostStates(.calm)]
}
