// SPDX-License-Identifier: Apache-2.0

import CRecord
import ReserveModel
import ReserveRecord
import Testing

@Suite struct EnforceTests {
    private func record() -> rw_enforce {
        var record = rw_enforce()
        record.header = rw_header(
            stem: UInt16(RW_STEM_ENFORCE.rawValue), kind: UInt16(RW_ENFORCE_ACT.rawValue),
            size: UInt32(MemoryLayout<rw_enforce>.size), boot_ns: 5, cpu: 0, reserved: 0)
        record.victim.tid = 190
        record.victim.tgid = 190
        withUnsafeMutableBytes(of: &record.rule) { $0.copyBytes(from: Array("kill-hog".utf8)) }
        withUnsafeMutableBytes(of: &record.target) { $0.copyBytes(from: Array("/load".utf8)) }
        record.rule_index = 2
        record.serial = 7
        record.mode = UInt8(RW_ENFORCE_ENFORCE.rawValue)
        record.verb = UInt8(RW_ENFORCE_KILL.rawValue)
        record.outcome = UInt8(RW_ENFORCE_DONE.rawValue)
        record.reason = UInt8(RW_ENFORCE_BY_RULE.rawValue)
        record.choice = UInt8(RW_ENFORCE_SOCKET_OWNER.rawValue)
        record.known = UInt64(RW_ENFORCE_HELD.rawValue)
        record.held_pages = 100
        record.freed_pages = 90
        record.took_ns = 3
        return record
    }

    private func decode(_ record: rw_enforce) -> Enforcement? {
        var record = record
        let event = withUnsafeBytes(of: &record) { RecordDecoder.decode($0) }
        guard case .enforcement(let act) = event.body else { return nil }
        return act
    }

    @Test func anActIsReadFieldByField() throws {
        let act = try #require(decode(record()))
        #expect(act.rule.count == 8)
        #expect(act.target.count == 5)
        #expect(act.ruleIndex == 2)
        #expect(act.serial == 7)
        #expect(act.mode == .enforce)
        #expect(act.verb == .kill)
        #expect(act.outcome == .done)
        #expect(act.reason == .rule)
        #expect(act.choice == .socketOwner)
        #expect(act.victim.tid == 190)
        #expect(act.heldPages == 100)
    }

    /// The bits say what was had: a figure without its bit is unknown, not that figure.
    @Test func whatWasNotHadIsUnknown() throws {
        let act = try #require(decode(record()))
        #expect(act.freedPages == nil)
        #expect(act.freeBeforePages == nil)
        #expect(act.processes == nil)
    }

    @Test func numbersOfANewerAgentAreNoCrash() throws {
        var newer = record()
        newer.verb = 200
        newer.outcome = 200
        newer.reason = 200
        newer.mode = 200
        newer.choice = 200
        let act = try #require(decode(newer))
        #expect(act.verb == .unknown)
        #expect(act.outcome == .unknown)
        #expect(act.reason == EnforceReason.none)
    }

    @Test func theModelsNumbersAreTheWires() {
        #expect(EnforceVerb.rescue.rawValue == UInt8(RW_ENFORCE_RESCUE.rawValue))
        #expect(EnforceVerb.endConnection.rawValue == UInt8(RW_ENFORCE_END_CONNECTION.rawValue))
        #expect(EnforceVerb.resume.rawValue == UInt8(RW_ENFORCE_RESUME.rawValue))
        #expect(EnforceOutcome.limited.rawValue == UInt8(RW_ENFORCE_LIMITED.rawValue))
        #expect(EnforceReason.receivesAgain.rawValue == UInt8(RW_ENFORCE_RECEIVES_AGAIN.rawValue))
        #expect(EnforceReason.noSpare.rawValue == UInt8(RW_ENFORCE_NO_SPARE.rawValue))
        #expect(EnforceVerb.clear.rawValue == UInt8(RW_ENFORCE_CLEAR.rawValue))
        #expect(EnforceVerb.calmQueue.rawValue == UInt8(RW_ENFORCE_CALM_QUEUE.rawValue))
        #expect(EnforceVerb.queueBack.rawValue == UInt8(RW_ENFORCE_QUEUE_BACK.rawValue))
        #expect(EnforceVerb.reconnect.rawValue == UInt8(RW_ENFORCE_RECONNECT.rawValue))
        #expect(EnforceReason.protected.rawValue == UInt8(RW_ENFORCE_PROTECTED.rawValue))
        #expect(EnforceReason.watchDied.rawValue == UInt8(RW_ENFORCE_WATCH_DIED.rawValue))
        #expect(EnforceChoice.socketOwner.rawValue == UInt8(RW_ENFORCE_SOCKET_OWNER.rawValue))
        #expect(EnforceMode.enforce.rawValue == UInt8(RW_ENFORCE_ENFORCE.rawValue))
    }

    /// An older agent left zeroes there: it did not say.
    @Test(arguments: [
        (0, 0, EnforceRuleState.Spare.notWanted), (1, 0, .ready), (2, 116, .missing(errno: 116)),
        (9, 5, .notWanted),
    ])
    func whetherASpareConnectionStandsReady(
        _ state: UInt8, _ error: Int32, _ spare: EnforceRuleState.Spare
    ) throws {
        var record = rw_enforce_rule()
        record.header = rw_header(
            stem: UInt16(RW_STEM_ENFORCE.rawValue), kind: UInt16(RW_ENFORCE_RULE.rawValue),
            size: UInt32(MemoryLayout<rw_enforce_rule>.size), boot_ns: 5, cpu: 0, reserved: 0)
        record.spare = state
        record.spare_error = error
        let event = withUnsafeBytes(of: &record) { RecordDecoder.decode($0) }
        guard case .enforceRule(let rule) = event.body else {
            Issue.record("not a rule")
            return
        }
        #expect(rule.spare == spare)
    }

    @Test func fieldsStayWhereTheyAre() {
        #expect(MemoryLayout<rw_enforce>.offset(of: \.rule) == 56)
        #expect(MemoryLayout<rw_enforce>.offset(of: \.target) == 88)
        #expect(MemoryLayout<rw_enforce>.offset(of: \.rule_index) == 216)
        #expect(MemoryLayout<rw_enforce>.offset(of: \.known) == 240)
        #expect(MemoryLayout<rw_enforce>.offset(of: \.deadline_boot_ns) == 296)
        // By which the box keeps the last of each.
        #expect(MemoryLayout<rw_enforce_rule>.offset(of: \.rule_index) == 184)
        #expect(MemoryLayout<rw_enforce_rule>.offset(of: \.would) == 200)
    }
}
