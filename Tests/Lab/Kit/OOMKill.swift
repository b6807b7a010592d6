// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What the kernel says on the console of a process that its OOM killer ended:
/// mm/oom_kill.c:__oom_kill_process().
public struct OOMKill: Codable, Equatable, Sendable {
    /// "Out of memory", "Memory cgroup out of memory" and the like.
    public var reason: String
    /// Process id in the initial namespace.
    public var pid: Int
    public var name: String
    public var totalVMKiB: Int
    public var anonRSSKiB: Int
    public var fileRSSKiB: Int
    public var shmemRSSKiB: Int
    public var uid: Int?
    public var pageTablesKiB: Int?
    public var oomScoreAdj: Int?

    /// All kills that a console tells whole. A line that was cut or mixed with another is left out.
    public static func parse(_ console: String) -> [OOMKill] {
        console.split(whereSeparator: \.isNewline).compactMap {
            parse(line: ConsoleEvidence.withoutStamp($0))
        }
    }

    /// The name stands in parentheses and may hold any of the line's own words: the figures
    /// are looked for from the end.
    private static func parse(line: String) -> OOMKill? {
        guard let killed = line.range(of: ": Killed process "),
            let figures = line.range(of: ") total-vm:", options: .backwards),
            killed.upperBound <= figures.lowerBound
        else { return nil }
        let who = line[killed.upperBound..<figures.lowerBound]
        guard let open = who.range(of: " ("), let pid = Int(who[..<open.lowerBound]) else {
            return nil
        }
        var values: [String: Int] = [:]
        for word in line[line.index(figures.lowerBound, offsetBy: 2)...].split(separator: " ") {
            let pair = word.split(separator: ":", maxSplits: 1)
            guard pair.count == 2 else { continue }
            var figure = pair[1]
            if figure.hasSuffix(",") { figure.removeLast() }
            if figure.hasSuffix("kB") { figure.removeLast(2) }
            values[String(pair[0])] = Int(figure)
        }
        guard let total = values["total-vm"], let anon = values["anon-rss"],
            let file = values["file-rss"], let shmem = values["shmem-rss"]
        else { return nil }
        return OOMKill(
            reason: String(line[..<killed.lowerBound]), pid: pid,
            name: String(who[open.upperBound...]), totalVMKiB: total, anonRSSKiB: anon,
            fileRSSKiB: file, shmemRSSKiB: shmem, uid: values["UID"],
            pageTablesKiB: values["pgtables"], oomScoreAdj: values["oom_score_adj"])
    }
}
