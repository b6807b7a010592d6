// SPDX-License-Identifier: Apache-2.0

import CRecord

/// The state so far: of all records, the latest of each key, and the stays that are open.
///
/// A segment begins with them, so that it can be read alone. A value: a copy is a snapshot.
public struct StateKeeper: Sendable {
    /// How many are kept of one kind; the model's own tables are no larger.
    public static let mostOfAKind = 8192
    /// A task seen waiting by the timer, where no end is told, counts as waiting so long.
    private static let sightingHolds: UInt64 = 1_000_000_000

    private struct Key: Hashable {
        var place: UInt32
        var number: UInt64
        var name: [UInt8]
    }

    private struct Entry {
        /// Order of arrival.
        var order: UInt64
        var bytes: [UInt8]
    }

    private var entries: [Key: Entry] = [:]
    private var counts: [UInt32: Int] = [:]
    /// Lines of /proc/swaps whose table is not complete yet.
    private var reading: [[UInt8]] = []
    private var order: UInt64 = 0
    private var latest: UInt64 = 0

    public init() {}

    /// Takes one record in.
    public mutating func take(_ record: UnsafeRawBufferPointer) {
        guard record.count >= MemoryLayout<rw_header>.size else { return }
        let header = record.loadUnaligned(as: rw_header.self)
        latest = max(latest, header.boot_ns)
        switch RecordKeys.rule(stem: UInt32(header.stem), kind: UInt32(header.kind)) {
        case .event: return
        case .begins:
            // Another agent, or another boot: nothing of before is true any more.
            self = StateKeeper()
            latest = header.boot_ns
            keep(record, under: Key(place: RecordKeys.place(header), number: 0, name: []))
        case .latest(let identity, let kind):
            let place = RecordKeys.place(stem: header.stem, kind: kind)
            guard let key = key(record, identity, place: place) else { return }
            keep(record, under: key)
            if header.stem == RW_STEM_AGENT.rawValue, header.kind == RW_AGENT_COUNTERS.rawValue {
                forgetWhatTotalsEnd(record)
            }
        case .ends(let identity, let kind):
            let place = RecordKeys.place(stem: header.stem, kind: kind)
            guard let key = key(record, identity, place: place) else { return }
            forget(key)
        case .line: reading.append([UInt8](record))
        case .table: replaceTable(by: record)
        }
    }

    /// All that is kept: the host first, then its hooks, then the rest as it came.
    public func records() -> [[UInt8]] {
        let host = RecordKeys.place(stem: UInt16(RW_STEM_AGENT.rawValue), kind: RW_AGENT_HOST)
        let hook = RecordKeys.place(stem: UInt16(RW_STEM_AGENT.rawValue), kind: RW_AGENT_HOOK)
        let waiting = RecordKeys.place(
            stem: UInt16(RW_STEM_THROTTLE.rawValue), kind: RW_THROTTLE_BEGAN.rawValue)
        func rank(_ key: Key) -> Int { key.place == host ? 0 : key.place == hook ? 1 : 2 }
        return
            entries
            .filter { $0.key.place != waiting || !isStaleSighting($0.value.bytes) }
            .sorted { (rank($0.key), $0.value.order) < (rank($1.key), $1.value.order) }
            .map { $0.value.bytes } + reading
    }

    private func isStaleSighting(_ bytes: [UInt8]) -> Bool {
        let header = bytes.withUnsafeBytes { $0.loadUnaligned(as: rw_header.self) }
        return header.kind == UInt16(RW_THROTTLE_WAITING.rawValue)
            && latest > header.boot_ns &+ Self.sightingHolds
    }

    private mutating func keep(_ record: UnsafeRawBufferPointer, under key: Key) {
        if entries[key] == nil {
            guard counts[key.place, default: 0] < Self.mostOfAKind else { return }
            counts[key.place, default: 0] += 1
        }
        order += 1
        entries[key] = Entry(order: order, bytes: [UInt8](record))
    }

    private mutating func forget(_ key: Key) {
        if entries.removeValue(forKey: key) != nil { counts[key.place, default: 1] -= 1 }
    }

    private mutating func forgetAll(place: UInt32) {
        guard counts[place, default: 0] > 0 else { return }
        entries = entries.filter { $0.key.place != place }
        counts[place] = 0
    }

    /// The lines of one reading of /proc/swaps replace those of the former.
    private mutating func replaceTable(by record: UnsafeRawBufferPointer) {
        let lines = RecordKeys.place(
            stem: UInt16(RW_STEM_SWAP.rawValue), kind: RW_SWAP_DEVICE.rawValue)
        forgetAll(place: lines)
        for (number, line) in reading.enumerated() {
            line.withUnsafeBytes {
                keep($0, under: Key(place: lines, number: UInt64(number), name: []))
            }
        }
        reading.removeAll()
        keep(record, under: Key(place: lines, number: .max, name: []))
    }

    /// A stay whose end was lost would be open for ever; the totals tell that none is.
    private mutating func forgetWhatTotalsEnd(_ record: UnsafeRawBufferPointer) {
        guard record.count >= MemoryLayout<rw_counters_record>.offset(of: \.missed) ?? .max
        else { return }
        let known = record.loadUnaligned(
            fromByteOffset: MemoryLayout<rw_counters_record>.offset(of: \.known) ?? 0,
            as: UInt64.self)
        let counters = record.loadUnaligned(
            fromByteOffset: MemoryLayout<rw_counters_record>.offset(of: \.counters) ?? 0,
            as: rw_counters.self)
        if known & UInt64(RW_KNOWN_DIRECT_RECLAIM.rawValue) != 0,
            counters.direct_reclaim_inside == 0
        {
            forgetAll(
                place: RecordKeys.place(
                    stem: UInt16(RW_STEM_DIRECT_RECLAIM.rawValue),
                    kind: RW_DIRECT_RECLAIM_INSIDE.rawValue))
        }
        if known & UInt64(RW_KNOWN_RESERVE.rawValue) != 0, counters.reserve_outstanding == 0 {
            forgetAll(
                place: RecordKeys.place(
                    stem: UInt16(RW_STEM_RESERVE.rawValue), kind: RW_RESERVE_TAKEN.rawValue))
        }
    }

    private func key(
        _ record: UnsafeRawBufferPointer, _ identity: RecordKeys.Identity, place: UInt32
    ) -> Key? {
        switch identity {
        case .single: return Key(place: place, number: 0, name: [])
        case .number32(let offset):
            guard record.count >= offset + 4 else { return nil }
            let number = record.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
            return Key(place: place, number: UInt64(number), name: [])
        case .number64(let offset, let zeroIsNone):
            guard record.count >= offset + 8 else { return nil }
            let number = record.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            return number == 0 && zeroIsNone ? nil : Key(place: place, number: number, name: [])
        case .name(let offset, let bytes):
            guard record.count >= offset + bytes else { return nil }
            let name = [UInt8](record[offset..<offset + bytes].prefix(while: { $0 != 0 }))
            return Key(place: place, number: 0, name: name)
        case .fields(let ranges):
            guard let last = ranges.last, record.count >= last.upperBound else { return nil }
            return Key(place: place, number: 0, name: ranges.flatMap { [UInt8](record[$0]) })
        }
    }
}
