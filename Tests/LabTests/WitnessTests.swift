// SPDX-License-Identifier: Apache-2.0

import LabKit
import Testing

@Suite struct WitnessTests {
    private func snapshots(_ text: String) -> Witnesses {
        Witnesses(snapshots: Snapshot.parse(text), samples: [], console: "")
    }

    /// As a guest with two nodes left it, shortened.
    private let text = """
        @@ S0p
        @file /proc/vmstat
        pswpout 0
        numa_miss 3
        nr_dirty 9
        @file /proc/net/netstat
        TcpExt: SyncookiesSent PFMemallocDrop TCPTimeouts
        TcpExt: 0 2 1
        IpExt: InNoRoutes
        IpExt: 0
        @file /proc/swaps
        Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority
        /dev/nbd0                               partition\t65532\t\t0\t\t10
        @file /sys/block/nbd1/nbd1p1/stat
               3        0      272        3        2        0        8        7        0       20       10        0        0        0        0        0        0
        @end S0p
        @@ S1
        @file /proc/vmstat
        pswpout 67493
        numa_miss 60878
        nr_dirty 9
        @file /proc/net/netstat
        TcpExt: SyncookiesSent PFMemallocDrop TCPTimeouts
        TcpExt: 0 7 1
        IpExt: InNoRoutes
        IpExt: 0
        @file /proc/swaps
        Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority
        /dev/nbd0                               partition\t65532\t\t15904\t\t10
        /dev/mapper/lab                         partition\t524284\t\t8464\t\t1
        @file /sys/block/nbd1/nbd1p1/stat
             194        0     2128      100     1387        9   184760     7000        1      900     7100        0        0        0        0        2        1
        @end S1
        """

    @Test func whatMovedIsKeptAndWhatStoodStillIsNot() {
        #expect(
            snapshots(text).moved == [
                "pswpout": 67493, "numa_miss": 60875, "TcpExt.PFMemallocDrop": 5,
            ])
    }

    @Test func aDropIsReadBelowItsNameAtEachMoment() {
        #expect(snapshots(text).pfmemallocDrop == ["S0p": 2, "S1": 7])
    }

    @Test func swapsAreReadWithTheirPriorities() {
        let swaps = snapshots(text).swaps["S1"] ?? []
        #expect(swaps.map(\.path) == ["/dev/nbd0", "/dev/mapper/lab"])
        #expect(swaps.map(\.usedKiB) == [15904, 8464])
        #expect(swaps.map(\.priority) == [10, 1])
    }

    @Test func aPartitionHasFiguresOfItsOwn() {
        let figures = snapshots(text).disks["nbd1/nbd1p1"]
        #expect(figures?["S0p"]?.writtenSectors == 8)
        #expect(figures?["S1"]?.writtenSectors == 184760)
        #expect(figures?["S1"]?.readSectors == 2128)
        #expect(figures?["S1"]?.inFlight == 1)
        #expect(figures?["S1"]?.flushes == 2)
    }

    @Test func theMostUsedOfASwapIsOverAllSamples() {
        let samples = ProbeSample.parse(
            "@ 1 0\nswap: /dev/nbd0 7\n@.\n@ 2 0\nswap: /dev/nbd0 5\nswap: /dev/nbd2 1\ndrop: 4\n@.\n"
        )
        let witnesses = Witnesses(snapshots: [:], samples: samples, console: "")
        #expect(witnesses.mostUsedKiB == ["/dev/nbd0": 7, "/dev/nbd2": 1])
        #expect(witnesses.pfmemallocDrop == ["last": 4])
    }

    @Test func lossIsLaidFlat() {
        let loss: [String: Any] = ["ring": ["reserve": 3, "nbd": 1], "output": 2]
        #expect(Witnesses.flat(loss) == ["ring.reserve": 3, "ring.nbd": 1, "output": 2])
    }
}

@Suite struct SeveralDisksTests {
    @Test func aSampleSumsItsDisksAndKeepsEach() {
        let samples = ProbeSample.parse(
            """
            @ 1 0
            stat: nbd0: 10 0 0 0 5 0 0 0 0 0 0
            inflight: nbd0: 1 0
            stat: nbd1: 3 0 0 0 4 0 0 0 0 0 0
            inflight: nbd1: 0 2
            @.

            """)
        #expect(samples.first?.completed == 22)
        #expect(samples.first?.inFlight == 3)
        #expect(samples.first?.readsInFlight == 1)
        #expect(samples.first?.completedOf == ["nbd0": 15, "nbd1": 7])
        #expect(samples.first?.inFlightOf == ["nbd0": 1, "nbd1": 2])
    }
}
