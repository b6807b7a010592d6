// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ReserveModel

/// Recordings are input: whatever figures they hold, the model goes on.
@Suite struct LargeFigureTests {
    private var model = Model(policy: Policy())
    private var notices = NoticeQueue(capacity: 512)

    private mutating func send(_ body: Event.Body, at now: UInt64) {
        model.apply(Event(bootNanoseconds: now, cpu: 0, body: body), notices: &notices)
    }

    private var alerts: [Alert] {
        notices.indices.compactMap { index in
            if case .alert(let alert) = notices[index].body { alert } else { nil }
        }
    }

    @Test mutating func aClockThatGoesBackEndsNothing() {
        var zone = ZoneSample()
        zone.minPages = 100
        zone.lowPages = 125
        zone.freePages = 110
        zone.recentLowestFreePages = 110
        send(.zone(zone), at: 10_000_000_000)
        zone.freePages = 200
        zone.recentLowestFreePages = 200
        send(.zone(zone), at: 11_000_000_000)
        send(.zone(zone), at: 5_000_000_000)
        send(.tick, at: 12_000_000_000)
        #expect(model.picture.zones[0].freePages == 200)
    }

    @Test(arguments: [UInt64(1) << 63, .max]) mutating func aRequestAsOldAsCanBeIsToldOnce(
        age: UInt64
    ) {
        var device = NBDSample()
        device.inFlight = 1
        device.oldestNanoseconds = age
        send(.nbdDevice(device), at: 1)
        let stalls = notices.indices.count { index in
            if case .nbd(.stalled, _) = notices[index].body { true } else { false }
        }
        #expect(stalls == 1)
        #expect(model.picture.devices[0].worstOldestNanoseconds == age)
    }

    @Test mutating func asManyMissedEventsAsCanBeAreToldAsLoss() {
        send(.host(HostFacts()), at: 1)
        var counters = CounterTotals()
        counters.loss.missed = InlineArray(repeating: 0)
        counters.loss.missed?[1] = .max
        send(.counters(counters), at: 2)
        send(.tick, at: 2_000_000_000)
        let told = notices.indices.contains { index in
            if case .loss = notices[index].body { true } else { false }
        }
        #expect(told)
    }

    @Test mutating func aMarkAsHighAsCanBeIsCompared() {
        var zone = ZoneSample()
        zone.managedPages = 1
        zone.minPages = .max
        zone.lowPages = .max
        send(.zone(zone), at: 1)
        var node = NodeSample()
        node.pfmemallocReservePages = .max
        node.directReclaimAllowed = true
        for beat in UInt64(1)...10 {
            send(.node(node), at: beat * 100_000_000)
            send(.tick, at: beat * 100_000_000)
        }
        #expect(alerts.first?.reasons.contains(.draining) == true)
    }

    /// Told once more, the count of a standing that is full would be back at none.
    @Test mutating func anIncidentThatWasToldAsOftenAsCanBeIsToldAgain() {
        var standing = Standing()
        standing.state = .throttling
        standing.tracks[0].level = .warning
        standing.tracks[0].incident = 7
        standing.tracks[0].told = .max
        standing.tracks[1].track = .exposure
        send(.standing(standing), at: 1)
        var node = NodeSample()
        node.pfmemallocReservePages = 200
        node.directReclaimAllowed = false
        for beat in UInt64(1)...700 {
            send(.node(node), at: beat * 100_000_000)
            send(.tick, at: beat * 100_000_000)
        }
        node.freePages = 1000
        node.directReclaimAllowed = true
        for beat in UInt64(701)...800 {
            send(.node(node), at: beat * 100_000_000)
            send(.tick, at: beat * 100_000_000)
        }
        #expect(alerts.map(\.level) == [.warning, .resolved])
        #expect(alerts.allSatisfy { $0.incident == 7 && $0.told == .max - 1 })
    }

    @Test mutating func theLastMomentThereIsEndsNothing() {
        send(.host(HostFacts()), at: .max)
        send(.tick, at: .max)
        send(.host(HostFacts()), at: .max - 5)
        send(.tick, at: .max)
        send(.tick, at: 3)
        #expect(model.picture.nowBootNanoseconds == .max)
    }

    @Test func whatSocketsMayHoldIsAtMostAllThereIs() {
        var exposure = Exposure()
        exposure.tcpSockets = .max
        exposure.tcpReceiveMaximumBytes = 2
        exposure.tcpMemoryMaximumBytes = .max
        exposure.udpSockets = 2
        exposure.receiveDefaultBytes = .max
        exposure.udpMemoryMaximumBytes = .max
        exposure.receiveRingsBytes = 1
        #expect(exposure.receiveBoundBytes == .max)
        #expect(exposure.neededBytes == .max)
    }
}
