// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The closed segments: how many there may be, and that they get smaller.
struct SegmentStore {
    private struct Closed {
        var number: UInt64
        var bytes: UInt64
        var isCompressed: Bool
        /// Nanoseconds since 1970.
        var closed: Int64
        /// Compression was tried, and failed: it stays as it is.
        var stays = false
    }

    private let directory: String
    private let settings: SegmentWriter.Settings
    private var closed: [Closed] = []
    private var compressor: SegmentCompressor?
    private var messages: [String] = []
    private var lock: DirectoryLock?

    var lastNumber: UInt64 { closed.last?.number ?? 0 }

    /// Takes over what is there: of a segment that is there twice the compressed one is
    /// whole, for it got its name when it was; what a compression left over is deleted.
    init(directory: String, settings: SegmentWriter.Settings) throws(StoreError) {
        self.directory = directory
        self.settings = settings
        lock = try DirectoryLock(directory)
        let listing = try SegmentListing(directory: directory)
        for part in listing.parts { unlink("\(directory)/\(part)") }
        for file in listing.files {
            if closed.last?.number == file.name.number {
                unlink("\(directory)/\(file.name.text)")
                continue
            }
            closed.append(
                Closed(
                    number: file.name.number, bytes: file.bytes,
                    isCompressed: file.name.isCompressed, closed: file.modified))
        }
    }

    /// After a failure the directory may be another one; what is to be told is kept.
    mutating func replace(by fresh: SegmentStore) {
        let told = messages
        self = fresh
        messages = told
    }

    mutating func takeMessages() -> [String] {
        defer { messages.removeAll() }
        return messages
    }

    mutating func add(number: UInt64, bytes: UInt64) {
        closed.append(
            Closed(
                number: number, bytes: bytes, isCompressed: false,
                closed: Clock.realNanoseconds()))
    }

    /// Deletes the oldest until another segment has room, and what is too old.
    mutating func makeRoom() {
        var total = closed.reduce(0) { $0 + $1.bytes }
        while let oldest = closed.first {
            let isBeyond =
                settings.keepBytes > 0
                && total + settings.largestSegmentBytes > settings.keepBytes
            guard isBeyond || isTooOld(oldest) else { return }
            closed.removeFirst()
            total -= oldest.bytes
            if compressor?.number == oldest.number {
                compressor?.abandon()
                compressor = nil
            }
            let name = SegmentName(number: oldest.number, isCompressed: oldest.isCompressed).text
            if unlink("\(directory)/\(name)") == 0 {
                messages.append(
                    "deleted \(name), \(oldest.bytes) bytes: the recording would exceed its "
                        + (isBeyond ? "size" : "age"))
            } else if errno != ENOENT {
                messages.append("cannot delete \(directory)/\(name): \(words(errno))")
            }
        }
    }

    private func isTooOld(_ segment: Closed) -> Bool {
        settings.keepNanoseconds > 0
            && Clock.realNanoseconds() &- segment.closed > Int64(clamping: settings.keepNanoseconds)
    }

    /// A step of compression; and what is too old goes.
    mutating func turn(openNumber: UInt64) {
        if let oldest = closed.first, isTooOld(oldest) { makeRoom() }
        guard settings.compresses else { return }
        if compressor == nil { beginCompression(openNumber: openNumber) }
        step()
    }

    /// Compresses all that is left, and lets others record here.
    mutating func finish() {
        defer { lock = nil }
        guard settings.compresses else { return }
        while true {
            if compressor == nil { beginCompression(openNumber: .max) }
            guard compressor != nil else { return }
            step()
        }
    }

    private mutating func beginCompression(openNumber: UInt64) {
        guard
            let index = closed.firstIndex(where: {
                !$0.isCompressed && !$0.stays && $0.number < openNumber
            })
        else { return }
        do throws(StoreError) {
            compressor = try SegmentCompressor(directory: directory, number: closed[index].number)
        } catch {
            closed[index].stays = true
            messages.append("segment \(closed[index].number) stays uncompressed: \(error.sentence)")
        }
    }

    private mutating func step() {
        guard let compressor else { return }
        let progress = compressor.step()
        guard progress != .more else { return }
        self.compressor = nil
        guard let index = closed.firstIndex(where: { $0.number == compressor.number }) else {
            compressor.abandon()
            return
        }
        switch progress {
        case .more: return
        case .done(let bytes):
            closed[index].bytes = bytes
            closed[index].isCompressed = true
        case .failed(let errno):
            compressor.abandon()
            closed[index].stays = true
            messages.append(
                "segment \(compressor.number) stays uncompressed: \(words(errno))")
        }
    }
}

/// One recorder for one directory: a lock that ends with its holder.
final class DirectoryLock {
    private let descriptor: Int32

    init(_ directory: String) throws(StoreError) {
        descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .output(path: directory, errno: errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let failure = errno
            if failure == EWOULDBLOCK { throw .busy(path: directory) }
            throw .output(path: directory, errno: failure)
        }
    }

    deinit { close(descriptor) }
}
