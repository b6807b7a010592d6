// SPDX-License-Identifier: Apache-2.0

import ReserveModel

// JSON by hand: keys are ours and known at compile time, values are numbers or foreign bytes.

extension ByteWriter {
    /// `"key":`, with the comma that the place wants.
    mutating func key(_ key: StaticString) {
        comma()
        byte(UInt8(ascii: "\""))
        text(key)
        text("\":")
    }

    /// A comma unless an object or array has just been opened.
    mutating func comma() {
        let last = bytes.last ?? UInt8(ascii: "{")
        if last != UInt8(ascii: "{"), last != UInt8(ascii: "["), last != UInt8(ascii: ":") {
            byte(UInt8(ascii: ","))
        }
    }

    mutating func open(_ name: StaticString) {
        key(name)
        byte(UInt8(ascii: "{"))
    }

    mutating func close() {
        byte(UInt8(ascii: "}"))
    }

    mutating func openArray(_ name: StaticString) {
        key(name)
        byte(UInt8(ascii: "["))
    }

    mutating func closeArray() {
        byte(UInt8(ascii: "]"))
    }

    mutating func element() {
        comma()
        byte(UInt8(ascii: "{"))
    }

    mutating func field(_ name: StaticString, _ value: UInt64) {
        key(name)
        number(value)
    }

    mutating func field(_ name: StaticString, _ value: UInt32) {
        field(name, UInt64(value))
    }

    mutating func field(_ name: StaticString, signed value: Int32) {
        key(name)
        number(Int64(value))
    }

    mutating func field(_ name: StaticString, signed64 value: Int64) {
        key(name)
        number(value)
    }

    mutating func field(_ name: StaticString, _ value: Bool) {
        key(name)
        text(value ? "true" : "false")
    }

    /// Counters that can pass 2^53, where many readers lose digits: as strings.
    mutating func field(_ name: StaticString, large value: UInt64) {
        key(name)
        byte(UInt8(ascii: "\""))
        number(value)
        byte(UInt8(ascii: "\""))
    }

    mutating func field(_ name: StaticString, word: StaticString) {
        key(name)
        byte(UInt8(ascii: "\""))
        text(word)
        byte(UInt8(ascii: "\""))
    }

    mutating func field(_ name: StaticString, foreign value: some ForeignBytes) {
        key(name)
        byte(UInt8(ascii: "\""))
        json(foreign: value)
        byte(UInt8(ascii: "\""))
    }

    /// Only where it is known.
    mutating func field(_ name: StaticString, known value: UInt64?) {
        if let value { field(name, value) }
    }

    mutating func field(_ name: StaticString, microseconds nanoseconds: UInt64) {
        field(name, nanoseconds / 1000)
    }

    mutating func field(_ name: StaticString, _ buckets: LatencyBuckets) {
        openArray(name)
        for index in 0..<24 {
            comma()
            number(buckets[index])
        }
        closeArray()
    }
}
