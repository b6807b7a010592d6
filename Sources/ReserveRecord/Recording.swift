// SPDX-License-Identifier: Apache-2.0

/// How records lie in a file: a 16-byte opening, then frames.
///
/// A frame is the record's length and its CRC-32C (both 32 bits, little-endian) and then
/// the record itself, exactly as it came from the ring.
public enum RecordingFormat {
    /// "RWREC", a byte that no text has, and the version of the framing.
    public static let opening: InlineArray<16, UInt8> = [
        0x52, 0x57, 0x52, 0x45, 0x43, 0x00, 0xff, 0x0a, 1, 0, 0, 0, 0, 0, 0, 0,
    ]
    public static let openingBytes = 16
    public static let frameHeaderBytes = 8
    /// No record is longer; a length beyond this is damage.
    public static let longestRecordBytes = 64 * 1024
}

/// Frames records for writing, in memory taken at the start.
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

    private let bytes: UnsafeRawBufferPointer
    private let checksum = Checksum()
    private var position = RecordingFormat.openingBytes
    /// Records handed out.
    public private(set) var records = 0
    /// Bytes that were no whole, sound frame: in the middle, and at the end.
    public private(set) var damagedBytes = 0
    public private(set) var tornBytes = 0

    /// - Parameter bytes: the whole file; must outlive the reader.
    public init(_ bytes: UnsafeRawBufferPointer) throws(Problem) {
        let opening = RecordingFormat.opening
        guard bytes.count >= RecordingFormat.openingBytes else { throw .notARecording }
        for index in 0..<8 where bytes[index] != opening[index] { throw .notARecording }
        guard bytes[8] == opening[8] else { throw .framingVersion(bytes[8]) }
        self.bytes = bytes
    }

    /// The next sound record, or nil at the end.
    public mutating func next() -> UnsafeRawBufferPointer? {
        let from = position
        while position < bytes.count {
            if let record = soundFrame(at: position) {
                damagedBytes += position - from
                position += RecordingFormat.frameHeaderBytes + record.count
                records += 1
                return record
            }
            position += 1
        }
        tornBytes += bytes.count - from
        position = bytes.count
        return nil
    }

    private func soundFrame(at offset: Int) -> UnsafeRawBufferPointer? {
        let start = offset + RecordingFormat.frameHeaderBytes
        guard start <= bytes.count else { return nil }
        let length = Int(
            UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
        guard length >= 24, length <= RecordingFormat.longestRecordBytes,
            start + length <= bytes.count
        else { return nil }
        let record = UnsafeRawBufferPointer(rebasing: bytes[start..<start + length])
        let expected = UInt32(
            littleEndian: bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self))
        return checksum(record) == expected ? record : nil
    }
}
