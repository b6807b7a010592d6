// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

@testable import ReserveKernel

@Suite struct AuditMemoryTests {
    private func look(_ tree: HostTree) -> Audit { audit(SwapPathFacts.read(root: tree.root)) }

    private func only(_ id: String, _ audit: Audit) throws -> Finding {
        let found = audit.findings.filter { $0.id == id }
        #expect(found.count == 1, "\(id) in \(audit.findings.map(\.id))")
        return try #require(found.first)
    }

    @Test func aLoweredReserveIsAWarningAndARaisedOneIsTold() throws {
        let tree = try HostTree()
        try tree.sysctl("vm/min_free_kbytes", "1000")
        let lowered = try only("min-free-changed", look(tree))
        #expect(lowered.severity == .warning)
        #expect(lowered.mend == "sysctl -w vm.min_free_kbytes=1982")
        try tree.sysctl("vm/min_free_kbytes", "32768")
        #expect(try only("min-free-changed", look(tree)).severity == .notice)
        #expect(look(tree).verdict == .fit)
        try tree.sysctl("vm/min_free_kbytes", "1900")
        #expect(!look(tree).findings.contains { $0.id == "min-free-changed" })
    }

    /// Figures of this formula that kernels are known for.
    @Test func theKernelsOwnFigureIsReckoned() {
        func kib(_ pages: UInt64, zones: UInt64, huge: Bool) -> UInt64 {
            DefaultMinFree.kib(
                lowmemPages: pages, zones: zones, pageBytes: 4096, pageblockPages: 512,
                hugePages: huge)
        }
        // mm/page_alloc.c lists them: 16 MB 512k, 1 GB 4096k, 16 GB 16384k
        #expect(kib(16 << 8, zones: 1, huge: false) == 512)
        #expect(kib(1024 << 8, zones: 2, huge: false) == 4096)
        #expect(kib(16384 << 8, zones: 3, huge: false) == 16384)
        // eleven blocks of 2 MB in each of three zones
        #expect(kib(16384 << 8, zones: 3, huge: true) == 67584)
        #expect(kib(1024 << 8, zones: 2, huge: true) == 45056)
        #expect(kib(600 << 8, zones: 2, huge: true) == 600 * 1024 / 20)
        #expect(kib(1 << 40, zones: 3, huge: false) == 262_144)
    }

    @Test func thisMachinesFigureIsTheKernels() throws {
        let memory = SwapPathFacts.read().memory
        #expect(memory.totalKiB != nil)
        #expect(memory.defaultMinFreeKiB != nil)
        #expect(memory.tcpMemPages?.count == 3)
    }

    /// A socket of this process, whose buffer was asked for: the kernel takes twice of it.
    @Test func whatATCPSocketMayHoldIsTheKernelsFigure() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let stream = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer {
            close(listener)
            close(stream)
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        var asked: Int32 = 34_567
        setsockopt(
            stream, SOL_SOCKET, SO_RCVBUF, &asked, socklen_t(MemoryLayout<Int32>.size))
        let connected = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { any in
                bind(listener, any, length) == 0 && listen(listener, 1) == 0
                    && getsockname(listener, any, &length) == 0
                    && connect(stream, any, length) == 0
            }
        }
        try #require(connected)
        let held = try #require(HandedFacts.live().tcpReceiveBytes, "no tcp_diag here")
        #expect(held.contains(69_134), "\(held)")
    }

    @Test func whatCannotBeReadOfTheReserveIsUnknown() throws {
        let tree = try HostTree()
        try tree.remove("/proc/zoneinfo")
        let audit = look(tree)
        #expect(try only("min-free-unknown", audit).severity == .unknown)
        #expect(try only("tcp-mem-unknown", audit).severity == .unknown)
        #expect(audit.verdict == .unknown)
    }

    @Test func sizeOfHugePagesDecidesWhetherTheyRaiseTheReserve() throws {
        let tree = try HostTree()
        let base = "/sys/kernel/mm/transparent_hugepage"
        func usual() -> UInt64? { SwapPathFacts.read(root: tree.root).memory.defaultMinFreeKiB }
        #expect(usual() == 1982)
        try tree.write("\(base)/enabled", "always [madvise] never\n")
        #expect(usual() == 61440 / 20 * 4)
        try tree.write("\(base)/hpage_pmd_size", "2097152\n")
        try tree.write("\(base)/hugepages-2048kB/enabled", "always [inherit] madvise never\n")
        #expect(usual() == 61440 / 20 * 4)
        try tree.write("\(base)/hugepages-2048kB/enabled", "always inherit madvise [never]\n")
        #expect(usual() == nil)
        try tree.write("\(base)/enabled", "always madvise [never]\n")
        #expect(usual() == 1982)
    }

    @Test func tcpMemBeyondMemoryIsFound() throws {
        let tree = try HostTree()
        try tree.sysctl("net/ipv4/tcp_mem", "10000 15000 20000")
        let finding = try only("tcp-mem-beyond-memory", look(tree))
        #expect(finding.severity == .warning)
        #expect(finding.found.contains("20000 pages, 32 % of the 61500 pages"))
        #expect(finding.mend == "sysctl -w net.ipv4.tcp_mem=\"2880 3840 5760\"")
        try tree.sysctl("net/ipv4/tcp_mem", "10000 15000 18446744073709551615")
        #expect(try only("tcp-mem-beyond-memory", look(tree)).severity == .critical)
    }

    @Test func receiveBuffersBeyondTheReserveAreFound() throws {
        let tree = try HostTree()
        try tree.sysctl("net/ipv4/tcp_rmem", "4096 131072 6291456")
        let finding = try only("rcvbuf-beyond-reserve", look(tree))
        #expect(finding.found.contains("2 TCP sockets of up to 6291456 bytes"))
        #expect(finding.found.contains("12288 kB, more than the 1982 kB"))
        #expect(finding.mend == "sysctl -w net.ipv4.tcp_rmem=\"4096 131072 262144\"")
    }

    @Test func swappinessOfZeroIsTold() throws {
        let tree = try HostTree()
        try tree.sysctl("vm/swappiness", "0")
        #expect(try only("swappiness-zero", look(tree)).severity == .notice)
    }

    @Test func compactionThatMovesLockedPagesIsTold() throws {
        let tree = try HostTree()
        try tree.sysctl("vm/compact_unevictable_allowed", "0")
        #expect(!look(tree).findings.contains { $0.id == "compaction-moves-locked" })
        try tree.sysctl("vm/compact_unevictable_allowed", "1")
        #expect(try only("compaction-moves-locked", look(tree)).severity == .notice)
    }

    @Test func whatSwapLiesOnIsUnknownWhenItsDeviceIsNotFound() throws {
        let tree = try HostTree()
        try tree.write("/proc/swaps", HostTree.swaps("/swap\\040file file 10 0 -2"))
        let audit = look(tree)
        #expect(audit.verdict == .unknown)
        #expect(try only("swap-unknown", audit).mend == "findmnt -T '/swap file'")
        try tree.remove("/proc/swaps")
        #expect(try only("swap-unknown", look(tree)).found.contains("/proc/swaps"))
    }

    @Test func memallocIsToldWhereSomebodyLooked() throws {
        let tree = try HostTree()
        var handed = HandedFacts()
        handed.memallocInodes = [501, 502]
        let whole = audit(SwapPathFacts.read(root: tree.root, handed: handed))
        #expect(whole.findings.map(\.id) == ["path-clean"])
        handed.memallocInodes = []
        let none = audit(SwapPathFacts.read(root: tree.root, handed: handed))
        #expect(none.findings.count { $0.id == "memalloc-missing" } == 2)
        #expect(none.verdict == .unfit)
    }
}
