// SPDX-License-Identifier: Apache-2.0

import CRecord
import Foundation
import Glibc
import ReserveBox
import ReserveStore
import Testing

/// The black box of an agent, as a recording.
@Suite struct BoxSourceTests {
    /// A box in a directory of its own, on a tmpfs.
    private final class Place {
        let directory: String
        var path: String { "\(directory)/box" }

        init() {
            directory = "/dev/shm/reservewatch-store.\(getpid()).\(UInt32.random(in: 0 ... .max))"
            mkdir(directory, 0o700)
        }

        deinit { try? FileManager.default.removeItem(atPath: directory) }

        func write(ringBytes: Int) throws -> BoxWriter {
            try BoxFile.create(
                path: path, size: BoxSize(ringBytes: ringBytes), group: nil, agentVersion: "test")
        }
    }

    private static func publish(_ records: some Sequence<[UInt8]>, _ box: inout BoxWriter) {
        for record in records { record.withUnsafeBytes { box.publish($0) } }
    }

    @Test func theBoxOfADeadAgentIsARecording() throws {
        let place = Place()
        let records = Sample.stream(2000)
        do {
            var box = try place.write(ringBytes: 1 << 20)
            Self.publish(records, &box)
        }
        let whole = try Reading(place.path)
        #expect(whole.records == records)
        #expect(whole.states.isEmpty)
        #expect(whole.problems.isEmpty)
    }

    @Test func ofAnOverrunBoxTheStateIsKept() throws {
        let place = Place()
        let records = Sample.stream(5000)
        do {
            var box = try place.write(ringBytes: 64 << 10)
            Self.publish(records, &box)
        }
        let reading = try Reading(place.path)
        #expect(reading.records == Array(records.suffix(reading.records.count)))
        #expect(reading.records.count > 100)
        #expect(reading.states.first == records.first)
    }

    @Test func whatABoxLostIsTold() throws {
        let place = Place()
        let records = Sample.stream(100)
        do {
            var box = try place.write(ringBytes: 1 << 20)
            Self.publish(records, &box)
        }
        // Of the eleventh frame the size: what follows it cannot be found any more.
        let head = try BoxFile.open(path: place.path, start: .oldest).totalBytes - 1 << 20
        let frame = head + records[..<10].reduce(0) { $0 + 16 + ($1.count + 7) & ~7 }
        let descriptor = open(place.path, O_RDWR)
        #expect(pwrite(descriptor, [UInt32(1)], 4, off_t(frame + 8)) == 4)
        close(descriptor)
        let reading = try Reading(place.path)
        #expect(reading.records.prefix(10) == records.prefix(10))
        #expect(reading.records.count == 11)
        #expect(reading.skipped.map(\.records) == [UInt64(records.count - 10)])
    }
}
