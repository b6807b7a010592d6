// SPDX-License-Identifier: Apache-2.0

import Glibc
import ReserveSinks
import Testing

@Suite struct OutputQueueTests {
    /// A pipe that nobody reads until told to.
    private func withPipe(_ body: (_ read: Int32, _ write: Int32) -> Void) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else {
            Issue.record("no pipe")
            return
        }
        body(ends[0], ends[1])
        close(ends[0])
        close(ends[1])
    }

    private func append(_ bytes: [UInt8], to queue: inout OutputQueue) {
        bytes.withUnsafeBytes { queue.append($0) }
    }

    @Test func aReaderThatDoesNotReadCostsLinesAndNoTime() {
        withPipe { _, writeEnd in
            var queue = OutputQueue(
                descriptor: writeEnd, capacityBytes: 4096, closesAtEnd: false)
            let line = [UInt8](repeating: 0x61, count: 1000)
            for _ in 0..<200 {
                append(line, to: &queue)
                queue.flush()
            }
            // A pipe holds 64 KiB and the queue 4: the rest of the 200 000 bytes is lost.
            let lost = queue.lost
            let isWaiting = queue.isWaiting
            let kept = (200 - Int(lost)) * 1000
            #expect(lost > 0)
            #expect(kept >= 65536 - 4096 && kept <= 65536 + 4096)
            #expect(isWaiting)
        }
    }

    @Test func whatWasTakenComesOutWholeAndInOrder() {
        withPipe { readEnd, writeEnd in
            var queue = OutputQueue(
                descriptor: writeEnd, capacityBytes: 64, closesAtEnd: false)
            for number in 0..<20 {
                append([UInt8(number), 0x0a], to: &queue)
                if number % 7 == 0 { queue.flush() }
            }
            queue.flush()
            var bytes = [UInt8](repeating: 0, count: 100)
            let count = read(readEnd, &bytes, 100)
            #expect(count == 40)
            #expect(
                bytes.prefix(40).enumerated().allSatisfy { index, byte in
                    byte == (index % 2 == 0 ? UInt8(index / 2) : 0x0a)
                })
            let lost = queue.lost
            #expect(lost == 0)
        }
    }

    @Test func aClosedReaderEndsTheOutputWithItsErrno() {
        signal(SIGPIPE, SIG_IGN)
        withPipe { readEnd, writeEnd in
            var queue = OutputQueue(
                descriptor: writeEnd, capacityBytes: 64, closesAtEnd: false)
            close(readEnd)
            append([1], to: &queue)
            queue.flush()
            let failure = queue.failure
            append([2], to: &queue)
            let lost = queue.lost
            #expect(failure == EPIPE)
            #expect(lost == 1)
        }
    }

    @Test func theDescriptorIsGivenBackAsItWas() {
        withPipe { _, writeEnd in
            let before = fcntl(writeEnd, F_GETFL)
            do {
                let queue = OutputQueue(
                    descriptor: writeEnd, capacityBytes: 64, closesAtEnd: false)
                #expect(fcntl(writeEnd, F_GETFL) & O_NONBLOCK != 0)
                _ = queue.isWaiting
            }
            #expect(fcntl(writeEnd, F_GETFL) == before)
        }
    }
}

@Suite struct ThreadedOutputTests {
    @Test func whatWaitsWhenAnErrorEndsItIsLost() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let opened = ThreadedOutput(
            descriptor: ends[1], capacityBytes: 1 << 18, closesAtEnd: true)
        guard var output = opened else {
            Issue.record("no thread")
            return
        }
        // More than a pipe takes.
        let line = [UInt8](repeating: 0x61, count: 1000)
        for _ in 0..<200 { line.withUnsafeBytes { output.append($0) } }
        let before = output.lost
        #expect(before == 0)
        close(ends[0])
        while output.failure == 0 { usleep(1000) }
        line.withUnsafeBytes { output.append($0) }
        let (lost, written, waiting) = (output.lost, output.state.lines, output.waitingBytes)
        #expect(written < 200)
        #expect(lost == 201 - written)
        #expect(waiting == 0)
    }
}
