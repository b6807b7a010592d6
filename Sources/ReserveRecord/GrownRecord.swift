// SPDX-License-Identifier: Apache-2.0

import CRecord

/// A record that grew at its end: what an older agent wrote is shorter.
/// docs/recordings.md tells what came when.
///
/// The fields that are missing then stand as "not known" or "none": zero, but for those
/// that ``complete(_:)`` sets.
protocol GrownRecord {
    init()
    /// Bytes that it had at first.
    static var firstSize: Int { get }
    /// Gives fields that an older agent did not send a value that does not claim to be one.
    mutating func complete()
}

extension GrownRecord where Self: BitwiseCopyable {
    mutating func complete() {}

    static func grown(from bytes: UnsafeRawBufferPointer) -> Self {
        var record = Self()
        withUnsafeMutableBytes(of: &record) { target in
            for index in 0..<min(bytes.count, target.count) { target[index] = bytes[index] }
        }
        record.complete()
        return record
    }
}

// What grew, and how long it was at first: the table by which old recordings are read.
extension rw_reserve: GrownRecord {
    static var firstSize: Int { 80 }
    mutating func complete() { stack = -1 }
}
extension rw_node: GrownRecord { static var firstSize: Int { 96 } }
extension rw_nbd_device: GrownRecord { static var firstSize: Int { 352 } }
extension rw_direct_reclaim: GrownRecord {
    static var firstSize: Int { 88 }
    mutating func complete() { stack = -1 }
}
extension rw_swap_device: GrownRecord { static var firstSize: Int { 192 } }
extension rw_swap_usage: GrownRecord { static var firstSize: Int { 480 } }
extension rw_oom: GrownRecord { static var firstSize: Int { 80 } }
extension rw_counters_record: GrownRecord { static var firstSize: Int { 1040 } }
extension rw_skipped: GrownRecord { static var firstSize: Int { 32 } }
extension rw_self: GrownRecord { static var firstSize: Int { 120 } }
extension rw_standing: GrownRecord { static var firstSize: Int { 104 } }
extension rw_program: GrownRecord { static var firstSize: Int { 72 } }
