// SPDX-License-Identifier: Apache-2.0

import Foundation
import ReserveModel
import Testing

@testable import ReserveForward

private func event() -> AlertEvent {
    var event = Sample.event(.critical, told: 2)
    event.time = 1_795_590_000_123_456_789
    event.since = 1_795_589_999_000_000_001
    event.queued = 1_795_590_060_000_000_000
    event.sequence = 7
    return event
}

private func object(_ bytes: some Sequence<UInt8>) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
}

@Suite struct SyslogTests {
    private func text(_ event: AlertEvent, _ format: SyslogFormat = SyslogFormat()) -> String {
        String(decoding: format.bytes(event, Delivery(destination: "log")), as: UTF8.self)
    }

    @Test func aMessageIsOfRFC5424() {
        let message = text(event())
        #expect(
            message.hasPrefix(
                "<26>1 2026-11-25T07:00:00.123456Z lab reservewatch - alert [reservewatch@32473 "
                    + "delivery_id=\"boot-pressure-1000000000000-2\" track=\"pressure\" "))
        #expect(message.contains(" since=\"2026-11-25T06:59:59.000000001Z\" "))
        #expect(message.contains(" lost_wire=\"confirmed\""))
        #expect(message.hasSuffix("] \u{feff}CRITICAL pressure"))
    }

    @Test func severityAndFacilityAreInThePriority() {
        var over = event()
        over.level = .resolved
        #expect(text(over).hasPrefix("<29>1 "))
        #expect(text(over, SyslogFormat(facility: 23)).hasPrefix("<189>1 "))
    }

    @Test func hostileTextStaysWithinItsParameter() {
        var hostile = event()
        hostile.host = "a b]\"x\u{7}\u{e4}"
        hostile.verdict = "x\"] y\\ [evil z=\"1\"\n"
        let message = text(hostile)
        #expect(message.contains("Z a_b__x___ reservewatch "))
        #expect(message.contains(#" verdict="x\"\] y\\ [evil z=\"1\"?""#))
        #expect(!message.contains("\n"))
    }

    @Test func overAStreamEachBeginsWithItsLength() {
        let counted = text(event(), SyslogFormat(isCounted: true))
        let plain = text(event())
        #expect(counted == "\(plain.utf8.count) \(plain)")
    }

    @Test func whatIsTooLongIsCutBetweenCharacters() {
        for offset in 0..<4 {
            var long = event()
            long.sentence =
                String(repeating: "x", count: offset) + String(repeating: "\u{1f600}", count: 4000)
            let bytes = SyslogFormat().bytes(long, Delivery())
            #expect(bytes.count <= SyslogFormat.longestBytes && bytes.count > 8180)
            #expect(String(validating: bytes, as: UTF8.self) != nil)
        }
    }

    @Test(arguments: [
        ("unix:/dev/log", SyslogAddress.datagram(.unix("/dev/log"))),
        (
            "udp:192.0.2.7:514",
            .datagram(.internet(host: "192.0.2.7", port: 514, isIPv6: false))
        ),
        ("udp:[::1]:514", .datagram(.internet(host: "::1", port: 514, isIPv6: true))),
        ("tcp:logs.example:601", .stream("logs.example:601", isTLS: false)),
        ("tls:[2001:db8::1]:6514", .stream("[2001:db8::1]:6514", isTLS: true)),
    ])
    func addressesAreRead(text: String, address: SyslogAddress) {
        #expect(SyslogAddress(text) == address)
    }

    @Test(arguments: [
        "", "unix:relative", "udp:localhost:514", "udp:192.0.2.7", "udp:192.0.2.7:0", "tcp:host",
        "tcp:host:99999", "tcp:a/b:1", "tls:user@host:1", "http://a", "tcp:host:601/x",
    ])
    func whatIsNoAddressIsRefused(text: String) {
        #expect(SyslogAddress(text) == nil)
    }
}

@Suite struct JournalTests {
    @Test func anEntryHasItsFieldsALineEach() {
        let entry = String(
            decoding: event().journalEntry(Delivery(destination: "j"), [("team", "storage")]),
            as: UTF8.self)
        let lines = entry.split(separator: "\n")
        #expect(lines.first == "MESSAGE=CRITICAL pressure")
        for line in [
            "PRIORITY=2", "SYSLOG_IDENTIFIER=reservewatch",
            "MESSAGE_ID=\(AlertEvent.firingMessageID)", "RESERVEWATCH_LEVEL=critical",
            "RESERVEWATCH_TIME=2026-11-25T07:00:00.123456789Z", "RESERVEWATCH_LOST_WIRE=confirmed",
            "RESERVEWATCH_LABEL_TEAM=storage", "RESERVEWATCH_ALERT={\"kind\":\"alert\"}",
        ] {
            #expect(lines.contains(Substring(line)), "\(line)")
        }
        // systemd.journal-fields(7): what a name may be.
        for line in lines {
            #expect(line.firstMatch(of: /^[A-Z][A-Z0-9_]{0,63}=/) != nil, "\(line)")
        }
    }

    @Test func aLineEndCannotMakeAField() {
        var hostile = event()
        hostile.sentence = "x\nPRIORITY=0\n\n_PID=1"
        let entry = String(decoding: hostile.journalEntry(Delivery(), []), as: UTF8.self)
        #expect(!entry.contains("\nPRIORITY=0") && !entry.contains("\n_PID"))
    }

    @Test func anEndHasAnIdOfItsOwn() {
        var over = event()
        over.level = .resolved
        let entry = String(decoding: over.journalEntry(Delivery(), []), as: UTF8.self)
        #expect(entry.contains("MESSAGE_ID=\(AlertEvent.resolvedMessageID)\n"))
        #expect(entry.contains("PRIORITY=5\n"))
    }
}

@Suite struct OTLPTests {
    @Test func aBodyIsOneRecordOfThisHost() throws {
        let format = OTLPFormat(version: "1", labels: [("deployment.environment", "lab")])
        let whole = try object(format.bytes(event(), Delivery(drops: 3)))
        let logs = try #require((whole["resourceLogs"] as? [[String: Any]])?.first)
        let resource = try #require(logs["resource"] as? [String: Any])
        #expect(attributes(resource)["host.name"] == "lab")
        #expect(attributes(resource)["deployment.environment"] == "lab")
        let scopes = try #require(logs["scopeLogs"] as? [[String: Any]])
        let record = try #require((scopes[0]["logRecords"] as? [[String: Any]])?.first)
        // 64-bit numbers are strings in this encoding.
        #expect(record["timeUnixNano"] as? String == "1795590000123456789")
        #expect(record["observedTimeUnixNano"] as? String == "1795590060000000000")
        #expect(record["severityNumber"] as? Int == 18)
        #expect((record["body"] as? [String: String])?["stringValue"] == "CRITICAL pressure")
        #expect(attributes(record)["reservewatch.dropped_before"] == "3")
        #expect(attributes(record)["event.name"] == "reservewatch.alert")
    }

    private func attributes(_ holder: [String: Any]) -> [String: String] {
        var found: [String: String] = [:]
        for each in holder["attributes"] as? [[String: Any]] ?? [] {
            guard let key = each["key"] as? String,
                let value = (each["value"] as? [String: Any])?["stringValue"] as? String
            else { continue }
            found[key] = value
        }
        return found
    }

    @Test(arguments: [
        ("{}", false), ("", false), ("{\"partialSuccess\":{}}", false),
        ("{\"partialSuccess\":{\"rejectedLogRecords\":\"0\"}}", false),
        ("{\"partialSuccess\":{\"rejectedLogRecords\":0,\"errorMessage\":\"1\"}}", false),
        ("{\"partialSuccess\": {\"rejectedLogRecords\": \"1\"}}", true),
        ("{\"partialSuccess\":{\"errorMessage\":\"x\",\"rejectedLogRecords\":10}}", true),
    ])
    func aPartialSuccessIsNone(body: String, isRejected: Bool) {
        #expect(OTLPFormat.isRejected(Array(body.utf8)) == isRejected)
    }
}

@Suite struct WebhookTests {
    private let delivery = Delivery(
        destination: "hook", attempt: 4, drops: 2, now: 1_795_590_001_000_000_000)

    @Test func theLineIsTheProjectsOwnWithItsDelivery() throws {
        let line = event().line(delivery, [("team", "storage")])
        let whole = try object(line.utf8)
        #expect(whole["kind"] as? String == "alert")
        let said = try #require(whole["delivery"] as? [String: Any])
        #expect(said["id"] as? String == "boot-pressure-1000000000000-2")
        #expect(said["attempt"] as? Int == 4 && said["dropped_before"] as? Int == 2)
        #expect(said["sequence"] as? Int == 7 && said["cause"] as? String == "told")
        #expect(said["sent"] as? String == "2026-11-25T07:00:01.000000000Z")
        #expect((said["labels"] as? [String: String]) == ["team": "storage"])
        #expect(!line.contains("\n"))
    }

    @Test func theIdStaysWhateverTheAttempt() throws {
        let first = try object(event().line(Delivery(), []).utf8)["delivery"] as? [String: Any]
        let later = try object(event().line(delivery, []).utf8)["delivery"] as? [String: Any]
        #expect(first?["id"] as? String == later?["id"] as? String)
    }

    @Test func aCommandsEnvironmentHoldsNothingForeignButValues() {
        var hostile = event()
        hostile.host = "$(reboot)`x`; \0evil=1"
        hostile.sentence = "() { :; }; \"'\u{202e}"
        let environment = hostile.environment(delivery, [])
        #expect(environment.first { $0.0 == "RESERVEWATCH_HOST" }?.1 == "$(reboot)`x`; evil=1")
        let names = environment.map(\.0)
        #expect(Set(names).count == names.count)
        for name in names where !name.hasPrefix("RESERVEWATCH_") {
            #expect(["PATH", "LC_ALL"].contains(name))
        }
        #expect(environment.allSatisfy { !$0.1.contains("\0") })
    }
}

@Suite struct KindTests {
    private func problem(_ type: String, _ settings: (String, String)...) -> String? {
        var destination = DestinationSettings(name: "x")
        for (key, value) in [("Type", type)] + settings {
            if let reason = destination.set(key, value) { return reason }
        }
        return destination.problem
    }

    @Test func eachKindTakesWhatItNeeds() {
        #expect(problem("webhook", ("URL", "https://a/x?y=z"), ("Level", "critical")) == nil)
        #expect(problem("command", ("Command", "/bin/logger -t \"a b\" x")) == nil)
        #expect(problem("syslog") == nil)
        #expect(problem("syslog", ("Address", "tls:a:6514"), ("CAFile", "/ca.pem")) == nil)
        #expect(problem("journal") == nil)
        #expect(problem("otlp", ("URL", "http://a:4318"), ("Label", "x=y")) == nil)
    }

    @Test func whatMeansNothingToAKindIsRefused() {
        #expect(problem("journal", ("URL", "http://a"))?.contains("means nothing") == true)
        #expect(problem("alertmanager", ("URL", "http://a"), ("Level", "critical")) != nil)
        #expect(problem("webhook", ("URL", "http://a"), ("URL", "http://b")) != nil)
        #expect(problem("webhook") != nil)
        #expect(problem("command") != nil)
        #expect(problem("command", ("Command", "logger x")) != nil)
        #expect(problem("command", ("Command", "/bin/echo \"x")) != nil)
        #expect(problem("syslog", ("Facility", "mail2")) != nil)
    }

    @Test func aCommandsWordsAreItsOwn() {
        var destination = DestinationSettings(name: "x")
        #expect(destination.set("Command", "/bin/x  a \"b  c\" \"\" $HOME;d") == nil)
        #expect(destination.command == ["/bin/x", "a", "b  c", "", "$HOME;d"])
    }
}

@Suite struct EventPlanTests {
    private func next(_ plan: Plan, _ event: AlertEvent) -> Bool { plan.wants(event) }

    @Test func whoWantsOnlyTheWorstGetsItsEndAsWell() {
        let plan = Plan.events(from: .critical)
        #expect(!plan.wants(Sample.event(.warning)))
        #expect(plan.wants(Sample.event(.critical)))
        #expect(plan.wants(Sample.event(.resolved, peak: .critical)))
        #expect(!plan.wants(Sample.event(.resolved, peak: .warning)))
        #expect(Plan.events(from: .warning).wants(Sample.event(.warning)))
    }
}
