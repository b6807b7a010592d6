// SPDX-License-Identifier: Apache-2.0

import ReserveModel

@testable import ReserveSinks

/// A host made of events, to look at with `top`.
struct TopHost {
    static let begin: UInt64 = 100_000_000_000
    var events: [Event] = []
    private let facts: HostFacts

    static func name(_ text: String) -> FixedName {
        Array(text.utf8).withUnsafeBytes { FixedName(bytes: $0) }
    }

    static func text(_ text: String) -> FixedText {
        Array(text.utf8).withUnsafeBytes { FixedText(bytes: $0) }
    }

    /// - Parameter host: as it calls itself.
    init(host name: String = "lab") {
        var host = HostFacts()
        host.host = Self.text(name)
        host.kernelRelease = Self.text("6.12.0-test")
        host.cpus = 2
        // 1970-01-02 00:01:40 at the first event.
        host.realtimeOffsetNanoseconds = 86_400_000_000_000
        host.slowThresholdNanoseconds = 50_000_000
        facts = host
        start(0)
    }

    /// An agent's start: its first record.
    mutating func start(_ milliseconds: UInt64) {
        add(milliseconds, .host(facts))
    }

    /// - Parameter milliseconds: since the first event.
    mutating func add(_ milliseconds: UInt64, _ body: Event.Body) {
        events.append(
            Event(
                bootNanoseconds: Self.begin + milliseconds * 1_000_000, cpu: 0, body: body))
    }

    mutating func zone(_ milliseconds: UInt64, free: UInt64) {
        var zone = ZoneSample()
        zone.name = FixedName("DMA32")
        zone.freePages = free
        zone.lowestFreePages = free
        zone.recentLowestFreePages = free
        zone.minPages = 1000
        zone.lowPages = 1250
        zone.highPages = 1500
        zone.managedPages = 50_000
        add(milliseconds, .zone(zone))
        var node = NodeSample()
        node.freePages = free
        node.lowestFreePages = free
        node.pfmemallocReservePages = 1000
        node.throttleLinePages = 500
        node.waitersKnown = true
        add(milliseconds, .node(node))
    }

    mutating func counters(_ milliseconds: UInt64, inside: UInt64 = 0) {
        var totals = CounterTotals()
        totals.zonesKnown = true
        totals.nbdKnown = true
        var reclaim = CounterTotals.DirectReclaim()
        reclaim.inside = inside
        totals.directReclaim = reclaim
        add(milliseconds, .counters(totals))
        add(milliseconds, .tick)
    }

    mutating func reclaimer(_ milliseconds: UInt64, _ comm: String, tid: UInt32) {
        let stay = ReclaimStay(
            task: TaskIdentity(tid: tid, tgid: tid, cgroupID: 7, comm: Self.name(comm)),
            beganBootNanoseconds: Self.begin + milliseconds * 1_000_000, durationNanoseconds: 0,
            reclaimedPages: 0, gfpFlags: 0xdca, order: 0)
        add(milliseconds + 50, .reclaimInside(stay))
    }

    /// Free memory falls for some seconds, then two tasks wait.
    static func pressed() -> TopHost {
        var host = TopHost()
        host.counters(10)
        for second in 0..<10 as Range<UInt64> {
            host.zone(second * 1000 + 100, free: 2000 - second * 150)
            host.counters(second * 1000 + 200, inside: second > 7 ? 2 : 0)
            if second == 8 {
                host.reclaimer(8300, "loader", tid: 41)
                host.reclaimer(8400, "writer", tid: 42)
            }
        }
        return host
    }

    func session(isLive: Bool = false) -> TopSession {
        let events = events
        let source = TopSource(
            isLive: isLive, look: { 0..<events.count },
            record: {
                $0 < events.count ? TopRecord(event: events[$0], isState: false) : nil
            }, damagedBytes: { 0 })
        return TopSession(player: TopPlayer(source, policy: Policy()))
    }
}

/// A frame as lines of text.
func frame(
    _ session: TopSession, columns: Int = 80, rows: Int = 24, glyphs: TopGlyphs = .ascii
) -> [String] {
    var painter = TopPainter(columns: columns, rows: rows, glyphs: glyphs)
    return lines(session, &painter)
}

func lines(_ session: TopSession, _ painter: inout TopPainter) -> [String] {
    painter.draw(session)
    var writer = ByteWriter(capacityBytes: painter.grid.columns * painter.grid.rows * 5)
    painter.grid.writeText(&writer)
    return String(decoding: writer.bytes, as: UTF8.self).split(
        separator: "\n", omittingEmptySubsequences: false
    ).dropLast().map(String.init)
}
