// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// kswapd, reclaim waits, slabs, sockets, swap devices, and what was lost on the way.
extension Checks {
    mutating func wide(_ final: [String: Any]) {
        kswapd(final)
        reclaimWaits(final)
        slabs(final)
        for swap in run.scenario.swaps { swapDevice(final, swap) }
        failures(final)
        if run.scenario.sockets { socketKinds(final) } else { sockets(final) }
        packets(final)
        highAtomic(final)
        pressure(final)
        sums(final)
        loadCgroup()
    }

    /// Whoever of the load is told, is told with the load's own cgroup, in v1 as in v2.
    private mutating func loadCgroup() {
        let wanted = run.scenario.cgroup == "v1" ? "/lab/load" : "/load"
        var seen: [String: Int] = [:]
        for line in lines {
            for kind in ["direct_reclaim", "reserve", "throttle", "reclaim_wait", "slab", "oom"] {
                guard let body = line[kind] as? [String: Any],
                    ["mapload", "dirtyload"].contains(body["comm"] as? String ?? "")
                else { continue }
                seen[body["cgroup"] as? String ?? "absent", default: 0] += 1
            }
        }
        // A name is a record too: a full ring may lose it, and then the path is absent.
        if run.scenario.expectation == .loss { seen["absent"] = nil }
        if seen.isEmpty { return }
        rows.append(
            .check(
                "the load's cgroup", Array(seen.keys) == [wanted], "\(seen)", note: wanted))
    }

    /// A figure of the agent against one that each snapshot may have, which may also fall.
    /// `missed` events of ours the kernel skipped, and the agent told so: either way. `lost`: what
    /// these can be at most, where one stands for many.
    private mutating func moved(
        _ name: String, agent: Int?, missed: Int = 0, more: Int = 0, lost: Int = 0,
        note: String = "",
        _ kernel: (Snapshot) -> Int?
    ) {
        func at(_ moment: String) -> Int? { snapshots[moment].flatMap(kernel) }
        guard let s0 = at("S0"), let s0p = at("S0p"), let s1 = at("S1"), let s1p = at("S1p") else {
            rows.append(.check(name, false, "-", note: "the kernel's figure is missing"))
            return
        }
        rows.append(
            .within(
                name, agent: agent, low: min(s1, s1p) - max(s0, s0p) - missed,
                high: max(s1, s1p) - min(s0, s0p) + missed + more, lost: lost,
                note: missed > 0 ? "\(missed) missed, as told; \(note)" : note))
    }

    /// As ``moved``, of figures that are not counted from the agent's start on.
    private mutating func standing(_ name: String, agent: Int?, _ kernel: (Snapshot) -> Int?) {
        guard let s1 = snapshots["S1"].flatMap(kernel), let s1p = snapshots["S1p"].flatMap(kernel)
        else {
            rows.append(.check(name, false, "-", note: "the kernel's figure is missing"))
            return
        }
        rows.append(.within(name, agent: agent, low: min(s1, s1p), high: max(s1, s1p)))
    }

    /// What a program was called for while it ran on that CPU already, and is told to have missed.
    private func missed(_ final: [String: Any], by program: String) -> Int {
        let told = (final["loss"] as? [String: Any])?["missed_by_program"] as? [[String: Any]] ?? []
        return told.first { $0["program"] as? String == program }?["missed"] as? Int ?? 0
    }

    private mutating func kswapd(_ final: [String: Any]) {
        let told = final["kswapd"] as? [String: Int] ?? [:]
        moved("kswapd wakes: pageoutrun", agent: told["wakes"]) { $0.vmstat("pageoutrun") }
        for (field, event, program) in [
            ("wakes", "kswapd_wake", "kswapd_woke"), ("sleeps", "kswapd_sleep", "kswapd_slept"),
            ("requests", "wakeup_kswapd", "kswapd_asked"),
        ] {
            // A request may come in an interrupt that hit another event being recorded: ftrace
            // then records none, and the histogram is one short. Ours is not.
            let nested = field == "requests" ? max(1, (told[field] ?? 0) / 100) : 0
            let missed = missed(final, by: program)
            moved("kswapd \(field): histogram", agent: told[field], missed: missed, more: nested) {
                $0.histogram("vmscan/mm_vmscan_\(event)")?.values.reduce(0) { $0 + $1.hits }
            }
        }
        let nodes = final["nodes"] as? [[String: Any]] ?? []
        for node in nodes where nodes.count > 1 {
            let number = node["node"] as? Int ?? -1
            moved("kswapd wakes of node \(number)", agent: node["kswapd_wakes"] as? Int) {
                $0.histogram("vmscan/mm_vmscan_kswapd_wake").map { $0[number]?.hits ?? 0 }
            }
        }
    }

    /// The event has the reason as a bit: include/trace/events/vmscan.h, mm_vmscan_throttled.
    private mutating func reclaimWaits(_ final: [String: Any]) {
        let told = final["reclaim_wait"] as? [String: [String: Any]] ?? [:]
        for (bit, reason) in ["writeback", "isolated", "noprogress", "congested"].enumerated() {
            moved("reclaim waits: \(reason)", agent: told[reason]?["waits"] as? Int) {
                $0.histogram("vmscan/mm_vmscan_throttled").map { $0[1 << bit]?.hits ?? 0 }
            }
            moved(
                "reclaim waits: \(reason), us",
                agent: (told[reason]?["total_us"] as? String).flatMap { Int($0) }
            ) {
                $0.histogram("vmscan/mm_vmscan_throttled").map { $0[1 << bit]?.sum ?? 0 }
            }
        }
    }

    private mutating func slabs(_ final: [String: Any]) {
        // There the agent is restarted between the two readings, and caches shrink and grow: what
        // they were when it attached may lie outside of both.
        guard !run.scenario.usesSystemd else { return }
        let told = final["slab"] as? [String: Any] ?? [:]
        func grown(_ cache: [String: Any]) -> Int? {
            guard let got = cache["slabs_allocated"] as? Int,
                let freed = cache["slabs_freed"] as? Int
            else { return nil }
            return got - freed
        }
        let missed =
            ((final["loss"] as? [String: Any])?["missed"] as? [String: Int])?["slab"] ?? 0
        moved(
            "slabs of all caches", agent: grown(told), missed: missed,
            note: "allocated less freed; the agent's own start lies in the bracket"
        ) {
            $0.slabs()?.values.reduce(0, +)
        }
        for cache in final["slab_caches"] as? [[String: Any]] ?? [] {
            guard let name = cache["cache"] as? String, snapshots["S1"]?.slabs()?[name] != nil
            else { continue }
            let last = grown(cache)
            let then = (snapshots["S1"]?.summariesAround(in: lines) ?? []).compactMap { summary in
                (summary["slab_caches"] as? [[String: Any]])?
                    .first { $0["cache"] as? String == name }.flatMap(grown)
            }
            func at(_ moment: String) -> Int { snapshots[moment]?.slabs()?[name] ?? 0 }
            let reading = MovingFigure(
                starts: [at("S0"), at("S0p")], ends: [at("S1"), at("S1p")])
            let agreeing = reading.agreeing(then, last: last)
            let note =
                agreeing == nil ? "" : ", when that was read; \(last ?? 0) at the agent's end"
            moved("slabs of a cache", agent: agreeing ?? last, missed: missed, note: name + note) {
                $0.slabs()?[name] ?? 0
            }
        }
    }

    /// How many spare connections were made at most: two where there were none, and one for each that
    /// was used.
    private var sparesMade: Int {
        var made = 0
        var wasReady = false
        for line in readings.lines {
            let act = line["enforce"] as? [String: Any]
            if act?["act"] as? String == "reconnect", act?["result"] as? String == "done" {
                made += 1
            }
            guard let summary = line["summary"] as? [String: Any],
                let rules = summary["rules"] as? [[String: Any]]
            else { continue }
            let isReady = rules.contains { $0["spare"] as? String == "ready" }
            if isReady, !wasReady { made += 2 }
            wasReady = isReady
        }
        return made
    }

    /// Every sector of such a device is the swap's: mkswap and swapon came before the agent.
    private mutating func swapDevice(_ final: [String: Any], _ swap: SwapDevice) {
        let devices = final["swap_devices"] as? [[String: Any]] ?? []
        let (path, part): (String, String) =
            switch swap.placement {
            case .disk: ("/dev/\(swap.device)", swap.device)
            case .partition: ("/dev/\(swap.device)p1", "\(swap.device)/\(swap.device)p1")
            case .dm: ("/dev/mapper/lab", "dm-0")
            }
        let told = devices.first {
            $0["path"] as? String == path || $0["path"] as? String == "/dev/\(part)"
        }
        let disk = readings.witnesses.disks[part] ?? [:]
        for (field, sectors) in [
            ("in_pages", { (figures: DiskFigures) in figures.readSectors }),
            ("out_pages", { figures in figures.writtenSectors }),
        ] {
            // What is in flight has no sectors yet.
            let flying = snapshots["S1p"]?.inFlightRequests(of: swap.device) ?? 0
            func kernel(_ moment: String) -> Int? { disk[moment].map { sectors($0) / 8 } }
            // A spare connection is compared with the device by a page of each, which is no swap's.
            let ours = field == "in_pages" ? sparesMade : 0
            rows.append(
                .counter(
                    "swap \(field) of a device", agent: told?[field] as? Int, s0: kernel("S0"),
                    s0p: kernel("S0p"), s1: kernel("S1").map { $0 - ours },
                    s1p: kernel("S1p").map { $0 + flying * Self.largestRequest / 4096 }))
            rows[rows.count - 1].note += rows[rows.count - 1].note.isEmpty ? path : "; \(path)"
        }
        func used(_ moment: String) -> Int? {
            readings.witnesses.swaps[moment]?.first { $0.path == told?["path"] as? String }
                .map { $0.usedKiB / 4 }
        }
        if let s1 = used("S1"), let s1p = used("S1p") {
            rows.append(
                .within(
                    "swap used_pages of a device", agent: told?["used_pages"] as? Int,
                    low: min(s1, s1p), high: max(s1, s1p), note: path))
        } else {
            rows.append(.check("swap used_pages of a device", false, "-", note: path))
        }
        if let priority = readings.witnesses.swaps["S1"]?.first(where: {
            $0.path == told?["path"] as? String
        })?.priority {
            rows.append(
                .equal(
                    "swap priority of a device", agent: told?["priority"] as? Int,
                    kernel: priority, note: path))
        }
    }

    /// A request that failed counts by its sectors: each page of it was a bio of the swap's.
    private mutating func failures(_ final: [String: Any]) {
        func sum(_ list: String, _ fields: [String]) -> Int? {
            (final[list] as? [[String: Any]])?.reduce(0) { sum, device in
                fields.reduce(sum) { $0 + (device[$1] as? Int ?? 0) }
            }
        }
        if run.scenario.swaps.allSatisfy(\.isNBD) {
            moved("nbd requests failed", agent: sum("nbd", ["errors"])) {
                $0.histogram("block/block_rq_error")?.values.reduce(0) { $0 + $1.hits }
            }
        }
        // Of requests that were missed, and told as such, the bios are not known.
        let unseen = missed(final, by: "swap_request_complete")
        moved(
            "swap bios failed", agent: sum("swap_devices", ["read_errors", "write_errors"]),
            lost: unseen * Checks.largestRequest / 4096,
            note: unseen > 0 ? "at most, in \(unseen) requests that were missed, as told" : ""
        ) {
            $0.histogram("block/block_rq_error")?.values.reduce(0) { $0 + ($1.sum ?? 0) / 8 }
        }
        guard run.scenario.failingWrites != nil else { return }
        let told = lines.count { ($0["swap"] as? [String: Any])?["phase"] as? String == "failed" }
        let loss = readings.witnesses.agentLoss
        // A line for each bio but those that a rate limit held back, or the ring had no room for.
        let untold = (loss["suppressed.swap"] ?? 0) + (loss["ring.swap"] ?? 0)
        let failed = sum("swap_devices", ["read_errors", "write_errors"])
        rows.append(.check("the server failed writes", told > 0, "\(told) lines"))
        rows.append(
            .within(
                "failed swap bios were told", agent: told + untold, low: failed ?? 0,
                high: failed ?? -1, lost: loss["output"] ?? 0,
                note: "agent is lines here, and \(untold) held back; kernel is its total"))
    }

    private mutating func sockets(_ final: [String: Any]) {
        let told = final["sockets"] as? [[String: Any]] ?? []
        let nbd = told.filter { $0["owner"] as? String == "nbd" }
        let wanted = run.scenario.swaps.filter(\.isNBD).reduce(0) { $0 + $1.connections }
        rows.append(.equal("sockets of NBD devices", agent: nbd.count, kernel: wanted))
        if run.scenario.swaps.contains(where: { !$0.isNBD }) {
            let others = told.filter { $0["owner"] as? String == "nvme_tcp" }
            // One for the administration, one for each CPU's queue.
            rows.append(
                .equal(
                    "sockets of NVMe/TCP", agent: others.count, kernel: 1 + run.scenario.cpus))
        }
        // A connection that the kernel gave up is closed, and in no list of sockets any more.
        for socket in told
        where socket["family"] as? String == "inet" && socket["state"] as? String != "close" {
            func port(_ field: String) -> Int? {
                (socket[field] as? String)?.split(separator: ":").last.flatMap { Int($0) }
            }
            let local = port("local")
            let peer = port("peer")
            for (field, name) in [
                ("bytes_sent", "sent"), ("bytes_received", "received"), ("segments_sent", "out"),
                ("segments_received", "in"), ("retransmits", "again"),
            ] {
                let figure =
                    socket[field] as? Int ?? (socket[field] as? String).flatMap { Int($0) }
                standing("socket \(field)", agent: figure) { snapshot in
                    snapshot.sockets()?.first {
                        $0.localPort == local && $0.peerPort == peer
                    }?.figures[name]
                }
            }
        }
    }

    private mutating func packets(_ final: [String: Any]) {
        let told = final["pfmemalloc_packets"] as? [String: Int] ?? [:]
        moved("PFMEMALLOC packets dropped: PFMemallocDrop", agent: told["dropped"]) {
            $0.counters()["TcpExt.PFMemallocDrop"]
        }
    }

    /// As show_mem() prints it, which is the field itself. The blocks of /proc/pagetypeinfo are
    /// another thing: on 6.1 the oom guest had 1024 pages reserved and one block of 512.
    private mutating func highAtomic(_ final: [String: Any]) {
        var printed: [String: Int] = [:]
        for entry in (run.guest.mark("ZONES") ?? "").split(separator: ";") {
            let words = entry.split(separator: " ")
            guard words.count == 4, let kib = Int(words[3].dropLast(2)) else { continue }
            printed["\(words[1])/\(words[2])"] = kib / 4
        }
        for zone in final["zones"] as? [[String: Any]] ?? [] {
            let name = "\(zone["node"] ?? "-")/\(zone["zone"] ?? "-")"
            let blocks = snapshots["S1"]?.highAtomicPages()?[name]
            rows.append(
                .equal(
                    "zone's high atomic pages", agent: zone["high_atomic_pages"] as? Int,
                    kernel: printed[name],
                    note: "\(name); blocks of pagetypeinfo: \(blocks.map(String.init) ?? "-")"))
        }
    }

    private mutating func pressure(_ final: [String: Any]) {
        let line = (final["pressure"] as? [String: [String: Any]])?["memory_some"]
        standing(
            "memory pressure, us", agent: (line?["total_us"] as? String).flatMap { Int($0) }
        ) { $0.memoryPressure() }
    }

    /// Emitted, lost and suppressed are all that happened; what was emitted arrived.
    private mutating func sums(_ final: [String: Any]) {
        let loss = final["loss"] as? [String: Any] ?? [:]
        func stem(_ kind: String, _ name: String) -> Int {
            (loss[kind] as? [String: Int])?[name] ?? 0
        }
        func sent(_ name: String) -> Int {
            stem("emitted", name) + stem("ring", name) + stem("suppressed", name)
        }
        if loss["output"] as? Int == 0, loss["unknown_records"] as? Int == 0,
            loss["malformed_records"] as? Int == 0
        {
            let emitted = (loss["emitted"] as? [String: Int] ?? [:])
            let received = (loss["received"] as? [String: Int] ?? [:])
            rows.append(
                .check(
                    "records received are those emitted", emitted == received,
                    "\(received.values.reduce(0, +)) = \(emitted.values.reduce(0, +))",
                    note: "by stem"))
        }
        let reserve = final["reserve"] as? [String: Any] ?? [:]
        let below = final["below_min"] as? [String: Any] ?? [:]
        let happened = ["taken", "returned", "alloc_failed"].reduce(0) {
            $0 + (reserve[$1] as? Int ?? -1)
        }
        rows.append(
            .equal(
                "reserve: emitted + lost + suppressed", agent: sent("reserve"),
                kernel: happened + (below["allocations"] as? Int ?? -1),
                note: "kernel is the totals here: taken, returned, failed, below min"))
        let throttle = final["throttle"] as? [String: Any] ?? [:]
        if let count = throttle["count"] as? Int, let ended = throttle["ended"] as? Int {
            rows.append(
                .equal(
                    "throttle: emitted + lost", agent: sent("throttle"), kernel: count + ended,
                    note: "kernel is the totals here: begun, ended"))
        }
    }
}
