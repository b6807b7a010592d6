// SPDX-License-Identifier: Apache-2.0

import CRecord
import Foundation
import ReserveModel

@testable import ReserveForward

/// A directory of its own, gone at the end.
final class Scratch {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "/reservewatch-forward-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var names: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    func queue(
        _ settings: AlertQueue.Settings = AlertQueue.Settings(), boot: String = "boot"
    ) throws(ForwardError) -> AlertQueue {
        try AlertQueue(QueueDirectory("\(path)/queue"), settings, bootID: boot)
    }
}

enum Sample {
    static let second: Int64 = 1_000_000_000

    /// An alert of an incident that began at so many seconds of 1970.
    static func event(
        _ level: Alert.Level, incident: UInt32 = 1, told: UInt32 = 1,
        track: Alert.Track = .pressure,
        since: Int64 = 1000, at time: Int64? = nil, peak: Alert.Level? = nil
    ) -> AlertEvent {
        var event = AlertEvent()
        event.host = "lab"
        event.bootID = "boot"
        event.track = track
        event.level = level
        event.peak = peak ?? level
        event.incident = incident
        event.told = told
        event.since = since * second
        event.sinceBootNanoseconds = UInt64(since * second)
        event.time = (time ?? since) * second
        event.verdict = "stalling"
        event.reasons = ["stopped"]
        event.findings = ["lost_wire", "confirmed"]
        event.advice = "look"
        event.json = "{\"kind\":\"alert\"}"
        event.sentence = "CRITICAL pressure"
        return event
    }
}

/// Records as an agent publishes them.
enum AgentRecord {
    static func bare(_ kind: rw_agent_kind, at boot: UInt64) -> [UInt8] {
        let header = header(kind, MemoryLayout<rw_header>.size, boot)
        return withUnsafeBytes(of: header) { [UInt8]($0) }
    }

    static func host(at boot: UInt64, offset: Int64 = 1_000_000 * Sample.second) -> [UInt8] {
        var host = rw_host()
        host.header = header(RW_AGENT_HOST, MemoryLayout<rw_host>.size, boot)
        host.page_size_bytes = 4096
        host.realtime_offset_ns = offset
        copy("lab", into: &host.host)
        copy("boot", into: &host.boot_id)
        return withUnsafeBytes(of: host) { [UInt8]($0) }
    }

    struct Track {
        var level = Alert.Level.resolved
        var incident: UInt32 = 0
        var told: UInt32 = 0
        var since: UInt64 = 0
        var peak: Alert.Level?
    }

    static func standing(
        _ pressure: Track, _ exposure: Track = Track(), at boot: UInt64
    ) -> [UInt8] {
        var record = rw_standing()
        record.header = header(RW_AGENT_STANDING, MemoryLayout<rw_standing>.size, boot)
        record.state = 1
        record.tracks.0 = raw(pressure, 0)
        record.tracks.1 = raw(exposure, 1)
        return withUnsafeBytes(of: record) { [UInt8]($0) }
    }

    static func told(
        _ standing: Track, of track: Alert.Track = .pressure, state: HostState = .stalling,
        _ reasons: Alert.Reasons = .stopped, at boot: UInt64
    ) -> [UInt8] {
        var record = rw_told()
        record.header = header(RW_AGENT_TOLD, MemoryLayout<rw_told>.size, boot)
        record.track = raw(standing, UInt32(track.rawValue))
        record.state = UInt32(state.rawValue)
        record.reasons = reasons.rawValue
        record.lost_wire = Alert.Finding.confirmed.rawValue
        return withUnsafeBytes(of: record) { [UInt8]($0) }
    }

    private static func raw(_ track: Track, _ number: UInt32) -> rw_standing_track {
        rw_standing_track(
            track: number, level: UInt32(track.level.rawValue), incident: track.incident,
            peak: UInt32((track.peak ?? track.level).rawValue), since_boot_ns: track.since,
            told: track.told, reserved: 0)
    }

    private static func header(_ kind: rw_agent_kind, _ size: Int, _ boot: UInt64) -> rw_header {
        rw_header(
            stem: UInt16(RW_STEM_AGENT.rawValue), kind: UInt16(kind.rawValue), size: UInt32(size),
            boot_ns: boot, cpu: 0, reserved: 0)
    }

    private static func copy<Tuple>(_ text: String, into tuple: inout Tuple) {
        withUnsafeMutableBytes(of: &tuple) { bytes in
            for (index, byte) in text.utf8.enumerated() { bytes[index] = byte }
        }
    }
}
