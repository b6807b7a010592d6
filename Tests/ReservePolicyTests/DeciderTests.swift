// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ReserveModel
@testable import ReservePolicy

/// A picture that is set by hand, and rules over it; a beat is a tenth of a second.
struct Bench {
    var picture = Picture()
    var decider: Decider
    var now: UInt64 = 1_000_000_000
    var directives: [Directive] = []
    var told: [Enforcement] = []
    /// What comes of the acts: told to the decider in the beat after.
    var outcome: EnforceOutcome? = .done
    /// Those fail whatever ``outcome`` is.
    var failing: Set<EnforceVerb> = []

    init(_ rules: Rule...) {
        var set = RuleSet()
        set.rules = rules
        decider = Decider(set, policy: Policy())
    }

    mutating func beat(_ count: Int = 1) {
        for _ in 0..<count {
            now += 100_000_000
            var out = DirectiveQueue(capacity: 32)
            var said = BoundedList<Enforcement>(capacity: 32)
            decider.decide(picture, at: now, &out, told: &said)
            for index in out.indices {
                directives.append(out[index])
                guard let outcome else { continue }
                var act = decider.wouldBe(out[index])
                act.outcome = out[index].isEnforced ? outcome : .would
                if failing.contains(act.verb) { act.outcome = .failed }
                decider.hear(act)
            }
            for index in said.indices { told.append(said[index]) }
        }
    }

    var verbs: [EnforceVerb] { directives.map(\.verb) }

    mutating func stall(_ findings: (inout Alert.Findings) -> Void = { _ in }) {
        picture.verdict.state = .stalling
        picture.verdict.conditions.progress = .stopped
        picture.findings = Alert.Findings()
        findings(&picture.findings)
    }

    mutating func deadlock() {
        stall {
            $0.lostWire = .ruledOut
            $0.deadReceivePath = .confirmed
        }
        picture.verdict.state = .deadlocked
        picture.verdict.conditions.actors = .none
        let worker = HostVerdict.Worker(
            task: TaskIdentity(tid: 28, tgid: 28, cgroupID: 0, comm: FixedName("kworker/1:0")),
            insideNanoseconds: 5_000_000_000, stack: nil, receives: true)
        picture.verdict.evidence.worker = worker
        var device = HostVerdict.Device()
        device.disk = FixedName("nbd0")
        device.path = NBDSample.Path()
        device.inFlight = 7
        picture.verdict.evidence.device = device
        picture.sockets.removeAll()
        var socket = SocketSample()
        socket.disk = FixedName("nbd0")
        socket.tcp = SocketSample.TCP()
        socket.serial = 1
        picture.sockets.append(socket)
    }

    mutating func recover() {
        picture.verdict.state = .calm
        picture.verdict.conditions.progress = .moving
        picture.verdict.conditions.actors = .open
        picture.verdict.evidence.worker = nil
        picture.findings = Alert.Findings()
    }
}

func freeze(_ change: (inout Rule) -> Void = { _ in }) -> Rule {
    var rule = Rule(name: "freeze", action: .freeze, target: .cgroup("/load"))
    rule.mode = .enforce
    rule.states = [HostStates(.stalling), HostStates(.deadlocked)]
    change(&rule)
    return rule
}

func kill(_ change: (inout Rule) -> Void = { _ in }) -> Rule {
    var rule = Rule(name: "kill", action: .kill, target: .largestIn(.cgroup("/load")))
    rule.mode = .enforce
    rule.holdNanoseconds = 3_000_000_000
    rule.states = [HostStates(.stalling), HostStates(.deadlocked)]
    change(&rule)
    return rule
}

@Suite struct DeciderTests {
    @Test func nothingIsDoneToAHostThatIsWell() {
        var bench = Bench(freeze(), kill())
        for state in HostState.allCases where state < .stalling {
            bench.picture.verdict.state = state
            bench.beat(100)
        }
        #expect(bench.directives.isEmpty)
        #expect(bench.told.isEmpty)
    }

    @Test func aRuleWaitsForItsTimeWithoutABreak() {
        var bench = Bench(freeze())
        bench.stall()
        bench.beat(10)
        #expect(bench.directives.isEmpty)
        bench.recover()
        bench.beat()
        bench.stall()
        bench.beat(10)
        #expect(bench.directives.isEmpty)
        bench.beat()
        #expect(bench.verbs == [.freeze])
        #expect(bench.directives[0].deadlineBootNanoseconds == bench.now + 15_000_000_000)
        #expect(bench.decider.standings[0].stands)
    }

    /// A host whose CPUs were taken away has not waited.
    @Test func timeThatTheWatchDidNotTurnIsNotCounted() {
        var bench = Bench(freeze { $0.holdNanoseconds = 2_000_000_000 })
        bench.stall()
        bench.beat(2)
        bench.now += 60_000_000_000
        bench.beat()
        #expect(bench.directives.isEmpty)
    }

    @Test func whatStandsIsTakenBackOnceItIsOver() {
        var bench = Bench(freeze())
        bench.stall()
        bench.beat(20)
        bench.recover()
        bench.beat(9)
        #expect(bench.verbs == [.freeze])
        bench.beat()
        #expect(bench.verbs == [.freeze, .thaw])
        #expect(bench.directives[1].serial == bench.directives[0].serial)
        #expect(bench.directives[1].reason == .released)
        #expect(!bench.decider.standings[0].stands)
        #expect(bench.decider.standings[0].undone == 1)
        bench.beat(100)
        #expect(bench.directives.count == 2)
    }

    @Test func whatStandsIsTakenBackAtItsDeadlineAndWaitsAnew() {
        var bench = Bench(freeze { $0.limits.durationNanoseconds = 2_000_000_000 })
        bench.stall()
        bench.beat(11 + 20)
        #expect(bench.verbs == [.freeze, .thaw])
        #expect(bench.directives[1].reason == .deadline)
        bench.beat(9)
        #expect(bench.directives.count == 2)
        bench.beat()
        #expect(bench.verbs == [.freeze, .thaw, .freeze])
    }

    @Test func itActsNoMoreOftenThanItMay() {
        var bench = Bench(
            freeze {
                $0.limits.durationNanoseconds = 1_000_000_000
                $0.limits.times = 2
                $0.limits.everyNanoseconds = 60_000_000_000
            })
        bench.stall()
        bench.beat(300)
        #expect(bench.verbs == [.freeze, .thaw, .freeze, .thaw])
        #expect(bench.told.map(\.outcome) == [.limited])
        #expect(bench.decider.standings[0].limited == 1)
        // The hour is over, and so was what it waits for.
        bench.recover()
        bench.beat(300)
        bench.stall()
        bench.beat(20)
        #expect(bench.verbs.suffix(1) == [.freeze])
        #expect(bench.directives.count == 5)
    }

    @Test func aFreezeThatFailedIsNotTriedAgainForTheSame() {
        var bench = Bench(freeze())
        bench.outcome = .failed
        bench.stall()
        bench.beat(200)
        #expect(bench.verbs == [.freeze])
        #expect(!bench.decider.standings[0].stands)
        bench.recover()
        bench.beat(5)
        bench.stall()
        bench.beat(20)
        #expect(bench.verbs == [.freeze, .freeze])
    }

    @Test func aKeeperThatTookItBackEndsIt() {
        var bench = Bench(freeze { $0.limits.times = 1 })
        bench.stall()
        bench.beat(12)
        var act = bench.decider.wouldBe(bench.directives[0])
        act.verb = .thaw
        act.outcome = .done
        act.reason = .watchStands
        bench.decider.hear(act)
        bench.beat(3)
        #expect(bench.verbs == [.freeze])
        #expect(!bench.decider.standings[0].stands)
    }

    @Test func evidenceThatNothingTellsIsNeitherSeenNorRuledOut() {
        var bench = Bench(
            freeze { $0.seen = EvidenceSet(.silentServer) },
            freeze { $0.ruledOut = EvidenceSet(.silentServer) })
        bench.stall { $0.silentServer = .cannotTell }
        bench.beat(30)
        #expect(bench.directives.isEmpty)
        bench.stall { $0.silentServer = .confirmed }
        bench.beat(12)
        #expect(bench.directives.map(\.rule) == [0])
        bench.stall { $0.silentServer = .ruledOut }
        bench.beat(12)
        #expect(bench.directives.map(\.rule) == [0, 0, 1])
    }

    @Test func aLostWireKillsNobody() {
        var bench = Bench(kill())
        bench.stall { $0.lostWire = .confirmed }
        bench.beat(600)
        #expect(bench.directives.isEmpty)
        bench.stall { $0.lostWire = .cannotTell }
        bench.beat(31)
        #expect(bench.verbs == [.kill])
    }

    /// Slow and alive: each request takes longer than what is called a stop, and then completes.
    @Test func whoGoesOnNowAndThenIsNotKilledAndIsFrozen() {
        var bench = Bench(kill(), freeze())
        bench.stall()
        for _ in 0..<60 {
            bench.picture.verdict.conditions.progress = .stopped
            bench.beat(9)
            bench.picture.verdict.conditions.progress = .moving
            bench.beat()
        }
        #expect(!bench.verbs.contains(.kill))
        #expect(bench.verbs.contains(.freeze))
        bench.picture.verdict.conditions.progress = .stopped
        bench.beat(31)
        #expect(bench.verbs.contains(.kill))
    }

    @Test func killsComeOneByOneAndEachWaitsForTheWholeTime() {
        var bench = Bench(kill { $0.limits.victims = 2 })
        bench.stall()
        bench.beat(31)
        #expect(bench.verbs == [.kill])
        bench.beat(29)
        #expect(bench.directives.count == 1)
        bench.beat()
        #expect(bench.directives.count == 2)
        bench.beat(600)
        #expect(bench.directives.count == 2)
    }

    @Test func aKillThatIsNotHeardOfIsWaitedFor() {
        var bench = Bench(kill { $0.limits.victims = 2 })
        bench.outcome = nil
        bench.stall()
        bench.beat(31 + 90)
        #expect(bench.directives.count == 1)
    }

    @Test func observingDoesTheSameAndSaysSo() {
        var bench = Bench(freeze { $0.mode = .observe }, kill { $0.mode = .off })
        bench.stall()
        bench.beat(20)
        bench.recover()
        bench.beat(20)
        #expect(bench.verbs == [.freeze, .thaw])
        #expect(bench.directives.allSatisfy { !$0.isEnforced })
        #expect(bench.decider.standings[0].would == 1)
        #expect(bench.decider.standings[0].done == 0)
    }
}
