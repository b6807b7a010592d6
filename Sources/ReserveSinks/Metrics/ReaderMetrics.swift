// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension MetricsRegistry {
    /// What the reader knows without an agent.
    static let readerMetrics: [Metric] = [
        .reader(
            "reservewatch_up", .gauge,
            "1 while an agent writes the black box that is read, else 0; then nothing but the reader's own metrics is here."
        ) { $1.sample(.flag($0.isUp)) },
        .reader(
            "reservewatch_beat_age_seconds", .gauge, unit: .seconds,
            "Since the agent's loop last turned; it turns ten times a second.",
            from: "black box header"
        ) { $1.sample($0.beatAgeNanoseconds.map { .nanoseconds($0) }) },
        .reader(
            "reservewatch_direct_reclaim_most_inside", .gauge,
            "Most tasks seen inside direct reclaim at once for longer than the slow threshold, as far back as this reader saw.",
            from: "direct_reclaim records"
        ) { $1.sample($0.marks.reclaimers.map { .number(UInt64($0)) }) },
        .reader(
            "reservewatch_throttle_most_waiters", .gauge,
            "Most tasks seen asleep in throttle_direct_reclaim() at once, as far back as this reader saw.",
            from: "throttle records"
        ) { $1.sample($0.marks.throttled.map { .number(UInt64($0)) }) },
        .reader(
            "reservewatch_nbd_worst_oldest_request_seconds", .gauge, unit: .seconds, by: ["device"],
            "Greatest age that a request in flight was seen to have, since the agent's start, or as far back as this reader saw.",
            from: "nbd device records"
        ) { facts, out in
            for device in facts.marks.devices {
                out.sample(.nanoseconds(device.oldestNanoseconds), .name(device.disk))
            }
        },
        .reader(
            "reservewatch_nbd_most_requests_in_flight", .gauge, by: ["device"],
            "Most requests seen in flight at once, since the agent's start, or as far back as this reader saw.",
            from: "nbd device records"
        ) { facts, out in
            for device in facts.marks.devices {
                out.sample(.number(device.inFlight), .name(device.disk))
            }
        },
        .reader(
            "reservewatch_exporter_skipped_records_total", .counter,
            "Records that the agent overwrote before this reader came to them; it then began anew with the states, so that totals stay right."
        ) { $1.sample(.number($0.skippedRecords)) },
        .reader(
            "reservewatch_exporter_box_opens_total", .counter,
            "How often a black box was opened: the first time, for each new agent, after each loss."
        ) { $1.sample(.number($0.boxOpens)) },
        .reader(
            "reservewatch_exporter_scrapes_total", .counter, by: ["format"],
            "Pages of metrics that were made, by format."
        ) { facts, out in
            out.sample(.number(facts.scrapes.text), .word("text"))
            out.sample(.number(facts.scrapes.openMetrics), .word("openmetrics"))
        },
        .reader(
            "reservewatch_exporter_scrape_duration_seconds", .gauge, unit: .seconds,
            "How long the page before this one took to make; absent on the first."
        ) { $1.sample($0.lastPageNanoseconds.map { .nanoseconds($0) }) },
        .reader(
            "reservewatch_exporter_unserved_connections_total", .counter, by: ["reason"],
            "Connections that ended without a page: evicted for a newer one, past their deadline, or with a request that was refused."
        ) { facts, out in
            out.sample(.number(facts.evictedConnections), .word("evicted"))
            out.sample(.number(facts.lateConnections), .word("deadline"))
            out.sample(.number(facts.refusedRequests), .word("refused"))
        },
        .reader(
            "reservewatch_exporter_textfile_errors_total", .counter,
            "Failed attempts to write the file of --textfile."
        ) { $1.sample(.number($0.textfileErrors)) },
    ]
}
