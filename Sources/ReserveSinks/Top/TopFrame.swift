// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension HostState {
    var style: TopStyle {
        switch self {
        case .unknown: return .notice
        case .calm: return .good
        case .pressed: return .notice
        case .reserve: return .warning
        case .throttling: return .critical
        case .stalling, .failing, .deadlocked: return .alarm
        }
    }
}

extension Notice.Severity {
    var style: TopStyle {
        switch self {
        case .info: return .dim
        case .notice: return .plain
        case .warning: return .warning
        case .critical: return .critical
        }
    }
}

/// What a section needs, of one frame.
struct TopScene {
    let picture: Picture
    let session: TopSession
    let pageKB: UInt64

    var now: UInt64 { picture.nowBootNanoseconds }
    var history: TopHistory { session.player.history }
    var rates: TopRates { session.player.rates }
}

extension TopPainter {
    /// Draws the whole screen.
    public mutating func draw(_ session: TopSession) {
        grid.clear()
        listed = TopListed()
        let picture = session.player.model.picture
        let scene = TopScene(
            picture: picture, session: session,
            pageKB: UInt64(picture.host?.pageSizeBytes ?? 4096) / 1024)
        var region = TopRegion(x: 0, y: 0, width: grid.columns, height: grid.rows)
        header(region.take(1), scene)
        let foot = TopRegion(x: 0, y: grid.rows - 1, width: grid.columns, height: 1)
        region.height -= 1
        silence(&region, scene)
        if let away = session.away { drawAway(&region, away, scene) }
        if session.view.isHelping {
            help(region)
        } else {
            body(region, scene)
        }
        footer(foot, scene)
    }

    private mutating func body(_ region: TopRegion, _ scene: TopScene) {
        var region = region
        // The overview has the verdict itself, with what it rests on.
        if scene.session.view.pane != .overview { stateLine(region.take(1), scene) }
        switch scene.session.view.pane {
        case .overview: overview(region, scene)
        case .tasks: tasksPane(region, scene)
        case .sockets: socketsPane(region, scene)
        case .slab: slabPane(region, scene)
        case .nbd: devicesPane(region, scene)
        case .zones: zonesPane(region, scene)
        case .events: eventsPane(region, scene)
        case .agent: agentPane(region, scene)
        case .story: storyPane(region, scene)
        }
    }

    // MARK: first and last line

    private mutating func header(_ region: TopRegion, _ scene: TopScene) {
        guard go(region, 0) else { return }
        fill(.bar)
        guard go(region, 0) else { return }
        let right = min(region.width, 38)
        column(region.width - right - 1, .bar) { writer in
            if let host = scene.picture.host {
                writer.plain(foreign: host.host)
                writer.text("  Linux ")
                writer.plain(foreign: host.kernelRelease)
                if host.cpus > 0 {
                    writer.text("  ")
                    writer.number(UInt64(host.cpus))
                    writer.text(host.cpus == 1 ? " CPU" : " CPUs")
                }
            } else {
                writer.text("reservewatch: nothing was told yet")
            }
        }
        guard go(region, 0, indent: region.width - right) else { return }
        column(right, .bar, right: true) { writer in
            writer.mode(scene)
            writer.text("  ")
            writer.clock(scene.now, scene.picture.host)
            if scene.picture.host != nil { writer.text(" UTC") }
        }
    }

    private mutating func footer(_ region: TopRegion, _ scene: TopScene) {
        let view = scene.session.view
        guard go(region, 0) else { return }
        fill(.bar)
        guard go(region, 0) else { return }
        if let prompt = view.prompt {
            text(
                prompt == .filter
                    ? "filter (Enter keeps, Esc drops it): /"
                    : "go to (03:27:10, -30s, +5m, @12s from the start): ", .bar)
            put(.bar) { $0.append(view.input) }
            mark(UInt32(UInt8(ascii: "_")), .bar)
            return
        }
        if let message = view.message {
            text(message, .bar)
            return
        }
        let isNarrow = region.width < 76
        for index in 0..<8 {
            let pane = TopPane(rawValue: index) ?? .overview
            let isOpen = pane == view.pane
            put(isOpen ? .bold : .bar) { writer in
                writer.number(UInt64(index + 1))
                if !isNarrow || isOpen {
                    writer.byte(UInt8(ascii: " "))
                    writer.text(pane.word)
                }
            }
            text(" ", .bar)
        }
        if !view.filter.isEmpty {
            put(.bold) { writer in
                writer.byte(UInt8(ascii: "/"))
                writer.append(view.filter)
            }
            text(" ", .bar)
        }
        text(
            region.width >= 100
                ? "/ filter  space freeze  n N events  t time  ? help  q quit"
                : "?help q", .bar)
    }

    /// Figures that nobody renews any more must not pass for the present.
    private mutating func silence(_ region: inout TopRegion, _ scene: TopScene) {
        let session = scene.session
        let isOver = session.player.hasStopped && session.time == .following
        var silent: UInt64 = 0
        if let clock = session.hostClock, session.time == .following, clock > scene.now {
            silent = clock - scene.now
        }
        guard isOver || silent >= 3_000_000_000 else { return }
        let row = region.take(1)
        guard go(row, 0) else { return }
        fill(.alarm)
        guard go(row, 0) else { return }
        put(.alarm) { writer in
            writer.text(isOver ? "The watch has ended" : "The watch tells nothing")
            if silent > 0 {
                writer.text(isOver ? ", " : " for ")
                writer.duration(silent)
                if isOver { writer.text(" ago") }
            }
            writer.text(": what is shown here is old.")
        }
    }

    private mutating func drawAway(
        _ region: inout TopRegion, _ away: TopSession.Away, _ scene: TopScene
    ) {
        var away = away
        // Told of all that was read up, whatever moment is looked at later.
        if away.meanwhile == nil, scene.session.time == .following {
            away.meanwhile = composed({ $0.meanwhile(away, scene) }) { [UInt8]($0) }
            scene.session.away = away
        }
        let used = wrapped(
            TopRegion(x: region.x, y: region.y, width: region.width, height: min(3, region.height)),
            .alarm
        ) { writer in
            writer.text(
                away.isStopped
                    ? "This view was stopped for " : "This view was frozen with the host for ")
            writer.duration(away.to - away.from)
            writer.text(", from ")
            writer.clock(away.from, scene.picture.host)
            writer.text(" to ")
            writer.clock(away.to, scene.picture.host)
            writer.text(". ")
            writer.append(away.meanwhile ?? [])
            writer.text(" Keys: b to look at it, Esc to put this away.")
        }
        _ = region.take(used)
    }

    /// The verdict in one line, on every screen.
    mutating func stateLine(_ region: TopRegion, _ scene: TopScene) {
        let verdict = scene.picture.verdict
        guard go(region, 0) else { return }
        let style = verdict.state.style
        if style == .alarm { fill(style) }
        guard go(region, 0) else { return }
        put(style) { writer in
            writer.upper(verdict.state.word)
            if verdict.sinceBootNanoseconds > 0, scene.now >= verdict.sinceBootNanoseconds {
                writer.text(" for ")
                writer.duration(scene.now - verdict.sinceBootNanoseconds)
            }
            writer.text(": ")
            writer.text(verdict.state.meaning)
        }
    }
}

extension ByteWriter {
    mutating func upper(_ word: StaticString) {
        for index in 0..<word.utf8CodeUnitCount {
            let value = word.utf8Start[index]
            byte(value >= 0x61 && value <= 0x7a ? value - 0x20 : value)
        }
    }

    fileprivate mutating func mode(_ scene: TopScene) {
        let session = scene.session
        switch session.time {
        case .following: text("LIVE")
        case .playing:
            text("PLAY x")
            if session.speedTenths >= 10 {
                number(session.speedTenths / 10)
            } else {
                text("0.")
                number(session.speedTenths)
            }
        case .paused:
            text(session.player.isLive ? "FROZEN" : session.player.isAtEnd ? "END" : "PAUSED")
        }
        guard session.time != .following else { return }
        byte(UInt8(ascii: " "))
        number(UInt64(session.player.progressPercent))
        text("% @")
        let first = scene.picture.firstBootNanoseconds
        if scene.now > first { duration(scene.now - first) } else { text("0 s") }
    }

    /// What happened while the view did not run, from what was kept meanwhile.
    fileprivate mutating func meanwhile(_ away: TopSession.Away, _ scene: TopScene) {
        let history = scene.history
        guard let newest = history.newest, history.length > 0 else {
            text("What happened meanwhile is not known.")
            return
        }
        let last = Int(clamping: newest - min(newest, away.to / 1_000_000_000))
        let count = Int(clamping: (away.to - away.from) / 1_000_000_000) + 1
        text("Meanwhile: at worst ")
        if let state = history.worstState(back: last, count: count) {
            text(state.word)
        } else {
            text("unknown")
        }
        for index in history.series.indices {
            text(index == 0 ? ", lowest free " : ", ")
            if history.series.count > 1 {
                text("node ")
                number(UInt64(history.series[index].node))
                byte(UInt8(ascii: " "))
            }
            if let lowest = history.lowest(index, back: last, count: count) {
                size(pages: UInt64(lowest), pageKB: scene.pageKB)
            } else {
                byte(UInt8(ascii: "?"))
            }
        }
        var events: UInt64 = 0
        for entry in scene.session.player.log.entries
        where entry.isForPeople && entry.bootNanoseconds >= away.from
            && entry.bootNanoseconds <= away.to
        {
            events += 1
        }
        text(", ")
        number(events)
        text(events == 1 ? " event." : " events.")
    }
}
