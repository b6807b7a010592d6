// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension TopPainter {
    /// All at a glance: the verdict first, then memory, who waits, the devices, what happened.
    mutating func overview(_ region: TopRegion, _ scene: TopScene) {
        var region = region
        verdictSection(&region, scene)
        let watch = TopRegion(
            x: region.x, y: region.y + max(0, region.height - 1), width: region.width,
            height: min(1, region.height))
        region.height = max(0, region.height - 1)
        if region.width >= Self.twoColumns {
            var left = region.takeLeft((region.width * 11 + 19) / 20)
            nodesSection(&left, scene)
            reserveSection(&left, scene)
            waitLine(left.take(1), scene)
            waitersSection(left, scene)
            pressureLines(&region, scene)
            devicesSection(&region, scene)
            socketsLine(&region, scene, most: 4)
            eventsSection(region, scene)
        } else {
            nodesSection(&region, scene)
            reserveSection(&region, scene)
            waitLine(region.take(1), scene)
            // The rest is shared: devices and sockets always, tasks and events by need.
            let below = min(scene.picture.devices.count, 2) * 2 + 2
            let spare = max(0, region.height - below)
            let waiting = scene.picture.throttled.count + scene.picture.reclaimers.count
            let wanted = waiting == 0 ? 0 : waiting + 1
            // Of what is left, events have at most half and at least one row.
            let most = max(spare - 3, (spare + 1) / 2)
            waitersSection(region.take(most < 2 ? 0 : min(wanted, most)), scene)
            devicesSection(&region, scene)
            pressureLines(&region, scene)
            socketsLine(&region, scene, most: 1)
            eventsSection(region, scene)
        }
        watchLine(watch, scene)
    }

    /// The word at the begin of a line, in a column of its own.
    mutating func label(_ word: StaticString) {
        text(word, .bold)
    }

    /// Why a figure is not there: nobody looks, or nobody has said anything yet.
    mutating func notKnown(_ picture: borrowing Picture) {
        text(
            picture.counters == nil
                ? "?: nothing was told yet"
                : "unknown: not observed on this host", .notice)
    }

    static var labelColumns: Int { 9 }
    /// From this width on the overview has two columns.
    static var twoColumns: Int { 150 }

    /// Goes to the first row of `region` with a label, and cuts the row off; false: no room.
    mutating func open(_ region: inout TopRegion, _ word: StaticString) -> Bool {
        let row = region.take(1)
        guard go(row, 0) else { return false }
        label(word)
        return go(row, 0, indent: Self.labelColumns)
    }

    // MARK: verdict

    private mutating func verdictSection(_ region: inout TopRegion, _ scene: TopScene) {
        let picture = scene.picture
        stateLine(region.take(1), scene)
        let pressure = picture.alerts[Int(Alert.Track.pressure.rawValue)]
        let lines = region.height >= 34 ? 4 : region.height >= 19 ? 2 : 1
        var room = region
        room.height = min(lines, room.height)
        let told = picture.lastAlerts[Int(Alert.Track.pressure.rawValue)]
        let used = wrapped(room, indent: Self.labelColumns, first: Self.labelColumns) { writer in
            writer.evidence(scene, pressure.level > .resolved ? told?.findings : nil)
        }
        if used > 0, go(room, 0) { label("because") }
        _ = region.take(used)
        if pressure.level > .resolved, let told {
            alertRows(&region, told, pressure, scene)
        }
        let exposure = picture.alerts[Int(Alert.Track.exposure.rawValue)]
        if exposure.level > .resolved,
            let told = picture.lastAlerts[Int(Alert.Track.exposure.rawValue)],
            pressure.level == .resolved || region.height > 24
        {
            exposureRow(&region, told, exposure, scene)
        }
    }

    /// What to do, with the level as its label; the rest of the alert where there is room.
    private mutating func alertRows(
        _ region: inout TopRegion, _ alert: Alert, _ track: AlertTrack, _ scene: TopScene
    ) {
        let style: TopStyle = track.level == .critical ? .critical : .warning
        let isTall = region.height > 28
        let row = region.take(1)
        guard go(row, 0) else { return }
        put(style) { $0.upper(track.level.word) }
        guard go(row, 0, indent: Self.labelColumns) else { return }
        text(alert.reasons.advice, .bold)
        guard isTall, go(region.take(1), 0, indent: Self.labelColumns) else { return }
        put(style) { writer in
            writer.text("incident ")
            writer.number(UInt64(track.incident))
            if scene.now >= track.sinceBootNanoseconds {
                writer.text(" for ")
                writer.duration(scene.now - track.sinceBootNanoseconds)
            }
            writer.text(": ")
            writer.reasons(alert.reasons)
        }
    }

    private mutating func exposureRow(
        _ region: inout TopRegion, _ alert: Alert, _ track: AlertTrack, _ scene: TopScene
    ) {
        guard open(&region, "at risk") else { return }
        put(track.level == .critical ? .critical : .warning) { writer in
            writer.reasons(alert.reasons)
            writer.text(": ")
        }
        text(alert.reasons.advice)
    }

    // MARK: the reserve

    private mutating func reserveSection(_ region: inout TopRegion, _ scene: TopScene) {
        let picture = scene.picture
        guard open(&region, "reserve") else { return }
        guard let reserve = picture.counters?.reserve else {
            notKnown(picture)
            return
        }
        put(reserve.outstandingPages > 0 ? .bold : .plain) { writer in
            writer.count(reserve.outstandingPages)
            writer.text(" pages out")
        }
        put { writer in
            writer.text(" (")
            writer.size(pages: reserve.outstandingPages, pageKB: scene.pageKB)
            writer.text(")")
            if let oldest = picture.oldestBlockNanoseconds {
                writer.text(", oldest ")
                writer.duration(oldest)
            }
            writer.text(", taken ")
            writer.count(reserve.takenPages)
            if let rate = scene.rates.perSecond(picture, scene.now, { $0.taken }) {
                writer.text(" +")
                writer.count(rate)
                writer.text("/s")
            }
        }
        put(reserve.allocFailed > 0 ? .warning : .plain) { writer in
            writer.text(", got nothing ")
            writer.count(reserve.allocFailed)
        }
        takersRow(&region, picture)
    }

    private mutating func takersRow(_ region: inout TopRegion, _ picture: borrowing Picture) {
        guard !picture.takers.isEmpty, region.height > 8 else { return }
        var ranking = Ranking()
        for index in picture.takers.indices { ranking.offer(picture.takers[index].pages, index) }
        let row = region.take(1)
        guard go(row, 0, indent: Self.labelColumns) else { return }
        text("by ", .dim)
        for place in 0..<ranking.count {
            let taker = picture.takers[ranking.index(at: place)]
            let before = column
            // A taker is shown whole or not at all.
            guard row.x + row.width - before >= 30 || place == 0 else { break }
            if place > 0 { text(", ", .dim) }
            put { writer in
                writer.plain(foreign: taker.task.comm)
                writer.byte(UInt8(ascii: " "))
                writer.count(taker.pages)
            }
            put(.dim) { writer in
                writer.byte(UInt8(ascii: " "))
                writer.text(taker.entitlement.word)
                if taker.context != .process {
                    writer.text(" in ")
                    writer.text(taker.context.word)
                }
            }
        }
    }

    // MARK: who waits

    private mutating func waitLine(_ region: TopRegion, _ scene: TopScene) {
        guard go(region, 0) else { return }
        label("waiting")
        guard go(region, 0, indent: Self.labelColumns) else { return }
        let picture = scene.picture
        if let reclaim = picture.counters?.directReclaim {
            put(reclaim.inside > 0 ? .bold : .plain) { writer in
                writer.count(reclaim.inside)
                writer.text(" in direct reclaim")
            }
            put { writer in
                if reclaim.inside > UInt64(picture.reclaimers.count), let host = picture.host {
                    writer.text(" (")
                    writer.number(UInt64(picture.reclaimers.count))
                    writer.text(" >")
                    writer.duration(host.slowThresholdNanoseconds)
                    writer.text(")")
                }
            }
        } else {
            text("? in direct reclaim", .notice)
        }
        text(", ")
        let asleep = picture.verdict.evidence.throttled
        if picture.throttledKnown {
            put(asleep > 0 ? .warning : .plain) { writer in
                writer.count(asleep)
                writer.text(" in pfmemalloc throttle")
            }
        } else {
            text("? in pfmemalloc throttle", .notice)
        }
        put { writer in
            writer.text(" (")
            writer.count(known: picture.counters?.kernel.pgscanDirectThrottle)
            writer.text(" so far)")
        }
    }

    // MARK: swap, pressure, the watch itself

    private mutating func pressureLines(_ region: inout TopRegion, _ scene: TopScene) {
        guard open(&region, "swap") else { return }
        let picture = scene.picture
        let kernel = picture.counters?.kernel
        put { writer in
            writer.text("in ")
            writer.rate(
                scene.rates.perSecond(picture, scene.now) { $0.swapIn },
                unitBytes: scene.pageKB << 10)
            writer.text(" out ")
            writer.rate(
                scene.rates.perSecond(picture, scene.now) { $0.swapOut },
                unitBytes: scene.pageKB << 10)
            writer.text(" (so far ")
            writer.size(known: kernel?.pswpin, pageKB: scene.pageKB)
            writer.text(", ")
            writer.size(known: kernel?.pswpout, pageKB: scene.pageKB)
            writer.text(")")
        }
        let kills = kernel?.oomKill
        put((kills ?? 0) > 0 ? .critical : .plain) { writer in
            writer.text("  OOM kills ")
            writer.count(known: kills)
        }
        put { writer in
            writer.text("  PSI mem ")
            writer.percent(picture.pressure?.memoryFull.average10)
            writer.text(" io ")
            writer.percent(picture.pressure?.ioFull.average10)
        }
    }

    private mutating func watchLine(_ region: TopRegion, _ scene: TopScene) {
        guard go(region, 0) else { return }
        label("watch")
        guard go(region, 0, indent: Self.labelColumns) else { return }
        let picture = scene.picture
        let isTold = picture.counters != nil
        let lost = picture.lostRecords
        put(lost > 0 ? .warning : .plain) { writer in
            writer.text("lost ")
            writer.count(known: isTold || lost > 0 ? lost : nil)
        }
        put { writer in
            writer.text(", no room ")
            writer.count(known: isTold ? picture.untracked : nil)
            writer.text(", missed ")
            writer.count(known: picture.missedEvents)
        }
        let damaged = scene.session.player.damagedBytes
        if damaged > 0 {
            put(.warning) { writer in
                writer.text(", ")
                writer.count(UInt64(damaged))
                writer.text(" bytes damaged")
            }
        }
        var missing: UInt64 = 0
        for index in picture.hooks.indices
        where picture.hooks[index].state == .missing && !picture.hooks[index].isProtection {
            missing += 1
        }
        if missing > 0 {
            put(.notice) { writer in
                writer.text("; ")
                writer.number(missing)
                writer.text(missing == 1 ? " signal unknown" : " signals unknown")
            }
        }
        put { writer in
            writer.text("; agent cpu ")
            let used = scene.rates.perSecond(picture, scene.now) { $0.cpuNanoseconds }
            if let used {
                writer.number(used / 10_000_000)
                writer.byte(UInt8(ascii: "."))
                writer.number(used / 1_000_000 % 10)
                writer.byte(UInt8(ascii: "%"))
            } else {
                writer.byte(UInt8(ascii: "?"))
            }
            writer.text(" locked ")
            if let account = picture.selfAccount {
                writer.size(bytes: account.lockedKiB << 10)
            } else {
                writer.byte(UInt8(ascii: "?"))
            }
            if let gap = picture.counters?.beatWorstGapNanoseconds {
                writer.text(", pause ")
                writer.duration(gap)
            }
        }
    }
}
