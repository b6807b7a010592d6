// SPDX-License-Identifier: Apache-2.0

import CLinux
import CRecord
import Glibc
import ReserveRecord

/// What frames of the queue carry; beyond those of recordings, in the same framing.
enum QueueFrame {
    /// The first of each file: how far was read, see ``ReadState``.
    static let state = rw_frame_type(rawValue: 16)
    static let event = rw_frame_type(rawValue: 17)
    /// Of a destination's own file: its place in the queue, and what it asserts.
    static let place = rw_frame_type(rawValue: 18)
    static let asserted = rw_frame_type(rawValue: 19)
}

/// One file of the queue, or of a destination: frames with checksums behind an opening, as the
/// segments of recordings have them (docs/recordings.md).
enum FrameFile {
    /// Hands each sound frame of a file to `body`; what is torn or damaged is passed over.
    ///
    /// - Returns: how many bytes were no sound frame, or an errno.
    static func read(
        _ path: String, _ body: (UInt32, UnsafeRawBufferPointer) -> Void
    ) -> (damaged: Int, errno: Int32) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return (0, errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return (0, errno) }
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        return bytes.withUnsafeBytes { bytes in
            guard var reader = try? RecordingReader(bytes) else { return (bytes.count, 0) }
            while let frame = reader.nextFrame() {
                if case .other(let type, let payload) = frame { body(type, payload) }
            }
            return (reader.damagedBytes + reader.tornBytes, 0)
        }
    }

    static func frame(_ type: rw_frame_type, _ fields: Fields, _ checksum: Checksum) -> [UInt8] {
        var bytes: [UInt8] = []
        fields.bytes.withUnsafeBytes {
            _ = RecordingFormat.appendFrame(type, $0, checksum: checksum, to: &bytes)
        }
        return bytes
    }

    static var opening: [UInt8] {
        var bytes: [UInt8] = []
        RecordingFormat.appendSegmentOpening(to: &bytes)
        return bytes
    }

    /// Puts a whole file in the place of another; a durable one is on the disk then.
    ///
    /// - Returns: an errno, or 0.
    static func replace(
        _ path: String, _ bytes: [UInt8], mode: mode_t = 0o600, isDurable: Bool = true
    ) -> Int32 {
        let fresh = "\(path).new"
        let descriptor = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode)
        guard descriptor >= 0 else { return errno }
        // Whatever the umask of a service is.
        var failure = fchmod(descriptor, mode) == 0 ? 0 : errno
        if failure == 0 { failure = append(descriptor, bytes).errno }
        if failure == 0, isDurable, fdatasync(descriptor) != 0 { failure = errno }
        if close(descriptor) != 0, failure == 0 { failure = errno }
        if failure == 0, rename(fresh, path) != 0 { failure = errno }
        if failure != 0 { unlink(fresh) }
        return failure
    }

    static func append(_ descriptor: Int32, _ bytes: [UInt8]) -> (count: Int, errno: Int32) {
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes {
                write(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return (done, count < 0 ? errno : EIO) }
            done += count
        }
        return (done, 0)
    }
}

/// The directory of a queue, held by one process.
final class QueueDirectory {
    let path: String
    private let lock: Int32

    /// Makes it, for its owner alone, where it is not there.
    init(_ path: String) throws(ForwardError) {
        self.path = path
        if mkdir(path, 0o700) != 0, errno != EEXIST { throw .output(path: path, errno: errno) }
        lock = open("\(path)/lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else { throw .output(path: path, errno: errno) }
        guard rw_lock_file(lock) == 0 else {
            close(lock)
            throw .busy(path: path)
        }
    }

    deinit { close(lock) }

    static let suffix = ".rwq"
    static let placeSuffix = ".place"

    static func segment(_ number: UInt64) -> String {
        let digits = "\(number)"
        return String(repeating: "0", count: max(0, 8 - digits.utf8.count)) + digits + suffix
    }

    /// Names in it that end so, sorted, without the ending.
    func names(_ suffix: String) -> [String] {
        guard let stream = opendir(path) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix(while: { $0 != 0 }), as: UTF8.self)
            }
            if name.hasSuffix(suffix) { names.append(String(name.dropLast(suffix.utf8.count))) }
        }
        return names.sorted()
    }

    /// Puts its names on the disk, where its file system can.
    func sync() {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        _ = fsync(descriptor)
        close(descriptor)
    }
}
