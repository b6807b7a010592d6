// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// With what a terminal can draw.
public enum TopGlyphs: Sendable {
    /// Serial consoles, the kernel's own console, every locale that is not UTF-8.
    case ascii
    case utf8
}

/// A part of the screen.
struct TopRegion {
    var x: Int
    var y: Int
    var width: Int
    var height: Int

    /// Cuts off up to `rows` at the top.
    mutating func take(_ rows: Int) -> TopRegion {
        let taken = max(0, min(rows, height))
        let part = TopRegion(x: x, y: y, width: width, height: taken)
        y += taken
        height -= taken
        return part
    }

    /// The left `columns`, with one column of space behind; the rest stays.
    mutating func takeLeft(_ columns: Int) -> TopRegion {
        let part = TopRegion(x: x, y: y, width: columns - 1, height: height)
        x += columns
        width -= columns
        return part
    }
}

/// Draws text into a grid: from left to right, within a limit, never beyond.
///
/// All text goes through ``put(_:_:)``, which draws a character whose width is not certain
/// as "?": whatever a process calls itself, the rest of the line stays where it is.
public struct TopPainter: ~Copyable {
    public var grid: TopGrid
    let glyphs: TopGlyphs
    private var scratch = ByteWriter(capacityBytes: 8192)
    private var x = 0
    private var y = 0
    private var limit = 0
    /// What the keys act on, of the frame that was drawn last.
    var listed = TopListed()

    public init(columns: Int, rows: Int, glyphs: TopGlyphs) {
        grid = TopGrid(columns: columns, rows: rows)
        self.glyphs = glyphs
    }

    var column: Int { x }

    /// Goes to a row of `region`; false when it has none such.
    mutating func go(_ region: TopRegion, _ row: Int, indent: Int = 0) -> Bool {
        guard row >= 0, row < region.height else { return false }
        x = region.x + indent
        y = region.y + row
        limit = region.x + region.width
        return true
    }

    mutating func text(_ text: StaticString, _ style: TopStyle = .plain) {
        draw(
            UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount),
            style, end: limit)
    }

    /// Composes some text and draws it.
    mutating func put(_ style: TopStyle = .plain, _ compose: (inout ByteWriter) -> Void) {
        scratch.clear()
        compose(&scratch)
        draw(scratch.bytes, style, end: limit)
    }

    /// Composes the text of a column: padded, or cut with a mark, and a space behind.
    mutating func column(
        _ width: Int, _ style: TopStyle = .plain, right: Bool = false,
        _ compose: (inout ByteWriter) -> Void
    ) {
        scratch.clear()
        compose(&scratch)
        let bytes = scratch.bytes
        let start = x
        let end = min(limit, start + width)
        guard end > start else { return }
        let wanted = measure(bytes)
        if right, wanted < width { x = min(end, start + width - wanted) }
        draw(bytes, style, end: end)
        if wanted > end - start { markCut(at: end - 1) }
        x = min(limit, start + width + 1)
    }

    /// Composes a text and hands its bytes to `body`; draws nothing.
    mutating func composed<Result>(
        _ compose: (inout ByteWriter) -> Void, _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        scratch.clear()
        compose(&scratch)
        return body(scratch.bytes)
    }

    mutating func fill(_ style: TopStyle) {
        while x < limit { mark(32, style) }
    }

    /// One character of our own.
    mutating func mark(_ scalar: UInt32, _ style: TopStyle = .plain) {
        x += grid.put(scalar, width: 1, style: style, x: x, y: y, limit: limit)
    }

    /// Composes a text and breaks it at spaces into rows of `region`.
    ///
    /// - Returns: the rows that were used.
    mutating func wrapped(
        _ region: TopRegion, _ style: TopStyle = .plain, indent: Int = 2, first: Int = 0,
        _ compose: (inout ByteWriter) -> Void
    ) -> Int {
        scratch.clear()
        compose(&scratch)
        let bytes = scratch.bytes
        var start = 0
        var row = 0
        while start < bytes.count, go(region, row, indent: row == 0 ? first : indent) {
            let room = limit - x
            var end = start
            var used = 0
            var lastSpace: Int?
            while end < bytes.count {
                let (scalar, length) = decode(bytes, at: end)
                let width = shown(scalar).width
                if used + width > room { break }
                if scalar == 32 { lastSpace = end }
                used += width
                end += length
            }
            if end < bytes.count, bytes[end] != 32, row + 1 < region.height, let lastSpace,
                lastSpace > start
            {
                end = lastSpace
            }
            draw(UnsafeRawBufferPointer(rebasing: bytes[start..<end]), style, end: limit)
            if end == start { break }
            row += 1
            start = end
            while start < bytes.count, bytes[start] == 32 { start += 1 }
        }
        if start < bytes.count, row > 0, row == region.height { markCut() }
        return row
    }

    /// Gives the cells of a row another style, where they have `from`.
    mutating func restyle(_ region: TopRegion, _ row: Int, to style: TopStyle) {
        guard row < region.height else { return }
        for place in region.x..<min(region.x + region.width, grid.columns) {
            grid[place, region.y + row].style = style
        }
    }

    // MARK: characters

    private mutating func markCut(at place: Int? = nil) {
        let place = min(place ?? limit - 1, grid.columns - 1)
        guard place >= 0, y < grid.rows else { return }
        // The cut must not leave half of a wide character behind.
        if place > 0, grid[place, y].scalar == 0 { set(32, grid[place, y].style, at: place - 1) }
        set(UInt32(UInt8(ascii: "~")), grid[place, y].style, at: place)
    }

    private mutating func set(_ scalar: UInt32, _ style: TopStyle, at place: Int) {
        guard place >= 0, place < grid.columns, y < grid.rows else { return }
        grid[place, y] = TopCell(scalar: scalar, style: style)
    }

    /// What does not fit to the edge of the region ends in a mark: a cut figure must not pass
    /// for a whole one.
    private mutating func draw(_ bytes: UnsafeRawBufferPointer, _ style: TopStyle, end: Int) {
        var index = 0
        while index < bytes.count {
            let (raw, length) = decode(bytes, at: index)
            let (scalar, width) = shown(raw)
            let took = grid.put(scalar, width: width, style: style, x: x, y: y, limit: end)
            if took == 0 {
                if end == limit { markCut() }
                return
            }
            x += took
            index += length
        }
    }

    private func measure(_ bytes: UnsafeRawBufferPointer) -> Int {
        var sum = 0
        var index = 0
        while index < bytes.count {
            let (scalar, length) = decode(bytes, at: index)
            sum += shown(scalar).width
            index += length
        }
        return sum
    }

    /// A character as this terminal may get it.
    private func shown(_ scalar: UInt32) -> (scalar: UInt32, width: Int) {
        let unsure = (scalar: UInt32(UInt8(ascii: "?")), width: 1)
        if scalar >= 0x7f, glyphs == .ascii { return unsure }
        guard let width = TopWidth.of(scalar) else { return unsure }
        return (scalar, width)
    }

    /// The character at `index`; what is no UTF-8 is one that has no width.
    private func decode(_ bytes: UnsafeRawBufferPointer, at index: Int) -> (UInt32, Int) {
        let first = bytes[index]
        if first < 0x80 { return (UInt32(first), 1) }
        let length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 1
        guard length > 1, index + length <= bytes.count else { return (0xfffd, 1) }
        var value = UInt32(first) & (0x7f >> UInt32(length))
        for offset in 1..<length {
            let next = bytes[index + offset]
            guard next & 0xc0 == 0x80 else { return (0xfffd, 1) }
            value = value << 6 | UInt32(next & 0x3f)
        }
        return (value, length)
    }
}

extension ByteWriter {
    /// "812K", "12.3M", "1.2G": at most five characters, of 1024 bytes a step.
    mutating func size(bytes: UInt64) {
        let kib = bytes / 1024
        if kib < 1000 {
            number(kib)
            byte(UInt8(ascii: "K"))
        } else if kib < 1000 << 10 {
            tenths(kib, 1 << 10, "M")
        } else if kib < 1000 << 20 {
            tenths(kib, 1 << 20, "G")
        } else {
            tenths(kib, 1 << 30, "T")
        }
    }

    mutating func size(pages: UInt64, pageKB: UInt64) {
        size(bytes: pages.multipliedReportingOverflow(by: pageKB << 10).partialValue)
    }

    /// Up to 99999 as it is, then "123k", "4.5M": at most five characters.
    mutating func count(_ value: UInt64) {
        if value < 100_000 {
            number(value)
        } else if value < 1_000_000 {
            tenths(value, 1000, "k")
        } else if value < 1_000_000_000 {
            tenths(value, 1_000_000, "M")
        } else {
            tenths(value, 1_000_000_000, "G")
        }
    }

    mutating func count(known value: UInt64?) {
        if let value { count(value) } else { text("?") }
    }

    private mutating func tenths(_ value: UInt64, _ unit: UInt64, _ name: StaticString) {
        number(value / unit)
        if value / unit < 100 {
            byte(UInt8(ascii: "."))
            number(value % unit * 10 / unit)
        }
        text(name)
    }

    /// Hours, minutes, seconds and tenths of a boot time, in UTC; seconds since boot where
    /// the host did not tell its clock.
    mutating func clock(_ bootNanoseconds: UInt64, _ host: HostFacts?) {
        guard let host else {
            number(bootNanoseconds / 1_000_000_000)
            text(" s up")
            return
        }
        var seconds =
            (Int64(clamping: bootNanoseconds) &+ host.realtimeOffsetNanoseconds) / 100_000_000
        let tenth = seconds % 10
        seconds /= 10
        let second = seconds % 86400
        guard second >= 0 else {
            text("?")
            return
        }
        padded(UInt64(second / 3600), width: 2)
        byte(UInt8(ascii: ":"))
        padded(UInt64(second / 60 % 60), width: 2)
        byte(UInt8(ascii: ":"))
        padded(UInt64(second % 60), width: 2)
        byte(UInt8(ascii: "."))
        padded(UInt64(tenth), width: 1)
    }

    mutating func append(_ bytes: [UInt8]) {
        for value in bytes { byte(value) }
    }
}
