// SPDX-License-Identifier: Apache-2.0

import CRecord
import ReserveModel
import ReserveRecord
import Testing

@Suite struct DecoderTests {
    /// One RW_RESERVE_TAKEN as it lies in the ring, every byte written out.
    static let taken: [UInt8] = [
        0x01, 0x00,  // stem: reserve
        0x01, 0x00,  // kind: taken
        0x50, 0x00, 0x00, 0x00,  // size: 80
        0x40, 0xe2, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,  // boot_ns: 123456
        0x01, 0x00, 0x00, 0x00,  // cpu
        0x00, 0x00, 0x00, 0x00,  // reserved
        0x2a, 0x00, 0x00, 0x00,  // tid: 42
        0x29, 0x00, 0x00, 0x00,  // tgid: 41
        0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // cgroup_id: 7
        0x6b, 0x73, 0x77, 0x61, 0x70, 0x64, 0x30, 0x00,  // comm: "kswapd0"
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // serial: 9
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // held_ns
        0x00, 0x28, 0x07, 0x00,  // gfp_flags: 0x72800
        0x03,  // order: 3
        0x05,  // context: kswapd
        0x02,  // entitlement: PF_MEMALLOC
        0x00,
    ]

    private func decode(_ bytes: [UInt8]) -> Event {
        bytes.withUnsafeBytes { RecordDecoder.decode($0) }
    }

    @Test func aTakenBlockIsReadFieldByField() throws {
        let event = decode(Self.taken)
        #expect(event.bootNanoseconds == 123456)
        #expect(event.cpu == 1)
        guard case .reserveTaken(let allocation) = event.body else {
            Issue.record("decoded as \(event.body)")
            return
        }
        #expect(allocation.task.tid == 42)
        #expect(allocation.task.tgid == 41)
        #expect(allocation.task.cgroupID == 7)
        #expect(allocation.task.comm == FixedName("kswapd0"))
        #expect(allocation.serial == 9)
        #expect(allocation.gfpFlags == 0x72800)
        #expect(allocation.pages == 8)
        #expect(allocation.context == .kswapd)
        #expect(allocation.entitlement.taskMemalloc)
        #expect(!allocation.entitlement.gfpMemalloc)
    }

    @Test(arguments: 0..<80) func aRecordCutAnywhereIsMalformed(length: Int) {
        let event = decode(Array(Self.taken.prefix(length)))
        guard case .malformed = event.body else {
            Issue.record("\(length) bytes decoded as \(event.body)")
            return
        }
    }

    @Test func aLongerRecordOfANewerAgentIsStillRead() {
        let event = decode(Self.taken + [UInt8](repeating: 0xff, count: 16))
        guard case .reserveTaken = event.body else {
            Issue.record("decoded as \(event.body)")
            return
        }
    }

    @Test func anUnknownStemIsToldAndNoCrash() {
        var bytes = Self.taken
        bytes[0] = 0xee
        guard case .unknown(let stem, let kind) = decode(bytes).body else {
            Issue.record("not unknown")
            return
        }
        #expect(stem == 0xee)
        #expect(kind == 1)
    }

    @Test func aContextOfANewerAgentIsUnknown() {
        var bytes = Self.taken
        bytes[77] = 99
        guard case .reserveTaken(let allocation) = decode(bytes).body else { return }
        #expect(allocation.context == .unknown)
    }

    @Test func countersThatNoHookKeepsAreNil() {
        var record = rw_counters_record()
        record.header.stem = UInt16(RW_STEM_AGENT.rawValue)
        record.header.kind = UInt16(RW_AGENT_COUNTERS.rawValue)
        record.counters.allocstall = 5
        record.counters.pswpin = 6
        record.known = UInt64(RW_KNOWN_SWAP.rawValue)
        let event = withUnsafeBytes(of: &record) { RecordDecoder.decode($0) }
        guard case .counters(let totals) = event.body else {
            Issue.record("decoded as \(event.body)")
            return
        }
        #expect(totals.kernel.allocstall == nil)
        #expect(totals.kernel.pswpin == 6)
        #expect(totals.reserve == nil)
        #expect(totals.throttle == nil)
    }
}
