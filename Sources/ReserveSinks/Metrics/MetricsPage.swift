// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// A whole page of metrics.
public struct MetricsPage: Sendable {
    public let bytes: [UInt8]
    /// Samples on it.
    public let series: Int
    /// Samples that would have been a second one of the same series.
    public let leftOut: UInt64

    /// - Parameter picture: nil where no agent runs; then only the reader speaks for itself.
    public init(
        _ format: MetricsFormat, picture: Picture?, reader: ReaderFacts,
        metrics: [Metric] = MetricsRegistry.all
    ) {
        var capacity = 256 * 1024
        while true {
            var writer = MetricWriter(format: format, capacityBytes: capacity)
            for metric in metrics {
                writer.begin(metric)
                switch metric.source {
                case .picture(let collect):
                    if let picture { collect(picture, &writer) }
                case .reader(let collect): collect(reader, &writer)
                }
                writer.end()
            }
            Self.tellLeftOut(&writer)
            writer.finish()
            if writer.out.isWhole {
                bytes = Array(writer.out.bytes)
                series = writer.series
                leftOut = writer.leftOut
                return
            }
            capacity *= 4
        }
    }

    /// Known only when all the rest has been written.
    private static func tellLeftOut(_ writer: inout MetricWriter) {
        let count = writer.leftOut
        writer.begin(MetricsRegistry.leftOut)
        writer.sample(.number(count))
        writer.end()
    }
}

/// Every metric there is, in the order of the page.
public enum MetricsRegistry {
    public static let all: [Metric] =
        readerMetrics + verdictMetrics + memoryMetrics + reserveMetrics + reclaimMetrics
        + slabMetrics + deviceMetrics + swapMetrics + socketMetrics + enforceMetrics
        + guardMetrics + agentMetrics + kernelSideMetrics + lossMetrics + forwardMetrics

    /// Written at the end of each page.
    static let leftOut = Metric.reader(
        "reservewatch_exporter_left_out_samples", .gauge,
        "Samples that this page left out, because a cut or cleaned name made two series one.",
        { _, _ in })

    /// With the one that ends each page.
    public static let documented: [Metric] = all + [leftOut]
}
