// SPDX-License-Identifier: Apache-2.0

import ReserveModel
import Testing

@testable import ReserveSinks

private func key(_ character: Unicode.Scalar) -> TopKey { .character(UInt8(ascii: character)) }

/// Presses keys, each on the frame that the former one left.
private func press(_ session: TopSession, _ keys: TopKey...) -> TopAction {
    var action = TopAction.none
    for key in keys {
        var painter = TopPainter(columns: 80, rows: 24, glyphs: .ascii)
        painter.draw(session)
        action = session.take(key, listed: painter)
    }
    return action
}

private func type(_ session: TopSession, _ text: String) {
    for byte in text.utf8 { _ = press(session, .character(byte)) }
}

@Suite struct TopKeyDecoderTests {
    private func keys(_ bytes: [UInt8]) -> [TopKey] {
        var decoder = TopKeyDecoder()
        var keys: [TopKey] = []
        for byte in bytes { if let key = decoder.take(byte) { keys.append(key) } }
        if let key = decoder.timeout() { keys.append(key) }
        return keys
    }

    @Test func sequencesOfAllTerminalsAreTheSameKeys() {
        for up in ["\u{1b}[A", "\u{1b}OA", "\u{1b}[1;5A"] { #expect(keys(Array(up.utf8)) == [.up]) }
        for home in ["\u{1b}[H", "\u{1b}OH", "\u{1b}[1~", "\u{1b}[7~"] {
            #expect(keys(Array(home.utf8)) == [.home])
        }
        #expect(keys(Array("\u{1b}[5~\u{1b}[6~".utf8)) == [.pageUp, .pageDown])
        #expect(keys(Array("\u{1b}[Z\t\r\u{7f}".utf8)) == [.backTab, .tab, .enter, .backspace])
    }

    @Test func anEscapeAloneIsAKeyOnceNothingFollows() {
        #expect(keys([0x1b]) == [.escape])
        #expect(keys([0x1b, 0x1b]) == [.escape])
        #expect(keys([0x1b, UInt8(ascii: "q")]) == [key("q")])
    }

    @Test func whatIsNotKnownIsPassedOver() {
        #expect(keys(Array("\u{1b}[99~\u{1b}[?1;2cä\u{4f60}x".utf8)) == [key("x")])
        #expect(keys((0...255).map { UInt8($0) }).count < 256)
    }
}

@Suite struct TopViewTests {
    @Test func digitsAndTabsOpenTheScreens() {
        let session = TopHost.pressed().session()
        for (index, pane) in TopPane.allCases.dropLast().enumerated() {
            _ = press(session, .character(UInt8(ascii: "1") + UInt8(index)))
            #expect(session.view.pane == pane)
        }
        _ = press(session, .tab)
        #expect(session.view.pane == .overview)
        _ = press(session, .backTab)
        #expect(session.view.pane == .agent)
        _ = press(session, .escape)
        #expect(session.view.pane == .overview)
    }

    @Test func enterOpensTheStoryOfTheSelectedTask() {
        let session = TopHost.pressed().session()
        session.goToEnd()
        _ = press(session, key("2"), .down, .enter)
        #expect(session.view.pane == .story)
        #expect(session.view.storyTID == 42)
        #expect(frame(session).contains { $0.hasPrefix("Story of task 42      writer[42]") })
        #expect(frame(session).contains { $0.hasPrefix("inside direct reclaim for 800 ms") })
        _ = press(session, .escape)
        #expect(session.view.pane == .tasks)
    }

    @Test func sortingTurnsAndReverses() {
        let session = TopHost.pressed().session()
        session.goToEnd()
        _ = press(session, key("2"))
        let first = frame(session).first { $0.contains("reclaim  ") } ?? ""
        #expect(first.contains("loader"))
        _ = press(session, key("r"))
        let reversed = frame(session).first { $0.contains("reclaim  ") } ?? ""
        #expect(reversed.contains("writer"))
        _ = press(session, key("s"))
        #expect(frame(session).contains { $0.contains("sorted by name, reversed") })
    }

    @Test func aFilterKeepsWhatHasItsLettersWhateverTheirCase() {
        let session = TopHost.pressed().session()
        session.goToEnd()
        _ = press(session, key("2"), key("/"))
        type(session, "WRIT")
        #expect(!frame(session).contains { $0.contains("loader") })
        #expect(frame(session).contains { $0.contains("writer") })
        _ = press(session, .enter)
        #expect(frame(session).contains { $0.contains("filtered") })
        #expect(frame(session).last?.contains("/WRIT") == true)
        _ = press(session, .escape)
        #expect(frame(session).contains { $0.contains("loader") })
    }

    @Test func helpIsPutAwayByAnyKeyWithoutItsEffect() {
        let session = TopHost.pressed().session()
        _ = press(session, key("?"))
        #expect(frame(session)[1].hasPrefix(" HELP"))
        #expect(press(session, key("q")) == .none)
        #expect(!session.view.isHelping)
        #expect(press(session, key("q")) == .quit)
        #expect(press(session, .interrupt) == .quit)
        #expect(press(session, .suspend) == .suspend)
    }

    @Test func helpFitsTheSmallestUsualScreen() {
        let session = TopHost.pressed().session()
        _ = press(session, key("?"))
        let text = frame(session)
        #expect(text[22].contains("times are UTC"))
        #expect(!text.dropLast().contains { $0.hasSuffix("~") })
    }

    @Test func anUnknownKeySaysWhereTheKeysAre() {
        let session = TopHost.pressed().session()
        _ = press(session, key("Q"))
        #expect(frame(session).last?.hasPrefix("no such key") == true)
    }
}

@Suite struct TopTimeTests {
    private static func begin(_ milliseconds: UInt64) -> UInt64 {
        TopHost.begin + milliseconds * 1_000_000
    }

    @Test func goingBackShowsWhatWasShownThen() {
        let session = TopHost.pressed().session()
        var forward: [UInt64: [String]] = [:]
        for second in 1...9 as ClosedRange<UInt64> {
            _ = session.go(to: .fromStart(second * 1_000_000_000))
            forward[second] = frame(session)
        }
        for second in (1...9 as ClosedRange<UInt64>).reversed() {
            _ = session.go(to: .fromStart(second * 1_000_000_000))
            #expect(frame(session) == forward[second], "second \(second)")
        }
    }

    @Test func goingBackOverManyKeptMomentsIsExactToo() {
        var host = TopHost()
        host.counters(10)
        for second in 0..<1200 as Range<UInt64> {
            host.zone(second * 1000 + 100, free: 1000 + second * 37 % 900)
            host.counters(second * 1000 + 200)
        }
        let session = host.session()
        session.goToEnd()
        for second in [1100, 700, 333, 901, 12, 1199, 0] as [UInt64] {
            _ = session.go(to: .fromStart(second * 1_000_000_000 + 500_000_000))
            let shown = frame(session)
            let fresh = host.session()
            _ = fresh.go(to: .fromStart(second * 1_000_000_000 + 500_000_000))
            #expect(shown == frame(fresh), "second \(second)")
        }
    }

    @Test func stepsAndTimesMoveByWhatTheySay() {
        let session = TopHost.pressed().session()
        session.goToEnd()
        _ = press(session, .left)
        #expect(session.player.now == Self.begin(8200) || session.player.now == Self.begin(8100))
        _ = press(session, .right)
        #expect(session.player.now > Self.begin(8450))
        _ = press(session, key("["))
        #expect(session.player.now <= Self.begin(200))
        _ = press(session, key("t"))
        type(session, "@5s")
        _ = press(session, .enter)
        #expect(session.player.now == Self.begin(4200))
        _ = press(session, key("t"))
        type(session, "00:01:47")
        _ = press(session, .enter)
        #expect(session.player.now == Self.begin(6200))
        #expect(session.time == .paused)
    }

    @Test func stepsOverAGapLeadBehindIt() {
        var host = TopHost.pressed()
        host.zone(60_000, free: 2000)
        let session = host.session()
        _ = session.go(to: .fromStart(10_000_000_000))
        _ = press(session, .right)
        #expect(session.player.now == Self.begin(60_000))
    }

    @Test func landmarksAreFoundForwardAndBack() {
        let session = TopHost.pressed().session()
        var seen: [UInt64] = []
        for _ in 0..<20 {
            let before = session.player.position
            _ = press(session, key("n"))
            if session.player.position == before || session.player.isAtEnd { break }
            seen.append(session.player.now)
        }
        #expect(seen.count >= 3)
        #expect(frame(session).last?.contains("no later event") == true)
        var back: [UInt64] = []
        for _ in 0..<20 {
            _ = press(session, key("N"))
            if session.view.message != nil { break }
            back.append(session.player.now)
        }
        #expect(back.reversed().suffix(seen.count) == seen[...])
    }

    @Test func aRecordingPlaysAtItsSpeedAndStopsAtItsEnd() {
        let session = TopHost.pressed().session()
        #expect(session.time == .playing)
        session.elapse(nanoseconds: 2_000_000_000)
        #expect(session.player.now == Self.begin(1200))
        _ = press(session, key("+"))
        session.elapse(nanoseconds: 2_000_000_000)
        #expect(session.player.now > Self.begin(4000))
        _ = press(session, key(" "))
        session.elapse(nanoseconds: 5_000_000_000)
        #expect(session.time == .paused)
        #expect(session.player.now < Self.begin(6000))
        _ = press(session, key(" "))
        session.elapse(nanoseconds: 60_000_000_000)
        #expect(session.time == .paused)
        #expect(session.player.isAtEnd)
    }

    @Test func liveFollowsIsFrozenAndComesBackToNow() {
        var host = TopHost.pressed()
        final class Store {
            var events: [Event] = []
            init(_ events: [Event]) { self.events = events }
        }
        let store = Store(host.events)
        let source = TopSource(
            isLive: true, look: { 0..<store.events.count },
            record: {
                $0 < store.events.count
                    ? TopRecord(event: store.events[$0], isState: false) : nil
            }, damagedBytes: { 0 })
        let session = TopSession(player: TopPlayer(source, policy: Policy()))
        #expect(session.time == .following)
        _ = press(session, key(" "))
        host.zone(10_100, free: 300)
        store.events = host.events
        session.elapse(nanoseconds: 1_000_000_000)
        #expect(session.player.now == Self.begin(9200))
        #expect(frame(session)[0].contains("FROZEN"))
        _ = press(session, key(" "))
        #expect(session.player.now == Self.begin(10_100))
        #expect(frame(session)[0].contains("LIVE"))
    }

    @Test func anotherBootBeginsAnewAndPlayGoesOnWithIt() {
        var host = TopHost.pressed()
        var second = HostFacts()
        second.host = TopHost.text("lab")
        second.bootID = TopHost.text("another")
        // Five seconds after its own boot: long before what the former boot's clock said.
        host.events.append(Event(bootNanoseconds: 5_000_000_000, cpu: 0, body: .host(second)))
        host.events.append(Event(bootNanoseconds: 6_000_000_000, cpu: 0, body: .tick))
        host.events.append(Event(bootNanoseconds: 9_000_000_000, cpu: 0, body: .stopped))
        let session = host.session()
        session.elapse(nanoseconds: 30_000_000_000)
        #expect(session.player.now == 5_000_000_000)
        #expect(session.player.model.picture.nodes.isEmpty)
        #expect(session.time == .playing)
        session.elapse(nanoseconds: 1_500_000_000)
        #expect(session.player.now == 6_000_000_000)
        session.goToEnd()
        #expect(session.player.now == 9_000_000_000)
    }

    /// The agent was started anew while the host ran on: one clock, two agents.
    @Test func goingBackBehindAnAgentsStartShowsTheOneBefore() {
        var host = TopHost.pressed()
        host.start(20_000)
        for second in 20..<30 as Range<UInt64> {
            host.zone(second * 1000 + 100, free: second * 50)
            host.counters(second * 1000 + 200)
        }
        func real(_ seconds: UInt64) -> TopMoment {
            .real(86_400_000_000_000 + Int64(Self.begin(seconds * 1000)))
        }
        let session = host.session()
        session.goToEnd()
        // There and back, and over the start once more.
        for second in [4, 27, 8, 24, 2, 21, 5] as [UInt64] {
            _ = session.go(to: real(second))
            let fresh = host.session()
            _ = fresh.go(to: real(second))
            #expect(session.player.now == Self.begin((second - 1) * 1000 + 200))
            #expect(frame(session) == frame(fresh), "second \(second)")
        }
    }

    @Test func goingBackEndsAtTheBeginOfTheBootThatIsShown() {
        var host = TopHost.pressed()
        host.events.append(Event(bootNanoseconds: 5_000_000_000, cpu: 0, body: .host(HostFacts())))
        for second in 6..<40 as Range<UInt64> {
            host.events.append(Event(bootNanoseconds: second * 1_000_000_000, cpu: 0, body: .tick))
        }
        let session = host.session()
        session.goToEnd()
        session.player.seek(to: 20_000_000_000)
        #expect(session.player.now == 20_000_000_000)
        session.player.seek(to: 1_000_000_000)
        #expect(session.player.now == 5_000_000_000)
        #expect(session.player.model.picture.nodes.isEmpty)
    }

    @Test func whatWasTrueBeforeIsKnownAndNotTold() {
        let events = TopHost.pressed().events
        let source = TopSource(
            isLive: false, look: { 0..<events.count },
            record: {
                $0 < events.count ? TopRecord(event: events[$0], isState: $0 < 30) : nil
            }, damagedBytes: { 0 })
        let player = TopPlayer(source, policy: Policy())
        player.advanceToEnd()
        #expect(player.log.entries.allSatisfy { $0.record >= 30 })
        #expect(!player.log.entries.isEmpty)
        #expect(player.model.picture.reclaimers.count == 2)
    }

    @Test func whatAStoreForgotIsCountedAsLost() {
        let host = TopHost.pressed()
        final class Window { var first = 0 }
        let window = Window()
        let events = host.events
        let source = TopSource(
            isLive: true, look: { window.first..<events.count },
            record: {
                $0 >= window.first && $0 < events.count
                    ? TopRecord(event: events[$0], isState: false) : nil
            },
            damagedBytes: { 0 })
        let player = TopPlayer(source, policy: Policy())
        player.advance(to: Self.begin(2000))
        let position = player.position
        window.first = position + 5
        player.look()
        player.advanceToEnd()
        #expect(player.model.picture.skippedRecords == 5)
    }

    @Test(arguments: [
        ("03:27:10", TopMoment.ofDay(12_430_000_000_000)),
        ("03:27", .ofDay(12_420_000_000_000)),
        ("03:27:10.5Z", .ofDay(12_430_500_000_000)),
        ("-30s", .relative(-30_000_000_000)), ("+5m", .relative(300_000_000_000)),
        ("+1.5", .relative(1_500_000_000)), ("@2h", .fromStart(7_200_000_000_000)),
        ("1970-01-02T00:00:01Z", .real(86_401_000_000_000)),
        ("2026-11-25T03:26:57.250Z", .real(1_795_577_217_250_000_000)),
    ])
    func timesAreReadAsTheyAreWritten(text: String, moment: TopMoment) {
        #expect(TopMoment(Array(text.utf8)) == moment)
    }

    @Test(arguments: [
        "", "+", "@", "soon", "25:00", "03:61", "1:2:3:4", "-5x", "03:27:60", "@1.2.3",
    ])
    func whatIsNoTimeIsRefused(text: String) {
        #expect(TopMoment(Array(text.utf8)) == nil)
    }
}
