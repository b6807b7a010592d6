// SPDX-License-Identifier: Apache-2.0

/// As much of HTTP/1.1 as a scrape needs: the head of a request, read from its bytes.
public struct HTTPRequest: Equatable, Sendable {
    public enum Method: Equatable, Sendable {
        case get
        case head
        case other
    }

    /// What the bytes are so far.
    public enum Parsed: Equatable, Sendable {
        case incomplete
        case request(HTTPRequest)
        /// Not HTTP/1: the status to answer with.
        case refused(Int)
    }

    public var method: Method
    /// Without the query.
    public var path: String
    public var accept: String

    /// A head that is longer is refused.
    public static let longestHeadBytes = 8192

    public static func parse(_ bytes: [UInt8]) -> Parsed {
        guard let end = endOfHead(bytes) else {
            return bytes.count >= longestHeadBytes ? .refused(431) : .incomplete
        }
        guard end <= longestHeadBytes else { return .refused(431) }
        var lines = bytes[..<end].split(separator: UInt8(ascii: "\n"))[...]
        guard let first = lines.popFirst() else { return .refused(400) }
        let words = trimmed(first).split(
            separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard words.count == 3, let target = words[1].first, target == UInt8(ascii: "/"),
            words[1].allSatisfy({ $0 > 0x20 && $0 < 0x7f })
        else { return .refused(400) }
        let version = String(decoding: words[2], as: UTF8.self)
        guard version == "HTTP/1.1" || version == "HTTP/1.0" else {
            return .refused(version.hasPrefix("HTTP/") ? 505 : 400)
        }
        let method: Method
        switch String(decoding: words[0], as: UTF8.self) {
        case "GET": method = .get
        case "HEAD": method = .head
        default: method = .other
        }
        let path = words[1].prefix { $0 != UInt8(ascii: "?") }
        var accept: [String] = []
        for line in lines {
            let line = trimmed(line)
            guard !line.isEmpty else { continue }
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex else {
                return .refused(400)
            }
            let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
            if name == "accept" {
                accept.append(String(decoding: trimmed(line[(colon + 1)...]), as: UTF8.self))
            }
        }
        return .request(
            HTTPRequest(
                method: method, path: String(decoding: path, as: UTF8.self),
                accept: accept.joined(separator: ",")))
    }

    /// Behind the empty line; nil: it has not come.
    private static func endOfHead(_ bytes: [UInt8]) -> Int? {
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "\n") {
                if index + 1 < bytes.count, bytes[index + 1] == UInt8(ascii: "\n") {
                    return index + 2
                }
                if index + 2 < bytes.count, bytes[index + 1] == UInt8(ascii: "\r"),
                    bytes[index + 2] == UInt8(ascii: "\n")
                {
                    return index + 3
                }
            }
            index += 1
        }
        return nil
    }

    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0d }
        var bytes = bytes
        while let first = bytes.first, isBlank(first) { bytes.removeFirst() }
        while let last = bytes.last, isBlank(last) { bytes.removeLast() }
        return bytes
    }
}

extension MetricsFormat {
    /// The format that an Accept header likes best; text where it likes neither.
    public static func negotiated(accept: String) -> MetricsFormat {
        var best = (format: MetricsFormat.text, quality: 0)
        for range in accept.split(separator: ",") {
            let parts = range.split(separator: ";").map(trimmed)
            guard let type = parts.first?.lowercased() else { continue }
            var quality = 1000
            var version = ""
            for part in parts.dropFirst() {
                let pair = part.split(separator: "=", maxSplits: 1).map(trimmed)
                guard pair.count == 2 else { continue }
                switch pair[0].lowercased() {
                case "q": quality = thousandths(pair[1])
                case "version": version = String(pair[1])
                default: break
                }
            }
            let format: MetricsFormat
            switch (type, version) {
            case ("application/openmetrics-text", ""), ("application/openmetrics-text", "1.0.0"):
                format = .openmetrics
            case ("text/plain", ""), ("text/plain", "0.0.4"), ("text/*", _), ("*/*", _):
                format = .text
            default: continue
            }
            if quality > best.quality { best = (format, quality) }
        }
        return best.format
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }

    /// "0.75" as 750; what is no such number counts for nothing.
    private static func thousandths(_ text: Substring) -> Int {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let whole = Int(parts[0]), (0...1).contains(whole)
        else { return 0 }
        guard parts.count == 2 else { return whole * 1000 }
        let digits = (parts[1] + "000").prefix(3)
        guard let rest = Int(digits), rest >= 0 else { return 0 }
        return min(whole * 1000 + rest, 1000)
    }
}
