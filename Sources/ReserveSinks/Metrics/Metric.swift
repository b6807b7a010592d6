// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// One metric: what it is called, what it says, and how it is got.
///
/// The registry is made of these; the pages, docs/metrics.md and the checks of dashboards and
/// rules all come from it.
public struct Metric: Sendable {
    public enum Kind: String, Sendable {
        case gauge
        case counter
        case histogram
        case info
    }

    /// Prometheus' base units, which end the name.
    public enum Unit: String, Sendable {
        case none = ""
        case bytes
        case seconds
        case ratio
    }

    enum Source: Sendable {
        /// From what the agent tells: absent when no agent runs.
        case picture(@Sendable (Picture, inout MetricWriter) -> Void)
        /// From the reader itself: always there.
        case reader(@Sendable (ReaderFacts, inout MetricWriter) -> Void)
    }

    /// With `_total` or `_info`, as it is queried.
    public let name: StaticString
    public let kind: Kind
    public let unit: Unit
    public let labels: [StaticString]
    public let help: StaticString
    /// What gives it: a field of the kernel, or what of the agent.
    public let origin: StaticString
    let source: Source

    /// The name without what its kind adds, as OpenMetrics calls the family.
    var familyBytes: Int {
        let suffix = kind == .counter ? "_total".utf8.count : kind == .info ? "_info".utf8.count : 0
        return name.utf8CodeUnitCount - suffix
    }

    static func gauge(
        _ name: StaticString, unit: Unit = .none, by labels: [StaticString] = [],
        _ help: StaticString, from origin: StaticString,
        _ collect: @escaping @Sendable (Picture, inout MetricWriter) -> Void
    ) -> Metric {
        Metric(
            name: name, kind: .gauge, unit: unit, labels: labels, help: help, origin: origin,
            source: .picture(collect))
    }

    static func counter(
        _ name: StaticString, unit: Unit = .none, by labels: [StaticString] = [],
        _ help: StaticString, from origin: StaticString,
        _ collect: @escaping @Sendable (Picture, inout MetricWriter) -> Void
    ) -> Metric {
        Metric(
            name: name, kind: .counter, unit: unit, labels: labels, help: help, origin: origin,
            source: .picture(collect))
    }

    static func histogram(
        _ name: StaticString, by labels: [StaticString] = [], _ help: StaticString,
        from origin: StaticString,
        _ collect: @escaping @Sendable (Picture, inout MetricWriter) -> Void
    ) -> Metric {
        Metric(
            name: name, kind: .histogram, unit: .seconds, labels: labels, help: help,
            origin: origin, source: .picture(collect))
    }

    static func reader(
        _ name: StaticString, _ kind: Kind, unit: Unit = .none, by labels: [StaticString] = [],
        _ help: StaticString, from origin: StaticString = "this reader",
        _ collect: @escaping @Sendable (ReaderFacts, inout MetricWriter) -> Void
    ) -> Metric {
        Metric(
            name: name, kind: kind, unit: unit, labels: labels, help: help, origin: origin,
            source: .reader(collect))
    }
}

/// A value in its own unit; written in base units, exactly.
enum MetricValue {
    case number(UInt64)
    case signed(Int64)
    case nanoseconds(UInt64)
    case microseconds(UInt64)
    /// Hundredths of a percent, as a ratio.
    case hundredths(UInt32)
    case flag(Bool)
}

/// The value of one label.
enum MetricLabel {
    case word(StaticString)
    case number(UInt64)
    case name(FixedName)
    case text(FixedText)
    /// "8:16"
    case device(major: UInt32, minor: UInt32)
}

/// What the reader knows of itself and of the agent's box.
public struct ReaderFacts: Sendable {
    /// An agent writes the box that is read.
    public var isUp = false
    /// Since the loop of the agent last turned; nil: no agent.
    public var beatAgeNanoseconds: UInt64?
    /// Records that were overwritten before they were read.
    public var skippedRecords: UInt64 = 0
    /// How often a box was opened: the first, after each agent's end, after each loss.
    public var boxOpens: UInt64 = 0
    public var scrapes: (text: UInt64, openMetrics: UInt64) = (0, 0)
    /// Connections that were ended before they had their answer.
    public var evictedConnections: UInt64 = 0
    public var lateConnections: UInt64 = 0
    public var refusedRequests: UInt64 = 0
    public var textfileErrors: UInt64 = 0
    /// Of the page before this one; nil: this is the first.
    public var lastPageNanoseconds: UInt64?
    public var marks = HighMarks()
    /// What forward told last, and since when; nil: nobody forwards.
    public var forward: ForwardStatus?
    public var forwardAgeNanoseconds: UInt64?

    public init() {}
}

/// The worst since the reader's start: what a scrape came too late to see.
public struct HighMarks: Sendable {
    public struct Device: Sendable {
        public var disk: FixedName
        public var oldestNanoseconds: UInt64
        public var inFlight: UInt64
    }

    public private(set) var devices: [Device] = []
    /// nil: not observed, as far as this reader saw.
    public private(set) var reclaimers: Int?
    public private(set) var throttled: Int?

    public init() {}

    public mutating func take(_ picture: Picture) {
        guard let counters = picture.counters else { return }
        if counters.directReclaim != nil {
            reclaimers = max(reclaimers ?? 0, picture.mostReclaimers)
        }
        if picture.throttledKnown { throttled = max(throttled ?? 0, picture.mostThrottled) }
        guard counters.nbdKnown else { return }
        for index in picture.devices.indices {
            let state = picture.devices[index]
            let found = devices.firstIndex { $0.disk == state.sample.disk }
            if found == nil {
                devices.append(Device(disk: state.sample.disk, oldestNanoseconds: 0, inFlight: 0))
            }
            let place = found ?? devices.count - 1
            devices[place].oldestNanoseconds = max(
                devices[place].oldestNanoseconds, state.worstOldestNanoseconds)
            devices[place].inFlight = max(devices[place].inFlight, state.mostInFlight)
        }
    }
}
