// SPDX-License-Identifier: Apache-2.0

// A report as Markdown, for a ticket.

extension Report {
    public var markdown: String {
        var lines = ["# " + title, ""]
        lines += subtitle.map { Self.escapedMarkdown($0) + "  " }
        for section in sections {
            lines += ["", "## " + section.title]
            if section.id == "words" {
                // Indented as it is, and names in it cannot be taken for markup.
                let text = section.paragraphs.flatMap {
                    Self.wrapped($0, to: Self.textColumns, hang: 2)
                }
                let fence = Self.fence(around: text.joined(separator: "\n"), atLeast: 3)
                lines += ["", fence + "text"] + text + [fence]
            } else {
                for paragraph in section.paragraphs {
                    lines += ["", Self.escapedMarkdown(paragraph)]
                }
            }
            for table in section.tables { lines += [""] + Self.markdownTable(table) }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    static func markdownTable(_ table: ReportTable) -> [String] {
        var lines = ["**\(escapedMarkdown(table.caption))**", ""]
        lines.append("| " + table.columns.map(\.name).joined(separator: " | ") + " |")
        lines.append(
            "|" + table.columns.map { $0.isNumber ? "---:" : "---" }.joined(separator: "|") + "|")
        for row in table.rows {
            let cells = row.indices.map { index in
                table.columns[index].isName ? code(row[index]) : escapedMarkdown(row[index])
            }
            lines.append("| " + cells.joined(separator: " | ") + " |")
        }
        if !table.note.isEmpty { lines += ["", escapedMarkdown(table.note)] }
        return lines
    }

    /// As a code span in a table: longer fence than any run of backticks, bars escaped.
    static func code(_ text: String) -> String {
        guard !text.isEmpty else { return "" }
        let fence = fence(around: text, atLeast: 1)
        let pad = text.hasPrefix("`") || text.hasSuffix("`") ? " " : ""
        var inside = ""
        for character in text { inside += character == "|" ? "\\|" : String(character) }
        return fence + pad + inside + pad + fence
    }

    static func fence(around text: String, atLeast shortest: Int) -> String {
        var longest = 0
        var run = 0
        for character in text {
            run = character == "`" ? run + 1 : 0
            longest = max(longest, run)
        }
        return String(repeating: "`", count: max(shortest, longest + 1))
    }

    static func escapedMarkdown(_ text: String) -> String {
        var escaped = ""
        for character in text {
            if "\\`*_[]<>|~&#!@$^".contains(character) { escaped += "\\" }
            escaped.append(character)
        }
        return escaped
    }
}
