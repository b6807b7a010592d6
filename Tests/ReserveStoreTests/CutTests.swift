// SPDX-License-Identifier: Apache-2.0

import CRecord
import Foundation
import ReserveRecord
import ReserveStore
import Testing

/// A recorder, a host or a disk may end at any byte.
@Suite struct CutTests {
    /// Three segments, the last of them small; and the frames' ends in the last one.
    private static func recording(
        in scratch: Scratch, compresses: Bool
    ) throws -> (records: [[UInt8]], last: String) {
        var settings = SegmentWriter.Settings()
        settings.segmentBytes = 3 << 10
        settings.compresses = compresses
        settings.syncNanoseconds = 0
        let writer = try SegmentWriter(
            directory: scratch.path, settings: settings, now: Sample.second)
        let records = Sample.stream(66)
        for record in records { writer.take(record, now: Sample.second) }
        writer.finish(now: Sample.second)
        let last = try #require(scratch.names.last)
        #expect(scratch.names.count == 3, "\(scratch.names)")
        return (records, last)
    }

    /// Where the frames of a segment end, and whether each is a record of its own.
    private static func frames(_ segment: [UInt8]) -> [(end: Int, isRecord: Bool)] {
        var frames: [(Int, Bool)] = []
        var at = RecordingFormat.openingBytes
        while at + 8 <= segment.count {
            let length = Int(segment[at]) | Int(segment[at + 1]) << 8 | Int(segment[at + 2]) << 16
            frames.append((at + 8 + length, segment[at + 3] == 0))
            at += 8 + length
        }
        return frames
    }

    @Test func aCutAtAnyByteCostsOnlyTheRecordThatItHit() throws {
        let scratch = try Scratch()
        let (records, last) = try Self.recording(in: scratch, compresses: false)
        let whole = try scratch.bytes(last)
        let frames = Self.frames(whole)
        let before = records.count - frames.filter(\.isRecord).count
        for length in 0...whole.count {
            try scratch.write(whole.prefix(length), to: last)
            let reading = try Reading(scratch.path)
            let sound = frames.filter { $0.end <= length }
            let expected = before + sound.filter(\.isRecord).count
            #expect(reading.records == Array(records.prefix(expected)), "cut at \(length)")
            let end = sound.last?.end ?? RecordingFormat.openingBytes
            if length >= RecordingFormat.openingBytes {
                let torn = length - end
                #expect(
                    reading.problems
                        == (torn > 0
                            ? [.torn(path: "\(scratch.path)/\(last)", bytes: torn)] : []),
                    "cut at \(length)")
            } else {
                #expect(reading.problems.count == (length == 0 ? 0 : 1), "cut at \(length)")
            }
        }
    }

    @Test func aCutOfACompressedSegmentCostsWhatLiesBehindIt() throws {
        let scratch = try Scratch()
        let (records, last) = try Self.recording(in: scratch, compresses: true)
        let whole = try scratch.bytes(last)
        var most = 0
        for length in 0..<whole.count {
            try scratch.write(whole.prefix(length), to: last)
            let reading = try Reading(scratch.path)
            #expect(
                reading.records == Array(records.prefix(reading.records.count)), "cut at \(length)")
            #expect(length == 0 || !reading.problems.isEmpty, "cut at \(length) is told")
            most = max(most, reading.records.count)
        }
        try scratch.write(whole, to: last)
        #expect(try Reading(scratch.path).records == records)
        #expect(most <= records.count)
    }

    @Test func aFlippedByteAnywhereIsSurvivedAndTold() throws {
        let scratch = try Scratch()
        let (records, last) = try Self.recording(in: scratch, compresses: false)
        let whole = try scratch.bytes(last)
        let frames = Self.frames(whole)
        let own = frames.filter(\.isRecord).count
        let known = Set(records)
        for offset in whole.indices {
            var damaged = whole
            damaged[offset] ^= 0x55
            try scratch.write(damaged, to: last)
            let reading = try Reading(scratch.path)
            let missing = records.count - reading.records.count
            // The opening's reserved bytes mean nothing.
            if (9..<RecordingFormat.openingBytes).contains(offset) {
                #expect(missing == 0)
                continue
            }
            #expect(missing <= (offset < RecordingFormat.openingBytes ? own : 1), "at \(offset)")
            #expect(!reading.problems.isEmpty, "at \(offset) it is told")
            #expect(known.isSuperset(of: reading.records), "at \(offset)")
        }
    }

    @Test func aFlippedByteAnywhereInACompressedSegmentIsSurvived() throws {
        let scratch = try Scratch()
        let (records, last) = try Self.recording(in: scratch, compresses: true)
        let whole = try scratch.bytes(last)
        let known = Set(records)
        for offset in whole.indices {
            var damaged = whole
            damaged[offset] ^= 0x55
            try scratch.write(damaged, to: last)
            let reading = try Reading(scratch.path)
            #expect(
                reading.records == records || !reading.problems.isEmpty, "at \(offset) it is told")
            #expect(
                known.isSuperset(of: reading.records), "at \(offset): what was never recorded")
        }
    }

    @Test func aHostileSizeTakesNoMemory() throws {
        let scratch = try Scratch()
        // A zstd frame that claims 2^60 bytes, and holds none.
        try scratch.write(
            [0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x10, 1, 0, 0],
            to: "00000001.rwr.zst")
        #expect(throws: StoreError.self) { _ = try Reading(scratch.path) }
    }

    @Test func aDirectoryWithoutSegmentsIsRefused() throws {
        let scratch = try Scratch()
        try scratch.write([1, 2, 3], to: "1.rwr")
        #expect(throws: StoreError.self) { _ = try Reading(scratch.path) }
    }
}
