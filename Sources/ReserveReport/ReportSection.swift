// SPDX-License-Identifier: Apache-2.0

/// One part of a report, as all three formats tell it.
struct ReportSection: Sendable {
    var id: String
    var title: String
    /// Sentences; each is wrapped where the format needs it.
    var paragraphs: [String] = []
    var tables: [ReportTable] = []
}

struct ReportTable: Sendable {
    struct Column: Sendable {
        var name: String
        var isNumber: Bool
        /// A name that somebody else chose, or the kernel's: set apart where a format can.
        var isName: Bool
    }

    var caption: String
    var columns: [Column]
    var rows: [[String]] = []
    /// What is said of rows that are left out; empty: none are.
    var note = ""

    /// - Parameter columns: names; "#" in front makes a column of numbers, "@" one of names.
    init(_ caption: String, _ columns: String...) {
        self.caption = caption
        self.columns = columns.map { name in
            Column(
                name: name.hasPrefix("#") || name.hasPrefix("@") ? String(name.dropFirst()) : name,
                isNumber: name.hasPrefix("#"), isName: name.hasPrefix("@"))
        }
    }

    /// Keeps the first rows and says how many more there are.
    mutating func limit(to most: Int, _ what: String) {
        guard rows.count > most else { return }
        note = "\(rows.count - most) more \(what) are left out."
        rows.removeSubrange(most...)
    }
}

/// What all formats are made of.
public struct Report: Sendable {
    var title: String
    var subtitle: [String]
    var sections: [ReportSection]
    var collected: ReportCollector

    /// - Parameters:
    ///   - damage: sentences on the file itself: torn, damaged.
    public init(_ collector: ReportCollector, damage: [String]) {
        var collected = collector
        collected.finish()
        title = "ReserveWatch report"
        subtitle = collected.subtitle
        sections = collected.sections(damage: damage)
        self.collected = collected
    }
}
