// SPDX-License-Identifier: Apache-2.0

import CLinux
import CRecord
import Glibc
import ReserveBox
import ReserveModel
import ReserveRecord
import ReserveStore

/// Plays an agent: writes recordings, and standings of its own, into a box.
///
/// Reads commands, a line each, from standard input, and answers each with "ok" when it is done:
///
///     open PATH [RING_KIB]          a box, written by this process from now on
///     play RECORDING UNTIL          records up to so many seconds after the first; goes on where
///                                   it was when called again
///     host NAME                     the first record of an agent: this host, by that name
///     stand TRACK LEVEL INCIDENT TOLD SINCE AT
///                                   a turn of the loop in which the agent told an alert;
///                                   both times are of CLOCK_BOOTTIME, AT may be "now"
///     noise COUNT                   records that mean nothing, to overwrite the ring with
///     time                          answers with CLOCK_BOOTTIME instead
///     end                           ends the box in order
///     close                         leaves it as one that was killed
///
/// Recordings of older agents have no standings; they are made here from the model's, as the
/// agent makes them.
@main
struct Main {
    static func main() {
        var feeder = Feeder()
        while let line = readLine() {
            let answer = feeder.run(line.split(separator: " ").map(String.init))
            let bytes = Array("\(answer ?? "ok")\n".utf8)
            guard write(STDOUT_FILENO, bytes, bytes.count) == bytes.count else { return }
        }
    }
}

struct Feeder: ~Copyable {
    private var box: BoxWriter?
    private var source: RecordSource?
    private var recording = ""
    private var waiting: [UInt8]?
    private var first: UInt64?
    private var model = Model(policy: Policy())
    private var notices = NoticeQueue(capacity: 512)
    private var told: Standing?

    /// - Returns: what to answer instead of "ok".
    mutating func run(_ words: [String]) -> String? {
        do {
            switch (words.first, words.count) {
            case ("open", 2...):
                let size = BoxSize(ringBytes: (words.count > 2 ? Int(words[2]) ?? 0 : 4096) << 10)
                box = nil
                told = nil
                box = try BoxFile.create(
                    path: words[1], size: size, group: nil, agentVersion: "test")
                box?.beat(1, at: rw_boot_ns())
            case ("play", 3): try play(words[1], until: Double(words[2]) ?? 0)
            case ("stand", 7): return stand(words)
            case ("host", 2): publish(Self.host(words[1]))
            case ("noise", 2):
                for _ in 0..<(Int(words[1]) ?? 0) {
                    publish(Self.bare(RW_AGENT_TICK, at: rw_boot_ns()))
                }
            case ("time", _): return "\(rw_boot_ns())"
            case ("end", _):
                box?.end(at: rw_boot_ns())
                box = nil
            case ("close", _): box = nil
            default: return "what is \"\(words.joined(separator: " "))\"?"
            }
            return nil
        } catch {
            return "failed: \(error)"
        }
    }

    private mutating func publish(_ record: [UInt8]) {
        record.withUnsafeBytes { box?.publish($0) }
        box?.beat(2, at: rw_boot_ns())
    }

    private mutating func play(_ path: String, until seconds: Double) throws {
        if path != recording {
            source = try RecordSource(path: path)
            recording = path
            waiting = nil
            first = nil
            model = Model(policy: Policy())
        }
        while let record = waiting ?? source?.next().map({ [UInt8]($0.bytes) }) {
            waiting = nil
            let boot = record.withUnsafeBytes { $0.loadUnaligned(as: rw_header.self).boot_ns }
            let start = first ?? boot
            first = start
            if boot > start, Double(boot - start) > seconds * 1e9 {
                waiting = record
                return
            }
            publish(record)
            let event = record.withUnsafeBytes { RecordDecoder.decode($0) }
            model.apply(event, notices: &notices)
            notices.removeAll()
            if case .tick = event.body, model.picture.standing != told {
                told = model.picture.standing
                publish(Self.bytes(of: model.picture.standing, at: boot))
            }
        }
    }

    private mutating func stand(_ words: [String]) -> String? {
        let levels = ["resolved": Alert.Level.resolved, "warning": .warning, "critical": .critical]
        guard let level = levels[words[2]], let incident = UInt32(words[3]),
            let count = UInt32(words[4]), let since = UInt64(words[5]),
            let now = words[6] == "now" ? rw_boot_ns() : UInt64(words[6])
        else { return "what is \(words)?" }
        var standing = told ?? model.picture.standing
        let index = words[1] == "exposure" ? 1 : 0
        standing.tracks[0].track = .pressure
        standing.tracks[1].track = .exposure
        let isSame = standing.tracks[index].incident == incident
        standing.tracks[index].level = level
        standing.tracks[index].incident = incident
        standing.tracks[index].told = count
        standing.tracks[index].sinceBootNanoseconds = since
        standing.tracks[index].peak = isSame ? max(standing.tracks[index].peak, level) : level
        told = standing
        publish(Self.bare(RW_AGENT_TICK, at: now))
        publish(Self.bytes(of: standing, at: now))
        return nil
    }

    private static func header(_ kind: rw_agent_kind, _ size: Int, _ boot: UInt64) -> rw_header {
        rw_header(
            stem: UInt16(RW_STEM_AGENT.rawValue), kind: UInt16(kind.rawValue), size: UInt32(size),
            boot_ns: boot, cpu: 0, reserved: 0)
    }

    private static func bare(_ kind: rw_agent_kind, at boot: UInt64) -> [UInt8] {
        withUnsafeBytes(of: header(kind, MemoryLayout<rw_header>.size, boot)) { [UInt8]($0) }
    }

    private static func host(_ name: String) -> [UInt8] {
        var host = rw_host()
        host.header = header(RW_AGENT_HOST, MemoryLayout<rw_host>.size, rw_boot_ns())
        host.wire_version = UInt32(RW_WIRE_VERSION)
        host.page_size_bytes = 4096
        host.realtime_offset_ns = rw_realtime_offset_ns()
        copy(name, into: &host.host)
        copy(BoxFacts.thisBoot() ?? "", into: &host.boot_id)
        return withUnsafeBytes(of: host) { [UInt8]($0) }
    }

    private static func copy<Tuple>(_ text: String, into tuple: inout Tuple) {
        withUnsafeMutableBytes(of: &tuple) { bytes in
            for (index, byte) in text.utf8.prefix(bytes.count).enumerated() { bytes[index] = byte }
        }
    }

    private static func bytes(of standing: Standing, at boot: UInt64) -> [UInt8] {
        var record = rw_standing()
        record.header = header(RW_AGENT_STANDING, MemoryLayout<rw_standing>.size, boot)
        record.state = UInt32(standing.state.rawValue)
        record.state_since_boot_ns = standing.stateSinceBootNanoseconds
        record.tracks.0 = track(standing.tracks[0])
        record.tracks.1 = track(standing.tracks[1])
        return withUnsafeBytes(of: record) { [UInt8]($0) }
    }

    private static func track(_ track: Standing.Track) -> rw_standing_track {
        rw_standing_track(
            track: UInt32(track.track.rawValue), level: UInt32(track.level.rawValue),
            incident: track.incident, peak: UInt32(track.peak.rawValue),
            since_boot_ns: track.sinceBootNanoseconds, told: track.told, reserved: 0)
    }
}
