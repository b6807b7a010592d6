// SPDX-License-Identifier: Apache-2.0

import ReserveModel
import ReserveSinks

// Small texts of a report. A report is made offline: here strings may be made.

/// What `body` writes, as a string.
func written(
    capacityBytes: Int = 512, _ body: (inout ByteWriter) -> Void
) -> String {
    var writer = ByteWriter(capacityBytes: capacityBytes)
    body(&writer)
    return String(decoding: writer.bytes, as: UTF8.self)
}

/// A name that a process chose, without what could steer a terminal.
func plain(_ text: some ForeignBytes) -> String {
    written(capacityBytes: 4 * text.count + 8) { $0.plain(foreign: text) }
}

func durationText(_ nanoseconds: UInt64) -> String {
    nanoseconds == 0 ? "0" : written { $0.duration(nanoseconds) }
}

/// "1.234" seconds.
func secondsText(_ nanoseconds: UInt64) -> String {
    "\(nanoseconds / 1_000_000_000)."
        + written { $0.padded(nanoseconds / 1_000_000 % 1000, width: 3) }
}

/// "?" where it is not known: unknown is not zero.
func knownText(_ value: UInt64?) -> String { value.map { "\($0)" } ?? "?" }

/// The upper bound of a bucket of latencies: "< 32 ms".
func bucketText(_ bucket: Int) -> String {
    if bucket >= 23 { return ">= " + durationText((1 << 23) * 1000) }
    return "< " + durationText((UInt64(1) << UInt64(bucket + 1)) * 1000)
}

/// The bucket in which the given share (of 1000) of all durations is reached; nil: none were.
func bucket(of buckets: LatencyBuckets, reaching permille: UInt64) -> Int? {
    var sum: UInt64 = 0
    for index in 0..<24 { sum &+= buckets[index] }
    guard sum > 0 else { return nil }
    var reached: UInt64 = 0
    for index in 0..<24 {
        reached &+= buckets[index]
        if reached &* 1000 >= sum &* permille { return index }
    }
    return 23
}

/// Columns that a text takes on a terminal: wide scripts take two.
func columns(_ text: String) -> Int {
    text.unicodeScalars.reduce(0) { sum, scalar in
        switch scalar.value {
        case 0x1100...0x115f, 0x2e80...0xa4cf, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe30...0xfe6f,
            0xff00...0xff60, 0xffe0...0xffe6, 0x1f300...0x1faff, 0x20000...0x3fffd:
            return sum + 2
        case 0x300...0x36f, 0x200b...0x200d: return sum
        default: return sum + 1
        }
    }
}
