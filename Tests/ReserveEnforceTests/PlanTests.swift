// SPDX-License-Identifier: Apache-2.0

import ReserveKernel
import Testing

@testable import ReserveEnforce

@Suite struct PlanTests {
    private func look(_ tree: HostTree, _ settings: PlanSettings = PlanSettings()) -> Plan {
        plan(SwapPathFacts.read(root: tree.root), settings)
    }

    private func change(_ kind: Change.Kind, _ plan: Plan) throws -> Change {
        let found = plan.changes.filter { $0.kind == kind }
        #expect(found.count == 1, "\(kind) in \(plan.changes.map(\.kind))")
        return try #require(found.first)
    }

    private func left(_ id: String, _ plan: Plan) throws -> Left {
        try #require(plan.left.first { $0.id == id }, "\(id) in \(plan.left.map(\.id))")
    }

    @Test func theDisksSchedulerIsTakenOutAndPutBack() throws {
        let tree = try HostTree.asInstalled()
        try tree.write("/sys/block/nbd0/queue/scheduler", "[mq-deadline] none\n")
        let scheduler = try change(.scheduler, look(tree))
        #expect(scheduler.old == "mq-deadline" && scheduler.new == "none")
        #expect(scheduler.undo == "echo mq-deadline >/sys/block/nbd0/queue/scheduler")
        let hand = Hand(root: tree.root)
        #expect(hand.present(scheduler.target) == .value("mq-deadline"))
        #expect(hand.put(scheduler.target, "none") == 0)
        #expect(hand.present(scheduler.target) == .value("none"))
        #expect(!look(tree).changes.contains { $0.kind == .scheduler })
    }

    @Test func aHostAsInstalledGetsTheWholeInOrderAndTheReserveLast() throws {
        let plan = look(try HostTree.asInstalled())
        #expect(
            plan.changes.map(\.kind) == [
                .writebackThrottle, .tcpReceive, .socketReceive, .oomScore, .reserve,
            ])
        #expect(plan.isWhole, "\(plan.left)")
        #expect(try change(.writebackThrottle, plan).old == "2000")
        #expect(try change(.tcpReceive, plan).new == "4096 131072 262144")
        #expect(try change(.socketReceive, plan).new == "262144")
        #expect(try change(.oomScore, plan).target == .oomScore(pid: 90, startTicks: 9000))
        let reserve = try change(.reserve, plan)
        #expect(reserve.old == "1982" && reserve.new == "32768")
        // two sockets, each of twice 262144 bytes
        #expect(reserve.why.contains("2 TCP sockets of up to 524288 bytes may hold 1024 kB"))
        for change in plan.changes {
            #expect(!change.bounds.isEmpty && !change.why.isEmpty && !change.costs.isEmpty)
        }
    }

    @Test func lockedMemoryIsKeptInPlace() throws {
        let tree = try HostTree.asInstalled()
        #expect(!look(tree).changes.contains { $0.kind == .keepInPlace })
        try tree.sysctl("vm/compact_unevictable_allowed", "1")
        let plan = look(tree)
        let change = try change(.keepInPlace, plan)
        #expect(change.old == "1" && change.new == "0")
        #expect(plan.changes.last?.kind == .reserve)
        #expect(Hand(root: tree.root).put(change.target, "0") == 0)
        #expect(!look(tree).changes.contains { $0.kind == .keepInPlace })
    }

    @Test func aPreparedHostIsLeftAsItIs() throws {
        let tree = try HostTree()
        try tree.sysctl("vm/min_free_kbytes", "32768")
        let plan = look(tree)
        #expect(plan.changes.isEmpty && plan.isWhole)
        #expect(plan.left.map(\.id) == ["nbd-timeouts"])
        #expect(try !left("nbd-timeouts", plan).isShortfall)
    }

    @Test func whatIsSaferAlreadyIsNotMadeWorse() throws {
        let tree = try HostTree()
        try tree.sysctl("net/ipv4/tcp_rmem", "4096\t16384\t65536")
        try tree.sysctl("net/core/rmem_max", "65536")
        try tree.sysctl("vm/min_free_kbytes", "40000")
        #expect(look(tree).changes.isEmpty)
    }

    @Test func theReserveGrowsWithWhatSocketsMayHold() throws {
        let tree = try HostTree()
        try tree.tcp((0..<44).map { "10.0.2.15:\(49000 + $0) 10.0.2.2:10809 01 \(501 + $0)" })
        // 44 of twice 212992 bytes are 18304 kB
        #expect(try change(.reserve, look(tree)).new == "36608")
    }

    @Test func moreThanASixthIsRefusedWithAWayOut() throws {
        let tree = try HostTree()
        try tree.tcp((0..<60).map { "10.0.2.15:\(49000 + $0) 10.0.2.2:10809 01 \(501 + $0)" })
        let plan = look(tree)
        #expect(plan.changes.isEmpty && !plan.isWhole)
        let refused = try left("reserve-refused", plan)
        #expect(refused.found.contains("more than 40960 kB"))
        #expect(refused.instead.contains("--receive-max 131072"))
        var settings = PlanSettings()
        settings.receiveBytes = 131_072
        // 60 of twice 131072 bytes: below the trials' reserve again
        #expect(try change(.reserve, look(tree, settings)).new == "32768")
    }

    @Test func socketsBeyondTheBoundCountWithWhatTheyHaveAndAreTold() throws {
        let tree = try HostTree()
        var facts = tree.facts()
        facts.memory.tcpReceiveBytes = [131_072, 18 << 20]
        let plan = plan(facts)
        // 18 MB and one of twice 212992 bytes are 18848 kB
        #expect(try change(.reserve, plan).new == "37696")
        #expect(try !change(.reserve, plan).why.contains("not known"))
        facts.memory.tcpReceiveBytes = nil
        let blind = try change(.reserve, ReserveEnforce.plan(facts))
        #expect(blind.new == "32768" && blind.why.contains("is not known without tcp_diag"))
        let beyond = try left("receive-beyond", plan)
        #expect(!beyond.isShortfall && beyond.found.contains("1 TCP sockets"))
        #expect(beyond.found.contains("the largest 18874368"))
    }

    @Test func aSmallHostGetsASixthAndNoMore() throws {
        let tree = try HostTree()
        try tree.write(
            "/proc/zoneinfo",
            "Node 0, zone   Normal\n  pages free 1000\n        min 1\n        low 2\n"
                + "        high 3\n        spanned 30000\n        present 30000\n"
                + "        managed 30000\n")
        #expect(try change(.reserve, look(tree)).new == "20000")
    }

    @Test func theReserveIsNotRaisedIntoReclaim() throws {
        let tree = try HostTree()
        try tree.write("/proc/meminfo", "MemTotal: 246000 kB\nMemAvailable: 40000 kB\n")
        let plan = look(tree)
        #expect(plan.changes.isEmpty)
        #expect(try left("reserve-refused", plan).found.contains("MemAvailable"))
    }

    @Test(arguments: [
        "/proc/sys/net/ipv4/tcp_rmem", "/proc/sys/net/core/rmem_max",
        "/sys/block/nbd0/queue/wbt_lat_usec", "/proc/zoneinfo", "/proc/meminfo",
        "/proc/sys/vm/min_free_kbytes",
    ])
    func theReserveStaysWhereAPartOfTheWholeIsUnknown(_ path: String) throws {
        let tree = try HostTree.asInstalled()
        try tree.remove(path)
        let plan = look(tree)
        #expect(!plan.changes.contains { $0.kind == .reserve })
        #expect(!plan.isWhole)
        #expect(try left("reserve-refused", plan).isShortfall)
    }

    @Test func aReserveBelowTheKernelsOwnIsMended() throws {
        let tree = try HostTree()
        try tree.write("/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n")
        try tree.write(
            "/proc/zoneinfo",
            "Node 0, zone   Normal\n  pages free 1000\n        min 1\n        low 2\n"
                + "        high 3\n        spanned 4194304\n        present 4194304\n"
                + "        managed 4194304\n")
        try tree.write("/proc/meminfo", "MemTotal: 16777216 kB\nMemAvailable: 8000000 kB\n")
        try tree.sysctl("vm/min_free_kbytes", "1000")
        // eleven blocks of 2 MB, above the root of the memory: 22528 and 16384
        #expect(try change(.reserve, look(tree)).new == "32768")
        try tree.sysctl("vm/min_free_kbytes", "32768")
        #expect(look(tree).changes.isEmpty)
    }

    @Test func aLocalServerIsProtectedAndSaidToBeUnsafe() throws {
        let tree = try HostTree()
        try tree.tcp([
            "127.0.0.1:49000 127.0.0.1:10809 01 501", "127.0.0.1:10809 127.0.0.1:49000 01 601",
        ])
        try tree.process(
            70, "nbdkit", ["nbdkit", "memory"], locked: 900, score: -17, flags: [0x58_0000],
            descriptors: ["socket:[601]"])
        let plan = look(tree)
        #expect(try change(.oomScore, plan).old == "-17")
        #expect(try left("local-server", plan).isShortfall)
    }

    @Test func whoCannotBeLockedFromOutsideIsLeft() throws {
        let tree = try HostTree()
        try tree.ioctlClient(["nbd-client", "h", "/dev/nbd0", "-persist"], locked: 0, score: 0)
        let plan = look(tree)
        #expect(try change(.oomScore, plan).old == "0")
        #expect(try left("client-not-locked", plan).isShortfall)
        #expect(try left("persist-unprotected", plan).isShortfall)
        // Locked, the score is all that it lacks.
        try tree.remove("/proc/90")
        try tree.ioctlClient(["nbd-client", "h", "/dev/nbd0", "-persist"], score: 0)
        #expect(!look(tree).left.contains { $0.id == "persist-unprotected" })
    }

    @Test func timeoutsAreChangedTogetherAndOnlyWhenAsked() throws {
        let tree = try HostTree()
        try tree.sysctl("vm/min_free_kbytes", "32768")
        try tree.write("/sys/kernel/debug/nbd/nbd0/timeout", "0\n")
        #expect(look(tree).changes.isEmpty)
        #expect(try left("nbd-timeouts", look(tree)).found.contains("io_timeout, 20000 ms"))
        try tree.queues(1)
        #expect(try !left("nbd-timeouts", look(tree)).found.contains("io_timeout"))
        var settings = PlanSettings()
        settings.nbdTimeouts = .init(timeoutSeconds: 20, deadConnSeconds: 600)
        let both = try change(.nbdTimeouts, look(tree, settings))
        #expect(both.old == "0" && both.new == "20")
        #expect(both.target == .nbdTimeouts(disk: "nbd0", setUpBy: 90, deadConnSeconds: 600))
        // One that somebody chose stays.
        try tree.write("/sys/kernel/debug/nbd/nbd0/timeout", "5000\n")
        try tree.write("/sys/block/nbd0/queue/io_timeout", "35000\n")
        let kept = try change(.nbdTimeouts, look(tree, settings))
        #expect(kept.old == "35" && kept.new == "35")
        // Unknown is not put back.
        try tree.remove("/sys/kernel/debug/nbd/nbd0/timeout")
        #expect(try left("nbd-timeouts", look(tree, settings)).isShortfall)
        // The driver takes them of devices set up over netlink only.
        try tree.ioctlClient(["nbd-client", "h", "/dev/nbd0", "-t", "20"])
        #expect(try left("nbd-timeouts", look(tree, settings)).found.contains("netlink"))
    }

    @Test func withoutSwapOnNBDNothingIsTouchedUnlessADiskIsNamed() throws {
        let tree = try HostTree.asInstalled()
        try tree.write("/proc/swaps", HostTree.swaps("/dev/sda2\tpartition\t1\t0\t-2"))
        try tree.write("/dev/sda2", "")
        try tree.write("/sys/class/block/sda2/dev", "8:2\n")
        #expect(look(tree).isIdle && look(tree).changes.isEmpty)
        let named = plan(SwapPathFacts.read(root: tree.root, disks: ["nbd0"]))
        #expect(named.changes.count == 5)
    }
}
