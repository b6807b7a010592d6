// SPDX-License-Identifier: Apache-2.0

import Foundation
import ReserveModel
import Testing

@testable import ReserveSinks

@Suite struct SummaryLinesTests {
    private let summary = Notice(
        bootNanoseconds: 1_000_000_000, severity: .info,
        body: .summary(isFinal: false, intervalNanoseconds: 1_000_000_000))

    private func picture(waitersKnown: [Bool]) -> Picture {
        var picture = Picture()
        picture.counters = CounterTotals()
        picture.counters?.kernel.pgscanDirectThrottle = 9
        for (index, isKnown) in waitersKnown.enumerated() {
            var node = NodeSample()
            node.node = UInt32(index)
            node.throttleWaiters = isKnown ? 2 : 65
            node.waitersKnown = isKnown
            picture.nodes.append(node)
        }
        return picture
    }

    private func throttle(_ picture: Picture) throws -> [String: Any] {
        var lines = JSONLines()
        var line = Data()
        lines.write(summary, picture: picture) { line = Data($0) }
        let object = try JSONSerialization.jsonObject(with: line) as? [String: Any]
        let body = object?["summary"] as? [String: Any]
        return try #require(body?["throttle"] as? [String: Any])
    }

    private func text(_ picture: Picture) -> String {
        var lines = TextLines()
        var line = ""
        lines.write(summary, picture: picture) { line = String(decoding: $0, as: UTF8.self) }
        return line
    }

    /// Recordings are input.
    @Test func figuresAsLargeAsCanBeEndNothing() {
        var picture = picture(waitersKnown: [true])
        picture.host = HostFacts()
        picture.host?.pageSizeBytes = 4096
        picture.nodes[0].freePages = .max
        picture.nodes[0].pfmemallocReservePages = .max
        picture.nodes[0].throttleLinePages = 1 << 63
        picture.nodes[0].lowestFreePages = .max
        #expect(text(picture).contains("free 18446744073709551615 kB"))
    }

    /// The walk over the waiters ends after 64: then their number is a least one, and no sum.
    @Test func whoIsNotCountedToTheEndIsNotSummed() throws {
        #expect(try throttle(picture(waitersKnown: [true, true]))["waiting_now"] as? Int == 4)
        #expect(try throttle(picture(waitersKnown: [true, false]))["waiting_now"] == nil)
        #expect(text(picture(waitersKnown: [true])).contains("throttle 9 (0 now)"))
        #expect(text(picture(waitersKnown: [false])).contains("throttle 9 (? now)"))
    }
}
