// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import ReserveBox
import ReserveSinks

/// Sends to every destination what says that nothing is wrong, and tells how that went. Needs no
/// agent and no queue: one that runs is not disturbed.
public struct DeliveryTest {
    private struct Attempt {
        var label: String
        var transport: any Transport
        var outcome: Outcome?
    }

    private var attempts: [Attempt] = []
    private let sender: any HTTPSender
    private let messages: [Message]

    public init(_ settings: ForwardSettings, sender: any HTTPSender) {
        self.sender = sender
        let event = Self.event()
        var messages: [Message] = []
        for destination in settings.destinations {
            for number in 0..<destination.laneCount {
                let endpoint = destination.endpoint(number)
                let delivery = Delivery(destination: destination.name, now: event.time)
                messages.append(
                    destination.body(version: settings.version).message(
                        .event(event), Place(next: 1), delivery))
                attempts.append(
                    Attempt(
                        label: endpoint.isEmpty
                            ? destination.name : "\(destination.name) (\(endpoint))",
                        transport: destination.transport(
                            number, sender, slot: attempts.count)))
            }
        }
        self.messages = messages
    }

    private static func event() -> AlertEvent {
        var event = AlertEvent()
        event.cause = .test
        event.bootID = BoxFacts.thisBoot() ?? ""
        var name = [CChar](repeating: 0, count: 256)
        if gethostname(&name, name.count - 1) == 0 {
            let bytes = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            event.host = plainText(String(decoding: bytes, as: UTF8.self))
        }
        event.timeBootNanoseconds = rw_boot_ns()
        event.sinceBootNanoseconds = event.timeBootNanoseconds
        event.time = Int64(clamping: event.timeBootNanoseconds) &+ rw_realtime_offset_ns()
        event.since = event.time
        event.queued = event.time
        event.verdict = "unknown"
        event.advice = "nothing"
        event.sentence = "TEST: nothing is wrong; reservewatch forward --test sent this"
        event.writeLine(toldBefore: 0)
        return event
    }

    /// - Returns: the exit status; a line for each destination is on standard output.
    public mutating func run() -> Int32 {
        for index in attempts.indices {
            attempts[index].outcome = attempts[index].transport.start(
                messages[index], now: rw_boot_ns())
        }
        while attempts.contains(where: { $0.outcome == nil }) {
            var entries: [pollfd] = []
            for attempt in attempts where attempt.outcome == nil {
                entries += attempt.transport.descriptors
            }
            sender.wait(&entries, milliseconds: 50)
            for index in attempts.indices where attempts[index].outcome == nil {
                attempts[index].outcome = attempts[index].transport.outcome(now: rw_boot_ns())
            }
        }
        var hasFailed = false
        for attempt in attempts {
            let words: String
            switch attempt.outcome {
            case .delivered, nil: words = "taken"
            case .failed(let cause, let why, _):
                words = "failed (\(cause.rawValue)): \(why)"
                hasFailed = true
            case .refused(let why):
                words = "refused: \(why)"
                hasFailed = true
            }
            print("\(attempt.label): \(words)")
        }
        return hasFailed ? 74 : 0
    }
}
