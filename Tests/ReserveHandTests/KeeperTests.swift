// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

// The numbers of the wire, Sources/CRecord/include/record.h.
private let freeze = "1"
private let thaw = "2"
private let resume = "6"
private let calmQueue = "14"
private let queueBack = "15"
private let done = "2"
private let refused = "4"
private let deadline = "3"
private let stands = "5"
private let agentEnds = "7"
private let leftOver = "8"
private let foreign = "13"

/// What stands is taken back, in whatever way the watch or the keeper ends. No time is measured
/// here: that something comes at all is what is tested.
@Suite(.serialized, .enabled(if: Host.isFit, "a cgroup v2 hierarchy and root"))
struct KeeperTests {
    /// A trial whose freeze stands.
    private func frozen(
        _ group: Group, milliseconds: Int = 600_000
    ) throws -> (trial: Trial, keeper: Int32) {
        let trial = try Trial("freeze", group.path)
        let keeper = try #require(trial.ready(), "\(trial.said)")
        trial.tell("freeze 1 \(milliseconds)")
        let act = try #require(trial.act(0), "\(trial.said)")
        #expect(act["outcome"] == done, "\(act)")
        #expect(act["processes"] == "1")
        #expect(group.isFrozen)
        #expect(eventually { group.isWholeFrozen })
        return (trial, keeper)
    }

    @Test(arguments: [SIGKILL, SIGTERM, SIGSEGV, SIGABRT])
    func aWatchThatDiesIsThawedAfter(signal: Int32) throws {
        let group = try Group()
        try group.add()
        let (trial, keeper) = try frozen(group)
        trial.end(signal)
        #expect(eventually { !group.isFrozen })
        #expect(eventually { !group.isWholeFrozen })
        // The keeper goes too, and lets its successor begin.
        #expect(eventually { isGone(keeper) })
        let next = try Trial.clear(trial.journal)
        #expect(next.status == 0)
        // What the keeper did is told by the one after.
        #expect(next.acts.count == 1)
        #expect(next.acts.first?["verb"] == thaw)
        #expect(next.acts.first?["outcome"] == done)
        #expect(next.acts.first?["reason"] == "4")
    }

    @Test func aWatchThatIsStoppedIsThawedAfterAndGoesOnLater() throws {
        let group = try Group()
        try group.add()
        let (trial, keeper) = try frozen(group)
        kill(trial.pid, SIGSTOP)
        #expect(eventually { !group.isFrozen })
        #expect(!isGone(keeper))
        kill(trial.pid, SIGCONT)
        let act = try #require(trial.act(1))
        #expect(act["verb"] == thaw)
        #expect(act["reason"] == stands)
        // And may freeze again.
        trial.tell("freeze 2 600000")
        #expect(try #require(trial.act(2))["outcome"] == done)
        #expect(group.isFrozen)
    }

    @Test func aWatchThatADebuggerHoldsIsThawedAfter() throws {
        let group = try Group()
        try group.add()
        let (trial, _) = try frozen(group)
        let debugger = Process()
        let input = Pipe()
        debugger.executableURL = URL(fileURLWithPath: Trial.binary)
        debugger.arguments = ["trace", "\(trial.pid)"]
        debugger.standardInput = input
        debugger.standardOutput = Pipe()
        try debugger.run()
        #expect(eventually { !group.isFrozen })
        try input.fileHandleForWriting.close()
        debugger.waitUntilExit()
        #expect(debugger.terminationStatus == 0)
        #expect(try #require(trial.act(1))["reason"] == stands)
    }

    @Test func aLoopThatHangsIsThawedAfter() throws {
        let group = try Group()
        try group.add()
        let (trial, _) = try frozen(group)
        trial.tell("silence")
        #expect(eventually { !group.isFrozen })
        #expect(trial.isRunning)
    }

    @Test func aDeadlineNeedsNoWatch() throws {
        let group = try Group()
        try group.add()
        let (trial, _) = try frozen(group, milliseconds: 1500)
        #expect(eventually { !group.isFrozen })
        let act = try #require(trial.act(1))
        #expect(act["reason"] == deadline)
        #expect(act["serial"] == "1")
    }

    @Test func withoutAKeeperNothingStands() throws {
        let group = try Group()
        try group.add()
        let (trial, keeper) = try frozen(group)
        kill(keeper, SIGKILL)
        #expect(eventually { !group.isFrozen })
        #expect(eventually { trial.said.contains("keeper gone") })
        #expect(try #require(trial.act(1))["reason"] == "6")
        trial.tell("freeze 2 600000")
        let act = try #require(trial.act(2))
        #expect(act["outcome"] == refused)
        #expect(act["reason"] == "6")
        #expect(!group.isFrozen)
    }

    /// Both at once: what nobody took back the next one does.
    @Test func whatBothLeftTheNextOneTakesBack() throws {
        let group = try Group()
        try group.add()
        let (trial, keeper) = try frozen(group)
        // Stopped first, so that it cannot see the end of the other.
        kill(keeper, SIGSTOP)
        trial.end(SIGKILL)
        #expect(group.isFrozen)
        // As long as it is there, it holds the journal.
        #expect(try Trial.clear(trial.journal).status != 0)
        kill(keeper, SIGKILL)
        #expect(eventually { isGone(keeper) })
        #expect(group.isFrozen)
        let next = try Trial.clear(trial.journal)
        #expect(next.acts.count == 1)
        #expect(next.acts.first?["reason"] == leftOver)
        #expect(!group.isFrozen)
        #expect(try Trial.clear(trial.journal).acts.isEmpty)
    }

    @Test func anEndInOrderTakesBackAndSaysSo() throws {
        let group = try Group()
        try group.add()
        let (trial, keeper) = try frozen(group)
        trial.tell("quit")
        trial.waitUntilExit()
        #expect(eventually { trial.said.contains("closed") })
        #expect(!group.isFrozen)
        #expect(trial.acts.last?["reason"] == agentEnds)
        #expect(isGone(keeper))
        #expect(access(trial.journal, F_OK) != 0)
    }

    @Test func aStoppedProcessGoesOnWhenTheWatchDies() throws {
        let group = try Group()
        try group.add()
        let trial = try Trial("stop", group.path)
        _ = try #require(trial.ready(), "\(trial.said)")
        trial.tell("stop 1 600000")
        #expect(try #require(trial.act(0))["outcome"] == done)
        #expect(eventually { group.state(0) == "T" })
        trial.end(SIGKILL)
        #expect(eventually { group.state(0) == "S" })
    }

    @Test func whatSomebodyElseFrozeOrStoppedIsLeftSo() throws {
        let group = try Group()
        try group.add()
        try group.write("cgroup.freeze", "1")
        let trial = try Trial("freeze", group.path)
        _ = try #require(trial.ready(), "\(trial.said)")
        trial.tell("freeze 1 600000")
        let act = try #require(trial.act(0))
        #expect(act["outcome"] == refused)
        #expect(act["reason"] == foreign)
        trial.end(SIGKILL)
        #expect(group.isFrozen)
    }

    @Test func twoFreezesOfOneCgroupEndWithTheSecondThaw() throws {
        let group = try Group()
        try group.add()
        let (trial, _) = try frozen(group)
        trial.tell("freeze 2 600000")
        #expect(try #require(trial.act(1))["outcome"] == done)
        trial.tell("thaw 1")
        #expect(try #require(trial.act(2))["verb"] == thaw)
        #expect(group.isFrozen)
        trial.tell("thaw 2")
        _ = try #require(trial.act(3))
        #expect(!group.isFrozen)
    }

    // What a rescue sets in a disk's queue/; a file of a cgroup stands for it.

    private func calmed(_ group: Group) throws -> (trial: Trial, keeper: Int32) {
        let trial = try Trial("freeze", group.path)
        let keeper = try #require(trial.ready(), "\(trial.said)")
        trial.tell("calm \(Host.mount ?? "")\(group.path)/cgroup.max.depth 3")
        let act = try #require(trial.act(0), "\(trial.said)")
        #expect(act["verb"] == calmQueue)
        #expect(act["outcome"] == done)
        #expect(act["target"] == "\(Host.mount ?? "")\(group.path)/cgroup.max.depth")
        #expect(group.read("cgroup.max.depth") == "3")
        return (trial, keeper)
    }

    @Test func aQueueIsSetBackWhenTheAgentEnds() throws {
        let group = try Group()
        let (trial, _) = try calmed(group)
        // Again, as by a second spare connection: it is set by us already.
        trial.tell("calm \(Host.mount ?? "")\(group.path)/cgroup.max.depth 4")
        trial.tell("quit")
        trial.waitUntilExit()
        #expect(eventually { trial.said.contains("closed") })
        #expect(eventually { group.read("cgroup.max.depth") == "max" })
        #expect(trial.acts.map { $0["verb"] } == [calmQueue, queueBack])
        #expect(trial.acts.last?["serial"] == "9")
        #expect(trial.acts.last?["reason"] == agentEnds)
    }

    @Test func aQueueThatIsSoAlreadyIsLeftSo() throws {
        let group = try Group()
        try group.write("cgroup.max.depth", "3")
        let trial = try Trial("freeze", group.path)
        _ = try #require(trial.ready(), "\(trial.said)")
        trial.tell("calm \(Host.mount ?? "")\(group.path)/cgroup.max.depth 3")
        trial.tell("quit")
        trial.waitUntilExit()
        #expect(eventually { trial.said.contains("closed") })
        #expect(trial.acts.isEmpty)
        #expect(group.read("cgroup.max.depth") == "3")
    }

    /// Setting it may wait in the kernel: not while the keeper may have to thaw, but after the death.
    @Test func aQueueIsSetBackAfterADeathAndNotInAStandstill() throws {
        let group = try Group()
        try group.add()
        let (trial, keeper) = try calmed(group)
        trial.tell("freeze 1 600000")
        #expect(try #require(trial.act(1))["outcome"] == done)
        kill(trial.pid, SIGSTOP)
        #expect(eventually { !group.isFrozen })
        #expect(group.read("cgroup.max.depth") == "3")
        trial.end(SIGKILL)
        #expect(eventually { group.read("cgroup.max.depth") == "max" })
        #expect(eventually { isGone(keeper) })
        let next = try Trial.clear(trial.journal)
        #expect(next.acts.map { $0["verb"] } == [thaw, queueBack])
    }

    @Test func aQueueThatBothLeftIsSetBackByTheNextOne() throws {
        let group = try Group()
        let (trial, keeper) = try calmed(group)
        kill(keeper, SIGKILL)
        trial.end(SIGKILL)
        #expect(eventually { isGone(keeper) })
        #expect(group.read("cgroup.max.depth") == "3")
        let next = try Trial.clear(trial.journal)
        #expect(next.acts.count == 1)
        #expect(next.acts.first?["verb"] == queueBack)
        #expect(next.acts.first?["reason"] == leftOver)
        #expect(group.read("cgroup.max.depth") == "max")
    }

    @Test func aQueueThatSomebodySetSinceIsLeftSo() throws {
        let group = try Group()
        let (trial, keeper) = try calmed(group)
        kill(keeper, SIGKILL)
        trial.end(SIGKILL)
        #expect(eventually { isGone(keeper) })
        try group.write("cgroup.max.depth", "7")
        let next = try Trial.clear(trial.journal)
        #expect(next.acts.first?["outcome"] == refused)
        #expect(next.acts.first?["reason"] == foreign)
        #expect(group.read("cgroup.max.depth") == "7")
    }

    @Test func aJournalThatIsNoneIsRefusedAndKept() throws {
        let path = "/dev/shm/reservewatch-hand.\(UUID().uuidString)"
        try "not a journal".write(toFile: path, atomically: false, encoding: .utf8)
        defer { unlink(path) }
        #expect(try Trial.clear(path).status != 0)
        #expect(access(path, F_OK) == 0)
        // Of the right size, and nothing else right.
        try Data(repeating: 0xa5, count: 1 << 16).write(to: URL(fileURLWithPath: path))
        #expect(try Trial.clear(path).status != 0)
    }
}
