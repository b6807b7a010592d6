// SPDX-License-Identifier: Apache-2.0

import CRecord
import Foundation
@testable import ReserveBox
import ReserveModel
import Testing

@testable import ReserveForward

private typealias Track = AgentRecord.Track

/// An agent's box as a reader meets it.
private struct Agent: ~Copyable {
    var reader: AlertReader

    init(_ state: ReadState = ReadState()) {
        reader = AlertReader(state: state, bootID: "another boot")
    }

    static func facts(pid: Int32 = 1, created: UInt64 = 0, boot: String = "boot") -> BoxFacts {
        BoxFacts(
            writerPID: pid, writerStartTicks: 7, createdBootNanoseconds: created,
            realtimeOffsetNanoseconds: 0, bootID: boot, agentVersion: "test")
    }

    mutating func open(
        pid: Int32 = 1, isSame: Bool = false, created: UInt64 = 0, boot: String = "boot",
        states: [[UInt8]] = []
    ) {
        reader.begin(
            Self.facts(pid: pid, created: created, boot: boot), isSameWriter: isSame)
        for record in [AgentRecord.host(at: 1)] + states {
            record.withUnsafeBytes { reader.state($0) }
        }
        reader.statesEnded()
    }

    mutating func tell(_ pressure: Track, _ exposure: Track = Track(), at boot: UInt64) {
        for record in [
            AgentRecord.bare(RW_AGENT_TICK, at: boot),
            AgentRecord.standing(pressure, exposure, at: boot),
        ] {
            record.withUnsafeBytes { reader.record($0) }
        }
    }

    mutating func events() -> [AlertEvent] { reader.takeEvents() }
}

@Suite struct AlertReaderTests {
    private static let warning = Track(level: .warning, incident: 1, told: 1, since: 100)
    private static let critical = Track(level: .critical, incident: 1, told: 2, since: 100)
    private static let over = Track(
        level: .resolved, incident: 1, told: 3, since: 100, peak: .critical)

    @Test func eachTimeThatTheAgentTellsIsOneAlertWithItsTrueTimes() {
        var agent = Agent()
        agent.open(states: [AgentRecord.standing(Track(), at: 2)])
        agent.tell(Self.warning, at: 100)
        agent.tell(Self.critical, at: 250)
        agent.tell(Self.over, at: 900)
        let events = agent.events()
        #expect(events.map(\.level) == [.warning, .critical, .resolved])
        #expect(events.map(\.cause) == [.told, .told, .told])
        let zero = 1_000_000 * Sample.second
        #expect(events.map(\.time) == [zero + 100, zero + 250, zero + 900])
        #expect(events.allSatisfy { $0.since == zero + 100 && $0.missed == 0 })
        #expect(events.map(\.criticalSince) == [nil, zero + 250, zero + 250])
        #expect(Set(events.map(\.id)).count == 3)
        #expect(Set(events.map(\.incidentKey)) == ["boot-pressure-100"])
        #expect(events[1].json.contains("\"level\":\"critical\",\"incident\":1"))
        #expect(events[1].json.contains("\"since_boot_ns\":100,\"told\":1"))
        #expect(events[2].sentence.hasPrefix("RESOLVED pressure #1"))
    }

    @Test func aStandingThatTellsNothingNewIsNoAlert() {
        var agent = Agent()
        agent.open(states: [AgentRecord.standing(Track(), at: 2)])
        agent.tell(Self.warning, at: 100)
        agent.tell(Self.warning, at: 200)
        agent.tell(Self.warning, Track(level: .warning, incident: 1, told: 1, since: 300), at: 300)
        #expect(agent.events().map(\.track) == [.pressure, .exposure])
    }

    @Test func whoComesLateFindsWhatStandsAndNotWhatIsOver() {
        var agent = Agent()
        agent.open(states: [AgentRecord.standing(Self.critical, at: 250)])
        let found = agent.events()
        #expect(found.map(\.cause) == [.found])
        #expect(found[0].level == .critical && found[0].incident == 1)
        var other = Agent()
        other.open(states: [AgentRecord.standing(Self.over, at: 900)])
        #expect(other.events().isEmpty)
        // And from there on counts as the agent does.
        other.tell(Track(level: .warning, incident: 2, told: 1, since: 1000), at: 1000)
        #expect(other.events().map(\.incident) == [2])
    }

    @Test func whatWasOverwrittenIsCounted() {
        var agent = Agent()
        agent.open(states: [AgentRecord.standing(Track(), at: 2)])
        agent.tell(Self.warning, at: 100)
        _ = agent.events()
        // The reader was frozen: of incident 1 the end is gone, 2 and 3 wholly, 4 has begun.
        agent.open(
            isSame: true,
            states: [
                AgentRecord.standing(
                    Track(level: .critical, incident: 4, told: 3, since: 5000), at: 5900)
            ])
        let events = agent.events()
        #expect(events.map(\.cause) == [.unseen, .found])
        #expect(events[0].incident == 1 && events[0].level == .resolved)
        #expect(events[0].timeBootNanoseconds == 5000)
        #expect(events[0].sentence.contains("is not known"))
        #expect(events[1].incident == 4 && events[1].missed == 2)
        #expect(agent.reader.missedIncidents == 2 && agent.reader.missedLines == 2)
    }

    @Test func whatTheBoxKeepsOfAlertsIsToldWithItsTrueTimes() throws {
        var agent = Agent()
        agent.open(states: [AgentRecord.standing(Track(), at: 2)])
        agent.tell(Self.warning, at: 100)
        _ = agent.events()
        // The reader was frozen: the ring has nothing of the outage any more.
        agent.open(
            isSame: true,
            states: [
                AgentRecord.told(Self.warning, at: 100),
                AgentRecord.told(Self.critical, state: .deadlocked, .deadlocked, at: 250),
                AgentRecord.told(Self.over, state: .calm, [], at: 900),
                AgentRecord.standing(Self.over, at: 901),
            ])
        let events = agent.events()
        #expect(events.map(\.cause) == [.kept, .kept])
        #expect(events.map(\.level) == [.critical, .resolved])
        #expect(events.map(\.timeBootNanoseconds) == [250, 900])
        #expect(events.map(\.verdict) == ["deadlocked", "calm"])
        #expect(events[0].reasons == ["deadlocked"])
        #expect(events[0].findings.starts(with: ["lost_wire", "confirmed"]))
        #expect(events[0].sentence.hasPrefix("CRITICAL pressure #1"))
        #expect(events[0].sentence.contains("host is deadlocked (deadlocked)"))
        let line = try #require(
            try JSONSerialization.jsonObject(with: Data(events[0].json.utf8)) as? [String: Any])
        #expect(line["severity"] as? String == "critical")
        let alert = try #require(line["alert"] as? [String: Any])
        #expect(alert["told"] as? Int == 1)
        #expect(alert["lost_wire"] as? String == "confirmed")
        // No figure of another moment.
        #expect(alert["evidence"] == nil && alert["waiting"] == nil)
        #expect(agent.reader.missedLines == 0 && agent.reader.missedIncidents == 0)
        // In the ring they come behind the standing that told them already.
        AgentRecord.told(Self.over, state: .calm, [], at: 900).withUnsafeBytes {
            agent.reader.record($0)
        }
        #expect(agent.events().isEmpty)
    }

    @Test func anExposureThatTheBoxKeepsIsToldWithoutItsFigures() {
        var agent = Agent()
        agent.open(states: [AgentRecord.standing(Track(), at: 2)])
        let exposed = Track(level: .warning, incident: 1, told: 1, since: 100)
        agent.open(
            isSame: true,
            states: [
                AgentRecord.told(exposed, of: .exposure, .receiveBuffers, at: 100),
                AgentRecord.standing(Track(), exposed, at: 101),
            ])
        let events = agent.events()
        #expect(events.map(\.cause) == [.kept])
        #expect(events[0].track == .exposure)
        #expect(events[0].sentence.contains("receive buffers may hold more than the reserve; do: "))
    }

    @Test func whoComesForTheFirstTimeIsNotToldWhatIsOver() {
        var agent = Agent()
        agent.open(states: [
            AgentRecord.told(Self.critical, at: 250), AgentRecord.told(Self.over, at: 900),
            AgentRecord.standing(Self.over, at: 901),
        ])
        #expect(agent.events().isEmpty)
    }

    @Test func anotherAgentEndsWhatTheOneBeforeItTold() {
        var agent = Agent()
        agent.open(states: [AgentRecord.standing(Track(), at: 2)])
        agent.tell(Self.critical, at: 250)
        _ = agent.events()
        agent.open(pid: 2, created: 700, states: [AgentRecord.standing(Track(), at: 701)])
        let ended = agent.events()
        #expect(ended.map(\.cause) == [.agentRestarted])
        #expect(ended[0].timeBootNanoseconds == 700 && ended[0].peak == .critical)
        // It counts its incidents from 1: another one all the same.
        agent.tell(Track(level: .warning, incident: 1, told: 1, since: 800), at: 800)
        let next = agent.events()
        #expect(next.map(\.cause) == [.told])
        #expect(next[0].incidentKey != ended[0].incidentKey)
    }

    @Test func anotherBootEndsItWithTheBoot() throws {
        var agent = Agent()
        agent.open(states: [AgentRecord.standing(Track(), at: 2)])
        agent.tell(Self.critical, at: 250)
        _ = agent.events()
        agent.open(pid: 1, created: 700, boot: "next", states: [])
        let ended = agent.events()
        #expect(ended.map(\.cause) == [.hostRestarted])
        let line = try #require(
            try JSONSerialization.jsonObject(with: Data(ended[0].json.utf8)) as? [String: Any])
        #expect(line["boot_id"] as? String == "boot")
        #expect((line["alert"] as? [String: Any])?["level"] as? String == "resolved")
    }

    @Test func aLaterRunGoesOnWhereTheEarlierOneWas() {
        var agent = Agent()
        agent.open(states: [AgentRecord.standing(Track(), at: 2)])
        agent.tell(Self.warning, at: 100)
        var state = ReadState()
        state = agent.reader.state
        var later = Agent(state)
        later.open(isSame: true)
        // The ring has it all still.
        later.tell(Self.warning, at: 100)
        later.tell(Self.critical, at: 250)
        #expect(later.events().map(\.level) == [.critical])
        #expect(later.reader.missedLines == 0)
    }

    @Test func theModelOfALateReaderDoesNotTellByItself() throws {
        // A reader that begins in the midst of a recorded incident would count another one.
        let late = try Fixture.events(skipping: 0.98)
        #expect(late.allSatisfy { $0.incident == 7 })
    }
}

/// A recording of the lab, as the agent's box would give it.
private enum Fixture {
    static let directory =
        URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().path + "/Fixtures"

    /// What is told of the end of a recorded stall whose agent counts seven incidents.
    static func events(skipping share: Double) throws -> [AlertEvent] {
        let bytes = try [UInt8](
            Data(contentsOf: URL(fileURLWithPath: "\(directory)/wire-pull-6.12.rwr")))
        var records: [[UInt8]] = []
        var offset = 16
        while offset + 8 <= bytes.count {
            let size = Int(
                bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self) })
            guard offset + 8 + size <= bytes.count else { break }
            records.append(Array(bytes[offset + 8..<offset + 8 + size]))
            offset += 8 + size
        }
        let begin = Int(Double(records.count) * share)
        var agent = Agent()
        let boot = { (record: [UInt8]) in
            record.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self) }
        }
        agent.open(states: Array(records[..<begin].suffix(400)))
        for record in records[begin...] { record.withUnsafeBytes { agent.reader.record($0) } }
        let last = boot(records[records.count - 1])
        agent.tell(
            Track(level: .critical, incident: 7, told: 2, since: last - 1_000_000_000), at: last)
        return agent.events()
    }
}
