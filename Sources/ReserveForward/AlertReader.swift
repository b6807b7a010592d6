// SPDX-License-Identifier: Apache-2.0

import CLinux
import ReserveBox
import ReserveModel
import ReserveRecord
import ReserveSinks

/// What was read so far, and told: with this a later run goes on where this one was.
struct ReadState: Equatable {
    struct Track: Equatable {
        var incident: UInt32 = 0
        var told: UInt32 = 0
        var level = Alert.Level.resolved
    }

    var bootID = ""
    /// The writer of the box; nil: none was read yet.
    var writer: BoxFollower.Writer?
    /// nil: not known.
    var tracks: [Track?] = [nil, nil]
    /// Of each track the last alert of the incident that stands.
    var open: [AlertEvent?] = [nil, nil]

    /// Takes an alert over that was told.
    mutating func take(_ event: AlertEvent) {
        let index = Int(event.track.rawValue)
        open[index] = event.isFiring ? event : nil
        guard !event.cause.isLatest else { return }
        tracks[index] = Track(incident: event.incident, told: event.told, level: event.level)
    }
}

/// Records in, alerts out.
///
/// What is told, and when, is the agent's word: it publishes where its alerts stand
/// (`RW_AGENT_STANDING`) in the turn in which they change. The model here runs beside it, on the
/// same records, for what explains the alert. A reader that came late, or lost records, could
/// count incidents otherwise; the agent's word does not change by that.
struct AlertReader: ~Copyable, BoxSink {
    private(set) var state: ReadState
    /// Alerts that are to be put into the queue.
    private(set) var events: [AlertEvent] = []
    /// Whether the state is another one than the queue knows from alerts.
    private(set) var isStateNews = false
    /// Lines that the agent told and that were overwritten before they were read; and incidents
    /// of which nothing was read at all.
    private(set) var missedLines: UInt64 = 0
    private(set) var missedIncidents: UInt64 = 0

    private var model = Model(policy: Policy())
    private var notices = NoticeQueue(capacity: 512)
    private var lines = AlertLines()
    /// What the model itself would tell, of this turn.
    private var pending: [Notice?] = [nil, nil]
    private var atOpening: Standing?
    /// Alerts that the box keeps from before the first record of its ring.
    private var keptAtOpening: [(told: ToldAlert, bootNanoseconds: UInt64)] = []
    private let bootID: String

    /// - Parameter bootID: of this host now.
    init(state: ReadState, bootID: String) {
        self.state = state
        self.bootID = bootID
    }

    mutating func takeEvents() -> [AlertEvent] {
        isStateNews = false
        defer { events.removeAll() }
        return events
    }

    // MARK: boxes

    mutating func begin(_ facts: BoxFacts, isSameWriter: Bool) {
        model = Model(policy: Policy())
        pending = [nil, nil]
        atOpening = nil
        keptAtOpening = []
        guard !isSameWriter else { return }
        let isSameBoot = state.bootID == facts.bootID
        for event in state.open.compactMap({ $0 }) {
            end(
                event, isSameBoot ? .agentRestarted : .hostRestarted,
                at: isSameBoot ? facts.createdBootNanoseconds : 0)
        }
        state.bootID = facts.bootID
        state.writer = BoxFollower.Writer(facts)
        state.tracks = [nil, nil]
        isStateNews = true
    }

    mutating func state(_ record: UnsafeRawBufferPointer) {
        let event = RecordDecoder.decode(record)
        model.apply(event, notices: &notices)
        notices.removeAll()
        switch event.body {
        case .standing(let standing): atOpening = standing
        case .told(let told): keptAtOpening.append((told, event.bootNanoseconds))
        default: break
        }
    }

    mutating func statesEnded() {
        // Of an agent that is read for the first time only what stands is told.
        for kept in keptAtOpening where state.tracks[Int(kept.told.track.track.rawValue)] != nil {
            settle(kept.told.track, at: kept.bootNanoseconds, .kept, kept.told)
        }
        keptAtOpening = []
        guard let standing = atOpening else { return }
        settle(standing, at: model.picture.nowBootNanoseconds, .found)
    }

    mutating func record(_ record: UnsafeRawBufferPointer) {
        let event = RecordDecoder.decode(record)
        model.apply(event, notices: &notices)
        for index in notices.indices {
            if case .alert(let alert) = notices[index].body {
                pending[Int(alert.track.rawValue)] = notices[index]
            }
        }
        if !notices.isEmpty { notices.removeAll() }
        guard case .standing(let standing) = event.body else { return }
        settle(standing, at: event.bootNanoseconds, .told)
        pending = [nil, nil]
    }

    // MARK: what is new

    private mutating func settle(
        _ standing: Standing, at now: UInt64, _ cause: AlertEvent.Cause
    ) {
        model.follow(standing)
        for index in 0..<2 {
            let track = standing.tracks[index]
            guard Int(track.track.rawValue) == index else { continue }
            settle(track, at: now, cause)
        }
    }

    private mutating func settle(
        _ track: Standing.Track, at now: UInt64, _ cause: AlertEvent.Cause, _ kept: ToldAlert? = nil
    ) {
        let index = Int(track.track.rawValue)
        let seen = ReadState.Track(
            incident: track.incident, told: track.told, level: track.level)
        guard let before = state.tracks[index] else {
            // The first that is known of this agent: what stands is told, what was over is not.
            state.tracks[index] = seen
            isStateNews = true
            if track.level > .resolved {
                tell(track, track.told == 1 ? cause : .found, at: now, missed: 0)
            }
            return
        }
        guard (seen.incident, seen.told) > (before.incident, before.told) else { return }
        var missed = UInt64(seen.told) &- 1
        if seen.incident == before.incident {
            missed = UInt64(seen.told - before.told) - 1
        } else {
            missedIncidents &+= UInt64(seen.incident - before.incident) - 1
            if let open = state.open[index] {
                end(open, .unseen, at: track.sinceBootNanoseconds)
            }
        }
        missedLines &+= missed
        tell(track, cause, at: now, missed: missed, kept)
    }

    private mutating func tell(
        _ track: Standing.Track, _ cause: AlertEvent.Cause, at now: UInt64, missed: UInt64,
        _ kept: ToldAlert? = nil
    ) {
        let index = Int(track.track.rawValue)
        var alert = model.presentAlert(track.track, track, at: now)
        var time = now
        if cause == .told, let notice = pending[index], case .alert(let own) = notice.body,
            own.level == alert.level
        {
            // As the agent's own line has it.
            alert.reasons = own.reasons
            alert.findings = own.findings
            time = notice.bootNanoseconds
        }
        if let kept {
            alert.reasons = kept.reasons
            alert.findings = kept.findings
        }
        var event = AlertEvent()
        event.cause = cause
        event.missed = missed
        describe(alert, told: track.told, at: time, kept?.state, &event)
        let open = state.open[index]
        if alert.peak == .critical {
            let isKnown = open?.incidentKey == event.incidentKey
            event.criticalSince =
                (isKnown ? open?.criticalSince : nil)
                ?? (alert.level == .critical ? event.time : event.since)
        }
        add(event)
    }

    /// An incident whose end nobody saw: it is over by then at the latest.
    ///
    /// - Parameter bootNanoseconds: 0: with the host's boot.
    private mutating func end(
        _ open: AlertEvent, _ cause: AlertEvent.Cause, at bootNanoseconds: UInt64
    ) {
        var event = open
        event.cause = cause
        event.level = .resolved
        event.missed = 0
        event.reasons = []
        event.findings = []
        event.verdict = "unknown"
        let end = Int64(clamping: bootNanoseconds) &+ rw_realtime_offset_ns()
        event.time = max(end, open.since)
        if bootNanoseconds > 0 { event.timeBootNanoseconds = bootNanoseconds }
        event.writeEnd()
        add(event)
    }

    private mutating func add(_ event: AlertEvent) {
        events.append(event)
        state.take(event)
    }

    // MARK: what it says

    /// - Parameter kept: how the host was; its figures of that moment are gone, and those of now
    ///   explain nothing.
    private mutating func describe(
        _ alert: Alert, told: UInt32, at now: UInt64, _ kept: HostState?, _ event: inout AlertEvent
    ) {
        var picture = model.picture
        if let kept {
            picture = Picture()
            picture.host = model.picture.host
            picture.nowBootNanoseconds = now
            picture.verdict.state = kept
        }
        // The agent knows the clock as it was at its start, which may have been before it was
        // set. Of this boot we know better.
        let isThisBoot = picture.host.map { text($0.bootID) == bootID } ?? false
        if isThisBoot { picture.host?.realtimeOffsetNanoseconds = rw_realtime_offset_ns() }
        let offset = picture.host?.realtimeOffsetNanoseconds ?? rw_realtime_offset_ns()
        lines.write(
            Notice(
                bootNanoseconds: now, severity: alert.level.severity, body: .alert(alert)),
            picture: picture)
        event.json = String(decoding: lines.line(isJSON: true).dropLast(), as: UTF8.self)
        event.sentence = String(decoding: lines.sentence, as: UTF8.self)
        event.host = picture.host.map { text($0.host) } ?? ""
        event.bootID = picture.host.map { text($0.bootID) } ?? state.bootID
        event.run = state.writer.map { "\($0.pid)-\($0.startTicks)" } ?? ""
        event.track = alert.track
        event.level = alert.level
        event.peak = alert.peak
        event.incident = alert.incident
        event.told = told
        event.sinceBootNanoseconds = alert.sinceBootNanoseconds
        event.since = Int64(clamping: alert.sinceBootNanoseconds) &+ offset
        event.timeBootNanoseconds = now
        event.time = Int64(clamping: now) &+ offset
        event.verdict = "\(picture.verdict.state.word)"
        for index in 0..<10 where alert.reasons.contains(Alert.Reasons.all[index]) {
            event.reasons.append("\(Alert.Reasons.all[index].word)")
        }
        if alert.track == .pressure, alert.level > .resolved {
            let findings = alert.findings
            event.findings = [
                "lost_wire", "\(findings.lostWire.word)",
                "dead_receive_path", "\(findings.deadReceivePath.word)",
                "silent_server", "\(findings.silentServer.word)",
            ]
        }
        event.advice = "\(alert.reasons.advice)"
        if kept != nil { event.writeLine(toldBefore: told > 0 ? told - 1 : 0) }
    }

    private func text(_ text: FixedText) -> String {
        plainText(String(decoding: (0..<text.count).map { text[$0] }, as: UTF8.self))
    }
}

extension AlertEvent {
    /// The line and the sentence of an end that the agent did not tell.
    fileprivate mutating func writeEnd() {
        let why: String
        switch cause {
        case .told, .found, .kept, .test: return
        case .unseen: why = "the agent tells of a later incident"
        case .agentRestarted: why = "another agent watches since then"
        case .hostRestarted: why = "the host was booted anew"
        }
        advice = "read back what happened: reservewatch replay"
        sentence =
            "RESOLVED \(track.word) #\(incident): it was \(peak.word) at its worst; when it ended "
            + "is not known: \(why); do: \(advice)"
        writeLine(toldBefore: told)
    }

    /// A line without evidence: of what no agent told, or of what was told long ago.
    mutating func writeLine(toldBefore: UInt32) {
        var alert: [(String, JSONDocument)] = [
            ("track", .string("\(track.word)")), ("level", .string("\(level.word)")),
            ("incident", .number(UInt64(incident))), ("peak", .string("\(peak.word)")),
            ("since_boot_ns", .number(sinceBootNanoseconds)),
            ("told", .number(UInt64(toldBefore))), ("reasons", .array(reasons.map { .string($0) })),
            ("verdict", .string(verdict)),
        ]
        for index in stride(from: 0, to: findings.count - 1, by: 2) {
            alert.append((findings[index], .string(findings[index + 1])))
        }
        alert.append(("advice", .string(advice)))
        let line = JSONDocument.object([
            ("schema", .number(JSONLines.schemaVersion)), ("time", .string(timestamp(time))),
            ("boot_ns", .number(timeBootNanoseconds)), ("host", .string(host)),
            ("boot_id", .string(bootID)), ("kind", .string("alert")),
            ("severity", .string("\(level.severity.word)")), ("alert", .object(alert)),
        ])
        json = String(decoding: line.bytes.dropLast(), as: UTF8.self)
    }
}
