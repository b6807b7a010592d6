// SPDX-License-Identifier: Apache-2.0

import Foundation
import ReserveModel
import Testing

@testable import ReserveReport
@testable import ReserveSinks

@Suite struct ReportSeriesTests {
    @Test func aDipOfOneSampleIsKeptThroughAnHour() throws {
        var series = ReportSeries(origin: 0)
        for tick in 0..<36_000 {
            series.add(tick == 20_000 ? 7 : 5000, at: UInt64(tick) * 100_000_000)
        }
        let points = series.points
        #expect(points.count <= ReportSeries.capacity)
        #expect(points.map(\.lowest).min() == 7)
        #expect(series.widthNanoseconds < 5_000_000_000)
        let dip = try #require(points.first { $0.lowest == 7 })
        #expect(dip.highest == 5000, "the dip does not hide what was around it")
    }

    @Test func aDipBetweenTwoSamplesCounts() {
        var series = ReportSeries(origin: 0)
        series.add(900, at: 100, lowest: 12)
        #expect(series.points.first?.lowest == 12)
        #expect(series.points.first?.last == 900)
    }

    @Test func aRunOfOneValueKeepsItsEnds() {
        var series = ReportSeries(origin: 0)
        for tick in 0..<100 { series.add(tick < 90 ? 3 : 4, at: UInt64(tick) * 100_000_000) }
        #expect(series.points.map(\.last) == [3, 3, 4, 4])
        #expect(series.points[1].at == 8_900_000_000, "a rise is not spread over the run before")
    }

    @Test func aRunIsNotDrawnThroughAHole() {
        var series = ReportSeries(origin: 0)
        for tick in 0..<300 where tick < 100 || tick >= 150 {
            series.add(3, at: UInt64(tick) * 100_000_000)
        }
        let kept = series.kept
        #expect(kept.map(\.bucket.at) == [0, 9_900_000_000, 15_000_000_000, 29_900_000_000])
        #expect(kept.map(\.isAfterHole) == [false, false, true, false])
    }

    @Test func theLongestStaysAreKeptAndTheOthersCounted() {
        var spans = ReportSpans()
        for index in 0..<(ReportSpans.capacity + 1) {
            spans.add(
                ReportSpan(
                    kind: .throttle, comm: FixedName("a"), tid: 1, began: 0,
                    durationNanoseconds: UInt64(index)))
        }
        #expect(spans.leftOut == ReportSpans.capacity / 2)
        #expect(spans.spans.count + spans.leftOut == ReportSpans.capacity + 1)
        #expect(spans.spans.map(\.durationNanoseconds).min() ?? 0 > spans.longestLeftOut)
    }
}

@Suite struct ReportEscapingTests {
    private func name(_ bytes: [UInt8]) -> FixedName {
        bytes.withUnsafeBytes { FixedName(bytes: $0) }
    }

    @Test func nothingInJSONEndsTheScriptElement() {
        let json = Report.string("</script><!--\u{2028}\u{2029}\"\\\u{1}&'")
        #expect(!json.contains("<") && !json.contains(">") && !json.contains("&"))
        #expect(!json.unicodeScalars.contains("\u{2028}"))
        let decoded = try? JSONSerialization.jsonObject(
            with: Data(json.utf8), options: .fragmentsAllowed)
        #expect(decoded as? String == "</script><!--\u{2028}\u{2029}\"\\\u{1}&'")
    }

    @Test func markupInNamesIsText() {
        #expect(Report.escapedHTML("<a href=\"x\">'&") == "&lt;a href=&quot;x&quot;&gt;&#39;&amp;")
    }

    @Test func bytesThatAreNoTextAreReplaced() {
        #expect(plain(name([0xff, 0x61, 0x1b, 0xe2, 0x80, 0xa8])) == "?a??")
    }

    @Test func backticksAndBarsStayWithinACodeSpan() {
        #expect(Report.code("a`b") == "``a`b``")
        #expect(Report.code("`|") == "`` `\\| ``")
        #expect(Report.code("") == "")
        #expect(Report.fence(around: "x ```` y", atLeast: 3) == "`````")
        #expect(Report.escapedMarkdown("[a](b)<i>@all") == "\\[a\\](b)\\<i\\>\\@all")
    }
}

@Suite struct ReportTextTests {
    @Test func aTableIsNeverWiderThanAMail() {
        var table = ReportTable("A caption", "@name", "#one", "#two", "@what")
        table.rows = [
            [String(repeating: "n", count: 60), "18446744073709551615", "1", "short"],
            ["\u{4f60}\u{597d}", "0", "2", String(repeating: "word ", count: 40)],
            ["c", "0", "2", String(repeating: "x", count: 200)],
        ]
        let lines = Report.plainTable(table)
        for line in lines { #expect(columns(line) <= 78, "\(line)") }
        #expect(lines.joined().contains("18446744073709551615"), "figures are never cut")
        let whole = lines.map { $0.drop { $0 == " " } }.joined()
        #expect(whole.contains(String(repeating: "x", count: 20)))
    }

    @Test func wideCharactersCountTwice() {
        #expect(columns("\u{4f60}a\u{301}") == 3)
    }

    @Test func longWordsAreBrokenAndNothingIsLost() {
        let lines = Report.wrapped(String(repeating: "y", count: 100), to: 40)
        #expect(lines.allSatisfy { $0.count <= 40 })
        #expect(lines.joined().count == 100)
    }
}

@Suite struct ReportContentTests {
    private func task(_ tid: UInt32, _ comm: StaticString) -> TaskIdentity {
        TaskIdentity(tid: tid, tgid: tid, cgroupID: 0, comm: FixedName(comm))
    }

    private func event(_ seconds: UInt64, _ body: Event.Body) -> Event {
        Event(bootNanoseconds: seconds * 1_000_000_000, cpu: 0, body: body)
    }

    private func section(_ report: Report, _ id: String) throws -> ReportSection {
        try #require(report.sections.first { $0.id == id })
    }

    @Test func whatNoHookToldIsUnknownAndNotZero() throws {
        var collector = ReportCollector()
        collector.take(event(1, .host(HostFacts())))
        collector.take(event(1, .counters(CounterTotals())))
        let report = Report(collector, damage: [])
        for id in ["memory", "takers", "nbd", "sockets"] {
            let part = try section(report, id)
            #expect(part.paragraphs.joined().contains("unknown"), "\(id)")
            #expect(part.tables.isEmpty, "\(id)")
        }
        let swap = try section(report, "swap").paragraphs.joined()
        #expect(swap.contains("not observed: unknown") && !swap.contains("0 OOM kills"))
        #expect(try section(report, "reclaim").paragraphs[0].contains("not recorded"))
    }

    @Test func damageAndAMissingEndStandAtTheTop() throws {
        var collector = ReportCollector()
        collector.take(event(1, .host(HostFacts())))
        let report = Report(collector, damage: ["7 damaged bytes"])
        #expect(report.sections.first?.id == "losses")
        let losses = try section(report, "losses").paragraphs
        #expect(losses.first == "7 damaged bytes")
        #expect(losses.contains { $0.contains("without the watch's last word") })
        collector.take(event(2, .stopped))
        let whole = Report(collector, damage: [])
        #expect(
            !(try section(whole, "losses").paragraphs.contains {
                $0.contains("last word")
            }))
    }

    @Test func twoLivesOfATaskAreOneRow() throws {
        var collector = ReportCollector()
        collector.take(event(1, .host(HostFacts())))
        var totals = CounterTotals()
        totals.reclaimTasksKnown = true
        collector.take(event(1, .counters(totals)))
        for (second, first, count) in [(2, 1, 3), (3, 1, 5), (80, 79, 2)]
            as [(UInt64, UInt64, UInt64)]
        {
            var figures = ReclaimTask(task: task(9, "load"))
            figures.firstBootNanoseconds = first
            figures.directReclaims = count
            figures.scannedAnonPages = 10 * count
            figures.directReclaimNanoseconds = count * 1_000_000
            figures.begunByOrder[2] = UInt32(count)
            collector.take(event(second, .reclaimTask(figures)))
        }
        var kswapd = ReclaimTask(task: task(30, "kswapd0"))
        kswapd.kswapdWakes = 1
        kswapd.scannedFilePages = 77
        collector.take(event(80, .reclaimTask(kswapd)))
        let tables = try section(Report(collector, damage: []), "reclaim").tables
        #expect(tables.map(\.caption) == ["Direct reclaim by task", "kswapd", "Summary"])
        #expect(
            tables[0].rows == [
                ["load", "9", "7", "0", "70", "0", "0", "0.007", "0.000", "direct-2=7"]
            ])
        #expect(tables[1].rows[0][4] == "77")
    }

    @Test func aStayThatHasNotEndedLastsToTheEnd() throws {
        var collector = ReportCollector()
        collector.take(event(1, .host(HostFacts())))
        collector.take(
            event(
                3,
                .reclaimInside(
                    ReclaimStay(
                        task: task(5, "stuck"), beganBootNanoseconds: 2_000_000_000,
                        durationNanoseconds: 1_000_000_000, reclaimedPages: 0, gfpFlags: 0,
                        order: 0))))
        collector.take(event(10, .tick))
        let report = Report(collector, damage: [])
        #expect(report.collected.spans.spans.count == 1)
        #expect(report.collected.spans.spans[0].durationNanoseconds == 8_000_000_000)
        #expect(report.collected.spans.spans[0].isOpen)
        let rows = try section(report, "waits").tables[0].rows
        #expect(rows[0][0] == "stuck[5]*" && rows[0][3] == "8.0 s")
    }

    @Test func aPauseOfTheWatchIsToldAndHatched() throws {
        var collector = ReportCollector()
        collector.take(event(1, .host(HostFacts())))
        for second in [1, 2, 9, 10] as [UInt64] { collector.take(event(second, .tick)) }
        let report = Report(collector, damage: [])
        #expect(report.collected.gaps.map(\.from) == [2_000_000_000])
        #expect(report.collected.gaps.map(\.to) == [9_000_000_000])
        #expect(try section(report, "losses").paragraphs.contains { $0.contains("7.0 s") })
    }

    private func host(_ boot: StaticString) -> HostFacts {
        var host = HostFacts()
        host.bootID = FixedText(
            bytes: UnsafeRawBufferPointer(start: boot.utf8Start, count: boot.utf8CodeUnitCount))
        host.realtimeOffsetNanoseconds = 86_400_000_000_000
        return host
    }

    private func device(oldestSeconds: UInt64) -> Event.Body {
        var device = NBDSample()
        device.disk = FixedName("nbd0")
        device.inFlight = 1
        device.oldestNanoseconds = oldestSeconds * 1_000_000_000
        return .nbdDevice(device)
    }

    private func stuck(_ tid: UInt32, _ comm: StaticString, since: UInt64) -> Event.Body {
        .reclaimInside(
            ReclaimStay(
                task: task(tid, comm), beganBootNanoseconds: since * 1_000_000_000,
                durationNanoseconds: 1_000_000_000, reclaimedPages: 0, gfpFlags: 0, order: 0))
    }

    private var hook: Event.Body {
        var hook = HookFact()
        hook.state = .missing
        return .hook(hook)
    }

    private var nbdIsKnown: Event.Body {
        var totals = CounterTotals()
        totals.nbdKnown = true
        return .counters(totals)
    }

    /// The second watch of a boot knows nothing of the first: its totals are its own. What the
    /// records told goes on.
    @Test func aWatchThatWasStartedAnewDoesNotInheritTotals() throws {
        var collector = ReportCollector()
        for (second, body) in [
            (1, .host(host("a"))), (1, hook), (2, nbdIsKnown), (3, stuck(5, "first", since: 2)),
            (4, device(oldestSeconds: 2)), (9, .tick), (20, .host(host("a"))), (20, hook),
            (21, nbdIsKnown), (22, device(oldestSeconds: 0)), (24, .tick),
        ] as [(UInt64, Event.Body)] {
            collector.take(event(second, body))
        }
        let report = Report(collector, damage: [])
        #expect(try section(report, "losses").paragraphs[0].contains("2 starts of the watch"))
        #expect(try section(report, "unknown").tables[0].rows.count == 1)
        let requests = try section(report, "nbd").tables[0].rows
        #expect(requests.map { $0[6] } == ["0"], "the worst wait was the other watch's")
        let stuck = report.collected.periods.first { $0.kind == .stalled }
        #expect(stuck?.to == 9_000_000_000, "nobody saw it go on")
        let waits = try section(report, "waits").tables[0].rows
        #expect(waits.map { $0[0] } == ["first[5]*"])
        #expect(waits[0][3] == "7.0 s", "until its watch was heard last")
        #expect(
            report.collected.charts.first { $0.id == "nbd-age-0" }?.lines[0].series.all.count == 2)
    }

    /// Its clock begins anew: what was before has no place on the same time line.
    @Test func ofSeveralBootsTheLastIsToldAndTheOthersAreNamed() throws {
        var collector = ReportCollector()
        for (second, body) in [
            (100, .host(host("a"))), (101, device(oldestSeconds: 2)),
            (102, stuck(5, "first", since: 101)), (103, .tick), (5, .host(host("b"))),
            (6, .tick), (7, .stopped),
        ] as [(UInt64, Event.Body)] {
            collector.take(event(second, body))
        }
        let report = Report(collector, damage: [])
        #expect(report.collected.origin == 5_000_000_000)
        #expect(report.collected.charts.isEmpty && report.collected.marks.isEmpty)
        #expect(try section(report, "waits").tables.isEmpty)
        let losses = try section(report, "losses").paragraphs
        #expect(losses[0].contains("a boot of the host before this one"))
        #expect(losses[0].contains("until 1970-01-02T00:01:43 UTC"))
        #expect(!losses.contains { $0.contains("starts of the watch") })
    }

    /// A recorder that was started anew repeats who watches: that is no start.
    @Test func aWatchThatIsNamedTwiceStartedOnce() throws {
        var collector = ReportCollector()
        for (second, body) in [
            (1, .host(host("a"))), (1, hook), (2, .tick), (1, .host(host("a"))), (1, hook),
            (30, .tick),
        ] as [(UInt64, Event.Body)] {
            collector.take(event(second, body))
        }
        let report = Report(collector, damage: [])
        #expect(!(try section(report, "losses").paragraphs.contains { $0.contains("starts of") }))
        #expect(try section(report, "unknown").tables[0].rows.count == 1)
    }

    @Test func whatNobodyLookedForIsNotSaidToBeAbsent() throws {
        var collector = ReportCollector()
        collector.take(event(1, .host(HostFacts())))
        let untold = Report(collector, damage: [])
        #expect(
            try section(untold, "losses").paragraphs.contains {
                $0.contains("what was lost on the way is not known")
            })
        collector.take(event(1, .counters(CounterTotals())))
        collector.take(event(2, stuck(5, "stuck", since: 1)))
        collector.take(event(3, .tick))
        let report = Report(collector, damage: [])
        let periods = try section(report, "periods").paragraphs.joined(separator: " ")
        #expect(periods.contains("whether one was stuck is unknown"))
        #expect(!periods.contains("No request"))
        let row = try section(report, "waits").tables[0].rows[0]
        #expect(Array(row[5...]) == ["?", "?", "?", "?"], "no throttle and no wait was observed")
    }

    @Test func readsAndWritesThatFailAreCountedApart() {
        var collector = ReportCollector()
        collector.take(event(1, .host(HostFacts())))
        for isWrite in [true, false, true, false, true] {
            var failure = NBDFailure()
            failure.disk = FixedName("nbd0")
            failure.isWrite = isWrite
            collector.take(event(2, .nbdFailed(failure)))
        }
        let sentences = collector.marks.map(\.sentence)
        #expect(sentences.count == 2)
        #expect(
            sentences[0].contains("a write failed")
                && sentences[0].hasSuffix("; 3 such within a second"))
        #expect(
            sentences[1].contains("a read failed")
                && sentences[1].hasSuffix("; 2 such within a second"))
    }

    @Test func verdictsFollowOneAnother() throws {
        var collector = ReportCollector()
        collector.take(event(1, .host(HostFacts())))
        var totals = CounterTotals()
        totals.zonesKnown = true
        for (second, free) in [(2, 900), (3, 900), (4, 15), (5, 15)] as [(UInt64, UInt64)] {
            collector.take(event(second, .counters(totals)))
            var zone = ZoneSample()
            zone.name = FixedName("DMA32")
            (zone.managedPages, zone.freePages, zone.recentLowestFreePages) = (5000, free, free)
            (zone.minPages, zone.lowPages, zone.highPages) = (20, 40, 60)
            collector.take(event(second, .zone(zone)))
            var node = NodeSample()
            (node.freePages, node.pfmemallocReservePages, node.throttleLinePages) = (free, 20, 10)
            collector.take(event(second, .node(node)))
            collector.take(event(second, .tick))
        }
        let report = Report(collector, damage: [])
        let verdicts = report.collected.periods.filter { $0.kind == .verdict }
        #expect(verdicts.map(\.subject) == ["calm", "reserve"])
        #expect(verdicts.map(\.to) == [4_000_000_000, nil])
        let below = try section(report, "periods").tables[0].rows.map { $0[0] }
        #expect(below == ["below low", "below min"])
        let chart = try #require(report.collected.charts.first { $0.id == "node-0" })
        #expect(
            chart.lines.map(\.name) == ["free", "min", "throttle line", "high", "low", "boost"])
    }
}
