// SPDX-License-Identifier: Apache-2.0

import CLinux

/// What /proc does not tell and somebody else may know.
public struct HandedFacts: Equatable, Sendable {
    /// The other end of each unix socket, by inode, from sock_diag(7); nil where refused.
    public var unixPeers: [UInt64: UInt64]?
    /// Inodes of the sockets that have SOCK_MEMALLOC; nil where nobody looked.
    public var memallocInodes: Set<UInt64>?

    /// What each TCP socket may hold unread, in bytes; nil where refused.
    public var tcpReceiveBytes: [UInt64]?

    public init() {}

    /// Asks the kernel for what it answers by netlink.
    public static func live() -> HandedFacts {
        var facts = HandedFacts()
        facts.tcpReceiveBytes = receiveBytes()
        var capacity = 4096
        // A host with more sockets than room is asked again with more.
        while capacity <= 1 << 20 {
            var pairs = [rw_unix_pair](repeating: rw_unix_pair(), count: capacity)
            let count = rw_unix_peers(&pairs, UInt32(capacity))
            if count < 0 { return facts }
            if count < capacity {
                facts.unixPeers = Dictionary(
                    pairs[..<Int(count)].map { (UInt64($0.inode), UInt64($0.peer)) },
                    uniquingKeysWith: { first, _ in first })
                return facts
            }
            capacity *= 4
        }
        return facts
    }

    private static func receiveBytes() -> [UInt64]? {
        var capacity = 4096
        while capacity <= 1 << 20 {
            var bytes = [UInt32](repeating: 0, count: capacity)
            let count = Int(rw_tcp_receive_buffers(&bytes, UInt32(capacity)))
            if count < 0 { return nil }
            if count < capacity { return bytes[..<count].map(UInt64.init) }
            capacity *= 4
        }
        return nil
    }
}

extension SwapPathFacts {
    /// Looks at the host, or at a tree below `root` that looks like one.
    ///
    /// - Parameter disks: NBD disks that swap will lie on, besides those that it lies on.
    public static func read(
        root: String = "", handed: HandedFacts = HandedFacts(), disks: [String] = []
    ) -> SwapPathFacts {
        let files = RootedFiles(root: root)
        var facts = SwapPathFacts()
        facts.swaps = readSwaps(files)
        facts.memory = MemoryFacts.read(files)
        var names: [String] = []
        for disk in disks where !names.contains(disk) { names.append(disk) }
        for swap in facts.swaps ?? [] {
            if case .nbd(let name) = swap.below, !names.contains(name) { names.append(name) }
        }
        guard !names.isEmpty else { return facts }

        let processes = ProcessTable(files)
        let tables = socketTables(files, witnesses: processes.namespaceWitnesses)
        facts.memory.tcpSockets = tables?.tcp.count
        facts.memory.tcpReceiveBytes = handed.tcpReceiveBytes
        let path = NBDPathReader(
            files: files, processes: processes, tables: tables, handed: handed)
        facts.disks = names.sorted().map(path.disk(named:))
        return facts
    }

    private static func readSwaps(_ files: RootedFiles) -> [Swap]? {
        guard let text = files.text("/proc/swaps") else { return nil }
        return text.split(separator: "\n").dropFirst().compactMap { line in
            let fields = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            guard fields.count == 5, let size = UInt64(fields[2]), let used = UInt64(fields[3]),
                let priority = Int32(fields[4])
            else { return nil }
            let path = SwapTable.unescape(fields[0])
            let isPartition = fields[1] == "partition"
            return Swap(
                path: path, isPartition: isPartition, sizeKiB: size, usedKiB: used,
                priority: priority, below: below(path, isPartition: isPartition, files))
        }
    }

    private static func below(_ path: String, isPartition: Bool, _ files: RootedFiles) -> Below {
        let device =
            isPartition ? path : SwapTable.blockDevice(ofFile: path, root: files.root)
        guard let device, SwapTable.realPath(files.root + device) != nil else { return .unknown }
        return SwapTable.nbdDisk(below: device, root: files.root).map(Below.nbd) ?? .otherDevice
    }

    /// nil when not even this process's own tables can be read.
    private static func socketTables(_ files: RootedFiles, witnesses: [Int32]) -> SocketTables? {
        var tables = SocketTables()
        var isRead = false
        for directory in ["/proc/net"] + witnesses.map({ "/proc/\($0)/net" }) {
            for name in ["tcp", "tcp6"] {
                guard let text = files.text("\(directory)/\(name)") else { continue }
                tables.addTCP(text)
                isRead = true
            }
            if let text = files.text("\(directory)/unix") { tables.addUnix(text) }
        }
        return isRead ? tables : nil
    }
}
