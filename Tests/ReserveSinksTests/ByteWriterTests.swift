// SPDX-License-Identifier: Apache-2.0

import ReserveModel
import Testing

@testable import ReserveSinks

private func written(_ body: (inout ByteWriter) -> Void) -> String {
    var writer = ByteWriter(capacityBytes: 1024)
    body(&writer)
    return String(decoding: writer.bytes, as: UTF8.self)
}

private func name(_ bytes: [UInt8]) -> FixedName {
    bytes.withUnsafeBytes { FixedName(bytes: $0) }
}

@Suite struct ByteWriterTests {
    @Test func numbersAreDecimal() {
        #expect(written { $0.number(UInt64(0)) } == "0")
        #expect(written { $0.number(UInt64.max) } == "18446744073709551615")
        #expect(written { $0.number(Int64.min) } == "-9223372036854775808")
        #expect(written { $0.hexadecimal(0x72800) } == "0x72800")
        #expect(written { $0.hexadecimal(0) } == "0x0")
    }

    @Test(arguments: [
        (Int64(0), "1970-01-01T00:00:00.000000000Z"),
        (951_782_400_000_000_001, "2000-02-29T00:00:00.000000001Z"),
        (1_795_488_767_123_456_789, "2026-11-24T02:52:47.123456789Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
    ])
    func timesAreRFC3339(nanoseconds: Int64, text: String) {
        #expect(written { $0.time(realNanoseconds: nanoseconds) } == text)
    }

    @Test func whatDoesNotFitIsGivenUpWhole() {
        var writer = ByteWriter(capacityBytes: 4)
        writer.text("12345")
        let isWholeTooLong = writer.isWhole
        writer.clear()
        writer.text("1234")
        let isWholeFitting = writer.isWhole
        #expect(!isWholeTooLong)
        #expect(isWholeFitting)
    }

    @Test func hostileNamesCannotBreakJSON() {
        #expect(
            written { $0.json(foreign: name([0x22, 0x5c, 0x0a, 0x1b])) } == #"\"\\\u000a\u001b"#)
        #expect(written { $0.json(foreign: name([0x61, 0xff, 0x62])) } == #"a\ufffdb"#)
        #expect(written { $0.json(foreign: name([0xc3])) } == #"\ufffd"#)
        #expect(written { $0.json(foreign: name([0xed, 0xa0, 0x80])) }.hasPrefix(#"\ufffd"#))
        #expect(written { $0.json(foreign: name(Array("grün".utf8))) } == "grün")
    }

    @Test func hostileNamesCannotSteerATerminal() {
        #expect(written { $0.plain(foreign: name(Array("\u{1b}[2Jx".utf8))) } == "?[2Jx")
        #expect(written { $0.plain(foreign: name([0xc2, 0x9b, 0x33])) } == "?3", "C1 control")
        #expect(written { $0.plain(foreign: name(Array("a\u{202e}b".utf8))) } == "a?b")
    }

    @Test func everyPairOfBytesGivesValidUTF8() {
        for first in UInt8.min...UInt8.max {
            for second in [UInt8(0x01), 0x22, 0x5c, 0x7f, 0x80, 0xbf, 0xc3, 0xe2, 0xf0, 0xff] {
                var writer = ByteWriter(capacityBytes: 64)
                writer.json(foreign: name([first, second]))
                let text = String(validating: Array(writer.bytes), as: UTF8.self)
                #expect(text != nil, "\(first) \(second)")
                #expect(text?.unicodeScalars.contains { $0.value < 0x20 } != true)
            }
        }
    }

    @Test func theLargestEightAreRankedInOrder() {
        var ranking = Ranking()
        for (index, value) in [3, 9, 1, 9, 7, 2, 8, 4, 6, 5].enumerated() {
            ranking.offer(UInt64(value), index)
        }
        #expect((0..<ranking.count).map { ranking.index(at: $0) } == [1, 3, 6, 4, 8, 9, 7, 0])
    }
}
