// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ReserveSinks

@Suite struct JSONDocumentTests {
    private func text(_ document: JSONDocument) -> String {
        String(decoding: document.bytes, as: UTF8.self)
    }

    @Test func membersAndElementsAreSeparated() {
        let document = JSONDocument.object([
            ("a", .array([.number(1), .signed(-2), .array([]), .object([])])),
            ("b", .object([("c", .string("{")), ("d", .bool(true))])), ("e", .string("")),
        ])
        #expect(
            text(document) == "{\"a\":[1,-2,[],{}],\"b\":{\"c\":\"{\",\"d\":true},\"e\":\"\"}\n")
    }

    @Test func whatIsNotKnownIsLeftOut() {
        #expect(text(.known([("a", nil), ("b", .number(2))])) == "{\"b\":2}\n")
    }

    @Test func hostileTextStaysInside() {
        #expect(
            text(.array([.string("\"\\\u{1b}\n\u{202e}")]))
                == "[\"\\\"\\\\\\u001b\\u000a\\ufffd\"]\n")
        #expect(plainText("a\u{1b}[2J\nb\u{85}ü") == "a?[2J?b?ü")
    }

    @Test func aLargeDocumentIsWhole() {
        let long = String(repeating: "x", count: 300_000)
        #expect(text(.array([.string(long), .string(long)])).utf8.count == 600_008)
    }
}
