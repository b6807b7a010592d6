// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import ReserveModel
import ReserveSinks
import Testing

@testable import ReserveForward

/// A destination that does as it is told.
private final class Script: Transport {
    var outcomes: [Outcome?] = []
    var started: [String] = []
    private var pending = false

    func start(_ message: Message, now: UInt64) -> Outcome? {
        started.append(String(decoding: message.bytes, as: UTF8.self))
        pending = true
        return nil
    }

    func outcome(now: UInt64) -> Outcome? {
        guard pending, !outcomes.isEmpty, let outcome = outcomes.removeFirst() else { return nil }
        pending = false
        return outcome
    }

    func abandon() {}
}

private final class World {
    let scratch: Scratch
    let script = Script()
    var now: UInt64 = 1_000_000_000_000
    var messages: [String] = []

    init() throws { scratch = try Scratch() }

    func lane(_ place: Place = Place(next: 1)) -> Lane {
        Lane(
            name: "am", endpoint: "host:9093", place: place,
            placePath: scratch.path + "/am.place", plan: .standing(StandingPlan()),
            body: .alertmanager(AlertmanagerBody()), transport: script, backoff: Backoff())
    }

    func turn(_ lane: inout Lane, _ queue: AlertQueue, seconds: Double = 0) {
        now += UInt64(seconds * 1e9)
        lane.turn(queue, absence: nil, now: now)
        messages += lane.takeMessages()
    }
}

@Suite struct LaneTests {
    private func put(_ queue: AlertQueue, _ events: AlertEvent..., now: UInt64) {
        var state = ReadState()
        for event in events { state.take(event) }
        queue.append(events, state: state, now: now)
    }

    @Test func thePlaceIsWrittenAfterTheAcknowledgementAndNotBefore() throws {
        let world = try World()
        let queue = try world.scratch.queue()
        var lane = world.lane()
        put(queue, Sample.event(.critical), now: world.now)
        world.turn(&lane, queue)
        #expect(world.script.started.count == 1)
        #expect(Place(path: world.scratch.path + "/am.place") == nil)
        world.script.outcomes = [.delivered]
        world.turn(&lane, queue)
        #expect(Place(path: world.scratch.path + "/am.place")?.next == 2)
        #expect(lane.account.sent == 1)
    }

    @Test func whatFailedIsTriedAgainAtGrowingTimesInItsOrder() throws {
        let world = try World()
        let queue = try world.scratch.queue()
        var lane = world.lane()
        put(
            queue, Sample.event(.warning), Sample.event(.critical, told: 2), now: world.now)
        world.turn(&lane, queue)
        for attempt in 1...8 {
            world.script.outcomes = [.failed(.noConnection, "refused")]
            world.turn(&lane, queue)
            let wake = try #require(lane.wake)
            let whole = min(UInt64(1_000_000_000) << UInt64(attempt - 1), 60_000_000_000)
            #expect((whole / 2...whole).contains(wake - world.now), "attempt \(attempt)")
            world.turn(&lane, queue)
            #expect(world.script.started.count == attempt, "not before its time")
            world.now = wake
            world.turn(&lane, queue)
            #expect(world.script.started.count == attempt + 1)
        }
        #expect(
            Set(world.script.started.map { $0.contains("\"severity\":\"critical\"") }) == [false])
        #expect(world.messages.count == 1, "told once, and not each time: \(world.messages)")
        world.script.outcomes = [.delivered, .delivered]
        world.turn(&lane, queue)
        world.turn(&lane, queue)
        #expect(world.script.started.last?.contains("\"severity\":\"critical\"") == true)
        #expect(lane.place.next == 3)
        #expect(world.messages.last?.contains("takes alerts again, after 8 attempts") == true)
        #expect(lane.account.failed == [.noConnection: 8])
    }

    @Test func whatIsRefusedIsGivenUpCountedAndTold() throws {
        let world = try World()
        let queue = try world.scratch.queue()
        var lane = world.lane()
        put(queue, Sample.event(.warning), Sample.event(.critical, told: 2), now: world.now)
        world.script.outcomes = [.refused("status 400: no"), nil]
        world.turn(&lane, queue)
        world.turn(&lane, queue)
        #expect(lane.account.dropped == [.refused: 1])
        #expect(world.messages.contains { $0.contains("status 400: no") })
        #expect(world.script.started.count == 2)
        #expect(world.script.started[1].contains("\"dropped_before\":\"1\""))
        world.script.outcomes = [.delivered]
        world.turn(&lane, queue)
        #expect(lane.place.untoldDrops == 0 && lane.account.sent == 1)
    }

    @Test func whatTheQueueGaveUpOrLostIsCountedByCause() throws {
        let world = try World()
        var settings = AlertQueue.Settings()
        settings.mostNanoseconds = 3_600_000_000_000
        let queue = try world.scratch.queue(settings)
        var lane = world.lane()
        put(queue, Sample.event(.warning), Sample.event(.warning, told: 2), now: world.now)
        queue.forget(below: 2)
        world.script.outcomes = [nil]
        world.turn(&lane, queue)
        #expect(lane.account.dropped == [.room: 1])
        world.script.outcomes = [.failed(.timeout, "late")]
        world.turn(&lane, queue, seconds: 1)
        world.turn(&lane, queue, seconds: 3700)
        #expect(lane.account.dropped == [.room: 1, .age: 1])
        #expect(lane.place.next == 3)
        #expect(lane.waitingCount(queue) == 0)
    }

    @Test func theOtherSidesWishToWaitIsHeardWithinBounds() {
        var generator = SystemRandomNumberGenerator()
        let backoff = Backoff()
        let wish = backoff.delay(failures: 1, atLeast: 30_000_000_000, using: &generator)
        #expect(wish == 30_000_000_000)
        let mad = backoff.delay(failures: 1, atLeast: .max, using: &generator)
        #expect(mad == backoff.mostNanoseconds)
        for failures in 1...200 {
            let delay = backoff.delay(failures: failures, using: &generator)
            #expect(delay <= backoff.mostNanoseconds && delay >= 500_000_000)
        }
    }
}

@Suite struct OutcomeTests {
    @Test(arguments: [200, 202, 204]) func whatIsTakenIsDelivered(status: Int) {
        #expect(Outcome.ofHTTP(status: status, retryAfterNanoseconds: 0, body: "") == .delivered)
    }

    @Test(arguments: [400, 413, 422]) func whatTheMessageIsAtFaultForIsRefused(status: Int) {
        guard case .refused = Outcome.ofHTTP(status: status, retryAfterNanoseconds: 0, body: "")
        else {
            Issue.record("\(status)")
            return
        }
    }

    @Test(arguments: [
        (301, FailureCause.redirect), (308, .redirect), (401, .unauthorized), (403, .unauthorized),
        (404, .status4xx), (408, .status4xx), (429, .busy), (500, .status5xx), (503, .status5xx),
        (999, .status5xx),
    ])
    func theRestIsTriedAgain(status: Int, cause: FailureCause) {
        guard
            case .failed(let found, _, _) = Outcome.ofHTTP(
                status: status, retryAfterNanoseconds: 0, body: "")
        else {
            Issue.record("\(status)")
            return
        }
        #expect(found == cause)
    }
}
