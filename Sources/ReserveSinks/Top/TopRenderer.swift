// SPDX-License-Identifier: Apache-2.0

/// What a terminal can show beside characters.
public enum TopColours: Sendable {
    /// Bold and reverse only: NO_COLOR, and terminals without colour.
    case none
    case sixteen
    case truecolor
}

/// Turns a grid into the bytes that change the terminal from the former one.
public struct TopRenderer {
    private let colours: TopColours
    private var shown: TopGrid?

    public init(colours: TopColours) {
        self.colours = colours
    }

    /// The next frame is drawn whole: the terminal may show anything now.
    public mutating func forget() {
        shown = nil
    }

    /// Bytes for a whole frame: several times what one takes whose every row is full of
    /// changing styles.
    public static let frameBytes = TopGrid.mostColumns * TopGrid.mostRows * 24

    public mutating func write(_ grid: borrowing TopGrid, _ writer: inout ByteWriter) {
        let isWhole = shown == nil || shown?.columns != grid.columns || shown?.rows != grid.rows
        // Synchronized update: a terminal that knows it shows the frame at once.
        writer.text("\u{1b}[?2026h")
        if isWhole { writer.text("\u{1b}[0m\u{1b}[2J") }
        var style: TopStyle?
        // Where the terminal's cursor is; nil: not known.
        var cursor: (x: Int, y: Int)?
        for y in 0..<grid.rows {
            for x in 0..<grid.columns {
                let cell = grid[x, y]
                let before = isWhole ? TopCell() : shown?[x, y] ?? TopCell()
                guard cell != before, cell.scalar != 0 else { continue }
                if cursor?.x != x || cursor?.y != y { move(x, y, &writer) }
                if style != cell.style {
                    self.style(cell.style, &writer)
                    style = cell.style
                }
                writer.scalar(cell.scalar)
                // How far a terminal moves for anything but ASCII is its own affair: the next
                // character is put where it belongs, whatever that did.
                cursor = cell.scalar < 0x7f && x + 1 < grid.columns ? (x + 1, y) : nil
            }
        }
        if style != nil && style != .plain { writer.text("\u{1b}[0m") }
        writer.text("\u{1b}[?2026l")
        shown = copy grid
    }

    private func move(_ x: Int, _ y: Int, _ writer: inout ByteWriter) {
        writer.text("\u{1b}[")
        writer.number(UInt64(y + 1))
        writer.byte(UInt8(ascii: ";"))
        writer.number(UInt64(x + 1))
        writer.byte(UInt8(ascii: "H"))
    }

    private func style(_ style: TopStyle, _ writer: inout ByteWriter) {
        writer.text("\u{1b}[0")
        switch colours {
        case .none: writer.text(Self.attributes(style))
        case .sixteen: writer.text(Self.sixteen(style))
        case .truecolor: writer.text(Self.truecolor(style))
        }
        writer.byte(UInt8(ascii: "m"))
    }

    private static func attributes(_ style: TopStyle) -> StaticString {
        switch style {
        case .plain, .dim, .good, .notice: return ""
        case .bold, .warning: return ";1"
        case .bar: return ";7"
        case .critical: return ";1;4"
        case .alarm: return ";1;7"
        case .selected: return ";7"
        }
    }

    private static func sixteen(_ style: TopStyle) -> StaticString {
        switch style {
        case .plain: return ""
        case .dim: return ";36"
        case .bold: return ";1"
        case .bar: return ";30;47"
        case .good: return ";32"
        case .notice: return ";36;1"
        case .warning: return ";33;1"
        case .critical: return ";31;1"
        case .alarm: return ";37;41;1"
        case .selected: return ";7"
        }
    }

    private static func truecolor(_ style: TopStyle) -> StaticString {
        switch style {
        case .plain: return ""
        case .dim: return ";38;2;138;146;158"
        case .bold: return ";1"
        case .bar: return ";38;2;230;235;241;48;2;51;61;77"
        case .good: return ";38;2;80;190;110"
        case .notice: return ";38;2;90;180;230"
        case .warning: return ";1;38;2;235;180;60"
        case .critical: return ";1;38;2;245;95;80"
        case .alarm: return ";1;38;2;255;255;255;48;2;190;30;30"
        case .selected: return ";38;2;255;255;255;48;2;45;85;140"
        }
    }
}
