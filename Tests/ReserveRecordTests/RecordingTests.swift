// SPDX-License-Identifier: Apache-2.0

import CRecord
import ReserveRecord
import Testing

@Suite struct RecordingTests {
    /// Three records with different contents, framed as a file.
    private static func recording() -> [UInt8] {
        let framer = RecordingFramer()
        var file: [UInt8] = []
        framer.opening { file += Array($0) }
        for number in 1...3 {
            var record = DecoderTests.taken
            record[8] = UInt8(number)
            record.withUnsafeBytes { framer.frame(record: $0) { file += Array($0) } }
        }
        return file
    }

    private static func numbers(in file: [UInt8]) throws -> (
        read: [UInt8], damaged: Int, torn: Int
    ) {
        try file.withUnsafeBytes { bytes in
            var reader = try RecordingReader(bytes)
            var read: [UInt8] = []
            while let record = reader.next() { read.append(record[8]) }
            return (read, reader.damagedBytes, reader.tornBytes)
        }
    }

    @Test func checksumIsCastagnolis() {
        let vector = Array("123456789".utf8)
        #expect(vector.withUnsafeBytes { Checksum()($0) } == 0xe306_9283)
        let zeros = [UInt8](repeating: 0, count: 32)
        #expect(zeros.withUnsafeBytes { Checksum()($0) } == 0x8a91_36aa)
    }

    @Test func whatIsFramedIsRead() throws {
        let all = try Self.numbers(in: Self.recording())
        #expect(all.read == [1, 2, 3])
        #expect(all.damaged == 0)
        #expect(all.torn == 0)
    }

    @Test func aFileCutAtAnyByteCostsOnlyItsLastRecord() throws {
        let file = Self.recording()
        for length in 16..<file.count {
            let cut = try Self.numbers(in: Array(file.prefix(length)))
            let whole = (length - 16) / 88
            #expect(cut.read == Array([1, 2, 3].prefix(whole)), "cut at \(length)")
            #expect(cut.torn == (length - 16) % 88, "cut at \(length)")
        }
    }

    @Test func aDamagedByteAnywhereCostsOnlyItsRecord() throws {
        let file = Self.recording()
        for offset in 16..<file.count {
            var damaged = file
            damaged[offset] ^= 0x55
            let read = try Self.numbers(in: damaged)
            let hit = UInt8((offset - 16) / 88 + 1)
            #expect(read.read == [1, 2, 3].filter { $0 != hit }, "damage at \(offset)")
            #expect(read.damaged + read.torn == 88, "damage at \(offset)")
        }
    }

    @Test func whatIsNoRecordingIsRefused() {
        let text = Array("{\"schema\":1} and more text".utf8)
        #expect(throws: RecordingReader.Problem.notARecording) {
            try text.withUnsafeBytes { _ = try RecordingReader($0) }
        }
        var newer = Self.recording()
        newer[8] = 3
        #expect(throws: RecordingReader.Problem.framingVersion(3)) {
            try newer.withUnsafeBytes { _ = try RecordingReader($0) }
        }
    }

    /// A segment: what it begins with, a record that it repeats, two of its own, its end.
    private static func segment() -> [UInt8] {
        let checksum = Checksum()
        var file: [UInt8] = []
        RecordingFormat.appendSegmentOpening(to: &file)
        var begin = rw_segment_begin()
        begin.number = 7
        withUnsafeBytes(of: begin) {
            _ = RecordingFormat.appendFrame(RW_FRAME_BEGIN, $0, checksum: checksum, to: &file)
        }
        for (type, number) in [
            (RW_FRAME_REPEATED, 1), (RW_FRAME_RECORD, 2), (RW_FRAME_RECORD, 3),
        ] {
            var record = DecoderTests.taken
            record[8] = UInt8(number)
            record.withUnsafeBytes {
                _ = RecordingFormat.appendFrame(type, $0, checksum: checksum, to: &file)
            }
        }
        withUnsafeBytes(of: rw_segment_end(records: 2, last_boot_ns: 3)) {
            _ = RecordingFormat.appendFrame(RW_FRAME_END, $0, checksum: checksum, to: &file)
        }
        return file
    }

    private static func frames(in file: [UInt8]) throws -> [String] {
        try file.withUnsafeBytes { bytes in
            var reader = try RecordingReader(bytes)
            var read: [String] = []
            while let frame = reader.nextFrame() {
                switch frame {
                case .begin(let begin): read.append("begin \(begin.number)")
                case .repeated(let record): read.append("repeated \(record[8])")
                case .record(let record): read.append("record \(record[8])")
                case .end(let end): read.append("end \(end.records)")
                case .other(let type, _): read.append("other \(type)")
                }
            }
            return read
        }
    }

    private static let whole = ["begin 7", "repeated 1", "record 2", "record 3", "end 2"]

    @Test func aSegmentSaysWhatItRepeats() throws {
        #expect(try Self.frames(in: Self.segment()) == Self.whole)
        let read = try Self.numbers(in: Self.segment())
        #expect(read.read == [1, 2, 3])
        #expect(read.damaged + read.torn == 0)
    }

    @Test func aFlippedBitAnywhereInASegmentCostsOneFrame() throws {
        let file = Self.segment()
        for offset in RecordingFormat.openingBytes..<file.count {
            for bit in 0..<8 {
                var damaged = file
                damaged[offset] ^= 1 << UInt8(bit)
                let read = try Self.frames(in: damaged)
                #expect(
                    Self.whole.indices.contains { hit in
                        var rest = Self.whole
                        rest.remove(at: hit)
                        return rest == read
                    }, "bit \(bit) at \(offset): \(read)")
            }
        }
    }

    @Test func aFrameOfANewerAgentIsPassedOver() throws {
        var file = Self.segment()
        [UInt8(1)].withUnsafeBytes {
            _ = RecordingFormat.appendFrame(
                rw_frame_type(9), $0, checksum: Checksum(), to: &file)
        }
        let read = try Self.numbers(in: file)
        #expect(read.read == [1, 2, 3])
        #expect(read.damaged + read.torn == 0)
    }
}
