// SPDX-License-Identifier: Apache-2.0

import ReserveRecord
import Testing

@Suite struct TimePointTests {
    private static let second: Int64 = 1_000_000_000

    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-11-25T07:10:48Z", 1_795_590_648),
        ("2026-11-25T09:10:48+02:00", 1_795_590_648),
        ("2026-11-25 02:40:48-04:30", 1_795_590_648),
        ("2028-02-29T23:59:59z", 1_835_481_599),
    ])
    func anRFC3339TimeIsRead(text: String, seconds: Int64) {
        #expect(TimePoint(text) == .absolute(seconds * Self.second))
    }

    @Test func fractionsAreReadToTheNanosecond() {
        #expect(
            TimePoint("1970-01-01T00:00:01.000000001Z") == .absolute(Self.second + 1))
        #expect(TimePoint("00:00:01.25") == .timeOfDay(1_250_000_000))
    }

    @Test func theOtherFormsAreRead() {
        #expect(TimePoint("07:10") == .timeOfDay((7 * 3600 + 600) * Self.second))
        #expect(TimePoint("07:10:48") == .timeOfDay((7 * 3600 + 648) * Self.second))
        #expect(TimePoint("+12.5s") == .afterBegin(12_500_000_000))
        #expect(TimePoint("+2m") == .afterBegin(120 * Self.second))
        #expect(TimePoint("-30s") == .beforeEnd(30 * Self.second))
        #expect(TimePoint("-500ms") == .beforeEnd(500_000_000))
        #expect(TimePoint("-30") == .beforeEnd(30 * Self.second))
    }

    @Test(arguments: [
        "", "+", "-", "yesterday", "+12.5x", "+1.s", "+.5s", "+1e9s", "25:00", "07:60", "7:10",
        "07:10:61", "07:10:48.", "07:10:48.1234567890", "2026-11-25", "2026-11-25T07:10:48",
        "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-11-25T07:10Z",
        "2026-11-25T07:10:48Zx", "2026-11-25T07:10:48+2:00", "+99999999999d", "+٣s", "--5s",
    ])
    func whatIsNoTimeIsRefused(text: String) {
        #expect(TimePoint(text) == nil)
    }

    @Test func momentsAreFoundInARecording() {
        // 2026-11-25T23:59:00Z, for five minutes: past midnight.
        let begin = 1_795_651_140 * Self.second
        let end = begin + 300 * Self.second
        func at(_ text: String) -> Int64? {
            TimePoint(text)?.resolved(begin: begin, end: end)
        }
        #expect(at("+12s") == begin + 12 * Self.second)
        #expect(at("-30s") == end - 30 * Self.second)
        #expect(at("23:59:30") == begin + 30 * Self.second)
        #expect(at("00:01") == begin + 120 * Self.second)
    }

    /// A recording may say that it begins at any time.
    @Test(arguments: [Int64.min, .min + 1, .max]) func noBeginIsTooFarAway(begin: Int64) {
        for text in ["00:00", "23:59:59", "+7d", "-7d"] {
            let point = TimePoint(text)
            #expect(point != nil)
            _ = point?.resolved(begin: begin, end: begin)
        }
    }
}
