// SPDX-License-Identifier: Apache-2.0

/// /proc/net/{tcp,tcp6,unix} of every network namespace: established sockets only.
struct SocketTables {
    struct TCP: Equatable {
        var inode: UInt64
        var local: SocketAddress
        var remote: SocketAddress
    }

    struct Unix: Equatable {
        var inode: UInt64
        /// The name it was bound to; an accepted socket has its listener's.
        var path: String
    }

    private(set) var tcp: [UInt64: TCP] = [:]
    private(set) var unix: [UInt64: Unix] = [:]
    /// Inodes by both ends, to find the other end.
    private var byEnds: [[SocketAddress]: [UInt64]] = [:]

    /// The sockets whose local end is this one's remote end, and the other way round.
    func otherEnds(of socket: TCP) -> [UInt64] {
        (byEnds[[socket.remote, socket.local]] ?? []).filter { $0 != socket.inode }
    }

    /// "  0: 0100007F:2A39 0100007F:C35E 01 ... 0 0 12345 1 ...": state 01 is TCP_ESTABLISHED.
    ///
    /// A connection that nobody accepted yet has inode 0 and is left out.
    mutating func addTCP(_ text: String) {
        for line in text.split(separator: "\n").dropFirst() {
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            guard fields.count >= 10, fields[3] == "01", let inode = UInt64(fields[9]), inode != 0,
                let local = Self.address(fields[1]), let remote = Self.address(fields[2]),
                tcp[inode] == nil
            else { continue }
            tcp[inode] = TCP(inode: inode, local: local, remote: remote)
            byEnds[[local, remote], default: []].append(inode)
        }
    }

    /// "ffff...: 00000003 00000000 00000000 0001 03 12345 /path": stream, SS_CONNECTED.
    mutating func addUnix(_ text: String) {
        for line in text.split(separator: "\n").dropFirst() {
            let fields = line.split(separator: " ", maxSplits: 7, omittingEmptySubsequences: true)
            guard fields.count >= 7, fields[4] == "0001", fields[5] == "03",
                let inode = UInt64(fields[6]), inode != 0
            else { continue }
            unix[inode] = Unix(inode: inode, path: fields.count > 7 ? String(fields[7]) : "")
        }
    }

    /// Words of four bytes, each in the machine's order: little-endian here.
    static func address(_ text: Substring) -> SocketAddress? {
        let parts = text.split(separator: ":")
        guard parts.count == 2, let port = UInt16(parts[1], radix: 16) else { return nil }
        var bytes: [UInt8] = []
        var rest = parts[0]
        while rest.count >= 8 {
            guard let word = UInt32(rest.prefix(8), radix: 16) else { return nil }
            for shift in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
            rest = rest.dropFirst(8)
        }
        guard rest.isEmpty else { return nil }
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
        if bytes.count == 16, Array(bytes.prefix(12)) == mapped { bytes.removeFirst(12) }
        if bytes.count == 4 {
            return SocketAddress(
                host: bytes.map { String($0) }.joined(separator: "."), port: port)
        }
        guard bytes.count == 16 else { return nil }
        let groups = stride(from: 0, to: 16, by: 2).map { index in
            String(UInt16(bytes[index]) << 8 | UInt16(bytes[index + 1]), radix: 16)
        }
        return SocketAddress(host: groups.joined(separator: ":"), port: port)
    }
}
