// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// Bytes that somebody else chose: a process's name, a path. They reach a sink only
/// through here, so that they cannot break JSON, end a line or steer a terminal.
package protocol ForeignBytes {
    var count: Int { get }
    subscript(index: Int) -> UInt8 { get }
}

extension FixedName: ForeignBytes {}
extension FixedText: ForeignBytes {}

extension ByteWriter {
    /// As the inside of a JSON string: quotes, backslashes and control characters escaped,
    /// what is no UTF-8 replaced by U+FFFD, one for each byte.
    package mutating func json(foreign text: some ForeignBytes) {
        var index = 0
        while index < text.count {
            let value = text[index]
            if value == UInt8(ascii: "\"") || value == UInt8(ascii: "\\") {
                byte(UInt8(ascii: "\\"))
                byte(value)
                index += 1
            } else if value < 0x20 || value == 0x7f {
                self.text("\\u00")
                byte(Self.hexDigit(value >> 4))
                byte(Self.hexDigit(value & 15))
                index += 1
            } else {
                index += scalar(text, at: index, replacement: "\\ufffd")
            }
        }
    }

    /// For a terminal or a log: printable characters only, anything else as "?".
    package mutating func plain(foreign text: some ForeignBytes) {
        var index = 0
        while index < text.count {
            let value = text[index]
            if value < 0x20 || value == 0x7f {
                byte(UInt8(ascii: "?"))
                index += 1
            } else {
                index += scalar(text, at: index, replacement: "?")
            }
        }
    }

    /// Writes the UTF-8 scalar at `index`, or the replacement for a byte that starts none.
    ///
    /// C1 controls and the direction and line separators count as hostile too.
    ///
    /// - Returns: bytes taken.
    mutating func scalar(
        _ text: some ForeignBytes, at index: Int, replacement: StaticString
    ) -> Int {
        let first = text[index]
        if first < 0x80 {
            byte(first)
            return 1
        }
        let length = first >= 0xf0 && first <= 0xf4 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0
        guard length > 0, first <= 0xf4, index + length <= text.count else {
            self.text(replacement)
            return 1
        }
        var value = UInt32(first) & (0x7f >> UInt32(length))
        for offset in 1..<length {
            let next = text[index + offset]
            guard next & 0xc0 == 0x80 else {
                self.text(replacement)
                return 1
            }
            value = value << 6 | UInt32(next & 0x3f)
        }
        let tooLong = length == 3 && value < 0x800 || length == 4 && value < 0x10000
        let surrogate = value >= 0xd800 && value <= 0xdfff
        if tooLong || surrogate || value > 0x10ffff {
            self.text(replacement)
            return 1
        }
        let hostile =
            value < 0xa0 || value >= 0x2028 && value <= 0x202e || value >= 0x2066 && value <= 0x2069
            || value == 0x200e || value == 0x200f || value == 0x61c || value == 0xfeff
        if hostile {
            self.text(replacement)
            return length
        }
        for offset in 0..<length { byte(text[index + offset]) }
        return length
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }
}
