// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// The marks against which free memory is drawn, in pages. nil: unknown.
struct TopMarks {
    var throttleLine: UInt64?
    var min: UInt64?
    var low: UInt64?
    var high: UInt64?
    var lowest: UInt64?

    /// Sums over the zones that the reserve is made of.
    init(_ node: NodeSample, _ picture: borrowing Picture) {
        throttleLine = node.throttleLinePages
        min = node.pfmemallocReservePages
        lowest = node.lowestFreePages
        for index in picture.zones.indices {
            let zone = picture.zones[index]
            guard zone.node == node.node, zone.isOfReserve else { continue }
            low = (low ?? 0) &+ zone.lowPages
            high = (high ?? 0) &+ zone.highPages
        }
    }

    init(_ zone: ZoneSample) {
        min = zone.minPages
        low = zone.lowPages
        high = zone.highPages
        lowest = zone.lowestFreePages
    }

    func style(_ free: UInt64) -> TopStyle {
        if let throttleLine, free <= throttleLine { return .alarm }
        if let min, free < min { return .critical }
        if let low, free < low { return .warning }
        if let high, free < high { return .notice }
        return .good
    }

    /// What a whole gauge stands for.
    var scale: UInt64 {
        let top = high ?? low ?? min.map { $0 * 2 } ?? lowest ?? 1
        return Swift.max(1, top + top / 4)
    }
}

extension TopPainter {
    mutating func nodesSection(_ region: inout TopRegion, _ scene: TopScene) {
        let picture = scene.picture
        if picture.nodes.isEmpty {
            guard open(&region, "memory") else { return }
            text("free memory is unknown: ", .notice)
            text(
                picture.counters?.zonesKnown == false
                    ? "the zones are not observed on this host" : "no zone was told yet", .notice)
            return
        }
        let count = picture.nodes.count
        let rows = region.height >= 13 + 3 * count ? 3 : region.height >= 12 + 2 * count ? 2 : 1
        let isTall = rows == 3 && region.height >= 30
        for index in picture.nodes.indices {
            let node = picture.nodes[index]
            let marks = TopMarks(node, picture)
            guard region.height > 3 else { return }
            let figures = region.take(1)
            guard go(figures, 0) else { return }
            put(.bold) { writer in
                writer.text("node ")
                writer.number(UInt64(node.node))
            }
            if go(figures, 0, indent: Self.labelColumns) { nodeFigures(node, marks, scene) }
            if rows >= 2 {
                let row = region.take(1)
                if go(row, 0, indent: Self.labelColumns) {
                    gauge(row.width - Self.labelColumns - 15, node.freePages, marks)
                    kswapdWords(node)
                }
            }
            if rows >= 3 {
                let span = sparkline(region.take(1), node, marks, scene)
                if isTall { states(region.take(1), span, scene) }
            }
        }
    }

    private mutating func nodeFigures(_ node: NodeSample, _ marks: TopMarks, _ scene: TopScene) {
        put(marks.style(node.freePages)) { writer in
            writer.text("free ")
            writer.size(pages: node.freePages, pageKB: scene.pageKB)
        }
        let isWide = grid.columns >= 180 || grid.columns < Self.twoColumns && grid.columns >= 96
        put { writer in
            writer.text(isWide ? "  Throttle line " : "  T ")
            writer.size(known: marks.throttleLine, pageKB: scene.pageKB)
            writer.text(isWide ? "  Min " : " M ")
            writer.size(known: marks.min, pageKB: scene.pageKB)
            writer.text(isWide ? "  Low " : " L ")
            writer.size(known: marks.low, pageKB: scene.pageKB)
            writer.text(isWide ? "  High " : " H ")
            writer.size(known: marks.high, pageKB: scene.pageKB)
        }
        text("  lowest ", .dim)
        put(marks.style(node.lowestFreePages)) { writer in
            writer.size(pages: node.lowestFreePages, pageKB: scene.pageKB)
        }
        put(.dim) { writer in
            if node.lowestBootNanoseconds > 0 {
                writer.byte(32)
                writer.clock(node.lowestBootNanoseconds, scene.picture.host)
            }
        }
    }

    private mutating func kswapdWords(_ node: NodeSample) {
        put(node.kswapdState == 2 ? .warning : node.kswapdState == 0 ? .notice : .dim) { writer in
            writer.text(" kswapd")
            if node.kswapdFailures > 0 {
                writer.text(" fail ")
                writer.count(node.kswapdFailures)
            } else {
                switch node.kswapdState {
                case 0: writer.text(" runs")
                case 1: writer.text(" sleeps")
                case 2: writer.text(" blocked")
                default: writer.text(" ?")
                }
            }
        }
    }

    /// Free memory as a bar from 0 to a quarter above high, with a letter at each mark.
    mutating func gauge(_ width: Int, _ free: UInt64, _ marks: TopMarks) {
        let inner = width - 2
        guard inner >= 8 else { return }
        let scale = marks.scale
        func place(_ pages: UInt64) -> Int {
            Int(clamping: Swift.min(pages, scale) * UInt64(inner) / scale)
        }
        let filled = place(free)
        let style = marks.style(free)
        var letters = InlineArray<4, Int>(repeating: -1)
        let values = [marks.throttleLine, marks.min, marks.low, marks.high]
        var taken = -1
        for index in 0..<4 {
            guard let pages = values[index], pages > 0 || index > 0 else { continue }
            // Marks that fall together stand side by side, in their order.
            let at = Swift.min(inner - 1, Swift.max(taken + 1, place(pages)))
            letters[index] = at
            taken = at
        }
        let names: [UInt8] = [
            UInt8(ascii: "T"), UInt8(ascii: "M"), UInt8(ascii: "L"), UInt8(ascii: "H"),
        ]
        let lowest = marks.lowest.map { Swift.min(inner - 1, place($0)) }
        mark(UInt32(UInt8(ascii: "[")), .dim)
        for at in 0..<inner {
            if let index = (0..<4).first(where: { letters[$0] == at }) {
                mark(UInt32(names[index]), .bold)
            } else if at == lowest, at >= filled {
                mark(UInt32(UInt8(ascii: "v")), .dim)
            } else if at < filled {
                mark(
                    glyphs == .utf8 ? 0x2588 : UInt32(UInt8(ascii: "=")),
                    style == .alarm ? .critical : style)
            } else {
                mark(glyphs == .utf8 ? 0x00b7 : UInt32(UInt8(ascii: ".")), .dim)
            }
        }
        mark(UInt32(UInt8(ascii: "]")), .dim)
    }

    /// The lowest free memory of each span of seconds, the newest at the right.
    ///
    /// - Returns: seconds that a column stands for.
    private mutating func sparkline(
        _ region: TopRegion, _ node: NodeSample, _ marks: TopMarks, _ scene: TopScene
    ) -> Int {
        let history = scene.history
        let inner = region.width - Self.labelColumns - 17
        let length = Swift.min(history.length, 300)
        guard go(region, 0, indent: Self.labelColumns), inner >= 8,
            let index = history.series.firstIndex(where: { $0.node == node.node })
        else { return 1 }
        let span = Swift.max(1, (length + inner - 1) / inner)
        mark(32)
        for column in 0..<inner {
            let back = (inner - 1 - column) * span
            guard back < length else {
                mark(32)
                continue
            }
            guard let lowest = history.lowest(index, back: back, count: span) else {
                mark(UInt32(UInt8(ascii: "?")), .dim)
                continue
            }
            let style = marks.style(UInt64(lowest))
            mark(level(UInt64(lowest), marks), style == .alarm ? .critical : style)
        }
        mark(32)
        put(.dim) { writer in
            writer.byte(UInt8(ascii: " "))
            writer.number(UInt64(Swift.min(length, inner * span)))
            writer.text(" s")
            if span > 1 {
                writer.text(", ")
                writer.number(UInt64(span))
                writer.text(" each")
            }
        }
        return span
    }

    /// In UTF-8 a bar of eight heights up to a quarter above high; else by the marks:
    /// "!" at the throttle line, "_" below min, "." below low, "-" below high, "^" above.
    private func level(_ free: UInt64, _ marks: TopMarks) -> UInt32 {
        if glyphs == .utf8 {
            return 0x2581 + UInt32(clamping: Swift.min(free * 8 / marks.scale, 7))
        }
        switch marks.style(free) {
        case .alarm: return UInt32(UInt8(ascii: "!"))
        case .critical: return UInt32(UInt8(ascii: "_"))
        case .warning: return UInt32(UInt8(ascii: "."))
        case .notice: return UInt32(UInt8(ascii: "-"))
        default: return UInt32(UInt8(ascii: "^"))
        }
    }

    /// The worst state of each span, as its first letter; stalling and worse in capitals.
    private mutating func states(_ region: TopRegion, _ span: Int, _ scene: TopScene) {
        let history = scene.history
        let inner = region.width - Self.labelColumns - 17
        let length = Swift.min(history.length, 300)
        guard go(region, 0), inner >= 8 else { return }
        text("  state", .dim)
        guard go(region, 0, indent: Self.labelColumns + 1) else { return }
        for column in 0..<inner {
            let back = (inner - 1 - column) * span
            guard back < length else {
                mark(32)
                continue
            }
            guard let state = history.worstState(back: back, count: span) else {
                mark(UInt32(UInt8(ascii: "?")), .dim)
                continue
            }
            switch state {
            case .unknown: mark(UInt32(UInt8(ascii: "?")), .dim)
            case .calm: mark(glyphs == .utf8 ? 0x00b7 : UInt32(UInt8(ascii: ".")), .good)
            case .pressed: mark(UInt32(UInt8(ascii: "p")), .notice)
            case .reserve: mark(UInt32(UInt8(ascii: "r")), .warning)
            case .throttling: mark(UInt32(UInt8(ascii: "t")), .critical)
            case .stalling: mark(UInt32(UInt8(ascii: "S")), .critical)
            case .failing: mark(UInt32(UInt8(ascii: "F")), .critical)
            case .deadlocked: mark(UInt32(UInt8(ascii: "D")), .critical)
            }
        }
    }
}
