// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import LabKit

/// The kernel's own figures, as real guests printed them.
@Suite struct WideFilesTests {
    private func snapshot(_ path: String, _ text: String) -> Snapshot {
        Snapshot(name: "S1", files: [path: text])
    }

    @Test func aHistogramIsReadByItsKey() throws {
        let text = """
            # event histogram
            #
            # trigger info: hist:keys=reason:vals=hitcount,usec_delayed:sort=hitcount:size=2048 [active]
            #

            { reason:          1 } hitcount:         85  usec_delayed:    4652000
            { reason:          2 } hitcount:       2260  usec_delayed:   11404000

            Totals:
                Hits: 2345
                Entries: 2
                Dropped: 0
            """
        let path = "/sys/kernel/tracing/events/vmscan/mm_vmscan_throttled/hist"
        let sums = try #require(snapshot(path, text).histogram("vmscan/mm_vmscan_throttled"))
        #expect(sums[1]?.hits == 85)
        #expect(sums[1]?.sum == 4_652_000)
        #expect(sums[2]?.hits == 2260)
        #expect(sums.count == 2)
        #expect(snapshot("other", text).histogram("vmscan/mm_vmscan_throttled") == nil)
    }

    @Test func slabsAreThoseOfTheLastColumns() throws {
        let text = """
            slabinfo - version: 2.1
            # name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>
            ext4_groupinfo_4k      0      0    144   28    1 : tunables    0    0    0 : slabdata      0      0      0
            radix_tree_node      406    448    584   14    2 : tunables    0    0    0 : slabdata     29     32      0
            """
        let slabs = try #require(snapshot("/proc/slabinfo", text).slabs())
        #expect(slabs["radix_tree_node"] == 32)
        #expect(slabs["ext4_groupinfo_4k"] == 0)
        #expect(slabs.count == 2)
    }

    @Test func highAtomicBlocksAreCountedInPages() throws {
        let text = """
            Page block order: 9
            Pages per block:  512

            Free pages count per migrate type at order       0      1      2
            Node    0, zone      DMA, type    Unmovable      1      2      3
            Node    0, zone    DMA32, type   HighAtomic      4      5      6

            Number of blocks type     Unmovable      Movable  Reclaimable   HighAtomic      Isolate
            Node 0, zone      DMA            1            7            0            0            0
            Node 0, zone    DMA32           20           70            8            2            0
            """
        let pages = try #require(snapshot("/proc/pagetypeinfo", text).highAtomicPages())
        #expect(pages["0/DMA32"] == 1024)
        #expect(pages["0/DMA"] == 0)
    }

    @Test func pressureIsTheTotalOfSome() {
        let text =
            "some avg10=0.00 avg60=1.27 avg300=5.31 total=55154431\nfull avg10=0.00 avg60=0.60 avg300=2.70 total=28049177\n"
        #expect(snapshot("/proc/pressure/memory", text).memoryPressure() == 55_154_431)
    }

    @Test func socketsAreReadAndADamagedLineIsLeftOut() throws {
        let text = """
            tcp 56398 10809 1 sent 625632442 received 606399782 out 470450 in 870173 again 19
            tcp 1 2 3 sent
            """
        let sockets = try #require(snapshot("sock_diag", text).sockets())
        #expect(sockets.count == 1)
        #expect(sockets[0].localPort == 56398)
        #expect(sockets[0].peerPort == 10809)
        #expect(sockets[0].figures["again"] == 19)
        #expect(sockets[0].figures["received"] == 606_399_782)
    }

    @Test func failingWritesAreAShare() throws {
        let scenario = try Scenario.parse(
            "about=a\nload=b\nfailing_writes=0.5%\nsockets=yes\n", name: "x")
        #expect(scenario.failingWrites == "0.5%")
        #expect(scenario.sockets)
        #expect(throws: LabError.self) {
            try Scenario.parse("about=a\nload=b\nfailing_writes=half\n", name: "x")
        }
    }
}
