// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ReserveRecord

/// Bytes as people write them: `64M`, `1.5G`, `65536`; K, M, G and T are powers of 1024.
struct ByteCount: ExpressibleByArgument {
    let bytes: UInt64

    init(bytes: UInt64) { self.bytes = bytes }

    init?(argument: String) {
        var text = Substring(argument)
        for unit in ["iB", "B"] where text.hasSuffix(unit) {
            text = text.dropLast(unit.count)
            break
        }
        let powers: [Character: Double] = ["K": 1, "M": 2, "G": 3, "T": 4]
        var scale = 1.0
        if let last = text.last, let power = powers[Character(last.uppercased())] {
            text = text.dropLast()
            for _ in 0..<Int(power) { scale *= 1024 }
        }
        guard let first = text.first, first.isNumber, let number = Double(text) else {
            return nil
        }
        let bytes = number * scale
        guard bytes.isFinite, bytes <= 1e18 else { return nil }
        self.bytes = UInt64(bytes)
    }

    var defaultValueDescription: String {
        for (unit, shift) in [("G", 30), ("M", 20), ("K", 10)] as [(String, UInt64)]
        where bytes >= 1 << shift && bytes & ((1 << shift) - 1) == 0 {
            return "\(bytes >> shift)\(unit)"
        }
        return "\(bytes)"
    }
}

/// A duration as people write it: `90`, `12.5s`, `10m`, `1h`, `7d`.
struct TimeSpan: ExpressibleByArgument {
    let nanoseconds: UInt64

    init(seconds: UInt64) { nanoseconds = seconds * 1_000_000_000 }

    init?(argument: String) {
        guard let nanoseconds = TimePoint.duration(argument) else { return nil }
        self.nanoseconds = UInt64(nanoseconds)
    }

    var defaultValueDescription: String {
        let seconds = nanoseconds / 1_000_000_000
        if seconds > 0, seconds % 3600 == 0 { return "\(seconds / 3600)h" }
        return "\(seconds)s"
    }
}
