// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import Testing

@testable import ReserveKernel

@Suite struct AuditParsingTests {
    @Test(arguments: [
        "-swap -persist", "--swap --persist", "-s -p", "-sw -pers", "-sp", "-N p -swap -p",
    ])
    func optionsAreReadAsTheClientReadsThem(words: String) {
        let options = ClientOptions.parse(
            ["/usr/sbin/nbd-client", "host", "10809", "/dev/nbd0"]
                + words.split(separator: " ").map(String.init))
        #expect(options.swap && options.persist, "\(words)")
        #expect(!options.tls)
    }

    @Test func valuesAreNotOptions() {
        let options = ClientOptions.parse(
            ["nbd-client", "-N", "-swap", "host", "/dev/nbd0", "-timeout=20", "-C", "4"])
        #expect(!options.swap)
        #expect(options.timeoutSeconds == 20)
        #expect(options.connections == 4)
        #expect(
            ClientOptions.parse(["nbd-client", "h", "p", "d", "timeout=7"]).timeoutSeconds == 7)
        #expect(
            ClientOptions.parse(["nbd-client", "-t", "99999999999999999"]).timeoutSeconds
                == UInt64(UInt32.max))
        #expect(!ClientOptions.parse(["vi", "-swap"]).isNBDClient)
        #expect(ClientOptions.parse(["@bd-client", "-m", "-swap"]).swap)
        #expect(!ClientOptions.parse([]).isNBDClient)
    }

    @Test func optionsOfNbdtabCount() {
        let table = """
            # the swap
            nbd1 host one swap
            nbd0 host two persist,swap,timeout=30,conns=2,keyfile=/k
            """
        let options = ClientOptions.parse(["nbd-client", "nbd0"], nbdtab: table)
        #expect(options.swap && options.persist && options.tls)
        #expect(options.timeoutSeconds == 30)
        #expect(options.connections == 2)
        #expect(options.nbdtabFields == 4)
        #expect(!ClientOptions.parse(["nbd-client", "nbd2"], nbdtab: table).swap)
    }

    @Test func addressesAreReadable() {
        #expect(SocketTables.address("0202000A:2A39")?.text == "10.0.2.2:10809")
        let mapped = SocketTables.address("0000000000000000FFFF00000100007F:0016")
        #expect(mapped?.text == "127.0.0.1:22")
        #expect(
            SocketTables.address("B80D0120000000000000000001000000:0016")?.text
                == "[2001:db8:0:0:0:0:0:1]:22")
        for wrong in ["", "x:y", "0202000A", "0202:0016"] {
            #expect(SocketTables.address(wrong[...]) == nil)
        }
    }

    @Test func aNameWithParenthesesAndNewlinesIsReadWhole() {
        let stat = "42 (a) R 1 (\n) S 1 42 42 0 -1 1572864 0 0\n"
        #expect(ProcessTable.comm(ofStat: stat) == "a) R 1 (\n")
        #expect(ProcessTable.flags(ofStat: stat) == ProcessFacts.ioFlusher)
        #expect(ProcessTable.flags(ofStat: "42 (a) S 1") == nil)
        #expect(ProcessTable.comm(ofStat: ")(") == nil)
    }

    @Test func aHostileNameDoesNotLeaveItsQuotes() throws {
        #expect(shellQuoted("/dev/nbd0") == "/dev/nbd0")
        #expect(shellQuoted("a b; rm -rf /") == "'a b; rm -rf /'")
        #expect(shellQuoted("it's") == "'it'\\''s'")
        #expect(shellQuoted("") == "''")
        #expect(shellQuoted("\u{1b}[2J'\\\u{202e}") == "$'\\x1b[2J\\'\\\\\\xe2\\x80\\xae'")
        let tree = try HostTree()
        try tree.tcp([
            "127.0.0.1:49000 127.0.0.1:10809 01 501", "127.0.0.1:10809 127.0.0.1:49000 01 601",
        ])
        try tree.process(
            300, ") S 1 (\u{1b}[2J\"", ["$(reboot)", "`id`", "\n; halt", "\u{7f}"],
            descriptors: ["socket:[601]"])
        let audit = audit(SwapPathFacts.read(root: tree.root))
        let finding = try #require(
            audit.findings.first { $0.id == "local-server-no-io-flusher" })
        #expect(finding.subject == .process(pid: 300, comm: ") S 1 (\u{1b}[2J\""))
        #expect(finding.mend.hasSuffix("'$(reboot)' '`id`' $'\\x0a; halt' $'\\x7f'"))
    }

    @Test func theKernelTellsWhichUnixSocketsBelongTogether() throws {
        var pair: [Int32] = [-1, -1]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
        defer { for descriptor in pair { close(descriptor) } }
        let inodes = pair.map { descriptor in
            var status = stat()
            return fstat(descriptor, &status) == 0 ? UInt64(status.st_ino) : 0
        }
        let peers = try #require(HandedFacts.live().unixPeers, "unix_diag is not to be had")
        #expect(peers[inodes[0]] == inodes[1])
        #expect(peers[inodes[1]] == inodes[0])
    }

    /// prctl(2) shows in field 9 as include/linux/sched.h says.
    @Test(.enabled(if: geteuid() == 0, "PR_SET_IO_FLUSHER needs CAP_SYS_RESOURCE"))
    func theFlagsOfThisThreadAreRead() throws {
        let table = ProcessTable(RootedFiles(root: ""))
        let process = try #require(table.process(getpid()))
        #expect(process.taskFlags?.isEmpty == false)
        #expect(process.threadsWithoutIOFlusher ?? 0 > 0)
        #expect(process.vmLckKiB != nil)
        #expect(process.oomScoreAdj != nil)
    }
}
