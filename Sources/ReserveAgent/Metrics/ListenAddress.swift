// SPDX-License-Identifier: Apache-2.0

import Glibc
import ReserveKernel

/// Where the metrics are served.
public enum ListenAddress: Equatable, Sendable {
    case ipv4(host: String, port: UInt16)
    case ipv6(host: String, port: UInt16)
    case unix(path: String)

    public static let usual = ListenAddress.ipv4(host: "127.0.0.1", port: 9479)

    /// "127.0.0.1:9479", "[::1]:9479" or "unix:/run/reservewatch/metrics.sock": numbers only,
    /// for a name would need a resolver.
    public init?(_ text: String) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst("unix:".count))
            guard path.hasPrefix("/"), path.utf8.count < 108, !path.utf8.contains(0) else {
                return nil
            }
            self = .unix(path: path)
            return
        }
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: colon)...])
        else { return nil }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
            var address = in6_addr()
            guard inet_pton(AF_INET6, host, &address) == 1 else { return nil }
            self = .ipv6(host: host, port: port)
        } else {
            var address = in_addr()
            guard inet_pton(AF_INET, host, &address) == 1 else { return nil }
            self = .ipv4(host: host, port: port)
        }
    }

    public var text: String {
        switch self {
        case .ipv4(let host, let port): return "\(host):\(port)"
        case .ipv6(let host, let port): return "[\(host)]:\(port)"
        case .unix(let path): return "unix:\(path)"
        }
    }
}

/// A socket that takes connections; what it left in the file system goes with it.
struct Listener: ~Copyable {
    let descriptor: Int32
    private let path: String?

    private static let backlog: Int32 = 32

    init(_ address: ListenAddress) throws(WatchError) {
        switch address {
        case .unix(let path):
            descriptor = try Self.unixSocket(path, address.text)
            self.path = path
        case .ipv4, .ipv6:
            descriptor = try Self.internetSocket(address)
            path = nil
        }
    }

    /// One that systemd handed over.
    private init(descriptor: Int32) {
        self.descriptor = descriptor
        path = nil
    }

    deinit {
        close(descriptor)
        if let path { unlink(path) }
    }

    /// Sockets of systemd's socket activation, sd_listen_fds(3): from descriptor 3 on.
    static func inherited() throws(WatchError) -> [Int32] {
        guard let owner = getenv("LISTEN_PID"), let count = getenv("LISTEN_FDS"),
            Int32(String(cString: owner)) == getpid(),
            let number = Int32(String(cString: count)), number > 0
        else { return [] }
        unsetenv("LISTEN_PID")
        unsetenv("LISTEN_FDS")
        guard number <= 8 else {
            throw .listen(address: "LISTEN_FDS=\(number)", errno: E2BIG)
        }
        for descriptor in 3..<(3 + number) {
            var isListening: Int32 = 0
            var size = socklen_t(MemoryLayout<Int32>.size)
            guard
                getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &isListening, &size) == 0,
                isListening != 0, setNonBlocking(descriptor)
            else {
                throw .listen(
                    address: "descriptor \(descriptor) of LISTEN_FDS", errno: ENOTSOCK)
            }
        }
        return Array(3..<(3 + number))
    }

    static func adopting(_ descriptor: Int32) -> Listener { Listener(descriptor: descriptor) }

    static func setNonBlocking(_ descriptor: Int32) -> Bool {
        let flags = fcntl(descriptor, F_GETFL)
        return flags >= 0 && fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0
            && fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0
    }

    private static func internetSocket(_ address: ListenAddress) throws(WatchError) -> Int32 {
        var storage = sockaddr_storage()
        var size = 0
        withUnsafeMutableBytes(of: &storage) { bytes in
            switch address {
            case .ipv4(let host, let port):
                var internet = sockaddr_in()
                internet.sin_family = sa_family_t(AF_INET)
                internet.sin_port = port.bigEndian
                inet_pton(AF_INET, host, &internet.sin_addr)
                bytes.storeBytes(of: internet, as: sockaddr_in.self)
                size = MemoryLayout<sockaddr_in>.size
            case .ipv6(let host, let port):
                var internet = sockaddr_in6()
                internet.sin6_family = sa_family_t(AF_INET6)
                internet.sin6_port = port.bigEndian
                inet_pton(AF_INET6, host, &internet.sin6_addr)
                bytes.storeBytes(of: internet, as: sockaddr_in6.self)
                size = MemoryLayout<sockaddr_in6>.size
            case .unix: break
            }
        }
        let descriptor = open(Int32(storage.ss_family))
        guard descriptor >= 0 else { throw .listen(address: address.text, errno: errno) }
        var one: Int32 = 1
        setsockopt(
            descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        let status = withUnsafeBytes(of: &storage) {
            $0.baseAddress.map {
                bind(descriptor, $0.assumingMemoryBound(to: sockaddr.self), socklen_t(size))
            } ?? -1
        }
        guard status == 0, Glibc.listen(descriptor, backlog) == 0 else {
            let reason = errno
            close(descriptor)
            throw .listen(address: address.text, errno: reason)
        }
        return descriptor
    }

    /// Replaces a socket that nobody listens on any more, and only that.
    private static func unixSocket(_ path: String, _ name: String) throws(WatchError) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { bytes in
            for (index, byte) in path.utf8.prefix(bytes.count - 1).enumerated() {
                bytes[index] = byte
            }
        }
        func call(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
            withUnsafePointer(to: address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
        }
        let descriptor = open(AF_UNIX)
        guard descriptor >= 0 else { throw .listen(address: name, errno: errno) }
        var status = call { bind(descriptor, $0, $1) }
        if status != 0, errno == EADDRINUSE {
            let probe = open(AF_UNIX)
            let refused =
                probe >= 0 && call { connect(probe, $0, $1) } != 0 && errno == ECONNREFUSED
            if probe >= 0 { close(probe) }
            if refused {
                unlink(path)
                status = call { bind(descriptor, $0, $1) }
            } else {
                errno = EADDRINUSE
            }
        }
        guard status == 0, chmod(path, 0o660) == 0, Glibc.listen(descriptor, backlog) == 0 else {
            let reason = errno
            close(descriptor)
            throw .listen(address: name, errno: reason)
        }
        return descriptor
    }

    private static func open(_ family: Int32) -> Int32 {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        return socket(family, type | Int32(SOCK_CLOEXEC.rawValue), 0)
    }
}
