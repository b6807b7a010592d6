// SPDX-License-Identifier: Apache-2.0

/// A figure over time in bounded room, however long the recording is.
///
/// Each bucket keeps the lowest, the highest and the last value, so that a dip is never
/// averaged away. When the room is used up, neighbours are joined and buckets get twice as wide.
struct ReportSeries: Sendable {
    struct Bucket: Sendable, Equatable {
        var lowest: UInt64
        var highest: UInt64
        var last: UInt64
        /// When the last value came, in nanoseconds since the origin.
        var at: UInt64
    }

    static let capacity = 1200
    static let narrowestNanoseconds: UInt64 = 50_000_000

    private let origin: UInt64
    private(set) var widthNanoseconds = ReportSeries.narrowestNanoseconds
    private var buckets: [Bucket?] = []

    /// - Parameter origin: CLOCK_BOOTTIME of the recording's begin; what came before counts as it.
    init(origin: UInt64) {
        self.origin = origin
    }

    /// - Parameter lowest: lowest since the former value, where the kernel's timer saw one.
    mutating func add(_ value: UInt64, at now: UInt64, lowest: UInt64? = nil) {
        let since = now > origin ? now - origin : 0
        while Int(since / widthNanoseconds) >= Self.capacity { widen() }
        let index = Int(since / widthNanoseconds)
        while buckets.count <= index { buckets.append(nil) }
        let low = min(value, lowest ?? value)
        if var bucket = buckets[index] {
            bucket.lowest = min(bucket.lowest, low)
            bucket.highest = max(bucket.highest, value)
            bucket.last = value
            bucket.at = max(bucket.at, since)
            buckets[index] = bucket
        } else {
            buckets[index] = Bucket(lowest: low, highest: value, last: value, at: since)
        }
    }

    private mutating func widen() {
        widthNanoseconds *= 2
        var joined: [Bucket?] = []
        joined.reserveCapacity(Self.capacity)
        for index in stride(from: 0, to: buckets.count, by: 2) {
            let later = index + 1 < buckets.count ? buckets[index + 1] : nil
            joined.append(Self.join(buckets[index], later))
        }
        buckets = joined
    }

    private static func join(_ earlier: Bucket?, _ later: Bucket?) -> Bucket? {
        guard let earlier else { return later }
        guard let later else { return earlier }
        return Bucket(
            lowest: min(earlier.lowest, later.lowest),
            highest: max(earlier.highest, later.highest), last: later.last, at: later.at)
    }

    /// The buckets that hold something.
    var all: [Bucket] { buckets.compactMap { $0 } }

    /// Figures come ten times a second, of sockets once a second: after this long without one
    /// nothing is known.
    static let holeNanoseconds: UInt64 = 2_000_000_000

    /// Whether nothing came for so long before the second of two neighbours.
    func isHole(_ one: Bucket, _ other: Bucket) -> Bool {
        other.at - min(one.at, other.at) > max(Self.holeNanoseconds, 2 * widthNanoseconds)
    }

    /// ... without those inside a run of one value, but with both ends of each hole.
    var points: [Bucket] { kept.map(\.bucket) }

    /// ... and whether a hole is before each.
    var kept: [(bucket: Bucket, isAfterHole: Bool)] {
        let full = all
        return full.indices.compactMap { index in
            let isAfterHole = index > 0 && isHole(full[index - 1], full[index])
            if !isAfterHole, index > 0, index + 1 < full.count,
                !isHole(full[index], full[index + 1]), Self.same(full[index - 1], full[index]),
                Self.same(full[index], full[index + 1])
            {
                return nil
            }
            return (bucket: full[index], isAfterHole: isAfterHole)
        }
    }

    private static func same(_ one: Bucket, _ other: Bucket) -> Bool {
        one.lowest == other.lowest && one.highest == other.highest && one.last == other.last
    }
}

/// Several figures that belong on one set of axes.
struct ReportChart: Sendable {
    /// How a line is told apart without its colour.
    enum Style: String, Sendable {
        case figure, mark, dashed, dotted, limit, point
    }

    struct Line: Sendable {
        var name: String
        var style: Style
        var series: ReportSeries
        /// The series holds totals; what is drawn is how fast they rise.
        var isTotal = false

        /// Lowest, highest and last of what is drawn, in the chart's unit.
        func range(of chart: ReportChart) -> (lowest: String, highest: String, last: String)? {
            let points = series.points
            guard let first = points.first, let end = points.last else { return nil }
            func shown(_ value: UInt64) -> String {
                "\(value.multipliedReportingOverflow(by: chart.numerator).partialValue / chart.denominator)"
            }
            guard isTotal else {
                return (
                    shown(points.reduce(first.lowest) { min($0, $1.lowest) }),
                    shown(points.reduce(first.highest) { max($0, $1.highest) }), shown(end.last)
                )
            }
            var rates: [UInt64] = []
            for (earlier, later) in zip(points, points.dropFirst()) where later.at > earlier.at {
                let rise = later.last > earlier.last ? later.last - earlier.last : 0
                let milliseconds = max((later.at - earlier.at) / 1_000_000, 1)
                rates.append(rise &* 1000 / milliseconds)
            }
            guard let last = rates.last, let low = rates.min(), let high = rates.max() else {
                return nil
            }
            return (shown(low), shown(high), shown(last))
        }
    }

    var id: String
    var title: String
    /// What the figures count: kB, requests, ms, pages/s.
    var unit: String
    /// Where the figures come from.
    var source: String
    /// What a value of the series is multiplied with to give `unit`.
    var numerator: UInt64 = 1
    var denominator: UInt64 = 1
    var lines: [Line] = []

    mutating func add(
        _ value: UInt64, to name: String, _ style: Style = .figure, at now: UInt64, origin: UInt64,
        lowest: UInt64? = nil, isTotal: Bool = false
    ) {
        let index: Int
        if let found = lines.firstIndex(where: { $0.name == name }) {
            index = found
        } else {
            lines.append(
                Line(
                    name: name, style: style, series: ReportSeries(origin: origin),
                    isTotal: isTotal))
            index = lines.count - 1
        }
        lines[index].series.add(value, at: now, lowest: lowest)
    }
}
