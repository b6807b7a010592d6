// SPDX-License-Identifier: Apache-2.0

import ReserveKernel
import ReserveSinks

// The facts as JSON: what is not known is absent, or says why in `unknown`.

private func number(_ value: UInt64?) -> JSONDocument? { value.map { .number($0) } }
private func integer(_ value: Int?) -> JSONDocument? { value.map { .signed(Int64($0)) } }
private func signed(_ value: Int32?) -> JSONDocument? { value.map { .signed(Int64($0)) } }
private func string(_ value: String?) -> JSONDocument? { value.map { .string($0) } }
private func flag(_ value: Bool?) -> JSONDocument? { value.map { .bool($0) } }
private func numbers(_ values: [UInt64]?) -> JSONDocument? {
    values.map { .array($0.map { .number($0) }) }
}

extension SwapPathFacts {
    var json: JSONDocument {
        .known([
            ("swaps", swaps.map { .array($0.map(\.json)) }),
            ("disks", .array(disks.map(\.json))),
            ("memory", memory.json),
        ])
    }
}

extension SwapPathFacts.Swap {
    var json: JSONDocument {
        var disk: JSONDocument?
        let kind: String
        switch below {
        case .nbd(let name):
            disk = .string(name)
            kind = "nbd"
        case .otherDevice: kind = "other"
        case .unknown: kind = "unknown"
        }
        return .known([
            ("path", .string(path)), ("partition", .bool(isPartition)),
            ("size_kib", .number(sizeKiB)), ("used_kib", .number(usedKiB)),
            ("priority", .signed(Int64(priority))), ("below", .string(kind)), ("nbd", disk),
        ])
    }
}

extension SwapPathFacts.NBDDisk {
    var json: JSONDocument {
        .known([
            ("device", .string(name)),
            ("connections", integer(connections)),
            ("connections_at_least", flag(connections.map { _ in connectionsAtLeast })),
            ("backend", string(backend)),
            ("io_timeout_ms", number(ioTimeoutMilliseconds)),
            ("timeout", timeout.json),
            ("wbt_lat_usec", number(wbtLatMicroseconds)),
            ("scheduler", string(scheduler)),
            ("client", client.json),
            ("sockets", sockets.json),
        ])
    }
}

extension SwapPathFacts.Timeout {
    var json: JSONDocument {
        switch self {
        case .none: return .object([("set", .bool(false))])
        case .set(let milliseconds):
            return .object([("set", .bool(true)), ("ms", .number(milliseconds))])
        case .unknown(let reason): return .object([("unknown", .string(reason))])
        }
    }
}

extension SwapPathFacts.Client {
    var json: JSONDocument {
        switch self {
        case .netlink: return .object([("kind", .string("netlink"))])
        case .unknown(let reason): return .object([("unknown", .string(reason))])
        case .process(let process, let options):
            return .object([
                ("kind", .string("ioctl")), ("process", process.json), ("options", options.json),
            ])
        }
    }
}

extension ClientOptions {
    var json: JSONDocument {
        .known([
            ("nbd_client", .bool(isNBDClient)), ("swap", .bool(swap)),
            ("persist", .bool(persist)), ("tls", .bool(tls)),
            ("timeout_s", number(timeoutSeconds)),
            ("connections", integer(connections)),
        ])
    }
}

extension SwapPathFacts.Sockets {
    var json: JSONDocument {
        switch self {
        case .unknown(let reason): return .object([("unknown", .string(reason))])
        case .known(let connections): return .object([("known", .array(connections.map(\.json)))])
        }
    }
}

extension SwapPathFacts.Connection {
    var json: JSONDocument {
        var local: JSONDocument?
        var remote: JSONDocument?
        if case .tcp(let from, let to) = kind {
            local = .string(from.text)
            remote = .string(to.text)
        }
        let place: String
        var holders: [SwapPathFacts.PeerProcess] = []
        switch peer {
        case .remote: place = "remote"
        case .localUnknown: place = "local"
        case .processes(let processes):
            place = "local"
            holders = processes
        }
        return .known([
            ("inode", .number(inode)), ("kind", .string(kind == .unix ? "unix" : "tcp")),
            ("local", local), ("remote", remote), ("peer", .string(place)),
            ("holders", .array(holders.map(\.json))), ("inferred", .bool(isInferred)),
            ("memalloc", flag(memalloc)),
        ])
    }
}

extension SwapPathFacts.PeerProcess {
    var json: JSONDocument {
        .object([
            ("process", process.json), ("tcp_connections", .signed(Int64(tcpConnections))),
        ])
    }
}

extension ProcessFacts {
    var json: JSONDocument {
        .known([
            ("pid", .signed(Int64(pid))), ("comm", .string(comm)),
            ("cmdline", .array(cmdline.map { .string($0) })),
            ("vm_lck_kib", number(vmLckKiB)), ("vm_swap_kib", number(vmSwapKiB)),
            ("vm_rss_kib", number(vmRSSKiB)),
            ("oom_score_adj", signed(oomScoreAdj)),
            ("cgroup", string(cgroup?.path)),
            ("memory_swap_max", string(cgroup?.swapMaximum)),
            ("threads", integer(taskFlags?.count)),
            ("threads_without_io_flusher", integer(threadsWithoutIOFlusher)),
        ])
    }
}

extension MemoryFacts {
    var json: JSONDocument {
        .known([
            ("page_bytes", .number(pageBytes)), ("total_kib", number(totalKiB)),
            ("min_free_kib", number(minFreeKiB)),
            ("default_min_free_kib", number(defaultMinFreeKiB)),
            ("lowmem_pages", number(lowmemPages)), ("tcp_mem_pages", numbers(tcpMemPages)),
            ("tcp_rmem_bytes", numbers(tcpRmemBytes)),
            ("rmem_max_bytes", number(rmemMaxBytes)), ("available_kib", number(availableKiB)),
            ("tcp_sockets", integer(tcpSockets)),
            ("swappiness", number(swappiness)),
            ("compact_unevictable_allowed", number(compactUnevictableAllowed)),
        ])
    }
}
