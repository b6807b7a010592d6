// SPDX-License-Identifier: Apache-2.0

import ReserveKernel

// The reserve and what may fill it. Alone neither helps: guests in trials deadlocked with a
// reserve of 32 MB and unbounded buffers, and with bounded buffers and the kernel's own reserve.

/// `vm.min_free_kbytes` of the guests that survived, of 256 MB each.
private let provenReserveKiB: UInt64 = 32_768
/// Sockets that a peer opened anew held more than the first ones: 23 to 24 MB of 32 MB at most.
private let reserveOverSum: UInt64 = 2
/// The largest share of memory with which guests were run: "an eighth to a sixth".
private let largestShare: UInt64 = 6

/// Bounds what one socket may hold unread.
func receiveBounds(
    _ memory: MemoryFacts, _ settings: PlanSettings, _ blockers: inout [String]
) -> [Change] {
    let bound = settings.receiveBytes
    var changes: [Change] = []
    if let limits = memory.tcpRmemBytes, limits.count == 3 {
        if limits[2] > bound {
            let new = limits.map { "\(min($0, bound))" }.joined(separator: " ")
            changes.append(
                Change(
                    kind: .tcpReceive, target: .file("/proc/sys/net/ipv4/tcp_rmem"),
                    old: limits.map { "\($0)" }.joined(separator: " "), new: new,
                    bounds: "lowered to \(bound) bytes, never raised; this network namespace, and "
                        + "those made later",
                    why: "TCP lets a socket's receive buffer grow to \(limits[2]) bytes. Data that "
                        + "nobody reads stays there and takes the reserve: guests in trials "
                        + "deadlocked 0.05 s after 12 such streams began; with 256 KiB a socket "
                        + "and no more reserve, after 35 s. A socket that has grown already keeps "
                        + "what it has.",
                    costs: "One connection receives at most its buffer in each round trip: about "
                        + "\((bound * 8 + 50_000) / 100_000) Mbit/s at 100 ms, \((bound * 8 + 500) / 1000) at 1 ms.",
                    keep: "/etc/sysctl.d/90-reservewatch.conf: net.ipv4.tcp_rmem = \(new)"))
        }
    } else {
        blockers.append("net.ipv4.tcp_rmem cannot be read")
    }
    if let limit = memory.rmemMaxBytes {
        if limit > bound {
            changes.append(
                Change(
                    kind: .socketReceive, target: .file("/proc/sys/net/core/rmem_max"),
                    old: "\(limit)", new: "\(bound)",
                    bounds: "lowered to \(bound) bytes, never raised",
                    why: "A program may ask for \(limit) bytes by SO_RCVBUF, and gets twice of it, "
                        + "past the bound of net.ipv4.tcp_rmem. Whoever has CAP_NET_ADMIN may pass "
                        + "this one too, by SO_RCVBUFFORCE.",
                    costs: "Programs that ask for more get this; of UDP they may lose more.",
                    keep: "/etc/sysctl.d/90-reservewatch.conf: net.core.rmem_max = \(bound)"))
        }
    } else {
        blockers.append("net.core.rmem_max cannot be read")
    }
    return changes
}

/// Raises the reserve above what all sockets may hold: the last change, and only with the rest.
func reserve(
    _ memory: MemoryFacts, _ settings: PlanSettings, _ blockers: [String], _ plan: inout Plan
) {
    func refuse(_ found: String, why: String, instead: String) {
        plan.left.append(
            Left(
                id: "reserve-refused", subject: "host", found: found, why: why, instead: instead,
                isShortfall: true))
    }
    guard let current = memory.minFreeKiB, let lowmem = memory.lowmemPages else {
        return refuse(
            "vm.min_free_kbytes or /proc/zoneinfo cannot be read",
            why: "What is not known is not changed.", instead: "mount -t proc proc /proc")
    }
    if !blockers.isEmpty {
        return refuse(
            "vm.min_free_kbytes stays \(current): \(blockers.joined(separator: ", "))",
            why: "Alone it does not help: a guest with 32 MB and unbounded buffers deadlocked. It "
                + "is raised only as part of the whole.",
            instead: "make these readable, and run it again")
    }
    guard let sockets = memory.tcpSockets, let tcp = memory.tcpRmemBytes?.last,
        let asked = memory.rmemMaxBytes, let available = memory.availableKiB
    else {
        return refuse(
            "the TCP sockets or MemAvailable cannot be read",
            why: "The reserve is sized by what sockets may hold, and must not push the host into "
                + "reclaim.", instead: "cat /proc/net/tcp /proc/meminfo")
    }
    let each = max(min(tcp, settings.receiveBytes), 2 * min(asked, settings.receiveBytes))
    let beyond = (memory.tcpReceiveBytes ?? []).filter { $0 > each }
    tellBeyond(beyond, each, &plan)
    // Those beyond count with what they have, all others with the bound.
    let bounded = UInt64(max(0, sockets - beyond.count)) * each
    let sumKiB = (bounded + beyond.reduce(0, +) + 1023) / 1024
    let limit = lowmem * (memory.pageBytes / 1024) / largestShare
    let needed = sumKiB * reserveOverSum
    let account =
        "\(sockets) TCP sockets of up to \(each) bytes"
        + (beyond.isEmpty ? "" : ", \(beyond.count) of them beyond,")
        + " may hold \(sumKiB) kB unread, and "
        + "\(reserveOverSum) times of it is \(needed) kB"
        + (memory.tcpReceiveBytes == nil
            ? " (whether one may hold more is not known without tcp_diag)" : "")
    guard needed <= limit else {
        return refuse(
            "vm.min_free_kbytes stays \(current): \(account), more than \(limit) kB, a sixth of "
                + "this memory",
            why: "A larger share was never run, and is taken from programs.",
            instead: "fewer sockets, more memory, or a lower bound: --receive-max "
                + "\(smaller(than: settings.receiveBytes))")
    }
    var target = max(needed, min(provenReserveKiB, limit))
    // Less than the kernel counts on by itself is mended as well.
    if let usual = memory.defaultMinFreeKiB, current < usual,
        !DefaultMinFree.isUnchanged(current, usual: usual)
    {
        target = max(target, min(usual, limit))
    }
    guard target > current else { return }
    let raise = target - current
    guard available >= 2 * raise else {
        return refuse(
            "vm.min_free_kbytes stays \(current): \(raise) kB more, of which MemAvailable has "
                + "\(available) kB",
            why: "Raised now, the host would begin to reclaim at once: what this is to prevent.",
            instead: "run it earlier, before programs take the memory")
    }
    plan.changes.append(
        Change(
            kind: .reserve, target: .file("/proc/sys/vm/min_free_kbytes"), old: "\(current)",
            new: "\(target)",
            bounds: "raised, never lowered; at most a sixth of the memory, \(limit) kB; last, and "
                + "only when the buffers are bounded and writeback throttling is off",
            why: "\(account). Guests survived with 32 MB, 256 KiB a socket and no writeback "
                + "throttling (3 of 3), with 32 MB alone not, with the bounds alone not. The "
                + "author of swap over NBD wants this figure left alone, and alone it does not "
                + "help: it goes with the rest.",
            costs: "\(raise) kB less for programs: swap begins earlier.",
            keep: "/etc/sysctl.d/90-reservewatch.conf: vm.min_free_kbytes = \(target)"))
}

/// Sockets that the bounds do not reach.
private func tellBeyond(_ beyond: [UInt64], _ each: UInt64, _ plan: inout Plan) {
    guard let largest = beyond.max() else { return }
    plan.left.append(
        Left(
            id: "receive-beyond", subject: "host",
            found: "\(beyond.count) TCP sockets may hold more than \(each) bytes, the largest "
                + "\(largest)",
            why: "They grew before the bound, or their owner passed it by SO_RCVBUFFORCE. The "
                + "reserve is reckoned with what they may hold.",
            instead: "ss -tmp tells whose they are (rb); those that only grew are bounded once "
                + "their connections are made anew",
            isShortfall: false))
}

private func smaller(than bytes: UInt64) -> UInt64 {
    max(bytes / 2, PlanSettings.leastReceiveBytes)
}
