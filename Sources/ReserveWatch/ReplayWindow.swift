// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import ReserveRecord
import ReserveSinks
import ReserveStore

/// The part of a recording that is to be told, on the host's clock.
struct ReplayWindow {
    private let from: Int64
    private let to: Int64
    private let bounds: (begin: Int64, end: Int64)?

    /// CPUs may hand their records in a little out of order; so much later none is within.
    private static let graceNanoseconds: Int64 = 1_000_000_000

    init(path: String, from: TimePoint?, to: TimePoint?) throws(StoreError) {
        guard from != nil || to != nil else {
            bounds = nil
            self.from = .min
            self.to = .max
            return
        }
        bounds = try RecordSource.bounds(path: path)
        let (begin, end) = bounds ?? (0, 0)
        self.from = from?.resolved(begin: begin, end: end) ?? .min
        self.to = to?.resolved(begin: begin, end: end) ?? .max
    }

    func contains(_ entry: RecordSource.Entry) -> Bool {
        entry.realNanoseconds >= from && entry.realNanoseconds <= to
    }

    /// Nothing that follows can be within.
    func isOver(_ entry: RecordSource.Entry) -> Bool {
        !entry.isState && to < .max && entry.realNanoseconds > to &+ Self.graceNanoseconds
    }

    /// Whether it ends before it begins.
    var isEmpty: Bool { from > to }

    /// For a window in which nothing was; nil without a window.
    var hint: String? {
        guard let bounds else { return nil }
        return "nothing is told within that time; the recording goes from "
            + "\(Self.text(bounds.begin)) to \(Self.text(bounds.end))"
    }

    private static func text(_ time: Int64) -> String {
        var writer = ByteWriter(capacityBytes: 64)
        writer.time(realNanoseconds: time)
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}

/// How fast a recording is told.
enum ReplaySpeed: ExpressibleByArgument, Equatable {
    case full
    case times(Double)

    init?(argument: String) {
        switch argument {
        case "full": self = .full
        case "recorded": self = .times(1)
        default:
            guard let times = Double(argument), times >= 0.01, times <= 10_000 else { return nil }
            self = .times(times)
        }
    }

    var defaultValueDescription: String { "full" }
}

/// Waits until a record's time has come.
struct ReplayPace {
    private let speed: ReplaySpeed
    private var began: (clock: UInt64, recorded: Int64)?

    init(_ speed: ReplaySpeed) { self.speed = speed }

    /// The time between two agents is not waited for.
    mutating func restart() { began = nil }

    mutating func wait(until recorded: Int64) {
        guard case .times(let times) = speed else { return }
        let now = Clock.bootNanoseconds()
        guard let began else {
            began = (now, recorded)
            return
        }
        let due = Double(recorded - began.recorded) / times
        let passed = Double(now - began.clock)
        guard due > passed else { return }
        let rest = UInt64(min(due - passed, 9e18))
        var request = timespec(
            tv_sec: Int(rest / 1_000_000_000), tv_nsec: Int(rest % 1_000_000_000))
        var left = timespec()
        while nanosleep(&request, &left) != 0, errno == EINTR { request = left }
    }
}
