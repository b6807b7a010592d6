// SPDX-License-Identifier: Apache-2.0

/// docs/metrics.md: the registry, to read.
public enum MetricsDocument {
    public static var markdown: String {
        var text = opening
        for (title, metrics) in sections {
            text += "\n## \(title)\n\n| metric | type | labels | what it says | from |\n"
            text += "|---|---|---|---|---|\n"
            for metric in metrics { text += row(metric) }
        }
        return text + closing
    }

    private static let sections: [(String, [Metric])] = [
        ("The reader", MetricsRegistry.readerMetrics + [MetricsRegistry.leftOut]),
        ("Verdict, alerts, exposure", MetricsRegistry.verdictMetrics),
        ("Memory", MetricsRegistry.memoryMetrics),
        ("The reserve", MetricsRegistry.reserveMetrics),
        ("Reclaim", MetricsRegistry.reclaimMetrics),
        ("Slab", MetricsRegistry.slabMetrics),
        ("NBD devices", MetricsRegistry.deviceMetrics),
        ("Swap", MetricsRegistry.swapMetrics),
        ("Sockets and packets", MetricsRegistry.socketMetrics),
        ("Rules", MetricsRegistry.enforceMetrics),
        ("The guard", MetricsRegistry.guardMetrics),
        ("The agent", MetricsRegistry.agentMetrics),
        ("What the agent has in the kernel", MetricsRegistry.kernelSideMetrics),
        ("Loss", MetricsRegistry.lossMetrics),
        ("The delivery of alerts", MetricsRegistry.forwardMetrics),
    ]

    private static func row(_ metric: Metric) -> String {
        let labels = metric.labels.map { "`\($0)`" }.joined(separator: ", ")
        return "| `\(metric.name)` | \(metric.kind.rawValue) | \(labels) | \(metric.help) "
            + "| \(metric.origin) |\n"
    }

    private static let opening = """
        # Metrics

        Made from the registry in `Sources/ReserveSinks/Metrics` by \
        `reservewatch metrics --describe markdown`; `make check` compares.

        Read by `reservewatch metrics`, see [prometheus.md](prometheus.md). What is unknown on \
        a host is absent there, never 0. Counters begin with the agent, at \
        `reservewatch_agent_start_time_seconds`, except where the text says since boot; they \
        are counted in the kernel, so that a scrape that comes late misses nothing. Sizes are \
        bytes, times seconds, shares ratios. State sets have one series for each state, 1 for \
        the one that is.

        No label names a process, a cgroup or a socket: what can be many is in the events.

        """

    private static let closing = """

        ## Histograms

        Buckets are those of the kernel side, powers of two: from 16 us (all that is shorter \
        is in the first) to 8.4 s. A duration of exactly a bound counts in the bucket above. \
        Only `reservewatch_direct_reclaim_duration_seconds` has a `_sum`; the kernel side keeps \
        none of the others, and none is made up. Without a sum, OpenMetrics has no `_count` \
        either: use the bucket `le="+Inf"`. The text format has `_count` always.

        """
}
