// SPDX-License-Identifier: Apache-2.0

import Foundation

/// One sample of the lab's probe, taken while the guest may be stalled.
public struct ProbeSample: Equatable, Sendable {
    /// CLOCK_BOOTTIME of the guest.
    public var bootNanoseconds: Int
    /// Worst lateness of the probe itself until now: what a locked process suffers.
    public var worstGapMilliseconds = 0
    /// Over all disks on which swap lies.
    public var completed: Int?
    public var inFlight: Int?
    public var readsInFlight: Int?
    /// CLOCK_BOOTTIME at which the probe last saw that one had completed; it looks each 50 ms.
    public var lastDoneNanoseconds: Int?
    public var completedOf: [String: Int] = [:]
    public var inFlightOf: [String: Int] = [:]
    public var freePages: Int?
    /// Free pages by "node/zone".
    public var zoneFreePages: [String: Int] = [:]
    /// What is used of each swap, by its path: KiB.
    public var swapUsed: [String: Int] = [:]
    /// PFMemallocDrop of /proc/net/netstat.
    public var pfmemallocDrop: Int?

    public init(bootNanoseconds: Int) {
        self.bootNanoseconds = bootNanoseconds
    }

    /// All complete samples; the last may be on its way still and is left out then.
    public static func parse(_ text: String) -> [ProbeSample] {
        var samples: [ProbeSample] = []
        var current: ProbeSample?
        for line in text.split(separator: "\n") {
            if line.hasPrefix("@ ") {
                let words = line.split(separator: " ")
                current = words.count >= 2 ? Int(words[1]).map(ProbeSample.init) : nil
                if words.count >= 3 { current?.worstGapMilliseconds = Int(words[2]) ?? 0 }
            } else if line == "@." {
                if let current { samples.append(current) }
                current = nil
            } else {
                current?.take(line)
            }
        }
        return samples
    }

    private mutating func take(_ line: Substring) {
        if line.hasPrefix("stat: ") {
            let (disk, text) = Self.ofDisk(line.dropFirst(6))
            guard let count = BlockStat.completed(text) else { return }
            completedOf[disk] = count
            completed = (completed ?? 0) + count
        } else if line.hasPrefix("inflight: ") {
            let (disk, text) = Self.ofDisk(line.dropFirst(10))
            guard let count = BlockStat.inFlight(text) else { return }
            inFlightOf[disk] = count.all
            inFlight = (inFlight ?? 0) + count.all
            readsInFlight = (readsInFlight ?? 0) + count.reads
        } else if line.hasPrefix("done: ") {
            lastDoneNanoseconds = Int(line.dropFirst(6))
        } else if line.hasPrefix("swap: ") {
            let words = line.split(separator: " ")
            if words.count == 3 { swapUsed[String(words[1])] = Int(words[2]) }
        } else if line.hasPrefix("drop: ") {
            pfmemallocDrop = Int(line.dropFirst(6))
        } else if line.hasPrefix("vmstat: nr_free_pages ") {
            freePages = Int(line.dropFirst(22))
        } else if line.hasPrefix("zone: ") {
            let words = line.split(separator: " ")
            if words.count == 4, let free = Int(words[3]) {
                zoneFreePages["\(words[1])/\(words[2])"] = free
            }
        }
    }

    /// "nbd0" and the figures of "nbd0: 1 2 3".
    private static func ofDisk(_ line: Substring) -> (disk: String, text: String) {
        let colon = line.firstIndex(of: ":") ?? line.startIndex
        return (String(line[..<colon]), String(line[colon...].dropFirst()))
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

    /// A time in which no request completed although some were in flight.
    public struct Stall: Equatable, Sendable {
        public var seconds = 0.0
        /// Requests completed, as the disk counts them, when it began.
        public var completed = 0
        /// CLOCK_BOOTTIME of the last completion before it, as near as the probe knows.
        public var sinceBootNanoseconds = 0
        /// Of the last sample in it, or, where it ended, of the first completion after it, which
        /// is known to within half a second.
        public var untilBootNanoseconds = 0
        public var hasEnded = false

        public init(seconds: Double = 0, completed: Int = 0) {
            self.seconds = seconds
            self.completed = completed
        }
    }

    /// The longest stall of all samples; of zero seconds where there was none.
    public static func longestStall(_ samples: [ProbeSample]) -> Stall {
        var longest = Stall()
        var since: ProbeSample?
        for sample in samples {
            guard let completed = sample.completed else { continue }
            if let begin = since, begin.completed != completed || (sample.inFlight ?? 0) == 0 {
                if longest.completed == begin.completed, longest.seconds > 0, !longest.hasEnded {
                    longest.hasEnded = true
                    longest.untilBootNanoseconds = sample.bootNanoseconds
                }
                since = nil
            }
            guard (sample.inFlight ?? 0) > 0 else { continue }
            guard let begin = since else {
                since = sample
                continue
            }
            let seconds = Double(sample.bootNanoseconds - begin.bootNanoseconds) / 1e9
            if seconds > longest.seconds {
                longest = Stall(seconds: seconds, completed: completed)
                // The probe knows the last completion better, unless the disk was idle then.
                longest.sinceBootNanoseconds = begin.bootNanoseconds
                if let done = sample.lastDoneNanoseconds,
                    begin.bootNanoseconds - done < 1_000_000_000
                {
                    longest.sinceBootNanoseconds = done
                }
                longest.untilBootNanoseconds = sample.bootNanoseconds
            }
        }
        return longest
    }
}
