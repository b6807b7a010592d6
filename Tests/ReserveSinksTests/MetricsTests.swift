// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import ReserveModel
@testable import ReserveSinks

private func name(_ text: String) -> FixedName {
    Array(text.utf8).withUnsafeBytes { FixedName(bytes: $0) }
}

private func text(_ bytes: [UInt8]) -> FixedText {
    bytes.withUnsafeBytes { FixedText(bytes: $0) }
}

private func page(
    _ metrics: [Metric], _ picture: Picture? = Picture(), as format: MetricsFormat = .text
) -> String {
    let page = MetricsPage(format, picture: picture, reader: ReaderFacts(), metrics: metrics)
    return String(decoding: page.bytes, as: UTF8.self)
}

/// A picture in which every group of totals is known.
private func known() -> Picture {
    var picture = Picture()
    picture.host = HostFacts()
    var counters = CounterTotals()
    counters.reserve = CounterTotals.Reserve()
    counters.directReclaim = CounterTotals.DirectReclaim()
    counters.zonesKnown = true
    counters.nbdKnown = true
    picture.counters = counters
    return picture
}

@Suite struct NegotiationTests {
    @Test(arguments: [
        // What Prometheus 2.42 and 3.x send.
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            MetricsFormat.openmetrics
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            .openmetrics
        ),
        ("text/plain;version=0.0.4", .text),
        ("", .text),
        ("*/*", .text),
        ("application/json", .text),
        ("application/openmetrics-text; version=0.0.1", .text),
        ("application/openmetrics-text; q=0.2, text/plain; q=0.3", .text),
        ("application/openmetrics-text; q=0, */*; q=0.1", .text),
        ("Application/OpenMetrics-Text ; Version=1.0.0 ; Q=0.5", .openmetrics),
        ("application/openmetrics-text;q=nonsense, text/plain;q=0.001", .text),
    ])
    func theFormatIsTheOneLikedBest(accept: String, format: MetricsFormat) {
        #expect(MetricsFormat.negotiated(accept: accept) == format)
    }

    private func parse(_ text: String) -> HTTPRequest.Parsed {
        HTTPRequest.parse(Array(text.utf8))
    }

    @Test func aRequestIsReadFromItsBytes() {
        #expect(
            parse(
                "GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\naCCept: text/plain\r\nAccept:*/*\r\n\r\n")
                == .request(
                    HTTPRequest(method: .get, path: "/metrics", accept: "text/plain,*/*")))
        #expect(
            parse("HEAD / HTTP/1.0\n\n")
                == .request(HTTPRequest(method: .head, path: "/", accept: "")))
        #expect(
            parse("DELETE / HTTP/1.1\r\n\r\n")
                == .request(HTTPRequest(method: .other, path: "/", accept: "")))
    }

    @Test func aRequestThatHasNotEndedIsWaitedForUpToABound() {
        #expect(parse("") == .incomplete)
        #expect(parse("GET / HTTP/1.1\r\nHost: a\r\n") == .incomplete)
        #expect(parse(String(repeating: "a", count: 8191)) == .incomplete)
        #expect(parse(String(repeating: "a", count: 8192)) == .refused(431))
        let long = "GET / HTTP/1.1\r\nX: \(String(repeating: "a", count: 9000))\r\n\r\n"
        #expect(parse(long) == .refused(431))
    }

    @Test(arguments: [
        ("\r\n\r\n", 400), ("GET\r\n\r\n", 400), ("GET / HTTP/1.1 x\r\n\r\n", 400),
        ("GET http://a/ HTTP/1.1\r\n\r\n", 400), ("GET /\u{1}a HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\n\r\n", 505), ("GET / FTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400), ("GET / HTTP/1.1\r\n: a\r\n\r\n", 400),
        ("\u{16}\u{3}\u{1}\n\n", 400),
    ])
    func whatIsNoRequestIsRefused(bytes: String, status: Int) {
        #expect(parse(bytes) == .refused(status))
    }
}

@Suite struct MetricsPageTests {
    @Test func hostileNamesStayInsideTheirLabel() {
        var picture = known()
        var device = Picture.NBDState(sample: NBDSample())
        device.sample.disk = name("a\"} 1\n#\\\u{1b}[2J")
        picture.devices.append(device)
        let page = page(MetricsRegistry.deviceMetrics, picture)
        #expect(
            page.contains(
                "reservewatch_nbd_requests_in_flight{device=\"a\\\"} 1\\n#\\\\\u{fffd}[2J\"} 0\n"))
        for line in page.split(separator: "\n") {
            #expect(line.hasPrefix("# ") || line.hasPrefix("reservewatch_"), "\(line)")
        }
    }

    @Test func whatIsNoUTF8IsReplacedAndNeverASecondSeries() {
        var picture = known()
        for last in [UInt8(0xff), 0xfe] {
            var swap = SwapDevice()
            swap.path = text(Array("/swap".utf8) + [last])
            picture.swaps.append(swap)
        }
        let all = MetricsPage(
            .text, picture: picture, reader: ReaderFacts(), metrics: MetricsRegistry.swapMetrics)
        let lines = String(decoding: all.bytes, as: UTF8.self).split(separator: "\n")
        #expect(lines.filter { $0.hasPrefix("reservewatch_swap_size_bytes{") }.count == 1)
        #expect(lines.contains("reservewatch_swap_size_bytes{swap=\"/swap\u{fffd}\"} 0"))
        #expect(all.leftOut == 4)
        #expect(lines.last == "reservewatch_exporter_left_out_samples 4")
    }

    @Test func whatIsUnknownIsAbsentWithItsName() {
        let nothing = page(MetricsRegistry.reserveMetrics + MetricsRegistry.deviceMetrics)
        #expect(!nothing.contains("reservewatch_reserve"))
        #expect(!nothing.contains("reservewatch_nbd"))
        let some = page(MetricsRegistry.reserveMetrics, known())
        #expect(some.contains("\nreservewatch_reserve_taken_total 0\n"))
        #expect(!some.contains("below_min"))
        #expect(!page(MetricsRegistry.reclaimMetrics, known()).contains("allocstall"))
    }

    @Test func runsAreAbsentWhereTheKernelKeepsNoStatistics() {
        var picture = known()
        var program = ProgramFigures()
        program.name = text(Array("reserve_free".utf8))
        program.missed = 3
        picture.programs.append(program)
        let metrics = MetricsRegistry.kernelSideMetrics + MetricsRegistry.lossMetrics
        #expect(!page(metrics, picture).contains("reservewatch_program_runs_total"))
        #expect(
            page(metrics, picture).contains(
                "reservewatch_program_missed_runs_total{program=\"reserve_free\"} 3\n"))
        // Kept, and this one has not run: a count, and not unknown.
        picture.programs[0].runs = ProgramFigures.Runs()
        picture.programs[0].missed = 0
        #expect(
            page(metrics, picture).contains(
                "reservewatch_program_runs_total{program=\"reserve_free\"} 0\n"))
        #expect(!page(metrics, picture).contains("reservewatch_program_missed_runs_total"))
    }

    @Test func mapsThatTheKernelDoesNotCountAreCalledAnEstimate() {
        var picture = known()
        picture.selfAccount = SelfAccount()
        #expect(!page(MetricsRegistry.kernelSideMetrics, picture).contains("memory_bytes"))
        picture.selfAccount?.maps = SelfAccount.Maps()
        picture.selfAccount?.maps?.bytes = 4096
        for (counted, word) in [(false, "estimated"), (true, "counted")] {
            picture.selfAccount?.maps?.areCounted = counted
            let line = "reservewatch_maps_memory_bytes{accounting=\"\(word)\"} 4096\n"
            #expect(page(MetricsRegistry.kernelSideMetrics, picture).contains(line))
        }
    }

    @Test func withoutPicturesOnlyTheReaderSpeaks() {
        let page = page(MetricsRegistry.all, nil)
        #expect(page.contains("\nreservewatch_up 0\n"))
        for line in page.split(separator: "\n") where !line.hasPrefix("#") {
            #expect(
                line.hasPrefix("reservewatch_up ") || line.hasPrefix("reservewatch_exporter_"),
                "\(line)")
        }
    }

    @Test func sizesAreBytesAndTimesSeconds() {
        var picture = known()
        picture.host?.pageSizeBytes = 16384
        picture.counters?.reserve?.outstandingPages = 3
        picture.counters?.beatWorstGapNanoseconds = 1_020_003_000
        let page = page(MetricsRegistry.reserveMetrics + MetricsRegistry.agentMetrics, picture)
        #expect(page.contains("\nreservewatch_reserve_outstanding_bytes 49152\n"))
        #expect(page.contains("\nreservewatch_agent_worst_beat_gap_seconds 1.020003\n"))
    }

    @Test func withoutAPageSizeThereAreNoBytes() {
        var picture = known()
        picture.host = nil
        let page = page(MetricsRegistry.reserveMetrics, picture)
        #expect(page.contains("reservewatch_reserve_taken_total 0"))
        #expect(!page.contains("_bytes"))
    }

    @Test func bucketsAreCumulativeAndASumIsNotMadeUp() {
        var picture = known()
        for (bucket, count) in [(0, 1), (3, 2), (4, 4), (22, 8), (23, 16)] {
            picture.counters?.directReclaim?.durations[bucket] = UInt64(count)
        }
        picture.counters?.directReclaim?.totalNanoseconds = 1_500_000_000
        var device = Picture.NBDState(sample: NBDSample())
        device.sample.disk = name("nbd0")
        device.sample.latency[5] = 7
        picture.devices.append(device)
        let text = page(MetricsRegistry.reclaimMetrics + MetricsRegistry.deviceMetrics, picture)
        let reclaim = "reservewatch_direct_reclaim_duration_seconds"
        for line in [
            "\(reclaim)_bucket{le=\"1.6e-05\"} 3", "\(reclaim)_bucket{le=\"3.2e-05\"} 7",
            "\(reclaim)_bucket{le=\"4.194304\"} 7", "\(reclaim)_bucket{le=\"8.388608\"} 15",
            "\(reclaim)_bucket{le=\"+Inf\"} 31", "\(reclaim)_sum 1.5", "\(reclaim)_count 31",
            "reservewatch_nbd_request_duration_seconds_count{device=\"nbd0\"} 7",
        ] { #expect(text.contains("\n\(line)\n"), "\(line)") }
        #expect(!text.contains("reservewatch_nbd_request_duration_seconds_sum"))
        let open = page(
            MetricsRegistry.reclaimMetrics + MetricsRegistry.deviceMetrics, picture,
            as: .openmetrics)
        #expect(open.contains("\n\(reclaim)_count 31\n"))
        #expect(!open.contains("reservewatch_nbd_request_duration_seconds_count"))
        #expect(open.contains("{device=\"nbd0\",le=\"+Inf\"} 7\n"))
    }

    @Test func openMetricsNamesFamiliesAndEnds() {
        let open = page(MetricsRegistry.reserveMetrics, known(), as: .openmetrics)
        #expect(open.contains("# TYPE reservewatch_reserve_taken_bytes counter\n"))
        #expect(open.contains("# UNIT reservewatch_reserve_taken_bytes bytes\n"))
        #expect(open.contains("\nreservewatch_reserve_taken_bytes_total 0\n"))
        #expect(open.hasSuffix("\n# EOF\n"))
        let text = page(MetricsRegistry.reserveMetrics, known())
        #expect(text.contains("# TYPE reservewatch_reserve_taken_bytes_total counter\n"))
        #expect(!text.contains("# UNIT"))
        #expect(!text.contains("# EOF"))
    }
}

@Suite struct MetricsRegistryTests {
    /// What may tell series apart: few values each, none of them a process.
    private static let labels: Set<String> = [
        "node", "zone", "device", "swap", "sink", "stem", "program", "reason", "state", "level",
        "track", "context", "entitlement", "allowance", "confidence", "signal", "version",
        "kernel", "format", "table", "action", "role", "resource", "rule", "mode", "result",
        "accounting", "destination", "endpoint", "cause",
    ]

    @Test func namesFollowPrometheus() {
        var seen: Set<String> = []
        for metric in MetricsRegistry.documented {
            let name = "\(metric.name)"
            #expect(seen.insert(name).inserted, "\(name) is there twice")
            #expect(name.wholeMatch(of: /reservewatch(_[a-z0-9]+)+/) != nil, "\(name)")
            #expect(name.hasSuffix("_total") == (metric.kind == .counter), "\(name)")
            #expect(name.hasSuffix("_info") == (metric.kind == .info), "\(name)")
            let family = name.replacing(/_(total|info)$/, with: "")
            for unit in ["bytes", "seconds", "ratio"] {
                #expect(family.hasSuffix("_\(unit)") == (metric.unit.rawValue == unit), "\(name)")
            }
            #expect(!"\(metric.help)".isEmpty && "\(metric.help)".hasSuffix("."), "\(name)")
            #expect(!"\(metric.help)".contains("|") && !"\(metric.help)".contains("\n"))
            for label in metric.labels { #expect(Self.labels.contains("\(label)"), "\(label)") }
        }
    }

    @Test func theDocumentIsMadeFromTheRegistry() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().path
        let document = try String(contentsOfFile: "\(root)/docs/metrics.md", encoding: .utf8)
        #expect(
            document == MetricsDocument.markdown,
            "run: reservewatch metrics --describe markdown > docs/metrics.md")
        for metric in MetricsRegistry.documented {
            #expect(document.contains("| `\(metric.name)` |"), "\(metric.name)")
        }
    }

    @Test func theWorstIsKeptOverManyPictures() {
        var marks = HighMarks()
        var picture = known()
        var device = Picture.NBDState(sample: NBDSample())
        device.sample.disk = name("nbd0")
        device.worstOldestNanoseconds = 9
        picture.devices.append(device)
        picture.mostReclaimers = 4
        marks.take(picture)
        picture.devices[0].worstOldestNanoseconds = 2
        picture.mostReclaimers = 1
        marks.take(picture)
        #expect(marks.devices.count == 1)
        #expect(marks.devices.first?.oldestNanoseconds == 9)
        #expect(marks.reclaimers == 4)
    }

    @Test func theWorstOfWhatNobodySawIsAbsent() {
        var marks = HighMarks()
        var picture = Picture()
        picture.counters = CounterTotals()
        marks.take(picture)
        #expect(marks.reclaimers == nil)
        #expect(marks.throttled == nil)
        var node = NodeSample()
        picture.nodes.append(node)
        marks.take(picture)
        #expect(marks.throttled == nil, "the list was longer than the walk")
        node.waitersKnown = true
        picture.nodes[0] = node
        marks.take(picture)
        #expect(marks.throttled == 0)
    }

    /// docs/prometheus.md names the figure: what one host can be at most.
    @Test func seriesAreBounded() {
        var picture = known()
        picture.counters?.kswapd = CounterTotals.Kswapd()
        picture.counters?.swapDevicesKnown = true
        picture.counters?.belowMin = CounterTotals.BelowMin()
        picture.counters?.reclaimWaits = CounterTotals.ReclaimWaits()
        picture.counters?.loss.missed = InlineArray(repeating: 0)
        picture.pressure = PressureSample()
        picture.selfAccount = SelfAccount()
        for index in 0..<picture.hooks.capacity {
            var hook = HookFact()
            hook.signal = text(Array("signal.\(index)".utf8))
            picture.hooks.append(hook)
        }
        for index in 0..<picture.nodes.capacity {
            var node = NodeSample()
            node.node = UInt32(index)
            node.kswapdTID = 1
            node.waitersKnown = true
            picture.nodes.append(node)
        }
        for index in 0..<picture.zones.capacity {
            var zone = ZoneSample()
            zone.node = UInt32(index)
            zone.managedPages = 1
            picture.zones.append(zone)
        }
        for index in 0..<picture.devices.capacity {
            var device = Picture.NBDState(sample: NBDSample())
            device.sample.disk = name("nbd\(index)")
            device.sample.phases = NBDSample.Phases()
            device.sample.config = NBDSample.Config()
            device.sample.path = NBDSample.Path()
            device.sample.lastCompletionBootNanoseconds = 1
            picture.devices.append(device)
        }
        for index in 0..<picture.swaps.capacity {
            var swap = SwapDevice()
            swap.path = text(Array("/swap\(index)".utf8))
            picture.swaps.append(swap)
        }
        for index in 0..<picture.swapUsages.capacity {
            var usage = SwapUsage()
            usage.minor = UInt32(index)
            picture.swapUsages.append(usage)
        }
        for index in 0..<picture.programs.capacity {
            var program = ProgramFigures()
            program.name = text(Array("program\(index)".utf8))
            program.missed = 1
            program.runs = ProgramFigures.Runs()
            picture.programs.append(program)
        }
        for index in 0..<picture.tables.capacity {
            var table = TableUse()
            table.name = text(Array("table\(index)".utf8))
            table.entries = TableUse.Entries()
            picture.tables.append(table)
        }
        picture.selfAccount?.maps = SelfAccount.Maps()
        picture.selfAccount?.programBytes = 1
        picture.selfAccount?.kernelSide = SelfAccount.KernelSide()
        for index in 0..<picture.sinks.capacity {
            var sink = SinkState()
            sink.name = text(Array("/sink\(index)".utf8))
            picture.sinks.append(sink)
        }
        for context in [AllocationContext.process, .softirq, .hardirq, .nmi, .kswapd] {
            for reason in [UInt8(0), 1, 2, 4, 7] {
                picture.takers.append(
                    Taker(
                        ReserveAllocation(
                            task: TaskIdentity(tid: 1, tgid: 1, cgroupID: 1, comm: name("a")),
                            serial: 1, gfpFlags: 0, order: 0, context: context,
                            entitlement: Entitlement(rawValue: reason))))
            }
        }
        let page = MetricsPage(.text, picture: picture, reader: ReaderFacts())
        #expect(page.leftOut == 0)
        #expect(page.series > 2000 && page.series < 3000, "\(page.series)")
        #expect(page.bytes.count < 300_000, "\(page.bytes.count)")
    }
}
