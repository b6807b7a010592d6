// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The kernel's own figures at one quiet moment, as the guest's shell copied them.
public struct Snapshot: Equatable, Sendable {
    public var name: String
    public var files: [String: String]

    /// All complete frames of a marks file, by name. A frame that was cut is left out.
    public static func parse(marks: String) -> [String: Snapshot] {
        var found: [String: Snapshot] = [:]
        var current: Snapshot?
        var file: String?
        for line in marks.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("@@ ") {
                current = Snapshot(name: String(line.dropFirst(3)), files: [:])
                file = nil
            } else if line.hasPrefix("@file ") {
                file = String(line.dropFirst(6))
            } else if line.hasPrefix("@end "), let snapshot = current {
                found[snapshot.name] = snapshot
                current = nil
            } else if let name = file, current != nil {
                current?.files[name, default: ""] += line + "\n"
            }
        }
        return found
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

    /// Requests completed by a disk: reads, writes, discards and flushes of its stat file.
    public func completedRequests() -> Int? {
        guard let text = files["/sys/block/nbd0/stat"] else { return nil }
        return BlockStat.completed(text)
    }

    public func inFlightRequests() -> Int? {
        files["/sys/block/nbd0/inflight"].flatMap(BlockStat.inFlight)
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

    public static func inFlight(_ text: String) -> Int? {
        let fields = text.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        return fields.count == 2 ? fields[0] + fields[1] : nil
    }
}

/// One zone of /proc/zoneinfo.
public struct ZoneInfo: Equatable, Sendable {
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

/// One sample of the lab's probe, taken while the guest may be stalled.
public struct ProbeSample: Equatable, Sendable {
    public var bootNanoseconds: Int
    public var completed: Int?
    public var inFlight: Int?
    public var freePages: Int?

    public static func parse(_ text: String) -> [ProbeSample] {
        var samples: [ProbeSample] = []
        for line in text.split(separator: "\n") {
            if line.hasPrefix("@ ") {
                let words = line.split(separator: " ")
                guard words.count >= 2, let time = Int(words[1]) else { continue }
                samples.append(ProbeSample(bootNanoseconds: time))
            } else if let last = samples.indices.last {
                if line.hasPrefix("stat: ") {
                    samples[last].completed = BlockStat.completed(String(line.dropFirst(6)))
                } else if line.hasPrefix("inflight: ") {
                    samples[last].inFlight = BlockStat.inFlight(String(line.dropFirst(10)))
                } else if line.hasPrefix("vmstat: nr_free_pages ") {
                    samples[last].freePages = Int(line.dropFirst(22))
                }
            }
        }
        return samples
    }

    /// How long, to the last sample, requests have been in flight without one completing: seconds.
    public static func stalledSeconds(_ samples: [ProbeSample]) -> Double {
        guard let last = samples.last, (last.inFlight ?? 0) > 0 else { return 0 }
        var since = last.bootNanoseconds
        for sample in samples.reversed() {
            guard sample.completed == last.completed, (sample.inFlight ?? 0) > 0 else { break }
            since = sample.bootNanoseconds
        }
        return Double(last.bootNanoseconds - since) / 1e9
    }
}
