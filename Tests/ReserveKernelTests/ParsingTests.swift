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
}
