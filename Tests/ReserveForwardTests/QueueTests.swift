// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import ReserveModel
import Testing

@testable import ReserveForward

@Suite struct FieldTests {
    @Test func anAlertIsTheSameAfterItWasKept() throws {
        var event = Sample.event(.critical, told: 3)
        event.criticalSince = 5
        event.sentence = "host \u{1f600} says \"=\" and \\ "
        event.json = #"{"host":"a\nb=c","x":"\u0000"}"#
        event.run = "1-2"
        event.missed = 9
        let read = event.fields.bytes.withUnsafeBytes { AlertEvent(Fields($0)) }
        #expect(read == event)
    }

    @Test func aLineEndCannotMakeAField() throws {
        var event = Sample.event(.warning)
        event.host = "a\nlevel=2\rtold=7"
        let read = try #require(event.fields.bytes.withUnsafeBytes { AlertEvent(Fields($0)) })
        #expect(read.level == .warning && read.told == 1)
        #expect(read.host == "a level=2 told=7")
    }

    @Test(arguments: ["", "sequence=1", "level=9\n", "\u{0}\u{1}="])
    func whatIsNoAlertIsNone(text: String) {
        #expect(Array(text.utf8).withUnsafeBytes { AlertEvent(Fields($0)) } == nil)
    }
}

@Suite struct AlertQueueTests {
    private let now: UInt64 = 1_000_000_000_000

    private func state(_ event: AlertEvent) -> ReadState {
        var state = ReadState()
        state.bootID = "boot"
        state.writer = .init(pid: 3, startTicks: 4, createdBootNanoseconds: 5)
        state.take(event)
        return state
    }

    @Test func whatWasPutInIsThereAfterARestart() throws {
        let scratch = try Scratch()
        let events = [
            Sample.event(.warning), Sample.event(.critical, told: 2),
            Sample.event(.resolved, told: 3, peak: .critical),
        ]
        do {
            let queue = try scratch.queue()
            for event in events { queue.append([event], state: state(event), now: now) }
            #expect(queue.waiting.map(\.sequence) == [1, 2, 3])
        }
        let queue = try scratch.queue()
        #expect(queue.waiting.map(\.level) == [.warning, .critical, .resolved])
        #expect(queue.waiting.map(\.sequence) == [1, 2, 3])
        #expect(queue.nextSequence == 4)
        #expect(queue.state == state(queue.waiting[2]))
    }

    @Test func whatStandsIsKnownAfterItsAlertIsGone() throws {
        let scratch = try Scratch()
        let event = Sample.event(.critical)
        do {
            let queue = try scratch.queue()
            queue.append([event], state: state(event), now: now)
            queue.forget(below: 2)
            #expect(queue.waiting.isEmpty)
        }
        do {
            // Two starts, so that the segment of the alert itself is gone.
            let queue = try scratch.queue()
            queue.forget(below: 2)
        }
        let queue = try scratch.queue()
        #expect(queue.waiting.isEmpty && queue.nextSequence == 2)
        #expect(queue.state.open[0]?.incidentKey == event.incidentKey)
        #expect(queue.state.tracks[0] == .init(incident: 1, told: 1, level: .critical))
        #expect(queue.state.writer == .init(pid: 3, startTicks: 4, createdBootNanoseconds: 5))
    }

    /// Cut at every byte: what is whole is there, in its order, and nothing else.
    @Test func aTornTailCostsOnlyItself() throws {
        let scratch = try Scratch()
        do {
            let queue = try scratch.queue()
            for told in 1...3 {
                let event = Sample.event(.warning, told: UInt32(told))
                queue.append([event], state: state(event), now: now)
            }
        }
        let file = "\(scratch.path)/queue/00000001.rwq"
        let whole = try Data(contentsOf: URL(fileURLWithPath: file))
        var seen: Set<Int> = []
        for size in stride(from: whole.count, through: 0, by: -7) {
            try whole.prefix(size).write(to: URL(fileURLWithPath: file))
            let queue = try scratch.queue()
            let told = queue.waiting.map { Int($0.told) }
            #expect(told == Array(1...3).prefix(told.count).map { $0 })
            #expect(Int(queue.nextSequence) > told.count)
            seen.insert(told.count)
            for name in scratch.names(in: "queue") where name > "00000001.rwq" && name != "lock" {
                try FileManager.default.removeItem(atPath: "\(scratch.path)/queue/\(name)")
            }
        }
        #expect(seen == [0, 1, 2, 3])
    }

    @Test func damageInTheMidstCostsWhatItHitAndIsTold() throws {
        let scratch = try Scratch()
        do {
            let queue = try scratch.queue()
            for told in 1...3 {
                let event = Sample.event(.warning, told: UInt32(told))
                queue.append([event], state: state(event), now: now)
            }
        }
        let file = URL(fileURLWithPath: "\(scratch.path)/queue/00000001.rwq")
        var bytes = try Data(contentsOf: file)
        let place = try #require(bytes.range(of: Data("sequence=2".utf8)))
        bytes[place.lowerBound + 30] ^= 1
        try bytes.write(to: file)
        let queue = try scratch.queue()
        #expect(queue.waiting.map(\.sequence) == [1, 3])
        #expect(queue.takeMessages().contains { $0.contains("damaged") })
    }

    @Test func beyondItsBoundTheOldestGo() throws {
        let scratch = try Scratch()
        var settings = AlertQueue.Settings()
        settings.mostBytes = 64 << 10
        let queue = try scratch.queue(settings)
        for told in 1...1000 {
            let event = Sample.event(.warning, told: UInt32(told))
            queue.append([event], state: state(event), now: now)
        }
        #expect(queue.bytes <= 64 << 10)
        #expect(queue.waiting.last?.sequence == 1000)
        let first = try #require(queue.waiting.first?.sequence)
        #expect(first > 1 && first == queue.firstSequence)
        #expect(queue.waiting.map(\.sequence) == Array(first...1000))
        let onDisk = scratch.names(in: "queue").filter { $0.hasSuffix(".rwq") }
        #expect(onDisk.count <= 9)
    }

    @Test func theDiskHasNoMoreThanWhatWaits() throws {
        let scratch = try Scratch()
        var settings = AlertQueue.Settings()
        settings.mostBytes = 128 << 10
        let queue = try scratch.queue(settings)
        for told in 1...300 {
            let event = Sample.event(.warning, told: UInt32(told))
            queue.append([event], state: state(event), now: now)
            queue.forget(below: UInt64(told) + 1)
        }
        #expect(queue.waiting.isEmpty)
        #expect(scratch.names(in: "queue").filter { $0.hasSuffix(".rwq") }.count == 1)
    }

    @Test func aSecondQueueInTheSamePlaceIsRefused() throws {
        let scratch = try Scratch()
        let first = try scratch.queue()
        #expect(throws: ForwardError.busy(path: "\(scratch.path)/queue")) {
            _ = try scratch.queue()
        }
        #expect(first.waiting.isEmpty)
    }

    @Test func ageIsOfThisBootByItsOwnClock() throws {
        let scratch = try Scratch()
        var settings = AlertQueue.Settings()
        settings.mostNanoseconds = 10_000_000_000
        let queue = try scratch.queue(settings)
        let event = Sample.event(.warning)
        queue.append([event], state: state(event), now: now)
        let put = queue.waiting[0]
        #expect(queue.age(of: put, now: now + 5) == 5)
        #expect(!queue.isTooOld(put, now: now + 10_000_000_000))
        #expect(queue.isTooOld(put, now: now + 10_000_000_001))
    }
}

extension Scratch {
    func names(in directory: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "\(path)/\(directory)")) ?? [])
            .sorted()
    }
}

@Suite struct PlaceTests {
    @Test func aPlaceIsTheSameAfterItWasKept() throws {
        let scratch = try Scratch()
        var place = Place(next: 17)
        place.lastSuccess = 99
        place.untoldDrops = 3
        place.opening = [Sample.event(.critical, told: 4)]
        place.asserted[1] = .init(
            event: Sample.event(.warning, track: .exposure), firstAcknowledged: 5)
        let path = scratch.path + "/x.place"
        #expect(FrameFile.replace(path, place.bytes(.init())) == 0)
        #expect(Place(path: path) == place)
        #expect(scratch.names == ["x.place"])
    }

    @Test func aDamagedPlaceIsNone() throws {
        let scratch = try Scratch()
        let bytes = Place(next: 17).bytes(.init())
        let path = scratch.path + "/x.place"
        for index in 16..<bytes.count {
            var damaged = bytes
            damaged[index] ^= 0x10
            #expect(FrameFile.replace(path, damaged) == 0)
            #expect(Place(path: path) == nil)
        }
    }
}
