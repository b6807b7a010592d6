// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension TopPainter {
    // MARK: events

    /// What happened last, the newest at the bottom; single tasks have their own section.
    mutating func eventsSection(_ region: TopRegion, _ scene: TopScene) {
        guard region.height >= 1 else { return }
        let log = scene.session.player.log
        var shown: [Int] = []
        var index = log.count(before: scene.session.player.position) - 1
        while index >= 0, shown.count < region.height {
            let entry = log.entries[index]
            if entry.isForPeople, entry.isLandmark || entry.isOfAll {
                shown.append(index)
            }
            index -= 1
        }
        for (row, index) in shown.reversed().enumerated() {
            if row == 0, go(region, 0) { label("events") }
            guard go(region, row, indent: Self.labelColumns) else { return }
            entryRow(log.entries[index], scene)
        }
        if shown.isEmpty, go(region, 0) {
            label("events")
            if go(region, 0, indent: Self.labelColumns) { text("none so far", .dim) }
        }
    }

    private mutating func entryRow(_ entry: TopEntry, _ scene: TopScene) {
        put(.dim) { $0.clock(entry.bootNanoseconds, scene.picture.host) }
        let style = entry.severity.style
        text(style == .warning || style == .critical ? " ! " : "   ", style)
        let rest = grid.columns - column
        column(max(1, rest), style == .dim ? .plain : style) { writer in
            let times = entry.times(before: scene.session.player.position)
            if times > 1 {
                writer.number(UInt64(times))
                writer.text(" times in this second: ")
            }
            writer.append(entry.text)
        }
    }

    mutating func eventsPane(_ region: TopRegion, _ scene: TopScene) {
        var region = region
        logList(&region, scene) { _ in true }
    }

    /// Entries of the log up to the moment that is shown; at the newest unless moved.
    mutating func logList(
        _ region: inout TopRegion, _ scene: TopScene, _ isWanted: (TopEntry) -> Bool
    ) {
        let view = scene.session.view
        let log = scene.session.player.log
        let until = log.count(before: scene.session.player.position)
        var wanted: [Int] = []
        for index in 0..<until where isWanted(log.entries[index]) {
            let entry = log.entries[index]
            if passes(view, { $0.append(entry.text) }) { wanted.append(index) }
        }
        let isNewestFirst = view.pane == .events && (view.place.order == 1) != view.place.isReversed
        if isNewestFirst { wanted.reverse() }
        let title = region.take(1)
        paneTitle(title, "Events", count: wanted.count, view)
        if log.dropped > 0 {
            put(.notice) { writer in
                writer.text("  older ones had to go: ")
                writer.count(log.dropped)
            }
        }
        text("  Enter: go there", .dim)
        // Stays at the newest as long as nobody moves away from it.
        if !isNewestFirst {
            let before = scene.session.view.lastCount
            if view.place.selected >= before - 1 {
                scene.session.view.place.selected = max(0, wanted.count - 1)
            }
        }
        scene.session.view.lastCount = wanted.count
        // Below it the whole text of the one that is selected.
        let rows = region.take(region.height - (region.height >= 10 ? 4 : 0))
        list(rows, scene.session, count: wanted.count) { painter, index, row in
            guard painter.go(rows, row) else { return }
            painter.entryRow(log.entries[wanted[index]], scene)
        }
        if wanted.isEmpty, go(rows, 0) { text("none", .dim) }
        let selected = scene.session.view.place.selected
        if selected < wanted.count {
            let entry = log.entries[wanted[selected]]
            listed.bootNanoseconds = entry.bootNanoseconds
            _ = wrapped(region, entry.severity.style == .dim ? .plain : entry.severity.style) {
                $0.append(entry.text)
            }
        }
    }

    // MARK: sockets

    mutating func socketsPane(_ region: TopRegion, _ scene: TopScene) {
        var region = region
        let picture = scene.picture
        let view = scene.session.view
        guard let counters = picture.counters, counters.socketsKnown else {
            if go(region, 0) { notKnown(picture) }
            return
        }
        var found = (0..<picture.sockets.count).filter { index in
            passes(view) { writer in
                let socket = picture.sockets[index]
                writer.plain(foreign: socket.disk)
                writer.byte(32)
                writer.ends(of: socket)
                writer.text(socket.stateWord)
            }
        }
        switch view.place.order {
        case 1:
            found.sort {
                picture.sockets[$0].tcp?.sendQueueBytes ?? 0
                    > picture.sockets[$1].tcp?.sendQueueBytes ?? 0
            }
        case 2:
            found.sort {
                picture.sockets[$0].tcp?.retransmits ?? 0 > picture.sockets[$1].tcp?.retransmits
                    ?? 0
            }
        case 3: found.sort { picture.sockets[$0].delivered > picture.sockets[$1].delivered }
        default: break
        }
        if view.place.isReversed { found.reverse() }
        paneTitle(region.take(1), "SOCK_MEMALLOC sockets", count: found.count, view)
        if go(region.take(1), 0) {
            put { writer in
                writer.text("PFMEMALLOC packets: alloc ")
                writer.count(known: counters.packets.allocated)
                writer.text(" received ")
                writer.count(known: counters.packets.received)
                writer.text(" delivered ")
                writer.count(known: counters.packets.delivered)
                writer.text(" dropped ")
                writer.count(known: counters.packets.dropped)
                writer.text(" freed ")
                writer.count(known: counters.packets.freed)
            }
        }
        if go(region.take(1), 0) {
            column(8, .dim) { $0.text("OF") }
            column(11, .dim) { $0.text("STATE") }
            column(6, .dim, right: true) { $0.text("UNACK") }
            column(6, .dim, right: true) { $0.text("UNREAD") }
            column(6, .dim, right: true) { $0.text("RESENT") }
            column(6, .dim, right: true) { $0.text("PFMEM") }
            text("ENDS", .dim)
        }
        let drops = min(region.height / 3, 8)
        let rows = region.take(region.height - drops)
        list(rows, scene.session, count: found.count) { painter, index, row in
            painter.socketRow(rows, row, picture.sockets[found[index]])
        }
        if found.isEmpty, go(rows, 0) { text("none", .dim) }
        recentDrops(region, scene)
    }

    private mutating func socketRow(_ region: TopRegion, _ row: Int, _ socket: SocketSample) {
        guard go(region, row) else { return }
        column(8, .bold) { writer in
            if socket.disk.isEmpty {
                writer.text(socket.ownerWord)
            } else {
                writer.plain(foreign: socket.disk)
            }
        }
        column(11, socket.state == 1 ? .plain : .warning) { $0.text(socket.stateWord) }
        column(6, right: true) { $0.socketFigure(socket.tcp?.sendQueueBytes, isSize: true) }
        column(6, right: true) { $0.socketFigure(socket.tcp?.receiveQueueBytes, isSize: true) }
        column(6, right: true) {
            $0.socketFigure(socket.tcp.map { UInt64($0.retransmits) }, isSize: false)
        }
        column(6, right: true) { $0.count(socket.delivered) }
        let rest = region.x + region.width - column
        column(max(1, rest)) { $0.ends(of: socket) }
    }

    private mutating func recentDrops(_ region: TopRegion, _ scene: TopScene) {
        var region = region
        guard region.height >= 2, go(region.take(1), 0) else { return }
        text("What sockets without SOCK_MEMALLOC lost, and sockets that came and went", .bold)
        let log = scene.session.player.log
        var index = log.count(before: scene.session.player.position) - 1
        var row = 0
        while index >= 0, row < region.height {
            if log.entries[index].kind == .socket, go(region, row) {
                entryRow(log.entries[index], scene)
                row += 1
            }
            index -= 1
        }
        if row == 0, go(region, 0) { text("none so far", .dim) }
    }

    // MARK: slab

    mutating func slabPane(_ region: TopRegion, _ scene: TopScene) {
        var region = region
        let picture = scene.picture
        let view = scene.session.view
        guard let slab = picture.counters?.slab else {
            if go(region, 0) { notKnown(picture) }
            return
        }
        var caches = (0..<picture.caches.count).filter { index in
            passes(view) { $0.plain(foreign: picture.caches[index].name) }
        }
        func growth(_ index: Int) -> Int64 {
            let cache = picture.caches[index]
            let slabs = Int64(clamping: cache.slabsAllocated) - Int64(clamping: cache.slabsFreed)
            return slabs << Int64(cache.slabOrder & 15)
        }
        switch view.place.order {
        case 1: caches.sort { growth($0) > growth($1) }
        case 2:
            caches.sort {
                Self.isBefore(picture.caches[$0].name, picture.caches[$1].name)
            }
        default:
            caches.sort {
                let one = picture.caches[$0].slabsFromReserve
                let other = picture.caches[$1].slabsFromReserve
                return one != other ? one > other : growth($0) > growth($1)
            }
        }
        if view.place.isReversed { caches.reverse() }
        paneTitle(region.take(1), "Slab caches that changed", count: caches.count, view)
        if go(region.take(1), 0) {
            put { writer in
                writer.text("slabs alloc ")
                writer.count(slab.allocated)
                writer.text(", freed ")
                writer.count(slab.freed)
                writer.text(", reserve ")
                writer.count(slab.fromReserve)
                writer.text("; its objects refused ")
                writer.count(known: picture.counters?.slabQuestions?.refused)
                writer.text(" times")
            }
        }
        if go(region.take(1), 0) {
            column(28, .dim) { $0.text("CACHE") }
            column(7, .dim, right: true) { $0.text("RESERVE") }
            column(7, .dim, right: true) { $0.text("GROWN") }
            column(7, .dim, right: true) { $0.text("ALLOC") }
            column(7, .dim, right: true) { $0.text("FREED") }
            column(7, .dim, right: true) { $0.text("OBJSIZE") }
            column(8, .dim, right: true) { $0.text("OBJECTS") }
        }
        let rows = region
        list(rows, scene.session, count: caches.count) { painter, index, row in
            let cache = picture.caches[caches[index]]
            guard painter.go(rows, row) else { return }
            painter.column(28) { $0.plain(foreign: cache.name) }
            painter.column(7, cache.slabsFromReserve > 0 ? .warning : .plain, right: true) {
                $0.count(cache.slabsFromReserve)
            }
            painter.column(7, right: true) { writer in
                let pages = growth(caches[index])
                if pages < 0 { writer.byte(UInt8(ascii: "-")) }
                writer.size(pages: pages.magnitude, pageKB: scene.pageKB)
            }
            painter.column(7, right: true) { $0.count(cache.slabsAllocated) }
            painter.column(7, right: true) { $0.count(cache.slabsFreed) }
            painter.column(7, right: true) { $0.count(UInt64(cache.objectBytes)) }
            painter.column(8, right: true) { writer in
                writer.count(known: cache.objects.map { $0.allocated })
            }
        }
    }

    private static func isBefore(_ one: FixedText, _ other: FixedText) -> Bool {
        for index in 0..<min(one.count, other.count) where one[index] != other[index] {
            return one[index] < other[index]
        }
        return one.count < other.count
    }

    // MARK: zones

    mutating func zonesPane(_ region: TopRegion, _ scene: TopScene) {
        var region = region
        let picture = scene.picture
        paneTitle(region.take(1), "Zones", count: picture.zones.count, scene.session.view)
        if picture.zones.isEmpty, go(region, 0) {
            text("no zone was told yet, or they are not observed on this host: unknown", .notice)
            return
        }
        if go(region.take(1), 0) {
            text(
                "T throttle line, M min, L low, H high, v lowest; protection: lowmem_reserve", .dim)
        }
        let isTall = region.height >= picture.zones.count * 2
        let isTaller = region.height >= picture.zones.count * 3
        for index in picture.zones.indices where region.height > 0 {
            let zone = picture.zones[index]
            let isIn = passes(scene.session.view) { $0.plain(foreign: zone.name) }
            guard isIn else { continue }
            let marks = TopMarks(zone)
            let first = region.take(1)
            guard go(first, 0) else { return }
            column(Self.labelColumns + 3, .bold) { writer in
                writer.number(UInt64(zone.node))
                writer.byte(32)
                writer.plain(foreign: zone.name)
            }
            put(zone.managedPages == 0 ? .dim : marks.style(zone.freePages)) { writer in
                writer.text("free ")
                writer.size(pages: zone.freePages, pageKB: scene.pageKB)
            }
            put { writer in
                writer.text(" of ")
                writer.size(pages: zone.managedPages, pageKB: scene.pageKB)
            }
            gauge(max(10, min(region.width - column - 1, 50)), zone.freePages, marks)
            guard isTall else { continue }
            let second = region.take(1)
            guard go(second, 0, indent: Self.labelColumns + 4) else { continue }
            put { writer in
                writer.text("min ")
                writer.size(pages: zone.minPages, pageKB: scene.pageKB)
                if zone.boostPages > 0 {
                    writer.text(" (boost ")
                    writer.size(pages: zone.boostPages, pageKB: scene.pageKB)
                    writer.byte(UInt8(ascii: ")"))
                }
                writer.text(" low ")
                writer.size(pages: zone.lowPages, pageKB: scene.pageKB)
                writer.text(" high ")
                writer.size(pages: zone.highPages, pageKB: scene.pageKB)
                writer.text(" lowest ")
                writer.size(pages: zone.lowestFreePages, pageKB: scene.pageKB)
            }
            guard isTaller, go(region.take(1), 0, indent: Self.labelColumns + 4) else { continue }
            put(.dim) { writer in
                writer.text("high atomic ")
                writer.size(pages: zone.highAtomicPages, pageKB: scene.pageKB)
                writer.text(", present ")
                writer.size(pages: zone.presentPages, pageKB: scene.pageKB)
                writer.text(", protection")
                for place in 0..<min(zone.protectionCount, 6) {
                    writer.byte(32)
                    writer.size(pages: zone.protectionPages[place], pageKB: scene.pageKB)
                }
            }
        }
    }
}

extension ByteWriter {
    /// "-" for a socket that is not TCP.
    fileprivate mutating func socketFigure(_ value: UInt64?, isSize: Bool) {
        guard let value else {
            byte(UInt8(ascii: "-"))
            return
        }
        if isSize { size(bytes: value) } else { count(value) }
    }
}
