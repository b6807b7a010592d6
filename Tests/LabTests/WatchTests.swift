// SPDX-License-Identifier: Apache-2.0

import LabKit
import Testing

@Suite struct BeatTests {
    @Test func theWorstGapIsFoundWithWhenItBegan() {
        let arrivals = [0.0, 0.9, 1.0, 1.1, 1.2, 3.7, 3.8, 3.9, 4.0]
        let beat = Beat.of(arrivals, from: 1, to: 4)
        #expect(beat?.worstGapMilliseconds == 2500)
        #expect(beat?.worstGapAtSeconds == 0.2)
        #expect(beat?.usualGapMilliseconds == 100)
        #expect(beat?.count == 6)
    }

    @Test func whoFallsSilentHasAGapUntilTheEnd() {
        #expect(Beat.of([1.0, 1.1, 1.2], from: 1, to: 61.2)?.worstGapMilliseconds == 60000)
        #expect(Beat.of([0.5], from: 1, to: 11)?.worstGapMilliseconds == 10000)
    }

    @Test func whatCameAfterTheEndIsNotLookedAt() {
        #expect(Beat.of([1.1, 1.2, 90], from: 1, to: 1.3)?.worstGapMilliseconds == 100)
    }

    /// As of oom-6.12: it beat each 100 ms, and one line came 0.4 s late.
    @Test func whatALineWasLateByIsNotTheWatchs() {
        let stamps = [46.4, 46.5, 46.6, 46.7, 46.8, 47.5].map { "B \(Int($0 * 1e9))" }
        let late = zip([1.1, 1.2, 1.72, 1.73, 1.74, 2.4], stamps).map(Arrival.init)
        let beat = Beat.stamped(late, from: 1, to: 2.5)
        #expect(beat?.worstGapMilliseconds == 660)
        #expect(beat?.worstGapAtSeconds == 0.7)
        let until = Beat.stamped(Array(late.prefix(5)), from: 1, to: 1.75)
        #expect(until?.worstGapMilliseconds == 100)
        #expect(Beat.of(late.map(\.seconds), from: 1, to: 1.75)?.worstGapMilliseconds == 520)
        // One that is not there to tell has the whole gap, and so has one that fell silent.
        let silent = Beat.stamped(Array(late.prefix(2)), from: 1, to: 9)
        #expect(silent?.worstGapMilliseconds == 7800)
        let mute = late.map { Arrival(seconds: $0.seconds, text: "B") }
        #expect(Beat.stamped(mute, from: 1, to: 1.75)?.worstGapMilliseconds == 520)
    }

    @Test func whoNeverBeatIsUnknown() {
        #expect(Beat.of([], from: 1, to: 2) == nil)
        #expect(Beat.of([3], from: 1, to: 2) == nil)
    }
}

@Suite struct AlertAccountTests {
    private func second(_ seconds: Double) -> Int { Int(seconds * 1e9) }

    private func alert(
        _ at: Double, _ level: String, _ track: String = "pressure", _ incident: Int = 1
    )
        -> AlertLine
    {
        AlertLine(
            bootNanoseconds: second(at), level: level, track: track, incident: incident)
    }

    private func stall(_ since: Double, _ until: Double, hasEnded: Bool = true)
        -> ProbeSample.Stall
    {
        var stall = ProbeSample.Stall(seconds: until - since, completed: 7)
        stall.sinceBootNanoseconds = second(since)
        stall.untilBootNanoseconds = second(until)
        stall.hasEnded = hasEnded
        return stall
    }

    @Test func aLineOfAnAlertIsRead() {
        let line: [String: Any] = [
            "kind": "alert", "boot_ns": 5,
            "alert": ["incident": 3, "track": "exposure", "level": "warning", "verdict": "calm"],
        ]
        #expect(
            AlertLine.parse(line)
                == AlertLine(bootNanoseconds: 5, level: "warning", track: "exposure", incident: 3))
        #expect(AlertLine.parse(["kind": "verdict", "boot_ns": 5]) == nil)
        #expect(AlertLine.parse(["kind": "alert", "boot_ns": 5]) == nil)
    }

    @Test func timesCountFromTheLastCompletion() {
        let account = AlertAccount(
            alerts: [
                alert(10, "warning"), alert(21.5, "critical"), alert(40, "critical"),
                alert(83, "resolved"),
            ],
            stall: stall(20, 82))
        #expect(account.criticalAfterSeconds == 1.5)
        #expect(account.resolvedAfterSeconds == 1)
        #expect(account.warningLeadSeconds == ["pressure": 10])
        #expect(account.lines == ["warning": 1, "critical": 2, "resolved": 1])
        #expect(account.incidents["pressure critical"] == 1)
    }

    @Test func aWarningThatWasResolvedDoesNotLead() {
        let account = AlertAccount(
            alerts: [
                alert(5, "warning", "exposure", 1), alert(10, "warning", "pressure", 2),
                alert(12, "resolved", "pressure", 2), alert(21, "warning", "pressure", 3),
            ],
            stall: stall(20, 82))
        #expect(account.warningLeadSeconds == ["exposure": 15, "pressure": -1])
    }

    @Test func aCriticalOutsideOfTheStallIsNotItsOwn() {
        let account = AlertAccount(
            alerts: [
                alert(18, "critical"), alert(19, "resolved"), alert(83, "critical", "pressure", 2),
            ],
            stall: stall(20, 82))
        #expect(account.criticalAfterSeconds == nil)
        #expect(account.lines["critical"] == 2)
    }

    /// By a stop just before: it is told no second time.
    @Test func aCriticalThatStandsAlreadyIsThere() {
        let account = AlertAccount(
            alerts: [
                alert(10, "critical"), alert(11, "resolved"),
                alert(19, "critical", "pressure", 2), alert(30, "critical", "pressure", 2),
                alert(83, "resolved", "pressure", 2),
            ],
            stall: stall(20, 82))
        #expect(account.criticalAfterSeconds == -1)
        #expect(account.resolvedAfterSeconds == 1)
    }

    @Test func aStallThatLastsHasNothingResolved() {
        let account = AlertAccount(
            alerts: [alert(21, "critical"), alert(22, "resolved")],
            stall: stall(20, 82, hasEnded: false))
        #expect(account.criticalAfterSeconds == 1)
        #expect(account.resolvedAfterSeconds == nil)
    }

    @Test func theHostsClockIsTheGuestsAndTheLeastDelay() {
        let samples = [
            Arrival(seconds: 1000.25, text: "@ 10000000000 0"),
            Arrival(seconds: 1000.3, text: "done: 77"),
            Arrival(seconds: 1010.5, text: "@ 20000000000 0"),
            Arrival(seconds: 1099.0, text: "@ 109000000000 0"),
        ]
        let offset = Arrival.hostLessBoot(samples, near: 20_000_000_000)
        #expect(offset == 990.25)
        let account = AlertAccount(
            alerts: [alert(21, "critical")], stall: stall(20, 82),
            arrivals: [
                Arrival(seconds: 1000, text: "{\"level\":\"critical\"}"),
                Arrival(seconds: 1011, text: "{\"level\":\"resolved\",\"peak\":\"critical\"}"),
                Arrival(seconds: 1011.75, text: "{\"level\":\"critical\"}"),
            ], hostLessBoot: offset)
        #expect(account.criticalArrivedAfterSeconds == 1.5)
        #expect(Arrival.hostLessBoot([], near: 0) == nil)
    }
}

@Suite struct ContradictedTests {
    private func sample(_ boot: Double, _ completed: Int, flying: Int = 1) -> ProbeSample {
        var sample = ProbeSample(bootNanoseconds: Int(boot * 1e9))
        sample.completed = completed
        sample.inFlight = flying
        return sample
    }

    private func wrong(
        _ alerts: [(Double, String, String)], _ samples: [ProbeSample]
    ) -> [Double] {
        AlertAccount.contradicted(
            alerts.map {
                AlertLine(bootNanoseconds: Int($0.0 * 1e9), level: $0.1, track: $0.2, incident: 2)
            }, by: samples, stoppedFor: 1.2
        ).map { Double($0.bootNanoseconds) / 1e9 }
    }

    /// As of storm-6.12 on a machine that had little time for it.
    @Test func aStopThatTheKernelShowsBearsItOut() {
        let samples = [sample(113.5, 657), sample(114.5, 666), sample(116, 666), sample(117, 670)]
        #expect(wrong([(116.5, "critical", "pressure")], samples) == [])
        #expect(
            wrong([(116.5, "warning", "pressure"), (116.75, "resolved", "pressure")], samples) == []
        )
    }

    @Test func whatMovedOrWasIdleDoesNot() {
        let alert = (20.0, "critical", "pressure")
        #expect(wrong([alert], [sample(18, 7), sample(19, 8), sample(19.5, 8)]) == [])
        #expect(wrong([alert], [sample(18.5, 7), sample(19, 8), sample(19.5, 9)]) == [20])
        #expect(wrong([alert], [sample(17, 7), sample(18, 8), sample(19.5, 8, flying: 0)]) == [20])
        #expect(wrong([alert], [sample(17, 7), sample(19.5, 7)]) == [20])
        #expect(wrong([alert], []) == [20])
    }

    @Test func onlyTheFirstOfAnIncidentAndOnlyOfPressure() {
        let samples = [
            sample(17, 7), sample(18, 8), sample(19.5, 8), sample(20.5, 9), sample(21, 10),
        ]
        #expect(
            wrong([(20, "critical", "pressure"), (21.5, "critical", "pressure")], samples) == [])
        #expect(wrong([(20, "critical", "swap")], samples) == [20])
    }
}

@Suite struct LatenessTests {
    private let samples = [
        Arrival(seconds: 10, text: "@ 1 900 900"), Arrival(seconds: 10.5, text: "@ 2 900 0"),
        Arrival(seconds: 10.6, text: "done: 7 7 7"), Arrival(seconds: 12, text: "@ 3 900 480"),
        Arrival(seconds: 12.5, text: "@ 4 950 950"), Arrival(seconds: 13, text: "@ 5 950"),
    ]

    @Test func onlyWhatWasAtThatMomentCounts() {
        #expect(Arrival.lateness(samples, from: 10.2, to: 10.9) == 0)
        #expect(Arrival.lateness(samples, from: 10.5, to: 11.1) == 480)
        #expect(Arrival.lateness(samples, from: 9, to: 10) == 900)
        #expect(Arrival.lateness(samples, from: 11.5, to: 11.9) == 950)
    }

    @Test func withoutASampleNothingIsKnown() {
        #expect(Arrival.lateness(samples, from: 12.6, to: 14) == nil)
        #expect(Arrival.lateness([], from: 0, to: 1) == nil)
    }
}

@Suite struct StallTests {
    private func text(_ boot: Double, done: Double, count: Int, flying: Int) -> String {
        """
        @ \(Int(boot * 1e9)) 0
        done: \(Int(done * 1e9))
        stat: nbd0: \(count) 0 0 0 0 0 0 0 0 0 0
        inflight: nbd0: \(flying) 0
        @.

        """
    }

    @Test func theLastCompletionIsKnownBetterThanTheSamples() {
        let samples =
            text(10, done: 9.95, count: 5, flying: 1) + text(10.5, done: 10.2, count: 6, flying: 2)
            + text(11, done: 10.2, count: 6, flying: 2) + text(40, done: 10.2, count: 6, flying: 3)
            + text(40.5, done: 40.3, count: 9, flying: 1)
        let stall = ProbeSample.longestStall(ProbeSample.parse(samples))
        #expect(stall.sinceBootNanoseconds == 10_200_000_000)
        #expect(stall.untilBootNanoseconds == 40_500_000_000)
        #expect(stall.hasEnded)
        #expect(stall.seconds == 29.5)
    }

    @Test func anIdleTimeBeforeItIsNoPartOfAStall() {
        let samples =
            text(10, done: 1, count: 5, flying: 0) + text(50, done: 1, count: 5, flying: 2)
            + text(60, done: 1, count: 5, flying: 2)
        let stall = ProbeSample.longestStall(ProbeSample.parse(samples))
        #expect(stall.sinceBootNanoseconds == 50_000_000_000)
        #expect(!stall.hasEnded)
    }

    @Test func theLongestCountsAndNotTheLast() {
        let samples =
            text(10, done: 10, count: 5, flying: 1) + text(40, done: 10, count: 5, flying: 1)
            + text(41, done: 41, count: 6, flying: 1) + text(45, done: 41, count: 6, flying: 1)
            + text(46, done: 46, count: 7, flying: 0)
        let stall = ProbeSample.longestStall(ProbeSample.parse(samples))
        #expect(stall.seconds == 30)
        #expect(stall.untilBootNanoseconds == 41_000_000_000)
    }
}

@Suite struct FaultTests {
    private func scenario(_ lines: String) throws -> Scenario {
        try Scenario.parse(lines, name: "s")
    }

    @Test func whatGoesWrongIsRead() throws {
        let scenario = try scenario(
            """
            server_stop_after_s=8
            server_stop_for_s=20
            slow_wire=rate_kbit=32000 delay_ms=20
            server=local
            compare=shell,bpftrace
            jammed=yes
            expect=deadlock
            deadlock_for_s=5
            critical=3s
            sysctl=net.ipv4.tcp_mem=1 2 3
            flood=streams=12 queue_kib=12288 reads=never card=swap after_s=6
            """)
        #expect(scenario.faults.serverStopAfter == 8)
        #expect(scenario.faults.serverStopFor == 20)
        #expect(scenario.faults.slowWire?.filters == ["--filter=rate", "--filter=delay"])
        #expect(
            scenario.faults.slowWire?.parameters == ["rate=32000k", "rdelay=20ms", "wdelay=20ms"])
        #expect(!scenario.faults.losesSwap)
        #expect(scenario.serverIsLocal && scenario.jammed)
        #expect(scenario.companions == [.shell, .bpftrace])
        #expect(scenario.expectation == .deadlock)
        #expect(scenario.deadlockForSeconds == 5)
        #expect(scenario.critical == .within(seconds: 3))
        #expect(scenario.sysctls == ["net.ipv4.tcp_mem=1 2 3"])
        #expect(scenario.flood?.neverReads == true && scenario.flood?.sharesCard == true)
        #expect(scenario.flood?.after == 6)
    }

    @Test func whoeverIsKilledTakesTheSwapAlong() throws {
        #expect(try scenario("server_kill_after_s=8").faults.losesSwap)
        #expect(try scenario("client_kill_after_s=8").faults.losesSwap)
    }

    @Test(arguments: [
        "server_stop_after_s=soon", "server_kill_after_s=-1", "client_kill_after_s=",
        "slow_wire=", "slow_wire=rate_kbit=0", "slow_wire=speed=4", "server=elsewhere", "compare=",
        "compare=shell,", "compare=systemd", "critical=soon", "critical=0s", "critical=3",
        "sysctl=vm/min=3", "sysctl=a=$(b)", "init=runit", "flood=streams=4 reads=always",
        "deadlock_for_s=x",
    ])
    func whatCannotBeIsRefused(line: String) {
        #expect(throws: LabError.self) { try scenario(line) }
    }

    @Test func noTwoLinesShareADeviceOrAFile() {
        let lines = SerialLine.allCases
        #expect(Set(lines.map(\.device)).count == lines.count)
        let files = lines.compactMap(\.file)
        #expect(Set(files).count == files.count)
        #expect(SerialLine.events.device == "/dev/ttyS4")
        #expect(SerialLine.jammed.device == "/dev/ttyS13")
    }
}

@Suite struct ExpectedDeadlockTests {
    private func tally(_ outcome: Outcome, rowsPass: Bool) -> Tally {
        var scenario = Scenario(name: "s")
        scenario.mustComplete = false
        scenario.expectation = .deadlock
        var tally = Tally()
        tally.count("s-6.1", outcome, rowsPass: rowsPass, scenario)
        return tally
    }

    @Test func whatTheWatchSaidOfADeadlockCounts() {
        #expect(tally(.deadlocked, rowsPass: true).exitStatus == 0)
        #expect(tally(.deadlocked, rowsPass: false).exitStatus == 1)
    }

    @Test func aGuestThatCameThroughIsNamed() {
        let tally = tally(.completed, rowsPass: true)
        #expect(tally.exitStatus == 0)
        #expect(tally.lines.first == "came through, though a deadlock was expected: s-6.1")
    }
}
