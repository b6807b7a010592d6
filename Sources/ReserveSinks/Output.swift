// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// Where lines or frames go: straight to a serial line, or by a thread of its own to what
/// may wait in the kernel.
///
/// A serial terminal takes bytes into a buffer that it has. Everything else may allocate in
/// write(2), and would wait for memory with the rest of the host: kmsg and pipes and files
/// and sockets, and pseudo terminals as well.
public struct Output: ~Copyable {
    private var queue: OutputQueue?
    private var threaded: ThreadedOutput?
    /// Bytes that one flush writes at most.
    private let flushBytes: Int

    /// As many as a serial driver's buffer holds: the loop comes back for the rest.
    private static let serialBufferBytes = 4096

    /// Takes nothing: for whom nobody reads.
    public static func nowhere() -> Output {
        Output(queue: nil, threaded: nil, flushBytes: .max)
    }

    /// For a loop that must not wait.
    ///
    /// - Parameters:
    ///   - descriptor: open for writing.
    ///   - capacityBytes: memory for what waits; a power of two.
    /// - Returns: nil when no thread can be had.
    public static func forLoop(
        descriptor: Int32, capacityBytes: Int, closesAtEnd: Bool
    ) -> Output? {
        if rw_is_serial_terminal(descriptor) == 1 {
            let queue = OutputQueue(
                descriptor: descriptor, capacityBytes: capacityBytes, closesAtEnd: closesAtEnd)
            return Output(queue: queue, threaded: nil, flushBytes: serialBufferBytes)
        }
        guard
            let threaded = ThreadedOutput(
                descriptor: descriptor, capacityBytes: capacityBytes, closesAtEnd: closesAtEnd)
        else { return nil }
        return Output(queue: nil, threaded: threaded, flushBytes: .max)
    }

    /// For a reader, which may wait.
    public static func forReader(
        descriptor: Int32, capacityBytes: Int, closesAtEnd: Bool
    ) -> Output {
        let queue = OutputQueue(
            descriptor: descriptor, capacityBytes: capacityBytes, closesAtEnd: closesAtEnd)
        return Output(queue: queue, threaded: nil, flushBytes: .max)
    }

    private init(
        queue: consuming OutputQueue?, threaded: consuming ThreadedOutput?, flushBytes: Int
    ) {
        self.flushBytes = flushBytes
        self.queue = queue
        self.threaded = threaded
    }

    /// Takes one whole line or frame, or drops and counts it.
    public mutating func append(_ bytes: UnsafeRawBufferPointer, since bootNanoseconds: UInt64 = 0)
    {
        queue?.append(bytes)
        threaded?.append(bytes, since: bootNanoseconds)
    }

    /// Writes what the descriptor takes now. Never waits.
    public mutating func flush() {
        queue?.flush(atMost: flushBytes)
    }

    /// Writes all that waits, for at most so long.
    public mutating func finish(withinMilliseconds limit: Int32) {
        queue?.finish(withinMilliseconds: limit)
        threaded?.finish(withinMilliseconds: limit)
    }

    public var lost: UInt64 { states.queue.lost &+ states.threaded.lost }
    /// The errno that ended the output for good, or 0.
    public var failure: Int32 { max(states.queue.failure, states.threaded.failure) }
    /// For poll(2): the descriptor while lines wait for room in it, else -1.
    public var waitingDescriptor: Int32 { states.queue.descriptor }
    public var waitingBytes: Int { states.queue.waiting + states.threaded.waiting }
    /// What its thread did; nil without one.
    public var threadState: rw_writer_state? {
        switch threaded {
        case .some(let threaded): return threaded.state
        case .none: return nil
        }
    }

    private struct State {
        var lost: UInt64 = 0
        var failure: Int32 = 0
        var descriptor: Int32 = -1
        var waiting = 0
    }

    /// One of the two is empty.
    private var states: (queue: State, threaded: State) {
        var states = (queue: State(), threaded: State())
        switch queue {
        case .some(let queue):
            states.queue = State(
                lost: queue.lost, failure: queue.failure, descriptor: queue.waitingDescriptor,
                waiting: queue.waitingBytes)
        case .none: break
        }
        switch threaded {
        case .some(let threaded):
            states.threaded = State(
                lost: threaded.lost, failure: threaded.failure, descriptor: -1,
                waiting: threaded.waitingBytes)
        case .none: break
        }
        return states
    }
}

/// A descriptor with a thread that writes to it.
public struct ThreadedOutput: ~Copyable {
    private let writer: OpaquePointer
    private let descriptor: Int32
    private let closesAtEnd: Bool
    private var handed: UInt64 = 0
    private var refused: UInt64 = 0

    /// nil: no memory or no thread could be had.
    public init?(descriptor: Int32, capacityBytes: Int, closesAtEnd: Bool) {
        guard let writer = rw_writer_open(descriptor, capacityBytes) else { return nil }
        self.writer = writer
        self.descriptor = descriptor
        self.closesAtEnd = closesAtEnd
    }

    deinit {
        rw_writer_close(writer, 200)
        if closesAtEnd { close(descriptor) }
    }

    /// Hands one line over. Never waits.
    public mutating func append(_ bytes: UnsafeRawBufferPointer, since bootNanoseconds: UInt64 = 0)
    {
        if rw_writer_put(writer, bytes.baseAddress, bytes.count, bootNanoseconds) == 0 {
            handed &+= 1
        } else {
            refused &+= 1
        }
    }

    /// Lines that found no room, or were not written when an error ended it.
    public var lost: UInt64 {
        let state = rw_writer_state(writer)
        return state.error == 0 ? refused : refused &+ (handed &- state.lines)
    }

    public func finish(withinMilliseconds limit: Int32) {
        var waited: Int32 = 0
        while waited < limit, rw_writer_state(writer).waiting_bytes > 0, failure == 0 {
            usleep(5000)
            waited += 5
        }
    }

    public var failure: Int32 { rw_writer_state(writer).error }
    public var waitingBytes: Int { Int(rw_writer_state(writer).waiting_bytes) }
    public var state: rw_writer_state { rw_writer_state(writer) }
}
