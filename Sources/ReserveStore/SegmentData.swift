// SPDX-License-Identifier: Apache-2.0

import CZstd
import Glibc
import ReserveBox

/// All bytes of one recording's file or segment: read, or decompressed, into memory.
final class SegmentData {
    let bytes: UnsafeRawBufferPointer
    /// A compressed segment that ends early, or is damaged from some byte on.
    let isCut: Bool
    private let isMapped: Bool

    /// The four bytes that every zstd frame begins with.
    private static let zstdMagic: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd]
    /// More than any segment: what claims to be larger is damage, not a reason to take memory.
    static let largestBytes = 4 << 30
    private static let largestReadBytes = 1 << 28

    init(path: String) throws(StoreError) {
        if BoxFile.isBox(path) {
            let segment = try BoxSource.segment(of: path)
            let copy = UnsafeMutableRawBufferPointer.allocate(
                byteCount: segment.count, alignment: 16)
            segment.withUnsafeBytes { copy.copyMemory(from: $0) }
            bytes = UnsafeRawBufferPointer(copy)
            isMapped = false
            isCut = false
            return
        }
        let (stored, isMapped) = try Self.load(path)
        let magic = UnsafeRawBufferPointer(rebasing: stored[..<min(4, stored.count)])
        guard magic.elementsEqual(Self.zstdMagic) else {
            bytes = stored
            self.isMapped = isMapped
            isCut = false
            return
        }
        (bytes, isCut) = Self.decompress(stored)
        Self.release(stored, isMapped: isMapped)
        self.isMapped = false
    }

    deinit { Self.release(bytes, isMapped: isMapped) }

    private static func release(_ bytes: UnsafeRawBufferPointer, isMapped: Bool) {
        if isMapped {
            munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count)
        } else {
            bytes.deallocate()
        }
    }

    /// A mapped file that is cut short or becomes unreadable kills its reader: only what is
    /// too large to be read at once is mapped.
    private static func load(
        _ path: String
    ) throws(StoreError) -> (UnsafeRawBufferPointer, isMapped: Bool) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .input(path: path, errno: errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .input(path: path, errno: errno) }
        guard status.st_mode & S_IFMT != S_IFDIR else { throw .input(path: path, errno: EISDIR) }
        let size = Int(status.st_size)
        guard size > 0 else { throw .notARecording(path: path, reason: "it is empty") }
        guard size <= largestReadBytes else {
            guard let memory = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0),
                memory != MAP_FAILED
            else { throw .input(path: path, errno: errno) }
            return (UnsafeRawBufferPointer(start: memory, count: size), true)
        }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
        var used = 0
        while used < size {
            let count = read(descriptor, memory.baseAddress?.advanced(by: used), size - used)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                let failure = errno
                memory.deallocate()
                throw .input(path: path, errno: failure)
            }
            if count == 0 { break }
            used += count
        }
        return (UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(memory)[..<used]), false)
    }

    /// As much as is sound; of a cut segment all that lies before the cut.
    private static func decompress(
        _ source: UnsafeRawBufferPointer
    ) -> (UnsafeRawBufferPointer, isCut: Bool) {
        let context = ZSTD_createDCtx()
        defer { ZSTD_freeDCtx(context) }
        let claimed = ZSTD_getFrameContentSize(source.baseAddress, source.count)
        let isClaimed = claimed != 0 && claimed <= UInt64(largestBytes)
        // What the frame claims is taken at its word only as far as the file makes it likely.
        let likely = max(1 << 16, source.count * 64)
        var memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: isClaimed ? min(Int(claimed), likely) : likely, alignment: 16)
        var input = ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: 0)
        var used = 0
        var isCut = false
        while true {
            if used == memory.count {
                guard memory.count < largestBytes else {
                    isCut = true
                    break
                }
                let larger = UnsafeMutableRawBufferPointer.allocate(
                    byteCount: min(memory.count * 2, largestBytes), alignment: 16)
                larger.copyMemory(from: UnsafeRawBufferPointer(memory))
                memory.deallocate()
                memory = larger
            }
            var output = ZSTD_outBuffer(dst: memory.baseAddress, size: memory.count, pos: used)
            let rest = ZSTD_decompressStream(context, &output, &input)
            used = output.pos
            if ZSTD_isError(rest) != 0 {
                isCut = true
                break
            }
            if rest == 0, input.pos == input.size { break }
            // All is read, nothing more comes out, and the frame has not ended.
            if input.pos == input.size, used < memory.count {
                isCut = true
                break
            }
        }
        return (UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(memory)[..<used]), isCut)
    }
}
