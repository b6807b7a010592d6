// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The kernel's own figures of a run, kept in result.json for whoever compares later.
/// A moment is the name of a snapshot: S0, S0p around the agent's start, S1, S1p around its stop.
public struct Witnesses: Codable, Equatable, Sendable {
    /// By disk, as it is called below /sys/block, and by moment.
    public var disks: [String: [String: DiskFigures]] = [:]
    /// The zones of every node, by moment.
    public var zones: [String: [ZoneInfo]] = [:]
    /// /proc/swaps, by moment.
    public var swaps: [String: [SwapFigures]] = [:]
    /// The most that a sample saw used of each swap: KiB.
    public var mostUsedKiB: [String: Int] = [:]
    /// What moved from S0p to S1 in /proc/vmstat, /proc/net/netstat and /proc/net/snmp.
    public var moved: [String: Int] = [:]
    /// PFMemallocDrop by moment; "last" is the last sample's.
    public var pfmemallocDrop: [String: Int] = [:]
    /// What the console tells of the OOM killer.
    public var oomKills: [OOMKill] = []
    /// The load's own files of the memory controller, by their name and by moment.
    public var cgroup: [String: [String: String]] = [:]
    /// What the flood's two ends counted.
    public var flood: [String: String] = [:]
    /// The agent's own word of what it lost, from its final summary: "ring.reserve" and the like.
    public var agentLoss: [String: Int] = [:]

    public init() {}

    public init(snapshots: [String: Snapshot], samples: [ProbeSample], console: String) {
        for (moment, snapshot) in snapshots {
            for (path, text) in snapshot.files { take(path, text, moment) }
            zones[moment] = snapshot.zones()
            pfmemallocDrop[moment] = snapshot.counters()["TcpExt.PFMemallocDrop"]
        }
        for sample in samples { mostUsedKiB.merge(sample.swapUsed) { max($0, $1) } }
        if let drop = samples.last?.pfmemallocDrop { pfmemallocDrop["last"] = drop }
        if let before = snapshots["S0p"]?.counters(), let after = snapshots["S1"]?.counters() {
            for (name, value) in after {
                if let old = before[name], old != value { moved[name] = value - old }
            }
        }
        oomKills = OOMKill.parse(console)
    }

    private mutating func take(_ path: String, _ text: String, _ moment: String) {
        if path.hasPrefix("/sys/block/"), path.hasSuffix("/stat") {
            let disk = String(path.dropFirst(11).dropLast(5))
            disks[disk, default: [:]][moment] = DiskFigures(stat: text)
        } else if path == "/proc/swaps" {
            swaps[moment] = SwapFigures.parse(text)
        } else if path.hasPrefix("/sys/fs/cgroup/") {
            cgroup[(path as NSString).lastPathComponent, default: [:]][moment] = text
        }
    }

    /// The agent's `loss` object, its tables by stem laid flat.
    public static func flat(_ loss: [String: Any]) -> [String: Int] {
        var figures: [String: Int] = [:]
        for (name, value) in loss {
            if let number = value as? Int { figures[name] = number }
            for (stem, number) in value as? [String: Int] ?? [:] {
                figures["\(name).\(stem)"] = number
            }
        }
        return figures
    }
}

/// The stat file of a disk or partition: Documentation/block/stat.rst. Sectors are of 512 bytes.
public struct DiskFigures: Codable, Equatable, Sendable {
    public var reads: Int
    public var readSectors: Int
    public var writes: Int
    public var writtenSectors: Int
    public var inFlight: Int
    public var discards: Int?
    public var discardedSectors: Int?
    public var flushes: Int?

    public init?(stat: String) {
        let fields = stat.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        guard fields.count >= 11 else { return nil }
        reads = fields[0]
        readSectors = fields[2]
        writes = fields[4]
        writtenSectors = fields[6]
        inFlight = fields[8]
        if fields.count >= 15 {
            discards = fields[11]
            discardedSectors = fields[13]
        }
        if fields.count >= 17 { flushes = fields[15] }
    }
}

/// One line of /proc/swaps.
public struct SwapFigures: Codable, Equatable, Sendable {
    /// As /proc/swaps has it: blanks as \040.
    public var path: String
    public var type: String
    public var sizeKiB: Int
    public var usedKiB: Int
    public var priority: Int

    public static func parse(_ text: String) -> [SwapFigures] {
        text.split(separator: "\n").dropFirst().compactMap { line in
            let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
            guard words.count == 5, let size = Int(words[2]), let used = Int(words[3]),
                let priority = Int(words[4])
            else { return nil }
            return SwapFigures(
                path: words[0], type: words[1], sizeKiB: size, usedKiB: used, priority: priority)
        }
    }
}
