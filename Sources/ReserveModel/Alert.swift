// SPDX-License-Identifier: Apache-2.0

/// What people are to be told, once an incident and then again at a bounded rate.
public struct Alert: Sendable {
    /// What an alert is about; each track has one incident at a time.
    public enum Track: UInt8, Sendable, CaseIterable {
        /// What happens now: the reserve drains, requests stop.
        case pressure
        /// What would happen if sockets filled: standing configuration, before any pressure.
        case exposure
    }

    public enum Level: UInt8, Sendable, CaseIterable, Comparable {
        case resolved = 0
        case warning = 1
        case critical = 2

        public static func < (one: Level, other: Level) -> Bool { one.rawValue < other.rawValue }

        public var severity: Notice.Severity {
            switch self {
            case .resolved: return .notice
            case .warning: return .warning
            case .critical: return .critical
            }
        }
    }

    /// Why the level is what it is: several may hold at once.
    public struct Reasons: OptionSet, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        /// Free memory is below `Policy.drainingPercent` of min without boost.
        public static let draining = Reasons(rawValue: 1)
        /// The trend ends the reserve within `Policy.timeLeftWarning`.
        public static let trend = Reasons(rawValue: 2)
        public static let throttling = Reasons(rawValue: 4)
        /// The oldest request is older than `Policy.slowRequest`, and others complete.
        public static let slowRequests = Reasons(rawValue: 8)
        /// Requests in flight, none completes, tasks wait.
        public static let stopped = Reasons(rawValue: 16)
        public static let failing = Reasons(rawValue: 32)
        public static let deadlocked = Reasons(rawValue: 64)
        /// Receive buffers, and the rings of the network cards, may hold more than the reserve.
        public static let receiveBuffers = Reasons(rawValue: 128)
        /// Block writeback throttling may put the worker that receives to sleep.
        public static let writebackThrottle = Reasons(rawValue: 256)
        /// The swap's server is on this host.
        public static let localServer = Reasons(rawValue: 512)

        public static let all: InlineArray<10, Reasons> = [
            .deadlocked, .failing, .stopped, .throttling, .draining, .trend, .slowRequests,
            .receiveBuffers, .writebackThrottle, .localServer,
        ]
    }

    /// What explains a stop, and what does not.
    public enum Finding: UInt8, Sendable, CaseIterable {
        case notLooked
        case ruledOut
        case confirmed
        /// Nothing that is seen tells.
        case cannotTell
    }

    public struct Findings: Sendable, Equatable {
        /// The link of the device's path is down.
        public var lostWire = Finding.notLooked
        /// The host can receive no more, for want of memory.
        public var deadReceivePath = Finding.notLooked
        /// Packets arrive, and answers do not.
        public var silentServer = Finding.notLooked
        public init() {}
    }

    public var track: Track
    public var level: Level
    /// Counts this agent's incidents, from 1.
    public var incident: UInt32
    /// The highest level that this incident had.
    public var peak: Level
    public var sinceBootNanoseconds: UInt64
    /// How often this incident was told before.
    public var told: UInt32
    public var reasons: Reasons
    public var findings: Findings

    public init(
        track: Track, level: Level, incident: UInt32, peak: Level, sinceBootNanoseconds: UInt64,
        told: UInt32, reasons: Reasons, findings: Findings
    ) {
        self.track = track
        self.level = level
        self.incident = incident
        self.peak = peak
        self.sinceBootNanoseconds = sinceBootNanoseconds
        self.told = told
        self.reasons = reasons
        self.findings = findings
    }
}

/// One track's incident over time: raised at once, resolved after it held, told again at
/// growing intervals.
public struct AlertTrack: Sendable {
    public let track: Alert.Track
    public private(set) var level = Alert.Level.resolved
    public private(set) var incident: UInt32 = 0
    public private(set) var peak = Alert.Level.resolved
    public private(set) var sinceBootNanoseconds: UInt64 = 0
    public private(set) var told: UInt32 = 0
    /// Incidents that were critical at some time; nil: an older agent, who was there longer
    /// than we, did not tell.
    public private(set) var criticalIncidents: UInt32? = 0
    private var quietSince: UInt64 = 0
    private var nextUpdate: UInt64 = 0
    /// What of this incident was told that is worse than a stop.
    private var toldGrave: Alert.Reasons = []

    public init(track: Alert.Track) {
        self.track = track
    }

    /// Goes on where another watcher of the same host stands.
    init(_ standing: Standing.Track) {
        track = standing.track
        level = standing.level
        incident = standing.incident
        peak = standing.peak
        sinceBootNanoseconds = standing.sinceBootNanoseconds
        told = standing.told
        criticalIncidents = standing.criticalIncidents
        // What was told of it we do not know: rather once too few than all anew.
        toldGrave = level == .critical ? Self.grave : []
    }

    /// What another watcher would go on from.
    var standing: Standing.Track {
        var standing = Standing.Track()
        standing.track = track
        standing.level = level
        standing.incident = incident
        standing.peak = peak
        standing.sinceBootNanoseconds = sinceBootNanoseconds
        standing.told = told
        standing.criticalIncidents = criticalIncidents
        return standing
    }

    mutating func forgetCritical() { criticalIncidents = nil }

    /// Whether another watcher has counted what we have not.
    func lacks(_ standing: Standing.Track) -> Bool {
        standing.incident > incident
            || standing.criticalIncidents != nil
                && criticalIncidents ?? 0 < standing.criticalIncidents ?? 0
    }

    /// Takes in which level the present asks for, and why.
    ///
    /// - Returns: whether it is to be told now.
    mutating func see(
        _ wanted: Alert.Level, _ reasons: Alert.Reasons, at now: UInt64,
        holdNanoseconds hold: UInt64,
        updateNanoseconds update: UInt64, longestUpdateNanoseconds longest: UInt64
    ) -> Bool {
        if wanted > level {
            if level == .resolved {
                incident &+= 1
                sinceBootNanoseconds = now
                peak = wanted
                told = 0
                toldGrave = []
            }
            toldGrave.formUnion(reasons.intersection(Self.grave))
            if wanted == .critical, let count = criticalIncidents { criticalIncidents = count &+ 1 }
            level = wanted
            peak = max(peak, wanted)
            quietSince = 0
            return tell(at: now, update: update, longest: longest)
        }
        guard level > .resolved else { return false }
        if wanted == .resolved {
            if quietSince == 0 { quietSince = now }
            if now &- quietSince >= hold {
                level = .resolved
                quietSince = 0
                countTold()
                return true
            }
            return false
        }
        quietSince = 0
        // A stop that turns out to be for good is news, each such thing once an incident.
        let news = reasons.intersection(Self.grave).subtracting(toldGrave)
        if level == .critical, !news.isEmpty {
            toldGrave.formUnion(news)
            return tell(at: now, update: update, longest: longest)
        }
        // Taken over from another watcher, who has just told it.
        if nextUpdate == 0 { nextUpdate = now &+ longest }
        // An incident that was critical stays so until it is over: it is told again, not lowered.
        return now >= nextUpdate && tell(at: now, update: update, longest: longest)
    }

    private static let grave: Alert.Reasons = [.failing, .deadlocked]

    private mutating func tell(at now: UInt64, update: UInt64, longest: UInt64) -> Bool {
        countTold()
        nextUpdate = now &+ min(update << UInt64(min(told, 8) - 1), longest)
        return true
    }

    /// Never back to none: where the incident stood when we took it over, anybody may have said.
    private mutating func countTold() { told = told == .max ? told : told + 1 }
}
