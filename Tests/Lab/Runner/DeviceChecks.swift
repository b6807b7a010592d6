// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// The requests of one NBD device, as agent, kernel and server tell them.
extension Checks {
    /// What the agent says of it. No request at all leaves no device in the stream: that is
    /// zero, not unknown.
    private struct Told {
        let device: [String: Any]?
        let isObserved: Bool

        init(_ final: [String: Any], _ name: String) {
            device = (final["nbd"] as? [[String: Any]])?.first { $0["device"] as? String == name }
            isObserved = final["nbd"] != nil
        }

        func figure(_ field: String) -> Int? {
            device.map { $0[field] as? Int } ?? (isObserved ? 0 : nil)
        }
    }

    mutating func requests(_ final: [String: Any], _ name: String) {
        let told = Told(final, name)
        func completed(_ moment: String) -> Int? { snapshots[moment]?.completedRequests(of: name) }
        func sent(_ moment: String) -> Int? {
            guard let snapshot = snapshots[moment],
                let done = snapshot.completedRequests(of: name),
                let flying = snapshot.inFlightRequests(of: name)
            else { return nil }
            return done + flying
        }
        let requeued = told.figure("requeued") ?? 0
        // Of a device without a connection a request fails before it is issued:
        // drivers/block/nbd.c:nbd_handle_cmd(), "Attempted send on invalid socket".
        let unissued = run.scenario.faults.losesSwap ? told.figure("errors") ?? 0 : 0
        rows.append(
            .counter(
                "\(title(name)) requests completed", agent: told.figure("completed"),
                s0: completed("S0"), s0p: completed("S0p"), s1: completed("S1"),
                s1p: completed("S1p")))
        rows.append(
            .counter(
                "\(title(name)) requests issued",
                agent: told.figure("issued").map { $0 - requeued },
                s0: sent("S0"), s0p: sent("S0p"), s1: sent("S1"), s1p: sent("S1p"),
                lost: unissued))
        bytes(told, "read", name, unissued) { $0.readSectors }
        bytes(told, "written", name, unissued) { $0.writtenSectors }
        if let device = told.device {
            rows.append(sentAndReceived(device, requeued + unissued, name))
        }
    }

    /// A request that was requeued is sent again, and its first reply may never come.
    private func sentAndReceived(_ device: [String: Any], _ requeued: Int, _ name: String) -> Row {
        let label = "\(title(name)) sent and received"
        let received = device["received"] as? Int
        guard requeued > 0, let sent = device["sent"] as? Int else {
            return .equal(
                label, agent: received, kernel: device["sent"] as? Int, note: "at the quiet end")
        }
        return .within(
            label, agent: received, low: max(0, sent - requeued), high: sent,
            note: "\(requeued) requeued, or failed with the connection")
    }

    /// The kernel counts sectors of 512 bytes. The agent's figures are strings: they can grow large.
    private mutating func bytes(
        _ told: Told, _ word: String, _ name: String, _ unissued: Int,
        _ sectors: (DiskFigures) -> Int
    ) {
        let disk = readings.witnesses.disks[name] ?? [:]
        func kernel(_ moment: String) -> Int? { disk[moment].map { sectors($0) * 512 } }
        let missed = readings.witnesses.agentLoss["missed.nbd"] ?? 0
        let figure = told.device.map { ($0["\(word)_bytes"] as? String).flatMap { Int($0) } }
        rows.append(
            .counter(
                "\(title(name)) bytes \(word)", agent: figure ?? (told.isObserved ? 0 : nil),
                s0: kernel("S0"), s0p: kernel("S0p"), s1: kernel("S1"), s1p: kernel("S1p"),
                lost: (missed + unissued) * Self.largestRequest))
    }

    /// Bytes of a request: block/blk-settings.c bounds it by BLK_DEF_MAX_SECTORS, 2560 sectors.
    static let largestRequest = 2560 * 512

    /// The server's own count: requests before the agent's start are the kernel's to tell.
    mutating func server(_ final: [String: Any], _ name: String) {
        guard let counts = ServerCounts.parse(run.serverStats[name] ?? "") else {
            rows.append(
                .check("\(title(name)): server's own count", false, "absent", note: "no total"))
            return
        }
        // After S1p the guest may have swapped in a little for its own way out.
        guard let low = snapshots["S1p"]?.servedRequests(of: name),
            let before = snapshots["S0p"]?.servedRequests(of: name),
            let leastBefore = snapshots["S0"]?.servedRequests(of: name),
            let last = samples.last, let done = last.completedOf[name],
            let flying = last.inFlightOf[name]
        else {
            rows.append(
                .check(
                    "\(title(name)): server's own count", false, "-",
                    note: "a snapshot is missing"))
            return
        }
        // What the server served twice: the agent's count, and what the console told before it.
        let told = Told(final, name)
        let again = (told.figure("requeued") ?? 0) + retriesBeforeTheAgent(name)
        let flushes = (snapshots["S1p"]?.completedRequests(of: name) ?? low) - low
        let high = max(done - flushes + flying, low) + Self.afterLastSample + again
        // nbdkit's stats leave out what its error filter fails, and the server never sees what
        // fails with a connection that the kernel gave up.
        let failed = told.figure("errors") ?? 0
        rows.append(
            .within(
                "\(title(name)) requests, server's count of kernel's",
                agent: counts.total, low: low - failed,
                high: high,
                note: "agent is the server here; the last \(Self.afterLastSample) may come after "
                    + "the last sample"
                    + (again > 0 ? "; \(again) may have been served twice" : "")))
        rows.append(
            .within(
                "\(title(name)) requests completed, server's count",
                agent: told.figure("completed").map { $0 - failed },
                low: counts.total - before - (high - low) - failed,
                high: counts.total - leastBefore,
                note: "server \(counts.total), of these \(leastBefore)..\(before) before the agent")
        )
    }

    /// With several connections a request that had no reply for 30 s goes to another one:
    /// drivers/block/nbd.c:nbd_xmit_timeout(). Those before the agent, who counts the others.
    private func retriesBeforeTheAgent(_ name: String) -> Int {
        run.guest.mutters.text.split(whereSeparator: \.isNewline)
            .prefix { !$0.hasPrefix("lab: SETTINGS") }
            .filter { $0.contains("block \(name): Connection timed out, retrying") }.count
    }

    /// One device is the rule, and is called by its kind.
    private func title(_ name: String) -> String {
        run.scenario.swaps.filter(\.isNBD).count == 1 ? "nbd" : name
    }

    /// The guest powers off within half a second of S1p; what it pages in for that is little.
    private static let afterLastSample = 64
}
