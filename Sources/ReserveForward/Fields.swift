// SPDX-License-Identifier: Apache-2.0

/// What the queue keeps: one `name=value` a line. Values are single lines of their own nature
/// (JSON escapes line ends, text for people has none); one that is not is made so.
struct Fields {
    private(set) var bytes: [UInt8] = []
    private var values: [Substring: Substring] = [:]

    init() {}

    /// Reads such lines; what is none is passed over. The first of a name counts.
    init(_ bytes: UnsafeRawBufferPointer) {
        let text = String(decoding: bytes, as: UTF8.self)
        for line in text.split(separator: "\n") {
            guard let equals = line.firstIndex(of: "=") else { continue }
            let name = line[..<equals]
            if values[name] == nil { values[name] = line[line.index(after: equals)...] }
        }
        self.bytes = [UInt8](bytes)
    }

    mutating func add(_ name: String, _ value: String) {
        bytes += name.utf8
        bytes.append(UInt8(ascii: "="))
        for byte in value.utf8 { bytes.append(byte == 10 || byte == 13 ? UInt8(ascii: " ") : byte) }
        bytes.append(UInt8(ascii: "\n"))
    }

    mutating func add(_ name: String, _ value: some BinaryInteger) { add(name, "\(value)") }

    mutating func add(_ name: String, known value: (some BinaryInteger)?) {
        if let value { add(name, value) }
    }

    func text(_ name: String) -> String? { values[name[...]].map(String.init) }
    func number<Number: FixedWidthInteger>(_ name: String) -> Number? {
        values[name[...]].flatMap { Number($0) }
    }
}
