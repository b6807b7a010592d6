// SPDX-License-Identifier: Apache-2.0

import LabKit
import Testing

@Suite struct ComparisonTests {
    private func verdict(agent: Int?, s0: Int, s0p: Int, s1: Int, s1p: Int) -> Row.Verdict {
        Row.counter("x", agent: agent, s0: s0, s0p: s0p, s1: s1, s1p: s1p).verdict
    }

    @Test func aStillCounterMustAgreeExactly() {
        #expect(verdict(agent: 5, s0: 10, s0p: 10, s1: 15, s1p: 15) == .exact)
        #expect(verdict(agent: 4, s0: 10, s0p: 10, s1: 15, s1p: 15) == .differs)
        #expect(verdict(agent: 6, s0: 10, s0p: 10, s1: 15, s1p: 15) == .differs)
    }

    @Test func aMovingCounterGivesABracket() {
        #expect(verdict(agent: 4, s0: 10, s0p: 11, s1: 15, s1p: 16) == .withinBracket)
        #expect(verdict(agent: 6, s0: 10, s0p: 11, s1: 15, s1p: 16) == .withinBracket)
        #expect(verdict(agent: 7, s0: 10, s0p: 11, s1: 15, s1p: 16) == .differs)
        #expect(verdict(agent: 3, s0: 10, s0p: 11, s1: 15, s1p: 16) == .differs)
    }

    @Test func whatIsAbsentIsNotZero() {
        #expect(verdict(agent: nil, s0: 0, s0p: 0, s1: 0, s1p: 0) == .notObserved)
        #expect(Row.equal("x", agent: nil, kernel: nil).verdict == .differs)
    }

    @Test func aMissingSnapshotFails() {
        #expect(
            Row.counter("x", agent: 1, s0: nil, s0p: 1, s1: 1, s1p: 1).verdict == .failed)
    }
}

@Suite struct MovingFigureTests {
    /// Slabs of vm_area_struct in a guest of 6.1.192: 36 before the agent, 41 and 40 around its end, at
    /// which it counted 42.
    private let cache = MovingFigure(starts: [36, 36], ends: [41, 40])

    @Test func whatWasToldWhenTheKernelsWasReadIsHeldAgainstThatReading() {
        #expect(cache.agreeing([5, 5], last: 6) == 5)
        #expect(cache.agreeing([6, 5], last: 6) == 5)
        // It agrees by itself.
        #expect(cache.agreeing([7], last: 4) == nil)
        // It is wrong, or was not told.
        #expect(cache.agreeing([6, 6], last: 6) == nil)
        #expect(cache.agreeing([4, 6], last: 3) == nil)
        #expect(cache.agreeing([], last: 6) == nil)
        #expect(cache.agreeing([5], last: nil) == nil)
    }

    @Test func theSummariesAroundAReadingAreTheNearestThatAreSurelyBesideIt() throws {
        let snapshot = try #require(Snapshot.parse("@@ S1\n@end S1\n@ 26693373673 8\n")["S1"])
        func line(_ boot: Int, _ number: Int) -> [String: Any] {
            ["boot_ns": boot, "summary": ["number": number]]
        }
        let lines =
            [line(24_781_844_483, 1), line(25_790_187_873, 2), ["boot_ns": 26_700_000_000]]
            + [line(26_802_258_463, 3), line(26_945_927_483, 4)]
        #expect(
            snapshot.summariesAround(in: lines).map { $0["number"] as? Int } == [1, 3])
        let cut = try #require(Snapshot.parse("@@ S1\n@end S1\n")["S1"])
        #expect(cut.summariesAround(in: lines).isEmpty)
    }
}

@Suite struct SnapshotTests {
    private let marks = """
        # 1.0 SETTINGS host=prepared
        @@ S0
        @file /proc/vmstat
        allocstall_dma 1
        allocstall_normal 4
        pswpin 7
        @file /sys/block/nbd0/stat
              10 0 80 1 20 0 160 2 0 3 4 5 0 0 0 6 0
        @file /sys/block/nbd0/inflight
               1        2
        @end S0
        @ 26693373673 8
        @.
        @ 27193373673 8
        @@ S1
        @file /proc/vmstat
        pswpin 9
        """

    @Test func wholeFramesAreReadAndCutOnesAreNot() {
        let snapshots = Snapshot.parse(marks)
        #expect(snapshots.keys.sorted() == ["S0"])
        #expect(snapshots["S0"]?.vmstat("allocstall") == 5)
        #expect(snapshots["S0"]?.vmstat("pswpin") == 7)
        #expect(snapshots["S0"]?.vmstat("pswpout") == nil)
        #expect(snapshots["S0"]?.completedRequests() == 10 + 20 + 5 + 6)
        #expect(snapshots["S0"]?.inFlightRequests() == 3)
        #expect(snapshots["S0"]?.beforeBootNanoseconds == 26_693_373_673)
    }

    @Test func zonesWithoutManagedPagesAreLeftOut() {
        let zones = ZoneInfo.parse(
            """
            Node 0, zone      DMA
              pages free     3808
                    boost    0
                    min      34
                    managed  3840
                    protection: (0, 186, 186)
              pagesets
                cpu: 0
                          high:  21
            Node 0, zone   Normal
              pages free     0
                    managed  0
            """)
        #expect(zones.count == 1)
        #expect(zones.first?.zone == "DMA")
        #expect(zones.first?.free == 3808)
        #expect(zones.first?.values["min"] == 34)
        #expect(zones.first?.values["high"] == nil)
        #expect(zones.first?.protection == [0, 186, 186])
    }
}

@Suite struct ProbeTests {
    private func sample(_ second: Int, done: Int, flying: Int) -> String {
        """
        @ \(second * 1_000_000_000) 0
        stat: nbd0: \(done) 0 0 0 0 0 0 0 0 0 0
        inflight: nbd0: \(flying) 0
        @.

        """
    }

    @Test func aStallIsRequestsInFlightAndNoneCompleting() {
        let stalled = (0..<10).map { sample($0, done: $0 < 4 ? $0 : 4, flying: 1) }.joined()
        #expect(ProbeSample.stalledSeconds(ProbeSample.parse(stalled)) == 5)
        let idle = (0..<10).map { sample($0, done: 4, flying: 0) }.joined()
        #expect(ProbeSample.stalledSeconds(ProbeSample.parse(idle)) == 0)
        let busy = (0..<10).map { sample($0, done: $0, flying: 9) }.joined()
        #expect(ProbeSample.stalledSeconds(ProbeSample.parse(busy)) == 0)
    }
}

@Suite struct ScenarioTests {
    @Test func aScenarioIsReadWithItsComments() throws {
        let scenario = try Scenario.parse(
            "# why\nabout=x\nload=mapload 1 2 3\nwire_off_after_s=8\nhost=default\n", name: "s")
        #expect(scenario.load == "mapload 1 2 3")
        #expect(scenario.wireOffAfter == 8)
        #expect(scenario.host == "default")
    }

    @Test func whereNoSwapIsNamedTheWholeOfOneDeviceIsIt() throws {
        let swaps = try Scenario.parse("about=x\n", name: "s").swaps
        #expect(swaps.map { $0.words(port: 4711) } == ["nbd0:disk:2048::1:4711"])
    }

    @Test func eachSwapSaysWhereItLies() throws {
        let scenario = try Scenario.parse(
            """
            nodes=2
            swap=nbd0 size_mib=64 priority=10 connections=4
            swap=nbd1 size_mib=32 on=partition
            swap=nbd2 on=dm
            swap=nvme0n1 size_mib=16
            """, name: "s")
        #expect(scenario.nodes == 2)
        #expect(scenario.swaps.map(\.isNBD) == [true, true, true, false])
        #expect(
            scenario.swaps.map { $0.words(port: $0.isNBD ? 9 : nil) } == [
                "nbd0:disk:64:10:4:9", "nbd1:partition:32::1:9", "nbd2:dm:2048::1:9",
                "nvme0n1:disk:16::1:",
            ])
    }

    @Test func whatARunMustShowIsRead() throws {
        let scenario = try Scenario.parse(
            """
            expect=oom
            cgroup=v1
            nic=e1000
            load_limit_mib=64
            kernels=6.1
            agent_options=--ring 4
            flood=streams=4 datagrams_per_s=1000 queue_kib=2048
            must_complete=no
            """, name: "s")
        #expect(scenario.expectation == .oom)
        #expect(scenario.cgroup == "v1")
        #expect(scenario.nic == "e1000")
        #expect(scenario.loadLimitMiB == 64)
        #expect(scenario.kernels == ["6.1"])
        #expect(scenario.agentOptions == "--ring 4")
        #expect(scenario.flood?.streams == 4)
        #expect(scenario.flood?.datagramsPerSecond == 1000)
        #expect(scenario.flood?.queueKiB == 2048)
        #expect(!scenario.mustComplete)
    }

    @Test func aGuestIsPreparedByTheCommandAndItsStreamsByTheKernel() throws {
        let scenario = try Scenario.parse(
            "prepare=yes\nflood=streams=12 buffers=kernel reads=never", name: "s")
        #expect(scenario.preparesByCommand && scenario.host == "prepared")
        #expect(scenario.flood?.isBoundedByKernel == true)
        #expect(try !Scenario.parse("flood=streams=12", name: "s").preparesByCommand)
        #expect(throws: LabError.self) { try Scenario.parse("prepare=perhaps", name: "s") }
    }

    @Test(arguments: [
        "swap=sda", "swap=nbd0 on=floppy", "swap=nbd0 priority=-1", "swap=nbd0 connections=0",
        "swap=nbd0 size_mib", "swap=nvme0n1 on=partition", "swap=nbd0\nswap=nbd0", "swap=",
        "nodes=0", "nic=floppy", "cgroup=v3", "kernels=", "flood=streams=0", "flood=rate=4",
        "flood=streams=-1",
        "expect=luck", "must_complete=perhaps",
    ])
    func aTopologyThatCannotBeIsRefused(line: String) {
        #expect(throws: LabError.self) { try Scenario.parse(line, name: "s") }
    }

    @Test(arguments: ["nonsense", "memory_mib=much", "host=other", "unheard_of=1"])
    func whatIsWrongIsToldWithItsLine(line: String) {
        #expect(throws: LabError.self) { try Scenario.parse("about=x\n\(line)\n", name: "s") }
    }
}
