// SPDX-License-Identifier: Apache-2.0

import CRecord
import Foundation
import Glibc
import ReserveRecord
import ReserveStore
import Testing

@Suite struct SegmentTests {
    private static func settings(
        segment: UInt64 = 64 << 10, compresses: Bool = false
    ) -> SegmentWriter.Settings {
        var settings = SegmentWriter.Settings()
        settings.segmentBytes = segment
        settings.compresses = compresses
        settings.syncNanoseconds = 0
        return settings
    }

    private static func record(
        _ records: [[UInt8]], to path: String, _ settings: SegmentWriter.Settings
    ) throws -> [String] {
        let writer = try SegmentWriter(directory: path, settings: settings, now: Sample.second)
        for record in records { writer.take(record, now: Sample.second) }
        #expect(writer.finish(now: Sample.second))
        return writer.takeMessages()
    }

    @Test(arguments: [false, true]) func aChainGivesEveryRecordOnce(compresses: Bool) throws {
        let scratch = try Scratch()
        let records = Sample.stream(3000)
        let told = try Self.record(
            records, to: scratch.path, Self.settings(compresses: compresses))
        #expect(told.isEmpty, "\(told)")
        #expect(scratch.names.count > 3, "\(scratch.names)")
        #expect(scratch.names.allSatisfy { $0.hasSuffix(compresses ? ".rwr.zst" : ".rwr") })
        let reading = try Reading(scratch.path)
        #expect(reading.records == records)
        #expect(reading.states.isEmpty)
        #expect(reading.problems.isEmpty, "\(reading.problems)")
    }

    @Test func aSegmentAloneBeginsWithTheStateSoFar() throws {
        let scratch = try Scratch()
        let records = Sample.stream(3000)
        _ = try Self.record(records, to: scratch.path, Self.settings())
        var before = 0
        for name in scratch.names {
            let alone = try Reading("\(scratch.path)/\(name)")
            #expect(alone.records == Array(records[before..<before + alone.records.count]))
            if before > 0 {
                let zone = records[..<before].last { $0[0] == UInt8(RW_STEM_WATERMARK.rawValue) }
                #expect(alone.states == [records[0]] + (zone.map { [$0] } ?? []), "\(name)")
            }
            before += alone.records.count
        }
        #expect(before == records.count)
    }

    @Test func aSegmentMayClaimAnyNumberOfRecordsBeforeIt() throws {
        let scratch = try Scratch()
        let checksum = Checksum()
        var bytes: [UInt8] = []
        RecordingFormat.appendSegmentOpening(to: &bytes)
        var begin = rw_segment_begin()
        begin.number = 1
        begin.records_before = .max
        withUnsafeBytes(of: begin) {
            _ = RecordingFormat.appendFrame(RW_FRAME_BEGIN, $0, checksum: checksum, to: &bytes)
        }
        for record in Sample.stream(3) {
            record.withUnsafeBytes {
                _ = RecordingFormat.appendFrame(
                    RW_FRAME_RECORD, $0, checksum: checksum, to: &bytes)
            }
        }
        try scratch.write(bytes, to: "00000001.rwr")
        #expect(try Reading(scratch.path).records == Sample.stream(3))
    }

    @Test func aSegmentMayBearAnyTime() throws {
        let scratch = try Scratch()
        let path = "\(scratch.path)/00000001.rwr"
        _ = try Self.record(Sample.stream(3), to: scratch.path, Self.settings())
        for seconds in [100_000_000_000, -100_000_000_000] {
            let times = [
                timespec(tv_sec: seconds, tv_nsec: 0), timespec(tv_sec: seconds, tv_nsec: 0),
            ]
            #expect(utimensat(AT_FDCWD, path, times, 0) == 0)
            _ = try Self.record(Sample.stream(3), to: scratch.path, Self.settings())
        }
        #expect(try Reading(path).records == Sample.stream(3))
    }

    @Test func aSegmentIsClosedBySizeOrByAge() throws {
        let scratch = try Scratch()
        var settings = Self.settings()
        settings.segmentNanoseconds = 10 * Sample.second
        let writer = try SegmentWriter(directory: scratch.path, settings: settings, now: 0)
        writer.take(Sample.host(at: 1), now: 0)
        writer.turn(now: 9 * Sample.second)
        #expect(scratch.names == ["00000001.rwr"])
        writer.turn(now: 11 * Sample.second)
        #expect(scratch.names == ["00000001.rwr", "00000002.rwr"])
        writer.turn(now: 60 * Sample.second)
        #expect(scratch.names.count == 2, "one without records of its own stays open")
        for number in 0..<1000 {
            writer.take(Sample.event(UInt64(number), at: 1), now: 60 * Sample.second)
        }
        writer.turn(now: 61 * Sample.second)
        #expect(scratch.names.count >= 3)
        for name in scratch.names {
            #expect(try scratch.size(name) <= settings.segmentBytes * 5 / 4 + 4096)
        }
    }

    @Test func theOldestAreDeletedAndToldWhenAllExceedTheirSize() throws {
        let scratch = try Scratch()
        var settings = Self.settings()
        settings.keepBytes = 256 << 10
        let writer = try SegmentWriter(directory: scratch.path, settings: settings, now: 0)
        var told: [String] = []
        var largest: UInt64 = 0
        for (number, record) in Sample.stream(20_000).enumerated() {
            writer.take(record, now: 1)
            guard number % 50 == 0 else { continue }
            writer.turn(now: 1)
            told += writer.takeMessages()
            if told.count % 8 == 7 {
                largest = max(largest, try scratch.names.reduce(0) { $0 + (try scratch.size($1)) })
            }
        }
        #expect(largest > 128 << 10)
        #expect(largest <= settings.keepBytes, "\(largest)")
        #expect(told.count > 10)
        #expect(told.first?.contains("deleted 00000001.rwr") == true, "\(told.first ?? "")")
        writer.finish(now: 1)
        let reading = try Reading(scratch.path)
        #expect(reading.numbers.last == 20_000)
        #expect(reading.states.first == Sample.host(at: Sample.second), "the head has what is gone")
        #expect(reading.problems.isEmpty)
    }

    @Test func whatIsTooOldIsDeleted() throws {
        let scratch = try Scratch()
        _ = try Self.record(Sample.stream(3000), to: scratch.path, Self.settings())
        let count = scratch.names.count
        var old = [timeval(tv_sec: 1000, tv_usec: 0), timeval(tv_sec: 1000, tv_usec: 0)]
        #expect(utimes("\(scratch.path)/00000001.rwr", &old) == 0)
        var settings = Self.settings()
        settings.keepNanoseconds = 3600 * Sample.second
        let writer = try SegmentWriter(directory: scratch.path, settings: settings, now: 0)
        writer.turn(now: 1)
        #expect(
            writer.takeMessages().contains { $0.contains("00000001.rwr") && $0.contains("age") })
        #expect(scratch.names.first == "00000002.rwr")
        #expect(scratch.names.count == count, "one went, one was begun")
    }

    @Test func aRecordingThatIsThereIsContinued() throws {
        let scratch = try Scratch()
        let first = Sample.stream(100)
        let second = [
            Sample.host(at: 5 * Sample.second, cpus: 4), Sample.event(101, at: 6 * Sample.second),
        ]
        _ = try Self.record(first, to: scratch.path, Self.settings())
        _ = try Self.record(second, to: scratch.path, Self.settings())
        #expect(scratch.names == ["00000001.rwr", "00000002.rwr"])
        #expect(try Reading(scratch.path).records == first + second)
    }

    @Test func onlyOneRecorderWritesToADirectory() throws {
        let scratch = try Scratch()
        let writer = try SegmentWriter(directory: scratch.path, settings: Self.settings(), now: 0)
        #expect(throws: StoreError.self) {
            _ = try SegmentWriter(directory: scratch.path, settings: Self.settings(), now: 0)
        }
        writer.finish(now: 0)
    }

    @Test func whatACrashWhileCompressingLeavesIsPutInOrder() throws {
        let scratch = try Scratch()
        let records = Sample.stream(3000)
        _ = try Self.record(records, to: scratch.path, Self.settings())
        let plain = scratch.names
        let kept = try scratch.bytes(plain[1])
        // Compressed in a directory of its own, to take the results over.
        let other = try Scratch()
        _ = try Self.record(records, to: other.path, Self.settings(compresses: true))
        let compressed = try other.bytes("00000002.rwr.zst")

        // In the midst of it: half of a part, which no reader looks at.
        try scratch.write(compressed.prefix(100), to: "00000002.rwr.zst.part")
        #expect(try Reading(scratch.path).records == records)
        // Between the rename and the deletion: both are there, and give the records once.
        try scratch.write(compressed, to: "00000002.rwr.zst")
        #expect(try Reading(scratch.path).records == records)
        // The compressed one is not whole: the other one is read.
        try scratch.write(compressed.prefix(compressed.count / 2), to: "00000002.rwr.zst")
        var reading = try Reading(scratch.path)
        #expect(reading.records == records)
        #expect(reading.problems.isEmpty)
        // Only what is not whole is left: what lies before the cut, and how many are missing.
        try FileManager.default.removeItem(atPath: "\(scratch.path)/00000002.rwr")
        reading = try Reading(scratch.path)
        let missing = UInt64(records.count - reading.records.count + reading.skipped.count)
        #expect(reading.skipped.map(\.records) == [missing])
        #expect(
            reading.problems.contains {
                if case .missing(_, missing) = $0 { return true } else { return false }
            }, "\(reading.problems)")

        // The next recorder deletes the part, and of two the one that is not compressed.
        try scratch.write(compressed, to: "00000002.rwr.zst")
        try scratch.write(kept, to: "00000002.rwr")
        try scratch.write(compressed.prefix(100), to: "00000003.rwr.zst.part")
        _ = try Self.record([Sample.host(at: 1)], to: scratch.path, Self.settings(compresses: true))
        #expect(scratch.names.allSatisfy { $0.hasSuffix(".rwr.zst") }, "\(scratch.names)")
        #expect(try Reading(scratch.path).records == records + [Sample.host(at: 1)])
    }

    @Test func compressionGoesOnWhileRecordsCome() throws {
        let scratch = try Scratch()
        let writer = try SegmentWriter(
            directory: scratch.path, settings: Self.settings(compresses: true), now: 0)
        let records = Sample.stream(3000)
        for record in records {
            writer.take(record, now: 1)
            writer.turn(now: 1)
        }
        #expect(scratch.names.contains { $0.hasSuffix(".zst") }, "\(scratch.names)")
        // Read while it is written: all but what still waits in memory.
        #expect(try Reading(scratch.path).records == records)
        writer.finish(now: 1)
        #expect(try Reading(scratch.path).records == records)
    }

    @Test func aMissingSegmentCostsWhatItHeldAndIsTold() throws {
        let scratch = try Scratch()
        let records = Sample.stream(3000)
        _ = try Self.record(records, to: scratch.path, Self.settings())
        let hole = try Reading("\(scratch.path)/00000002.rwr").records.count
        try FileManager.default.removeItem(atPath: "\(scratch.path)/00000002.rwr")
        let reading = try Reading(scratch.path)
        #expect(reading.records.count == records.count - hole + 1)
        #expect(reading.skipped.map(\.records) == [UInt64(hole)])
        #expect(reading.skipped.first?.reason == RW_SKIPPED_DAMAGED.rawValue)
        #expect(
            reading.problems == [
                .missing(path: "\(scratch.path)/00000003.rwr", records: UInt64(hole))
            ])
        #expect(reading.states.count == 1, "the zone is news, the host is not")
    }

    @Test func lossOfTheSourceStandsInTheRecording() throws {
        let scratch = try Scratch()
        let writer = try SegmentWriter(
            directory: scratch.path, settings: Self.settings(), now: Sample.second)
        writer.take(Sample.host(at: 1), now: 1)
        writer.tellLoss(of: 42, sinceBootNanoseconds: 1, now: 7)
        #expect(!writer.finish(now: 8), "not everything is recorded")
        #expect(writer.unrecorded == 42)
        let skipped = try Reading(scratch.path).skipped
        #expect(skipped.map(\.records) == [42])
        #expect(skipped.first?.reason == RW_SKIPPED_BEHIND.rawValue)
        #expect(skipped.first?.header.boot_ns == 7)
    }

    @Test(arguments: Fixtures.names) func oldRecordingsAreReadAndCanBeKeptAnew(name: String) throws
    {
        let scratch = try Scratch()
        let old = try Reading("\(Fixtures.directory)/\(name).rwr")
        #expect(old.records.count > 300)
        #expect(old.states.isEmpty)
        _ = try Self.record(old.records, to: scratch.path, Self.settings(compresses: true))
        #expect(scratch.names.count > 1)
        #expect(try Reading(scratch.path).records == old.records)
    }

    @Test func readingCanBeginWithTheSegmentOfAMoment() throws {
        let scratch = try Scratch()
        let records = Sample.stream(3000)
        _ = try Self.record(records, to: scratch.path, Self.settings())
        let bounds = try #require(try RecordSource.bounds(path: scratch.path))
        #expect(bounds.begin == Sample.realtimeOffset + Int64(Sample.second))
        #expect(bounds.end == Sample.realtimeOffset + 4 * Int64(Sample.second))
        let middle = bounds.begin + (bounds.end - bounds.begin) / 2
        let late = try Reading(scratch.path, start: .before(realNanoseconds: middle))
        #expect(late.states.count == 2)
        #expect(late.numbers.first ?? .max <= 1500)
        #expect(late.numbers.first ?? 0 > 500, "not from the begin")
        #expect(late.records == Array(records.suffix(late.records.count)))
        let last = try Reading(scratch.path, start: .lastSegment)
        #expect(last.records == Array(records.suffix(last.records.count)))
        #expect(last.records.count < late.records.count)
        let early = try Reading(scratch.path, start: .before(realNanoseconds: 0))
        #expect(early.records == records)
    }
}
