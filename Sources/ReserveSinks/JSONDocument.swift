// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// A JSON document made at leisure, such as a command's answer. The stream's lines are not made
/// so: this allocates. Keys are ours, strings may be anybody's.
public indirect enum JSONDocument {
    case object([(String, JSONDocument)])
    case array([JSONDocument])
    case string(String)
    case number(UInt64)
    case signed(Int64)
    case bool(Bool)

    /// Members whose value is known: what is not known is left out, not null.
    public static func known(_ members: [(String, JSONDocument?)]) -> JSONDocument {
        .object(members.compactMap { member in member.1.map { (member.0, $0) } })
    }

    /// The whole document in bytes, with a newline.
    public var bytes: [UInt8] {
        var capacity = 64 * 1024
        while true {
            var writer = ByteWriter(capacityBytes: capacity)
            write(into: &writer)
            writer.byte(UInt8(ascii: "\n"))
            if writer.isWhole { return Array(writer.bytes) }
            capacity *= 4
        }
    }

    private func write(into writer: inout ByteWriter) {
        switch self {
        case .object(let members):
            writer.byte(UInt8(ascii: "{"))
            for (name, value) in members {
                writer.comma()
                writer.string(name)
                writer.byte(UInt8(ascii: ":"))
                value.write(into: &writer)
            }
            writer.close()
        case .array(let elements):
            writer.byte(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { writer.byte(UInt8(ascii: ",")) }
                element.write(into: &writer)
            }
            writer.closeArray()
        case .string(let text):
            writer.string(text)
        case .number(let value): writer.number(value)
        case .signed(let value): writer.number(value)
        case .bool(let value): writer.text(value ? "true" : "false")
        }
    }
}

extension ByteWriter {
    fileprivate mutating func string(_ text: String) {
        byte(UInt8(ascii: "\""))
        json(foreign: ForeignText(text))
        byte(UInt8(ascii: "\""))
    }
}

/// Text of somebody else's, made fit for a terminal: one line, nothing that steers it.
public func plainText(_ text: String) -> String {
    // A replaced byte is one "?"; nothing gets longer.
    var writer = ByteWriter(capacityBytes: text.utf8.count)
    writer.plain(foreign: ForeignText(text))
    return String(decoding: writer.bytes, as: UTF8.self)
}

/// A string's bytes, as those that somebody else chose.
private struct ForeignText: ForeignBytes {
    private let bytes: [UInt8]

    init(_ text: String) {
        bytes = Array(text.utf8)
    }

    var count: Int { bytes.count }
    subscript(index: Int) -> UInt8 { bytes[index] }
}
