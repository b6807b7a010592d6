// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// One event on its way to the screen.
public struct TopRecord {
    public var event: Event
    /// What was true before: to be known, not to be told.
    public var isState: Bool

    public init(event: Event, isState: Bool) {
        self.event = event
        self.isState = isState
    }
}

/// Where `top` has its events from: numbered one after another, as a recording or the store
/// of a live watch keeps them.
public struct TopSource {
    /// The numbers that can be had now; looks for new ones. A bounded store forgets its oldest.
    public var look: () -> Range<Int>
    /// nil: gone meanwhile, or damaged.
    public var record: (Int) -> TopRecord?
    public let isLive: Bool
    /// Bytes that are no records: damage in the middle, and a torn end.
    public var damagedBytes: () -> Int

    public init(
        isLive: Bool, look: @escaping () -> Range<Int>,
        record: @escaping (Int) -> TopRecord?,
        damagedBytes: @escaping () -> Int
    ) {
        self.isLive = isLive
        self.look = look
        self.record = record
        self.damagedBytes = damagedBytes
    }
}

/// Goes through events forward and back: the picture at any moment is modelled from the
/// nearest earlier one that was kept.
public final class TopPlayer {
    private struct Moment {
        var position: Int
        /// Boots that ended before it, and CLOCK_BOOTTIME of its own.
        var boot: Int
        var bootNanoseconds: UInt64
        var model: Model
        var history: TopHistory
        var rates: TopRates
    }

    private let source: TopSource
    private(set) var model: Model
    private(set) var history = TopHistory()
    private(set) var rates = TopRates()
    private(set) var log = TopEventLog()
    /// The event that comes next.
    private(set) var position: Int
    private var available: Range<Int>
    /// By position, which is by time within a boot.
    private var kept: [Moment] = []
    /// The boot that is shown: how many ended before it.
    private var boot = 0
    private var spacing: UInt64 = TopPlayer.closest
    private var notices = NoticeQueue(capacity: 512)
    private let start: Moment
    /// Whether the last event said that the watch ended.
    private(set) var hasStopped = false

    private static let closest: UInt64 = 5_000_000_000
    private static let mostKept = 64

    public init(_ source: TopSource, policy: Policy) {
        self.source = source
        model = Model(policy: policy)
        available = source.look()
        position = available.lowerBound
        start = Moment(
            position: position, boot: 0, bootNanoseconds: 0, model: model, history: history,
            rates: rates)
    }

    public var isLive: Bool { source.isLive }
    var damagedBytes: Int { source.damagedBytes() }
    /// The moment that is shown.
    public var now: UInt64 { model.picture.nowBootNanoseconds }
    var isAtEnd: Bool { position >= available.upperBound }
    var progressPercent: Int {
        available.isEmpty ? 100 : (position - available.lowerBound) * 100 / available.count
    }

    /// Looks for new events; says how many were lost because the store forgot them.
    public func look() {
        available = source.look()
        // What lies before the oldest event cannot be played from any more.
        kept.removeAll(where: { $0.position < available.lowerBound })
        if kept.count < Self.mostKept / 4, spacing > Self.closest { spacing /= 2 }
        let gone = available.lowerBound - position
        guard gone > 0 else { return }
        position = available.lowerBound
        let event = Event(bootNanoseconds: now, cpu: 0, body: .skipped(UInt64(gone)))
        model.apply(event, notices: &notices)
        notices.removeAll()
    }

    /// Plays on up to a moment.
    public func advance(to moment: UInt64) {
        while position < available.upperBound {
            guard let record = source.record(position) else {
                position += 1
                continue
            }
            if record.event.bootNanoseconds > moment { return }
            if moment != .max, isOtherBoot(record.event) { return }
            apply(record)
        }
    }

    public func advanceToEnd() {
        advance(to: .max)
    }

    /// Plays the next event, whatever its time.
    func advanceOne() {
        guard !isAtEnd else { return }
        if let record = source.record(position) { apply(record) } else { position += 1 }
    }

    public func seek(to moment: UInt64) {
        if moment < now { restore(before: moment) }
        advance(to: moment)
    }

    /// Plays on to just behind the next turn of an incident; false: there is none.
    public func advanceToLandmark() -> Bool {
        while position < available.upperBound {
            guard let record = source.record(position) else {
                position += 1
                continue
            }
            let number = position
            apply(record)
            if landmark(atRecord: number) { return true }
        }
        return false
    }

    private func landmark(atRecord record: Int) -> Bool {
        var index = log.count(before: record + 1) - 1
        while index >= 0, log.entries[index].record == record {
            if log.entries[index].isLandmark { return true }
            index -= 1
        }
        return false
    }

    /// Back to the last turn of an incident before this moment; false: there is none.
    public func goBackToLandmark() -> Bool {
        var index = log.count(before: position) - 1
        while index >= 0 {
            let entry = log.entries[index]
            // The one that is shown is behind its own record.
            if entry.isLandmark, entry.record < position - 1 {
                restore(beforeRecord: entry.record)
                while position <= entry.record, position < available.upperBound {
                    guard let record = source.record(position) else {
                        position += 1
                        continue
                    }
                    apply(record)
                }
                return true
            }
            index -= 1
        }
        return false
    }

    /// Whether an event begins another boot: its clock begins anew.
    private func isOtherBoot(_ event: Event) -> Bool {
        guard case .host = event.body, model.picture.host != nil else { return false }
        return event.bootNanoseconds < now
    }

    /// Whether the next event begins another boot, at which ``advance(to:)`` stops.
    var isAtBorder: Bool {
        guard !isAtEnd, let record = source.record(position) else { return false }
        return isOtherBoot(record.event)
    }

    private func apply(_ record: TopRecord) {
        let event = record.event
        if case .host = event.body, model.picture.host != nil {
            // Another agent: nothing of the former one's totals is true any more.
            if isOtherBoot(event) {
                history = TopHistory()
                boot += 1
            }
            model = Model(policy: model.policy)
            rates = TopRates()
            keep(event.bootNanoseconds)
        } else if kept.last.map({ now >= $0.bootNanoseconds &+ spacing }) ?? true {
            keep(now)
        }
        model.apply(event, notices: &notices)
        if case .stopped = event.body { hasStopped = true } else { hasStopped = false }
        history.see(event, model.picture)
        rates.see(event, model.picture)
        if !record.isState { log.add(notices, record: position, model.picture) }
        notices.removeAll()
        position += 1
    }

    private func keep(_ bootNanoseconds: UInt64) {
        if let last = kept.last, position <= last.position { return }
        kept.append(
            Moment(
                position: position, boot: boot, bootNanoseconds: bootNanoseconds, model: model,
                history: history, rates: rates))
        guard kept.count > Self.mostKept else { return }
        // Every other goes; the first stays.
        var index = 1
        while index < kept.count {
            kept.remove(at: index)
            index += 1
        }
        spacing *= 2
    }

    /// Back within the boot that is shown, to its begin at the furthest.
    private func restore(before moment: UInt64) {
        let shown = boot
        let last = kept.last(where: { $0.boot == shown && $0.bootNanoseconds <= moment })
        restore(last ?? kept.last(where: { $0.boot < shown }) ?? kept.first)
        while boot < shown, !isAtEnd { advanceOne() }
    }

    private func restore(beforeRecord record: Int) {
        restore(kept.last(where: { $0.position <= record }) ?? kept.first)
    }

    private func restore(_ moment: Moment?) {
        let moment = moment ?? start
        guard moment.position >= available.lowerBound else { return }
        model = moment.model
        history = moment.history
        rates = moment.rates
        position = moment.position
        boot = moment.boot
    }
}
