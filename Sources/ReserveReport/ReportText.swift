// SPDX-License-Identifier: Apache-2.0

// A report as plain text, for a mail: no line is wider than 78 columns.

extension Report {
    static let textColumns = 78

    public var text: String {
        var lines = [title, String(repeating: "=", count: columns(title))]
        for line in subtitle { lines += Self.wrapped(line, to: Self.textColumns) }
        for section in sections {
            lines += ["", section.title.uppercased(), ""]
            for paragraph in section.paragraphs {
                let hang = section.id == "words" ? 2 : 0
                lines += Self.wrapped(paragraph, to: Self.textColumns, hang: hang)
            }
            for table in section.tables {
                if lines.last != "" { lines.append("") }
                lines += Self.plainTable(table)
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Breaks at spaces; keeps the indent of the first line, `hang` more for those that follow.
    static func wrapped(_ text: String, to width: Int, hang: Int = 0) -> [String] {
        let indent = text.prefix { $0 == " " }.count
        var lines: [String] = []
        var line = String(repeating: " ", count: indent)
        var isEmpty = true
        for word in text.split(separator: " ") {
            for piece in Self.pieces(String(word), of: width - indent - hang) {
                let wide = columns(line) + columns(piece) + (isEmpty ? 0 : 1)
                if wide > width, !isEmpty {
                    lines.append(line)
                    line = String(repeating: " ", count: indent + hang) + piece
                } else {
                    line += (isEmpty ? "" : " ") + piece
                }
                isEmpty = false
            }
        }
        return lines + [line]
    }

    /// A word that is wider than a line, in parts.
    private static func pieces(_ word: String, of width: Int) -> [String] {
        guard columns(word) > width else { return [word] }
        var parts: [String] = []
        var part = ""
        for character in word {
            if columns(part) + columns(String(character)) > width {
                parts.append(part)
                part = ""
            }
            part.append(character)
        }
        return parts + [part]
    }

    /// The last column is wrapped where a row is too wide, names before it are cut.
    static func plainTable(_ table: ReportTable) -> [String] {
        var widths = table.columns.indices.map { column in
            max(
                columns(table.columns[column].name),
                table.rows.map { columns($0[column]) }.max() ?? 0)
        }
        let last = widths.count - 1
        let wraps = !table.columns[last].isNumber
        func total() -> Int { widths.reduce(0, +) + widths.count - 1 }
        if wraps, total() > textColumns {
            widths[last] = max(min(widths[last], 20), widths[last] - (total() - textColumns))
        }
        while total() > textColumns,
            let widest = widths.indices.filter({ !table.columns[$0].isNumber && widths[$0] > 8 })
                .max(by: { widths[$0] < widths[$1] })
        {
            widths[widest] -= 1
        }
        var lines = wrapped(table.caption + ":", to: textColumns)
        func append(_ cells: [String]) {
            let tail = wraps ? wrapped(cells[last], to: max(widths[last], 8)) : [cells[last]]
            var line = ""
            for column in cells.indices where column < last {
                line += padded(cells[column], widths[column], table.columns[column].isNumber) + " "
            }
            let hanging = String(repeating: " ", count: columns(line))
            for (index, part) in tail.enumerated() {
                let cell = wraps ? part : padded(part, widths[last], true)
                lines.append(Self.trimmed((index == 0 ? line : hanging) + cell))
            }
        }
        append(table.columns.map(\.name))
        for row in table.rows { append(row) }
        if !table.note.isEmpty { lines.append(table.note) }
        return lines
    }

    private static func padded(_ text: String, _ width: Int, _ isNumber: Bool) -> String {
        var cell = text
        if columns(cell) > width {
            while columns(cell) > max(width - 1, 1) { cell.removeLast() }
            cell += "~"
        }
        let fill = String(repeating: " ", count: max(0, width - columns(cell)))
        return isNumber ? fill + cell : cell + fill
    }

    private static func trimmed(_ line: String) -> String {
        var line = line
        while line.last == " " { line.removeLast() }
        return line
    }
}
