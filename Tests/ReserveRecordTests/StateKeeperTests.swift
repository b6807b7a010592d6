// SPDX-License-Identifier: Apache-2.0

import CRecord
import ReserveRecord
import Testing

@Suite struct StateKeeperTests {
    private static func header(_ stem: rw_stem, _ kind: UInt32, at boot: UInt64, size: Int)
        -> rw_header
    {
        rw_header(
            stem: UInt16(stem.rawValue), kind: UInt16(kind), size: UInt32(size), boot_ns: boot,
            cpu: 0, reserved: 0)
    }

    private static func bytes<Record>(_ record: Record) -> [UInt8] {
        withUnsafeBytes(of: record) { [UInt8]($0) }
    }

    private static func zone(_ node: UInt32, _ index: UInt32, at boot: UInt64) -> [UInt8] {
        var zone = rw_zone()
        zone.header = header(
            RW_STEM_WATERMARK, RW_WATERMARK_ZONE.rawValue, at: boot,
            size: MemoryLayout.size(ofValue: zone))
        zone.node = node
        zone.index = index
        return bytes(zone)
    }

    private static func throttle(_ kind: rw_throttle_kind, _ tid: UInt32, at boot: UInt64)
        -> [UInt8]
    {
        var stay = rw_throttle()
        stay.header = header(
            RW_STEM_THROTTLE, kind.rawValue, at: boot, size: MemoryLayout.size(ofValue: stay))
        stay.task.tid = tid
        return bytes(stay)
    }

    private static func block(_ kind: rw_reserve_kind, _ serial: UInt64, at boot: UInt64) -> [UInt8]
    {
        var block = rw_reserve()
        block.header = header(
            RW_STEM_RESERVE, kind.rawValue, at: boot, size: MemoryLayout.size(ofValue: block))
        block.serial = serial
        return bytes(block)
    }

    private static func host(at boot: UInt64) -> [UInt8] {
        var host = rw_host()
        host.header = header(
            RW_STEM_AGENT, RW_AGENT_HOST.rawValue, at: boot, size: MemoryLayout.size(ofValue: host))
        return bytes(host)
    }

    private static func hook(_ name: UInt8, at boot: UInt64) -> [UInt8] {
        var hook = rw_hook()
        hook.header = header(
            RW_STEM_AGENT, RW_AGENT_HOOK.rawValue, at: boot, size: MemoryLayout.size(ofValue: hook))
        hook.signal.0 = CChar(bitPattern: name)
        return bytes(hook)
    }

    private static func tick(at boot: UInt64) -> [UInt8] {
        bytes(header(RW_STEM_AGENT, RW_AGENT_TICK.rawValue, at: boot, size: 24))
    }

    private static func swap(_ path: UInt8, at boot: UInt64) -> [UInt8] {
        var line = rw_swap_device()
        line.header = header(
            RW_STEM_SWAP, RW_SWAP_DEVICE.rawValue, at: boot, size: MemoryLayout.size(ofValue: line))
        line.path.0 = CChar(bitPattern: path)
        return bytes(line)
    }

    private static func tableRead(at boot: UInt64) -> [UInt8] {
        bytes(header(RW_STEM_SWAP, RW_SWAP_TABLE_READ.rawValue, at: boot, size: 24))
    }

    private static func kept(_ records: [[UInt8]]) -> [[UInt8]] {
        var keeper = StateKeeper()
        for record in records { record.withUnsafeBytes { keeper.take($0) } }
        return keeper.records()
    }

    @Test func theLatestOfEachKeyIsKept() {
        let kept = Self.kept([
            Self.zone(0, 1, at: 1), Self.zone(0, 2, at: 2), Self.zone(1, 1, at: 3),
            Self.zone(0, 1, at: 4),
        ])
        #expect(kept == [Self.zone(0, 2, at: 2), Self.zone(1, 1, at: 3), Self.zone(0, 1, at: 4)])
    }

    @Test func whatIsOpenStaysUntilItsEnd() {
        let kept = Self.kept([
            Self.throttle(RW_THROTTLE_BEGAN, 7, at: 1), Self.throttle(RW_THROTTLE_BEGAN, 8, at: 2),
            Self.throttle(RW_THROTTLE_ENDED, 7, at: 3), Self.block(RW_RESERVE_TAKEN, 5, at: 4),
            Self.block(RW_RESERVE_TAKEN, 6, at: 5), Self.block(RW_RESERVE_RETURNED, 5, at: 6),
        ])
        #expect(
            kept == [
                Self.throttle(RW_THROTTLE_BEGAN, 8, at: 2), Self.block(RW_RESERVE_TAKEN, 6, at: 5),
            ])
    }

    @Test func anEventIsNoState() {
        #expect(Self.kept([Self.block(RW_RESERVE_FAILED, 0, at: 1)]).isEmpty)
        #expect(Self.kept([Self.block(RW_RESERVE_TAKEN, 0, at: 1)]).isEmpty, "not tracked")
    }

    @Test func theHostAndItsHooksComeFirstWheneverTheyChanged() {
        let kept = Self.kept([
            Self.host(at: 1), Self.hook(65, at: 2), Self.zone(0, 0, at: 3), Self.hook(66, at: 4),
            Self.hook(65, at: 5), Self.tick(at: 6),
        ])
        #expect(
            kept == [
                Self.host(at: 1), Self.hook(66, at: 4), Self.hook(65, at: 5),
                Self.zone(0, 0, at: 3), Self.tick(at: 6),
            ])
    }

    @Test func anotherHostEndsEverything() {
        let kept = Self.kept([Self.host(at: 9), Self.zone(0, 0, at: 10), Self.host(at: 1)])
        #expect(kept == [Self.host(at: 1)])
    }

    @Test func aSwapTableIsReplacedAsAWhole() {
        let first = [Self.swap(97, at: 1), Self.swap(98, at: 1), Self.tableRead(at: 1)]
        #expect(Self.kept(first) == first)
        let second = [Self.swap(98, at: 2), Self.tableRead(at: 2)]
        #expect(Self.kept(first + second) == second)
        let halfRead = [Self.swap(99, at: 3)]
        #expect(Self.kept(first + halfRead) == first + halfRead, "its end is still to come")
    }

    @Test func aTaskThatIsNotSeenWaitingAnyMoreIsForgotten() {
        let seen = Self.throttle(RW_THROTTLE_WAITING, 7, at: 1_000_000_000)
        #expect(Self.kept([seen, Self.tick(at: 1_500_000_000)]).contains(seen))
        #expect(!Self.kept([seen, Self.tick(at: 2_500_000_000)]).contains(seen))
    }

    @Test func totalsThatSayNoneEndStaysWhoseEndWasLost() {
        var totals = rw_counters_record()
        totals.header = Self.header(
            RW_STEM_AGENT, RW_AGENT_COUNTERS.rawValue, at: 2,
            size: MemoryLayout.size(ofValue: totals))
        let taken = Self.block(RW_RESERVE_TAKEN, 5, at: 1)
        #expect(Self.kept([taken, Self.bytes(totals)]).contains(taken), "not known is not none")
        totals.known = UInt64(RW_KNOWN_RESERVE.rawValue)
        #expect(!Self.kept([taken, Self.bytes(totals)]).contains(taken))
        totals.counters.reserve_outstanding = 1
        #expect(Self.kept([taken, Self.bytes(totals)]).contains(taken))
    }

    @Test func aRecordCutAnywhereIsNoCrash() {
        for record in [
            Self.zone(0, 1, at: 1), Self.hook(65, at: 2), Self.block(RW_RESERVE_TAKEN, 5, at: 3),
            Self.swap(97, at: 1),
        ] {
            for length in 0...record.count { _ = Self.kept([Array(record.prefix(length))]) }
        }
    }

    @Test func whatIsKeptOfOneKindIsBounded() {
        var keeper = StateKeeper()
        for serial in 1...UInt64(StateKeeper.mostOfAKind + 100) {
            Self.block(RW_RESERVE_TAKEN, serial, at: serial).withUnsafeBytes { keeper.take($0) }
        }
        #expect(keeper.records().count == StateKeeper.mostOfAKind)
    }
}
