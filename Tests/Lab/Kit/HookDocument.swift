// SPDX-License-Identifier: Apache-2.0

/// docs/hooks.md: some prose, and a table of the hooks for each kernel.
public struct HookDocument: Equatable, Sendable {
    public struct Row: Equatable, Sendable {
        public var signal: String
        public var state: String
        public var path: String
        public var reason: String

        public init(signal: String, state: String, path: String, reason: String) {
            self.signal = signal
            self.state = state
            self.path = path
            self.reason = reason
        }
    }

    /// A kernel's table, under its heading.
    public struct Section: Equatable, Sendable {
        public var kernel: String
        /// The package that it was made from: told, not compared.
        public var source: String
        public var rows: [Row]

        public init(kernel: String, source: String = "", rows: [Row]) {
            self.kernel = kernel
            self.source = source
            self.rows = rows
        }
    }

    static let columns = ["signal", "state", "path", "why none better"]

    /// All above the first kernel, written by hand.
    public var head: String
    public var sections: [Section]

    public init(head: String, sections: [Section]) {
        self.head = head
        self.sections = sections
    }

    /// What a second-level heading opens is a kernel's, and its rows are the table's.
    public init(parsing text: String) {
        var head: [Substring] = []
        sections = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("## ") {
                sections.append(Section(kernel: String(line.dropFirst(3)), rows: []))
            } else if sections.isEmpty {
                head.append(line)
            } else if line.hasPrefix("| "), let row = Self.row(line) {
                sections[sections.count - 1].rows.append(row)
            } else if line.hasPrefix("From ") {
                sections[sections.count - 1].source = String(line.dropFirst(5).dropLast())
            }
        }
        self.head = sections.isEmpty ? text : head.map { "\($0)\n" }.joined()
    }

    public var text: String {
        let tables = sections.map { section in
            let rows = section.rows.map { row in
                "| " + [row.signal, row.state, row.path, row.reason].joined(separator: " | ")
                    + " |\n"
            }
            return "## \(section.kernel)\n\nFrom \(section.source).\n\n"
                + "| \(Self.columns.joined(separator: " | ")) |\n"
                + String(repeating: "|---", count: Self.columns.count) + "|\n" + rows.joined()
        }
        return head + tables.joined(separator: "\n")
    }

    /// What differs in a kernel's table, a line each way: "-" as committed, "+" as found.
    public func differences(from found: Section) -> [String] {
        let committed = sections.first { $0.kernel == found.kernel }?.rows ?? []
        let signals = committed.map(\.signal) + found.rows.map(\.signal)
        var seen: Set<String> = []
        return signals.filter { seen.insert($0).inserted }.flatMap { signal in
            let old = committed.filter { $0.signal == signal }
            let new = found.rows.filter { $0.signal == signal }
            return old == new
                ? [] : old.map { "- \(Self.words($0))" } + new.map { "+ \(Self.words($0))" }
        }
    }

    private static func words(_ row: Row) -> String {
        let reason = row.reason.isEmpty ? "" : " (\(row.reason))"
        return "\(row.signal): \(row.state), \(row.path)\(reason)"
    }

    /// A row of the table; nil for its head. No cell has a bar of its own.
    private static func row(_ line: Substring) -> Row? {
        let cells = line.split(separator: "|", omittingEmptySubsequences: false).dropFirst()
            .dropLast().map { cell in
                String(cell.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
            }
        guard cells.count == columns.count, cells != columns else { return nil }
        return Row(signal: cells[0], state: cells[1], path: cells[2], reason: cells[3])
    }
}
