// SPDX-License-Identifier: Apache-2.0

/// Addresses of HTTP, looked at before libcurl sees them.
enum HTTPAddress {
    /// Why it is none that we would send to; nil: it is one.
    static func problem(_ url: String) -> String? {
        guard let rest = rest(of: url) else { return "it does not begin with http:// or https://" }
        guard url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            return "it has spaces, or characters that an address writes as %.."
        }
        guard !rest.contains("#") else { return "it has a fragment (#)" }
        let authority = authority(of: rest)
        guard !authority.contains("@") else {
            return "it has a user or a password in it; use User= and PasswordFile="
        }
        guard !authority.isEmpty, !authority.hasPrefix(":") else { return "it names no host" }
        return nil
    }

    /// Host and port, as it has them: what may be shown. The rest may be a secret.
    static func endpoint(_ url: String) -> String {
        rest(of: url).map { String(authority(of: $0)) } ?? ""
    }

    /// The address with a path behind its own, unless it ends with that already.
    static func joined(_ url: String, _ path: String) -> String {
        var base = Substring(url)
        while base.hasSuffix("/") { base = base.dropLast() }
        return base.hasSuffix(path) ? String(base) : base + path
    }

    /// Whether a secret may go there: over TLS, or to this host.
    static func keepsSecrets(_ url: String) -> Bool {
        if url.hasPrefix("https://") { return true }
        guard let rest = rest(of: url) else { return false }
        var host = authority(of: rest)
        if host.hasPrefix("[") {
            host = host.dropFirst().prefix { $0 != "]" }
        } else if let colon = host.lastIndex(of: ":") {
            host = host[..<colon]
        }
        return host == "localhost" || host == "::1" || isLoopback(host)
    }

    /// 127.0.0.0/8, written in full.
    private static func isLoopback(_ host: Substring) -> Bool {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    private static func rest(of url: String) -> Substring? {
        for scheme in ["http://", "https://"] where url.hasPrefix(scheme) {
            return url.dropFirst(scheme.count)
        }
        return nil
    }

    private static func authority(of rest: Substring) -> Substring {
        rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    }
}
