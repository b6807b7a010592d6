// SPDX-License-Identifier: Apache-2.0

/// What a guarded process is to the swap: bits, for it may be several things.
public struct GuardRole: Sendable, Equatable {
    public var rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public var isAgent: Bool { rawValue & 1 != 0 }
    /// Sits in ioctl(NBD_DO_IT).
    public var isClient: Bool { rawValue & 2 != 0 }
    /// Holds the other end of a device's socket.
    public var isServer: Bool { rawValue & 4 != 0 }
}

/// Somebody tried to end, stop or trace a guarded process, or to take the swap away.
public struct GuardAttempt: Sendable {
    public enum Action: UInt32, Sendable, CaseIterable {
        /// One that ends or stops by default.
        case signal = 0
        /// PTRACE_MODE_ATTACH.
        case trace = 1
        /// cgroup.freeze of the target's cgroup.
        case freeze = 2
        case swapoff = 3
        case disconnect = 4
        case unknown = 255
    }

    public enum Result: UInt32, Sendable, CaseIterable {
        case allowed = 0
        case excepted = 1
        case refused = 2
        case unknown = 255
    }

    public enum Reason: UInt32, Sendable {
        case observing = 0
        /// Nothing in the kernel refuses this way.
        case noHook = 1
        /// Process 1.
        case byInit = 2
        /// Of the target's own service.
        case byUnit = 3
        /// Guarded itself.
        case byGuarded = 4
        /// In a cgroup that the admin named.
        case byCgroup = 5
        case byRule = 6
        case unknown = 255
    }

    public enum Way: UInt32, Sendable {
        case none = 0
        /// Not by kill(2): cgroup.kill, the OOM killer, a terminal, sysrq.
        case kernel = 1
        /// A file of /proc/PID: mem, stack, syscall.
        case proc = 2
        case ioctlDisconnect = 3
        case ioctlClearSock = 4
        case netlink = 5
        case unknown = 255
    }

    /// Who tried; of the way `kernel` the task that was current.
    public var task: TaskIdentity
    /// At whom; nil for swapoff and disconnect.
    public var target: TaskIdentity?
    public var action: Action
    public var result: Result
    public var reason: Reason
    public var way: Way
    /// Of who tried.
    public var uid: UInt32 = 0
    public var signal: UInt32 = 0
    public var role = GuardRole(rawValue: 0)
    /// Of the swap that was to be switched off; 0, 0 for the others.
    public var major: UInt32 = 0
    public var minor: UInt32 = 0
    /// The NBD device that it is about; empty where it is the agent.
    public var disk = FixedName()

    public init(
        task: TaskIdentity, target: TaskIdentity?, action: Action, result: Result, reason: Reason,
        way: Way
    ) {
        self.task = task
        self.target = target
        self.action = action
        self.result = result
        self.reason = reason
        self.way = way
    }
}

/// A process that is guarded, as it was when it was found.
public struct GuardedProcess: Sendable {
    public var task: TaskIdentity
    public var role: GuardRole
    /// Empty for the agent.
    public var disk = FixedName()
    public var scoreAdjust: Int32 = 0
    /// Process number of who traces it; 0: nobody.
    public var tracer: UInt32 = 0
    public var startBootNanoseconds: UInt64 = 0
    /// mm->locked_vm
    public var lockedPages: UInt64 = 0
    public var swappedPages: UInt64 = 0

    public init(task: TaskIdentity, role: GuardRole) {
        self.task = task
        self.role = role
    }

    /// The OOM killer may take it. The agent tells its own protections by itself.
    public var isKillable: Bool { !isAgentOnly && scoreAdjust > -1000 }
    public var isUnlocked: Bool { !isAgentOnly && lockedPages == 0 }
    public var isAgentOnly: Bool { role.rawValue == 1 }

    public var severity: Notice.Severity {
        isKillable || isUnlocked || tracer != 0 ? .warning : .info
    }
}

extension CounterTotals {
    /// Attempts of one action since the agent's start.
    public struct GuardCounts: Sendable, Equatable {
        public var allowed: UInt64 = 0
        public var excepted: UInt64 = 0
        public var refused: UInt64 = 0
        public init() {}

        public var all: UInt64 { allowed &+ excepted &+ refused }
    }

    /// By action; nil where it is not observed.
    public struct GuardTotals: Sendable {
        public var signals: GuardCounts?
        public var traces: GuardCounts?
        public var freezes: GuardCounts?
        public var swapoffs: GuardCounts?
        public var disconnects: GuardCounts?
        /// Processes that found no room in the table.
        public var untracked: UInt64 = 0
        public init() {}

        public var isKnown: Bool {
            signals != nil || traces != nil || swapoffs != nil || disconnects != nil
        }
    }
}

extension Model {
    mutating func take(_ attempt: GuardAttempt, at now: UInt64, _ notices: inout NoticeQueue) {
        let severity: Notice.Severity = attempt.result == .excepted ? .notice : .warning
        notices.append(
            Notice(bootNanoseconds: now, severity: severity, body: .guardAttempt(attempt)))
    }

    /// Found, or found to be something else as well.
    mutating func take(_ process: GuardedProcess, at now: UInt64, _ notices: inout NoticeQueue) {
        if let index = guardedIndex(of: process) {
            picture.guarded[index] = process
        } else {
            picture.guarded.append(process)
        }
        notices.append(
            Notice(
                bootNanoseconds: now, severity: process.severity, body: .guarded(.began, process)))
    }

    mutating func release(_ process: GuardedProcess, at now: UInt64, _ notices: inout NoticeQueue) {
        var ended = process
        if let index = guardedIndex(of: process) {
            // It tells no more than who it was.
            ended = picture.guarded[index]
            picture.guarded.remove(at: index)
        }
        notices.append(
            Notice(bootNanoseconds: now, severity: .notice, body: .guarded(.ended, ended)))
    }

    private func guardedIndex(of process: GuardedProcess) -> Int? {
        picture.guarded.firstIndex { $0.task.tgid == process.task.tgid }
    }
}
