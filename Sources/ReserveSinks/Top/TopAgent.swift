// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension TopPainter {
    // MARK: the watch itself

    mutating func agentPane(_ region: TopRegion, _ scene: TopScene) {
        var region = region
        let picture = scene.picture
        if go(region.take(1), 0) { text("The watch itself", .bold) }
        rows(&region, 4) { writer in
            writer.agentWords(scene)
        }
        if !picture.sinks.isEmpty, go(region.take(1), 0) { text("Where alerts go", .bold) }
        for index in picture.sinks.indices where region.height > 0 {
            let sink = picture.sinks[index]
            rows(&region, 1) { $0.sinkWords(sink) }
        }
        if go(region.take(1), 0) {
            text("Signals, those that are not at their best first", .bold)
        }
        var order = Array(picture.hooks.indices)
        order.sort { Self.rank(picture.hooks[$0].state) < Self.rank(picture.hooks[$1].state) }
        let view = scene.session.view
        let wanted = order.filter { index in
            passes(view) { $0.hookWords(picture.hooks[index]) }
        }
        let body = region
        list(body, scene.session, count: wanted.count) { painter, index, row in
            let hook = picture.hooks[wanted[index]]
            guard painter.go(body, row) else { return }
            let style: TopStyle =
                hook.state == .missing ? .warning : hook.state == .primary ? .plain : .notice
            painter.column(22, style) { $0.plain(foreign: hook.signal) }
            painter.column(9, style) { writer in
                writer.text(
                    hook.state == .missing && hook.isProtection ? "refused" : hook.state.word)
            }
            let rest = body.x + body.width - painter.column
            painter.column(max(1, rest)) { $0.hookWords(hook) }
        }
    }

    private static func rank(_ state: HookFact.State) -> Int {
        switch state {
        case .missing: return 0
        case .unknown: return 1
        case .fallback: return 2
        case .off: return 3
        case .primary: return 4
        }
    }

    private mutating func rows(
        _ region: inout TopRegion, _ most: Int, _ compose: (inout ByteWriter) -> Void
    ) {
        var room = region
        room.height = min(most, room.height)
        _ = region.take(wrapped(room, indent: 2, compose))
    }

    // MARK: help

    mutating func help(_ region: TopRegion) {
        let lines: InlineArray<22, StaticString> = [
            "HELP                                                any key puts this away",
            "1 - 8, Tab    overview, tasks, sockets, slab, nbd, zones, events, agent",
            "arrows, j k   choose a line; PgUp PgDn Home End",
            "Enter         a task's story; on an event: go to its time. Esc goes back",
            "s r           sort by the next column; reverse",
            "/             show only rows with these letters; Esc drops it",
            "space         stop the time; in a recording go on, live go back to now",
            "left right    a second back or on;  [ ] ten seconds;  { } a minute",
            "n N           the next or former turn of the incident",
            "t             go to a time: 03:27:10, -30s, +5m, @12s from the start",
            "p + -         play from here; faster, slower.   l: to the end, or live",
            "b             to where this view was frozen with the host",
            "^L ^Z q       draw anew, suspend, quit",
            "GAUGE   [====T===M==.L...H.....]  = is free memory, from 0 to above high.",
            "        T throttle line: direct reclaimers sleep   M min: the reserve",
            "        L low: kswapd wakes   H high: kswapd sleeps   v lowest seen",
            "LINE    lowest free of each span, newest right. In ASCII: ^ above high,",
            "        - below high, . below low, _ below min, ! at the throttle line",
            "STATES  . calm  p pressed  r reserve  t throttling  S stalling  F failing",
            "        D deadlocked",
            "?       not known: a hook is missing, or nothing was told yet; never 0",
            "K M G are of 1024 bytes; times are UTC; rates are of the last 3 s, latency 10 s",
        ]
        for row in 0..<lines.count where go(region, row, indent: 1) {
            text(lines[row], row == 0 ? .bold : .plain)
        }
    }
}

extension ByteWriter {
    fileprivate mutating func hookWords(_ hook: HookFact) {
        plain(foreign: hook.path)
        if !hook.reason.isEmpty {
            text(hook.path.isEmpty ? "" : ": ")
            plain(foreign: hook.reason)
        }
    }

    fileprivate mutating func sinkWords(_ sink: SinkState) {
        plain(foreign: sink.name)
        text(": ")
        count(sink.lines)
        text(" lines, dropped ")
        count(sink.dropped)
        text(", waiting ")
        size(bytes: sink.waitingBytes)
        text(", worst delay ")
        if let worst = sink.worstNanoseconds { duration(worst) } else { byte(UInt8(ascii: "?")) }
        if sink.error != 0 {
            text(", ended by errno ")
            number(Int64(sink.error))
        }
    }

    fileprivate mutating func agentWords(_ scene: TopScene) {
        let picture = scene.picture
        text("version ")
        if let host = picture.host { plain(foreign: host.agentVersion) } else { text("?") }
        text("; lost ")
        count(picture.lostRecords)
        text(" records (unknown ")
        count(picture.unknownRecords)
        text(", malformed ")
        count(picture.malformedRecords)
        text(", passed this view by ")
        count(picture.skippedRecords)
        text("), without room ")
        count(picture.untracked)
        text(", missed in nested interrupts ")
        count(known: picture.missedEvents)
        text("; beats ")
        count(known: picture.counters?.beats)
        text(", longest pause ")
        if let gap = picture.counters?.beatWorstGapNanoseconds { duration(gap) } else { text("?") }
        text("; ")
        guard let account = picture.selfAccount else {
            text("its own cost is not known")
            return
        }
        text("cpu ")
        duration(account.cpuNanoseconds)
        text(", resident ")
        size(bytes: account.residentKiB << 10)
        text(", locked ")
        size(bytes: account.lockedKiB << 10)
        text(", box ")
        size(bytes: account.boxBytes)
        text(", threads ")
        count(UInt64(account.threads))
        text(", pages allocated ")
        count(known: account.allocations?.pages)
        text(", own direct reclaims ")
        count(known: account.allocations?.directReclaims)
        text(", major faults ")
        count(known: account.faults?.major)
    }
}
