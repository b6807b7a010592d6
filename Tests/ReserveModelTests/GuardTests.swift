// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ReserveModel

@Suite struct GuardTests {
    private func task(_ tgid: UInt32, _ comm: StaticString) -> TaskIdentity {
        TaskIdentity(tid: tgid, tgid: tgid, cgroupID: 0, comm: FixedName(comm))
    }

    private func process(_ tgid: UInt32, _ role: UInt32) -> GuardedProcess {
        var process = GuardedProcess(
            task: task(tgid, "nbd-client"), role: GuardRole(rawValue: role))
        process.disk = FixedName("nbd0")
        process.scoreAdjust = -1000
        process.lockedPages = 400
        return process
    }

    private func attempt(_ result: GuardAttempt.Result) -> GuardAttempt {
        GuardAttempt(
            task: task(9, "kill"), target: task(190, "nbd-client"), action: .signal,
            result: result, reason: .observing, way: .none)
    }

    private func notices(of bodies: [Event.Body], _ model: inout Model) -> [Notice] {
        var queue = NoticeQueue(capacity: 32)
        model.apply(Event(bootNanoseconds: 1, cpu: 0, body: .host(HostFacts())), notices: &queue)
        for body in bodies {
            model.apply(Event(bootNanoseconds: 2, cpu: 0, body: body), notices: &queue)
        }
        return queue.indices.map { queue[$0] }.filter {
            switch $0.body {
            case .guardAttempt, .guarded: true
            default: false
            }
        }
    }

    @Test func eachAttemptIsToldAndOneThatIsExceptedIsNoWarning() {
        var model = Model(policy: Policy())
        let told = notices(
            of: [.allowed, .excepted, .refused].map { .guardAttempt(attempt($0)) }, &model)
        #expect(told.map(\.severity) == [.warning, .notice, .warning])
        #expect(model.picture.received[Stem.guard] == 3)
    }

    @Test func whoIsGuardedStandsInThePictureUntilItIsReleased() {
        var model = Model(policy: Policy())
        let told = notices(
            of: [
                .guarded(process(190, 2)), .guarded(process(191, 4)), .guarded(process(190, 6)),
                .guardReleased(process(191, 4)),
            ], &model)
        #expect(told.count == 4)
        #expect(model.picture.guarded.count == 1)
        #expect(model.picture.guarded[0].task.tgid == 190)
        #expect(model.picture.guarded[0].role.isServer && model.picture.guarded[0].role.isClient)
    }

    @Test func whatIsReleasedAndWasNeverSeenIsToldAllTheSame() {
        var model = Model(policy: Policy())
        let told = notices(of: [.guardReleased(process(5, 2))], &model)
        #expect(told.count == 1)
        #expect(model.picture.guarded.isEmpty)
    }

    @Test func aClientThatMayBeKilledPagedOutOrIsTracedIsAWarning() {
        var killable = process(1, 2)
        killable.scoreAdjust = 0
        var unlocked = process(1, 2)
        unlocked.lockedPages = 0
        var traced = process(1, 2)
        traced.tracer = 4
        #expect(process(1, 2).severity == .info)
        for process in [killable, unlocked, traced] { #expect(process.severity == .warning) }
        // The agent takes its own protections after it was found, and tells them itself.
        var agent = GuardedProcess(task: task(1, "agent"), role: GuardRole(rawValue: 1))
        agent.scoreAdjust = 0
        #expect(agent.severity == .info)
    }
}
