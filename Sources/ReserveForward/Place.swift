// SPDX-License-Identifier: Apache-2.0

import CRecord
import Glibc
import ReserveModel
import ReserveRecord

/// Where one destination stands: kept in a file of its own, written after what it says was
/// acknowledged.
struct Place: Equatable {
    /// An incident that a destination was told to hold for true.
    struct Asserted: Equatable {
        /// The last that it was told of it.
        var event: AlertEvent
        /// When it took the first, nanoseconds since 1970.
        var firstAcknowledged: Int64
    }

    /// Sequence of the next alert that it is to get.
    var next: UInt64
    /// What stood when it was new, and comes before that.
    var opening: [AlertEvent] = []
    /// When it took something last, nanoseconds since 1970; nil: never.
    var lastSuccess: Int64?
    /// By track.
    var asserted: [Asserted?] = [nil, nil]
    /// Alerts that were given up for it and that it was not told of yet.
    var untoldDrops: UInt64 = 0

    init(next: UInt64) { self.next = next }

    /// nil: there is none, or none that is whole.
    init?(path: String) {
        var place: Place?
        var asserted: [Asserted?] = [nil, nil]
        var opening: [AlertEvent] = []
        let (damaged, failure) = FrameFile.read(path) { type, payload in
            let fields = Fields(payload)
            if type == QueueFrame.place.rawValue, let next: UInt64 = fields.number("next") {
                var read = Place(next: next)
                read.lastSuccess = fields.number("last_success")
                read.untoldDrops = fields.number("untold_drops") ?? 0
                place = read
            } else if type == QueueFrame.asserted.rawValue, let event = AlertEvent(fields),
                let first: Int64 = fields.number("first_acknowledged")
            {
                asserted[Int(event.track.rawValue)] = Asserted(
                    event: event, firstAcknowledged: first)
            } else if type == QueueFrame.event.rawValue, let event = AlertEvent(fields) {
                opening.append(event)
            }
        }
        guard damaged == 0, failure == 0, var place else { return nil }
        place.asserted = asserted
        place.opening = opening
        self = place
    }

    func bytes(_ checksum: Checksum) -> [UInt8] {
        var fields = Fields()
        fields.add("next", next)
        fields.add("last_success", known: lastSuccess)
        fields.add("untold_drops", untoldDrops)
        var bytes = FrameFile.opening + FrameFile.frame(QueueFrame.place, fields, checksum)
        for asserted in asserted.compactMap({ $0 }) {
            var fields = asserted.event.fields
            fields.add("first_acknowledged", asserted.firstAcknowledged)
            bytes += FrameFile.frame(QueueFrame.asserted, fields, checksum)
        }
        for event in opening {
            bytes += FrameFile.frame(QueueFrame.event, event.fields, checksum)
        }
        return bytes
    }

    /// How many alerts were passed since it was another one.
    func passed(since before: Place) -> UInt64 {
        next - before.next + UInt64(before.opening.count - opening.count)
    }

    /// It has an alert, or will never have it.
    mutating func pass(_ event: AlertEvent) {
        if opening.first?.sequence == event.sequence {
            opening.removeFirst()
        } else {
            next = max(next, event.sequence + 1)
        }
    }
}
