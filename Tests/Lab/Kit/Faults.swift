// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What goes wrong while the load runs. Times are seconds after the load's start.
public struct Faults: Equatable, Sendable {
    /// When the server is stopped (SIGSTOP), and for how long.
    public var serverStopAfter: Int?
    public var serverStopFor = 60
    /// When the server is killed, for good.
    public var serverKillAfter: Int?
    /// When the guest kills its nbd-client, which stays in the foreground then.
    public var clientKillAfter: Int?
    public var slowWire: SlowWire?
    /// A rule of the agent may end the swap's connection.
    public var mayEndConnection = false

    public init() {}

    /// The swap is lost on the way: what a shell has there, it has no more.
    public var losesSwap: Bool {
        serverKillAfter != nil || clientKillAfter != nil || mayEndConnection
    }

    /// Reads "rate_kbit=32000 delay_ms=20": what nbdkit's filters make of each request.
    public struct SlowWire: Equatable, Sendable {
        /// Bandwidth of all connections together; unbounded where absent.
        public var rateKbit: Int?
        /// Each request is answered so much later.
        public var delayMilliseconds = 0

        static func parse(_ text: String) -> SlowWire? {
            var wire = SlowWire()
            for word in text.split(separator: " ") {
                let pair = word.split(separator: "=", maxSplits: 1)
                guard pair.count == 2, let number = Int(pair[1]), number > 0 else { return nil }
                switch pair[0] {
                case "rate_kbit": wire.rateKbit = number
                case "delay_ms": wire.delayMilliseconds = number
                default: return nil
                }
            }
            return wire == SlowWire() ? nil : wire
        }

        /// nbdkit's filters, and what they are told.
        public var filters: [String] {
            (rateKbit == nil ? [] : ["--filter=rate"])
                + (delayMilliseconds == 0 ? [] : ["--filter=delay"])
        }
        public var parameters: [String] {
            (rateKbit.map { ["rate=\($0)k"] } ?? [])
                + (delayMilliseconds == 0
                    ? [] : ["rdelay=\(delayMilliseconds)ms", "wdelay=\(delayMilliseconds)ms"])
        }
    }

    /// Takes a key of a scenario file; nil when it is none of ours.
    mutating func set(_ key: String, _ value: String) -> Bool? {
        let number = Int(value).flatMap { $0 >= 0 ? $0 : nil }
        switch key {
        case "server_stop_after_s": serverStopAfter = number
        case "server_stop_for_s": serverStopFor = number ?? 0
        case "server_kill_after_s": serverKillAfter = number
        case "may_end_connection":
            mayEndConnection = value == "yes"
            return ["yes", "no"].contains(value)
        case "client_kill_after_s": clientKillAfter = number
        case "slow_wire":
            slowWire = SlowWire.parse(value)
            return slowWire != nil
        default: return nil
        }
        return number != nil
    }
}
