// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import ReserveRecord
import ReserveSinks

/// The way of alerts to one destination: in their order, one attempt at a time, each until it was
/// acknowledged or given up. Lanes know nothing of each other.
struct Lane {
    private enum Phase {
        case idle
        case sending(Posting)
        case waiting(until: UInt64)
    }

    /// As it is configured, and where it leads: the labels of its metrics.
    let name: String
    let endpoint: String
    private(set) var place: Place
    private(set) var account = Account()
    private let plan: Plan
    private let body: MessageBody
    private let transport: any Transport
    private let backoff: Backoff
    private let placePath: String
    private let checksum = Checksum()
    private var phase = Phase.idle
    private var failures = 0
    private var failingSince: UInt64 = 0
    private var lastSent: Int64 = 0
    /// When there is something to do without news: boot nanoseconds.
    private(set) var wake: UInt64?
    private var messages: [String] = []
    private var placeTrouble: Int32 = 0

    /// Since the start of this process.
    struct Account: Equatable {
        var sent: UInt64 = 0
        var failed: [FailureCause: UInt64] = [:]
        var dropped: [DropCause: UInt64] = [:]
    }

    init(
        name: String, endpoint: String, place: Place, placePath: String, plan: Plan,
        body: MessageBody,
        transport: any Transport, backoff: Backoff
    ) {
        self.name = name
        self.endpoint = endpoint
        self.place = place
        self.placePath = placePath
        self.plan = plan
        self.body = body
        self.transport = transport
        self.backoff = backoff
    }

    mutating func takeMessages() -> [String] {
        defer { messages.removeAll() }
        return messages
    }

    var descriptors: [pollfd] { transport.descriptors }

    /// One turn: takes in how the attempt went, begins the next where one is due.
    mutating func turn(_ queue: AlertQueue, absence: String?, now: UInt64) {
        wake = nil
        switch phase {
        case .sending(let posting):
            guard let outcome = transport.outcome(now: now) else {
                wake = transport.deadline
                return
            }
            settle(posting, outcome, now)
        case .waiting(let until):
            guard now >= until else {
                wake = until
                // What is given up meanwhile need not wait for the next attempt.
                skip(queue, now)
                return
            }
            phase = .idle
        case .idle: break
        }
        skip(queue, now)
        // As many as are settled at once, within bounds: others have their turn.
        for _ in 0..<16 {
            guard case .idle = phase, begin(queue, absence: absence, now: now) else { return }
        }
        wake = now
    }

    /// Passes over what the queue does not have any more, or that is too old.
    private mutating func skip(_ queue: AlertQueue, _ now: UInt64) {
        let before = place
        let known = max(place.next, min(queue.firstSequence, queue.nextSequence))
        drop(.room, known - place.next)
        place.next = known
        while let event = queue.event(from: place.next) {
            drop(.damaged, event.sequence - place.next)
            place.next = event.sequence
            if queue.isTooOld(event, now: now) {
                drop(.age, 1)
            } else if plan.wants(event) {
                break
            }
            place.next += 1
        }
        while let event = place.opening.first, !plan.wants(event) { place.pass(event) }
        if place != before { save() }
    }

    private mutating func drop(_ cause: DropCause, _ count: UInt64) {
        guard count > 0 else { return }
        account.dropped[cause, default: 0] += count
        place.untoldDrops += count
        messages.append(
            "\(label): \(count) alert\(count == 1 ? "" : "s") given up: \(cause.words)")
    }

    /// - Returns: whether something was begun and settled at once.
    private mutating func begin(
        _ queue: AlertQueue, absence: String?, now: UInt64
    ) -> Bool {
        let real = Int64(clamping: now) &+ rw_realtime_offset_ns()
        let (posting, due) = plan.next(
            place, event: place.opening.first ?? queue.event(from: place.next),
            later: queue.events(after:), now: real,
            lastSent: lastSent)
        guard let posting else {
            wake = due.map { now &+ UInt64(clamping: $0 - real) }
            return false
        }
        phase = .sending(posting)
        guard
            let outcome = transport.start(message(posting, absence: absence, real: real), now: now)
        else {
            wake = transport.deadline
            return false
        }
        settle(posting, outcome, now)
        return true
    }

    private func message(_ posting: Posting, absence: String?, real: Int64) -> Message {
        body.message(
            posting, place,
            Delivery(
                destination: name, attempt: failures + 1, drops: place.untoldDrops,
                absence: absence, now: real))
    }

    private mutating func settle(_ posting: Posting, _ outcome: Outcome, _ now: UInt64) {
        phase = .idle
        let real = Int64(clamping: now) &+ rw_realtime_offset_ns()
        let before = place
        switch outcome {
        case .delivered:
            tellRecovery(now)
            lastSent = real
            place.acknowledge(posting, at: real)
            account.sent += place.passed(since: before)
            save()
        case .failed(let cause, let why, let wanted):
            account.failed[cause, default: 0] += 1
            failures += 1
            if failures == 1 {
                failingSince = now
                messages.append("\(label): \(why); tried again until it is taken")
            }
            var generator = SystemRandomNumberGenerator()
            let delay = backoff.delay(failures: failures, atLeast: wanted, using: &generator)
            phase = .waiting(until: now &+ delay)
            wake = now &+ delay
        case .refused(let why):
            messages.append("\(label): an alert was refused: \(why)")
            if place.giveUp(posting) {
                drop(.refused, place.passed(since: before))
                save()
            } else {
                // What stands is told again at its time: refused or not, it is not less true.
                account.failed[.status4xx, default: 0] += 1
                lastSent = real
            }
        }
    }

    private mutating func tellRecovery(_ now: UInt64) {
        guard failures > 0 else { return }
        messages.append(
            "\(label): takes alerts again, after \(failures) attempts in "
                + "\((now - failingSince) / 1_000_000_000) s")
        failures = 0
    }

    private mutating func save() {
        let failure = FrameFile.replace(placePath, place.bytes(checksum))
        if failure != placeTrouble, failure != 0 {
            messages.append(
                "cannot write \(placePath): \(words(failure)); after a restart \(name) may get "
                    + "alerts twice")
        }
        placeTrouble = failure
    }

    /// Goes on counting where another lane to the same place stopped.
    mutating func goOn(from other: Lane) { account = other.account }

    /// Gives the attempt up; its alert stays in the queue.
    func abandon() { transport.abandon() }

    /// Alerts that it does not have yet.
    func waitingCount(_ queue: AlertQueue) -> Int {
        place.opening.count + queue.waiting.count { $0.sequence >= place.next }
    }

    /// How long the oldest of them has been in the queue; 0: none is.
    func oldestAge(_ queue: AlertQueue, now: UInt64) -> UInt64 {
        (place.opening.first ?? queue.event(from: place.next)).map {
            queue.age(of: $0, now: now)
        } ?? 0
    }

    private var label: String { endpoint.isEmpty ? name : "\(name) (\(endpoint))" }
}

extension DropCause {
    fileprivate var words: String {
        switch self {
        case .refused: return "it will never be taken"
        case .room: return "the queue had no room (QueueMaxBytes=)"
        case .age: return "it waited too long (QueueMaxAge=)"
        case .damaged: return "the queue was damaged there"
        }
    }
}
