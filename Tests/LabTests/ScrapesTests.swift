// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit
import Testing

@Suite struct ScrapesTests {
    private func parse(_ text: String) -> Scrapes? { Scrapes(json: Data(text.utf8)) }

    /// As promtool writes it.
    private let answer = """
        [{"metric":{"__name__":"up","instance":"a","job":"reservewatch"},
          "values":[[10.5,"1"],[15.5,"0"],[20.5,"1"]]},
         {"metric":{"__name__":"reservewatch_zone_free_bytes","instance":"a","zone":"DMA"},
          "values":[[10.5,"4096"],[20.5,"8192"]]},
         {"metric":{"__name__":"reservewatch_zone_free_bytes","instance":"a","zone":"DMA32"},
          "values":[[10.5,"1.5e+06"]]}]
        """

    @Test func eachScrapeHasWhatItBrought() throws {
        let scrapes = try #require(parse(answer))
        #expect(scrapes.scrapes.map(\.isGood) == [true, false, true])
        #expect(scrapes.good == [10.5, 20.5])
        let name = "reservewatch_zone_free_bytes"
        #expect(scrapes.value(name, ["zone": "DMA"], at: 20.5) == 8192)
        #expect(scrapes.value(name, ["zone": "DMA32"], at: 10.5) == 1_500_000)
        #expect(scrapes.value(name, ["zone": "DMA32"], at: 20.5) == nil)
        #expect(scrapes.value("reservewatch_no_such_metric", at: 10.5) == nil)
        #expect(scrapes.most(name) == 1_500_000)
    }

    @Test(arguments: ["", "[", "{}", "[{\"metric\":{}}]", "[{\"metric\":{},\"values\":[[1]]}]"])
    func whatIsNoAnswerIsNone(text: String) {
        #expect(parse(text) == nil)
    }

    private let summaries: [[String: Any]] = [10, 20, 30].map { beats in
        [
            "agent": ["beats": beats], "nbd": [["issued": beats * 7]],
            "large": ["figure": "\(beats)"],
        ]
    }

    @Test func aPageOfASummarysMomentIsHeldAgainstItAlone() throws {
        let bracket = try #require(SummaryBracket(summaries, beats: 20))
        let exact = try #require(bracket.range("nbd.0.issued"))
        #expect(exact == (140, 140))
        // What goes on after the totals may be as far as the next one.
        let goesOn = try #require(bracket.range("nbd.0.issued", goesOn: true))
        #expect(goesOn == (140, 210))
        // Large numbers are strings.
        let large = try #require(bracket.range("large.figure"))
        #expect(large == (20, 20))
        #expect(bracket.range("nbd.1.issued") == nil)
        #expect(bracket.range("agent.nothing") == nil)
    }

    @Test func aPageBetweenTwoLiesWithinBoth() throws {
        let bracket = try #require(SummaryBracket(summaries, beats: 14))
        let range = try #require(bracket.range("nbd.0.issued"))
        #expect(range == (70, 140))
        #expect(SummaryBracket(summaries, beats: 9) == nil)
        #expect(SummaryBracket(summaries, beats: 31) == nil)
    }
}
