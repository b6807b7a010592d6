// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The kernel's own figures at one quiet moment, as the guest's probe copied them.
public struct Snapshot: Equatable, Sendable {
    public var name: String
    public var files: [String: String]
    /// CLOCK_BOOTTIME of the probe's next sample: it was copied before.
    public var beforeBootNanoseconds: Int?

    /// All complete frames of the probe's line, by name. A frame that was cut is left out.
    public static func parse(_ text: String) -> [String: Snapshot] {
        var found: [String: Snapshot] = [:]
        var current: Snapshot?
        var last: String?
        var file: String?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("@ "), let name = last {
                found[name]?.beforeBootNanoseconds = line.split(separator: " ").dropFirst().first
                    .flatMap { Int($0) }
                last = nil
            }
            if line.hasPrefix("@@ ") {
                current = Snapshot(name: String(line.dropFirst(3)), files: [:])
                file = nil
            } else if line.hasPrefix("@file ") {
                file = String(line.dropFirst(6))
            } else if line.hasPrefix("@end "), let snapshot = current {
                found[snapshot.name] = snapshot
                last = snapshot.name
                current = nil
            } else if let name = file, current != nil {
                current?.files[name, default: ""] += line + "\n"
            }
        }
        return found
    }

    /// The agent's summaries right before and right after this was copied, of its `lines`.
    public func summariesAround(in lines: [[String: Any]]) -> [[String: Any]] {
        guard let time = beforeBootNanoseconds else { return [] }
        let told = lines.filter { $0["summary"] != nil }
        // The probe samples twice a second.
        let before = told.last { ($0["boot_ns"] as? Int ?? .max) <= time - 1_000_000_000 }
        let after = told.first { ($0["boot_ns"] as? Int ?? 0) >= time }
        return [before, after].compactMap { $0?["summary"] as? [String: Any] }
    }

    /// One counter of /proc/vmstat; `allocstall` is the sum over its zones.
    public func vmstat(_ name: String) -> Int? {
        guard let text = files["/proc/vmstat"] else { return nil }
        var sum: Int?
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 2, let value = Int(words[1]) else { continue }
            if words[0] == name || name == "allocstall" && words[0].hasPrefix("allocstall_") {
                sum = (sum ?? 0) + value
            }
        }
        return sum
    }

    /// Every counter of /proc/vmstat, and "TcpExt.PFMemallocDrop" of /proc/net/netstat.
    public func counters() -> [String: Int] {
        var counters: [String: Int] = [:]
        for line in (files["/proc/vmstat"] ?? "").split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2 { counters[String(words[0])] = Int(words[1]) }
        }
        for path in ["/proc/net/netstat", "/proc/net/snmp"] {
            counters.merge(Self.namedColumns(files[path] ?? "")) { first, _ in first }
        }
        return counters
    }

    /// Lines in pairs, names above their values: net/ipv4/proc.c.
    static func namedColumns(_ text: String) -> [String: Int] {
        let lines = text.split(separator: "\n").map { $0.split(separator: " ") }
        var values: [String: Int] = [:]
        for at in stride(from: 0, to: lines.count - 1, by: 2) {
            let (names, figures) = (lines[at], lines[at + 1])
            guard let group = names.first?.dropLast(), names.first == figures.first else {
                continue
            }
            for (name, figure) in zip(names, figures).dropFirst() {
                values["\(group).\(name)"] = Int(figure)
            }
        }
        return values
    }

    /// Requests completed by a disk: reads, writes, discards and flushes.
    public func completedRequests(of disk: String = "nbd0") -> Int? {
        files["/sys/block/\(disk)/stat"].flatMap(BlockStat.completed)
    }

    /// Of these, what the server saw: see ``BlockStat/served(_:)``.
    public func servedRequests(of disk: String = "nbd0") -> Int? {
        files["/sys/block/\(disk)/stat"].flatMap(BlockStat.served)
    }

    public func inFlightRequests(of disk: String = "nbd0") -> Int? {
        files["/sys/block/\(disk)/inflight"].flatMap(BlockStat.inFlight)?.all
    }

    /// The zones of /proc/zoneinfo that have managed pages.
    public func zones() -> [ZoneInfo] {
        ZoneInfo.parse(files["/proc/zoneinfo"] ?? "")
    }
}

/// Documentation/block/stat.rst
public enum BlockStat {
    public static func completed(_ text: String) -> Int? {
        let fields = text.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        guard fields.count >= 11 else { return nil }
        var sum = fields[0] + fields[4]
        if fields.count > 11 { sum += fields[11] }
        if fields.count > 15 { sum += fields[15] }
        return sum
    }

    /// Requests that reached the driver. A flush without data is counted twice, as the empty
    /// write that asked for it and as a flush (block/blk-flush.c); the driver sees one.
    public static func served(_ text: String) -> Int? {
        let fields = text.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        guard fields.count >= 11 else { return nil }
        return fields[0] + fields[4] + (fields.count > 11 ? fields[11] : 0)
    }

    public static func inFlight(_ text: String) -> (reads: Int, all: Int)? {
        let fields = text.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        return fields.count == 2 ? (fields[0], fields[0] + fields[1]) : nil
    }
}

/// One zone of /proc/zoneinfo.
public struct ZoneInfo: Codable, Equatable, Sendable {
    public var node = 0
    public var zone = ""
    public var free = 0
    public var values: [String: Int] = [:]
    public var protection: [Int] = []

    public static func parse(_ text: String) -> [ZoneInfo] {
        var zones: [ZoneInfo] = []
        var current: ZoneInfo?
        var inPagesets = false
        for line in text.split(separator: "\n") {
            let words = line.split(whereSeparator: { " \t,:()".contains($0) }).map(String.init)
            if line.hasPrefix("Node ") {
                if let current { zones.append(current) }
                current = ZoneInfo()
                current?.node = words.count > 1 ? Int(words[1]) ?? 0 : 0
                current?.zone = words.last ?? ""
                inPagesets = false
            } else if words.first == "pagesets" {
                inPagesets = true
            } else if words.first == "pages", words.count == 3, words[1] == "free" {
                current?.free = Int(words[2]) ?? 0
            } else if words.first == "protection" {
                current?.protection = words.dropFirst().compactMap { Int($0) }
            } else if words.count == 2, !inPagesets, let value = Int(words[1]) {
                current?.values[words[0]] = value
            }
        }
        if let current { zones.append(current) }
        return zones.filter { ($0.values["managed"] ?? 0) > 0 }
    }
}
