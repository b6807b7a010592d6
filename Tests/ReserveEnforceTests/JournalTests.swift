// SPDX-License-Identifier: Apache-2.0

import Foundation
import ReserveKernel
import Testing

@testable import ReserveEnforce

@Suite struct JournalTests {
    private let path = NSTemporaryDirectory() + "journal-\(UUID().uuidString)/run/a.journal"

    private func content() throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    /// Three standing changes, one of each kind.
    private func filled() throws -> [UInt8] {
        let journal = try JournalFile(path: path, bootID: "b")
        try journal.announce(.file("/proc/sys/vm/min_free_kbytes"), old: "1", new: "2")
        try journal.announce(.oomScore(pid: 7, startTicks: 70), old: "0", new: "-1000")
        try journal.announce(
            .nbdTimeouts(disk: "nbd3", setUpBy: 9, deadConnSeconds: 600), old: "0", new: "20")
        return try content()
    }

    @Test func linesComeBackAsTheyWereWritten() throws {
        let text = JournalText(try filled())
        #expect(text.bootID == "b" && !text.isTorn && text.damagedLines == 0)
        #expect(
            text.standing == [
                JournalEntry(
                    number: 1, target: .file("/proc/sys/vm/min_free_kbytes"), old: "1", new: "2"),
                JournalEntry(
                    number: 2, target: .oomScore(pid: 7, startTicks: 70), old: "0", new: "-1000"),
                JournalEntry(
                    number: 3, target: .nbdTimeouts(disk: "nbd3", setUpBy: 9, deadConnSeconds: 600),
                    old: "0", new: "20"),
            ])
        #expect(text.nextNumber == 4)
    }

    /// The form of a line, so that a journal outlives an update of the program.
    @Test func aLineIsItsChecksumAndItsWords() throws {
        let lines = String(decoding: try filled(), as: UTF8.self).split(separator: "\n")
        #expect(lines[1].hasSuffix("\tchange\t1\tfile:/proc/sys/vm/min_free_kbytes\t1\t2"))
        // RFC 3720, B.4: of 32 zeros, little-endian in the RFC, is 8a9136aa
        #expect(lines[0].split(separator: "\t")[0].count == 8)
        #expect(JournalText.begin(bootID: "b") == String(lines[0]) + "\n")
    }

    @Test func anyFlippedBitIsSeen() throws {
        let whole = try filled()
        let lastLine = try #require(whole.dropLast().lastIndex(of: 0x0a)) + 1
        for index in whole.indices {
            var bytes = whole
            bytes[index] ^= 0x04
            let text = JournalText(bytes)
            #expect(
                text.damagedLines > 0 || index >= lastLine && text.isTorn,
                "byte \(index)")
            #expect(text.standing.count < 3)
        }
    }

    @Test func anyCutLeavesTheLinesBeforeIt() throws {
        let whole = try filled()
        for end in whole.indices {
            let text = JournalText(Array(whole[..<end]))
            let lines = whole[..<end].count { $0 == 0x0a }
            #expect(text.damagedLines == 0)
            #expect(text.standing.count == max(0, lines - 1))
            #expect(text.isTorn == (end > 0 && whole[end - 1] != 0x0a))
        }
    }

    @Test func nothingElseIsEverWritten() {
        #expect(Target(journal: "file:/etc/passwd") == nil)
        #expect(Target(journal: "file:/proc/sys/../../etc/passwd") == nil)
        #expect(Target(journal: "file:/proc/sysrq-trigger") == nil)
        #expect(Target(journal: "oom:0:1") == nil)
        #expect(Target(journal: "nbd:sda:1:1") == nil)
        #expect(Target(journal: "nbd:nbd01:1:1") == nil)
        #expect(Target(journal: "file") == nil)
    }

    @Test func oneHoldsItAtATime() throws {
        let first = try JournalFile(path: path, bootID: "b")
        #expect(throws: WatchError.prepareRuns(path: path)) {
            try JournalFile(path: path, bootID: "b")
        }
        try first.clear()
    }

    @Test func aLinkInItsPlaceIsNotFollowed() throws {
        let other = NSTemporaryDirectory() + "other-\(UUID().uuidString)"
        try Data("x".utf8).write(to: URL(fileURLWithPath: other))
        let link = NSTemporaryDirectory() + "link-\(UUID().uuidString)"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: other)
        #expect(throws: WatchError.self) { try JournalFile(path: link, bootID: "b") }
        #expect(try Data(contentsOf: URL(fileURLWithPath: other)) == Data("x".utf8))
    }

    @Test func whatWasTakenBackNoLongerStands() throws {
        _ = try filled()
        let journal = try JournalFile(path: path, bootID: "b")
        try journal.takeBack(2)
        #expect(JournalText(try content()).standing.map(\.number) == [1, 3])
    }

    @Test func theSameAnnouncedAgainIsOneLine() throws {
        let journal = try JournalFile(path: path, bootID: "b")
        for _ in 0..<2 {
            try journal.announce(.file("/proc/sys/vm/min_free_kbytes"), old: "1", new: "2")
        }
        #expect(journal.text.standing.count == 1)
    }
}
