// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A descriptor that must never hold up its writer: whole lines wait in memory that was
/// taken at the start, and what does not fit is dropped and counted.
///
/// The descriptor is made non-blocking for as long as this lives, and given back as it
/// was: it may be the terminal that a shell goes on using.
public struct OutputQueue: ~Copyable {
    public let descriptor: Int32
    /// Lines or frames dropped because the other side did not take the former ones.
    public private(set) var lost: UInt64 = 0
    /// Bytes written to the descriptor.
    public private(set) var writtenBytes: UInt64 = 0
    /// The errno that ended the output for good (EPIPE, EIO, ENOSPC ...), or 0.
    public private(set) var failure: Int32 = 0

    private let buffer: UnsafeMutableRawBufferPointer
    private var start = 0
    private var used = 0
    private let flagsBefore: Int32
    private let closesAtEnd: Bool

    /// - Parameters:
    ///   - descriptor: open for writing.
    ///   - capacityBytes: memory for what waits; a full screen of lines at least.
    ///   - closesAtEnd: whether the descriptor is ours to close.
    public init(descriptor: Int32, capacityBytes: Int, closesAtEnd: Bool) {
        self.descriptor = descriptor
        self.closesAtEnd = closesAtEnd
        buffer = .allocate(byteCount: capacityBytes, alignment: 16)
        // Touched now, so that no page of it is first asked for in a stall.
        buffer.initializeMemory(as: UInt8.self, repeating: 0)
        flagsBefore = fcntl(descriptor, F_GETFL)
        if flagsBefore >= 0 { _ = fcntl(descriptor, F_SETFL, flagsBefore | O_NONBLOCK) }
    }

    deinit {
        if flagsBefore >= 0 { _ = fcntl(descriptor, F_SETFL, flagsBefore) }
        if closesAtEnd { close(descriptor) }
        buffer.deallocate()
    }

    /// Whether something waits, so that poll(2) should ask for POLLOUT.
    public var isWaiting: Bool { used > 0 && failure == 0 }

    var waitingDescriptor: Int32 { isWaiting ? descriptor : -1 }
    public var waitingBytes: Int { used }

    /// Takes one whole line or frame, or drops and counts it.
    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard failure == 0 else {
            lost &+= 1
            return
        }
        if start + used + bytes.count > buffer.count { compact() }
        guard used + bytes.count <= buffer.count, let to = buffer.baseAddress,
            let from = bytes.baseAddress
        else {
            if !bytes.isEmpty { lost &+= 1 }
            return
        }
        memcpy(to + start + used, from, bytes.count)
        used += bytes.count
    }

    private mutating func compact() {
        guard start > 0, let base = buffer.baseAddress else { return }
        memmove(base, base + start, used)
        start = 0
    }

    /// Writes what the descriptor takes now, at most `limit` bytes. Never waits.
    ///
    /// Without a limit a write(2) to a serial line goes on for as long as the line sends what
    /// it is given: a queue of a megabyte then holds its caller for seconds.
    public mutating func flush(atMost limit: Int = .max) {
        var rest = limit
        while isWaiting, rest > 0, let base = buffer.baseAddress {
            let count = write(descriptor, base + start, min(used, rest))
            if count > 0 {
                rest -= count
                start += count
                used -= count
                writtenBytes &+= UInt64(count)
                if used == 0 { start = 0 }
            } else if count < 0 && errno == EINTR {
                continue
            } else if count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) {
                return
            } else {
                failure = count < 0 ? errno : EIO
            }
        }
    }

    /// At the end only: waits for the other side to take the rest, at most so long.
    public mutating func finish(withinMilliseconds limit: Int32) {
        var waited: Int32 = 0
        flush()
        while isWaiting, waited < limit {
            var entry = pollfd(descriptor: descriptor)
            _ = poll(&entry, 1, 100)
            waited += 100
            flush()
        }
    }
}

extension pollfd {
    init(descriptor: Int32) {
        self.init(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    }
}
