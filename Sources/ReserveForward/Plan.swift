// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// What a destination is to get next.
enum Posting: Equatable {
    /// An alert, to a place that gets each once.
    case event(AlertEvent)
    /// An incident stands: to a place that keeps what it is told, and must be told again.
    ///
    /// - Parameters:
    ///   - ends: an incident with the same labels whose end was not told; it is over by then.
    ///   - isAhead: the alert itself says that it is over; this comes before that.
    case firing(AlertEvent, ends: AlertEvent?, isAhead: Bool)
    case resolved(AlertEvent)
    /// All that stands, again.
    case again
}

/// What comes next, and when: decided from the place and the queue alone.
enum Plan: Equatable, Sendable {
    /// Each alert, once: those of incidents that got as bad as this.
    case events(from: Alert.Level)
    /// Alertmanager: what stands is told again and again, so that its end can be told apart from
    /// our own.
    case standing(StandingPlan)

    /// Others are passed over.
    func wants(_ event: AlertEvent) -> Bool {
        guard case .events(let least) = self else { return true }
        return (event.isFiring ? event.level : event.peak) >= least
    }

    func next(
        _ place: Place, event: AlertEvent?, later: (UInt64) -> ArraySlice<AlertEvent>, now: Int64,
        lastSent: Int64
    ) -> (posting: Posting?, wake: Int64?) {
        switch self {
        case .events: return (event.map { .event($0) }, nil)
        case .standing(let plan):
            return plan.next(place, event: event, later: later, now: now, lastSent: lastSent)
        }
    }
}

struct StandingPlan: Equatable, Sendable {
    /// Between two times that what stands is told again.
    var resendNanoseconds: Int64 = 60_000_000_000
    /// How long the other side holds it for true when it hears nothing more.
    var expireNanoseconds: Int64 = 3_600_000_000_000
    /// The shortest time that an incident stands there, from its first acknowledgement on.
    /// Alertmanager waits (`group_wait`) before it tells anybody, and never tells of an alert
    /// that is over by then: a stall that froze us as well would be told to nobody.
    var holdNanoseconds: Int64 = 60_000_000_000

    /// - Parameters:
    ///   - event: the first that it does not have.
    ///   - later: what comes after a sequence.
    ///   - now: nanoseconds since 1970, as is `wake`, when to ask again without news.
    func next(
        _ place: Place, event: AlertEvent?, later: (UInt64) -> ArraySlice<AlertEvent>, now: Int64,
        lastSent: Int64
    ) -> (posting: Posting?, wake: Int64?) {
        var wake: Int64?
        if let event {
            let standing = place.asserted[Int(event.track.rawValue)]
            let isSame = standing?.event.incidentKey == event.incidentKey
            if event.isFiring || !isSame {
                let ends = isSame ? nil : standing?.event
                return (.firing(event, ends: ends, isAhead: !event.isFiring), nil)
            }
            let isUrgent = Self.hasUrgent(later(event.sequence), behind: event)
            // A clock that was set back must not hold it for longer than that.
            let since = max(0, now - (standing?.firstAcknowledged ?? 0))
            if isUrgent || since >= holdNanoseconds { return (.resolved(event), nil) }
            wake = now + holdNanoseconds - since
        }
        guard place.asserted.contains(where: { $0 != nil }) else { return (nil, wake) }
        // Not told since our start, or the clock was set back: now.
        let due = lastSent > now ? now : lastSent + resendNanoseconds
        if due <= now { return (.again, nil) }
        return (nil, min(wake ?? due, due))
    }
}

extension StandingPlan {
    /// Whether something stands behind an end that must not wait for it: as bad as this incident
    /// was, or pressure behind another track's. What is over as well may wait: of a stall that
    /// froze us all that came of it is read at once, and its worst must be told to somebody.
    private static func hasUrgent(_ later: ArraySlice<AlertEvent>, behind end: AlertEvent) -> Bool {
        if end.track != .pressure, later.last(where: { $0.track == .pressure })?.isFiring == true {
            return true
        }
        guard let last = later.last(where: { $0.track == end.track }) else { return false }
        return last.isFiring && last.level >= end.peak
    }
}

extension Place {
    /// Takes in that a posting was acknowledged.
    mutating func acknowledge(_ posting: Posting, at now: Int64) {
        lastSuccess = now
        switch posting {
        case .event(let event):
            pass(event)
            untoldDrops = 0
        case .firing(let event, _, let isAhead):
            let index = Int(event.track.rawValue)
            let first =
                asserted[index].flatMap {
                    $0.event.incidentKey == event.incidentKey ? $0.firstAcknowledged : nil
                }
            asserted[index] = Asserted(event: event, firstAcknowledged: first ?? now)
            if !isAhead { pass(event) }
            untoldDrops = 0
        case .resolved(let event):
            asserted[Int(event.track.rawValue)] = nil
            pass(event)
        case .again:
            // A clock that was set back would hold an end back for as long.
            for index in asserted.indices where asserted[index] != nil {
                let first = asserted[index]?.firstAcknowledged ?? now
                asserted[index]?.firstAcknowledged = min(first, now)
            }
        }
    }

    /// Takes in that a posting will never be taken.
    mutating func giveUp(_ posting: Posting) -> Bool {
        switch posting {
        case .event(let event), .firing(let event, _, _), .resolved(let event):
            pass(event)
            if case .resolved = posting { asserted[Int(event.track.rawValue)] = nil }
            return true
        case .again: return false
        }
    }
}
