// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Where datagrams go.
enum DatagramAddress: Equatable, Sendable {
    case unix(String)
    case internet(host: String, port: UInt16, isIPv6: Bool)
}

/// A socket that takes a message whole or not at all, and answers nothing: delivered is what our
/// kernel took. A local one is then in the queue of who reads it.
final class DatagramTransport: Transport {
    private let address: DatagramAddress
    private var descriptor: Int32 = -1

    init(_ address: DatagramAddress) { self.address = address }

    deinit { abandon() }

    func start(_ message: Message, now: UInt64) -> Outcome? {
        // Twice: what stood at the other end may have been started anew.
        for attempt in 0..<2 {
            if descriptor < 0 {
                let failure = connect()
                if failure != 0 { return .failed(.noConnection, words(failure)) }
            }
            let count = message.bytes.withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count == message.bytes.count { return .delivered }
            let failure = errno
            switch failure {
            case EAGAIN, ENOBUFS:
                return .failed(.busy, "nobody takes what is sent there: \(words(failure))")
            case EMSGSIZE:
                return .refused("\(message.bytes.count) bytes are more than fit into a datagram")
            default:
                abandon()
                if attempt == 1 { return .failed(.noConnection, words(failure)) }
            }
        }
        return nil
    }

    func outcome(now: UInt64) -> Outcome? { nil }

    func abandon() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
    }

    /// - Returns: an errno, or 0.
    private func connect() -> Int32 {
        var storage = sockaddr_storage()
        var size = 0
        withUnsafeMutableBytes(of: &storage) { bytes in
            switch address {
            case .unix(let path):
                var local = sockaddr_un()
                local.sun_family = sa_family_t(AF_UNIX)
                withUnsafeMutableBytes(of: &local.sun_path) { place in
                    for (index, byte) in path.utf8.prefix(place.count - 1).enumerated() {
                        place[index] = byte
                    }
                }
                bytes.storeBytes(of: local, as: sockaddr_un.self)
                size = MemoryLayout<sockaddr_un>.size
            case .internet(let host, let port, isIPv6: false):
                var internet = sockaddr_in()
                internet.sin_family = sa_family_t(AF_INET)
                internet.sin_port = port.bigEndian
                inet_pton(AF_INET, host, &internet.sin_addr)
                bytes.storeBytes(of: internet, as: sockaddr_in.self)
                size = MemoryLayout<sockaddr_in>.size
            case .internet(let host, let port, isIPv6: true):
                var internet = sockaddr_in6()
                internet.sin6_family = sa_family_t(AF_INET6)
                internet.sin6_port = port.bigEndian
                inet_pton(AF_INET6, host, &internet.sin6_addr)
                bytes.storeBytes(of: internet, as: sockaddr_in6.self)
                size = MemoryLayout<sockaddr_in6>.size
            }
        }
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        descriptor = socket(Int32(storage.ss_family), type | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return errno }
        let status = withUnsafeBytes(of: &storage) {
            $0.baseAddress.map {
                Glibc.connect(
                    descriptor, $0.assumingMemoryBound(to: sockaddr.self), socklen_t(size))
            } ?? -1
        }
        guard status == 0 else {
            let failure = errno
            abandon()
            return failure
        }
        return 0
    }
}

extension DatagramAddress {
    static func isAddress(_ host: String, isIPv6: Bool) -> Bool {
        if isIPv6 {
            var address = in6_addr()
            return inet_pton(AF_INET6, host, &address) == 1
        }
        var address = in_addr()
        return inet_pton(AF_INET, host, &address) == 1
    }
}
