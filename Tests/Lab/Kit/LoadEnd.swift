// SPDX-License-Identifier: Apache-2.0

/// What a load said when it was through: the mark `LOADED` of the guest's script,
/// "status=1 mapload: 16 processes, 1 failed".
public struct LoadEnd: Equatable, Sendable {
    /// The load's exit status, which is the number of its processes that did not end well.
    public var status: Int
    public var program: String
    public var failed: Int

    /// nil where the mark is absent, or the load died before it could say anything.
    public init?(mark: String) {
        let words = mark.split(separator: " ")
        guard words.count == 6, words[0].hasPrefix("status="), words[1].hasSuffix(":"),
            words[5] == "failed", let status = Int(words[0].dropFirst(7)),
            let failed = Int(words[4])
        else { return nil }
        self.status = status
        self.failed = failed
        program = String(words[1].dropLast())
    }

    /// Whether each process ended well, but for those that the kernel's OOM killer says it took.
    public func isWell(butFor kills: [OOMKill]) -> Bool {
        failed == status && failed == kills.count { $0.name == program }
    }
}
