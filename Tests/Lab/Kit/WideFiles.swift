// SPDX-License-Identifier: Apache-2.0

import Foundation

extension Snapshot {
    /// Sums of a histogram trigger (Documentation/trace/histogram.rst), by the key's number.
    public func histogram(_ event: String) -> [Int: Histogram]? {
        files["/sys/kernel/tracing/events/\(event)/hist"].map(Histogram.parse)
    }

    /// num_slabs of /proc/slabinfo, by cache.
    public func slabs() -> [String: Int]? {
        guard let text = files["/proc/slabinfo"] else { return nil }
        var slabs: [String: Int] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            // name active_objs num_objs objsize ... : slabdata <active_slabs> <num_slabs> ...
            guard let place = words.firstIndex(of: "slabdata"), place + 2 < words.count,
                let count = Int(words[place + 2])
            else { continue }
            slabs[String(words[0])] = count
        }
        return slabs
    }

    /// Blocks of type HighAtomic in /proc/pagetypeinfo, in pages, by "node/zone".
    public func highAtomicPages() -> [String: Int]? {
        guard let text = files["/proc/pagetypeinfo"] else { return nil }
        var pages: [String: Int] = [:]
        var perBlock = 0
        var column: Int?
        for line in text.split(separator: "\n") {
            let words = line.split(whereSeparator: { " ,:\t".contains($0) }).map(String.init)
            if line.hasPrefix("Pages per block") { perBlock = words.last.flatMap(Int.init) ?? 0 }
            if line.hasPrefix("Number of blocks type") {
                column = words.firstIndex(of: "HighAtomic").map { $0 - 4 }
            } else if let column, words.first == "Node", words.count > 4 + column,
                let blocks = Int(words[4 + column])
            {
                pages["\(words[1])/\(words[3])"] = blocks * perBlock
            }
        }
        return pages
    }

    /// The total of "some" in /proc/pressure/memory, in microseconds.
    public func memoryPressure() -> Int? {
        files["/proc/pressure/memory"]?.split(separator: "\n").first { $0.hasPrefix("some") }?
            .split(separator: " ").last.flatMap { Int($0.dropFirst("total=".count)) }
    }

    public func sockets() -> [TCPFigures]? { files["sock_diag"].map(TCPFigures.parse) }
}

public struct Histogram: Equatable, Sendable {
    public var hits = 0
    /// The sum of the trigger's one value, where it has one.
    public var sum: Int?

    /// "{ reason:          1 } hitcount:         48  usec_delayed:      12345"
    static func parse(_ text: String) -> [Int: Histogram] {
        var found: [Int: Histogram] = [:]
        for line in text.split(separator: "\n") where line.hasPrefix("{") {
            let words = line.split(whereSeparator: { " {}:".contains($0) }).map(String.init)
            guard words.count >= 4, let key = Int(words[1]), words[2] == "hitcount",
                let hits = Int(words[3])
            else { continue }
            found[key] = Histogram(hits: hits, sum: words.count >= 6 ? Int(words[5]) : nil)
        }
        return found
    }
}

/// One TCP socket as sock_diag(7) tells it.
public struct TCPFigures: Equatable, Sendable {
    public var localPort = 0
    public var peerPort = 0
    public var state = 0
    public var figures: [String: Int] = [:]

    static func parse(_ text: String) -> [TCPFigures] {
        text.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 14, words[0] == "tcp", let local = Int(words[1]),
                let peer = Int(words[2]), let state = Int(words[3])
            else { return nil }
            var socket = TCPFigures()
            socket.localPort = local
            socket.peerPort = peer
            socket.state = state
            for place in stride(from: 4, to: 14, by: 2) {
                socket.figures[words[place]] = Int(words[place + 1])
            }
            return socket
        }
    }
}
