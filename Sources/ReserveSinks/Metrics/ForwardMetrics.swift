// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension MetricsRegistry {
    /// How the delivery of alerts goes: absent where nobody forwards any.
    static let forwardMetrics: [Metric] = [
        .reader(
            "reservewatch_forward_up", .gauge,
            "1 when forward told its state within 30 s; 0: it ended, or is frozen. The other figures of forward are absent then.",
            from: origin
        ) { facts, out in
            guard let age = facts.forwardAgeNanoseconds else { return }
            out.sample(.flag(age <= Self.freshNanoseconds))
        },
        .reader(
            "reservewatch_forward_status_age_seconds", .gauge, unit: .seconds,
            "Since forward told its state.", from: origin
        ) { $1.sample($0.forwardAgeNanoseconds.map { .nanoseconds($0) }) },
        status(
            "reservewatch_forward_following", .gauge, "1 when forward reads the box of an agent."
        ) { .flag($0.isFollowing) },
        status(
            "reservewatch_forward_queue_bytes", .gauge, unit: .bytes,
            "What the queue takes on disk."
        ) { .number($0.queueBytes) },
        status(
            "reservewatch_forward_queue_errors_total", .counter,
            "Attempts to write the queue that failed: alerts wait in memory meanwhile."
        ) { .number($0.queueFailures) },
        status(
            "reservewatch_forward_missed_lines_total", .counter,
            "Alert lines that the box had overwritten before forward read them."
        ) { .number($0.missedLines) },
        status(
            "reservewatch_forward_missed_incidents_total", .counter,
            "Incidents of which forward read nothing at all."
        ) { .number($0.missedIncidents) },
        destination(
            "reservewatch_forward_queued_alerts", .gauge,
            "Alerts that the destination does not have yet."
        ) { .number($0.queued) },
        destination(
            "reservewatch_forward_oldest_waiting_seconds", .gauge, unit: .seconds,
            "How long the oldest of them has been in the queue; 0: none waits."
        ) { .nanoseconds($0.oldestNanoseconds) },
        destination(
            "reservewatch_forward_sent_alerts_total", .counter,
            "Alerts that the destination acknowledged."
        ) { .number($0.sent) },
        destination(
            "reservewatch_forward_last_success_timestamp_seconds", .gauge, unit: .seconds,
            "When the destination last took something; absent: it never did."
        ) { $0.lastSuccess.map { .nanoseconds(UInt64(clamping: $0)) } },
        .reader(
            "reservewatch_forward_failed_attempts_total", .counter,
            by: ["destination", "endpoint", "cause"],
            "Attempts to deliver that failed, and are made again.", from: origin
        ) { facts, out in
            for each in facts.freshForward?.destinations ?? [] {
                for cause in FailureCause.allCases {
                    out.sample(
                        .number(each.failed[cause] ?? 0), .text(FixedText(each.name)),
                        .text(FixedText(each.endpoint)), .word(cause.word))
                }
            }
        },
        .reader(
            "reservewatch_forward_dropped_alerts_total", .counter,
            by: ["destination", "endpoint", "cause"],
            "Alerts that were given up: refused by the destination, for want of room, too old, or damaged.",
            from: origin
        ) { facts, out in
            for each in facts.freshForward?.destinations ?? [] {
                for cause in DropCause.allCases {
                    out.sample(
                        .number(each.dropped[cause] ?? 0), .text(FixedText(each.name)),
                        .text(FixedText(each.endpoint)), .word(cause.word))
                }
            }
        },
    ]

    static let freshNanoseconds = 3 * ForwardStatus.writtenEachNanoseconds
    private static let origin: StaticString = "forward's status file"

    private static func status(
        _ name: StaticString, _ kind: Metric.Kind, unit: Metric.Unit = .none, _ help: StaticString,
        _ value: @escaping @Sendable (ForwardStatus) -> MetricValue
    ) -> Metric {
        .reader(name, kind, unit: unit, help, from: origin) { facts, out in
            out.sample(facts.freshForward.map(value))
        }
    }

    private static func destination(
        _ name: StaticString, _ kind: Metric.Kind, unit: Metric.Unit = .none, _ help: StaticString,
        _ value: @escaping @Sendable (ForwardStatus.Destination) -> MetricValue?
    ) -> Metric {
        .reader(
            name, kind, unit: unit, by: ["destination", "endpoint"], help, from: origin
        ) { facts, out in
            for each in facts.freshForward?.destinations ?? [] {
                out.sample(
                    value(each), .text(FixedText(each.name)), .text(FixedText(each.endpoint)))
            }
        }
    }
}

extension ReaderFacts {
    /// What forward told, as long as it says something of now.
    fileprivate var freshForward: ForwardStatus? {
        guard let age = forwardAgeNanoseconds, age <= MetricsRegistry.freshNanoseconds else {
            return nil
        }
        return forward
    }
}

extension FixedText {
    fileprivate init(_ text: String) {
        self = Array(text.utf8).withUnsafeBytes { FixedText(bytes: $0) }
    }
}
