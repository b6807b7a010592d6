// SPDX-License-Identifier: Apache-2.0

/// What a load said when it was through: the mark `LOADED` of the guest's script,
/// "status=1 mapload: 16 processes, 1 failed", and before it `LOAD-SAYS`, what it said of each
/// process that failed: "mapload: process 269 ended by signal 9;".
public struct LoadEnd: Equatable, Sendable {
    /// The load's exit status, which is the number of its processes that did not end well.
    public var status: Int
    public var program: String
    public var failed: Int
    /// Processes that SIGKILL ended.
    public var killed: [Int]

    /// nil where the mark is absent, or the load died before it could say anything.
    public init?(mark: String, says: String) {
        let words = mark.split(separator: " ")
        guard words.count == 6, words[0].hasPrefix("status="), words[1].hasSuffix(":"),
            words[5] == "failed", let status = Int(words[0].dropFirst(7)),
            let failed = Int(words[4])
        else { return nil }
        self.status = status
        self.failed = failed
        let name = String(words[1].dropLast())
        program = name
        killed = says.split(separator: ";").compactMap { line in
            guard line.hasPrefix("\(name): process "), line.hasSuffix(" ended by signal 9") else {
                return nil
            }
            return Int(line.dropFirst(name.count + 10).prefix { $0 != " " })
        }
    }

    /// Whether each process ended well, but for those that the kernel's OOM killer says it took:
    /// as many, the same, and by SIGKILL.
    public func isWell(butFor kills: [OOMKill]) -> Bool {
        let taken = kills.filter { $0.name == program }.map(\.pid)
        return failed == status && failed == killed.count && killed.sorted() == taken.sorted()
    }
}
