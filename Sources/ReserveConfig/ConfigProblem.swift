// SPDX-License-Identifier: Apache-2.0

/// Where something stands in the configuration.
public struct ConfigPlace: Sendable, Hashable, CustomStringConvertible {
    public var file: String
    /// From 1; 0: the file as a whole.
    public var line: Int

    public init(file: String, line: Int) {
        self.file = file
        self.line = line
    }

    /// `FILE:LINE`, as compilers and editors write it.
    public var description: String { line > 0 ? "\(file):\(line)" : file }
}

/// What is wrong in the configuration, and where. A refusal of one thing hides no other: all of
/// them are collected.
public struct ConfigProblem: Error, Sendable, Hashable {
    public enum Severity: String, Sendable {
        /// The configuration is not taken.
        case error
        /// It is, and may not mean what its author thinks.
        case warning
    }

    public var severity: Severity
    public var place: ConfigPlace
    /// Without the place: what stands there, why it is not taken, what to write instead.
    public var reason: String

    public init(_ severity: Severity = .error, at place: ConfigPlace, _ reason: String) {
        self.severity = severity
        self.place = place
        self.reason = reason
    }

    /// `FILE:LINE: error: REASON`. Parts of it are the file's own text: it is printed like any
    /// string of somebody else's.
    public var sentence: String { "\(place): \(severity.rawValue): \(reason)" }
}

/// A name that is known and close to one that is not: what was meant, probably.
func nearest(to name: String, among known: [String]) -> String? {
    let wanted = Array(name.lowercased().utf8.prefix(64))
    let allowed = max(1, wanted.count / 3)
    var best: (name: String, distance: Int)?
    for candidate in known {
        let distance = editDistance(wanted, Array(candidate.lowercased().utf8.prefix(64)))
        if distance <= allowed, distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    return best?.name
}

/// Insertions, deletions, replacements and swaps of neighbours from one to the other.
private func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var former: [Int] = []
    var row = Array(0...right.count)
    for (i, byte) in left.enumerated() {
        var next = [i + 1]
        for (j, other) in right.enumerated() {
            var distance = min(next[j] + 1, row[j + 1] + 1, row[j] + (byte == other ? 0 : 1))
            if i > 0, j > 0, byte == right[j - 1], left[i - 1] == other {
                distance = min(distance, former[j - 1] + 1)
            }
            next.append(distance)
        }
        former = row
        row = next
    }
    return row[right.count]
}
