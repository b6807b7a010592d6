// SPDX-License-Identifier: Apache-2.0

import ReserveModel
import ReserveSinks

/// One alert on its way: what the agent told at one moment, with its true times.
public struct AlertEvent: Sendable, Equatable {
    /// Why it is told.
    public enum Cause: String, Sendable {
        /// The agent told it just so.
        case told
        /// It stood already when the box was opened; how it came to that was not seen.
        case found
        /// The agent told it, and it was overwritten before it was read: from what the box keeps
        /// of each alert, without the figures of that moment.
        case kept
        /// The agent told of later incidents, and the end of this one was overwritten.
        case unseen
        /// Another agent watches now, and begins anew.
        case agentRestarted = "agent_restarted"
        /// The host was booted anew.
        case hostRestarted = "host_restarted"
        /// Nothing is wrong: somebody tries whether it arrives.
        case test

        /// Whether the time is that of the end at the latest, and not of the end.
        var isLatest: Bool {
            self == .unseen || self == .agentRestarted || self == .hostRestarted
        }
    }

    /// Its place in the queue; 0: it has none yet.
    public var sequence: UInt64 = 0
    public var cause = Cause.told
    public var host = ""
    public var bootID = ""
    /// Of the agent: its pid and when it began, in clock ticks since boot.
    public var run = ""
    public var track = Alert.Track.pressure
    public var level = Alert.Level.resolved
    public var peak = Alert.Level.resolved
    public var incident: UInt32 = 0
    /// How often the incident has been told, this one included.
    public var told: UInt32 = 0
    public var sinceBootNanoseconds: UInt64 = 0
    /// When the incident began, nanoseconds since 1970.
    public var since: Int64 = 0
    /// When it became critical, or was first seen to be; nil: it did not.
    public var criticalSince: Int64?
    public var timeBootNanoseconds: UInt64 = 0
    /// When this was so, nanoseconds since 1970. Of a resolved one: when it ended.
    public var time: Int64 = 0
    public var verdict = ""
    public var reasons: [String] = []
    /// Pairs of name and word: lost_wire and the like; none where they were not looked for.
    public var findings: [String] = []
    public var advice = ""
    /// Lines of this incident that the agent told and that were overwritten before this one.
    public var missed: UInt64 = 0
    /// The line as `events` has it.
    public var json = ""
    /// What it says, for people, without time and host.
    public var sentence = ""
    /// When it was put into the queue: for its age.
    public var queued: Int64 = 0
    public var queuedBootNanoseconds: UInt64 = 0
    public var queuedBootID = ""

    public init() {}

    /// Names this alert for good, wherever it goes and however often: who gets it twice can
    /// tell.
    public var id: String {
        let end = cause.isLatest ? "-\(cause.rawValue)" : ""
        return "\(bootID)-\(track.word)-\(sinceBootNanoseconds)-\(told)\(end)"
    }

    /// Names the incident.
    var incidentKey: String { "\(bootID)-\(track.word)-\(sinceBootNanoseconds)" }

    var isFiring: Bool { level != .resolved }
}

extension AlertEvent {
    var fields: Fields {
        var fields = Fields()
        fields.add("sequence", sequence)
        fields.add("cause", cause.rawValue)
        fields.add("host", host)
        fields.add("boot_id", bootID)
        fields.add("run", run)
        fields.add("track", track.rawValue)
        fields.add("level", level.rawValue)
        fields.add("peak", peak.rawValue)
        fields.add("incident", incident)
        fields.add("told", told)
        fields.add("since_boot_ns", sinceBootNanoseconds)
        fields.add("since", since)
        fields.add("critical_since", known: criticalSince)
        fields.add("time_boot_ns", timeBootNanoseconds)
        fields.add("time", time)
        fields.add("verdict", verdict)
        fields.add("reasons", reasons.joined(separator: " "))
        fields.add("findings", findings.joined(separator: " "))
        fields.add("advice", advice)
        fields.add("missed", missed)
        fields.add("queued", queued)
        fields.add("queued_boot_ns", queuedBootNanoseconds)
        fields.add("queued_boot_id", queuedBootID)
        fields.add("sentence", sentence)
        fields.add("json", json)
        return fields
    }

    /// nil: it is none, or of a newer build that means something else by it.
    init?(_ fields: Fields) {
        self.init()
        guard let sequence: UInt64 = fields.number("sequence"),
            let cause = fields.text("cause").flatMap(Cause.init),
            let track: UInt8 = fields.number("track"), let track = Alert.Track(rawValue: track),
            let level: UInt8 = fields.number("level"), let level = Alert.Level(rawValue: level),
            let peak: UInt8 = fields.number("peak"), let peak = Alert.Level(rawValue: peak),
            let incident: UInt32 = fields.number("incident"),
            let told: UInt32 = fields.number("told"),
            let sinceBoot: UInt64 = fields.number("since_boot_ns"),
            let since: Int64 = fields.number("since"), let time: Int64 = fields.number("time"),
            let bootID = fields.text("boot_id"), let json = fields.text("json")
        else { return nil }
        self.sequence = sequence
        self.cause = cause
        self.track = track
        self.level = level
        self.peak = peak
        self.incident = incident
        self.told = told
        self.sinceBootNanoseconds = sinceBoot
        self.since = since
        self.time = time
        self.bootID = bootID
        self.json = json
        criticalSince = fields.number("critical_since")
        host = fields.text("host") ?? ""
        run = fields.text("run") ?? ""
        timeBootNanoseconds = fields.number("time_boot_ns") ?? 0
        verdict = fields.text("verdict") ?? ""
        reasons = Self.words(fields.text("reasons"))
        findings = Self.words(fields.text("findings"))
        advice = fields.text("advice") ?? ""
        missed = fields.number("missed") ?? 0
        sentence = fields.text("sentence") ?? ""
        queued = fields.number("queued") ?? 0
        queuedBootNanoseconds = fields.number("queued_boot_ns") ?? 0
        queuedBootID = fields.text("queued_boot_id") ?? ""
    }

    private static func words(_ text: String?) -> [String] {
        (text ?? "").split(separator: " ").map(String.init)
    }
}

/// Nanoseconds since 1970 as RFC 3339 in UTC.
func timestamp(_ realNanoseconds: Int64) -> String {
    var writer = ByteWriter(capacityBytes: 40)
    writer.time(realNanoseconds: realNanoseconds)
    return String(decoding: writer.bytes, as: UTF8.self)
}
