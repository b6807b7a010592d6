// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ReserveModel

/// A host with one node of 2000 pages in reserve and swap on nbd0, fed by hand: each step is
/// a tenth of a second, as the watch's beat.
private struct Host {
    var model = Model(policy: Policy())
    var notices = NoticeQueue(capacity: 128)
    var step: UInt64 = 10
    var node = NodeSample()
    var zone = ZoneSample()
    var device = NBDSample()
    var counters = CounterTotals()
    var alerts: [Alert] = []
    var states: [HostState] = []

    init(path: Bool = true) {
        node.pfmemallocReservePages = 2000
        node.throttleLinePages = 1000
        node.waitersKnown = true
        zone.name = FixedName("Normal")
        zone.minPages = 2000
        zone.lowPages = 2500
        zone.highPages = 3000
        zone.managedPages = 50_000
        device.disk = FixedName("nbd0")
        device.phases = NBDSample.Phases()
        if path {
            var path = NBDSample.Path()
            path.sockets = 1
            path.carrier = .up
            path.link = FixedName("eth0")
            device.path = path
        }
        counters.nbdKnown = true
        counters.zonesKnown = true
        var facts = HostFacts()
        facts.pageSizeBytes = 4096
        send(.host(facts))
        var swap = SwapDevice()
        swap.path = FixedText()
        swap.nbdDisk = FixedName("nbd0")
        send(.swapDevice(swap))
        send(.swapTableRead)
        free = 10_000
    }

    var free: UInt64 {
        get { node.freePages }
        set {
            node.freePages = newValue
            zone.freePages = newValue
            zone.recentLowestFreePages = newValue
            node.directReclaimAllowed = newValue > node.throttleLinePages
        }
    }

    mutating func send(_ body: Event.Body) {
        notices.removeAll()
        model.apply(
            Event(bootNanoseconds: step * 100_000_000, cpu: 0, body: body), notices: &notices)
        for index in notices.indices {
            switch notices[index].body {
            case .alert(let alert): alerts.append(alert)
            case .verdict(let verdict): states.append(verdict.state)
            default: break
            }
        }
    }

    /// A task that entered direct reclaim a second ago.
    mutating func enterReclaim(tid: UInt32 = 1, isKernelThread: Bool = false, stack: UInt32? = nil)
    {
        var stay = ReclaimStay(
            task: TaskIdentity(tid: tid, tgid: tid, cgroupID: 0, comm: FixedName("load")),
            beganBootNanoseconds: step * 100_000_000 - 1_000_000_000, durationNanoseconds: 0,
            reclaimedPages: 0, gfpFlags: 0, order: 0)
        stay.isKernelThread = isKernelThread
        stay.stack = stack
        send(.reclaimInside(stay))
    }

    mutating func leaveReclaim(tid: UInt32 = 1) {
        send(
            .reclaimLeft(
                ReclaimStay(
                    task: TaskIdentity(tid: tid, tgid: tid, cgroupID: 0, comm: FixedName("load")),
                    beganBootNanoseconds: 0, durationNanoseconds: 1_000_000_000,
                    reclaimedPages: 0, gfpFlags: 0, order: 0)))
    }

    mutating func beat() {
        step += 1
        send(.zone(zone))
        send(.node(node))
        if device.inFlight > 0 { device.oldestNanoseconds += 100_000_000 }
        send(.nbdDevice(device))
        send(.counters(counters))
        send(.tick)
    }

    /// Beats in which requests complete and packets arrive.
    mutating func run(seconds: Double) {
        for _ in 0..<Int(seconds * 10) {
            device.completed += 10
            device.oldestNanoseconds = 0
            device.path?.segmentsReceived += 10
            beat()
        }
    }

    /// Below min, with requests that complete.
    static func swapping() -> Host {
        var host = Host()
        host.free = 1900
        host.device.inFlight = 4
        host.run(seconds: 2)
        return host
    }

    /// ... and with a task that waits for them.
    static func waiting() -> Host {
        var host = swapping()
        host.enterReclaim()
        return host
    }

    /// Beats in which nothing completes.
    mutating func stall(seconds: Double, receiving: Bool = false) {
        for _ in 0..<Int(seconds * 10) {
            if receiving { device.path?.segmentsReceived += 1 }
            beat()
        }
    }
}

@Suite struct AlertTests {
    @Test func aHealthyHostIsQuiet() {
        var host = Host()
        host.device.inFlight = 4
        host.run(seconds: 60)
        #expect(host.alerts.isEmpty)
        #expect(host.states == [.calm])
    }

    @Test func heavySwappingThatCompletesIsQuiet() {
        var host = Host()
        host.free = 1900
        host.device.inFlight = 100
        host.enterReclaim()
        host.run(seconds: 60)
        #expect(host.alerts.isEmpty)
        #expect(host.states == [.reserve])
    }

    @Test func aStopIsWarnedOfAndThenCritical() {
        var host = Host.waiting()
        let began = host.step
        while host.alerts.isEmpty { host.stall(seconds: 0.1) }
        #expect(host.alerts[0].level == .warning)
        #expect(host.step - began == 5)
        while host.alerts.count < 2 { host.stall(seconds: 0.1) }
        #expect(host.alerts[1].level == .critical)
        #expect(host.alerts[1].incident == host.alerts[0].incident)
        #expect(host.step - began == 12)
        #expect(host.states.last == .stalling)
    }

    @Test func oneIncidentIsToldAtGrowingIntervalsAndResolvedOnce() {
        var host = Host.waiting()
        host.stall(seconds: 300)
        // Warning, critical, after 20 s, 40 s, and each 60 s from then on.
        #expect(host.alerts.count == 2 + 2 + 3)
        #expect(Set(host.alerts.map(\.incident)) == [1])
        host.device.inFlight = 0
        host.free = 10_000
        host.run(seconds: 60)
        #expect(host.alerts.last?.level == .resolved)
        #expect(host.alerts.last?.peak == .critical)
        #expect(host.alerts.count { $0.level == .resolved } == 1)
        #expect(host.states.last == .calm)
    }

    @Test func whileKswapdAloneWaitsAStopIsAWarning() {
        var host = Host()
        host.free = 2200
        host.device.inFlight = 128
        host.run(seconds: 2)
        host.node.kswapdState = 2
        host.stall(seconds: 2)
        #expect(host.alerts.map(\.level) == [.warning])
        #expect(host.states.last == .stalling)
        host.enterReclaim()
        host.stall(seconds: 0.1)
        #expect(host.alerts.map(\.level) == [.warning, .critical])
    }

    @Test func nobodyWaitsThenAStopIsNoAlarm() {
        var host = Host()
        host.device.inFlight = 1
        host.run(seconds: 1)
        host.stall(seconds: 1.5)
        #expect(host.alerts.isEmpty)
    }

    /// Of the swap on nbd0: one page is asked for, and did not come for as long as the device stops.
    private func askForAPage(_ host: inout Host, waited: UInt64) {
        var usage = SwapUsage()
        usage.inFlight = 1
        usage.waiting = SwapUsage.Waiting(reads: 1, nanoseconds: waited)
        host.send(.swapUsage(usage))
    }

    @Test func whoWaitsForASwappedPageNeedsNoReclaim() {
        var host = Host()
        host.device.inFlight = 1
        host.run(seconds: 1)
        for step in 1...15 {
            askForAPage(&host, waited: UInt64(step) * 100_000_000)
            host.stall(seconds: 0.1)
        }
        #expect(host.states.last == .stalling)
        #expect(host.alerts.map(\.level) == [.warning, .critical])
        #expect(host.model.picture.verdict.evidence.swapIns?.reads == 1)
        #expect(host.model.picture.verdict.evidence.swapInsMissed == 1_500_000_000)
    }

    @Test func aReadWhoseEndWasMissedIsNoOneWaiting() {
        var host = Host()
        // Left over from an hour ago; the disk had nothing in flight since.
        askForAPage(&host, waited: 3_600_000_000_000)
        host.run(seconds: 1)
        #expect(host.model.picture.verdict.evidence.swapIns?.nanoseconds == 0)
        #expect(host.alerts.isEmpty)
    }

    @Test func pagesThatComeFromSwapAreNotMissed() {
        var host = Host.swapping()
        askForAPage(&host, waited: 20_000_000)
        host.run(seconds: 1)
        #expect(host.model.picture.verdict.evidence.swapInsMissed == nil)
        #expect(host.alerts.isEmpty)
    }

    @Test func whatAnOlderAgentDoesNotTellOfSwapInsIsUnknown() {
        var host = Host()
        host.send(.swapUsage(SwapUsage()))
        host.run(seconds: 1)
        #expect(host.model.picture.verdict.evidence.swapIns == nil)
    }

    @Test func whomOurRulesHoldWaitsNoLess() {
        var host = Host.waiting()
        host.stall(seconds: 2)
        #expect(host.states.last == .stalling)
        var rule = EnforceRuleState()
        rule.verb = .freeze
        rule.mode = .enforce
        rule.stands = true
        host.send(.enforceRule(rule))
        host.leaveReclaim()
        host.stall(seconds: 10)
        #expect(host.states.last == .stalling)
        #expect(host.alerts.last?.level == .critical)
        // What would stand holds nobody.
        rule.mode = .observe
        host.send(.enforceRule(rule))
        host.stall(seconds: 10)
        #expect(host.states.last != .stalling)
    }

    @Test func aHostThatWasStoppedItselfHasNotWaited() {
        var host = Host.waiting()
        // One beat after a gap of ten seconds: the watch was away, and so were all others.
        host.step += 100
        host.device.oldestNanoseconds += 10_000_000_000
        host.beat()
        #expect(host.alerts.allSatisfy { $0.level != .critical })
    }

    @Test func aLinkWithoutCarrierIsALostWire() {
        var host = Host.waiting()
        host.device.path?.carrier = .down
        host.stall(seconds: 3)
        let alert = host.alerts.last
        #expect(alert?.findings.lostWire == .confirmed)
        #expect(alert?.findings.deadReceivePath == .cannotTell)
        #expect(host.states.last == .stalling)
    }

    @Test func packetsThatArriveRuleTheWireOutAndPointAtTheServer() {
        var host = Host.waiting()
        host.stall(seconds: 3, receiving: true)
        #expect(host.alerts.last?.level == .critical)
        #expect(host.alerts.last?.findings.lostWire == .ruledOut)
        #expect(host.alerts.last?.findings.deadReceivePath == .ruledOut)
        #expect(host.alerts.last?.findings.silentServer == .confirmed)
        #expect(host.states.last == .stalling)
    }

    @Test func silenceWithACarrierCannotBeTold() {
        var host = Host.waiting()
        host.stall(seconds: 3)
        #expect(host.alerts.last?.findings.lostWire == .cannotTell)
        #expect(host.alerts.last?.findings.deadReceivePath == .cannotTell)
        #expect(host.alerts.last?.findings.silentServer == .cannotTell)
    }

    private func stack(_ symbol: String) -> KernelStack {
        var text = [UInt8](repeating: 0, count: 768)
        for (index, byte) in symbol.utf8.enumerated() { text[48 + index] = byte }
        return text.withUnsafeBytes { KernelStack(id: 3, frames: 2, text: $0) }
    }

    @Test func aReceiveWorkerInReclaimIsADeadlock() {
        var host = Host.swapping()
        host.send(.stack(stack("refill_work+0x4f/0x90 [virtio_net]")))
        host.enterReclaim(tid: 9, isKernelThread: true, stack: 3)
        host.stall(seconds: 3)
        #expect(host.states.last == .deadlocked)
        #expect(host.alerts.last?.reasons.contains(.deadlocked) == true)
        #expect(host.alerts.last?.findings.deadReceivePath == .confirmed)
        #expect(host.alerts.last?.findings.lostWire == .ruledOut)
        #expect(host.model.picture.verdict.evidence.worker?.receives == true)
    }

    @Test func aStopThatTurnsIntoADeadlockIsToldAtOnce() {
        var host = Host.waiting()
        host.stall(seconds: 2)
        #expect(host.alerts.map(\.level) == [.warning, .critical])
        host.run(seconds: 1)
        host.send(.stack(stack("refill_work+0x4f/0x90 [virtio_net]")))
        host.enterReclaim(tid: 9, isKernelThread: true, stack: 3)
        host.stall(seconds: 2)
        #expect(host.alerts.count == 3)
        #expect(host.alerts.last?.reasons.contains(.deadlocked) == true)
        #expect(host.alerts.last?.incident == 1)
        host.stall(seconds: 5)
        #expect(host.alerts.count == 3)
    }

    @Test func anotherWorkerInReclaimIsNoProofOfOne() {
        var host = Host.swapping()
        host.send(.stack(stack("wb_workfn+0x4f/0x90")))
        host.enterReclaim(tid: 9, isKernelThread: true, stack: 3)
        host.stall(seconds: 3)
        #expect(host.states.last == .stalling)
    }

    @Test func aServerOnThisHostThatStopsIsADeadlock() {
        var host = Host()
        host.device.path?.isLocal = true
        host.free = 1900
        host.device.inFlight = 4
        host.run(seconds: 2)
        host.enterReclaim()
        host.stall(seconds: 3)
        #expect(host.states.last == .deadlocked)
    }

    @Test func errorsAndLostConnectionsAreCritical() {
        var host = Host()
        host.run(seconds: 1)
        host.device.errors = 5
        host.run(seconds: 0.1)
        #expect(host.alerts.last?.level == .critical)
        #expect(host.alerts.last?.reasons == .failing)
        #expect(host.states.last == .failing)

        host = Host()
        var config = NBDSample.Config()
        config.connections = 1
        config.liveConnections = 1
        host.device.config = config
        host.run(seconds: 1)
        #expect(host.alerts.isEmpty)
        host.device.config?.liveConnections = 0
        host.run(seconds: 0.1)
        #expect(host.alerts.last?.reasons == .failing)
    }

    @Test func aSlowDeviceIsAWarningOnly() {
        var host = Host()
        host.device.inFlight = 4
        for _ in 0..<100 {
            host.device.completed += 1
            host.device.oldestNanoseconds = 3_000_000_000
            host.device.path?.segmentsReceived += 1
            host.beat()
        }
        #expect(host.alerts.count == 1)
        #expect(host.alerts.first?.level == .warning)
        #expect(host.alerts.first?.reasons == .slowRequests)
    }

    @Test func aReserveThatDrainsIsWarnedOf() {
        var host = Host()
        host.device.inFlight = 4
        host.run(seconds: 1)
        host.free = 1150
        host.run(seconds: 1)
        #expect(host.alerts.first?.level == .warning)
        #expect(host.alerts.first?.reasons.contains(.draining) == true)
    }

    @Test func boostIsNoDrain() {
        var host = Host()
        host.zone.minPages = 8000
        host.zone.boostPages = 6000
        host.node.pfmemallocReservePages = 8000
        host.node.throttleLinePages = 1000
        host.free = 2100
        host.run(seconds: 10)
        #expect(host.alerts.isEmpty)
        #expect(host.states == [.reserve])
    }

    @Test func withoutWhatIsNeededTheStateIsUnknown() {
        var model = Model(policy: Policy())
        var notices = NoticeQueue(capacity: 8)
        model.apply(Event(bootNanoseconds: 1, cpu: 0, body: .tick), notices: &notices)
        #expect(model.picture.verdict.state == .unknown)
        #expect(model.picture.verdict.conditions.progress == .unknown)
    }

    @Test func whereNothingIsKnownOfThePathNothingIsClaimed() {
        var host = Host(path: false)
        host.device.phases = nil
        host.free = 1900
        host.device.inFlight = 4
        host.run(seconds: 2)
        host.enterReclaim()
        host.stall(seconds: 3)
        #expect(host.alerts.last?.level == .critical)
        #expect(host.alerts.last?.findings.lostWire == .cannotTell)
        #expect(host.model.picture.verdict.evidence.device?.silentNanoseconds == nil)
    }

    @Test func theTrendIsToldOnlyWhenItIsSure() {
        var host = Host()
        host.zone.minPages = 40_000
        host.zone.boostPages = 30_000
        host.zone.lowPages = 50_000
        host.node.pfmemallocReservePages = 40_000
        host.node.throttleLinePages = 100
        host.free = 39_000
        host.device.inFlight = 1
        host.run(seconds: 3)
        #expect(host.alerts.isEmpty)
        while host.free > 22_000 {
            host.free -= 1000
            host.run(seconds: 0.1)
        }
        // 10 000 pages a second: 2.2 s are left.
        #expect(host.model.picture.verdict.evidence.timeLeft?.confidence == .high)
        #expect(host.alerts.isEmpty)
        while host.free > 18_000 {
            host.free -= 1000
            host.run(seconds: 0.1)
        }
        #expect(host.alerts.first?.reasons.contains(.trend) == true)
    }
}

@Suite struct ExposureTests {
    private func exposure(sockets: UInt64, most: UInt64, limit: UInt64) -> Exposure {
        var exposure = Exposure()
        exposure.tcpSockets = sockets
        exposure.tcpReceiveMaximumBytes = most
        exposure.tcpMemoryMaximumBytes = limit
        return exposure
    }

    @Test func ringsCountToo() {
        var host = Host()
        host.send(.exposure(exposure(sockets: 1, most: 7 << 20, limit: 1 << 30)))
        host.run(seconds: 1)
        #expect(host.alerts.isEmpty)
        var both = exposure(sockets: 1, most: 7 << 20, limit: 1 << 30)
        both.receiveRingsBytes = 2 << 20
        host.send(.exposure(both))
        host.run(seconds: 1)
        #expect(host.alerts.first?.reasons == .receiveBuffers)
    }

    @Test func theBoundIsTheSocketsOrTheProtocolsWhicheverIsLess() {
        #expect(exposure(sockets: 10, most: 100, limit: 5000).receiveBoundBytes == 1000)
        #expect(exposure(sockets: 100, most: 100, limit: 5000).receiveBoundBytes == 5000)
        #expect(exposure(sockets: .max, most: .max, limit: 7).receiveBoundBytes == 7)
        #expect(Exposure().receiveBoundBytes == nil)
    }

    @Test func buffersBeyondTheReserveAreWarnedOfBeforeAnyPressure() {
        var host = Host()
        host.run(seconds: 1)
        #expect(host.alerts.isEmpty)
        // 2000 pages are 8 MB in reserve.
        host.send(.exposure(exposure(sockets: 4, most: 6 << 20, limit: 1 << 30)))
        host.run(seconds: 1)
        #expect(host.alerts.first?.track == .exposure)
        #expect(host.alerts.first?.level == .warning)
        #expect(host.alerts.first?.reasons == .receiveBuffers)
        host.run(seconds: 600)
        #expect(host.alerts.count == 1)
        host.send(.exposure(exposure(sockets: 4, most: 1 << 20, limit: 1 << 30)))
        host.run(seconds: 10)
        #expect(host.alerts.last?.level == .resolved)
    }

    @Test func aServerOnThisHostIsAnExposure() {
        var host = Host()
        host.device.path?.isLocal = true
        host.device.inFlight = 1
        host.send(.exposure(exposure(sockets: 1, most: 1, limit: 1)))
        host.run(seconds: 1)
        #expect(host.alerts.first?.reasons == .localServer)
    }

    @Test func withoutSwapOnNBDThereIsNone() {
        var host = Host()
        host.send(.swapTableRead)
        host.send(.exposure(exposure(sockets: 4, most: 6 << 20, limit: 1 << 30)))
        host.run(seconds: 1)
        #expect(host.alerts.isEmpty)
    }
}

@Suite struct SettingsTests {
    /// As the watch publishes them, so that a reader judges as it does.
    @Test func timesThatWereSetAreThoseByWhichItJudges() {
        var host = Host()
        host.free = 1900
        host.device.inFlight = 4
        host.run(seconds: 2)
        var settings = SettingsState()
        settings.outcome = .taken
        settings.policy.criticalAfter = 3_000_000_000
        settings.policy.summaryInterval = 77
        host.send(.settings(settings))
        #expect(host.notices.count == 1)
        #expect(host.model.policy.criticalAfter == 3_000_000_000)
        // Each one's own.
        #expect(host.model.policy.summaryInterval == Policy().summaryInterval)
        host.enterReclaim()
        let began = host.step
        while host.alerts.count < 2 { host.stall(seconds: 0.1) }
        #expect(host.alerts[1].level == .critical)
        #expect(host.step - began == 30)
    }

    @Test func usualTimesAtTheStartAreNotWorthALine() {
        var host = Host()
        host.send(.settings(SettingsState()))
        #expect(host.notices.isEmpty)
        var other = SettingsState()
        other.policy.alertHold = 9_000_000_000
        host.send(.settings(other))
        #expect(host.notices.count == 1)
        #expect(host.notices[0].severity == .notice)
        other.outcome = .refused
        host.send(.settings(other))
        #expect(host.notices[0].severity == .warning)
    }
}

@Suite struct LateReaderTests {
    @Test func itGoesOnWhereTheWatchStands() {
        var host = Host.waiting()
        host.stall(seconds: 3)
        var late = Host()
        late.step = host.step
        late.send(.standing(host.model.picture.standing))
        #expect(late.model.picture.verdict.state == host.model.picture.verdict.state)
        #expect(late.model.picture.standing == host.model.picture.standing)
        // And does not tell anew what was told.
        late.free = 1900
        late.device = host.device
        late.enterReclaim()
        late.stall(seconds: 1)
        #expect(late.alerts.isEmpty)
    }

    /// A host that was calm, stalled for five seconds, and recovered: twice.
    private func recovered() -> Host {
        var host = Host()
        for _ in 0..<2 {
            host.device.inFlight = 4
            host.run(seconds: 2)
            host.free = 1900
            host.enterReclaim()
            host.stall(seconds: 5)
            host.device.inFlight = 0
            host.free = 10_000
            host.run(seconds: 60)
        }
        return host
    }

    @Test func theTimeInEachStateIsAllTheTimeThereWas() throws {
        let picture = recovered().model.picture
        let totals = try #require(picture.stateTotals)
        var sum: UInt64 = 0
        for state in HostState.allCases { sum += picture.nanoseconds(in: state) ?? 0 }
        #expect(sum == picture.nowBootNanoseconds - picture.firstBootNanoseconds)
        #expect(totals.entries[Int(HostState.stalling.rawValue)] == 2)
        #expect(totals.entries[Int(HostState.unknown.rawValue)] == 0)
        // Of each stall the half second until it is seen is none; it then holds a while.
        let stalled = Double(picture.nanoseconds(in: .stalling) ?? 0) / 1e9
        #expect(stalled > 9 && stalled < 16, "\(stalled)")
        #expect(picture.alerts[0].incident == 2)
        #expect(picture.alerts[0].criticalIncidents == 2)
    }

    @Test func whoCameInTheMidstTakesOverWhatTheWatchHasCounted() {
        let host = recovered()
        var late = Host()
        // It has judged by itself before it comes to what the watch says of itself.
        late.step = host.step
        late.run(seconds: 1)
        #expect(late.model.picture.stateTotals != host.model.picture.stateTotals)
        late.send(.standing(host.model.picture.standing))
        #expect(late.model.picture.stateTotals == host.model.picture.stateTotals)
        #expect(late.model.picture.alerts[0].incident == 2)
        #expect(late.model.picture.alerts[0].criticalIncidents == 2)
        #expect(late.model.picture.standing == host.model.picture.standing)
    }

    @Test func whoSawEverythingIsNotChangedByIt() {
        var host = recovered()
        host.free = 1900
        host.device.inFlight = 4
        host.enterReclaim()
        host.stall(seconds: 1)
        var other = host
        other.send(.standing(host.model.picture.standing))
        other.stall(seconds: 30)
        host.stall(seconds: 30)
        #expect(other.model.picture.standing == host.model.picture.standing)
        #expect(other.alerts.count == host.alerts.count)
    }

    @Test func whatAnOlderWatchDoesNotTellIsUnknown() {
        var standing = recovered().model.picture.standing
        standing.totals = nil
        standing.tracks[0].criticalIncidents = nil
        var late = Host()
        late.run(seconds: 1)
        late.send(.standing(standing))
        #expect(late.model.picture.stateTotals == nil)
        #expect(late.model.picture.nanoseconds(in: .calm) == nil)
        #expect(late.model.picture.alerts[0].criticalIncidents == nil)
        #expect(late.model.picture.alerts[0].incident == 2)
        late.run(seconds: 10)
        #expect(late.model.picture.stateTotals == nil)
    }

    @Test func sumsThatItDidNotSeeGrowAreTheWatchsOwn() {
        var host = Host()
        var taker = Taker(
            ReserveAllocation(
                task: TaskIdentity(tid: 1, tgid: 1, cgroupID: 0, comm: FixedName("kswapd0")),
                serial: 0, gfpFlags: 0, order: 0, context: .kswapd,
                entitlement: Entitlement(rawValue: 2)))
        taker.allocations = 10
        taker.pages = 80
        host.send(.takerTotal(taker))
        taker.pages = 88
        host.send(.takerTotal(taker))
        #expect(host.model.picture.takers.count == 1)
        #expect(host.model.picture.takers[0].pages == 88)
        host.send(.skipped(7))
        host.send(.skipped(2))
        #expect(host.model.picture.lostRecords == 9)
    }
}
