// SPDX-License-Identifier: Apache-2.0

import ReserveModel
import ReserveSinks

/// Bodies for OTLP/HTTP logs (`POST /v1/logs`) in the JSON encoding of OpenTelemetry's protocol
/// buffers: 64-bit numbers are strings.
struct OTLPFormat: Sendable {
    var version = ""
    var labels: [(String, String)] = []

    func bytes(_ event: AlertEvent, _ delivery: Delivery) -> [UInt8] {
        let resource =
            [
                ("service.name", "reservewatch"), ("service.version", version),
                ("host.name", event.host),
            ] + labels
        let record: [(String, JSONDocument)] = [
            ("timeUnixNano", .string("\(event.time)")),
            ("observedTimeUnixNano", .string("\(event.queued)")),
            ("severityNumber", .number(event.otlpSeverity)),
            ("severityText", .string("\(event.level.word)")),
            ("body", .object([("stringValue", .string(event.sentence))])),
            (
                "attributes",
                Self.attributes(
                    [("event.name", "reservewatch.alert")]
                        + event.fields(delivery).map { ("reservewatch.\($0.0.lowercased())", $0.1) }
                )
            ),
        ]
        let scope: [(String, JSONDocument)] = [
            ("name", .string("reservewatch")), ("version", .string(version)),
        ]
        let logs: [(String, JSONDocument)] = [
            ("resource", .object([("attributes", Self.attributes(resource))])),
            (
                "scopeLogs",
                .array([
                    .object([("scope", .object(scope)), ("logRecords", .array([.object(record)]))])
                ])
            ),
        ]
        return JSONDocument.object([("resourceLogs", .array([.object(logs)]))]).bytes
    }

    private static func attributes(_ values: [(String, String)]) -> JSONDocument {
        .array(
            values.filter { !$0.1.isEmpty }.map {
                .object([
                    ("key", .string($0.0)),
                    ("value", .object([("stringValue", .string($0.1))])),
                ])
            })
    }

    /// Taken, and yet not: `{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"..."}}`.
    static func isRejected(_ body: [UInt8]) -> Bool {
        let text = String(decoding: body, as: UTF8.self).filter { !$0.isWhitespace && $0 != "\"" }
        guard let name = text.firstRange(of: "rejectedLogRecords:") else { return false }
        let digits = text[name.upperBound...].prefix { $0.isNumber }
        return digits.contains { $0 != "0" }
    }
}

extension AlertEvent {
    /// OpenTelemetry's numbers for syslog's critical, warning and notice.
    fileprivate var otlpSeverity: UInt64 {
        switch level {
        case .critical: return 18
        case .warning: return 13
        case .resolved: return 10
        }
    }
}
