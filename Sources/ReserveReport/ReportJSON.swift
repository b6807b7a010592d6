// SPDX-License-Identifier: Apache-2.0

import ReserveModel
import ReserveSinks

// The figures that the page's script draws. JSON inside of a script element: nothing in it
// may end that element, so "<", ">" and "&" are escaped wherever they stand.

extension Report {
    /// Rows of the swim lanes; the tables have the others.
    private static let mostLanes = 60

    func json(_ body: (String) -> Void) {
        let realtime = collected.picture.host?.realtimeOffsetNanoseconds ?? 0
        let start = (Int64(clamping: collected.origin) &+ realtime) / 1_000_000
        body("{\"start_ms\":\(start),\"duration_ms\":\(milliseconds(collected.end))")
        body(",\"clock_known\":\(collected.picture.host != nil)")
        body(",\"gaps\":[")
        body(
            collected.gaps.map { "[\(milliseconds($0.from)),\(milliseconds($0.to))]" }
                .joined(separator: ","))
        body("],\"periods\":[" + periods.joined(separator: ",") + "]")
        body(",\"marks\":[" + marks.joined(separator: ",") + "]")
        body(",\"takers\":[" + takers.joined(separator: ",") + "]")
        body(",\"lanes\":[" + lanes.joined(separator: ",") + "]")
        body(",\"lanes_left_out\":\(max(0, laneKeys.count - Self.mostLanes))")
        body(",\"charts\":[")
        for (index, chart) in ordered.enumerated() {
            body((index > 0 ? "," : "") + Self.json(chart))
        }
        body("]}")
    }

    /// Milliseconds since the begin.
    private func milliseconds(_ bootNanoseconds: UInt64) -> UInt64 {
        bootNanoseconds > collected.origin
            ? (bootNanoseconds - collected.origin) / 1_000_000 : 0
    }

    /// As a reader looks: memory, who waits, the device, the rest; single zones last.
    private var ordered: [ReportChart] {
        let order = [
            "node-", "waiting", "nbd-flight", "nbd-age", "nbd-latency", "nbd-rate", "reserve",
            "swap", "socket", "packets", "zone-",
        ]
        return collected.charts.enumerated().sorted { one, other in
            func rank(_ chart: ReportChart) -> Int {
                order.firstIndex { chart.id.hasPrefix($0) } ?? order.count
            }
            let (first, second) = (rank(one.element), rank(other.element))
            return first != second ? first < second : one.offset < other.offset
        }.map(\.element)
    }

    private static func json(_ chart: ReportChart) -> String {
        var json = "{\"id\":\(string(chart.id)),\"title\":\(string(chart.title))"
        json += ",\"unit\":\(string(chart.unit)),\"source\":\(string(chart.source))"
        json += ",\"multiply\":\(chart.numerator),\"divide\":\(chart.denominator),\"lines\":["
        json += chart.lines.map { line in
            let kept = line.series.kept
            let points = line.style == .point ? line.series.all : kept.map(\.bucket)
            var part = "{\"name\":\(string(line.name)),\"style\":\(string(line.style.rawValue))"
            part += ",\"total\":\(line.isTotal)"
            part += ",\"t\":[\(numbers(points.map { $0.at / 1_000_000 }))]"
            part += ",\"v\":[\(numbers(points.map(\.last)))]"
            let holes = kept.indices.filter { kept[$0].isAfterHole }
            // Totals tell what happened in a hole, and a point stands for itself.
            if !holes.isEmpty, !line.isTotal, line.style != .point {
                part += ",\"holes\":[\(numbers(holes.map { UInt64($0) }))]"
            }
            if points.contains(where: { $0.lowest != $0.last || $0.highest != $0.last }),
                !line.isTotal
            {
                part += ",\"lo\":[\(numbers(points.map(\.lowest)))]"
                part += ",\"hi\":[\(numbers(points.map(\.highest)))]"
            }
            return part + "}"
        }.joined(separator: ",")
        return json + "]}"
    }

    private static func numbers(_ values: [UInt64]) -> String {
        values.map { "\($0)" }.joined(separator: ",")
    }

    private var periods: [String] {
        collected.periods.map { period in
            let to = period.to ?? collected.end
            return "{\"kind\":\(Self.string(period.kind.rawValue)),"
                + "\"subject\":\(Self.string(period.subject)),\"from\":\(milliseconds(period.from)),"
                + "\"to\":\(milliseconds(to)),\"open\":\(period.to == nil),\"charts\":["
                + period.charts.map(Self.string).joined(separator: ",") + "]}"
        }
    }

    /// What no lane and no line shows.
    private var marks: [String] {
        collected.marks.filter { mark in
            switch mark.kind {
            case .directReclaim, .throttle, .reserve, .kswapd, .reclaimWait, .watermark:
                return false
            default: return true
            }
        }.map { mark in
            "{\"t\":\(milliseconds(mark.at)),\"kind\":\(Self.string("\(mark.kind.word)")),"
                + "\"warning\":\(mark.severity.rank >= 2),\"text\":\(Self.string(mark.sentence))}"
        }
    }

    private var takers: [String] {
        collected.takers.filter { $0.value.pages > 0 }.sorted { one, other in
            one.value.pages != other.value.pages
                ? one.value.pages > other.value.pages
                : (one.value.first, one.key.comm.sortKey)
                    < (other.value.first, other.key.comm.sortKey)
        }.prefix(10).map { key, taker in
            let points = taker.series.points
            let name = "\(plain(key.comm)) \(key.context.word) \(Self.short(key.entitlement))"
            return "{\"name\":\(Self.string(name)),"
                + "\"t\":[\(Self.numbers(points.map { $0.at / 1_000_000 }))],"
                + "\"total\":[\(Self.numbers(points.map(\.last)))]}"
        }
    }

    private static func short(_ entitlement: Entitlement) -> String {
        if entitlement.gfpMemalloc { return "gfp" }
        return entitlement.taskMemalloc ? "pf" : entitlement.oomVictim ? "oom" : "none"
    }

    private var laneKeys: [(key: ReportTask.Key, total: UInt64)] {
        var totals: [ReportTask.Key: UInt64] = [:]
        for span in collected.spans.spans {
            let key = ReportTask.Key(comm: span.comm, tid: span.tid)
            // kswapd first: what it does is the ground of all that follows.
            let weight = span.kind == .kswapd ? UInt64.max / 4 : 0
            totals[key] = max(totals[key] ?? 0, weight) &+ span.durationNanoseconds
        }
        return totals.map { (key: $0.key, total: $0.value) }.sorted {
            $0.total != $1.total
                ? $0.total > $1.total
                : ($0.key.tid, $0.key.comm.sortKey) < ($1.key.tid, $1.key.comm.sortKey)
        }
    }

    private var lanes: [String] {
        var spans: [ReportTask.Key: [ReportSpan]] = [:]
        for span in collected.spans.spans {
            spans[ReportTask.Key(comm: span.comm, tid: span.tid), default: []].append(span)
        }
        return laneKeys.prefix(Self.mostLanes).map { key, _ in
            let name = "\(plain(key.comm))[\(key.tid)]"
            let bars = (spans[key] ?? []).sorted { $0.began < $1.began }.map { span in
                "[\(span.kind.rawValue),\(milliseconds(span.began)),"
                    + "\(span.durationNanoseconds / 1_000_000),\(span.isOpen ? 1 : 0)]"
            }
            return "{\"name\":\(Self.string(name)),\"spans\":[" + bars.joined(separator: ",") + "]}"
        }
    }

    /// A JSON string that may stand in a script element.
    static func string(_ text: String) -> String {
        var json = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": json += "\\\""
            case "\\": json += "\\\\"
            case "<", ">", "&", "'", "\u{2028}", "\u{2029}":
                json += escape(scalar.value)
            default:
                if scalar.value < 0x20 || scalar.value == 0x7f {
                    json += escape(scalar.value)
                } else {
                    json.unicodeScalars.append(scalar)
                }
            }
        }
        return json + "\""
    }

    private static func escape(_ value: UInt32) -> String {
        let digits = String(value, radix: 16)
        return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }
}
