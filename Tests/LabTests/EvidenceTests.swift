// SPDX-License-Identifier: Apache-2.0

import LabKit
import Testing

@Suite struct ConsoleTests {
    @Test func aDyingKernelIsHeardOnItsConsole() {
        let console = """
            lab: LOAD mapload 16 64 1
            [   18.617997] traps: PANIC: double fault, error_code: 0x0
            [   18.620195] Oops: double fault: 0000 [#1] PREEMPT SM
            """
        #expect(ConsoleEvidence.death(in: console) == "traps: PANIC: double fault, error_code: 0x0")
    }

    @Test func ordinaryTroubleIsNoDeath() {
        let console = """
            [  114.396702] block nbd0: Other side returned error (108)
            [   12.0] mapload: page allocation failure: order:0, mode:0x40dc0
            lab: DONE
            """
        #expect(ConsoleEvidence.death(in: console) == nil)
    }
}

@Suite struct StuckTaskTests {
    /// In the form of kernel/sched/core.c:sched_show_task().
    private let dump = """
        [   81.1] sysrq: Show Blocked State
        [   81.2] task:kworker/0:1     state:D stack:0     pid:10    tgid:10    ppid:2
        [   81.2] Workqueue: events refill_work [virtio_net]
        [   81.2] Call Trace:
        [   81.2]  <TASK>
        [   81.2]  __schedule+0x505/0xbf0
        [   81.2]  schedule+0x27/0xf0
        [   81.2]  mempool_alloc+0x15f/0x1a0
        [   81.2]  ? __pfx_autoremove_wake_function+0x10/0x10
        [   81.2]  bio_alloc_bioset+0x1d5/0x280
        [   81.2]  </TASK>
        [   81.3] task:kswapd0         state:D stack:0     pid:33    tgid:33    ppid:2
        [   81.3]  nbd_queue_rq+0x9f/0x4c0 [nbd]
        """

    @Test func eachTaskTellsWhereItWaits() {
        let tasks = StuckTask.parse(dump)
        #expect(tasks.map(\.name) == ["kworker/0:1", "kswapd0"])
        #expect(tasks.first?.sentence() == "kworker/0:1: mempool_alloc < bio_alloc_bioset")
        #expect(tasks.last?.functions == ["nbd_queue_rq"])
    }
}

@Suite struct ServerCountsTests {
    @Test func theServersOwnCountIsRead() {
        let text = """
            total: 663 ops, 136.727535 s, 83.13 MiB, 622.58 KiB/s
            read: 5 ops, 0.000015 s, 20.00 KiB, 1.27 GiB/s op, 149 bytes/s total
              Request size and alignment breakdown:
                12 bits: 100.0% (5 reqs, 20.00 KiB total)
            write: 657 ops, 0.163659 s, 83.11 MiB, 507.82 MiB/s op, 622.43 KiB/s total
            flush: 1 ops, 0.000001 s, 0 bytes, 0 bytes/s op, 0 bytes/s total
            """
        #expect(ServerCounts.parse(text)?.total == 663)
        #expect(ServerCounts.parse(text)?.operations["write"] == 657)
        #expect(ServerCounts.parse("") == nil)
    }

    /// As the disk's stat file stood when nbdkit had counted 4 reads, 1 write and 1 flush.
    @Test func aFlushIsCountedTwiceByTheDiskAndOnceByTheServer() {
        let stat = "4 0 32 12 2 0 8 8 0 20 22 0 0 0 0 1 1"
        #expect(BlockStat.completed(stat) == 7)
        #expect(BlockStat.served(stat) == 6)
    }
}

@Suite struct LongestStallTests {
    private func sample(_ second: Int, done: Int, flying: Int) -> ProbeSample {
        var sample = ProbeSample(bootNanoseconds: second * 1_000_000_000)
        sample.completed = done
        sample.inFlight = flying
        return sample
    }

    @Test func aStallThatHealedIsFoundWithWhatHadCompleted() {
        let samples =
            (0..<5).map { sample($0, done: $0, flying: 1) }
            + (5..<65).map { sample($0, done: 4, flying: 3) }
            + (65..<70).map { sample($0, done: $0, flying: 1) }
        let stall = ProbeSample.longestStall(samples)
        #expect(stall.seconds == 60 && stall.completed == 4)
    }

    @Test func anIdleDiskDoesNotStall() {
        let samples = (0..<60).map { sample($0, done: 4, flying: 0) }
        #expect(ProbeSample.longestStall(samples).seconds == 0)
    }

    @Test func aSampleThatWasCutIsLeftOut() {
        let text = "@ 1 0\nzone: 0 DMA32 77\nstat: nbd0: 1\n@.\n@ 2 3\nzone: 0 DMA32 7"
        let samples = ProbeSample.parse(text)
        #expect(samples.count == 1)
        #expect(samples.first?.zoneFreePages == ["0/DMA32": 77])
    }
}

@Suite struct OutcomeTests {
    private func tally(_ outcome: Outcome, rowsPass: Bool = true, mustComplete: Bool = true)
        -> Tally
    {
        var scenario = Scenario(name: "s")
        scenario.mustComplete = mustComplete
        var tally = Tally()
        tally.count("s-6.1", outcome, rowsPass: rowsPass, scenario)
        return tally
    }

    @Test func onlyARunThatCompletedAndAgreedIsZero() {
        #expect(Outcome.completed.exitStatus(rowsPass: true) == 0)
        #expect(Outcome.completed.exitStatus(rowsPass: false) == 1)
        #expect(Outcome.deadlocked.exitStatus(rowsPass: true) == 4)
        for outcome in [Outcome.panicked, .hung, .timedOut, .guestFailed] {
            #expect(outcome.exitStatus(rowsPass: true) == 1)
        }
    }

    @Test func aDeadlockOfAPreparedGuestIsNamedAndNotPassed() {
        let tally = tally(.deadlocked)
        #expect(tally.exitStatus == 4)
        #expect(tally.lines.first == "dead or livelocked, the kernel's outcome: s-6.1")
        #expect(tally.lines.last == "0 passed, 1 failed")
    }

    @Test func aDeadlockThatMayHappenDoesNotFail() {
        let tally = tally(.deadlocked, mustComplete: false)
        #expect(tally.exitStatus == 0)
        #expect(tally.lines.last == "1 passed, 0 failed")
    }

    @Test func whatTheOOMKillerTookIsNamedUnlessItWasToCome() {
        var scenario = Scenario(name: "s")
        var tally = Tally()
        tally.count("s-6.1", .completed, rowsPass: true, scenario, kills: 2)
        scenario.expectation = .oom
        tally.count("oom-6.1", .completed, rowsPass: true, scenario, kills: 8)
        #expect(
            tally.lines == [
                "the kernel's OOM killer took processes: s-6.1 (2)", "2 passed, 0 failed",
            ])
    }

    @Test func aDeadKernelIsNeverADeadlock() {
        #expect(tally(.panicked, mustComplete: false).exitStatus == 1)
    }
}

@Suite struct BracketTests {
    @Test func lossExplainsNoMoreThanWasLost() {
        #expect(Row.within("x", agent: 7, low: 10, high: 10, lost: 3).verdict == .explainedByLoss)
        #expect(Row.within("x", agent: 6, low: 10, high: 10, lost: 3).verdict == .differs)
        #expect(Row.within("x", agent: 11, low: 10, high: 10, lost: 3).verdict == .differs)
    }

    @Test func aKernelCounterThatWentBackFails() {
        #expect(Row.within("x", agent: 5, low: 6, high: 5).verdict == .failed)
    }

    @Test func whatMustBeToldAndIsNotDoesNotPass() {
        #expect(!Row.within("x", agent: nil, low: 0, high: 0).passes)
    }
}

@Suite struct OOMKillTests {
    /// Lines of guests with 6.1.192 and 6.12.117.
    private let console = """
        lab: LOAD mapload 12 36 0
        [   28.371398] Out of memory: Killed process 225 (mapload) total-vm:37856kB, anon-rss:2000kB, file-rss:0kB, shmem-rss:4kB, UID:0 pgtables:56kB oom_score_adj:0
        [   20.852044] Memory cgroup out of memory: Killed process 286 (mapload) total-vm:25568kB, anon-rss:12032kB, file-rss:0kB, shmem-rss:128kB, UID:0 pgtables:84kB oom_score_adj:0
        lab: LOADED status=9 mapload: 12 processes, 9 failed
        """

    @Test func whoWasKilledIsReadFromTheConsole() {
        let kills = OOMKill.parse(console)
        #expect(kills.map(\.pid) == [225, 286])
        #expect(kills.map(\.name) == ["mapload", "mapload"])
        #expect(kills.map(\.reason) == ["Out of memory", "Memory cgroup out of memory"])
        #expect(kills.map(\.totalVMKiB) == [37856, 25568])
        #expect(kills.map(\.anonRSSKiB) == [2000, 12032])
        #expect(kills.map(\.fileRSSKiB) == [0, 0])
        #expect(kills.map(\.shmemRSSKiB) == [4, 128])
        #expect(kills.map(\.pageTablesKiB) == [56, 84])
        #expect(kills.map(\.uid) == [0, 0])
        #expect(kills.map(\.oomScoreAdj) == [0, 0])
    }

    @Test func aLoadEndsWellButForThoseThatTheKernelKilled() throws {
        let kills = OOMKill.parse(console)
        func says(_ ends: [(Int, String)]) -> String {
            ends.map { "mapload: process \($0) ended by \($1);" }.joined()
        }
        let both = [(286, "signal 9"), (225, "signal 9")]
        func isWell(_ mark: String, _ ends: [(Int, String)], butFor kills: [OOMKill]) throws -> Bool
        {
            try #require(LoadEnd(mark: mark, says: says(ends))).isWell(butFor: kills)
        }
        let failed = "status=2 mapload: 12 processes, 2 failed"
        #expect(try isWell("status=0 mapload: 12 processes, 0 failed", [], butFor: []))
        #expect(try isWell(failed, both, butFor: kills))
        #expect(try !isWell(failed, both, butFor: []))
        // Somebody else killed one of them, or it ended by itself: a page may have come back with
        // another's content.
        #expect(try !isWell(failed, [(225, "signal 9"), (287, "signal 9")], butFor: kills))
        #expect(try !isWell(failed, [(225, "signal 9"), (286, "itself with 2")], butFor: kills))
        #expect(try !isWell(failed, [(225, "signal 9")], butFor: kills))
        #expect(
            try !isWell(
                "status=3 mapload: 12 processes, 3 failed", both + [(287, "itself with 2")],
                butFor: kills))
        #expect(try !isWell("status=0 mapload: 12 processes, 0 failed", [], butFor: kills))
        #expect(try !isWell("status=2 dirtyload: 12 processes, 2 failed", both, butFor: kills))
        #expect(LoadEnd(mark: "status=137 ", says: "") == nil)
    }

    @Test func aNameMayHoldTheLinesOwnWords() {
        let line =
            "[    1.0] Out of memory: Killed process 7 (a) total-vm:1kB, (b) total-vm:8kB, "
            + "anon-rss:4kB, file-rss:3kB, shmem-rss:2kB, UID:1000 pgtables:1kB oom_score_adj:-500"
        let kill = OOMKill.parse(line).first
        #expect(kill?.name == "a) total-vm:1kB, (b")
        #expect(kill?.totalVMKiB == 8)
        #expect(kill?.oomScoreAdj == -500)
    }

    @Test(arguments: [
        "Out of memory: Killed process 225 (mapload) total-vm:37856kB, anon-rss:2000kB",
        "Out of memory: Killed process x (mapload) total-vm:1kB, anon-rss:1kB, file-rss:0kB, shmem-rss:4kB",
        "Killed process 225 (mapload) total-vm:1kB, anon-rss:1kB, file-rss:0kB, shmem-rss:4kB",
        "oom_reaper: reaped process 225 (mapload), now anon-rss:0kB, file-rss:0kB, shmem-rss:4kB",
    ])
    func aLineThatIsNotWholeIsLeftOut(line: String) {
        #expect(OOMKill.parse(line).isEmpty)
    }
}
