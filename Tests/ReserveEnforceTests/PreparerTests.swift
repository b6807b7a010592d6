// SPDX-License-Identifier: Apache-2.0

import Foundation
import ReserveKernel
import Testing

@testable import ReserveEnforce

@Suite struct PreparerTests {
    private func apply(_ tree: HostTree, crash: Crash? = nil) throws -> Preparer.Report? {
        let preparer = Preparer(hand: Hand(root: tree.root), journal: try tree.journal()) {
            (step) throws(Preparer.Stopped) in try crash?.step(step)
        }
        return try? preparer.apply(plan(tree.facts()))
    }

    private func undo(_ tree: HostTree, crash: Crash? = nil) throws -> Preparer.UndoReport? {
        let preparer = Preparer(hand: Hand(root: tree.root), journal: try tree.journal()) {
            (step) throws(Preparer.Stopped) in try crash?.step(step)
        }
        return try? preparer.undo()
    }

    @Test func whatIsAppliedIsUndoneAndNothingIsLeft() throws {
        let tree = try HostTree.asInstalled()
        let before = tree.values()
        let report = try #require(try apply(tree))
        #expect(report.isWhole && report.outcomes.count == 5)
        #expect(tree.values() == ["4096 131072 262144", "262144", "32768", "0", "-1000"])
        let undone = try #require(try undo(tree))
        #expect(undone.undone.map(\.undoing) == Array(repeating: .restored, count: 5))
        // the last first
        #expect(undone.undone.map(\.entry.number) == [5, 4, 3, 2, 1])
        #expect(tree.values() == before)
        #expect(try Data(contentsOf: URL(fileURLWithPath: tree.journalPath)).isEmpty)
        #expect(try undo(tree)?.undone.isEmpty == true)
    }

    @Test func appliedTwiceItIsTheSameAndTheFirstOldValuesAreKept() throws {
        let tree = try HostTree.asInstalled()
        let before = tree.values()
        _ = try apply(tree)
        let journal = try Data(contentsOf: URL(fileURLWithPath: tree.journalPath))
        let again = try #require(try apply(tree))
        #expect(again.outcomes.isEmpty)
        #expect(try Data(contentsOf: URL(fileURLWithPath: tree.journalPath)) == journal)
        // More sockets want a larger reserve: a second step from the first.
        try tree.tcp((0..<35).map { "10.0.2.15:\(49000 + $0) 10.0.2.2:10809 01 \(501 + $0)" })
        #expect(try apply(tree)?.outcomes.map(\.0.old) == ["32768"])
        #expect(tree.values()[2] == "35840")
        _ = try undo(tree)
        #expect(tree.values() == before)
    }

    /// Journal and act, act and next journal: the host is as it was after each such end.
    @Test func aCrashBeforeAnyStepOfApplyIsUndone() throws {
        var crashes = 0
        while true {
            let tree = try HostTree.asInstalled()
            let before = tree.values()
            let crash = Crash(before: crashes)
            _ = try apply(tree, crash: crash)
            guard crash.hasHappened else { break }
            let undone = try #require(try undo(tree))
            #expect(undone.isWhole)
            #expect(tree.values() == before, "ended after \(crash.steps)")
            crashes += 1
        }
        // an announcement and an act for each of five changes
        #expect(crashes == 10)
    }

    @Test func aCrashAndASecondApplyKeepTheFirstOldValues() throws {
        for step in 0..<10 {
            let tree = try HostTree.asInstalled()
            let before = tree.values()
            _ = try apply(tree, crash: Crash(before: step))
            #expect(try apply(tree)?.isWhole == true)
            #expect(tree.values()[2] == "32768")
            #expect(try tree.journal().text.standing.count == 5)
            _ = try undo(tree)
            #expect(tree.values() == before, "ended before step \(step)")
        }
    }

    @Test func aCrashBeforeAnyStepOfUndoIsUndoneByTheNext() throws {
        var crashes = 0
        while true {
            let tree = try HostTree.asInstalled()
            let before = tree.values()
            _ = try apply(tree)
            let crash = Crash(before: crashes)
            _ = try undo(tree, crash: crash)
            guard crash.hasHappened else { break }
            #expect(try undo(tree)?.isWhole == true)
            #expect(tree.values() == before, "ended after \(crash.steps)")
            crashes += 1
        }
        // an act and a line for each of five changes, and the emptying
        #expect(crashes == 11)
    }

    /// The last line may be cut anywhere: what it announces was not done yet.
    @Test func aTornLastLineCostsOnlyItself() throws {
        for step in [1, 5, 9] {
            let tree = try HostTree.asInstalled()
            let before = tree.values()
            _ = try apply(tree, crash: Crash(before: step))
            let whole = try Data(contentsOf: URL(fileURLWithPath: tree.journalPath))
            let lastLine = try #require(
                whole.dropLast().lastIndex(of: 0x0a).map { whole.index(after: $0) })
            for end in stride(from: lastLine, to: whole.endIndex, by: 4) {
                let torn = try HostTree.asInstalled()
                _ = try apply(torn, crash: Crash(before: step))
                try whole[..<end].write(to: URL(fileURLWithPath: torn.journalPath))
                #expect(try torn.journal().text.isTorn == (end > lastLine))
                #expect(try torn.journal().text.damagedLines == 0)
                _ = try undo(torn)
                #expect(torn.values() == before, "cut at \(end) of \(whole.count)")
            }
        }
    }

    @Test func afterATornLineTheNextIsWholeAgain() throws {
        let tree = try HostTree.asInstalled()
        let before = tree.values()
        _ = try apply(tree, crash: Crash(before: 5))
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: tree.journalPath))
        let size = try file.seekToEnd()
        try file.truncate(atOffset: size - 7)
        try file.close()
        #expect(try apply(tree)?.isWhole == true)
        #expect(try tree.journal().text.damagedLines == 0)
        _ = try undo(tree)
        #expect(tree.values() == before)
    }

    @Test func somebodysLaterChangeIsLeftAlone() throws {
        let tree = try HostTree.asInstalled()
        _ = try apply(tree)
        try tree.sysctl("vm/min_free_kbytes", "50000")
        let undone = try #require(try undo(tree))
        #expect(undone.undone[0].undoing == .foreign("50000"))
        #expect(undone.isWhole)
        #expect(
            tree.values() == ["4096 131072 6291456", "4194304", "50000", "2000", "0"])
    }

    @Test func anotherProcessOfTheSameNumberIsNotTouched() throws {
        let tree = try HostTree.asInstalled()
        let planned = plan(tree.facts())
        try tree.remove("/proc/90")
        try tree.process(90, "other", ["other"], score: 0)
        let stat = "90 (other) S 1 90 90 0 -1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 777\n"
        try tree.write("/proc/90/stat", stat)
        let report = try Preparer(hand: Hand(root: tree.root), journal: tree.journal())
            .apply(planned)
        #expect(report.outcomes.count { $0.1 == .done } == 4)
        #expect(tree.values().last == "0")
        // and the same after it was changed
        let target = Target.oomScore(pid: 90, startTicks: 9000)
        #expect(Hand(root: tree.root).present(target) == .gone)
        #expect(Hand(root: tree.root).put(target, "5") == -ESRCH)
        #expect(tree.values().last == "0")
    }

    @Test func theReserveWaitsForTheRest() throws {
        let tree = try HostTree.asInstalled()
        let planned = plan(tree.facts())
        try tree.sysctl("net/ipv4/tcp_rmem", "4096\t131072\t9000000")
        let report = try Preparer(hand: Hand(root: tree.root), journal: tree.journal())
            .apply(planned)
        guard case .failed(let reason) = report.outcomes[1].1 else {
            Issue.record("changed though it was another value")
            return
        }
        #expect(reason.contains("9000000"))
        guard case .skipped = report.outcomes[4].1 else {
            Issue.record("the reserve was raised alone")
            return
        }
        #expect(tree.values()[2] == "1982")
    }

    @Test func withoutAJournalLineNothingIsDone() throws {
        let tree = try HostTree.asInstalled()
        let before = tree.values()
        // It can be neither cut nor written.
        let journal = JournalFile(descriptor: open("/dev/full", O_RDWR), path: "/dev/full")
        let report = try Preparer(hand: Hand(root: tree.root), journal: journal)
            .apply(plan(tree.facts()))
        #expect(report.outcomes.count == 5 && report.outcomes.allSatisfy { $0.1 != .done })
        #expect(tree.values() == before)
    }

    @Test func changesOfABootBeforeAreGoneWithIt() throws {
        let tree = try HostTree.asInstalled()
        _ = try apply(tree)
        try tree.sysctl("kernel/random/boot_id", "two")
        let values = tree.values()
        #expect(try undo(tree)?.undone.isEmpty == true)
        #expect(tree.values() == values)
    }

    @Test func timeoutsGoToTheDriverTogetherAndBackToNone() throws {
        let tree = try HostTree()
        try tree.sysctl("vm/min_free_kbytes", "32768")
        try tree.write("/sys/kernel/debug/nbd/nbd0/timeout", "0\n")
        try tree.write("/sys/block/nbd0/backend", "volume 7\n")
        let driver = Driver(tree)
        var settings = PlanSettings()
        settings.nbdTimeouts = .init(timeoutSeconds: 20, deadConnSeconds: 600)
        let hand = Hand(root: tree.root, reconfigure: driver.reconfigure)
        let planned = plan(tree.facts(), settings)
        #expect(try Preparer(hand: hand, journal: tree.journal()).apply(planned).isWhole)
        #expect(try Preparer(hand: hand, journal: tree.journal()).undo().isWhole)
        #expect(
            driver.asked == [
                Hand.NBDRequest(
                    disk: "nbd0", timeoutSeconds: 20, deadConnSeconds: 600, backend: "volume 7"),
                Hand.NBDRequest(
                    disk: "nbd0", timeoutSeconds: 0, deadConnSeconds: 0, backend: "volume 7"),
            ])
    }

    @Test func aConnectionMadeAnewIsNotUndone() throws {
        let tree = try HostTree()
        try tree.sysctl("vm/min_free_kbytes", "32768")
        try tree.write("/sys/kernel/debug/nbd/nbd0/timeout", "0\n")
        let driver = Driver(tree)
        var settings = PlanSettings()
        settings.nbdTimeouts = .init(timeoutSeconds: 20, deadConnSeconds: 600)
        let hand = Hand(root: tree.root, reconfigure: driver.reconfigure)
        _ = try Preparer(hand: hand, journal: tree.journal()).apply(plan(tree.facts(), settings))
        try tree.write("/sys/block/nbd0/pid", "91\n")
        let report = try Preparer(hand: hand, journal: tree.journal()).undo()
        #expect(report.undone.map(\.undoing) == [.gone])
        #expect(driver.asked.count == 1)
    }

    /// Without a timeout that was there before, dead_conn_timeout is taken back; with it, not.
    @Test func deadConnTimeoutBesideAnOlderTimeoutStays() throws {
        let tree = try HostTree()
        try tree.sysctl("vm/min_free_kbytes", "32768")
        let driver = Driver(tree)
        var settings = PlanSettings()
        settings.nbdTimeouts = .init(timeoutSeconds: 5, deadConnSeconds: 600)
        let hand = Hand(root: tree.root, reconfigure: driver.reconfigure)
        _ = try Preparer(hand: hand, journal: tree.journal()).apply(plan(tree.facts(), settings))
        #expect(driver.asked.map(\.timeoutSeconds) == [20])
        let report = try Preparer(hand: hand, journal: tree.journal()).undo()
        guard case .stays = report.undone[0].undoing else {
            Issue.record("\(report.undone)")
            return
        }
        #expect(driver.asked.count == 1)
    }
}

/// The NBD driver's part, for a tree.
private final class Driver {
    private let tree: HostTree
    private(set) var asked: [Hand.NBDRequest] = []

    init(_ tree: HostTree) {
        self.tree = tree
    }

    func reconfigure(_ request: Hand.NBDRequest) -> Int32 {
        asked.append(request)
        let seconds = request.timeoutSeconds
        try? tree.write("/sys/kernel/debug/nbd/nbd0/timeout", "\(seconds * 250)\n")
        try? tree.write(
            "/sys/block/nbd0/queue/io_timeout", "\(seconds == 0 ? 30000 : seconds * 1000)\n")
        return 0
    }
}
