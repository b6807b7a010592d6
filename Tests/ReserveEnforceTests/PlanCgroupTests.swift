// SPDX-License-Identifier: Apache-2.0

import Foundation
import ReserveKernel
import Testing

@testable import ReserveEnforce

private let mount = "/sys/fs/cgroup"

extension HostTree {
    /// A client by ioctl of which nothing is locked, in a cgroup below a slice.
    fileprivate static func unlocked(
        in path: String = "/system.slice/nbd@nbd0.service", processes: [Int] = [90],
        hasMemory: Bool = true, currentBytes: Int = 3 << 20
    ) throws -> HostTree {
        let tree = try HostTree()
        try tree.sysctl("kernel/random/boot_id", "one")
        try tree.sysctl("vm/min_free_kbytes", "32768")
        try tree.ioctlClient(["nbd-client", "h", "/dev/nbd0"], locked: 0)
        try tree.write("/proc/90/cgroup", "4:memory:/elsewhere\n0::\(path)\n")
        try tree.write("\(mount)/cgroup.controllers", "cpu memory\n")
        var directory = mount
        for name in path.split(separator: "/") {
            directory += "/\(name)"
            try tree.write("\(directory)/cgroup.procs", "")
            guard hasMemory else { continue }
            try tree.write("\(directory)/memory.min", "0\n")
            try tree.write("\(directory)/memory.swap.max", "max\n")
            try tree.write("\(directory)/memory.current", "\(currentBytes)\n")
        }
        try tree.write(
            "\(directory)/cgroup.procs", processes.map { "\($0)\n" }.joined())
        return tree
    }

    fileprivate func content(_ path: String) -> String {
        (try? String(contentsOfFile: root + mount + path, encoding: .utf8))?
            .trimmingCharacters(in: .newlines) ?? "?"
    }
}

@Suite struct PlanCgroupTests {
    private let unit = "/system.slice/nbd@nbd0.service"

    private func look(_ tree: HostTree) -> Plan { plan(SwapPathFacts.read(root: tree.root)) }

    private func targets(_ plan: Plan) -> [String] { plan.changes.map(\.target.path) }

    @Test func whoIsNotLockedIsKeptByItsCgroup() throws {
        let plan = look(try HostTree.unlocked())
        #expect(plan.changes.map(\.kind) == [.keepFromSwap, .keepInMemory, .keepInMemory])
        #expect(
            targets(plan) == [
                "\(mount)\(unit)/memory.swap.max", "\(mount)/system.slice/memory.min",
                "\(mount)\(unit)/memory.min",
            ])
        #expect(plan.changes.map(\.old) == ["max", "0", "0"])
        // twice of 3 MiB
        #expect(plan.changes.map(\.new) == ["0", "6291456", "6291456"])
        #expect(!plan.left.contains { $0.id == "client-not-locked" })
        #expect(plan.isWhole, "\(plan.left)")
        #expect(plan.changes[0].undo == "echo max >'\(mount)\(unit)/memory.swap.max'")
        for change in plan.changes {
            #expect(!change.bounds.isEmpty && !change.why.isEmpty && !change.costs.isEmpty)
        }
    }

    @Test func whoIsLockedNeedsNothing() throws {
        let tree = try HostTree.unlocked()
        try tree.remove("/proc/90/status")
        try tree.write("/proc/90/status", "VmLck:\t 900 kB\nVmSwap:\t 0 kB\n")
        #expect(look(tree).changes.isEmpty)
    }

    @Test func whatHoldsForOthersIsNotChanged() throws {
        for (tree, words) in [
            (try HostTree.unlocked(processes: [90, 91]), "1 other processes are in its cgroup"),
            (try HostTree.unlocked(in: "/"), "the root cgroup"),
            (try HostTree.unlocked(hasMemory: false), "no memory controller"),
            (try HostTree.unlocked(in: "/a\tb"), "no journal takes"),
        ] {
            let plan = look(tree)
            #expect(plan.changes.isEmpty, "\(words)")
            let left = try #require(plan.left.first { $0.id == "keep-from-swap" })
            #expect(left.found.contains(words), "\(left.found)")
            // It is not locked, and stays so.
            #expect(plan.left.contains { $0.id == "client-not-locked" && $0.isShortfall })
        }
    }

    @Test func thoseBelowTheCgroupCountAsWell() throws {
        let tree = try HostTree.unlocked()
        try tree.write("\(mount)\(unit)/payload/cgroup.procs", "91\n")
        #expect(look(tree).changes.isEmpty)
        try tree.write("\(mount)\(unit)/payload/cgroup.procs", "")
        #expect(look(tree).changes.count == 3)
    }

    @Test func moreThanASixteenthIsNotKeptInMemory() throws {
        let plan = look(try HostTree.unlocked(currentBytes: 100 << 20))
        #expect(plan.changes.map(\.kind) == [.keepFromSwap])
        #expect(plan.left.contains { $0.id == "keep-in-memory" && !$0.isShortfall })
        // A sixteenth of 246000 kB is 15 MiB: less than twice of 10.
        let bounded = look(try HostTree.unlocked(currentBytes: 10 << 20))
        #expect(bounded.changes.last?.new == "\(15 << 20)")
    }

    @Test func whatIsThereAlreadyIsAddedTo() throws {
        let tree = try HostTree.unlocked()
        try tree.write("\(mount)/system.slice/memory.min", "1048576\n")
        #expect(look(tree).changes.map(\.new) == ["0", "7340032", "6291456"])
        try tree.write("\(mount)/system.slice/memory.min", "max\n")
        #expect(targets(look(tree)).count == 2)
        // More than it has: left, and the slice is to reach it.
        try tree.write("\(mount)\(unit)/memory.min", "8388608\n")
        try tree.write("\(mount)/system.slice/memory.min", "0\n")
        #expect(look(tree).changes.map(\.new) == ["0", "8388608"])
    }

    private func apply(_ tree: HostTree) throws -> Preparer.Report {
        try Preparer(hand: Hand(root: tree.root), journal: try tree.journal()).apply(look(tree))
    }

    private func undo(_ tree: HostTree) throws -> [Preparer.Undoing] {
        try Preparer(hand: Hand(root: tree.root), journal: try tree.journal()).undo()
            .undone.map(\.undoing)
    }

    @Test func appliedItIsDoneOnceAndUndone() throws {
        let tree = try HostTree.unlocked()
        #expect(try apply(tree).isWhole)
        #expect(tree.content("\(unit)/memory.swap.max") == "0")
        #expect(tree.content("/system.slice/memory.min") == "6291456")
        #expect(try apply(tree).outcomes.isEmpty)
        // It grew meanwhile, but not beyond what is kept.
        try tree.write("\(mount)\(unit)/memory.current", "\(5 << 20)\n")
        #expect(try apply(tree).outcomes.isEmpty)
        #expect(try undo(tree) == [.restored, .restored, .restored])
        #expect(tree.content("\(unit)/memory.swap.max") == "max")
        #expect(tree.content("\(unit)/memory.min") == "0")
        #expect(tree.content("/system.slice/memory.min") == "0")
    }

    @Test func aCgroupThatWasMadeAnewIsAnother() throws {
        let tree = try HostTree.unlocked()
        #expect(try apply(tree).isWhole)
        // The inode must not be had again: the old directory stays until the new one is there.
        let path = tree.root + mount + unit
        try FileManager.default.moveItem(atPath: path, toPath: path + ".old")
        try tree.write("\(mount)\(unit)/memory.swap.max", "0\n")
        try tree.write("\(mount)\(unit)/memory.min", "6291456\n")
        #expect(try undo(tree) == [.gone, .restored, .gone])
        #expect(tree.content("\(unit)/memory.swap.max") == "0")
    }

    @Test(arguments: [
        "cgroup:7:/sys/fs/cgroup/a:b c/memory.min", "cgroup:7:/sys/fs/cgroup/a/memory.swap.max",
    ])
    func aJournalNamesThem(word: String) {
        #expect(Target(journal: word)?.journal == word)
    }

    @Test(arguments: [
        "cgroup:", "cgroup:7", "cgroup:x:/sys/fs/cgroup/a/memory.min",
        "cgroup:7:/sys/fs/cgroup/a/memory.max", "cgroup:7:/sys/fs/cgroup/a/cgroup.procs",
        "cgroup:7:/sys/fs/cgroup/../../block/x/memory.min", "cgroup:7:/etc/memory.min",
        "cgroup:7:/sys/fs/cgroup/a\u{7}/memory.min",
    ])
    func andNothingElse(word: String) {
        #expect(Target(journal: word) == nil)
    }
}
