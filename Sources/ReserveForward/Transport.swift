// SPDX-License-Identifier: Apache-2.0

import Glibc

/// What goes out in one attempt.
struct Message: Equatable {
    var bytes: [UInt8]
    /// For a command: its environment.
    var environment: [(String, String)] = []

    static func == (one: Message, other: Message) -> Bool {
        one.bytes == other.bytes
            && one.environment.elementsEqual(other.environment) { $0 == $1 }
    }
}

/// The way to one destination: one message at a time, and nothing that waits.
protocol Transport: AnyObject {
    /// - Returns: nil when the message is on its way.
    func start(_ message: Message, now: UInt64) -> Outcome?
    /// How it went, once; nil as long as it is on its way. Goes on with what can go on.
    func outcome(now: UInt64) -> Outcome?
    /// Descriptors to wait for, beside those of HTTP.
    var descriptors: [pollfd] { get }
    /// When to look again without one of them.
    var deadline: UInt64? { get }
    func abandon()
}

extension Transport {
    var descriptors: [pollfd] { [] }
    var deadline: UInt64? { nil }
}
