// SPDX-License-Identifier: Apache-2.0

import CRecord

/// How records lie in a file: a 16-byte opening, then frames.
///
/// Version 1, a single file: a frame is the record's length and its CRC-32C (both 32 bits,
/// little-endian) and then the record itself, exactly as it came from the ring. Version 2, a
/// segment, has the type of the frame in the length's upper byte, and the checksum covers
/// that word too: segment.h. docs/recordings.md is the table of both.
public enum RecordingFormat {
    /// "RWREC", a byte that no text has, and the version of the framing.
    public static let opening: InlineArray<16, UInt8> = [
        0x52, 0x57, 0x52, 0x45, 0x43, 0x00, 0xff, 0x0a, 1, 0, 0, 0, 0, 0, 0, 0,
    ]
    public static let openingBytes = 16
    public static let frameHeaderBytes = 8
    /// No record is longer; a length beyond this is damage.
    public static let longestRecordBytes = 64 * 1024
    /// No record is shorter: its header.
    public static let shortestRecordBytes = 24
    /// The framing of segments.
    public static let segmentVersion: UInt8 = 2

    /// The opening of a segment.
    public static func appendSegmentOpening(to bytes: inout [UInt8]) {
        for index in 0..<openingBytes {
            bytes.append(index == 8 ? segmentVersion : opening[index])
        }
    }

    /// One frame of a segment. What is longer than any record is left out: false.
    @discardableResult
    public static func appendFrame(
        _ type: rw_frame_type, _ payload: UnsafeRawBufferPointer, checksum: Checksum,
        to bytes: inout [UInt8]
    ) -> Bool {
        guard payload.count <= longestRecordBytes else { return false }
        let word = UInt32(payload.count) | type.rawValue << 24
        append(word, to: &bytes)
        append(sum(word, payload, checksum), to: &bytes)
        bytes.append(contentsOf: payload)
        return true
    }

    static func sum(
        _ word: UInt32, _ payload: UnsafeRawBufferPointer, _ checksum: Checksum
    ) -> UInt32 {
        var state = UInt32.max
        withUnsafeBytes(of: word.littleEndian) { checksum.add($0, to: &state) }
        checksum.add(payload, to: &state)
        return ~state
    }

    private static func append(_ value: UInt32, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
}

/// Frames records of a single file (version 1) for writing, in memory taken at the start.
public struct RecordingFramer: ~Copyable {
    private let checksum = Checksum()
    private let buffer: UnsafeMutableRawBufferPointer

    public init() {
        buffer = .allocate(
            byteCount: RecordingFormat.frameHeaderBytes + RecordingFormat.longestRecordBytes,
            alignment: 16)
        buffer.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit {
        buffer.deallocate()
    }

    /// Hands the opening of a file to `body`.
    public func opening(_ body: (UnsafeRawBufferPointer) -> Void) {
        let bytes = RecordingFormat.opening
        withUnsafeBytes(of: bytes, body)
    }

    /// Hands the frame of one record to `body`. Does not allocate.
    public func frame(
        record: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void
    ) {
        guard record.count <= RecordingFormat.longestRecordBytes else { return }
        let whole = UnsafeMutableRawBufferPointer(
            rebasing: buffer[..<(RecordingFormat.frameHeaderBytes + record.count)])
        whole.storeBytes(of: UInt32(record.count).littleEndian, as: UInt32.self)
        whole.storeBytes(
            of: checksum(record).littleEndian, toByteOffset: 4, as: UInt32.self)
        UnsafeMutableRawBufferPointer(rebasing: whole[RecordingFormat.frameHeaderBytes...])
            .copyMemory(from: record)
        body(UnsafeRawBufferPointer(whole))
    }
}

/// Reads a recording that is in memory. A torn tail is normal and costs only itself; damage
/// in the middle costs what it hit, and is counted.
public struct RecordingReader {
    public enum Problem: Error, Equatable {
        /// The opening is not that of a recording.
        case notARecording
        /// Written by a newer agent with another framing.
        case framingVersion(UInt8)
    }

    /// What one frame carries.
    public enum Frame {
        case record(UnsafeRawBufferPointer)
        /// A record that an earlier segment has as well.
        case repeated(UnsafeRawBufferPointer)
        case begin(rw_segment_begin)
        case end(rw_segment_end)
        /// Of somebody who frames other things in the same way, or of a newer agent.
        case other(type: UInt32, UnsafeRawBufferPointer)
    }

    private let bytes: UnsafeRawBufferPointer
    private let checksum = Checksum()
    private let isSegment: Bool
    private var position = RecordingFormat.openingBytes
    /// Records handed out, those that are repeated aside.
    public private(set) var records = 0
    /// Bytes that were no whole, sound frame: in the middle, and at the end.
    public private(set) var damagedBytes = 0
    public private(set) var tornBytes = 0

    /// - Parameter bytes: the whole file; must outlive the reader.
    public init(_ bytes: UnsafeRawBufferPointer) throws(Problem) {
        let opening = RecordingFormat.opening
        guard bytes.count >= RecordingFormat.openingBytes else { throw .notARecording }
        for index in 0..<8 where bytes[index] != opening[index] { throw .notARecording }
        guard bytes[8] == opening[8] || bytes[8] == RecordingFormat.segmentVersion else {
            throw .framingVersion(bytes[8])
        }
        isSegment = bytes[8] == RecordingFormat.segmentVersion
        self.bytes = bytes
    }

    /// The next sound record, or nil at the end. Those that a segment repeats come first.
    public mutating func next() -> UnsafeRawBufferPointer? {
        while let frame = nextFrame() {
            switch frame {
            case .record(let record), .repeated(let record): return record
            case .begin, .end, .other: continue
            }
        }
        return nil
    }

    /// The next sound frame, or nil at the end.
    public mutating func nextFrame() -> Frame? {
        var from = position
        while position < bytes.count {
            guard let (type, payload) = soundFrame(at: position) else {
                position += 1
                continue
            }
            damagedBytes += position - from
            position += RecordingFormat.frameHeaderBytes + payload.count
            from = position
            switch type {
            case RW_FRAME_RECORD.rawValue:
                records += 1
                return .record(payload)
            case RW_FRAME_REPEATED.rawValue: return .repeated(payload)
            case RW_FRAME_BEGIN.rawValue
            where payload.count >= MemoryLayout<rw_segment_begin>.size:
                return .begin(payload.loadUnaligned(as: rw_segment_begin.self))
            case RW_FRAME_END.rawValue where payload.count >= MemoryLayout<rw_segment_end>.size:
                return .end(payload.loadUnaligned(as: rw_segment_end.self))
            default: return .other(type: type, payload)
            }
        }
        tornBytes += bytes.count - from
        position = bytes.count
        return nil
    }

    private func soundFrame(at offset: Int) -> (type: UInt32, UnsafeRawBufferPointer)? {
        let start = offset + RecordingFormat.frameHeaderBytes
        guard start <= bytes.count else { return nil }
        let word = UInt32(
            littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        let type = isSegment ? word >> 24 : RW_FRAME_RECORD.rawValue
        let length = Int(isSegment ? word & 0xff_ffff : word)
        let shortest =
            type <= RW_FRAME_REPEATED.rawValue ? RecordingFormat.shortestRecordBytes : 1
        guard length >= shortest, length <= RecordingFormat.longestRecordBytes,
            start + length <= bytes.count
        else { return nil }
        let payload = UnsafeRawBufferPointer(rebasing: bytes[start..<start + length])
        let expected = UInt32(
            littleEndian: bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self))
        let actual =
            isSegment ? RecordingFormat.sum(word, payload, checksum) : checksum(payload)
        return actual == expected ? (type, payload) : nil
    }
}
