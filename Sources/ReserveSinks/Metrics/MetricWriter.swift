// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// The two formats in which Prometheus reads metrics.
public enum MetricsFormat: String, CaseIterable, Sendable {
    /// Prometheus text 0.0.4.
    case text
    /// OpenMetrics 1.0.0.
    case openmetrics

    public var contentType: String {
        switch self {
        case .text: return "text/plain; version=0.0.4; charset=utf-8"
        case .openmetrics: return "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }
}

/// Writes the samples of one metric after the other.
///
/// A metric without a sample leaves no trace: what is unknown is absent, its name too.
struct MetricWriter: ~Copyable {
    private(set) var out: ByteWriter
    private let format: MetricsFormat
    private var metric: Metric?
    private var begunAt = 0
    private var samples = 0
    /// Series of the metric that is being written: a name cut short or made harmless may be
    /// that of another.
    private var seen: Set<[UInt8]> = []
    /// Samples that were left out, because the same series was there already.
    private(set) var leftOut: UInt64 = 0
    private(set) var series = 0

    init(format: MetricsFormat, capacityBytes: Int) {
        out = ByteWriter(capacityBytes: capacityBytes)
        self.format = format
    }

    mutating func begin(_ metric: Metric) {
        self.metric = metric
        begunAt = out.count
        samples = 0
        seen.removeAll(keepingCapacity: true)
        out.text("# HELP ")
        familyName(metric)
        out.byte(UInt8(ascii: " "))
        escapedHelp(metric.help)
        out.text("\n# TYPE ")
        familyName(metric)
        switch metric.kind {
        case .gauge: out.text(" gauge\n")
        case .counter: out.text(" counter\n")
        case .histogram: out.text(" histogram\n")
        case .info: out.text(format == .text ? " gauge\n" : " info\n")
        }
        if format == .openmetrics, metric.unit != .none {
            out.text("# UNIT ")
            familyName(metric)
            out.byte(UInt8(ascii: " "))
            for byte in metric.unit.rawValue.utf8 { out.byte(byte) }
            out.byte(UInt8(ascii: "\n"))
        }
    }

    /// Takes the metric's header back where it had no sample.
    mutating func end() {
        if samples == 0 { out.cut(to: begunAt) }
        metric = nil
    }

    mutating func finish() {
        if format == .openmetrics { out.text("# EOF\n") }
    }

    // MARK: samples

    /// One sample, with the values of the metric's labels in their order; nil: unknown.
    mutating func sample(_ value: MetricValue?, _ labels: MetricLabel...) {
        sample(value, labels: labels)
    }

    /// One sample for each state, 1 for the one that is.
    mutating func states<State: Equatable>(
        _ all: [State], is state: State, word: (State) -> StaticString, _ labels: MetricLabel...
    ) {
        for each in all { sample(.flag(each == state), labels: labels + [.word(word(each))]) }
    }

    private mutating func sample(_ value: MetricValue?, labels: [MetricLabel]) {
        guard let value, open("", labels, bound: nil) else { return }
        write(value)
    }

    /// Cumulative buckets. The kernel side keeps no sum of most: then there is none here.
    mutating func histogram(
        _ buckets: LatencyBuckets, sumNanoseconds: UInt64? = nil, _ labels: MetricLabel...
    ) {
        var count: UInt64 = 0
        for index in 0..<Self.firstBound { count &+= buckets[index] }
        for (index, bound) in Self.bounds.enumerated() {
            // Bucket i of the kernel ends where bucket i + 1 begins, at 2^(i+1) us.
            if open("_bucket", labels, bound: bound) { write(.number(count)) }
            count &+= buckets[Self.firstBound + index]
        }
        if open("_bucket", labels, bound: "+Inf") { write(.number(count)) }
        if let sumNanoseconds, open("_sum", labels, bound: nil) {
            write(.nanoseconds(sumNanoseconds))
        }
        // OpenMetrics has a count only where there is a sum.
        if format == .text || sumNanoseconds != nil, open("_count", labels, bound: nil) {
            write(.number(count))
        }
    }

    /// The bound of the first bucket that is told is 2^4 us: what is shorter is in it.
    private static let firstBound = 4
    /// As Go writes them, so that every Prometheus has the same series.
    static let bounds: [StaticString] = [
        "1.6e-05", "3.2e-05", "6.4e-05", "0.000128", "0.000256", "0.000512", "0.001024",
        "0.002048", "0.004096", "0.008192", "0.016384", "0.032768", "0.065536", "0.131072",
        "0.262144", "0.524288", "1.048576", "2.097152", "4.194304", "8.388608",
    ]

    /// Name and labels, where the series is new and has all its labels.
    private mutating func open(
        _ suffix: StaticString, _ labels: [MetricLabel], bound: StaticString?
    ) -> Bool {
        guard let metric, labels.count == metric.labels.count else {
            leftOut &+= 1
            return false
        }
        let start = out.count
        out.text(metric.name)
        out.text(suffix)
        if !labels.isEmpty || bound != nil {
            var separator = UInt8(ascii: "{")
            for (name, label) in zip(metric.labels, labels) {
                out.byte(separator)
                out.text(name)
                out.text("=\"")
                value(of: label)
                out.byte(UInt8(ascii: "\""))
                separator = UInt8(ascii: ",")
            }
            if let bound {
                out.byte(separator)
                out.text("le=\"")
                out.text(bound)
                out.byte(UInt8(ascii: "\""))
            }
            out.byte(UInt8(ascii: "}"))
        }
        guard seen.insert(Array(out.bytes[start...])).inserted else {
            out.cut(to: start)
            leftOut &+= 1
            return false
        }
        samples += 1
        series += 1
        return true
    }

    private mutating func value(of label: MetricLabel) {
        switch label {
        case .word(let word): out.text(word)
        case .number(let number): out.number(number)
        case .name(let name): out.label(foreign: name)
        case .text(let text): out.label(foreign: text)
        case .device(let major, let minor):
            out.number(UInt64(major))
            out.byte(UInt8(ascii: ":"))
            out.number(UInt64(minor))
        }
    }

    private mutating func write(_ value: MetricValue) {
        out.byte(UInt8(ascii: " "))
        switch value {
        case .number(let number): out.number(number)
        case .signed(let number): out.number(number)
        case .flag(let flag): out.byte(flag ? UInt8(ascii: "1") : UInt8(ascii: "0"))
        case .nanoseconds(let time): decimal(time, scale: 1_000_000_000, width: 9)
        case .microseconds(let time): decimal(time, scale: 1_000_000, width: 6)
        case .hundredths(let share): decimal(UInt64(share), scale: 10_000, width: 4)
        }
        out.byte(UInt8(ascii: "\n"))
    }

    private mutating func decimal(_ value: UInt64, scale: UInt64, width: Int) {
        out.number(value / scale)
        var rest = value % scale
        guard rest > 0 else { return }
        var width = width
        while rest % 10 == 0 {
            rest /= 10
            width -= 1
        }
        out.byte(UInt8(ascii: "."))
        out.padded(rest, width: width)
    }

    private mutating func familyName(_ metric: Metric) {
        let length = format == .openmetrics ? metric.familyBytes : metric.name.utf8CodeUnitCount
        for index in 0..<length { out.byte(metric.name.utf8Start[index]) }
    }

    private mutating func escapedHelp(_ help: StaticString) {
        for index in 0..<help.utf8CodeUnitCount {
            let byte = help.utf8Start[index]
            if byte == UInt8(ascii: "\\") || byte == UInt8(ascii: "\"") && format == .openmetrics {
                out.byte(UInt8(ascii: "\\"))
            }
            out.byte(byte)
        }
    }
}

extension ByteWriter {
    /// As the value of a label: quote, backslash and newline escaped, other control characters
    /// and what is no UTF-8 replaced by U+FFFD.
    mutating func label(foreign text: some ForeignBytes) {
        var index = 0
        while index < text.count {
            let value = text[index]
            switch value {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                byte(UInt8(ascii: "\\"))
                byte(value)
                index += 1
            case UInt8(ascii: "\n"):
                self.text("\\n")
                index += 1
            case 0..<0x20, 0x7f:
                self.text("\u{fffd}")
                index += 1
            default: index += scalar(text, at: index, replacement: "\u{fffd}")
            }
        }
    }
}
