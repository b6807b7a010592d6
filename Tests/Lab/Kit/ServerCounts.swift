// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The requests that the NBD server counted itself: nbdkit's stats filter, its file at the end.
public struct ServerCounts: Equatable, Sendable {
    public var operations: [String: Int] = [:]

    public init() {}

    /// Reads "read: 4 ops, 0.000014 s, ..." lines; nil where the server wrote no total.
    public static func parse(_ text: String) -> ServerCounts? {
        var counts = ServerCounts()
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count >= 3, words[0].hasSuffix(":"), words[2].hasPrefix("ops"),
                let count = Int(words[1])
            else { continue }
            counts.operations[String(words[0].dropLast())] = count
        }
        return counts.operations["total"] == nil ? nil : counts
    }

    public var total: Int { operations["total"] ?? 0 }
}
