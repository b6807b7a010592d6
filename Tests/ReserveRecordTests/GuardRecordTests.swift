// SPDX-License-Identifier: Apache-2.0

import CRecord
import ReserveModel
import ReserveRecord
import Testing

@Suite struct GuardRecordTests {
    private func header(_ kind: rw_guard_kind, _ size: Int) -> rw_header {
        rw_header(
            stem: UInt16(RW_STEM_GUARD.rawValue), kind: UInt16(kind.rawValue), size: UInt32(size),
            boot_ns: 77, cpu: 1, reserved: 0)
    }

    private func name<Tuple>(_ text: String, into tuple: inout Tuple) {
        withUnsafeMutableBytes(of: &tuple) { bytes in
            for (index, byte) in text.utf8.prefix(bytes.count).enumerated() { bytes[index] = byte }
        }
    }

    private func decode<Record: BitwiseCopyable>(_ record: Record, cut: Int = 0) -> Event.Body {
        withUnsafeBytes(of: record) { bytes in
            RecordDecoder.decode(UnsafeRawBufferPointer(rebasing: bytes.dropLast(cut))).body
        }
    }

    private func attempt() -> rw_guard_attempt {
        var record = rw_guard_attempt()
        record.header = header(RW_GUARD_ATTEMPT, MemoryLayout<rw_guard_attempt>.size)
        record.task.tid = 12
        record.task.tgid = 11
        record.task.cgroup_id = 5
        name("pkill", into: &record.task.comm)
        record.target.tid = 190
        record.target.tgid = 190
        name("nbd-client", into: &record.target.comm)
        record.action = RW_GUARD_SIGNAL.rawValue
        record.result = RW_GUARD_REFUSED.rawValue
        record.reason = RW_GUARD_BY_RULE.rawValue
        record.uid = 1000
        record.signal = 9
        record.role = RW_GUARD_CLIENT.rawValue
        name("nbd0", into: &record.disk)
        return record
    }

    @Test func anAttemptIsReadFieldByField() throws {
        guard case .guardAttempt(let attempt) = decode(attempt()) else {
            Issue.record("decoded otherwise")
            return
        }
        #expect(attempt.task.tid == 12 && attempt.task.tgid == 11 && attempt.task.cgroupID == 5)
        #expect(attempt.task.comm == FixedName("pkill"))
        #expect(attempt.target?.tid == 190 && attempt.target?.comm == FixedName("nbd-client"))
        #expect(attempt.action == .signal && attempt.result == .refused)
        #expect(attempt.reason == .byRule && attempt.way == .none)
        #expect(attempt.uid == 1000 && attempt.signal == 9)
        #expect(attempt.role.isClient && !attempt.role.isServer && !attempt.role.isAgent)
        #expect(attempt.disk == FixedName("nbd0"))
    }

    @Test func aSwapoffHasADeviceAndNoTarget() {
        var record = attempt()
        record.target = rw_task()
        record.action = RW_GUARD_SWAPOFF.rawValue
        record.device = 43 << 20 | 32
        guard case .guardAttempt(let attempt) = decode(record) else {
            Issue.record("decoded otherwise")
            return
        }
        #expect(attempt.target == nil)
        #expect(attempt.major == 43 && attempt.minor == 32)
    }

    @Test func whatANewerAgentKnowsIsUnknownAndNoCrash() {
        var record = attempt()
        record.action = 99
        record.result = 99
        record.reason = 99
        record.way = 99
        record.role = 255
        guard case .guardAttempt(let attempt) = decode(record) else {
            Issue.record("decoded otherwise")
            return
        }
        #expect(attempt.action == .unknown && attempt.result == .unknown)
        #expect(attempt.reason == .unknown && attempt.way == .unknown)
    }

    @Test func aShorterOneIsMalformed() {
        guard case .malformed(14, 1) = decode(attempt(), cut: 1) else {
            Issue.record("taken, though it is too short")
            return
        }
    }

    @Test func whoIsGuardedIsReadFieldByField() {
        var record = rw_guarded()
        record.header = header(RW_GUARD_GUARDED, MemoryLayout<rw_guarded>.size)
        record.task.tgid = 190
        record.role = RW_GUARD_CLIENT.rawValue | RW_GUARD_SERVER.rawValue
        record.score_adj = -1000
        record.tracer = 7
        record.start_boot_ns = 5
        record.locked_pages = 450
        record.swapped_pages = 3
        name("nbd0", into: &record.disk)
        guard case .guarded(let process) = decode(record) else {
            Issue.record("decoded otherwise")
            return
        }
        #expect(process.role.isClient && process.role.isServer)
        #expect(process.scoreAdjust == -1000 && process.tracer == 7)
        #expect(process.startBootNanoseconds == 5)
        #expect(process.lockedPages == 450 && process.swappedPages == 3)
        record.header.kind = UInt16(RW_GUARD_RELEASED.rawValue)
        guard case .guardReleased = decode(record) else {
            Issue.record("decoded otherwise")
            return
        }
    }

    @Test func totalsThatNoHookKeepsAreUnknownAndNotZero() {
        var record = rw_counters_record()
        record.header = rw_header(
            stem: UInt16(RW_STEM_AGENT.rawValue), kind: UInt16(RW_AGENT_COUNTERS.rawValue),
            size: UInt32(MemoryLayout<rw_counters_record>.size), boot_ns: 1, cpu: 0, reserved: 0)
        record.known = UInt64(RW_KNOWN_GUARD_SIGNALS.rawValue | RW_KNOWN_GUARD_DISCONNECT.rawValue)
        withUnsafeMutableBytes(of: &record.wide.guard_attempts) { bytes in
            for index in 0..<bytes.count / 8 {
                bytes.storeBytes(of: UInt64(index), toByteOffset: index * 8, as: UInt64.self)
            }
        }
        guard case .counters(let totals) = decode(record) else {
            Issue.record("decoded otherwise")
            return
        }
        let told = totals.guardTotals
        #expect(told.traces == nil && told.swapoffs == nil)
        #expect(told.signals?.allowed == 0 && told.signals?.excepted == 1)
        #expect(told.signals?.refused == 2)
        #expect(told.freezes?.allowed == 8)
        #expect(told.disconnects?.refused == 18)
    }
}
