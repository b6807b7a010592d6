// SPDX-License-Identifier: Apache-2.0

/// What is worth telling a user: one line of any sink.
public struct Notice: Sendable {
    public enum Severity: Sendable, Equatable {
        case info
        case notice
        case warning
        case critical
    }

    public enum StayPhase: Sendable, Equatable {
        /// Still inside, for the first time longer than a threshold, and at each doubling.
        case stalled
        case left
        case began
        case ended
        /// Seen waiting, where begin and end cannot be hooked.
        case waiting
    }

    public enum Crossing: Sendable, Equatable {
        case belowLow
        case belowMin
        case aboveMin
        case aboveLow
        /// The node's free pages fell to the throttle line, or rose above it.
        case atThrottleLine
        case aboveThrottleLine
    }

    public enum DevicePhase: Sendable, Equatable {
        case appeared
        case stalled
        case resumed
        /// Fewer of its connections are alive than a report ago.
        case connectionLost
    }

    public enum SocketPhase: Sendable, Equatable {
        case appeared
        /// Its TCP state is another one.
        case moved
        case gone
    }

    public enum Body: Sendable {
        /// The stream begins; facts and hooks are in the picture.
        case start
        case zone(Crossing, ZoneSample)
        case node(Crossing, NodeSample)
        /// What one taker took within one summary interval.
        case reserve(Taker)
        case directReclaim(StayPhase, ReclaimStay)
        case throttle(StayPhase, ThrottleStay)
        case nbd(DevicePhase, NBDSample)
        case nbdFailed(NBDFailure)
        case swapAppeared(SwapDevice)
        case swapGone(SwapDevice)
        case swapFailed(SwapFailure)
        case oom(OOMVictim)
        case oomFreed(OOMFreed)
        case kswapd(KswapdMove)
        /// What one task waited for one reason within one summary interval.
        case reclaimWaits(WaitGroup)
        /// Slabs that one task took from the reserve, or was refused, within one interval.
        case slab(SlabGroup)
        case socket(SocketPhase, SocketSample)
        /// What one socket lost within one summary interval.
        case drops(DropGroup)
        case guardAttempt(GuardAttempt)
        /// A process that is guarded from now on (`began`), or no more (`ended`).
        case guarded(StayPhase, GuardedProcess)
        /// A kernel stack, before the first line that names its id.
        case stack(KernelStack)
        /// The host's state changed; the figures are in the picture's verdict.
        case verdict(HostVerdict)
        case alert(Alert)
        /// The times by which the host is judged are others from here on; or were to be, and are not.
        case settings(SettingsState)
        /// What the agent did by one of its rules, or would have done.
        case enforcement(Enforcement)
        /// Something was lost since the last summary: figures are in the picture.
        case loss
        case summary(isFinal: Bool, intervalNanoseconds: UInt64)
    }

    public var bootNanoseconds: UInt64
    public var severity: Severity
    public var body: Body

    public init(bootNanoseconds: UInt64, severity: Severity, body: Body) {
        self.bootNanoseconds = bootNanoseconds
        self.severity = severity
        self.body = body
    }
}

/// Notices on their way to the sinks, in room taken at the start.
public typealias NoticeQueue = BoundedList<Notice>

/// Who takes from the reserve: tasks of one name, in one context, for one reason.
public struct Taker: Sendable {
    public var task: TaskIdentity
    public var context: AllocationContext
    public var entitlement: Entitlement
    public var allocations: UInt64 = 0
    public var pages: UInt64 = 0
    /// Allocations that got nothing (of all, not only of those entitled to the reserve).
    public var failed: UInt64 = 0
    /// Allocations that kept their mark and yet came from a zone below min, and their pages.
    public var belowMin: UInt64 = 0
    public var belowMinPages: UInt64 = 0
    public var allowance: Allowance
    /// Id of the last stack that was taken of it.
    public var stack: UInt32?
    /// All flags seen, as this kernel numbers them.
    public var gfpFlags: UInt32 = 0
    public var largestOrder: UInt8 = 0

    public init(_ allocation: ReserveAllocation) {
        task = allocation.task
        context = allocation.context
        entitlement = allocation.entitlement
        allowance = allocation.allowance
    }

    /// Whether both are sums over the same takers.
    func isSame(as other: Taker) -> Bool {
        task.comm == other.task.comm && context == other.context
            && entitlement == other.entitlement
    }

    enum Outcome {
        case taken
        case failed
        case belowMin
    }

    mutating func add(_ allocation: ReserveAllocation, _ outcome: Outcome) {
        switch outcome {
        case .taken:
            allocations &+= 1
            pages &+= allocation.pages
        case .failed: failed &+= 1
        case .belowMin:
            belowMin &+= 1
            belowMinPages &+= allocation.pages
        }
        if let stack = allocation.stack { self.stack = stack }
        gfpFlags |= allocation.gfpFlags
        largestOrder = max(largestOrder, allocation.order)
    }
}
