// SPDX-License-Identifier: Apache-2.0

/// The reserve, and what may fill it from the network's side.
func memoryFindings(_ memory: MemoryFacts) -> [Finding] {
    minFree(memory) + tcpMem(memory) + receiveBuffers(memory) + swappiness(memory)
        + compaction(memory)
}

private func minFree(_ memory: MemoryFacts) -> [Finding] {
    guard let kib = memory.minFreeKiB, let usual = memory.defaultMinFreeKiB else {
        return [
            Finding(
                "min-free-unknown", .unknown, .host,
                found: "vm.min_free_kbytes or what the kernel would set it to cannot be read",
                why: "The reserve is cut out of it.",
                mend: "sysctl vm.min_free_kbytes && cat /proc/zoneinfo")
        ]
    }
    guard !DefaultMinFree.isUnchanged(kib, usual: usual) else { return [] }
    let found = "vm.min_free_kbytes is \(kib); by itself this kernel sets about \(usual)"
    if kib < usual {
        return [
            Finding(
                "min-free-changed", .warning, .host, found: found,
                why: "The reserve that lets swap-out go on is cut out of it; there is less than "
                    + "the kernel counts on.",
                mend: "sysctl -w vm.min_free_kbytes=\(usual)")
        ]
    }
    return [
        Finding(
            "min-free-changed", .notice, .host, found: found,
            why: "A larger reserve survives larger bursts from the network, and leaves less "
                + "memory to programs. In trials it saved guests only together with bounded "
                + "receive buffers.",
            mend: "sysctl -w vm.min_free_kbytes=\(usual)")
    ]
}

/// net/ipv4/tcp.c:tcp_init_mem(): 3/4 of a sixteenth, a sixteenth, twice the first.
private func usualTCPMem(_ lowmemPages: UInt64) -> [UInt64] {
    let limit = max(lowmemPages / 16, 128)
    return [limit / 4 * 3, limit, limit / 4 * 3 * 2]
}

private func tcpMem(_ memory: MemoryFacts) -> [Finding] {
    guard let limits = memory.tcpMemPages, limits.count == 3, let lowmem = memory.lowmemPages,
        let totalKiB = memory.totalKiB
    else {
        return [
            Finding(
                "tcp-mem-unknown", .unknown, .host,
                found: "net.ipv4.tcp_mem, /proc/meminfo or /proc/zoneinfo cannot be read",
                why: "Whether sockets can fill the memory is not known.",
                mend: "sysctl net.ipv4.tcp_mem")
        ]
    }
    let total = totalKiB * 1024 / memory.pageBytes
    // Twice the share that the kernel thinks right; memory may have come since it computed it.
    guard limits[2] > total * 3 / 16 else { return [] }
    // Sockets cannot have ZONE_MOVABLE's pages.
    let isBeyond = limits[2] >= lowmem
    let usual = usualTCPMem(lowmem)
    let share = limits[2] > 1 << 40 ? "beyond" : "\(limits[2] * 100 / max(total, 1)) % of"
    let kernels = usual.map { String($0) }.joined(separator: " ")
    return [
        Finding(
            "tcp-mem-beyond-memory", isBeyond ? .critical : .warning, .host,
            found: "tcp_mem lets TCP take \(limits[2]) pages, \(share) the \(total) pages of "
                + "memory; the kernel's own figure is \(usual[2])",
            why: "Data that nobody reads may fill the reserve until no reply to a swap request "
                + "finds room. That is how guests were made to deadlock in trials.",
            mend: "sysctl -w net.ipv4.tcp_mem=\"\(kernels)\"")
    ]
}

/// Each established socket may grow its receive buffer to tcp_rmem's maximum.
private func receiveBuffers(_ memory: MemoryFacts) -> [Finding] {
    guard let limits = memory.tcpRmemBytes, limits.count == 3, let sockets = memory.tcpSockets,
        let reserveKiB = memory.minFreeKiB
    else {
        return [
            Finding(
                "rcvbuf-unknown", .unknown, .host,
                found: "net.ipv4.tcp_rmem, the TCP sockets or vm.min_free_kbytes cannot be read",
                why: "Whether receive buffers can fill the reserve is not known.",
                mend: "sysctl net.ipv4.tcp_rmem vm.min_free_kbytes")
        ]
    }
    let (bytes, isHuge) = limits[2].multipliedReportingOverflow(by: UInt64(sockets))
    let kib = isHuge ? UInt64.max : bytes / 1024
    guard kib > reserveKiB else { return [] }
    let bounded = UInt64(sockets) * boundedRmem / 1024
    let more = bounded > reserveKiB ? " vm.min_free_kbytes=\(bounded * 2)" : ""
    return [
        Finding(
            "rcvbuf-beyond-reserve", .warning, .host,
            found: "\(sockets) TCP sockets of up to \(limits[2]) bytes to receive may hold "
                + "\(kib) kB, more than the \(reserveKiB) kB of vm.min_free_kbytes",
            why: "Data that nobody reads is kept in them, and takes the reserve. In "
                + "trials guests survived such streams with 256 KiB a socket, all of them below "
                + "the reserve.",
            mend: "sysctl -w net.ipv4.tcp_rmem=\"\(min(limits[0], boundedRmem)) "
                + "\(min(limits[1], boundedRmem)) \(boundedRmem)\"\(more)")
    ]
}

/// With which guests survived in trials.
private let boundedRmem: UInt64 = 262_144

private func swappiness(_ memory: MemoryFacts) -> [Finding] {
    guard memory.swappiness == 0 else { return [] }
    return [
        Finding(
            "swappiness-zero", .notice, .host, found: "vm.swappiness is 0",
            why: "Anonymous memory is swapped out only when the zones are nearly empty: the swap "
                + "is first used when the reserve is already in use.",
            mend: "sysctl -w vm.swappiness=60")
    ]
}

/// mm/compaction.c:isolate_migratepages_block(). Not there without CONFIG_COMPACTION, which is as
/// good as 0.
private func compaction(_ memory: MemoryFacts) -> [Finding] {
    guard let allowed = memory.compactUnevictableAllowed, allowed != 0 else { return [] }
    return [
        Finding(
            "compaction-moves-locked", .notice, .host,
            found: "vm.compact_unevictable_allowed is \(allowed)",
            why:
                "Memory compaction, which runs when memory is short, moves locked pages too: those "
                + "of the NBD client, of a server on this host and of this watch. Who touches one "
                + "that is on its way waits for whoever moves it.",
            mend: "sysctl -w vm.compact_unevictable_allowed=0")
    ]
}
