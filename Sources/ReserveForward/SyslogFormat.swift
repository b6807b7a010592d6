// SPDX-License-Identifier: Apache-2.0

import ReserveSinks

/// Messages of RFC 5424, with the alert's figures as structured data.
struct SyslogFormat: Sendable {
    /// Numbers of RFC 5424, table 1.
    static let facilities: [(name: String, number: Int)] =
        [("user", 1), ("daemon", 3), ("syslog", 5)] + (0..<8).map { ("local\($0)", 16 + $0) }

    var facility = 3
    var labels: [(String, String)] = []
    /// Over TCP and TLS: each begins with its length (RFC 6587, 3.4.1; RFC 5425, 4.3).
    var isCounted = false

    /// The number behind the @ is what IANA keeps for examples: the project has none of its own.
    static let structuredName = "reservewatch@32473"
    /// What receivers are asked to take is 2 KiB, what they do take at least four times that.
    static let longestBytes = 8192

    func bytes(_ event: AlertEvent, _ delivery: Delivery) -> [UInt8] {
        let priority = facility * 8 + event.priority
        // No more than six digits of a second.
        let time = "\(timestamp(event.time).dropLast(4))Z"
        let host = Self.name(event.host, 255)
        var text = "<\(priority)>1 \(time) \(host) reservewatch - alert [\(Self.structuredName)"
        let parameters =
            event.fields(delivery).map { ($0.0.lowercased(), $0.1) }
            + labels.map { ("label_\($0.0)", $0.1) }
        for (name, value) in parameters {
            text += " \(Self.name(name, 32))=\"\(Self.value(value))\""
        }
        text += "] \u{feff}\(event.sentence)"
        var bytes = Array(text.utf8)
        if bytes.count > Self.longestBytes {
            bytes.removeLast(bytes.count - Self.longestBytes)
            // Whole characters only.
            while let last = bytes.last, last & 0xc0 == 0x80 { bytes.removeLast() }
            if let last = bytes.last, last >= 0xc0 { bytes.removeLast() }
        }
        return isCounted ? Array("\(bytes.count) ".utf8) + bytes : bytes
    }

    /// Printable ASCII without what ends a name.
    private static func name(_ text: String, _ longest: Int) -> String {
        let bytes = text.utf8.prefix(longest).map { byte in
            byte > 0x20 && byte < 0x7f && byte != 0x3d && byte != 0x5d && byte != 0x22
                ? byte : UInt8(ascii: "_")
        }
        return bytes.isEmpty ? "-" : String(decoding: bytes, as: UTF8.self)
    }

    /// What has a meaning within quotes, with a backslash; no line ends.
    private static func value(_ text: String) -> String {
        var escaped = ""
        for scalar in plainText(text).unicodeScalars {
            if scalar == "\"" || scalar == "\\" || scalar == "]" { escaped.append("\\") }
            escaped.unicodeScalars.append(scalar)
        }
        return escaped
    }
}

/// Where syslog messages go.
enum SyslogAddress: Equatable, Sendable {
    case datagram(DatagramAddress)
    /// "HOST:PORT"
    case stream(String, isTLS: Bool)

    static let usual = SyslogAddress.datagram(.unix("/dev/log"))

    /// `unix:/dev/log`, `udp:192.0.2.7:514`, `tcp:logs.example:601`, `tls:logs.example:6514`.
    init?(_ text: String) {
        guard let colon = text.firstIndex(of: ":") else { return nil }
        let rest = String(text[text.index(after: colon)...])
        switch text[..<colon] {
        case "unix":
            guard rest.hasPrefix("/"), rest.utf8.count < 108 else { return nil }
            self = .datagram(.unix(rest))
        case "udp":
            guard let address = DatagramAddress(internet: rest) else { return nil }
            self = .datagram(address)
        case "tcp", "tls":
            let isTLS = text.hasPrefix("tls")
            guard HTTPAddress.problem("\(isTLS ? "https" : "http")://\(rest)") == nil,
                !rest.contains("/"), !rest.contains("?"), Self.hasPort(rest)
            else { return nil }
            self = .stream(rest, isTLS: isTLS)
        default: return nil
        }
    }

    private static func hasPort(_ text: String) -> Bool {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[colon...].dropFirst())
        else { return false }
        return port > 0
    }

    /// What may be shown.
    var text: String {
        switch self {
        case .datagram(.unix(let path)): return path
        case .datagram(.internet(let host, let port, let isIPv6)):
            return isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .stream(let text, _): return text
        }
    }
}

extension DatagramAddress {
    /// In numbers: datagrams have nobody who would resolve a name beside the loop.
    init?(internet text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[colon...].dropFirst()),
            port > 0
        else { return nil }
        var host = String(text[..<colon])
        let isIPv6 = host.hasPrefix("[") && host.hasSuffix("]")
        if isIPv6 { host = String(host.dropFirst().dropLast()) }
        guard Self.isAddress(host, isIPv6: isIPv6) else { return nil }
        self = .internet(host: host, port: port, isIPv6: isIPv6)
    }
}
