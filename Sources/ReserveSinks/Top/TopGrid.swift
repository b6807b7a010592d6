// SPDX-License-Identifier: Apache-2.0

/// What a cell means; a palette turns it into what the terminal can show.
public enum TopStyle: UInt8, Sendable, CaseIterable {
    case plain
    case dim
    case bold
    /// Header and footer.
    case bar
    /// Above every mark, a state of calm.
    case good
    /// kswapd is at work.
    case notice
    case warning
    case critical
    /// What must be seen first: a state that stops the host.
    case alarm
    /// The line that the keys act on.
    case selected
}

/// One place on the screen.
public struct TopCell: Equatable, Sendable {
    /// 0: the right half of a wide character.
    public var scalar: UInt32 = 32
    public var style = TopStyle.plain
}

/// A screen of cells; what does not fit is not drawn.
public struct TopGrid: Sendable {
    public let columns: Int
    public let rows: Int
    private var cells: [TopCell]

    /// A window may be larger; more than this helps nobody, and bounds a frame's bytes.
    public static let mostColumns = 512
    public static let mostRows = 256

    public init(columns: Int, rows: Int) {
        self.columns = max(1, min(columns, Self.mostColumns))
        self.rows = max(1, min(rows, Self.mostRows))
        cells = Array(repeating: TopCell(), count: self.columns * self.rows)
    }

    public subscript(x: Int, y: Int) -> TopCell {
        get { cells[y * columns + x] }
        set { cells[y * columns + x] = newValue }
    }

    public mutating func clear() {
        for index in cells.indices { cells[index] = TopCell() }
    }

    /// Draws one character if it fits left of `limit`.
    ///
    /// - Returns: the columns that it took.
    mutating func put(
        _ scalar: UInt32, width: Int, style: TopStyle, x: Int, y: Int, limit: Int
    ) -> Int {
        guard y >= 0, y < rows, x >= 0, x + width <= min(limit, columns) else { return 0 }
        self[x, y] = TopCell(scalar: scalar, style: style)
        if width == 2 { self[x + 1, y] = TopCell(scalar: 0, style: style) }
        return width
    }

    /// The whole screen as lines of text, without styles and without spaces at their ends.
    public func writeText(_ writer: inout ByteWriter) {
        for y in 0..<rows {
            var end = columns
            while end > 0, self[end - 1, y].scalar == 32 { end -= 1 }
            for x in 0..<end where self[x, y].scalar != 0 {
                writer.scalar(self[x, y].scalar)
            }
            writer.byte(UInt8(ascii: "\n"))
        }
    }
}

extension ByteWriter {
    /// One character as UTF-8.
    mutating func scalar(_ value: UInt32) {
        if value < 0x80 {
            byte(UInt8(value))
        } else if value < 0x800 {
            byte(UInt8(0xc0 | value >> 6))
            byte(UInt8(0x80 | value & 0x3f))
        } else if value < 0x10000 {
            byte(UInt8(0xe0 | value >> 12))
            byte(UInt8(0x80 | value >> 6 & 0x3f))
            byte(UInt8(0x80 | value & 0x3f))
        } else {
            byte(UInt8(0xf0 | value >> 18 & 7))
            byte(UInt8(0x80 | value >> 12 & 0x3f))
            byte(UInt8(0x80 | value >> 6 & 0x3f))
            byte(UInt8(0x80 | value & 0x3f))
        }
    }
}

/// How wide a terminal draws a character, for those about which terminals agree.
enum TopWidth {
    private struct Span {
        var first: UInt32
        var last: UInt32
        var width: Int
    }

    /// Left to right scripts without marks that combine, and East Asian ones. Not in it, and
    /// so shown as "?": emoji and what joins them (terminals differ about their width),
    /// combining marks, and scripts from right to left (some terminals reorder a whole line
    /// for them).
    private static let spans: InlineArray<19, Span> = [
        Span(first: 0x20, last: 0x7e, width: 1),
        Span(first: 0xa1, last: 0xac, width: 1),
        Span(first: 0xae, last: 0x24f, width: 1),
        Span(first: 0x370, last: 0x377, width: 1),
        Span(first: 0x37a, last: 0x37f, width: 1),
        Span(first: 0x384, last: 0x482, width: 1),
        Span(first: 0x48a, last: 0x52f, width: 1),
        Span(first: 0x1e00, last: 0x1eff, width: 1),
        Span(first: 0x2010, last: 0x2027, width: 1),
        Span(first: 0x2030, last: 0x205e, width: 1),
        Span(first: 0x2190, last: 0x21ff, width: 1),
        Span(first: 0x2500, last: 0x259f, width: 1),
        Span(first: 0x3001, last: 0x3029, width: 2),
        Span(first: 0x3041, last: 0x3096, width: 2),
        Span(first: 0x30a0, last: 0x30ff, width: 2),
        Span(first: 0x3400, last: 0x4dbf, width: 2),
        Span(first: 0x4e00, last: 0x9fff, width: 2),
        Span(first: 0xac00, last: 0xd7a3, width: 2),
        Span(first: 0xff01, last: 0xff60, width: 2),
    ]

    /// nil: not to be drawn.
    static func of(_ scalar: UInt32) -> Int? {
        if scalar < 0x7f { return scalar >= 0x20 ? 1 : nil }
        for index in 1..<spans.count
        where scalar >= spans[index].first && scalar <= spans[index].last {
            return spans[index].width
        }
        return nil
    }
}
