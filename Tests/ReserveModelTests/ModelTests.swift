// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ReserveModel

/// Feeds a model events by hand; one second is 1_000_000_000.
private struct Driver {
    var model = Model(policy: Policy())
    var notices = NoticeQueue(capacity: 64)

    mutating func send(_ body: Event.Body, at seconds: Double) -> [Notice] {
        notices.removeAll()
        model.apply(
            Event(bootNanoseconds: UInt64(seconds * 1e9), cpu: 0, body: body), notices: &notices)
        return notices.indices.map { notices[$0] }
    }
}

private func task(_ tid: UInt32, _ comm: StaticString = "load") -> TaskIdentity {
    TaskIdentity(tid: tid, tgid: tid, cgroupID: 1, comm: FixedName(comm))
}

private func zone(free: UInt64, lowest: UInt64? = nil) -> ZoneSample {
    var zone = ZoneSample()
    zone.name = FixedName("DMA32")
    zone.freePages = free
    zone.recentLowestFreePages = lowest ?? free
    zone.minPages = 100
    zone.lowPages = 125
    zone.highPages = 150
    return zone
}

private func crossings(_ notices: [Notice]) -> [Notice.Crossing] {
    notices.compactMap { notice in
        switch notice.body {
        case .zone(let crossing, _), .node(let crossing, _): return crossing
        default: return nil
        }
    }
}

@Suite struct WatermarkTests {
    @Test func fallingIsToldAtOnceAndRisingWhenItHeld() {
        var driver = Driver()
        #expect(crossings(driver.send(.zone(zone(free: 200)), at: 1)) == [])
        #expect(crossings(driver.send(.zone(zone(free: 120)), at: 1.1)) == [.belowLow])
        #expect(crossings(driver.send(.zone(zone(free: 90)), at: 1.2)) == [.belowMin])
        #expect(crossings(driver.send(.zone(zone(free: 200)), at: 1.3)) == [])
        #expect(crossings(driver.send(.zone(zone(free: 200)), at: 2.2)) == [])
        #expect(crossings(driver.send(.zone(zone(free: 200)), at: 2.3)) == [.aboveLow])
    }

    @Test func aDipBetweenTwoSamplesIsNotMissed() {
        var driver = Driver()
        _ = driver.send(.zone(zone(free: 200)), at: 1)
        #expect(
            crossings(driver.send(.zone(zone(free: 200, lowest: 40)), at: 1.1)) == [.belowMin])
    }

    @Test func flutterAroundAMarkIsToldOnce() {
        var driver = Driver()
        _ = driver.send(.zone(zone(free: 200)), at: 1)
        var told = 0
        for step in 0..<100 {
            let free: UInt64 = step % 2 == 0 ? 120 : 130
            told += driver.send(.zone(zone(free: free)), at: 1.1 + Double(step) * 0.1).count
        }
        #expect(told == 1)
    }

    @Test func theThrottleLineItselfIsNotAllowed() {
        var driver = Driver()
        var node = NodeSample()
        node.pfmemallocReservePages = 201
        node.throttleLinePages = 100
        node.freePages = 101
        #expect(crossings(driver.send(.node(node), at: 1)) == [])
        node.freePages = 100
        #expect(crossings(driver.send(.node(node), at: 1.1)) == [.atThrottleLine])
    }

    @Test func withoutAReserveThereIsNoLine() {
        var driver = Driver()
        #expect(crossings(driver.send(.node(NodeSample()), at: 1)) == [])
    }
}

@Suite struct ReclaimTests {
    private func stay(_ duration: Double, began: Double = 1) -> ReclaimStay {
        ReclaimStay(
            task: task(7), beganBootNanoseconds: UInt64(began * 1e9),
            durationNanoseconds: UInt64(duration * 1e9), reclaimedPages: 3, gfpFlags: 0, order: 0)
    }

    @Test func aStalledStayIsToldAtEachDoubling() {
        var driver = Driver()
        _ = driver.send(.reclaimInside(stay(0.05)), at: 1.05)
        var ages: [Double] = []
        for step in 0...200 {
            let now = 1.1 + Double(step) * 0.1
            for notice in driver.send(.tick, at: now) {
                if case .directReclaim(.stalled, let told) = notice.body {
                    ages.append(Double(told.durationNanoseconds) / 1e9)
                }
            }
        }
        #expect(ages.count == 5)
        for (age, due) in zip(ages, [1.0, 2, 4, 8, 16]) {
            #expect(age >= due && age < due + 0.11)
        }
    }

    @Test func whoLeftIsInsideNoMore() {
        var driver = Driver()
        _ = driver.send(.reclaimInside(stay(0.05)), at: 1.05)
        #expect(driver.model.picture.reclaimers.count == 1)
        let told = driver.send(.reclaimLeft(stay(2.5)), at: 3.5)
        #expect(driver.model.picture.reclaimers.isEmpty)
        #expect(told.count == 1)
        #expect(told.first?.severity == .warning)
        #expect(driver.model.picture.waiters[0].longestNanoseconds == 2_500_000_000)
    }

    @Test func aShortStayIsCountedButNotTold() {
        var driver = Driver()
        #expect(driver.send(.reclaimLeft(stay(0.06)), at: 1.06).isEmpty)
        #expect(driver.model.picture.waiters[0].stays == 1)
    }
}

@Suite struct ReconciliationTests {
    @Test func theFirstLineIsTheStartOnceTheHooksAreTold() {
        var driver = Driver()
        #expect(driver.send(.host(HostFacts()), at: 1).isEmpty)
        #expect(driver.send(.hook(HookFact()), at: 1).isEmpty)
        let first = driver.send(.swapTableRead, at: 1)
        #expect(first.count == 1)
        if case .start = first.first?.body {} else { Issue.record("no start") }
        #expect(driver.send(.swapTableRead, at: 2).isEmpty)
    }

    @Test func anEmptyTotalEmptiesTheListWhoseEndsWereLost() {
        var driver = Driver()
        let stay = ReclaimStay(
            task: task(7), beganBootNanoseconds: 1, durationNanoseconds: 1, reclaimedPages: 0,
            gfpFlags: 0, order: 0)
        _ = driver.send(.reclaimInside(stay), at: 1)
        var totals = CounterTotals()
        totals.directReclaim = CounterTotals.DirectReclaim()
        totals.directReclaim?.inside = 1
        _ = driver.send(.counters(totals), at: 2)
        #expect(driver.model.picture.reclaimers.count == 1)
        totals.directReclaim?.inside = 0
        _ = driver.send(.counters(totals), at: 3)
        #expect(driver.model.picture.reclaimers.isEmpty)
    }
}

@Suite struct ThrottleTests {
    private func stay(evaluations: UInt32) -> ThrottleStay {
        ThrottleStay(
            task: task(9), beganBootNanoseconds: 1_000_000_000, durationNanoseconds: 0,
            freePages: 10, throttleLinePages: 20, node: 0, gfpFlags: 0, evaluations: evaluations)
    }

    @Test func whoNeverComesBackStaysInThePicture() {
        var driver = Driver()
        #expect(driver.send(.throttleBegan(stay(evaluations: 1)), at: 1).count == 1)
        for step in 0..<100 { _ = driver.send(.tick, at: 2 + Double(step)) }
        #expect(driver.model.picture.throttled.count == 1)
    }

    @Test func whoIsOnlySeenWaitingEndsWhenNotSeen() {
        var driver = Driver()
        for step in 0..<10 {
            let told = driver.send(
                .throttleWaiting(stay(evaluations: 0)), at: 1 + Double(step) / 10)
            #expect(told.count == (step == 0 ? 1 : 0))
        }
        #expect(driver.model.picture.throttled.count == 1)
        let told = driver.send(.tick, at: 2.6)
        #expect(driver.model.picture.throttled.isEmpty)
        #expect(
            told.contains { if case .throttle(.ended, _) = $0.body { true } else { false } })
    }
}

@Suite struct ReserveTests {
    private func taken(_ serial: UInt64) -> Event.Body {
        .reserveTaken(
            ReserveAllocation(
                task: task(3), serial: serial, gfpFlags: 0x800, order: 1, context: .process,
                entitlement: Entitlement(rawValue: 2)))
    }

    private func returned(_ serial: UInt64) -> Event.Body {
        .reserveReturned(ReserveReturn(serial: serial, heldNanoseconds: 0, order: 1))
    }

    @Test func theOldestBlockIsTheFirstThatIsStillOut() {
        var driver = Driver()
        _ = driver.send(taken(2), at: 2)
        _ = driver.send(taken(1), at: 2.1)
        _ = driver.send(taken(3), at: 3)
        #expect(driver.model.picture.blocks[0].serial == 1)
        _ = driver.send(returned(1), at: 4)
        #expect(driver.model.picture.oldestBlockNanoseconds == 2_000_000_000)
        _ = driver.send(returned(99), at: 4)
        _ = driver.send(returned(2), at: 4)
        _ = driver.send(returned(3), at: 4)
        #expect(driver.model.picture.oldestBlockNanoseconds == nil)
    }

    @Test func theAgeIsUnknownOnceRecordsWereLost() {
        var driver = Driver()
        _ = driver.send(taken(1), at: 1)
        var totals = CounterTotals()
        totals.loss.ring[Stem.reserve] = 1
        _ = driver.send(.counters(totals), at: 2)
        #expect(driver.model.picture.oldestBlockNanoseconds == nil)
    }

    @Test func aFullTableIsCountedNotGrown() {
        var driver = Driver()
        for serial in 1...9000 { _ = driver.send(taken(UInt64(serial)), at: 1) }
        #expect(driver.model.picture.blocks.count == 8192)
        #expect(driver.model.picture.untracked == 9000 - 8192)
    }

    @Test func takersAreSummedByNameAndToldOnceASecond() {
        var driver = Driver()
        _ = driver.send(.host(HostFacts()), at: 1)
        _ = driver.send(taken(1), at: 1.2)
        _ = driver.send(taken(2), at: 1.3)
        let told = driver.send(.tick, at: 2.05).compactMap { notice -> Taker? in
            if case .reserve(let taker) = notice.body { return taker }
            return nil
        }
        #expect(told.count == 1)
        #expect(told.first?.pages == 4)
        #expect(driver.send(.tick, at: 3.05).count == 1, "only the summary")
        #expect(driver.model.picture.takers[0].allocations == 2)
    }
}

@Suite struct SummaryTests {
    private func summaries(_ notices: [Notice]) -> [Bool] {
        notices.compactMap { notice in
            if case .summary(let isFinal, _) = notice.body { return isFinal }
            return nil
        }
    }

    @Test func oneIsDueEachIntervalWhateverTheBeat() {
        var driver = Driver()
        _ = driver.send(.host(HostFacts()), at: 10)
        var count = 0
        for step in 1...100 {
            count += summaries(driver.send(.tick, at: 10 + Double(step) * 0.1003)).count
        }
        #expect(count == 10)
    }

    @Test func aLongStallGivesOneNotMany() {
        var driver = Driver()
        _ = driver.send(.host(HostFacts()), at: 10)
        #expect(summaries(driver.send(.tick, at: 75.5)) == [false])
        #expect(summaries(driver.send(.tick, at: 75.9)) == [])
        #expect(summaries(driver.send(.tick, at: 76.1)) == [false])
    }

    @Test func theLastOneIsFinal() {
        var driver = Driver()
        _ = driver.send(.host(HostFacts()), at: 10)
        #expect(summaries(driver.send(.stopped, at: 10.3)) == [true])
    }

    @Test func lossIsToldOnceForEachChange() {
        var driver = Driver()
        _ = driver.send(.host(HostFacts()), at: 10)
        _ = driver.send(.unknown(stem: 99, kind: 1), at: 10.5)
        let isLoss: (Notice) -> Bool = { if case .loss = $0.body { true } else { false } }
        #expect(driver.send(.tick, at: 11).contains(where: isLoss))
        #expect(!driver.send(.tick, at: 12).contains(where: isLoss))
    }
}

@Suite struct DeviceTests {
    private func sample(oldest: Double, inFlight: UInt64 = 1) -> Event.Body {
        var sample = NBDSample()
        sample.disk = FixedName("nbd0")
        sample.oldestNanoseconds = UInt64(oldest * 1e9)
        sample.inFlight = inFlight
        return .nbdDevice(sample)
    }

    private func phases(_ notices: [Notice]) -> [Notice.DevicePhase] {
        notices.compactMap { notice in
            if case .nbd(let phase, _) = notice.body { return phase }
            return nil
        }
    }

    @Test func aStallIsToldAtEachDoublingAndItsEndOnce() {
        var driver = Driver()
        #expect(phases(driver.send(sample(oldest: 0.1), at: 1)) == [.appeared])
        #expect(phases(driver.send(sample(oldest: 1.05), at: 2)) == [.stalled])
        #expect(phases(driver.send(sample(oldest: 1.5), at: 2.5)) == [])
        #expect(phases(driver.send(sample(oldest: 2.1), at: 3)) == [.stalled])
        #expect(phases(driver.send(sample(oldest: 0, inFlight: 0), at: 4)) == [.resumed])
        #expect(phases(driver.send(sample(oldest: 0, inFlight: 0), at: 5)) == [])
        #expect(driver.model.picture.devices[0].worstOldestNanoseconds == 2_100_000_000)
    }

    /// A reader that froze with its host, and began anew after the stall.
    @Test func whoComesLateHasTheWorst() {
        var driver = Driver()
        var late = NBDSample()
        late.disk = FixedName("nbd0")
        late.oldestNanoseconds = 400_000_000
        late.inFlight = 1
        late.worstOldestNanoseconds = 60_000_000_000
        late.worstBootNanoseconds = 70_000_000_000
        late.mostInFlight = 128
        _ = driver.send(.nbdDevice(late), at: 100)
        let state = driver.model.picture.devices[0]
        #expect(state.worstOldestNanoseconds == 60_000_000_000)
        #expect(state.worstBootNanoseconds == 70_000_000_000)
        #expect(state.mostInFlight == 128)
    }

    @Test func swapThatComesAndGoesIsTold() {
        var driver = Driver()
        var device = SwapDevice()
        device.path =
            "/dev/nbd0".utf8.withContiguousStorageIfAvailable {
                FixedText(bytes: UnsafeRawBufferPointer($0))
            } ?? FixedText()
        _ = driver.send(.swapDevice(device), at: 1)
        #expect(driver.send(.swapTableRead, at: 1).count == 1)
        _ = driver.send(.swapDevice(device), at: 2)
        #expect(driver.send(.swapTableRead, at: 2).isEmpty)
        #expect(driver.send(.swapTableRead, at: 3).count == 1)
        #expect(driver.model.picture.swaps.isEmpty)
    }
}

@Suite struct WideTests {
    private func socket(_ serial: UInt64, state: UInt32) -> SocketSample {
        var socket = SocketSample()
        socket.serial = serial
        socket.family = 2
        socket.state = state
        return socket
    }

    private func phases(_ notices: [Notice]) -> [Notice.SocketPhase] {
        notices.compactMap { if case .socket(let phase, _) = $0.body { phase } else { nil } }
    }

    @Test func aSocketIsToldWhenItComesMovesAndGoes() {
        var driver = Driver()
        #expect(phases(driver.send(.socket(socket(1, state: 1)), at: 1)) == [.appeared])
        #expect(phases(driver.send(.socket(socket(1, state: 1)), at: 2)) == [])
        #expect(phases(driver.send(.socket(socket(1, state: 8)), at: 3)) == [.moved])
        #expect(driver.model.picture.sockets.count == 1)
        #expect(phases(driver.send(.socketGone(socket(1, state: 7)), at: 4)) == [.gone])
        #expect(driver.model.picture.sockets.isEmpty)
    }

    @Test func hundredsOfWaitsGiveOneLineAnInterval() {
        var driver = Driver()
        _ = driver.send(.host(HostFacts()), at: 1)
        for step in 0..<300 {
            let wait = ReclaimWait(
                task: task(7), node: 0, reason: .writeback, timeoutNanoseconds: 100_000_000,
                delayedNanoseconds: UInt64(step + 1) * 1_000_000)
            let told = driver.send(.reclaimWait(wait), at: 1.1)
            #expect(!told.contains { if case .reclaimWaits = $0.body { true } else { false } })
        }
        let told = driver.send(.tick, at: 2.1)
        let groups = told.compactMap { notice -> WaitGroup? in
            if case .reclaimWaits(let group) = notice.body { group } else { nil }
        }
        #expect(groups.count == 1)
        #expect(groups.first?.waits == 300)
        #expect(groups.first?.longestNanoseconds == 300_000_000)
        let later = driver.send(.tick, at: 3.1)
        #expect(!later.contains { if case .reclaimWaits = $0.body { true } else { false } })
    }

    @Test func dropsAreSummedBySocketAndReason() {
        var driver = Driver()
        _ = driver.send(.host(HostFacts()), at: 1)
        var drop = SocketDrop()
        drop.local.port = 80
        drop.bytes = 100
        drop.reason = .socketFilter
        _ = driver.send(.socketDrop(drop), at: 1.1)
        _ = driver.send(.socketDrop(drop), at: 1.2)
        drop.local.port = 81
        _ = driver.send(.socketDrop(drop), at: 1.3)
        let groups = driver.send(.tick, at: 2.1).compactMap { notice -> DropGroup? in
            if case .drops(let group) = notice.body { group } else { nil }
        }
        #expect(groups.map(\.packets) == [2, 1])
        #expect(groups.first?.bytes == 200)
    }

    @Test func refusalsAndSlabsOfOneTaskAreToldApart() {
        var driver = Driver()
        _ = driver.send(.host(HostFacts()), at: 1)
        let slab = SlabAllocation(
            task: task(7), cache: FixedText(), gfpFlags: 1, order: 1, stack: 3)
        _ = driver.send(.slabTaken(slab), at: 1.1)
        _ = driver.send(.slabRefused(slab), at: 1.1)
        let groups = driver.send(.tick, at: 2.1).compactMap { notice -> SlabGroup? in
            if case .slab(let group) = notice.body { group } else { nil }
        }
        #expect(groups.map(\.isRefusal) == [false, true])
        #expect(groups.map(\.pages) == [2, 0])
        #expect(groups.first?.stack == 3)
    }

    @Test func belowMinIsNoTakingFromTheReserve() {
        var driver = Driver()
        _ = driver.send(.host(HostFacts()), at: 1)
        var allocation = ReserveAllocation(
            task: task(7), serial: 0, gfpFlags: 0x20, order: 2, context: .softirq,
            entitlement: Entitlement(rawValue: 0))
        allocation.allowance = .atomic
        _ = driver.send(.allocatedBelowMin(allocation), at: 1.1)
        #expect(driver.model.picture.takers.isEmpty)
        let takers = driver.send(.tick, at: 2.1).compactMap { notice -> Taker? in
            if case .reserve(let taker) = notice.body { taker } else { nil }
        }
        #expect(takers.first?.belowMin == 1)
        #expect(takers.first?.belowMinPages == 4)
        #expect(takers.first?.pages == 0)
        #expect(takers.first?.allowance == .atomic)
    }

    @Test func whatCameThroughTheRingIsCountedByStem() {
        var driver = Driver()
        _ = driver.send(.host(HostFacts()), at: 1)
        _ = driver.send(.zone(zone(free: 1)), at: 1)
        _ = driver.send(.zone(zone(free: 2)), at: 1)
        _ = driver.send(.swapTableRead, at: 1)
        _ = driver.send(.swapUsage(SwapUsage()), at: 1)
        #expect(driver.model.picture.received[Stem.watermark] == 2)
        #expect(driver.model.picture.received[Stem.swap] == 1)
        #expect(driver.model.picture.received[Stem.agent] == 0)
    }

    @Test func aCacheAndADeviceAreOneEntryHoweverOftenTold() {
        var driver = Driver()
        var cache = SlabCache()
        cache.serial = 4
        for count in 1...3 {
            cache.slabsAllocated = UInt64(count)
            _ = driver.send(.slabCache(cache), at: Double(count))
        }
        #expect(driver.model.picture.caches.count == 1)
        #expect(driver.model.picture.caches[0].slabsAllocated == 3)
    }
}

@Suite struct ConnectionTests {
    @Test func aConnectionThatIsLostIsToldOnce() {
        var driver = Driver()
        func send(live: UInt32, at time: Double) -> Int {
            var sample = NBDSample()
            var config = NBDSample.Config()
            config.connections = 4
            config.liveConnections = live
            sample.config = config
            return driver.send(.nbdDevice(sample), at: time).count { notice in
                if case .nbd(.connectionLost, _) = notice.body { true } else { false }
            }
        }
        #expect(send(live: 4, at: 1) == 0)
        #expect(send(live: 3, at: 2) == 1)
        #expect(send(live: 3, at: 3) == 0)
        #expect(send(live: 4, at: 4) == 0)
    }

    @Test func aDisconnectIsNoLostConnection() {
        var driver = Driver()
        var sample = NBDSample()
        var config = NBDSample.Config()
        config.connections = 1
        config.liveConnections = 1
        sample.config = config
        _ = driver.send(.nbdDevice(sample), at: 1)
        sample.config = NBDSample.Config()
        let told = driver.send(.nbdDevice(sample), at: 2)
        #expect(
            !told.contains { if case .nbd(.connectionLost, _) = $0.body { true } else { false } })
    }
}

@Suite struct SwapFillTests {
    @Test func howFullASwapIsFollowsItsUsage() {
        var driver = Driver()
        _ = driver.send(.host(HostFacts()), at: 1)
        var line = SwapDevice()
        line.isPartition = true
        line.major = 43
        line.usedKiB = 0
        _ = driver.send(.swapDevice(line), at: 1)
        _ = driver.send(.swapTableRead, at: 1)
        var usage = SwapUsage()
        usage.major = 43
        usage.area = SwapUsage.Area()
        usage.area?.usedPages = 100
        _ = driver.send(.swapUsage(usage), at: 2)
        #expect(driver.model.picture.swaps[0].usedKiB == 400)
        // Without swap_info[] it stays what /proc/swaps said last.
        usage.area = nil
        _ = driver.send(.swapUsage(usage), at: 3)
        #expect(driver.model.picture.swaps[0].usedKiB == 400)
    }
}

@Suite struct IntervalRoomTests {
    @Test func whatAnIntervalHasNoRoomForIsCounted() {
        var driver = Driver()
        _ = driver.send(.host(HostFacts()), at: 1)
        for tid in 0..<UInt32(130) {
            let wait = ReclaimWait(
                task: task(tid), node: 0, reason: .isolated, timeoutNanoseconds: 1,
                delayedNanoseconds: 1)
            _ = driver.send(.reclaimWait(wait), at: 1.1)
        }
        _ = driver.send(.tick, at: 2.1)
        #expect(driver.model.picture.untracked == 2)
    }
}
