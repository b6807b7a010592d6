// SPDX-License-Identifier: Apache-2.0

import CBPF
import Testing

@testable import ReserveKernel

@Suite struct ParsingTests {
    @Test func vmstatCountersAreFoundAndAllocstallSummed() {
        let text = """
            nr_free_pages 4711
            pswpin 10
            pswpout 20
            pswpin_extra 7
            allocstall_dma 1
            allocstall_normal 2
            allocstall_movable 30
            pgscan_direct_throttle 4
            oom_kill 5

            """
        let counters = Array(text.utf8).withUnsafeBytes { VmstatFallback.parse($0) }
        #expect(counters.allocstall == 33)
        #expect(counters.pgscanDirectThrottle == 4)
        #expect(counters.pswpin == 10)
        #expect(counters.pswpout == 20)
        #expect(counters.oomKill == 5)
    }

    @Test func aLineThatWasCutIsNoLine() {
        let counters = Array("pswpin 10\npswpout 2".utf8).withUnsafeBytes {
            VmstatFallback.parse($0)
        }
        #expect(counters.pswpin == 10)
        #expect(counters.pswpout == 0)
    }

    @Test func zonesAreReadFromZoneinfoAndPagesetsAreNot() {
        let text = """
            Node 0, zone      DMA
              per-node stats
                  nr_inactive_anon 4
              pages free     3808
                    boost    3
                    min      34
                    low      42
                    high     50
                    spanned  4095
                    present  3998
                    managed  3840
                    cma      0
                    protection: (0, 186, 186, 186, 186)
                  nr_free_pages 3808
              pagesets
                cpu: 0
                          count: 0
                          high:  21
            Node 0, zone   Normal
              pages free     0
                    min      0
                    managed  0
            Node 1, zone   Normal
              pages free     7
                    managed  9
                    protection: (0, 0)
            """
        var zones: [rw_zone] = []
        Array(text.utf8).withUnsafeBytes { ZoneinfoFallback.parse($0) { zones.append($0) } }
        #expect(zones.count == 2)
        #expect(zones[0].free_pages == 3808)
        #expect(zones[0].boost_pages == 3)
        #expect(zones[0].min_pages == 34)
        #expect(zones[0].high_pages == 50)
        #expect(zones[0].protection_count == 5)
        #expect(zones[0].protection_pages.1 == 186)
        #expect(zones[1].node == 1)
        #expect(zones[1].index == 0)
        #expect(zones[1].free_pages == 7)
    }

    @Test func theFallbackReadsThisMachinesZones() throws {
        var fallback = try ZoneinfoFallback()
        var zones: [rw_zone] = []
        fallback.sample(bootNanoseconds: 1) { zones.append($0.loadUnaligned(as: rw_zone.self)) }
        #expect(!zones.isEmpty)
        for zone in zones {
            #expect(zone.min_pages <= zone.low_pages && zone.low_pages <= zone.high_pages)
            #expect(zone.managed_pages > 0)
        }
    }

    @Test func aSwapLineIsReadWithItsEscapes() throws {
        let device = try #require(
            SwapTable.parse(line: "/mnt/a\\040b/swap   file\t\t1048572\t12\t-2"))
        #expect(device.is_partition == 0)
        #expect(device.size_kib == 1_048_572)
        #expect(device.used_kib == 12)
        #expect(device.priority == -2)
        #expect(SwapTable.unescape("/mnt/a\\040b/swap") == "/mnt/a b/swap")
        #expect(SwapTable.unescape("\\134x\\1") == "\\x\\1")
    }

    @Test(arguments: ["", "Filename Type Size Used Priority", "/dev/x partition a b c"])
    func whatIsNoSwapLineIsPassedOver(line: String) {
        #expect(SwapTable.parse(line: line[...]) == nil)
    }

    private func pressure(_ text: String) -> PressureFile.Figures? {
        Array(text.utf8).withUnsafeBytes { PressureFile.parse($0) }
    }

    @Test func pressureIsReadInHundredths() {
        let figures = pressure(
            "some avg10=1.23 avg60=0.45 avg300=0.06 total=789\nfull avg10=99.00 avg60=1.00 avg300=0.00 total=18446744073709551615\n"
        )
        #expect(figures?.some == PressureFile.Line(average: 123, total: 789))
        #expect(figures?.full == PressureFile.Line(average: 9900, total: .max))
    }

    @Test func pressureThatIsNoPressureIsUnknown() {
        #expect(pressure("") == nil)
        #expect(pressure("some avg10=1.23\n") == nil)
    }
}
