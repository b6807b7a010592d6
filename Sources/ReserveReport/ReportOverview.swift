// SPDX-License-Identifier: Apache-2.0

import ReserveModel
import ReserveSinks

// The parts that open a report: which host, what is missing, what happened.

extension ReportCollector {
    /// Seconds since the begin of the recording.
    func since(_ bootNanoseconds: UInt64) -> String {
        let nanoseconds = bootNanoseconds > origin ? bootNanoseconds - origin : 0
        return secondsText(nanoseconds)
    }

    func clock(_ bootNanoseconds: UInt64, dateToo: Bool = false) -> String {
        guard let host = picture.host else { return since(bootNanoseconds) }
        return written {
            $0.time(
                realNanoseconds: Int64(clamping: bootNanoseconds)
                    &+ host.realtimeOffsetNanoseconds, dateToo: dateToo)
        }
    }

    var subtitle: [String] {
        var lines: [String] = []
        if let host = picture.host {
            lines.append(
                "\(plain(host.host)), Linux \(plain(host.kernelRelease)), \(plain(host.machine)),"
                    + " \(host.cpus) CPUs, boot \(plain(host.bootID))")
        } else {
            lines.append("The recording does not say of which host it is.")
        }
        lines.append(
            "\(clock(origin, dateToo: true).prefix(19)) to \(clock(end, dateToo: true).prefix(19))"
                + " UTC, \(durationText(end - origin)); times below are UTC, and seconds since the"
                + " first record")
        return lines
    }

    func sections(damage: [String]) -> [ReportSection] {
        [
            lossSection(damage), wordsSection, alertSection, periodSection, zoneSection,
            reserveSection,
            waitSection, reclaimSection, pageSection, deviceSection, socketSection, swapSection,
            figureSection,
            eventSection, unknownSection,
        ]
    }

    // MARK: losses

    private func lossSection(_ damage: [String]) -> ReportSection {
        var section = ReportSection(id: "losses", title: "What this report lacks")
        section.paragraphs = damage
        if formerBoots > 0 {
            section.paragraphs.append(
                "The recording also holds "
                    + (formerBoots == 1 ? "a boot" : "\(formerBoots) boots")
                    + " of the host before this one, until \(formerEnd.prefix(19)) UTC. Nothing of"
                    + " that is in this report: copy the segments of a boot into a directory of"
                    + " their own, and report that.")
        }
        if starts > 1 {
            section.paragraphs.append(
                "The recording holds \(starts) starts of the watch; totals are those of the last.")
        }
        if !endedByItself {
            section.paragraphs.append(
                "The recording ends without the watch's last word: it was killed, still runs, or"
                    + " the recording was cut. Totals are those of the last beat.")
        }
        let picture = picture
        section.paragraphs.append(
            picture.counters == nil
                ? "The recording holds no totals: what was lost on the way is not known."
                : "\(picture.lostRecords) records were lost, \(picture.untracked) entries found no"
                    + " room in a table; totals count them all the same."
                    + (picture.missedEvents.map {
                        " \($0) events were missed in nested interrupts; they are in no total."
                    }
                        ?? " Whether events were missed in nested interrupts, this kernel does not"
                        + " tell."))
        if let loss = picture.counters?.loss {
            var parts: [String] = []
            for stem in 0..<16 where loss.ring[stem] > 0 || loss.suppressed[stem] > 0 {
                let name = Stem.name(stem).map { "\($0)" } ?? "stem \(stem)"
                parts.append(
                    "\(name) \(loss.ring[stem]) lost, \(loss.suppressed[stem]) held back")
            }
            if !parts.isEmpty {
                section.paragraphs.append(
                    "Of single records (totals are exact): " + parts.joined(separator: "; ")
                        + ". Tables of who did what are made of records, and lack these.")
            }
        }
        lossOfTime(&section)
        lossOfRoom(&section)
        return section
    }

    private func lossOfTime(_ section: inout ReportSection) {
        guard !gaps.isEmpty else { return }
        let longest = gaps.map { $0.to - $0.from }.max() ?? 0
        section.paragraphs.append(
            "For two seconds or more there was no beat of the watch: \(gaps.count) times, the"
                + " longest \(durationText(longest)). It stood still, its records were lost, or the recording was cut"
                + " there. The time lines show these stretches hatched.")
    }

    private func lossOfRoom(_ section: inout ReportSection) {
        let widest = charts.flatMap(\.lines).map(\.series.widthNanoseconds).max()
        if let widest {
            section.paragraphs.append(
                "Time lines keep the lowest and the highest value of each"
                    + " \(durationText(widest)) or less: no dip that was recorded is averaged away."
            )
        }
        if spans.leftOut > 0 {
            section.paragraphs.append(
                "\(spans.leftOut) stays of at most \(durationText(spans.longestLeftOut)) are not"
                    + " drawn; the tables count them.")
        }
        let parts = [
            (UInt64(marksLeftOut), "lines of events"), (UInt64(alertsLeftOut), "alerts"),
            (UInt64(periodsLeftOut), "periods"),
            (
                tasksLeftOut + reclaimTasks.leftOut + pageTasks.leftOut,
                "figures of tasks beyond the first thousands"
            ),
            (takersLeftOut, "pages of takers beyond the \(Self.mostTakers)th"),
        ].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        if !parts.isEmpty {
            section.paragraphs.append(
                "Left out for want of room: " + parts.joined(separator: ", ") + ".")
        }
    }

    // MARK: what happened

    private var wordsSection: ReportSection {
        var section = ReportSection(id: "words", title: "What happened")
        var text = ""
        var words = WordsSummary()
        words.write(picture: picture) { text = String(decoding: $0, as: UTF8.self) }
        section.paragraphs =
            text.split(separator: "\n").map(String.init)
        return section
    }

    private var alertSection: ReportSection {
        var section = ReportSection(id: "verdicts", title: "Verdicts and alerts")
        section.paragraphs.append(
            "Drawn anew from the recording by this build's rules (docs/verdict.md); the last"
                + " verdict is \(picture.verdict.state.word): \(picture.verdict.state.meaning).")
        var verdicts = ReportTable("Verdicts", "host", "from", "#at s", "lasted")
        for period in periods where period.kind == .verdict {
            verdicts.rows.append([
                period.subject, clock(period.from), since(period.from), lasted(period),
            ])
        }
        verdicts.limit(to: 200, "verdicts")
        var table = ReportTable("Alerts", "time", "#at s", "level", "@what")
        for alert in alerts {
            table.rows.append([
                clock(alert.at), since(alert.at), "\(alert.alert.level.word)", alert.text,
            ])
        }
        table.limit(to: 100, "alerts")
        section.tables = [verdicts, table].filter { !$0.rows.isEmpty }
        if alerts.isEmpty { section.paragraphs.append("No alert was due.") }
        // What enforcement did (actions and their undoing) belongs here, once it is recorded.
        return section
    }

    private func lasted(_ period: ReportPeriod) -> String {
        let last = period.to ?? end
        return durationText(last - min(period.from, last))
            + (period.to == nil ? ", not over" : "") + unseen(from: period.from, to: last)
    }

    private var periodSection: ReportSection {
        var section = ReportSection(id: "periods", title: "When")
        var table = ReportTable("Periods", "state", "where", "from", "#at s", "lasted")
        let picture = picture
        for period in periods.sorted(by: { $0.from < $1.from }) where period.kind != .verdict {
            table.rows.append([
                period.kind.rawValue, period.subject, clock(period.from), since(period.from),
                lasted(period),
            ])
        }
        table.limit(to: 200, "periods")
        if table.rows.isEmpty {
            section.paragraphs.append(
                picture.zones.isEmpty
                    ? "Zones were not observed: whether free fell below a mark is unknown."
                    : "No zone fell below low.")
            section.paragraphs.append(
                picture.counters?.nbdKnown == true
                    ? "No request was stuck for a second."
                    : "NBD requests were not observed: whether one was stuck is unknown.")
        } else {
            section.tables.append(table)
        }
        return section
    }

    /// What of a period nobody saw.
    private func unseen(from: UInt64, to: UInt64) -> String {
        let unseen = gaps.reduce(UInt64(0)) { sum, gap in
            let (begin, end) = (max(gap.from, from), min(gap.to, to))
            return end > begin ? sum + (end - begin) : sum
        }
        return unseen > 0 ? ", not seen for \(durationText(unseen))" : ""
    }

    private var zoneSection: ReportSection {
        var section = ReportSection(id: "memory", title: "Free memory against the marks")
        let picture = picture
        guard !picture.zones.isEmpty else {
            section.paragraphs.append("Zones were not observed on this host: unknown.")
            return section
        }
        var zones = ReportTable(
            "Zones, in kB; marks as they were last, with the boost", "@zone", "#managed", "#min",
            "#low", "#high", "#boost", "#lowest free", "at")
        for index in picture.zones.indices {
            let zone = picture.zones[index]
            guard zone.managedPages > 0 else { continue }
            zones.rows.append([
                "\(zone.node) \(plain(zone.name))",
                "\(zone.managedPages.multipliedSaturating(by: pageKB))",
                "\(zone.minPages.multipliedSaturating(by: pageKB))",
                "\(zone.lowPages.multipliedSaturating(by: pageKB))",
                "\(zone.highPages.multipliedSaturating(by: pageKB))",
                "\(zone.boostPages.multipliedSaturating(by: pageKB))",
                "\(zone.lowestFreePages.multipliedSaturating(by: pageKB))",
                clock(zone.lowestBootNanoseconds),
            ])
        }
        var nodes = ReportTable(
            "Nodes, in kB: the PFMEMALLOC reserve as allow_direct_reclaim() has it", "node",
            "#reserve", "#throttle line", "#free", "#lowest free", "at", "#kswapd failed")
        for index in picture.nodes.indices {
            let node = picture.nodes[index]
            nodes.rows.append([
                "\(node.node)", "\(node.pfmemallocReservePages.multipliedSaturating(by: pageKB))",
                "\(node.throttleLinePages.multipliedSaturating(by: pageKB))",
                "\(node.freePages.multipliedSaturating(by: pageKB))",
                "\(node.lowestFreePages.multipliedSaturating(by: pageKB))",
                clock(node.lowestBootNanoseconds),
                "\(node.kswapdFailures)",
            ])
        }
        section.tables = picture.nodes.isEmpty ? [zones] : [nodes, zones]
        return section
    }

    // MARK: the end

    private var figureSection: ReportSection {
        var section = ReportSection(id: "figures", title: "The time lines in figures")
        var table = ReportTable(
            "Lowest, highest and last value of each line; rates are the mean of a stretch",
            "#lowest", "#highest", "#last", "unit", "@what")
        for chart in charts {
            for line in chart.lines {
                guard let range = line.range(of: chart) else { continue }
                table.rows.append([
                    range.lowest, range.highest, range.last, chart.unit,
                    "\(chart.title): \(line.name)",
                ])
            }
        }
        if table.rows.isEmpty {
            section.paragraphs.append("There are none: no figure was recorded.")
        } else {
            section.tables.append(table)
        }
        return section
    }

    private var eventSection: ReportSection {
        var section = ReportSection(id: "events", title: "Events")
        var table = ReportTable("Events in order; ! marks a warning", "time", "#at s", "", "@what")
        for mark in marks {
            table.rows.append([
                clock(mark.at), since(mark.at), mark.severity.rank >= 2 ? "!" : "", mark.sentence,
            ])
        }
        if table.rows.isEmpty {
            section.paragraphs.append("None.")
        } else {
            section.tables.append(table)
        }
        return section
    }

    private var unknownSection: ReportSection {
        var section = ReportSection(id: "unknown", title: "Not observed on this host")
        var table = ReportTable(
            "Signals without their best hook", "@signal", "state", "hook", "why")
        let picture = picture
        for index in picture.hooks.indices {
            let hook = picture.hooks[index]
            guard hook.state != .primary else { continue }
            table.rows.append([
                plain(hook.signal), "\(hook.state.word)", plain(hook.path), plain(hook.reason),
            ])
        }
        if picture.hooks.isEmpty {
            section.paragraphs.append("The recording does not say which signals were observed.")
        } else if table.rows.isEmpty {
            section.paragraphs.append("Every signal had its best hook.")
        } else {
            section.paragraphs.append(
                "What a missing or unarmed signal would tell is unknown, not zero.")
            section.tables.append(table)
        }
        return section
    }
}
