// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import ReserveSinks

/// One client, from its request to the end of its answer. Nothing here waits.
struct Connection {
    enum Step: Equatable {
        /// The head of the request has not come yet.
        case reading
        case writing
        /// All is written; what the client still sends is thrown away, so that the answer is
        /// not lost to a reset.
        case draining
        case done
    }

    let descriptor: Int32
    private(set) var step = Step.reading
    private(set) var deadline: UInt64
    private var request: [UInt8] = []
    private var answer: [UInt8] = []
    private var written = 0

    static let requestNanoseconds: UInt64 = 5_000_000_000
    static let answerNanoseconds: UInt64 = 10_000_000_000
    static let drainNanoseconds: UInt64 = 1_000_000_000
    private static let readsAtOnce = 8

    init(descriptor: Int32, now: UInt64) {
        self.descriptor = descriptor
        deadline = now &+ Self.requestNanoseconds
    }

    var events: Int16 { Int16(step == .writing ? POLLOUT : POLLIN) }

    /// - Returns: what the request is, once; nil as long as it has not come.
    mutating func read() -> HTTPRequest.Parsed? {
        var bytes = [UInt8](repeating: 0, count: 2048)
        // A client that sends without end must leave others their turn.
        for _ in 0..<Self.readsAtOnce where step == .reading || step == .draining {
            let count = recv(descriptor, &bytes, bytes.count, 0)
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN { return nil }
            guard count > 0 else {
                step = .done
                return nil
            }
            guard step == .reading else { continue }
            request += bytes[..<count]
            let parsed = HTTPRequest.parse(request)
            if parsed != .incomplete { return parsed }
        }
        return nil
    }

    mutating func answer(_ bytes: [UInt8], now: UInt64) {
        answer = bytes
        step = .writing
        deadline = now &+ Self.answerNanoseconds
        write(now: now)
    }

    mutating func write(now: UInt64) {
        while step == .writing {
            let count = answer[written...].withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN { return }
            guard count > 0 else {
                step = .done
                return
            }
            written += count
            if written == answer.count {
                shutdown(descriptor, Int32(SHUT_WR))
                answer = []
                step = .draining
                deadline = now &+ Self.drainNanoseconds
            }
        }
    }
}
