// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ReserveKernel

@Suite struct AuditTests {
    private func look(_ tree: HostTree, _ handed: HandedFacts = HandedFacts()) -> Audit {
        audit(SwapPathFacts.read(root: tree.root, handed: handed))
    }

    /// Exactly one finding of that id, which is returned.
    private func only(_ id: String, _ audit: Audit) throws -> Finding {
        let found = audit.findings.filter { $0.id == id }
        #expect(found.count == 1, "\(id) in \(audit.findings.map(\.id))")
        return try #require(found.first)
    }

    private let netlink = ["nbd-client", "10.0.2.2", "10809", "/dev/nbd0", "-N", "x", "-swap"]
    private var ioctl: [String] { netlink + ["-L", "-timeout", "20"] }

    @Test func aWellMadeHostGetsACleanBill() throws {
        let audit = look(try HostTree())
        #expect(audit.verdict == .fit)
        #expect(audit.findings.map(\.id) == ["path-clean", "memalloc-not-told"])
        let clean = try only("path-clean", audit)
        #expect(clean.severity == .ok)
        #expect(clean.found.contains("netlink"))
        #expect(clean.found.contains("another host"))
        #expect(clean.found.contains("timeout 20 s"))
    }

    @Test func aWellMadeIoctlClientGetsACleanBillToo() throws {
        let tree = try HostTree()
        try tree.ioctlClient(ioctl)
        #expect(look(tree).verdict == .fit)
    }

    @Test func aHostWithoutNBDSwapHasNothingToAudit() throws {
        let tree = try HostTree()
        try tree.write("/proc/swaps", HostTree.swaps("/dev/sda1 partition 1 0 -2"))
        try tree.write("/dev/sda1", "")
        #expect(look(tree).verdict == .noNBDSwap)
        #expect(look(tree).findings.isEmpty)
        try tree.write("/proc/swaps", HostTree.swaps(""))
        #expect(look(tree).verdict == .noNBDSwap)
    }

    // MARK: The client

    @Test func aLockThatWasLostAtTheForkIsFound() throws {
        let tree = try HostTree()
        try tree.ioctlClient(ioctl, locked: 0)
        let audit = look(tree)
        let finding = try only("client-not-locked", audit)
        #expect(audit.verdict == .unfit)
        #expect(finding.severity == .warning)
        #expect(finding.subject == .process(pid: 90, comm: "nbd-client"))
        #expect(finding.found.contains("started with -swap"))
        #expect(finding.found.contains("VmLck 0 kB, VmRSS 1900 kB, VmSwap 12 kB"))
        #expect(
            finding.mend == "swapoff /dev/nbd0 && nbd-client -d /dev/nbd0 && nbd-client 10.0.2.2 "
                + "10809 /dev/nbd0 -N x -swap -timeout 20 && swapon /dev/nbd0")
    }

    @Test func aClientThatMayBeKilledIsFound() throws {
        let tree = try HostTree()
        try tree.ioctlClient(ioctl, score: -900)
        let finding = try only("client-killable", look(tree))
        #expect(finding.found.contains("-900"))
        #expect(finding.mend == "echo -1000 >/proc/90/oom_score_adj")
    }

    @Test(arguments: [(0, -1000), (1800, 0), (0, 0)])
    func aPersistentClientWithoutProtectionIsCritical(locked: Int, score: Int) throws {
        let tree = try HostTree()
        try tree.ioctlClient(ioctl + ["-persist"], locked: locked, score: score)
        let finding = try only("persist-unprotected", look(tree))
        #expect(finding.severity == .critical)
        #expect(finding.found.contains("VmLck \(locked) kB and oom_score_adj \(score)"))
        #expect(finding.mend.contains(locked == 0 ? "-swap -nofork" : "echo -1000"))
    }

    @Test func aProtectedPersistentClientIsNot() throws {
        let tree = try HostTree()
        try tree.ioctlClient(ioctl + ["-persist"])
        #expect(look(tree).verdict == .fit)
    }

    /// In a cgroup of its own, of which nothing may be swapped out.
    private func keep(_ tree: HostTree, swapMaximum: String, swapped: Int) throws {
        let unit = "/sys/fs/cgroup/nbd.service"
        try tree.write("/proc/90/cgroup", "0::/nbd.service\n")
        try tree.write("/sys/fs/cgroup/cgroup.controllers", "memory\n")
        try tree.write("\(unit)/cgroup.procs", "90\n")
        try tree.write("\(unit)/memory.min", "4096\n")
        try tree.write("\(unit)/memory.current", "4096\n")
        try tree.write("\(unit)/memory.swap.max", swapMaximum + "\n")
        try tree.write("/proc/90/status", "VmLck:\t 0 kB\nVmSwap:\t \(swapped) kB\n")
    }

    @Test func aClientThatItsCgroupKeepsFromSwapIsFitThoughNotLocked() throws {
        let tree = try HostTree()
        try tree.ioctlClient(ioctl + ["-persist"], locked: 0)
        try keep(tree, swapMaximum: "0", swapped: 0)
        let audit = look(tree)
        #expect(audit.verdict == .fit, "\(audit.findings.map(\.id))")
        let finding = try only("kept-from-swap", audit)
        #expect(finding.severity == .notice)
        #expect(finding.found.contains("memory.min 4096"))
    }

    @Test(arguments: [("max", 0), ("4096", 0), ("0", 8)])
    func oneThatIsSwappedOutOrMayBeIsNot(swapMaximum: String, swapped: Int) throws {
        let tree = try HostTree()
        try tree.ioctlClient(ioctl, locked: 0)
        try keep(tree, swapMaximum: swapMaximum, swapped: swapped)
        _ = try only("client-not-locked", look(tree))
    }

    @Test func anotherProcessOfTheSameNumberIsNoClient() throws {
        let tree = try HostTree()
        try tree.process(90, "bash", ["bash"], descriptors: ["/dev/pts/0"])
        #expect(look(tree).verdict == .fit)
    }

    @Test func aClientThatCannotBeReadIsUnknown() throws {
        let tree = try HostTree()
        try tree.ioctlClient(ioctl)
        try tree.remove("/proc/90/oom_score_adj")
        #expect(try only("client-unknown", look(tree)).severity == .unknown)
        try tree.remove("/proc/90/fd")
        #expect(look(tree).verdict == .unknown)
        try tree.remove("/sys/block/nbd0/pid")
        #expect(look(tree).findings.contains { $0.id == "client-unknown" })
    }

    // MARK: The way

    private func localServer(flags: [Int], locked: Int = 0, score: Int = 0) throws -> HostTree {
        let tree = try HostTree()
        try tree.tcp([
            "127.0.0.1:49000 127.0.0.1:10809 01 501", "127.0.0.1:10809 127.0.0.1:49000 01 601",
        ])
        try tree.process(
            300, "nbdkit", ["nbdkit", "memory", "2G"], locked: locked, score: score, flags: flags,
            descriptors: ["socket:[600]", "socket:[601]"])
        return tree
    }

    @Test func aServerOnTheSameHostIsFoundWithWhatItLacks() throws {
        let audit = look(try localServer(flags: [0x40_0000, 0x58_0000]))
        let server = try only("local-server", audit)
        #expect(server.severity == .critical)
        #expect(server.subject == .process(pid: 300, comm: "nbdkit"))
        #expect(server.mend == "swapoff /dev/nbd0")
        let flusher = try only("local-server-no-io-flusher", audit)
        #expect(flusher.found == "1 of 2 threads without PR_SET_IO_FLUSHER")
        #expect(flusher.mend.hasSuffix("nbdkit memory 2G"))
        #expect(flusher.mend.contains("prctl(57,1,0,0,0)"))
        let locked = try only("local-server-not-locked", audit)
        #expect(locked.mend.hasSuffix("kill 300 && setsid nbdkit --swap -f memory 2G &"))
        _ = try only("local-server-killable", audit)
    }

    @Test func aProtectedServerOnTheSameHostIsStillNotFit() throws {
        let audit = look(try localServer(flags: [0x58_0000], locked: 4096, score: -1000))
        #expect(audit.findings.map(\.id) == ["local-server", "memalloc-not-told"])
        #expect(audit.verdict == .unfit)
    }

    @Test func aServerBehindAUnixSocketIsFoundByItsPeer() throws {
        let tree = try HostTree()
        try tree.tcp([])
        try tree.unix(["501", "601 /run/nbd.sock", "701 /run/dbus"])
        try tree.process(300, "server", ["server"], descriptors: ["socket:[601]"])
        try tree.process(301, "dbus", ["dbus"], descriptors: ["socket:[701]"])
        var handed = HandedFacts()
        handed.unixPeers = [501: 601, 601: 501]
        let finding = try only("local-server", look(tree, handed))
        #expect(finding.subject == .process(pid: 300, comm: "server"))
        #expect(finding.found.contains("unix socket"))
        // Without sock_diag(7) nobody is blamed, and it is no better for that.
        let blind = try only("local-server", look(tree))
        #expect(blind.subject == .device("nbd0"))
        #expect(blind.severity == .critical)
    }

    @Test(arguments: [true, false]) func aTLSProxyIsFound(withPeers: Bool) throws {
        let tree = try HostTree()
        let command = ioctl + ["-certfile", "/etc/c.pem"]
        try tree.unix(["501", "601"])
        try tree.tcp(["10.0.2.15:49000 10.0.2.2:10809 01 602"])
        try tree.ioctlClient(command)
        try tree.process(
            91, "nbd-client", command, descriptors: ["socket:[601]", "socket:[602]"])
        var handed = HandedFacts()
        if withPeers { handed.unixPeers = [501: 601] }
        let finding = try only("tls-proxy", look(tree, handed))
        #expect(finding.severity == .critical)
        #expect(finding.subject == .process(pid: 91, comm: "nbd-client"))
    }

    @Test func havingAskedForTLSIsEnough() throws {
        let tree = try HostTree()
        try tree.ioctlClient(ioctl + ["-x"])
        #expect(try only("tls-proxy", look(tree)).subject == .process(pid: 90, comm: "nbd-client"))
    }

    @Test func socketsOfOtherProcessesAndOfNFSAreNotTheDevices() throws {
        let tree = try HostTree()
        try tree.tcp([
            "10.0.2.15:49000 10.0.2.2:10809 01 501", "10.0.2.15:50 10.0.2.9:2049 01 502",
            "127.0.0.1:40 127.0.0.1:41 01 503", "127.0.0.1:41 127.0.0.1:40 01 504",
        ])
        try tree.process(9, "a", ["a"], descriptors: ["socket:[503]", "socket:[504]"])
        let facts = SwapPathFacts.read(root: tree.root)
        guard case .known(let connections) = facts.disks.first?.sockets else {
            Issue.record("no sockets")
            return
        }
        #expect(connections.map(\.inode) == [501])
        #expect(connections.first?.peer == .remote)
    }

    @Test func aDeviceWithoutASocketIsUnknown() throws {
        let tree = try HostTree()
        try tree.tcp([])
        #expect(try only("server-unknown", look(tree)).severity == .unknown)
        try tree.remove("/proc/net/tcp")
        try tree.remove("/proc/net/tcp6")
        let audit = look(tree)
        #expect(try only("server-unknown", audit).found.contains("/proc/net/tcp"))
        _ = try only("rcvbuf-unknown", audit)
        #expect(audit.verdict == .unknown)
    }

    // MARK: The queue

    @Test func oneConnectionWithoutATimeoutIsFound() throws {
        let tree = try HostTree()
        try tree.queues(1)
        try tree.write("/sys/kernel/debug/nbd/nbd0/timeout", "0\n")
        try tree.write("/sys/block/nbd0/queue/io_timeout", "30000\n")
        let finding = try only("no-timeout", look(tree))
        #expect(finding.severity == .warning)
        #expect(finding.found.contains("30000 ms"))
        #expect(
            finding.mend.contains(
                "nbd-client 10.0.2.2 10809 /dev/nbd0 -N \"$EXPORT\" -connections 2 -timeout 20"))
        try tree.queues(2)
        #expect(look(tree).verdict == .fit, "the driver gives up one of several by itself")
    }

    @Test func aTimeoutAloneIsToldAndIsNoVerdict() throws {
        let tree = try HostTree()
        try tree.queues(1)
        #expect(try only("timeout-alone", look(tree)).severity == .notice)
        #expect(look(tree).verdict == .fit)
    }

    @Test func withoutDebugfsTheClientsWordCountsAndElseItIsUnknown() throws {
        let tree = try HostTree()
        try tree.queues(1)
        try tree.remove("/sys/kernel/debug")
        let unknown = try only("timeout-unknown", look(tree))
        #expect(unknown.found.contains("20000 ms, which proves nothing"))
        try tree.ioctlClient(netlink + ["-L"])
        _ = try only("no-timeout", look(tree))
    }

    @Test func aSchedulerIsFound() throws {
        let tree = try HostTree()
        try tree.write("/sys/block/nbd0/queue/scheduler", "[mq-deadline] kyber none\n")
        let finding = try only("scheduler-on", look(tree))
        #expect(finding.severity == .notice)
        #expect(finding.found.contains("mq-deadline"))
        #expect(finding.mend == "echo none >/sys/block/nbd0/queue/scheduler")
        try tree.write("/sys/block/nbd0/queue/scheduler", "[none] mq-deadline\n")
        #expect(!look(tree).findings.contains { $0.id.hasPrefix("scheduler-") })
        try tree.remove("/sys/block/nbd0/queue/scheduler")
        #expect(try only("scheduler-unknown", look(tree)).severity == .unknown)
    }

    @Test func writebackThrottlingIsFound() throws {
        let tree = try HostTree()
        try tree.write("/sys/block/nbd0/queue/wbt_lat_usec", "2000\n")
        let finding = try only("wbt-on", look(tree))
        #expect(finding.found.contains("2000"))
        #expect(finding.mend == "echo 0 >/sys/block/nbd0/queue/wbt_lat_usec")
        try tree.remove("/sys/block/nbd0/queue/wbt_lat_usec")
        try tree.remove("/sys/block/nbd0/mq")
        let blind = look(tree)
        #expect(try only("wbt-unknown", blind).severity == .unknown)
        #expect(try only("connections-unknown", blind).severity == .unknown)
    }
}
