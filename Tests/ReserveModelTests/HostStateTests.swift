// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ReserveModel

private let hold: UInt64 = 2_000_000_000

private let allConditions: [HostConditions] = HostConditions.Memory.allCases.flatMap { memory in
    HostConditions.Progress.allCases.flatMap { progress in
        HostConditions.Actors.allCases.map {
            HostConditions(memory: memory, progress: progress, actors: $0)
        }
    }
}

@Suite struct HostStateTests {
    /// Every combination of what can be seen: 5 x 5 x 4.
    @Test(arguments: allConditions)
    func conditionsAreOneState(conditions: HostConditions) {
        let state = conditions.state
        switch (conditions.progress, conditions.memory) {
        case (.failing, _): #expect(state == .failing)
        case (.stopped, _):
            #expect(state == (conditions.actors == .none ? .deadlocked : .stalling))
        case (_, .unknown): #expect(state == .unknown)
        case (_, .aboveLow): #expect(state == .calm)
        case (_, .belowLow): #expect(state == .pressed)
        case (_, .belowMin): #expect(state == .reserve)
        case (_, .atThrottleLine): #expect(state == .throttling)
        }
    }

    /// Every state, and whatever may be seen next: 8 x 100.
    @Test(arguments: HostState.allCases)
    func worseIsFollowedAtOnceAndBetterWhenItHeld(from: HostState) {
        for conditions in allConditions {
            let target = conditions.state
            var machine = HostStateMachine(state: from, sinceBootNanoseconds: 1)
            let before = machine.see(conditions, at: 100, holdNanoseconds: hold)
            if target == from {
                #expect(before == nil)
                #expect(machine.sinceBootNanoseconds == 1)
            } else if target > from || target == .unknown || from == .unknown {
                #expect(before == from, "\(from) to \(target)")
                #expect(machine.state == target)
                #expect(machine.sinceBootNanoseconds == 100)
            } else {
                #expect(before == nil, "\(from) to \(target)")
                #expect(machine.state == from)
                #expect(machine.see(conditions, at: 99 + hold, holdNanoseconds: hold) == nil)
                let after = machine.see(conditions, at: 100 + hold, holdNanoseconds: hold)
                let isStuck =
                    from == .deadlocked && conditions.progress == .stopped
                    && conditions.actors != .receiving
                #expect(after == (isStuck ? nil : from), "\(from) to \(target)")
                #expect(machine.state == (isStuck ? from : target))
            }
        }
    }

    private func seen(
        _ memory: HostConditions.Memory, _ progress: HostConditions.Progress = .idle,
        _ actors: HostConditions.Actors = .open
    ) -> HostConditions {
        HostConditions(memory: memory, progress: progress, actors: actors)
    }

    @Test func aRelapseStartsTheWaitAnew() {
        var machine = HostStateMachine(state: .reserve, sinceBootNanoseconds: 0)
        #expect(machine.see(seen(.aboveLow), at: 0, holdNanoseconds: hold) == nil)
        #expect(machine.see(seen(.belowMin), at: hold - 1, holdNanoseconds: hold) == nil)
        #expect(machine.see(seen(.aboveLow), at: hold, holdNanoseconds: hold) == nil)
        #expect(machine.see(seen(.aboveLow), at: 2 * hold - 1, holdNanoseconds: hold) == nil)
        #expect(machine.see(seen(.aboveLow), at: 2 * hold, holdNanoseconds: hold) == .reserve)
        #expect(machine.state == .calm)
    }

    @Test func itFallsToTheWorstOfWhatWasSeenMeanwhile() {
        var machine = HostStateMachine(state: .throttling, sinceBootNanoseconds: 0)
        _ = machine.see(seen(.aboveLow), at: 1, holdNanoseconds: hold)
        _ = machine.see(seen(.belowLow), at: 2, holdNanoseconds: hold)
        #expect(machine.see(seen(.aboveLow), at: 1 + hold, holdNanoseconds: hold) == .throttling)
        #expect(machine.state == .pressed)
    }

    @Test func memoryThatComesFreeEndsNoDeadlock() {
        var machine = HostStateMachine()
        _ = machine.see(seen(.belowMin, .stopped, .none), at: 1, holdNanoseconds: hold)
        #expect(machine.state == .deadlocked)
        for second in 1...100 {
            _ = machine.see(
                seen(.aboveLow, .stopped, .open), at: UInt64(second) * 1_000_000_000,
                holdNanoseconds: hold)
        }
        #expect(machine.state == .deadlocked)
        _ = machine.see(seen(.aboveLow, .moving), at: 101_000_000_000, holdNanoseconds: hold)
        _ = machine.see(seen(.aboveLow, .moving), at: 104_000_000_000, holdNanoseconds: hold)
        #expect(machine.state == .calm)
    }
}

@Suite struct FreeTrendTests {
    private func trend(_ free: (Int) -> UInt64, count: Int = 20) -> FreeTrend {
        var trend = FreeTrend()
        for index in 0..<count {
            trend.add(freePages: free(index), at: 1_000_000_000 + UInt64(index) * 100_000_000)
        }
        return trend
    }

    @Test func aSteadyFallEndsWhereItsLineDoes() {
        // 1000 pages in 100 ms: after 19 steps 81 000 are left, good for 8.1 s.
        let estimate = trend { 100_000 - UInt64($0) * 1000 }.timeLeft
        #expect(estimate?.confidence == .high)
        let seconds = Double(estimate?.nanoseconds ?? 0) / 1e9
        #expect(abs(seconds - 8.1) < 0.01)
    }

    @Test func whatDoesNotFallHasNoEnd() {
        #expect(trend { _ in 5000 }.timeLeft == nil)
        #expect(trend { 5000 + UInt64($0) }.timeLeft == nil)
    }

    @Test func tooFewSamplesSayNothing() {
        #expect(trend({ 1000 - UInt64($0) * 10 }, count: 7).timeLeft == nil)
        #expect(trend({ 1000 - UInt64($0) * 10 }, count: 8).timeLeft != nil)
    }

    @Test func aZigzagIsNoTrend() {
        #expect(trend { $0 % 2 == 0 ? 9000 : 1000 }.timeLeft == nil)
    }

    @Test func aFallWithNoiseIsLessSure() {
        let noise: [UInt64] = [0, 4200, 900, 5100, 300, 3900, 2500, 100, 4700, 1800]
        let estimate = trend { 100_000 - UInt64($0) * 300 + noise[$0 % 10] }.timeLeft
        #expect(estimate == nil || estimate?.confidence != .high)
    }

    @Test func oldSamplesAreForgotten() {
        var trend = trend { 100_000 - UInt64($0) * 1000 }
        for index in 0..<30 {
            trend.add(freePages: 80_000, at: 10_000_000_000 + UInt64(index) * 100_000_000)
        }
        #expect(trend.timeLeft == nil)
    }

    @Test func aHostOfManyTebibytesDoesNotOverflow() {
        let estimate = trend { (1 << 40) - UInt64($0) << 30 }.timeLeft
        #expect(estimate != nil)
    }
}
