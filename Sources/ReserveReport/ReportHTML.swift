// SPDX-License-Identifier: Apache-2.0

// A report as one HTML page that needs nothing else: style, script and figures are inside.

extension Report {
    /// Hands the page to `body`, part by part.
    public func html(_ body: (String) -> Void) {
        body(head)
        for section in sections where Self.isAhead(section) {
            body(Self.html(section))
        }
        body(timeLines)
        for section in sections where !Self.isAhead(section) {
            body(Self.html(section))
        }
        body("</main>\n<script type=\"application/json\" id=\"data\">")
        json(body)
        body("</script>\n<script>\n" + Self.resource(PackageResources.page_js) + "</script>\n")
        body("</body>\n</html>\n")
    }

    /// What stands above the time lines.
    private static func isAhead(_ section: ReportSection) -> Bool {
        section.id == "losses" || section.id == "words" || section.id == "verdicts"
    }

    private static func resource(_ bytes: [UInt8]) -> String {
        String(decoding: bytes, as: UTF8.self)
    }

    private var head: String {
        let host = collected.picture.host.map { plain($0.host) } ?? "unknown host"
        return """
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="generator" content="reservewatch report">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
            style-src 'unsafe-inline'; script-src 'unsafe-inline'">
            <meta name="color-scheme" content="light dark">
            <title>\(Self.escapedHTML(title + ": " + host))</title>
            <style>
            \(Self.resource(PackageResources.page_css))</style>
            </head>
            <body>
            <header>
            <h1>\(Self.escapedHTML(title))</h1>
            <button type="button" id="theme" aria-label="Change between light and dark">Light or dark</button>
            \(subtitle.map { "<p>\(Self.escapedHTML($0))</p>" }.joined(separator: "\n"))
            <nav aria-label="Parts of this report">\(contents)</nav>
            </header>
            <main>

            """
    }

    private var contents: String {
        var links = sections.map { "<a href=\"#\($0.id)\">\(Self.escapedHTML($0.title))</a>" }
        links.insert("<a href=\"#time-lines\">Time lines</a>", at: min(3, links.count))
        return links.joined(separator: " ")
    }

    private var timeLines: String {
        """
        <section id="time-lines" tabindex="-1">
        <h2>Time lines</h2>
        <div id="tools" role="toolbar" aria-label="Zoom of all time lines">
        <button type="button" data-do="in" title="Zoom in (+)">Zoom in</button>
        <button type="button" data-do="out" title="Zoom out (-)">Zoom out</button>
        <button type="button" data-do="earlier" title="Move to earlier (left arrow)">Earlier</button>
        <button type="button" data-do="later" title="Move to later (right arrow)">Later</button>
        <button type="button" data-do="reset" title="Show all (0)">Show all</button>
        <button type="button" data-do="scale" aria-pressed="false" title="Charts of free memory end at three times high">Whole scale</button>
        <output id="readout" aria-live="off"></output>
        <span class="hint">Drag over a chart to zoom in; Ctrl and wheel zoom at the pointer;
        point at a chart for the values at that time.</span>
        </div>
        <noscript><p>The charts are drawn by a script, which this viewer does not run. All tables
        of this page stand without it.</p></noscript>
        <div id="charts"></div>
        </section>

        """
    }

    static func html(_ section: ReportSection) -> String {
        var html = "<section id=\"\(section.id)\">\n<h2>\(escapedHTML(section.title))</h2>\n"
        var inList = false
        for paragraph in section.paragraphs {
            let isItem = paragraph.hasPrefix("  ")
            if isItem != inList { html += isItem ? "<ul>\n" : "</ul>\n" }
            inList = isItem
            let tag = isItem ? "li" : "p"
            html += "<\(tag)>\(escapedHTML(trimmedFront(paragraph)))</\(tag)>\n"
        }
        if inList { html += "</ul>\n" }
        for table in section.tables { html += htmlTable(table) }
        return html + "</section>\n"
    }

    private static func trimmedFront(_ text: String) -> String {
        String(text.drop { $0 == " " })
    }

    static func htmlTable(_ table: ReportTable) -> String {
        var html = "<div class=\"table\" tabindex=\"0\" role=\"group\""
        html += " aria-label=\"\(escapedHTML(table.caption))\"><table>\n"
        html += "<caption>\(escapedHTML(table.caption))</caption>\n<thead><tr>"
        for column in table.columns {
            html += "<th scope=\"col\"\(column.isNumber ? " class=\"number\"" : "")>"
            html += "\(escapedHTML(column.name))</th>"
        }
        html += "</tr></thead>\n<tbody>\n"
        for row in table.rows {
            html += "<tr>"
            for index in row.indices {
                let column = table.columns[index]
                let kind =
                    column.isNumber ? " class=\"number\"" : column.isName ? " class=\"name\"" : ""
                html += "<td\(kind)>\(escapedHTML(row[index]))</td>"
            }
            html += "</tr>\n"
        }
        html += "</tbody></table></div>\n"
        if !table.note.isEmpty { html += "<p class=\"note\">\(escapedHTML(table.note))</p>\n" }
        return html
    }

    /// For text and for attributes in double quotes.
    static func escapedHTML(_ text: String) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
