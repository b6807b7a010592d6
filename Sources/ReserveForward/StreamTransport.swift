// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import ReserveSinks

/// A connection over TCP or TLS that is kept, for a protocol without answers: what was sent counts
/// as delivered when the other end's kernel has acknowledged all of it, and the connection still
/// stands a moment later: who takes connections and has nobody to serve them closes them at once.
final class StreamTransport: Transport {
    private enum Step {
        case idle
        case connecting
        case writing
        /// All is handed to our kernel; until the other one has it.
        case draining
    }

    private let sender: any HTTPSender
    private let slot: Int
    private let target: HTTPTarget
    private var step = Step.idle
    private var isConnected = false
    private var bytes: ArraySlice<UInt8> = []
    private var until: UInt64 = 0
    /// When it counts as delivered, if nothing happens; 0: not all is acknowledged.
    private var standsUntil: UInt64 = 0

    private static let lookNanoseconds: UInt64 = 10_000_000
    private static let standsNanoseconds: UInt64 = 250_000_000

    init(_ sender: any HTTPSender, slot: Int, target: HTTPTarget) {
        self.sender = sender
        self.slot = slot
        self.target = target
    }

    func start(_ message: Message, now: UInt64) -> Outcome? {
        bytes = message.bytes[...]
        until = now &+ UInt64(target.wholeMilliseconds) * 1_000_000
        if isConnected, sender.isClosed(slot) { hangUp() }
        guard !isConnected else {
            step = .writing
            return proceed(now)
        }
        do throws(Secret.Problem) {
            let status = sender.connect(slot, try target.call([]))
            guard status == 0 else {
                return .failed(.local, "it cannot be connected: \(words(status))")
            }
        } catch {
            return .failed(.local, error.sentence)
        }
        step = .connecting
        return nil
    }

    func outcome(now: UInt64) -> Outcome? { proceed(now) }

    private func proceed(_ now: UInt64) -> Outcome? {
        if step == .connecting {
            switch sender.takeResult(slot) {
            case nil: break
            case .failed(let cause, let why): return fail(cause, why)
            case .answered:
                isConnected = true
                step = .writing
            }
        }
        if step == .writing { if let outcome = write() { return outcome } }
        if step == .draining { if let outcome = drain(now) { return outcome } }
        guard step != .idle, standsUntil == 0 || step != .draining, now >= until else {
            return nil
        }
        return fail(.timeout, "it took nothing within \(target.wholeMilliseconds) ms")
    }

    private func write() -> Outcome? {
        while !bytes.isEmpty {
            let count = sender.send(slot, bytes)
            if count == -Int(EAGAIN) { return nil }
            guard count > 0 else { return fail(.closed, "the connection was closed") }
            bytes = bytes.dropFirst(count)
        }
        step = .draining
        standsUntil = 0
        return nil
    }

    private func drain(_ now: UInt64) -> Outcome? {
        let rest = sender.unacknowledged(slot)
        if sender.isClosed(slot) {
            return fail(.closed, "the connection was closed when something was sent")
        }
        guard rest <= 0 else { return nil }
        if standsUntil == 0 { standsUntil = now &+ Self.standsNanoseconds }
        guard now >= standsUntil else { return nil }
        step = .idle
        return .delivered
    }

    private func fail(_ cause: FailureCause, _ why: String) -> Outcome {
        hangUp()
        return .failed(cause, plainText(why))
    }

    private func hangUp() {
        sender.abandon(slot)
        isConnected = false
        step = .idle
    }

    var descriptors: [pollfd] {
        guard step == .writing else { return [] }
        return [pollfd(fd: sender.socket(slot), events: Int16(POLLOUT), revents: 0)]
    }

    var deadline: UInt64? {
        switch step {
        case .idle: return nil
        case .draining: return rw_boot_ns() &+ Self.lookNanoseconds
        case .connecting, .writing: return until
        }
    }

    func abandon() { hangUp() }
}
