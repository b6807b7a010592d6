// SPDX-License-Identifier: Apache-2.0

import Foundation
import ReserveModel
import Testing

@testable import ReserveForward

/// A place and what waits for it, with a clock that is set by hand.
private struct Alertmanager {
    var plan = StandingPlan()
    var place = Place(next: 1)
    var waiting: [AlertEvent] = []
    var now: Int64 = 2000 * Sample.second
    var lastSent: Int64 = 0

    mutating func put(_ event: AlertEvent) {
        var event = event
        event.sequence = UInt64(waiting.count) + 1
        waiting.append(event)
    }

    var next: (posting: Posting?, wake: Int64?) {
        plan.next(
            place, event: waiting.first { $0.sequence >= place.next },
            later: { sequence in waiting.drop { $0.sequence <= sequence } }, now: now,
            lastSent: lastSent)
    }

    /// Posts what is due, and has it acknowledged.
    mutating func post() -> Posting? {
        guard let posting = next.posting else { return nil }
        place.acknowledge(posting, at: now)
        lastSent = now
        return posting
    }
}

@Suite struct StandingPlanTests {
    @Test func whatStandsIsToldAgainAndEndsOnce() throws {
        var manager = Alertmanager()
        manager.put(Sample.event(.critical))
        guard case .firing = manager.post() else { Issue.record("not told"); return }
        #expect(manager.next.posting == nil)
        #expect(manager.next.wake == manager.now + manager.plan.resendNanoseconds)
        for _ in 0..<5 {
            manager.now += manager.plan.resendNanoseconds
            #expect(manager.post() == .again)
        }
        manager.put(Sample.event(.resolved, told: 2, at: 2400, peak: .critical))
        guard case .resolved(let event) = manager.post() else { Issue.record("no end"); return }
        #expect(event.time == 2400 * Sample.second)
        manager.now += 10 * manager.plan.resendNanoseconds
        #expect(manager.post() == nil && manager.next.wake == nil)
    }

    @Test func anEndIsHeldBackUntilAlertmanagerHasToldOfTheBegin() {
        var manager = Alertmanager()
        manager.put(Sample.event(.critical))
        manager.put(Sample.event(.resolved, told: 2, peak: .critical))
        _ = manager.post()
        #expect(manager.next.posting == nil)
        manager.now += manager.plan.holdNanoseconds - 1
        _ = manager.post()
        #expect(manager.place.next == 2)
        manager.now += 1
        guard case .resolved = manager.post() else { Issue.record("no end"); return }
        #expect(manager.place.next == 3)
    }

    @Test func theWorstOfABacklogIsHeldThoughMoreIsOverBehindIt() {
        var manager = Alertmanager()
        manager.put(Sample.event(.critical))
        manager.put(Sample.event(.resolved, told: 2, peak: .critical))
        manager.put(Sample.event(.warning, incident: 2, since: 1100))
        manager.put(Sample.event(.resolved, incident: 2, told: 2, since: 1100, peak: .warning))
        manager.put(Sample.event(.warning, incident: 3, since: 1200))
        guard case .firing = manager.post() else { Issue.record("not told"); return }
        // A warning that stands waits for a critical that nobody has heard of.
        #expect(manager.next.posting == nil)
        #expect(manager.next.wake == manager.now + manager.plan.holdNanoseconds)
        // What is as bad does not.
        manager.put(Sample.event(.critical, incident: 3, told: 2, since: 1200))
        guard case .resolved = manager.post() else { Issue.record("held back"); return }
    }

    @Test func whatIsUrgentDoesNotWaitForAnEndThatIsHeldBack() {
        var manager = Alertmanager()
        manager.put(Sample.event(.critical))
        manager.put(Sample.event(.resolved, told: 2, peak: .critical))
        _ = manager.post()
        manager.put(Sample.event(.warning, track: .exposure))
        #expect(manager.next.posting == nil, "a standing condition can wait a minute")
        manager.put(Sample.event(.critical, incident: 2, since: 1900))
        guard case .resolved = manager.post() else { Issue.record("no end"); return }
        guard case .firing(let exposure, _, _) = manager.post() else {
            Issue.record("none"); return
        }
        #expect(exposure.track == .exposure)
        guard case .firing(let second, let ends, _) = manager.post() else {
            Issue.record("none")
            return
        }
        #expect(second.incident == 2 && ends == nil)
    }

    @Test func anIncidentThatWasOverBeforeItWasToldIsToldFirst() {
        var manager = Alertmanager()
        manager.put(Sample.event(.resolved, told: 3, peak: .critical))
        guard case .firing(_, nil, isAhead: true) = manager.post() else {
            Issue.record("not told")
            return
        }
        #expect(manager.place.next == 1)
        #expect(manager.next.posting == nil)
        manager.now += manager.plan.holdNanoseconds
        guard case .resolved = manager.post() else { Issue.record("no end"); return }
        #expect(manager.place.next == 2)
    }

    @Test func anIncidentWhoseEndIsMissingEndsWithTheNext() {
        var manager = Alertmanager()
        manager.put(Sample.event(.critical))
        _ = manager.post()
        manager.put(Sample.event(.warning, incident: 2, since: 1500))
        guard case .firing(let second, let ends, _) = manager.post() else {
            Issue.record("none")
            return
        }
        #expect(second.incident == 2 && ends?.incident == 1)
    }

    @Test func afterARestartWhatStandsIsToldAtOnce() {
        var manager = Alertmanager()
        manager.put(Sample.event(.critical))
        _ = manager.post()
        manager.lastSent = 0
        #expect(manager.post() == .again)
    }

    @Test func aClockThatIsSetBackHoldsNothingUp() {
        var manager = Alertmanager()
        manager.put(Sample.event(.critical))
        _ = manager.post()
        manager.put(Sample.event(.resolved, told: 2, peak: .critical))
        manager.now -= 1_000_000 * Sample.second
        #expect(manager.post() == .again)
        manager.now += manager.plan.holdNanoseconds
        guard case .resolved = manager.post() else {
            Issue.record("it is held back for ever")
            return
        }
    }
}

@Suite struct AlertmanagerBodyTests {
    private let now = 5000 * Sample.second

    private func alerts(_ posting: Posting, _ place: Place = Place(next: 1)) throws
        -> [[String: Any]]
    {
        let bytes = AlertmanagerBody().bytes(posting, place, Delivery(now: now))
        return try #require(
            try JSONSerialization.jsonObject(with: Data(bytes)) as? [[String: Any]])
    }

    private func labels(_ alert: [String: Any]) -> [String: String] {
        alert["labels"] as? [String: String] ?? [:]
    }

    @Test func labelsAreTheSameForAsLongAsItLastsAndForTheNext() throws {
        var first = Sample.event(.critical)
        var later = Sample.event(.critical, incident: 2, told: 9, since: 4000)
        first.verdict = "deadlocked"
        later.reasons = ["failing"]
        let one = try alerts(.firing(first, ends: nil, isAhead: false)).map(labels)
        let other = try alerts(.firing(later, ends: nil, isAhead: false)).map(labels)
        #expect(one == other)
        #expect(
            one.last == [
                "alertname": "ReserveWatchAlert", "host": "lab", "track": "pressure",
                "severity": "critical",
            ])
    }

    @Test func aCriticalIncidentStandsAsAWarningAsWellEachSinceItsOwnTime() throws {
        var event = Sample.event(.critical, since: 1000, at: 1002)
        event.criticalSince = 1002 * Sample.second
        let both = try alerts(.firing(event, ends: nil, isAhead: false))
        #expect(both.map { labels($0)["severity"] } == ["warning", "critical"])
        #expect(both[0]["startsAt"] as? String == "1970-01-01T00:16:40.000000000Z")
        #expect(both[1]["startsAt"] as? String == "1970-01-01T00:16:42.000000000Z")
        #expect(both[0]["endsAt"] as? String == "1970-01-01T02:23:20.000000000Z")
        var warning = Sample.event(.warning)
        warning.peak = .warning
        #expect(try alerts(.firing(warning, ends: nil, isAhead: false)).count == 1)
    }

    @Test func anEndIsToldWithItsTrueTime() throws {
        let event = Sample.event(.resolved, told: 2, at: 1010, peak: .critical)
        let both = try alerts(.resolved(event))
        #expect(both.count == 2)
        #expect(both.allSatisfy { $0["endsAt"] as? String == "1970-01-01T00:16:50.000000000Z" })
    }

    @Test func nothingEndsBeforeItBegins() throws {
        let ahead = Sample.event(.warning, since: 9000, at: 9000)
        let firing = try alerts(.firing(ahead, ends: nil, isAhead: false))
        #expect(firing[0]["endsAt"] as? String == "1970-01-01T03:30:00.000000000Z")
        var over = Sample.event(.resolved, since: 9000, at: 8000, peak: .warning)
        over.cause = .agentRestarted
        let resolved = try alerts(.resolved(over))
        #expect(resolved[0]["endsAt"] as? String == resolved[0]["startsAt"] as? String)
        let annotations = try #require(resolved[0]["annotations"] as? [String: String])
        #expect(annotations["ended"]?.hasPrefix("not known") == true)
    }

    @Test func hostileTextStaysText() throws {
        var event = Sample.event(.warning)
        event.host = "a\",\"severity\":\"none\u{7}\u{202e}"
        event.sentence = "x\u{0}\n<script>{{ .Labels }}"
        let alert = try alerts(.firing(event, ends: nil, isAhead: false))[0]
        #expect(labels(alert)["severity"] == "warning")
        #expect(labels(alert).count == 4)
    }
}
