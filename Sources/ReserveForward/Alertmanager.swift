// SPDX-License-Identifier: Apache-2.0

import ReserveModel
import ReserveSinks

/// Bodies for `POST /api/v2/alerts` of Alertmanager.
///
/// An alert there is its labels: they hold what stays the same for as long as an incident lasts
/// and for the next one like it, so that silences and inhibitions hold too. Whatever changes is
/// an annotation. An incident that is critical stands as a warning as well.
struct AlertmanagerBody {
    static let name = "ReserveWatchAlert"

    /// Labels of the user's own.
    var labels: [(String, String)] = []
    var expireNanoseconds: Int64 = 3_600_000_000_000

    /// One that says that nothing is wrong, and goes by itself.
    func test(_ event: AlertEvent) -> [UInt8] {
        let own = [
            ("alertname", "ReserveWatchTest"), ("host", event.host), ("severity", "none"),
        ]
        let labels = (own + labels).map { ($0.0, JSONDocument.string($0.1)) }
        return JSONDocument.array([
            .object([
                ("labels", .object(labels)),
                ("annotations", .object([("summary", .string(event.sentence))])),
                ("startsAt", .string(timestamp(event.time))),
                ("endsAt", .string(timestamp(event.time + 60_000_000_000))),
            ])
        ]).bytes
    }

    /// The array for a posting.
    func bytes(_ posting: Posting, _ place: Place, _ delivery: Delivery) -> [UInt8] {
        let now = delivery.now
        var alerts: [JSONDocument] = []
        switch posting {
        case .event: break
        case .firing(let event, let ends, _):
            if let ends {
                alerts += entries(ends, end: min(event.since, now), delivery)
            }
            alerts += entries(event, end: nil, delivery, now: now)
        case .resolved(let event): alerts += entries(event, end: event.time, delivery)
        case .again:
            for standing in place.asserted.compactMap({ $0 }) {
                alerts += entries(standing.event, end: nil, delivery, now: now)
            }
        }
        return JSONDocument.array(alerts).bytes
    }

    /// - Parameter end: nil: it stands.
    private func entries(
        _ event: AlertEvent, end: Int64?, _ delivery: Delivery, now: Int64 = 0
    ) -> [JSONDocument] {
        let worst = event.isFiring ? event.level : event.peak
        let levels = [Alert.Level.warning, .critical].filter { $0 <= worst }
        return levels.map { level in
            let start = level == .critical ? event.criticalSince ?? event.since : event.since
            // Alertmanager refuses what ends before it begins, which clocks can bring about.
            let end = end.map { max($0, start) } ?? max(now, start) + expireNanoseconds
            return .object([
                ("labels", .object(labels(of: event, level))),
                ("annotations", .object(annotations(of: event, delivery))),
                ("startsAt", .string(timestamp(start))), ("endsAt", .string(timestamp(end))),
            ])
        }
    }

    private func labels(of event: AlertEvent, _ level: Alert.Level) -> [(String, JSONDocument)] {
        let own = [
            ("alertname", Self.name), ("host", event.host), ("track", "\(event.track.word)"),
            ("severity", "\(level.word)"),
        ]
        return (own + labels).map { ($0.0, .string($0.1)) }
    }

    private func annotations(
        of event: AlertEvent, _ delivery: Delivery
    ) -> [(String, JSONDocument)] {
        let why = event.reasons.isEmpty ? "" : " (\(event.reasons.joined(separator: ", ")))"
        let worst = event.isFiring ? event.level : event.peak
        var texts = [
            ("summary", "\(event.host): \(worst.word) \(event.track.word), \(event.verdict)\(why)"),
            ("description", event.sentence),
            ("incident", "\(event.incident)"), ("boot_id", event.bootID),
            ("since", timestamp(event.since)), ("told_at", timestamp(event.time)),
            ("told", "\(event.told)"), ("verdict", event.verdict),
        ]
        texts.append(("reasons", event.reasons.joined(separator: " ")))
        for index in stride(from: 0, to: event.findings.count - 1, by: 2) {
            texts.append((event.findings[index], event.findings[index + 1]))
        }
        texts.append(("advice", event.advice))
        texts.append(("runbook", "docs/runbook.md#\(Self.name.lowercased())"))
        if !event.isFiring { texts.append(("ended", ended(event))) }
        if delivery.drops > 0 {
            texts.append(("dropped_before", "\(delivery.drops)"))
        }
        if let absence = delivery.absence, event.isFiring { texts.append(("agent", absence)) }
        return texts.filter { !$0.1.isEmpty }.map { ($0.0, .string($0.1)) }
    }

    private func ended(_ event: AlertEvent) -> String {
        event.cause.isLatest
            ? "not known; at the latest \(timestamp(event.time))" : timestamp(event.time)
    }
}
