// SPDX-License-Identifier: Apache-2.0

import ReserveModel
import Testing

@testable import ReserveSinks

@Suite struct TopFrameTests {
    @Test func beforeAnythingWasToldNothingIsZero() {
        let session = TopHost().session()
        let text = frame(session).joined(separator: "\n")
        #expect(text.contains("UNKNOWN: facts are missing"))
        #expect(text.contains("reserve  ?: nothing was told yet"))
        #expect(text.contains("? in direct reclaim, ? in pfmemalloc throttle (? so far)"))
        #expect(text.contains("in ?/s out ?/s (so far ?, ?)  OOM kills ?  PSI mem ? io ?"))
        #expect(text.contains("lost ?, no room ?, missed ?; agent cpu ? locked ?"))
        #expect(!text.contains(" 0 "))
    }

    @Test func whatIsNotObservedIsUnknownAndNotZero() {
        var host = TopHost()
        host.add(10, .counters(CounterTotals()))
        let session = host.session()
        session.goToEnd()
        let text = frame(session)
        #expect(text.contains { $0.hasPrefix("reserve  unknown: not observed on this host") })
        #expect(text.contains { $0.hasPrefix("nbd      unknown: not observed on this host") })
        #expect(text.contains { $0.hasPrefix("sockets  unknown: not observed on this host") })
    }

    @Test func theLongestWaitingTaskStandsFirst() throws {
        let session = TopHost.pressed().session()
        session.goToEnd()
        let text = frame(session)
        let first = try #require(text.firstIndex { $0.contains("loader") })
        let second = try #require(text.firstIndex { $0.contains("writer") })
        #expect(first < second)
        #expect(text[first].contains("900 ms reclaim  loader"))
        #expect(text[second].contains("800 ms reclaim  writer"))
    }

    @Test func theGaugeHasAllMarksAndTheFillEndsAtFree() throws {
        let session = TopHost.pressed().session()
        session.goToEnd()
        // Free 650 of a scale that ends at 1875: below min, above the throttle line.
        let gauge = try #require(frame(session).first { $0.contains("[") && $0.contains("kswapd") })
        let bar = try #require(gauge.split(separator: "]").first?.split(separator: "[").last)
        #expect(bar.count == 54)
        let letters = bar.filter { "TMLH".contains($0) }
        #expect(String(letters) == "TMLH")
        let filled = bar.prefix { $0 == "=" || $0 == "T" }
        #expect(filled.count == 650 * 54 / 1875)
    }

    @Test func theLineShowsHowFreeMemoryFellByTheMarks() throws {
        let session = TopHost.pressed().session()
        session.goToEnd()
        let line = try #require(frame(session).first { $0.hasSuffix(" 10 s") })
        #expect(line.contains("^^^^--.___"))
    }

    @Test func secondsWithoutASampleAreGapsInTheLine() throws {
        var host = TopHost.pressed()
        host.zone(14_100, free: 2000)
        host.counters(14_200)
        let session = host.session()
        session.goToEnd()
        #expect(frame(session).contains { $0.contains("___????^") })
    }

    @Test(arguments: [(20, 5), (40, 10), (60, 15), (80, 24), (132, 43), (200, 60), (512, 256)])
    func everySizeIsFilledAndNothingElse(columns: Int, rows: Int) {
        let session = TopHost.pressed().session()
        session.goToEnd()
        for pane in TopPane.allCases {
            session.view.open(pane)
            for glyphs in [TopGlyphs.ascii, .utf8] {
                let text = frame(session, columns: columns, rows: rows, glyphs: glyphs)
                #expect(text.count == rows)
                #expect(text.allSatisfy { $0.count <= columns })
                if glyphs == .ascii { #expect(text.allSatisfy { $0.utf8.count == $0.count }) }
            }
        }
    }

    @Test func aCutTextEndsInAMark() throws {
        let session = TopHost.pressed().session()
        session.goToEnd()
        let whole = try #require(frame(session).first { $0.hasPrefix("swap ") })
        for columns in 30..<whole.count {
            let cut = try #require(frame(session, columns: columns).first { $0.hasPrefix("swap ") })
            #expect(cut == whole.prefix(columns - 1) + "~")
        }
        #expect(frame(session, columns: whole.count).contains(whole))
    }

    @Test func aViewThatWasFrozenSaysForHowLongAndWhatHappened() {
        let session = TopHost.pressed().session(isLive: true)
        session.wasAway(
            from: TopHost.begin + 4_000_000_000, to: TopHost.begin + 9_000_000_000,
            isStopped: false)
        let text = frame(session).joined(separator: " ")
        #expect(text.contains("frozen with the host for 5.0 s, from 00:01:44.0 to 00:01:49.0"))
        #expect(text.contains("at worst reserve, lowest free 2.5M"))
        #expect(session.take(.character(UInt8(ascii: "b")), listed: painter()) == .none)
        #expect(session.time == .paused)
        #expect(session.player.now <= TopHost.begin + 4_000_000_000)
        let before = frame(session).joined(separator: " ")
        #expect(before.contains("at worst reserve, lowest free 2.5M"), "of all of it, not so far")
        _ = session.take(.escape, listed: painter())
        #expect(!frame(session).contains { $0.contains("frozen with the host") })
    }

    @Test func oldFiguresDoNotPassForThePresent() {
        let session = TopHost.pressed().session(isLive: true)
        session.hostClock = session.player.now + 2_000_000_000
        #expect(!frame(session).contains { $0.contains("tells nothing") })
        session.hostClock = session.player.now + 12_000_000_000
        #expect(
            frame(session).contains {
                $0.hasPrefix("The watch tells nothing for 12.0 s: what is shown here is old.")
            })
    }

    private func painter() -> TopPainter { TopPainter(columns: 80, rows: 24, glyphs: .ascii) }
}

/// Names that somebody chose to do harm.
@Suite struct TopHostileTests {
    private static let names = [
        "\u{1b}[2J\u{1b}[31m", "a\u{1b}]0;owned\u{7}", "\u{202e}evil\u{202c}", "\r\n\t\u{8}",
        "e\u{301}\u{301}\u{301}\u{200d}", "\u{5e9}\u{5dc}\u{5d5}\u{5dd}", "\u{1f468}\u{200d}",
        "\u{9b}31m", "\u{4f60}\u{597d}\u{4f60}\u{597d}\u{4f60}",
    ]

    @Test(arguments: names) func noNameMovesTheRestOfItsLine(name: String) throws {
        var host = TopHost.pressed()
        host.reclaimer(8500, name, tid: 4242)
        host.add(9900, .cgroupName(id: 7, path: TopHost.text("/\(name)")))
        let session = host.session()
        session.goToEnd()
        for glyphs in [TopGlyphs.ascii, .utf8] {
            var painter = TopPainter(columns: 80, rows: 24, glyphs: glyphs)
            let text = lines(session, &painter)
            #expect(
                text.allSatisfy {
                    $0.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f }
                })
            // The thread id stands where it stands for every other name.
            let row = try #require((0..<24).first { y in text[y].contains("4242") })
            let place = (0..<4).map { painter.grid[47 + $0, row].scalar }
            #expect(place == Array("4242".unicodeScalars).map { $0.value }, "\(text[row])")
        }
    }

    @Test func bytesThatAreNoTextShowAsQuestionMarks() throws {
        var host = TopHost.pressed()
        let bytes: [UInt8] = [0xff, 0xfe, 0xc0, 0x80, 0xe2, 0x82, 0x61]
        let task = TaskIdentity(
            tid: 77, tgid: 77, cgroupID: 7, comm: bytes.withUnsafeBytes { FixedName(bytes: $0) })
        host.add(
            9900,
            .reclaimInside(
                ReclaimStay(
                    task: task, beganBootNanoseconds: TopHost.begin, durationNanoseconds: 0,
                    reclaimedPages: 0, gfpFlags: 0, order: 0)))
        let session = host.session()
        session.goToEnd()
        #expect(frame(session, glyphs: .utf8).contains { $0.contains("??????a") })
    }

    @Test func wideCharactersTakeTwoColumnsAndAreNeverHalved() {
        var painter = TopPainter(columns: 7, rows: 1, glyphs: .utf8)
        let region = TopRegion(x: 0, y: 0, width: 7, height: 1)
        _ = painter.go(region, 0)
        painter.column(4) { $0.plain(foreign: TopHost.text("\u{4f60}\u{597d}\u{5417}")) }
        painter.text("x")
        #expect(painter.grid[0, 0].scalar == 0x4f60)
        #expect(painter.grid[1, 0].scalar == 0)
        #expect(painter.grid[2, 0].scalar == 32)
        #expect(painter.grid[3, 0].scalar == UInt32(UInt8(ascii: "~")))
        #expect(painter.grid[5, 0].scalar == UInt32(UInt8(ascii: "x")))
    }

    @Test func theHostsOwnNameIsNoExceptionToThis() {
        let session = TopHost(host: "\u{1b}[31mhost\u{202e}").session()
        #expect(frame(session)[0].hasPrefix("?[31mhost?  Linux"))
    }
}

@Suite struct TopRendererTests {
    private func bytes(_ renderer: inout TopRenderer, _ grid: TopGrid) -> String {
        var writer = ByteWriter(capacityBytes: 65536)
        renderer.write(grid, &writer)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    private func drawn(_ session: TopSession) -> TopGrid {
        var painter = TopPainter(columns: 80, rows: 24, glyphs: .ascii)
        painter.draw(session)
        return painter.grid
    }

    @Test func withoutColourThereIsNone() {
        let session = TopHost.pressed().session()
        session.goToEnd()
        var renderer = TopRenderer(colours: .none)
        let text = bytes(&renderer, drawn(session))
        // Of each sequence that sets a style, the numbers.
        let styles = text.split(separator: "\u{1b}[").filter { $0.contains("m") }
            .map { $0.prefix { $0 != "m" } }.filter { $0.allSatisfy { $0.isNumber || $0 == ";" } }
        #expect(styles.count > 10)
        #expect(styles.allSatisfy { $0.split(separator: ";").allSatisfy { Int($0) ?? 99 < 30 } })
        #expect(text.contains("\u{1b}[0;7m"))
        #expect(text.contains("\u{1b}[0;1m"))
    }

    @Test func sixteenColoursUseNoOthers() {
        let session = TopHost.pressed().session()
        session.goToEnd()
        var renderer = TopRenderer(colours: .sixteen)
        let text = bytes(&renderer, drawn(session))
        #expect(!text.contains("38;"))
        #expect(!text.contains("48;"))
        #expect(text.contains("\u{1b}[0;30;47m"))
        var truecolor = TopRenderer(colours: .truecolor)
        #expect(bytes(&truecolor, drawn(session)).contains("38;2;"))
    }

    @Test func theSameFrameAgainIsNothing() {
        let session = TopHost.pressed().session()
        var renderer = TopRenderer(colours: .none)
        _ = bytes(&renderer, drawn(session))
        #expect(bytes(&renderer, drawn(session)) == "\u{1b}[?2026h\u{1b}[?2026l")
        renderer.forget()
        #expect(bytes(&renderer, drawn(session)).contains("\u{1b}[2J"))
    }

    @Test func behindACharacterOfUncertainWidthTheNextIsPlacedAnew() {
        var grid = TopGrid(columns: 8, rows: 1)
        grid[0, 0].scalar = 0x4f60
        grid[1, 0].scalar = 0
        grid[2, 0].scalar = UInt32(UInt8(ascii: "x"))
        var renderer = TopRenderer(colours: .none)
        #expect(bytes(&renderer, grid).contains("\u{4f60}\u{1b}[1;3Hx"))
    }
}
