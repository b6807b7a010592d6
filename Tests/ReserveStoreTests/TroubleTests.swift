// SPDX-License-Identifier: Apache-2.0

import CRecord
import Foundation
import Glibc
import ReserveRecord
import ReserveStore
import Testing

/// A small tmpfs, mounted for one test.
private final class SmallDisk {
    let path: String
    private var isMounted = false

    init(kilobytes: Int = 256) throws {
        path = NSTemporaryDirectory() + "/reservewatch-disk-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try mount(kilobytes: kilobytes)
    }

    deinit {
        while isMounted { unmount() }
        try? FileManager.default.removeItem(atPath: path)
    }

    func mount(kilobytes: Int) throws {
        let result = Glibc.mount("reservewatch", path, "tmpfs", 0, "size=\(kilobytes)k")
        try #require(result == 0, "mount: \(String(cString: strerror(errno)))")
        isMounted = true
    }

    /// Even while files are open: they live on without a name.
    func unmount() {
        _ = umount2(path, Int32(MNT_DETACH))
        isMounted = false
    }

    func remount(readOnly: Bool, kilobytes: Int = 256) -> Bool {
        let flags = UInt(MS_REMOUNT) | (readOnly ? UInt(MS_RDONLY) : 0)
        return Glibc.mount("reservewatch", path, "tmpfs", flags, "size=\(kilobytes)k") == 0
    }

    /// Takes all room that is left.
    func fill() throws {
        let descriptor = open("\(path)/ballast", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        try #require(descriptor >= 0)
        let block = [UInt8](repeating: 0xaa, count: 4096)
        while write(descriptor, block, block.count) > 0 {}
        close(descriptor)
    }

    func free() { unlink("\(path)/ballast") }
}

/// Whatever happens to its target, a recorder goes on, and tells what it lost.
@Suite(
    .serialized,
    .enabled(if: geteuid() == 0 || getenv("CI") != nil, "needs root to mount a small disk"))
struct TroubleTests {
    private static func writer(_ path: String, waiting: Int = 4 << 20) throws -> SegmentWriter {
        var settings = SegmentWriter.Settings()
        settings.segmentBytes = 64 << 10
        settings.keepBytes = 0
        settings.compresses = false
        settings.waitingBytes = waiting
        return try SegmentWriter(directory: path, settings: settings, now: 0)
    }

    /// Hands events over, a turn after each hundredth.
    private static func feed(
        _ writer: SegmentWriter, _ numbers: ClosedRange<UInt64>, at second: UInt64
    ) {
        for number in numbers {
            let now = second * Sample.second + number
            writer.take(Sample.event(number, at: now), now: now)
            if number % 10 == 0 { writer.take(Sample.zone(0, free: number, at: now), now: now) }
            if number % 100 == 0 { writer.turn(now: now) }
        }
        writer.turn(now: second * Sample.second + 999_999_999)
    }

    @Test func aFullDiskIsToldAndWhatWaitedIsNotLost() throws {
        let disk = try SmallDisk()
        let writer = try Self.writer(disk.path + "/recording")
        writer.take(Sample.host(at: 1), now: 1)
        Self.feed(writer, 1...200, at: 1)
        #expect(writer.takeMessages().isEmpty)
        try disk.fill()
        Self.feed(writer, 201...1000, at: 2)
        let told = writer.takeMessages()
        #expect(told.count == 1, "\(told)")
        #expect(told.first?.contains("No space left on device") == true)
        #expect(writer.trouble != nil)
        Self.feed(writer, 1001...1100, at: 4)
        #expect(writer.takeMessages().isEmpty, "told once, not each second")
        disk.free()
        Self.feed(writer, 1101...1200, at: 6)
        #expect(writer.takeMessages().contains { $0.contains("recording goes on") })
        #expect(writer.trouble == nil)
        #expect(writer.finish(now: 7 * Sample.second))
        let reading = try Reading(disk.path + "/recording")
        #expect(reading.numbers == Array(1...1200), "\(reading.numbers.count)")
        #expect(reading.skipped.isEmpty)
        #expect(reading.problems.isEmpty, "\(reading.problems)")
    }

    @Test func whatFindsNoRoomWhileTheDiskIsFullIsCountedToTheRecord() throws {
        let disk = try SmallDisk()
        let path = disk.path + "/recording"
        let writer = try Self.writer(path, waiting: 20_000)
        writer.take(Sample.host(at: 1), now: 1)
        Self.feed(writer, 1...200, at: 1)
        try disk.fill()
        Self.feed(writer, 201...2000, at: 2)
        let lost = writer.unrecorded
        #expect(lost > 500, "\(lost)")
        disk.free()
        writer.turn(now: 4 * Sample.second)
        Self.feed(writer, 2001...2100, at: 4)
        #expect(!writer.finish(now: 7 * Sample.second))
        let reading = try Reading(path)
        #expect(writer.unrecorded == lost)
        #expect(reading.skipped.map(\.records) == [lost])
        #expect(reading.skipped.first?.reason == RW_SKIPPED_STORAGE.rawValue)
        #expect(reading.skipped.first?.error == ENOSPC)
        #expect(reading.skipped.first?.since_boot_ns ?? 0 >= 2 * Sample.second)
        // Events and zones: everything that is not there is counted.
        let all = 1 + 2100 + 210
        #expect(reading.records.count - 1 + Int(lost) == all)
        #expect(reading.numbers.last == 2100)
        #expect(reading.problems.isEmpty, "\(reading.problems)")
        // The state after the gap is news: the last zone that was lost, but not the host.
        #expect(reading.states.count == 1)
        let zone = try #require(reading.states.first)
        let free = zone.withUnsafeBytes { $0.loadUnaligned(as: rw_zone.self).free_pages }
        #expect(free == 2000, "\(free)")
    }

    @Test func aDiskThatStaysFullLosesTheRestAndSaysSo() throws {
        let disk = try SmallDisk()
        let writer = try Self.writer(disk.path + "/recording")
        writer.take(Sample.host(at: 1), now: 1)
        Self.feed(writer, 1...200, at: 1)
        try disk.fill()
        Self.feed(writer, 201...1000, at: 2)
        #expect(!writer.finish(now: 3 * Sample.second))
        let told = writer.takeMessages()
        #expect(told.last?.contains("ends early") == true, "\(told)")
        let reading = try Reading(disk.path + "/recording")
        #expect(
            reading.numbers == Array(1...UInt64(reading.numbers.count)), "what is there is sound")
        #expect(UInt64(reading.records.count) + writer.unrecorded == 1 + 1000 + 100)
    }

    @Test func aTargetThatBecomesReadOnlyIsWaitedFor() throws {
        let disk = try SmallDisk()
        let writer = try Self.writer(disk.path + "/recording")
        writer.take(Sample.host(at: 1), now: 1)
        Self.feed(writer, 1...200, at: 1)
        // A file that is open for writing keeps its disk writable: first it must fail.
        try disk.fill()
        Self.feed(writer, 201...1000, at: 2)
        #expect(disk.remount(readOnly: true))
        Self.feed(writer, 1001...1100, at: 4)
        var told = writer.takeMessages()
        #expect(told.last?.contains("Read-only file system") == true, "\(told)")
        #expect(disk.remount(readOnly: false, kilobytes: 1024))
        Self.feed(writer, 1101...1200, at: 6)
        told = writer.takeMessages()
        #expect(told.last?.contains("recording goes on") == true, "\(told)")
        #expect(writer.finish(now: 7 * Sample.second))
        let reading = try Reading(disk.path + "/recording")
        #expect(reading.numbers == Array(1...1200))
    }

    @Test func aReadOnlyTargetIsRefusedAtTheStart() throws {
        let disk = try SmallDisk()
        #expect(disk.remount(readOnly: true))
        #expect(throws: StoreError.output(path: disk.path + "/recording", errno: EROFS)) {
            _ = try Self.writer(disk.path + "/recording")
        }
        #expect(throws: StoreError.output(path: disk.path, errno: EROFS)) {
            _ = try Self.writer(disk.path)
        }
    }

    @Test func aDeletedDirectoryIsMadeAnewAndTheLossIsTold() throws {
        let disk = try SmallDisk()
        let path = disk.path + "/recording"
        let writer = try Self.writer(path)
        writer.take(Sample.host(at: 1), now: 1)
        Self.feed(writer, 1...200, at: 1)
        try FileManager.default.removeItem(atPath: path)
        Self.feed(writer, 201...400, at: 4)
        let told = writer.takeMessages()
        #expect(told.contains { $0.contains("vanished with") }, "\(told)")
        #expect(!writer.finish(now: 7 * Sample.second))
        let reading = try Reading(path)
        #expect(reading.skipped.map(\.records) == [writer.unrecorded])
        #expect(reading.skipped.first?.reason == RW_SKIPPED_VANISHED.rawValue)
        #expect(reading.states.first == Sample.host(at: 1), "who recorded is told again")
        #expect(reading.numbers.last == 400)
        // The skipped record itself is in the recording, and in no loss.
        #expect(UInt64(reading.records.count - 1) + writer.unrecorded == 1 + 400 + 40)
    }

    @Test func whatIsUnmountedIsWaitedForAndItsPlaceNotFilled() throws {
        let disk = try SmallDisk()
        let path = disk.path + "/recording"
        let writer = try Self.writer(path)
        writer.take(Sample.host(at: 1), now: 1)
        Self.feed(writer, 1...200, at: 1)
        disk.unmount()
        Self.feed(writer, 201...400, at: 4)
        let told = writer.takeMessages()
        #expect(told.contains { $0.contains("nothing is mounted at") }, "\(told)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: disk.path).isEmpty)
        try disk.mount(kilobytes: 256)
        Self.feed(writer, 401...600, at: 6)
        #expect(writer.takeMessages().contains { $0.contains("recording goes on") })
        writer.finish(now: 7 * Sample.second)
        let reading = try Reading(path)
        #expect(reading.numbers.last == 600)
        #expect(UInt64(reading.records.count - 1) + writer.unrecorded == 1 + 600 + 60)
        #expect(reading.skipped.map(\.records) == [writer.unrecorded])
    }

    @Test func whatComesBackWithItsDiskIsNotCountedAsLost() throws {
        // One file system at two places; the recorder knows the second only.
        let disk = try SmallDisk()
        let place = try Scratch()
        let path = place.path + "/recording"
        func bind() throws {
            try #require(Glibc.mount(disk.path, place.path, "", UInt(MS_BIND), nil) == 0)
        }
        try bind()
        defer { _ = umount2(place.path, Int32(MNT_DETACH)) }
        let writer = try Self.writer(path)
        writer.take(Sample.host(at: 1), now: 1)
        Self.feed(writer, 1...200, at: 1)
        #expect(umount2(place.path, Int32(MNT_DETACH)) == 0)
        Self.feed(writer, 201...400, at: 4)
        #expect(writer.takeMessages().contains { $0.contains("nothing is mounted at") })
        try bind()
        Self.feed(writer, 401...600, at: 6)
        #expect(writer.takeMessages().contains { $0.contains("recording goes on") })
        writer.finish(now: 7 * Sample.second)
        let reading = try Reading(path)
        #expect(reading.problems.isEmpty, "\(reading.problems)")
        #expect(
            UInt64(reading.records.count) + writer.unrecorded - UInt64(reading.skipped.count) == 1
                + 600 + 60)
        #expect(reading.skipped.reduce(0) { $0 + $1.records } == writer.unrecorded)
        #expect(writer.unrecorded < 220, "only what went into the detached file at the end")
    }

    @Test func lossOfTheSourceWhileTheDiskIsFullIsPartOfTheGap() throws {
        let disk = try SmallDisk()
        let path = disk.path + "/recording"
        let writer = try Self.writer(path, waiting: 20_000)
        writer.take(Sample.host(at: 1), now: 1)
        Self.feed(writer, 1...200, at: 1)
        try disk.fill()
        Self.feed(writer, 201...2000, at: 2)
        writer.tellLoss(of: 77, now: 3 * Sample.second)
        disk.free()
        writer.turn(now: 4 * Sample.second)
        writer.finish(now: 5 * Sample.second)
        let reading = try Reading(path)
        #expect(reading.skipped.map(\.records) == [writer.unrecorded])
        #expect(UInt64(reading.records.count - 1) + writer.unrecorded == 1 + 2000 + 200 + 77)
    }

    @Test func compressionThatFindsNoRoomLeavesTheSegment() throws {
        let disk = try SmallDisk()
        let path = disk.path + "/recording"
        let records = Sample.stream(1000)
        let plain = try Self.writer(path)
        for record in records { plain.take(record, now: 1) }
        plain.finish(now: 1)
        var settings = SegmentWriter.Settings()
        settings.segmentBytes = 64 << 10
        let writer = try SegmentWriter(directory: path, settings: settings, now: 1)
        try disk.fill()
        for _ in 0..<20 { writer.turn(now: 2) }
        let told = writer.takeMessages()
        #expect(told.contains { $0.contains("stays uncompressed") }, "\(told)")
        writer.finish(now: 3)
        #expect(try Reading(path).records == records)
        let left = try FileManager.default.contentsOfDirectory(atPath: path)
        #expect(!left.contains { $0.hasSuffix(".part") }, "\(left)")
    }
}
