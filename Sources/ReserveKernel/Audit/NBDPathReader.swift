// SPDX-License-Identifier: Apache-2.0

/// The way of one NBD disk's requests: its settings, its client, its sockets, their other ends.
struct NBDPathReader {
    let files: RootedFiles
    let processes: ProcessTable
    let tables: SocketTables?
    let handed: HandedFacts

    func disk(named name: String) -> SwapPathFacts.NBDDisk {
        var disk = SwapPathFacts.NBDDisk(name: name)
        let base = "/sys/block/\(name)"
        disk.backend = files.text("\(base)/backend").map { String($0.prefix { $0 != "\n" }) }
        disk.ioTimeoutMilliseconds = files.number("\(base)/queue/io_timeout")
        // Without block writeback throttling the file is there and says EINVAL: off.
        disk.wbtLatMicroseconds =
            files.number("\(base)/queue/wbt_lat_usec")
            ?? (files.text("\(base)/queue/wbt_lat_usec")?.isEmpty == true ? 0 : nil)
        disk.scheduler = files.chosenWord("\(base)/queue/scheduler")
        if let queues = files.entries("\(base)/mq")?.count, queues > 0 {
            disk.connections = queues
            disk.connectionsAtLeast = possibleCPUs().map { queues >= $0 } ?? true
        }
        let pid = files.word("\(base)/pid").flatMap { Int32($0) }
        disk.setUpBy = pid
        disk.client = client(of: name, pid: pid)
        disk.timeout = timeout(of: disk)
        disk.sockets = sockets(of: disk)
        return disk
    }

    /// "0-1" or "0": the kernel numbers CPUs without gaps, and sizes its queues by them.
    private func possibleCPUs() -> Int? {
        files.word("/sys/devices/system/cpu/possible")?.split(separator: "-").last
            .flatMap { Int($0) }.map { $0 + 1 }
    }

    /// The kernel keeps the number of who set the device up, also after that process is gone.
    /// drivers/block/nbd.c:nbd_start_device_ioctl() makes an ioctl client wait inside, holding
    /// the device; who set it up over netlink does neither.
    private func client(of disk: String, pid: Int32?) -> SwapPathFacts.Client {
        guard let pid else {
            return .unknown("/sys/block/\(disk)/pid cannot be read: the device has no client")
        }
        guard processes.exists(pid) else { return .netlink }
        guard let holds = processes.holds(pid, disk: disk) else {
            return .unknown("the descriptors of process \(pid) cannot be read")
        }
        guard holds else { return .netlink }
        guard let process = processes.process(pid) else {
            return .unknown("process \(pid) ended while it was read")
        }
        return .process(
            process, .parse(process.cmdline, nbdtab: files.text("/etc/nbdtab")))
    }

    /// The driver's own figure is in debugfs only. io_timeout alone proves nothing: 30000 is
    /// what the driver leaves where none was asked for, and another figure may be left from a
    /// connection before this one (nbd_config_put() clears the driver's, not the queue's).
    private func timeout(of disk: SwapPathFacts.NBDDisk) -> SwapPathFacts.Timeout {
        let milliseconds = disk.ioTimeoutMilliseconds
        if let jiffies = files.number("/sys/kernel/debug/nbd/\(disk.name)/timeout") {
            if jiffies == 0 { return .none }
            return milliseconds.map { .set(milliseconds: $0) }
                ?? .unknown("a timeout is set, but queue/io_timeout cannot be read")
        }
        if case .process(_, let options) = disk.client, options.isNBDClient {
            guard let seconds = options.timeoutSeconds, seconds > 0 else { return .none }
            return .set(milliseconds: seconds * 1000)
        }
        let left = milliseconds.map { "queue/io_timeout is \($0) ms, which proves nothing" }
        return .unknown(
            "/sys/kernel/debug/nbd/\(disk.name)/timeout cannot be read"
                + (left.map { ", and \($0)" } ?? ""))
    }

    private func sockets(of disk: SwapPathFacts.NBDDisk) -> SwapPathFacts.Sockets {
        guard let tables else { return .unknown("/proc/net/tcp cannot be read") }
        var inodes: [UInt64] = []
        var isInferred = false
        switch disk.client {
        case .unknown(let reason):
            return .unknown(reason)
        case .process(let process, _):
            inodes = (processes.sockets[process.pid] ?? []).filter {
                tables.tcp[$0] != nil || tables.unix[$0] != nil
            }
        case .netlink:
            guard processes.unreadable == 0 else {
                return .unknown(
                    "the descriptors of \(processes.unreadable) processes cannot be read")
            }
            // The kernel holds it and no process: /proc/PID/fd names it nowhere.
            isInferred = true
            let held = tables.tcp.values.filter { $0.remote.port != Self.portOfNFS }.map(\.inode)
            inodes = (held + tables.unix.keys).filter { processes.holders[$0] == nil }
        }
        if let marked = handed.memallocInodes, inodes.contains(where: marked.contains) {
            inodes = inodes.filter(marked.contains)
            isInferred = false
        }
        guard !inodes.isEmpty else {
            return .unknown("no socket of the device is in /proc/net/tcp, tcp6 or unix")
        }
        let devices = Set(inodes)
        return .known(
            devices.sorted().map { inode in
                connection(inode, tables: tables, devices: devices, isInferred: isInferred)
            })
    }

    /// The kernel's NFS client keeps sockets in the same way; nobody serves NBD on its port.
    private static let portOfNFS: UInt16 = 2049

    private func connection(
        _ inode: UInt64, tables: SocketTables, devices: Set<UInt64>, isInferred: Bool
    ) -> SwapPathFacts.Connection {
        let memalloc = handed.memallocInodes.map { $0.contains(inode) }
        if let socket = tables.tcp[inode] {
            let ends = tables.otherEnds(of: socket)
            return SwapPathFacts.Connection(
                inode: inode, kind: .tcp(local: socket.local, remote: socket.remote),
                peer: ends.isEmpty ? .remote : holders(of: ends, tables, devices),
                isInferred: isInferred, memalloc: memalloc)
        }
        let peer: SwapPathFacts.Connection.Peer
        if let other = handed.unixPeers?[inode] {
            peer = holders(of: [other], tables, devices)
        } else {
            peer = likelyUnixPeers(tables, devices)
        }
        return SwapPathFacts.Connection(
            inode: inode, kind: .unix, peer: peer, isInferred: isInferred, memalloc: memalloc)
    }

    private func holders(
        of inodes: [UInt64], _ tables: SocketTables, _ devices: Set<UInt64>
    ) -> SwapPathFacts.Connection.Peer {
        let pids = Set(inodes.flatMap { processes.holders[$0] ?? [] }).sorted()
        return named(pids, tables, devices)
    }

    /// Without sock_diag: an nbd-client that holds both a unix and a TCP connection is its own
    /// TLS proxy; else a server by its name, with a unix connection that it accepted.
    private func likelyUnixPeers(
        _ tables: SocketTables, _ devices: Set<UInt64>
    ) -> SwapPathFacts.Connection.Peer {
        let servers = ["nbdkit", "nbd-server", "qemu-nbd", "qemu-storage-da"]
        let pids = processes.pids.filter { pid in
            let held = (processes.sockets[pid] ?? []).filter { !devices.contains($0) }
            let unix = held.compactMap { tables.unix[$0] }
            guard !unix.isEmpty, let process = processes.process(pid) else { return false }
            if ClientOptions.parse(process.cmdline).isNBDClient {
                return held.contains { tables.tcp[$0] != nil }
            }
            return servers.contains(process.comm) && unix.contains { !$0.path.isEmpty }
        }
        return named(pids, tables, devices)
    }

    private func named(
        _ pids: [Int32], _ tables: SocketTables, _ devices: Set<UInt64>
    ) -> SwapPathFacts.Connection.Peer {
        let peers = pids.compactMap { pid -> SwapPathFacts.PeerProcess? in
            guard let process = processes.process(pid) else { return nil }
            let elsewhere = (processes.sockets[pid] ?? []).filter { inode in
                guard let socket = tables.tcp[inode], !devices.contains(inode) else { return false }
                return !tables.otherEnds(of: socket).contains(where: devices.contains)
            }
            return SwapPathFacts.PeerProcess(
                process: process, tcpConnections: elsewhere.count,
                options: .parse(process.cmdline, nbdtab: files.text("/etc/nbdtab")))
        }
        return peers.isEmpty ? .localUnknown : .processes(peers)
    }
}
