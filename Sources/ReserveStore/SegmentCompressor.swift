// SPDX-License-Identifier: Apache-2.0

import CZstd
import Glibc

/// Compresses one closed segment, a step at a time, so that the recorder goes on meanwhile.
///
/// It writes to a name that no reader looks at, and gives it the segment's name when all is
/// on the disk; then only is the segment itself deleted. A crash leaves one that is whole.
final class SegmentCompressor {
    enum Progress: Equatable {
        case more
        /// Bytes of the compressed segment.
        case done(UInt64)
        case failed(Int32)
    }

    /// docs/decisions/0006-recordings-in-segments.md has the measurement.
    private static let level: Int32 = 3

    let number: UInt64
    private let directory: String
    private let source: Int32
    private let part: Int32
    private let context: OpaquePointer?
    private var input: [UInt8]
    private var output: [UInt8]
    private var written: UInt64 = 0

    init(directory: String, number: UInt64, stepBytes: Int = 1 << 20) throws(StoreError) {
        self.number = number
        self.directory = directory
        let name = "\(directory)/\(SegmentName(number: number).text)"
        source = open(name, O_RDONLY | O_CLOEXEC)
        guard source >= 0 else { throw .input(path: name, errno: errno) }
        let partName = "\(directory)/\(SegmentName(number: number).partText)"
        part = open(partName, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o640)
        guard part >= 0 else {
            let failure = errno
            close(source)
            throw .output(path: partName, errno: failure)
        }
        input = [UInt8](repeating: 0, count: stepBytes)
        output = [UInt8](repeating: 0, count: ZSTD_CStreamOutSize())
        context = ZSTD_createCCtx()
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Self.level)
        ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
        var status = stat()
        if fstat(source, &status) == 0 {
            ZSTD_CCtx_setPledgedSrcSize(context, UInt64(max(0, status.st_size)))
        }
    }

    deinit {
        ZSTD_freeCCtx(context)
        close(source)
        close(part)
    }

    /// Compresses the next piece; at the end it puts the compressed segment in place.
    func step() -> Progress {
        guard context != nil else { return .failed(ENOMEM) }
        let count = input.withUnsafeMutableBytes { read(source, $0.baseAddress, $0.count) }
        guard count >= 0 else { return errno == EINTR ? .more : .failed(errno) }
        let isLast = count == 0
        let failure = compress(count: count, isLast: isLast)
        guard failure == 0 else { return .failed(failure) }
        return isLast ? settle() : .more
    }

    /// Deletes what was written so far.
    func abandon() {
        unlink("\(directory)/\(SegmentName(number: number).partText)")
    }

    private func compress(count: Int, isLast: Bool) -> Int32 {
        input.withUnsafeBytes { from in
            var source = ZSTD_inBuffer(src: from.baseAddress, size: count, pos: 0)
            while true {
                let (rest, produced) = output.withUnsafeMutableBytes { to in
                    var target = ZSTD_outBuffer(dst: to.baseAddress, size: to.count, pos: 0)
                    let rest = ZSTD_compressStream2(
                        context, &target, &source, isLast ? ZSTD_e_end : ZSTD_e_continue)
                    return (rest, target.pos)
                }
                if ZSTD_isError(rest) != 0 { return EIO }
                let failure = output.withUnsafeBytes {
                    writeAll(part, UnsafeRawBufferPointer(rebasing: $0[..<produced])).errno
                }
                if failure != 0 { return failure }
                written += UInt64(produced)
                if isLast ? rest == 0 : source.pos == source.size { return 0 }
            }
        }
    }

    private func settle() -> Progress {
        let name = "\(directory)/\(SegmentName(number: number).text)"
        let partName = "\(directory)/\(SegmentName(number: number).partText)"
        let final = "\(directory)/\(SegmentName(number: number, isCompressed: true).text)"
        // Its age is that of what it holds.
        var status = stat()
        if fstat(source, &status) == 0 {
            let times = [status.st_mtim, status.st_mtim]
            _ = futimens(part, times)
        }
        guard fsync(part) == 0, rename(partName, final) == 0 else { return .failed(errno) }
        syncDirectory(directory)
        unlink(name)
        return .done(written)
    }
}

/// Writes until all is taken or the target refuses: how much it took, and the errno.
func writeAll(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> (count: Int, errno: Int32) {
    var done = 0
    while done < bytes.count {
        let count = write(descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done)
        if count > 0 {
            done += count
        } else if count < 0, errno == EINTR {
            continue
        } else {
            return (done, count < 0 ? errno : EIO)
        }
    }
    return (done, 0)
}

/// Puts a directory's names on the disk, where its file system can.
func syncDirectory(_ path: String) {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    _ = fsync(descriptor)
    close(descriptor)
}
