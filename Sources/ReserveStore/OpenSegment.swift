// SPDX-License-Identifier: Apache-2.0

import CRecord
import Glibc
import ReserveRecord

/// The segment that is being written: append only, and after a failure cut back to its last
/// whole frame.
final class OpenSegment {
    let number: UInt64
    let path: String
    let beganBootNanoseconds: UInt64
    /// Bytes of whole frames, the opening included; and of what it begins with.
    private(set) var bytes: UInt64 = 0
    private(set) var headBytes: UInt64 = 0
    private(set) var records: UInt64 = 0
    private(set) var lastBootNanoseconds: UInt64 = 0
    private(set) var isDirty = false
    private let descriptor: Int32
    private let identity: (device: UInt64, inode: UInt64)

    /// Begins the segment: opening, header, and the state so far.
    init(
        directory: String, begin: rw_segment_begin, state: [[UInt8]], checksum: Checksum
    ) throws(StoreError) {
        number = begin.number
        beganBootNanoseconds = begin.boot_ns
        path = "\(directory)/\(SegmentName(number: begin.number).text)"
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw .output(path: path, errno: errno) }
        var status = stat()
        _ = fstat(descriptor, &status)
        identity = (UInt64(status.st_dev), UInt64(status.st_ino))
        var head: [UInt8] = []
        RecordingFormat.appendSegmentOpening(to: &head)
        var begin = begin
        begin.repeated = UInt32(state.count)
        withUnsafeBytes(of: begin) {
            _ = RecordingFormat.appendFrame(RW_FRAME_BEGIN, $0, checksum: checksum, to: &head)
        }
        for record in state {
            record.withUnsafeBytes {
                _ = RecordingFormat.appendFrame(
                    RW_FRAME_REPEATED, $0, checksum: checksum, to: &head)
            }
        }
        let failure = head.withUnsafeBytes { writeAll(descriptor, $0).errno }
        guard failure == 0 else {
            unlink(path)
            throw .output(path: path, errno: failure)
        }
        headBytes = UInt64(head.count)
        bytes = headBytes
        isDirty = true
        syncDirectory(directory)
    }

    deinit { close(descriptor) }

    /// Writes frames: how many bytes of whole frames it took, and the errno.
    func write(_ frames: UnsafeRawBufferPointer) -> (taken: Int, errno: Int32) {
        let (count, failure) = writeAll(descriptor, frames)
        var taken = 0
        while let frame = PendingFrames.frame(in: frames, at: taken), frame.end <= count {
            if frame.isRecord {
                records += 1
                lastBootNanoseconds = max(lastBootNanoseconds, frame.bootNanoseconds)
            }
            taken = frame.end
        }
        bytes += UInt64(taken)
        isDirty = true
        // A torn frame would cost nothing but itself; without it there is nothing to tell.
        if failure != 0 { _ = ftruncate(descriptor, off_t(bytes)) }
        return (taken, failure)
    }

    /// Waits until all is on the disk.
    func sync() -> Int32 {
        isDirty = false
        return fdatasync(descriptor) == 0 ? 0 : errno
    }

    /// Says that all is there, and waits until it is on the disk.
    func seal(checksum: Checksum) -> Int32 {
        let end = rw_segment_end(records: records, last_boot_ns: lastBootNanoseconds)
        var frame: [UInt8] = []
        withUnsafeBytes(of: end) {
            _ = RecordingFormat.appendFrame(RW_FRAME_END, $0, checksum: checksum, to: &frame)
        }
        let (count, failure) = frame.withUnsafeBytes { writeAll(descriptor, $0) }
        if failure == 0 {
            bytes += UInt64(count)
        } else {
            _ = ftruncate(descriptor, off_t(bytes))
        }
        let syncFailure = sync()
        return failure != 0 ? failure : syncFailure
    }

    /// Whether it still has its name: a deleted file takes everything, and keeps nothing.
    var isThere: Bool {
        var status = stat()
        guard stat(path, &status) == 0 else { return false }
        return identity == (UInt64(status.st_dev), UInt64(status.st_ino))
    }
}

/// Frames that no segment has taken yet.
struct PendingFrames {
    struct Frame {
        var end: Int
        var isRecord: Bool
        var bootNanoseconds: UInt64
        var payload: Range<Int>
    }

    private(set) var bytes: [UInt8] = []
    private(set) var count: UInt64 = 0

    mutating func append(_ record: UnsafeRawBufferPointer, checksum: Checksum) {
        if RecordingFormat.appendFrame(RW_FRAME_RECORD, record, checksum: checksum, to: &bytes) {
            count += 1
        }
    }

    /// Puts a record before all others.
    mutating func prepend(_ record: UnsafeRawBufferPointer, checksum: Checksum) {
        var frame: [UInt8] = []
        RecordingFormat.appendFrame(RW_FRAME_RECORD, record, checksum: checksum, to: &frame)
        bytes.insert(contentsOf: frame, at: 0)
        count += 1
    }

    /// Hands over the records of the first `taken` bytes, and forgets them.
    mutating func remove(_ taken: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
        guard taken > 0 else { return }
        var gone: UInt64 = 0
        bytes.withUnsafeBytes { bytes in
            var at = 0
            while at < taken, let frame = Self.frame(in: bytes, at: at) {
                body(UnsafeRawBufferPointer(rebasing: bytes[frame.payload]))
                at = frame.end
                gone += 1
            }
        }
        count -= gone
        if taken == bytes.count {
            bytes.removeAll(keepingCapacity: true)
        } else {
            bytes.removeFirst(taken)
        }
    }

    func forEach(_ body: (UnsafeRawBufferPointer) -> Void) {
        bytes.withUnsafeBytes { bytes in
            var at = 0
            while let frame = Self.frame(in: bytes, at: at) {
                body(UnsafeRawBufferPointer(rebasing: bytes[frame.payload]))
                at = frame.end
            }
        }
    }

    /// The frame at an offset; nil past the last.
    static func frame(in bytes: UnsafeRawBufferPointer, at offset: Int) -> Frame? {
        let start = offset + RecordingFormat.frameHeaderBytes
        guard start <= bytes.count else { return nil }
        let word = UInt32(
            littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        let end = start + Int(word & 0xff_ffff)
        guard end <= bytes.count else { return nil }
        let isRecord = word >> 24 == RW_FRAME_RECORD.rawValue
        let boot =
            isRecord && end - start >= RecordingFormat.shortestRecordBytes
            ? bytes.loadUnaligned(fromByteOffset: start + 8, as: UInt64.self) : 0
        return Frame(end: end, isRecord: isRecord, bootNanoseconds: boot, payload: start..<end)
    }
}
