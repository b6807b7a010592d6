// SPDX-License-Identifier: Apache-2.0

import CRecord
import Foundation
import Glibc
import Testing

@testable import ReserveBox

/// A record of `bytes` bytes with a number in it.
private func record(
    _ number: UInt64, stem: rw_stem = RW_STEM_AGENT, kind: UInt32 = RW_AGENT_TICK.rawValue,
    bytes: Int = 32
) -> [UInt8] {
    var all = [UInt8](repeating: 0, count: max(bytes, 32))
    let header = rw_header(
        stem: UInt16(stem.rawValue), kind: UInt16(kind), size: UInt32(all.count), boot_ns: number,
        cpu: 0, reserved: 0)
    all.withUnsafeMutableBytes {
        $0.storeBytes(of: header, as: rw_header.self)
        $0.storeBytes(of: number, toByteOffset: 24, as: UInt64.self)
    }
    return all
}

private func number(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self)
}

/// A box in a directory of its own, on the tmpfs that every Linux has.
private final class Place {
    let directory: String
    var path: String { "\(directory)/box" }

    init() {
        directory = "/dev/shm/reservewatch-test.\(getpid()).\(UInt32.random(in: 0 ... .max))"
        mkdir(directory, 0o700)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func write(ringBytes: Int = 64 << 10) throws(BoxError) -> BoxWriter {
        try BoxFile.create(
            path: path, size: BoxSize(ringBytes: ringBytes), group: nil, agentVersion: "test")
    }

    func read(_ start: BoxReader.Start = .oldest) throws(BoxError) -> BoxReader {
        try BoxFile.open(path: path, start: start)
    }
}

extension BoxWriter {
    fileprivate mutating func publish(_ bytes: [UInt8]) { bytes.withUnsafeBytes { publish($0) } }
}

extension BoxReader {
    fileprivate mutating func numbers() -> [UInt64] {
        var all: [UInt64] = []
        read { all.append(number($0)) }
        return all
    }

    fileprivate func stateNumbers() -> [UInt64] {
        var all: [UInt64] = []
        states { all.append(number($0)) }
        return all
    }
}

@Suite struct BoxRingTests {
    @Test func aReaderGetsEveryRecordInItsOrder() throws {
        let place = Place()
        var writer = try place.write()
        var reader = try place.read()
        for index in 1...100 { writer.publish(record(UInt64(index), bytes: 32 + index % 7 * 8)) }
        #expect(reader.numbers() == (1...100).map(UInt64.init))
        writer.publish(record(101))
        #expect(reader.numbers() == [101])
        #expect(reader.lost == 0)
    }

    @Test func aReaderThatIsOvertakenKnowsExactlyHowManyItLost() throws {
        let place = Place()
        var writer = try place.write()
        var reader = try place.read()
        writer.publish(record(1))
        #expect(reader.numbers() == [1])
        for index in 2...10_000 { writer.publish(record(UInt64(index), bytes: 32 + index % 5 * 8)) }
        let rest = reader.numbers()
        #expect(rest.last == 10_000)
        let first = try #require(rest.first)
        #expect(rest == (first...10_000).map { $0 })
        #expect(reader.lost == first - 2)
    }

    @Test func whatIsReadWhileTheWriterWritesIsNeverTorn() throws {
        let place = Place()
        var writer = try place.write()
        var reader = try place.read()
        var seen: UInt64 = 0
        var last: UInt64 = 0
        var torn = 0
        for index in 1...60_000 {
            var bytes = record(UInt64(index), bytes: 64 + index % 11 * 16)
            for place in 32..<bytes.count { bytes[place] = UInt8(truncatingIfNeeded: index) }
            writer.publish(bytes)
            if index % 700 == 0 {
                reader.read(limit: 300) { record in
                    let number = number(record)
                    seen += 1
                    if number <= last { torn += 1 }
                    last = number
                    for place in 32..<record.count
                    where record[place] != UInt8(truncatingIfNeeded: number) {
                        torn += 1
                    }
                }
            }
        }
        #expect(torn == 0)
        reader.read { _ in seen += 1 }
        #expect(seen + reader.lost == 60_000)
    }

    @Test func whatDamageHidesIsCountedAtOnce() throws {
        let place = Place()
        var writer = try place.write()
        for index in 1...10 { writer.publish(record(UInt64(index))) }
        let ring = BoxSize(ringBytes: 64 << 10).ringOffset
        let frame = MemoryLayout<rw_box_frame>.size + 32
        let descriptor = open(place.path, O_RDWR)
        // The size in the fifth frame.
        #expect(pwrite(descriptor, [UInt32(7)], 4, off_t(ring + 4 * frame + 8)) == 4)
        close(descriptor)
        var reader = try place.read()
        var skipped: [UInt64] = []
        var read: [UInt64] = []
        reader.read(skipped: { skipped.append($0) }, { read.append(number($0)) })
        #expect(read == [1, 2, 3, 4])
        #expect(skipped == [6])
        #expect(reader.lost == 6)
        writer.publish(record(11))
        #expect(reader.numbers() == [11])
        #expect(reader.lost == 6)
    }

    @Test func aReaderThatBeginsNowSeesOnlyWhatComes() throws {
        let place = Place()
        var writer = try place.write()
        for index in 1...10 { writer.publish(record(UInt64(index))) }
        var reader = try place.read(.now)
        #expect(reader.numbers() == [])
        writer.publish(record(11))
        #expect(reader.numbers() == [11])
        #expect(reader.lost == 0)
    }

    @Test func readersInOtherProcessesSeeWhatAThreadWrites() throws {
        let place = Place()
        var writer = try place.write(ringBytes: 1 << 20)
        var reader = try place.read()
        let thread = Thread { [path = place.path] in
            guard var second = try? BoxFile.open(path: path, start: .oldest) else { return }
            while second.numbers().last != 50_000 { usleep(100) }
        }
        thread.start()
        var seen: UInt64 = 0
        for index in 1...50_000 {
            writer.publish(record(UInt64(index)))
            if index % 1000 == 0 { reader.read { _ in seen += 1 } }
        }
        reader.read { _ in seen += 1 }
        #expect(seen + reader.lost == 50_000)
        while !thread.isFinished { usleep(1000) }
    }
}

@Suite struct BoxStateTests {
    private func zone(_ index: UInt32, free: UInt64) -> [UInt8] {
        var zone = rw_zone()
        zone.header = rw_header(
            stem: UInt16(RW_STEM_WATERMARK.rawValue), kind: UInt16(RW_WATERMARK_ZONE.rawValue),
            size: UInt32(MemoryLayout<rw_zone>.size), boot_ns: 1, cpu: 0, reserved: 0)
        zone.index = index
        zone.free_pages = free
        return withUnsafeBytes(of: zone) { [UInt8]($0) }
    }

    private func free(_ reader: borrowing BoxReader) -> [UInt64] {
        var all: [UInt64] = []
        reader.states { all.append($0.loadUnaligned(as: rw_zone.self).free_pages) }
        return all
    }

    @Test func theLastRecordOfEachStateIsKept() throws {
        let place = Place()
        var writer = try place.write()
        writer.publish(zone(0, free: 10))
        writer.publish(zone(1, free: 20))
        writer.publish(zone(0, free: 30))
        #expect(free(try place.read(.now)) == [20, 30])
    }

    @Test func statesThatTheRingStillHasAreNotToldTwice() throws {
        let place = Place()
        var writer = try place.write()
        writer.publish(zone(0, free: 10))
        #expect(free(try place.read(.oldest)) == [])
        for index in 1...5000 { writer.publish(record(UInt64(index))) }
        #expect(free(try place.read(.oldest)) == [10])
    }

    private func stay(_ kind: rw_direct_reclaim_kind, tid: UInt32) -> [UInt8] {
        var stay = rw_direct_reclaim()
        stay.header = rw_header(
            stem: UInt16(RW_STEM_DIRECT_RECLAIM.rawValue), kind: UInt16(kind.rawValue),
            size: UInt32(MemoryLayout<rw_direct_reclaim>.size), boot_ns: 1, cpu: 0, reserved: 0)
        stay.task.tid = tid
        return withUnsafeBytes(of: stay) { [UInt8]($0) }
    }

    @Test func aStayThatEndedIsNoStateAnyMore() throws {
        let place = Place()
        var writer = try place.write()
        writer.publish(stay(RW_DIRECT_RECLAIM_INSIDE, tid: 7))
        writer.publish(stay(RW_DIRECT_RECLAIM_INSIDE, tid: 8))
        writer.publish(stay(RW_DIRECT_RECLAIM_LEFT, tid: 7))
        var tids: [UInt32] = []
        let reader = try place.read(.now)
        reader.states { tids.append($0.loadUnaligned(as: rw_direct_reclaim.self).task.tid) }
        #expect(tids == [8])
    }

    private func swap(_ path: String) -> [UInt8] {
        var line = rw_swap_device()
        line.header = rw_header(
            stem: UInt16(RW_STEM_SWAP.rawValue), kind: UInt16(RW_SWAP_DEVICE.rawValue),
            size: UInt32(MemoryLayout<rw_swap_device>.size), boot_ns: 1, cpu: 0, reserved: 0)
        withUnsafeMutableBytes(of: &line.path) { $0.copyBytes(from: Array(path.utf8)) }
        return withUnsafeBytes(of: line) { [UInt8]($0) }
    }

    @Test func aNewReadingOfTheSwapTableReplacesTheOldOne() throws {
        let place = Place()
        var writer = try place.write()
        let end = record(
            0, stem: RW_STEM_SWAP, kind: RW_SWAP_TABLE_READ.rawValue)
        for line in [swap("/a"), swap("/b"), end, swap("/b"), swap("/c"), end] {
            writer.publish(line)
        }
        var paths: [String] = []
        let reader = try place.read(.now)
        reader.states { state in
            guard state.count == MemoryLayout<rw_swap_device>.size else { return }
            let path = state.loadUnaligned(as: rw_swap_device.self).path
            paths.append(
                withUnsafeBytes(of: path) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            )
        }
        #expect(paths == ["/b", "/c"])
    }

    @Test func statesBeyondTheSlotsAreCounted() throws {
        let place = Place()
        var writer = try place.write()
        for tid in 1...2100 {
            writer.publish(stay(RW_DIRECT_RECLAIM_INSIDE, tid: UInt32(tid)))
        }
        let reader = try place.read(.now)
        #expect(reader.unkept == 2100 - 2048)
        var count = 0
        reader.states { _ in count += 1 }
        #expect(count == 2048)
    }
}

@Suite struct BoxRoomTests {
    private func figures(tid: UInt32) -> [UInt8] {
        var task = rw_reclaim_task()
        task.header = rw_header(
            stem: UInt16(RW_STEM_DIRECT_RECLAIM.rawValue),
            kind: UInt16(RW_DIRECT_RECLAIM_TASK.rawValue),
            size: UInt32(MemoryLayout<rw_reclaim_task>.size), boot_ns: 1, cpu: 0, reserved: 0)
        task.task.tid = tid
        return withUnsafeBytes(of: task) { [UInt8]($0) }
    }

    private func device(_ minor: UInt32) -> [UInt8] {
        var device = rw_nbd_device()
        device.header = rw_header(
            stem: UInt16(RW_STEM_NBD.rawValue), kind: UInt16(RW_NBD_DEVICE.rawValue),
            size: UInt32(MemoryLayout<rw_nbd_device>.size), boot_ns: 1, cpu: 0, reserved: 0)
        device.first_minor = minor
        return withUnsafeBytes(of: device) { [UInt8]($0) }
    }

    private func kept(_ reader: borrowing BoxReader) -> (tids: [UInt32], minors: [UInt32]) {
        var kept = (tids: [UInt32](), minors: [UInt32]())
        reader.states { state in
            if state.count == MemoryLayout<rw_nbd_device>.size {
                kept.minors.append(state.loadUnaligned(as: rw_nbd_device.self).first_minor)
            } else {
                kept.tids.append(state.loadUnaligned(as: rw_reclaim_task.self).task.tid)
            }
        }
        return kept
    }

    /// A host runs many more tasks in its time than it has devices, sockets and stacks.
    @Test func tasksOfThePastMakeRoomForWhatIsThere() throws {
        let place = Place()
        var writer = try place.write()
        for tid in UInt32(1)...384 { writer.publish(figures(tid: tid)) }
        #expect(try place.read(.now).unkept == 0)
        // The first did something again, and is not the oldest any more.
        writer.publish(figures(tid: 1))
        writer.publish(device(0))
        writer.publish(figures(tid: 385))
        let reader = try place.read(.now)
        let kept = kept(reader)
        #expect(kept.minors == [0])
        #expect(kept.tids == Array(4...384) + [1, 385])
        #expect(reader.unkept == 2)
    }

    @Test func devicesMakeNoRoomForTasks() throws {
        let place = Place()
        var writer = try place.write()
        for minor in UInt32(0)..<384 { writer.publish(device(minor)) }
        writer.publish(figures(tid: 1))
        let reader = try place.read(.now)
        let kept = kept(reader)
        #expect(kept.minors == Array(0..<384))
        #expect(kept.tids.isEmpty)
        #expect(reader.unkept == 1)
    }
}

@Suite struct SlotIndexTests {
    @Test func whatMayGoGoesInTheOrderInWhichItWasTaken() {
        var index = SlotIndex(first: 5, count: 4)
        for key in UInt64(1)...4 { _ = index.take(key, mayGo: key != 2) }
        _ = index.take(1, mayGo: true)
        var gone: [UInt64] = []
        while index.releaseOldest() {
            gone += (UInt64(1)...4).filter { index.slot(of: $0) == nil && !gone.contains($0) }
        }
        #expect(gone == [3, 4, 1])
        #expect(index.slot(of: 2) != nil)
        #expect(index.freeCount == 3)
    }

    @Test func itAgreesWithADictionaryOverManyTakesAndReleases() {
        var index = SlotIndex(first: 100, count: 64)
        var known: [UInt64: Int] = [:]
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            let key = UInt64.random(in: 1...120, using: &generator)
            if Bool.random(using: &generator) {
                let slot = index.take(key)
                if known.count < 64 || known[key] != nil {
                    #expect(slot != nil)
                    if let before = known[key] { #expect(slot == before) }
                    if let slot { known[key] = slot }
                } else {
                    #expect(slot == nil)
                }
            } else {
                #expect(index.release(key) == known.removeValue(forKey: key))
            }
            #expect(index.freeCount == 64 - known.count)
        }
        #expect(Set(known.values).count == known.count)
        for (key, slot) in known { #expect(index.slot(of: key) == slot) }
    }
}

@Suite struct BoxFileTests {
    @Test func aBoxOutlivesItsWriter() throws {
        let place = Place()
        do {
            var writer = try place.write()
            writer.publish(record(5))
            writer.end(at: 77)
        }
        var reader = try place.read()
        #expect(reader.endedBootNanoseconds == 77)
        let isAlive = reader.isWriterAlive
        #expect(!isAlive)
        #expect(reader.numbers() == [5])
    }

    @Test func aSecondWriterIsRefusedWhileTheFirstOneIsThere() throws {
        let place = Place()
        let writer = try place.write()
        #expect(throws: BoxError.self) { _ = try place.write().bytes }
        #expect(writer.bytes > 0)
    }

    @Test func aNewBoxKeepsTheOldOneBesideIt() throws {
        let place = Place()
        do {
            var writer = try place.write()
            writer.publish(record(1))
        }
        do {
            var writer = try place.write()
            writer.publish(record(2))
        }
        var old = try BoxFile.open(path: "\(place.path).old", start: .oldest)
        #expect(old.numbers() == [1])
        var new = try place.read()
        #expect(new.numbers() == [2])
    }

    @Test func onlyRootAndTheGroupMayRead() throws {
        let place = Place()
        let writer = try place.write()
        var status = stat()
        #expect(stat(place.path, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o640)
        #expect(writer.bytes == Int(status.st_size))
    }

    private func reason(_ place: Place) -> String {
        do throws(BoxError) {
            _ = try place.read().totalBytes
            return "opened"
        } catch {
            if case .foreign(_, let reason) = error { return reason }
            return "\(error)"
        }
    }

    private func withBox(_ change: (Int32) -> Void) throws -> String {
        let place = Place()
        _ = try place.write().bytes
        let descriptor = open(place.path, O_RDWR)
        change(descriptor)
        close(descriptor)
        return reason(place)
    }

    @Test func whatIsNoSoundBoxIsRefusedWithTheReason() throws {
        #expect(try withBox { _ in } == "opened")
        #expect(try withBox { pwrite($0, "x", 1, 0) } == "it does not begin like one")
        #expect(try withBox { pwrite($0, "\u{9}", 1, 8) }.hasPrefix("its layout has version 9"))
        #expect(try withBox { pwrite($0, "x", 1, 100) } == "its header is damaged")
        #expect(try withBox { ftruncate($0, 100) } == "it is shorter than a box's header")
        #expect(try withBox { ftruncate($0, 8192) } == "it is shorter than its header says")
        #expect(try withBox { fchmod($0, 0o666) } == "others may write it")
        if geteuid() == 0 {
            #expect(try withBox { fchown($0, 65534, 0) }.contains("belongs to user 65534"))
        }
    }

    /// A box whose header was changed, and whose checksum is right all the same.
    private func forged(_ change: (inout rw_box_header) -> Void) throws -> Place {
        let place = Place()
        _ = try place.write().bytes
        let descriptor = open(place.path, O_RDWR)
        defer { close(descriptor) }
        let memory = try #require(
            mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0))
        let header = memory.assumingMemoryBound(to: rw_box_header.self)
        change(&header.pointee)
        header.pointee.checksum = BoxFacts.checksum(of: header)
        munmap(memory, 4096)
        return place
    }

    @Test func aBoxOfAnotherBootIsForReplayOnly() throws {
        let place = try forged { $0.boot_id.0 = 0x7a }
        #expect(reason(place).hasPrefix("it is of another boot"))
        let reader = try BoxFile.open(path: place.path, start: .oldest, ofThisBoot: false)
        #expect(reader.totalBytes > 0)
    }

    /// An offset that goes round with its length added would pass as a small one.
    @Test func aForgedHeaderIsRefused() throws {
        let short = "it is shorter than its header says"
        #expect(try reason(forged { $0.ring_offset = 0 &- $0.ring_bytes }) == short)
        #expect(try reason(forged { $0.ring_bytes = 1 << 63 }) == short)
        #expect(try reason(forged { $0.small_offset = .max }) == short)
        #expect(try reason(forged { $0.large_offset = 1 << 63 }) == short)
        #expect(try reason(forged { $0.large_slots = .max }) == short)
        #expect(try reason(forged { $0.ring_offset -= 4 }) == short)
        #expect(try reason(forged { $0.head = 1 << 62 }) == "its ring is damaged")
    }

    @Test func aWriterThatIsDeadAndNotYetBuriedIsNotAlive() throws {
        #expect(BoxFacts.startTicks(of: getpid()) != nil)
        var pid: pid_t = 0
        let words: [UnsafeMutablePointer<CChar>?] = [strdup("/bin/true"), nil]
        defer { words.forEach { free($0) } }
        #expect(posix_spawn(&pid, "/bin/true", nil, nil, words, environ) == 0)
        while true {
            let stat = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
            if stat.contains(") Z ") { break }
            usleep(1000)
        }
        #expect(BoxFacts.startTicks(of: pid) == nil)
        var status: Int32 = 0
        #expect(waitpid(pid, &status, 0) == pid)
    }

    @Test func aSymbolicLinkIsNotFollowed() throws {
        let place = Place()
        let target = Place()
        _ = try target.write().bytes
        symlink(target.path, place.path)
        #expect(reason(place) == "it is a symbolic link")
    }

    @Test func aPathOnADiskIsRefused() throws {
        let directory = FileManager.default.temporaryDirectory.path
        let probe = open("\(directory)/.", O_TMPFILE_OR_DIRECTORY, 0o600)
        defer { if probe >= 0 { close(probe) } }
        // Only where the temporary directory is on a disk can this be shown.
        guard let mounts = try? String(contentsOfFile: "/proc/mounts", encoding: .utf8),
            !mounts.contains(" \(directory) tmpfs")
        else { return }
        let path = "\(directory)/reservewatch-box-test.\(getpid())"
        defer { unlink("\(path).new") }
        #expect(throws: BoxError.self) {
            _ = try BoxFile.create(
                path: path, size: BoxSize(ringBytes: 65536), group: nil, agentVersion: "test"
            ).bytes
        }
        #expect(access(path, F_OK) != 0)
    }
}

private let O_TMPFILE_OR_DIRECTORY = O_RDONLY | O_DIRECTORY
