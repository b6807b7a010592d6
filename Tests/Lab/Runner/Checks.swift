// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// Holds what the agent said against what the kernel said.
struct Checks {
    let run: LabRun
    let readings: Readings
    var rows: [Row] = []

    init(run: LabRun, readings: Readings) {
        self.run = run
        self.readings = readings
    }

    var lines: [[String: Any]] { readings.lines }
    var snapshots: [String: Snapshot] { readings.snapshots }
    var samples: [ProbeSample] { readings.samples }

    mutating func all() {
        rows = []
        guard let final = readings.final else {
            rows.append(
                .check("final summary", false, "absent", note: "the stream has no final summary"))
            return
        }
        counters(final)
        for swap in run.scenario.swaps where swap.isNBD {
            requests(final, swap.device)
            if !run.scenario.serverIsLocal, run.scenario.faults.serverKillAfter == nil {
                server(final, swap.device)
            }
        }
        zones(final)
        predicate(final)
        loss(final)
        if run.scenario.wireOffAfter != nil { outage() }
        if run.scenario.scrapeSeconds != nil { scraped() }
        wide(final)
        expected()
        if let words = run.guest.mark("UNQUIET") {
            rows.append(
                // Of a swap that is lost, requests may stay in flight for good.
                .check(
                    "the guest came to rest", run.scenario.faults.losesSwap, words,
                    note: "the brackets are wide"))
        }
        if run.scenario.mustComplete, run.scenario.expectation != .oom {
            rows.append(loadCompleted())
        }
        let exit = run.guest.mark("AGENT-EXIT") ?? "absent"
        rows.append(.check("agent's exit", exit.hasPrefix("status=0"), exit))
    }

    /// Reclaimers that free nothing for some time have the kernel send its OOM killer, though swap
    /// is free (docs/lab-runs.md): its doing, and exactly its kills. A host made ready must come
    /// through without one.
    private func loadCompleted() -> Row {
        let mark = run.guest.mark("LOADED") ?? "absent"
        let says = run.guest.mark("LOAD-SAYS") ?? ""
        let kills = readings.witnesses.oomKills
        let isWell =
            LoadEnd(mark: mark, says: says)?.isWell(
                butFor: run.scenario.preparesByCommand ? [] : kills)
            ?? mark.hasPrefix("status=0")
        var notes = kills.isEmpty ? [] : ["the kernel's OOM killer took \(kills.count)"]
        if !says.isEmpty { notes.append(says) }
        return .check("load completed", isWell, mark, note: notes.joined(separator: "; "))
    }

    private mutating func counters(_ final: [String: Any]) {
        let kernel = final["kernel_counters"] as? [String: Any] ?? [:]
        for name in ["allocstall", "pgscan_direct_throttle", "pswpin", "pswpout", "oom_kill"] {
            rows.append(
                .counter(
                    name, agent: kernel[name] as? Int, s0: snapshots["S0"]?.vmstat(name),
                    s0p: snapshots["S0p"]?.vmstat(name), s1: snapshots["S1"]?.vmstat(name),
                    s1p: snapshots["S1p"]?.vmstat(name)))
        }
    }

    private mutating func zones(_ final: [String: Any]) {
        let agent = final["zones"] as? [[String: Any]] ?? []
        let known = snapshots["S1"]?.zones() ?? []
        if known.isEmpty { rows.append(.check("zones", false, "-", note: "no snapshot S1")) }
        for zone in known {
            let name = "zone \(zone.zone) of node \(zone.node)"
            guard
                let told = agent.first(where: {
                    $0["zone"] as? String == zone.zone && $0["node"] as? Int == zone.node
                })
            else {
                rows.append(.check(name, false, "absent"))
                continue
            }
            // The boost is part of the marks, and may come between the two readings.
            let later = snapshots["S1p"]?.zones().first {
                $0.zone == zone.zone && $0.node == zone.node
            }
            for field in ["min", "low", "high", "managed", "present", "spanned"] {
                let figures = [zone.values[field], later?.values[field]].compactMap { $0 }
                rows.append(
                    .within(
                        "\(name): \(field)", agent: told["\(field)_pages"] as? Int,
                        low: figures.min() ?? 0, high: figures.max() ?? -1))
            }
            rows.append(
                .check(
                    "\(name): protection",
                    told["protection_pages"] as? [Int] == zone.protection,
                    "\(told["protection_pages"] ?? "-")", note: "kernel \(zone.protection)"))
            rows.append(freePages(name, zone, told))
        }
    }

    /// The agent's last reading against S1 and the probe's readings within a second of it. Pages that lie on a CPU's counter (zone_stat's
    /// stat_threshold, up to 125 a CPU) are in neither; as many may move between two readings.
    private func freePages(_ name: String, _ zone: ZoneInfo, _ told: [String: Any]) -> Row {
        let end = lines.last?["boot_ns"] as? Int ?? 0
        let around = samples.filter { abs($0.bootNanoseconds - end) < 1_000_000_000 }
            .compactMap { $0.zoneFreePages["\(zone.node)/\(zone.zone)"] }
        let known = around + [zone.free]
        let slack = 125 * run.scenario.cpus
        let lowest = told["lowest_free_pages"] as? Int
        let probed = samples.compactMap { $0.zoneFreePages["\(zone.node)/\(zone.zone)"] }.min()
        return .within(
            "\(name): free", agent: told["free_pages"] as? Int,
            low: (known.min() ?? 0) - slack, high: (known.max() ?? 0) + slack,
            note: "lowest seen: agent \(lowest ?? -1), probe \(probed ?? -1)")
    }

    private mutating func predicate(_ final: [String: Any]) {
        let throttle = final["throttle"] as? [String: Any] ?? [:]
        let asked = throttle["evaluations"] as? Int ?? -1
        let wrong = throttle["predicate_mismatches"] as? Int ?? -1
        // Free pages can move between the kernel's reading and ours: seen once in 1549.
        rows.append(
            .check(
                "throttle predicate", asked >= 0 && wrong >= 0 && wrong * 500 <= asked,
                "\(wrong) of \(asked)",
                note: "disagreements with allow_direct_reclaim(), "
                    + "\(throttle["predicate_rule"] ?? "-"); up to 1 in 500 is a race"))
    }

    private mutating func loss(_ final: [String: Any]) {
        let loss = final["loss"] as? [String: Any] ?? [:]
        let ring = (loss["ring"] as? [String: Int] ?? [:]).values.reduce(0, +)
        let output = loss["output"] as? Int ?? -1
        rows.append(
            .check(
                "loss is told", output >= 0, "ring \(ring), output \(output)",
                note: "totals are counted in the kernel and do not depend on it"))
        rows.append(
            .check(
                "damaged records",
                loss["malformed_records"] as? Int == 0
                    && loss["unknown_records"] as? Int == 0,
                "\(loss["malformed_records"] ?? "-"), \(loss["unknown_records"] ?? "-")"))
    }

    /// Reads from swap in the midst of a stop, where nothing moves: the kernel counts the requests
    /// that are issued, the agent all bios; and none is left when the disk is at rest.
    private func reads(in stall: ProbeSample.Stall) -> Row {
        let span = stall.untilBootNanoseconds - stall.sinceBootNanoseconds
        let midst =
            (stall.sinceBootNanoseconds + span / 3)...(stall.untilBootNanoseconds - span / 3)
        let requests = samples.filter { midst.contains($0.bootNanoseconds) }
            .compactMap(\.readsInFlight)
        let told = lines.filter { midst.contains($0["boot_ns"] as? Int ?? 0) }
            .compactMap(Readings.swapReads)
        let missed = readings.witnesses.agentLoss["missed.swap"] ?? 0
        let left = lines.compactMap(Readings.swapReads).last
        let agrees =
            (told.min() ?? -1) >= (requests.max() ?? .max) && (left ?? .max) <= missed
        func words(_ figures: [Int]) -> String {
            Set(figures).sorted().map(String.init).joined(separator: ", ")
        }
        return .check(
            "reads from swap in the midst of the stop", agrees, "\(words(told)) bios",
            note: "kernel: \(words(requests)) requests, of one bio or more; at the end "
                + "\(left.map(String.init) ?? "-") bios, \(missed) missed")
    }

    private mutating func outage() {
        let off = Double(run.scenario.wireOffFor)
        rows.append(
            .check(
                "wire was pulled and put back", run.wireOff != nil && run.wireOn != nil,
                run.wireOn == nil ? "no" : "\(run.scenario.wireOffFor) s"))
        let late = samples.last?.worstGapMilliseconds
        let standstill = run.standstillSeconds(samples)
        rows.append(
            .check(
                "largest gap between events", run.worstEventGapSeconds < 3 + standstill,
                String(format: "%.2f s", run.worstEventGapSeconds),
                note: "on the serial line, by the host's clock; a summary is due each second"
                    + (standstill > 0 ? "; the emulator stood still for \(standstill) s" : "")))
        let oldest = lines.compactMap { line in
            ((line["summary"] as? [String: Any])?["nbd"] as? [[String: Any]])?
                .first?["oldest_us"] as? Int
        }
        let worst = Double(oldest.max() ?? 0) / 1e6
        rows.append(
            .check(
                "oldest request grew with the outage", worst > off - 10,
                String(format: "%.1f s", worst), note: "wire gone for \(run.scenario.wireOffFor) s")
        )
        let stall = ProbeSample.longestStall(samples)
        rows.append(
            .check(
                "the kernel's own counters stood still as long",
                stall.seconds > off - 10 && abs(stall.seconds - worst) < 15,
                String(format: "%.1f s", stall.seconds),
                note: "in flight, none completed; the probe's"))
        rows.append(reads(in: stall))
        let after = (samples.last?.completed ?? stall.completed) - stall.completed
        rows.append(
            .check(
                "requests completed again", after > 0 && oldest.last == 0, "\(after)",
                note: "after the outage, by the kernel's count; oldest at the end "
                    + "\(oldest.last ?? -1) us"))
        rows.append(
            .check(
                "the locked probe kept its beat",
                run.scenario.usesSystemd ? late != nil : (late ?? .max) < 3000,
                "\(late ?? -1) ms",
                note: "worst lateness of 50 ms"
                    + (run.scenario.usesSystemd ? ", told and not judged here" : "")))
    }
}
