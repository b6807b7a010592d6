// SPDX-License-Identifier: Apache-2.0

import CRecord
import Foundation
import ReserveRecord
import ReserveStore
import Testing

/// A directory of its own, gone at the end.
final class Scratch {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "/reservewatch-store-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var names: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)")))
    }

    func write(_ bytes: some Sequence<UInt8>, to name: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
    }

    func size(_ name: String) throws -> UInt64 {
        let attributes = try FileManager.default.attributesOfItem(atPath: "\(path)/\(name)")
        return (attributes[.size] as? NSNumber)?.uint64Value ?? 0
    }
}

/// Records that can be told apart.
enum Sample {
    static let second: UInt64 = 1_000_000_000
    /// 2026-11-25T07:00:00Z at boot.
    static let realtimeOffset: Int64 = 1_795_590_000 * 1_000_000_000

    static func bytes<Record>(_ record: Record) -> [UInt8] {
        withUnsafeBytes(of: record) { [UInt8]($0) }
    }

    static func host(at boot: UInt64, cpus: UInt32 = 2) -> [UInt8] {
        var host = rw_host()
        host.header = header(RW_STEM_AGENT, RW_AGENT_HOST.rawValue, boot, host)
        host.cpus = cpus
        host.realtime_offset_ns = realtimeOffset
        return bytes(host)
    }

    /// State: the zone's free pages are the number.
    static func zone(_ index: UInt32, free: UInt64, at boot: UInt64) -> [UInt8] {
        var zone = rw_zone()
        zone.header = header(RW_STEM_WATERMARK, RW_WATERMARK_ZONE.rawValue, boot, zone)
        zone.index = index
        zone.free_pages = free
        return bytes(zone)
    }

    /// An event with a number.
    static func event(_ number: UInt64, at boot: UInt64) -> [UInt8] {
        var failed = rw_reserve()
        failed.header = header(RW_STEM_RESERVE, RW_RESERVE_FAILED.rawValue, boot, failed)
        failed.serial = number
        return bytes(failed)
    }

    private static func header<Record>(
        _ stem: rw_stem, _ kind: UInt32, _ boot: UInt64, _ record: Record
    ) -> rw_header {
        rw_header(
            stem: UInt16(stem.rawValue), kind: UInt16(kind),
            size: UInt32(MemoryLayout<Record>.size), boot_ns: boot, cpu: 0, reserved: 0)
    }

    /// A host, and then so many events with a zone record after each tenth.
    static func stream(_ count: Int) -> [[UInt8]] {
        var records = [host(at: second)]
        for number in 1...UInt64(count) {
            let boot = second + number * 1_000_000
            records.append(event(number, at: boot))
            if number % 10 == 0 { records.append(zone(0, free: number, at: boot)) }
        }
        return records
    }
}

extension SegmentWriter {
    func take(_ record: [UInt8], now: UInt64) {
        record.withUnsafeBytes { take($0, now: now) }
    }
}

/// What a recording gives, as it is read.
struct Reading: Equatable {
    var records: [[UInt8]] = []
    var states: [[UInt8]] = []
    var problems: [RecordingProblem] = []

    init(_ path: String, start: RecordSource.Start = .begin) throws {
        let source = try RecordSource(path: path, start: start)
        while let entry = source.next() {
            if entry.isState {
                states.append([UInt8](entry.bytes))
            } else {
                records.append([UInt8](entry.bytes))
            }
        }
        problems = source.takeProblems()
    }

    /// Numbers of the events.
    var numbers: [UInt64] {
        records.compactMap { record in
            record.withUnsafeBytes { bytes in
                guard bytes.loadUnaligned(as: UInt16.self) == UInt16(RW_STEM_RESERVE.rawValue)
                else { return nil }
                return bytes.loadUnaligned(as: rw_reserve.self).serial
            }
        }
    }

    /// What the recording itself says it does not have.
    var skipped: [rw_skipped] {
        records.compactMap { record in
            record.withUnsafeBytes { bytes in
                let header = bytes.loadUnaligned(as: rw_header.self)
                guard header.stem == UInt16(RW_STEM_AGENT.rawValue),
                    header.kind == UInt16(RW_AGENT_SKIPPED.rawValue)
                else { return nil }
                return bytes.loadUnaligned(as: rw_skipped.self)
            }
        }
    }
}

enum Fixtures {
    static let directory =
        URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().path + "/Fixtures"
    static let names = ["wire-1", "wire-pull-6.1", "wire-pull-6.12"]
}
