// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import ReserveAgent
import ReserveKernel
import ReserveModel
import ReserveRecord
import ReserveSinks
import ReserveStore

/// Records in memory, numbered, so that they can be gone through forward and back: as many as
/// fit, the oldest going first.
struct TopStore {
    private var records: [(bytes: [UInt8], isState: Bool)] = []
    private var first = 0
    private var storedBytes = 0
    private let mostBytes: Int

    init(mostBytes: Int) {
        self.mostBytes = mostBytes
    }

    var numbers: Range<Int> { first..<first + records.count }

    mutating func append(_ record: UnsafeRawBufferPointer, isState: Bool) {
        records.append(([UInt8](record), isState))
        storedBytes += record.count
        guard storedBytes > mostBytes else { return }
        var count = 0
        while count < records.count, storedBytes > mostBytes / 8 * 7 {
            storedBytes -= records[count].bytes.count
            count += 1
        }
        records.removeFirst(count)
        first += count
    }

    func record(_ number: Int) -> TopRecord? {
        guard numbers.contains(number) else { return nil }
        let record = records[number - first]
        return TopRecord(
            event: record.bytes.withUnsafeBytes { RecordDecoder.decode($0) },
            isState: record.isState)
    }
}

/// A recording: a file, a segment, a directory of segments, or the box of a dead agent.
final class RecordedEvents {
    private var store = TopStore(mostBytes: 512 << 20)
    private(set) var problems: [RecordingProblem] = []

    init(path: String) throws(StoreError) {
        let records = try RecordSource(path: path)
        while let entry = records.next() { store.append(entry.bytes, isState: entry.isState) }
        problems = records.takeProblems()
    }

    private var damagedBytes: Int {
        var sum = 0
        for problem in problems {
            switch problem {
            case .damaged(_, let bytes), .torn(_, let bytes): sum += bytes
            case .cutCompressed, .missing, .unreadable: break
            }
        }
        return sum
    }

    var source: TopSource {
        let damaged = damagedBytes
        return TopSource(
            isLive: false, look: { self.store.numbers }, record: { self.store.record($0) },
            damagedBytes: { damaged })
    }
}

/// What the watch tells now, kept so that it can be gone through again.
final class LiveEvents {
    private var live: LiveSource
    private var store = TopStore(mostBytes: 64 << 20)

    /// Records in one turn: a box has a few times as many.
    private static let batch = 4096

    init(_ choice: LiveSource.Choice) throws(WatchError) {
        var choice = choice
        choice.start = .oldest
        live = try LiveSource.open(choice)
        live.states { store.append($0, isState: true) }
        look()
    }

    /// Looks on for some time before the first frame: an agent that was only just started has
    /// told too little for rates.
    func settle() {
        guard live.isPrivate else { return }
        let begun = rw_boot_ns()
        while rw_boot_ns() - begun < 2_200_000_000, !live.hasEnded {
            usleep(100_000)
            look()
        }
    }

    private func look() {
        guard !live.hasEnded else { return }
        do throws(WatchError) {
            while try live.read(limit: Self.batch, { store.append($0, isState: false) }) > 0,
                !live.hasEnded
            {}
        } catch {
            // The agent died without a word. What it told stays, and the frame says its age.
        }
    }

    var source: TopSource {
        TopSource(
            isLive: true,
            look: {
                self.look()
                return self.store.numbers
            }, record: { self.store.record($0) }, damagedBytes: { 0 })
    }
}
