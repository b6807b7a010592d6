// SPDX-License-Identifier: Apache-2.0

import ReserveModel
import ReserveSinks

/// What is said of an attempt, beside the alert.
struct Delivery {
    /// As the destination is configured.
    var destination = ""
    /// Of this alert, from 1.
    var attempt = 1
    /// Alerts that were given up for this destination before this one.
    var drops: UInt64 = 0
    /// Of the agent, while none runs; nil: one does.
    var absence: String?
    /// Nanoseconds since 1970.
    var now: Int64 = 0
}

/// What makes messages for one kind of destination.
enum MessageBody {
    case alertmanager(AlertmanagerBody)
    case webhook(labels: [(String, String)])
    case command(labels: [(String, String)])
    case syslog(SyslogFormat)
    case journal(labels: [(String, String)])
    case otlp(OTLPFormat)

    func message(_ posting: Posting, _ place: Place, _ delivery: Delivery) -> Message {
        if case .alertmanager(let body) = self {
            if case .event(let event) = posting { return Message(bytes: body.test(event)) }
            return Message(bytes: body.bytes(posting, place, delivery))
        }
        // Of the others, each gets alerts one by one.
        guard case .event(let event) = posting else { return Message(bytes: []) }
        switch self {
        case .alertmanager: return Message(bytes: [])
        case .webhook(let labels):
            return Message(bytes: Array((event.line(delivery, labels) + "\n").utf8))
        case .command(let labels):
            return Message(
                bytes: Array((event.line(delivery, labels) + "\n").utf8),
                environment: event.environment(delivery, labels))
        case .syslog(let format): return Message(bytes: format.bytes(event, delivery))
        case .journal(let labels): return Message(bytes: event.journalEntry(delivery, labels))
        case .otlp(let format): return Message(bytes: format.bytes(event, delivery))
        }
    }
}

extension AlertEvent {
    /// The project's own line, as `events` has it, with what is said of the delivery.
    func line(_ delivery: Delivery, _ labels: [(String, String)]) -> String {
        var members: [(String, JSONDocument?)] = [
            ("id", .string(id)), ("destination", .string(delivery.destination)),
            ("sequence", .number(sequence)), ("attempt", .number(UInt64(delivery.attempt))),
            ("cause", .string(cause.rawValue)), ("sent", .string(timestamp(delivery.now))),
            ("since", .string(timestamp(since))), ("text", .string(sentence)),
            ("dropped_before", .number(delivery.drops)), ("missed_before", .number(missed)),
        ]
        if !labels.isEmpty {
            members.append(("labels", .object(labels.map { ($0.0, .string($0.1)) })))
        }
        let said = String(
            decoding: JSONDocument.known(members).bytes.dropLast(), as: UTF8.self)
        return "\(json.dropLast()),\"delivery\":\(said)}"
    }

    /// What a command finds in its environment: all of it, but for what every program needs.
    func environment(_ delivery: Delivery, _ labels: [(String, String)]) -> [(String, String)] {
        var values = fields(delivery).map { ("RESERVEWATCH_\($0.0)", $0.1) }
        values += labels.map { ("RESERVEWATCH_LABEL_\($0.0)", $0.1) }
        values.append(("RESERVEWATCH_TEXT", sentence))
        // Nothing that a foreign string may hold ends it early.
        values = values.map { ($0.0, String($0.1.filter { $0 != "\0" })) }
        return values + [
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("LC_ALL", "C.UTF-8"),
        ]
    }

    /// What can be said in single words, by upper-case names.
    func fields(_ delivery: Delivery) -> [(String, String)] {
        var fields = [
            ("DELIVERY_ID", id), ("TRACK", "\(track.word)"), ("LEVEL", "\(level.word)"),
            ("PEAK", "\(peak.word)"), ("INCIDENT", "\(incident)"), ("TOLD", "\(told)"),
            ("HOST", host), ("BOOT_ID", bootID), ("TIME", timestamp(time)),
            ("SINCE", timestamp(since)), ("VERDICT", verdict),
            ("REASONS", reasons.joined(separator: " ")), ("ADVICE", advice),
            ("CAUSE", cause.rawValue), ("ATTEMPT", "\(delivery.attempt)"),
            ("DROPPED_BEFORE", "\(delivery.drops)"), ("MISSED_BEFORE", "\(missed)"),
        ]
        for index in stride(from: 0, to: findings.count - 1, by: 2) {
            fields.append((findings[index].uppercased(), findings[index + 1]))
        }
        return fields.filter { !$0.1.isEmpty }
    }

    /// As syslog(3) numbers it: 2 critical, 4 warning, 5 notice.
    var priority: Int {
        switch level {
        case .critical: return 2
        case .warning: return 4
        case .resolved: return 5
        }
    }
}

// MARK: journald

extension AlertEvent {
    /// sd_journal_send(3)'s: `journalctl MESSAGE_ID=...` finds them.
    static let firingMessageID = "5d0f3f2f7c5e4a4b9d3e8a1c6b2f4e70"
    static let resolvedMessageID = "b8c2d1e64f0a4c7d8a915e3f7b6d2c19"

    /// One entry of the journal's native protocol: fields, a line each.
    ///
    /// The journal's own time of an entry is that of its arrival: `RESERVEWATCH_TIME` is when it
    /// was so.
    func journalEntry(_ delivery: Delivery, _ labels: [(String, String)]) -> [UInt8] {
        var fields = [
            ("MESSAGE", sentence), ("PRIORITY", "\(priority)"),
            ("SYSLOG_IDENTIFIER", "reservewatch"),
            ("MESSAGE_ID", isFiring ? Self.firingMessageID : Self.resolvedMessageID),
        ]
        fields += self.fields(delivery).map { ("RESERVEWATCH_\($0.0)", $0.1) }
        fields += labels.map { ("RESERVEWATCH_LABEL_\($0.0.uppercased())", $0.1) }
        fields.append(("RESERVEWATCH_ALERT", json))
        var bytes: [UInt8] = []
        for (name, value) in fields {
            bytes += name.utf8
            bytes.append(UInt8(ascii: "="))
            bytes += value.utf8.map { $0 == 10 ? UInt8(ascii: " ") : $0 }
            bytes.append(10)
        }
        return bytes
    }
}
