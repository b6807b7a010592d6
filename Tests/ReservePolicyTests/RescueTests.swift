// SPDX-License-Identifier: Apache-2.0

import ReserveModel
import Testing

@testable import ReservePolicy

private func rescue(_ change: (inout Rule) -> Void = { _ in }) -> Rule {
    var rule = Rule(name: "rescue", action: .rescue, target: .cgroup("/load"))
    rule.mode = .enforce
    rule.states = HostStates(.deadlocked)
    rule.holdNanoseconds = 5_000_000_000
    rule.limits.victims = 3
    change(&rule)
    return rule
}

@Suite struct RescueTests {
    @Test func itsStepsComeInOrderAsLongAsNothingHelps() {
        var bench = Bench(rescue { $0.endsConnection = true })
        bench.deadlock()
        bench.beat(50)
        #expect(bench.directives.isEmpty)
        bench.beat()
        #expect(bench.verbs == [.freeze])
        bench.beat(100)
        #expect(bench.verbs == [.freeze, .kill, .kill, .kill, .endConnection, .disconnect])
        #expect(bench.directives.map(\.choice)[1...3] == [.largest, .socketOwner, .largest])
        let end = bench.directives[4]
        #expect(end.connection?.disk == FixedName("nbd0"))
        // Two seconds after the last kill, no less.
        #expect(end.bootNanoseconds - bench.directives[3].bootNanoseconds >= 2_000_000_000)
        // What was sent, and is in flight for ever, ends with the device a second later.
        let disconnect = bench.directives[5]
        #expect(disconnect.connection?.disk == FixedName("nbd0"))
        #expect(disconnect.bootNanoseconds - end.bootNanoseconds >= 1_000_000_000)
    }

    /// A load that has just begun is not known yet, and what nobody has accepted is nobody's.
    @Test func aKillThatFindsNobodyIsNoVictim() {
        var bench = Bench(rescue())
        bench.deadlock()
        bench.failing = [.kill]
        bench.beat(51 + 17)
        #expect(bench.verbs == [.freeze, .kill, .kill, .kill])
        bench.failing = []
        bench.beat(20)
        let kills = bench.directives.filter { $0.verb == .kill }
        #expect(kills.count == 6, "three that hit somebody")
        // The owner again and again until he was hit, and then no more.
        #expect(
            kills.map(\.choice) == [
                .largest, .socketOwner, .largest, .socketOwner, .largest, .largest,
            ])
    }

    @Test func killsThatFindNobodyAreBounded() {
        var bench = Bench(rescue())
        bench.deadlock()
        bench.failing = [.kill]
        bench.beat(300)
        #expect(bench.verbs.filter { $0 == .kill }.count == 3 + 4)
        #expect(bench.told.map(\.reason) == [.exhausted])
    }

    @Test func itStopsWhereRequestsCompleteAgain() {
        var bench = Bench(rescue { $0.endsConnection = true })
        bench.deadlock()
        bench.beat(58)
        #expect(bench.verbs == [.freeze, .kill])
        bench.picture.verdict.conditions.progress = .moving
        bench.picture.verdict.conditions.memory = .belowLow
        bench.beat(8)
        #expect(!bench.verbs.contains(.thaw), "the load would take what came free")
        bench.picture.verdict.conditions.memory = .aboveLow
        bench.beat(49)
        #expect(!bench.verbs.contains(.thaw))
        bench.beat(2)
        #expect(bench.verbs.suffix(1) == [.thaw])
        #expect(!bench.verbs.contains(.endConnection))
        #expect(bench.told.map(\.reason) == [.recovered])
        #expect(bench.told.map(\.outcome) == [.done])
    }

    @Test func theConnectionIsKeptUnlessTheRuleSaysOtherwise() {
        var bench = Bench(rescue())
        bench.deadlock()
        bench.beat(150)
        #expect(bench.verbs == [.freeze, .kill, .kill, .kill])
        #expect(bench.told.map(\.reason) == [.exhausted])
        #expect(bench.told.map(\.outcome) == [.failed])
        // What was frozen goes on at its deadline.
        bench.beat(700)
        #expect(bench.verbs.suffix(1) == [.thaw])
        #expect(bench.directives.last?.reason == .deadline)
        #expect(bench.directives.count == 5)
    }

    /// Each that is missing keeps the connection.
    @Test func theConnectionIsKeptWhereTheEvidenceIsNotWhole() {
        for change: (inout Picture) -> Void in [
            { $0.findings.deadReceivePath = .cannotTell },
            { $0.findings.lostWire = .cannotTell },
            { $0.verdict.evidence.device?.path = nil },
            { $0.verdict.evidence.device?.path?.isLocal = true },
            { $0.sockets.removeAll() },
        ] {
            var bench = Bench(rescue { $0.endsConnection = true })
            bench.deadlock()
            change(&bench.picture)
            bench.beat(300)
            #expect(!bench.verbs.contains(.endConnection))
            #expect(bench.verbs.contains(.kill))
        }
    }

    @Test func aLostWireBeginsNoRescueAndEndsOne() {
        var bench = Bench(rescue { $0.endsConnection = true })
        bench.deadlock()
        bench.picture.findings.lostWire = .confirmed
        bench.beat(300)
        #expect(bench.directives.isEmpty)
        bench.deadlock()
        bench.beat(52)
        #expect(bench.verbs == [.freeze])
        bench.picture.findings.lostWire = .confirmed
        bench.beat(300)
        #expect(bench.verbs == [.freeze, .thaw])
        #expect(bench.told.map(\.reason) == [.wireLost])
    }

    @Test func afterTheConnectionsEndReceivingIsWhatCounts() {
        var bench = Bench(rescue { $0.endsConnection = true })
        bench.deadlock()
        bench.beat(51 + 40)
        #expect(bench.verbs.suffix(1) == [.endConnection])
        // Requests fail, which is no progress; the worker is still stuck.
        bench.picture.verdict.state = .failing
        bench.picture.verdict.conditions.progress = .failing
        bench.beat(20)
        #expect(bench.verbs.suffix(2) == [.endConnection, .disconnect])
        bench.picture.verdict.evidence.worker = nil
        bench.beat(11)
        #expect(bench.verbs.suffix(1) == [.disconnect], "something is in flight still")
        bench.picture.verdict.evidence.device?.inFlight = 0
        bench.beat(11)
        // What lies in that swap is lost, and the load with it.
        #expect(bench.verbs.suffix(2) == [.killCgroup, .thaw])
        #expect(bench.told.map(\.reason) == [.receivesAgain])
    }

    /// As far as its connection's end, with another one ready.
    private func replacing(_ change: (inout Rule) -> Void = { _ in }) -> Bench {
        var bench = Bench(
            rescue {
                $0.endsConnection = true
                $0.keepsSpare = true
                change(&$0)
            })
        bench.deadlock()
        bench.decider.setSpare(0, .ready)
        bench.beat(51 + 40)
        #expect(bench.verbs.suffix(1) == [.endConnection])
        bench.picture.verdict.state = .failing
        bench.picture.verdict.conditions.progress = .failing
        return bench
    }

    @Test func anotherConnectionTakesTheEndedOnesPlaceAndSwapIsKept() {
        var bench = replacing()
        bench.beat(4)
        #expect(bench.verbs.suffix(3) == [.endConnection, .clear, .reconnect])
        #expect(bench.directives.suffix(2).allSatisfy { $0.connection?.disk == FixedName("nbd0") })
        #expect(
            bench.directives.suffix(2).first.map {
                $0.bootNanoseconds - bench.directives[4].bootNanoseconds >= 200_000_000
            } == true)
        // Nothing in flight and no worker stuck is no swap that is lost.
        bench.picture.verdict.evidence.worker = nil
        bench.picture.verdict.evidence.device?.inFlight = 0
        bench.picture.verdict.conditions.progress = .moving
        bench.picture.verdict.conditions.memory = .aboveLow
        bench.beat(45)
        #expect(bench.verbs.suffix(1) == [.reconnect])
        bench.beat(10)
        #expect(bench.verbs.suffix(2) == [.reconnect, .thaw])
        #expect(!bench.verbs.contains(.killCgroup) && !bench.verbs.contains(.disconnect))
        #expect(bench.told.map(\.reason) == [.recovered])
    }

    @Test func whereTheOtherConnectionDoesNotAnswerSwapIsLost() {
        var bench = replacing()
        bench.failing = [.reconnect]
        bench.beat(35)
        #expect(bench.verbs.filter { $0 == .reconnect }.count == 16)
        #expect(bench.verbs.suffix(2) == [.reconnect, .disconnect])
        bench.picture.verdict.evidence.worker = nil
        bench.picture.verdict.evidence.device?.inFlight = 0
        bench.beat(11)
        #expect(bench.verbs.suffix(2) == [.killCgroup, .thaw])
        #expect(bench.told.map(\.reason) == [.receivesAgain])
    }

    @Test func whereItStopsAgainTheStepsBeginAnewWithASecondSpare() {
        var bench = replacing()
        bench.beat(4)
        #expect(bench.verbs.suffix(1) == [.reconnect])
        bench.picture.verdict.state = .deadlocked
        bench.picture.verdict.conditions.progress = .stopped
        bench.beat(50 + 50)
        #expect(
            bench.verbs.suffix(6) == [.kill, .kill, .kill, .endConnection, .clear, .reconnect])
        #expect(bench.directives.suffix(5).first?.choice == .socketOwner)
        bench.picture.verdict.evidence.worker = nil
        bench.picture.verdict.conditions.progress = .moving
        bench.picture.verdict.conditions.memory = .aboveLow
        bench.beat(60)
        #expect(bench.verbs.suffix(2) == [.reconnect, .thaw])
        #expect(bench.told.map(\.reason) == [.recovered])
    }

    @Test func itIsDoneTwiceAtMost() {
        var bench = replacing()
        bench.beat(400)
        #expect(bench.verbs.filter { $0 == .reconnect }.count == 2)
        #expect(bench.verbs.filter { $0 == .disconnect }.count == 1)
    }

    @Test func whereNothingCompletesOnTheOtherConnectionSwapIsLost() {
        var bench = replacing()
        bench.beat(4)
        bench.decider.setSpare(0, .missing(errno: 19))
        bench.beat(300)
        // Who sends on it holds what a disconnect waits for.
        #expect(bench.verbs.suffix(3) == [.reconnect, .endConnection, .disconnect])
        #expect(bench.verbs.filter { $0 == .reconnect }.count == 1)
    }

    @Test func withoutAnotherConnectionItIsAsIfNoneWereWanted() {
        var bench = Bench(
            rescue {
                $0.endsConnection = true
                $0.keepsSpare = true
            })
        bench.deadlock()
        bench.decider.setSpare(0, .missing(errno: 2))
        bench.beat(51 + 60)
        #expect(bench.verbs.suffix(2) == [.endConnection, .disconnect])
    }

    @Test func itIsTriedOnceForOneDeadlock() {
        var bench = Bench(rescue { $0.limits.times = 3 })
        bench.deadlock()
        bench.beat(3000)
        #expect(bench.verbs.filter { $0 == .freeze }.count == 1)
    }

    @Test func observingGoesThroughTheSameSteps() {
        var bench = Bench(
            rescue {
                $0.mode = .observe
                $0.endsConnection = true
            })
        bench.deadlock()
        bench.beat(300)
        #expect(bench.verbs == [.freeze, .kill, .kill, .kill, .endConnection, .disconnect])
        #expect(bench.directives.allSatisfy { !$0.isEnforced })
        #expect(bench.told.map(\.outcome) == [.would])
    }
}
