// SPDX-License-Identifier: Apache-2.0

import CRecord
import ReserveModel

// What the agent did by its rules.

extension RecordDecoder {
    /// A number that this build does not know becomes the least that can be said.
    static func enforcement(_ record: rw_enforce) -> Enforcement {
        func known(_ bit: rw_enforce_known, _ value: UInt64) -> UInt64? {
            record.known & UInt64(bit.rawValue) != 0 ? value : nil
        }
        var act = Enforcement()
        act.rule = text(record.rule)
        act.ruleIndex = record.rule_index
        act.serial = record.serial
        act.mode = EnforceMode(rawValue: record.mode) ?? .off
        act.verb = EnforceVerb(rawValue: record.verb) ?? .unknown
        act.outcome = EnforceOutcome(rawValue: record.outcome) ?? .unknown
        act.reason = EnforceReason(rawValue: record.reason) ?? .none
        act.choice = EnforceChoice(rawValue: record.choice) ?? .named
        act.target = text(record.target)
        act.victim = task(record.victim)
        act.processes = known(RW_ENFORCE_PROCESSES, UInt64(record.processes)).map {
            UInt32(truncatingIfNeeded: $0)
        }
        act.error = record.error
        act.tookNanoseconds = record.took_ns
        act.heldPages = known(RW_ENFORCE_HELD, record.held_pages)
        act.heldBootNanoseconds = record.held_boot_ns
        act.freedPages = known(RW_ENFORCE_FREED, record.freed_pages)
        act.freeBeforePages = known(RW_ENFORCE_FREE, record.free_before_pages)
        act.freeAfterPages = known(RW_ENFORCE_FREE, record.free_after_pages)
        act.deadlineBootNanoseconds = record.deadline_boot_ns
        return act
    }

    static func enforceRule(_ record: rw_enforce_rule) -> EnforceRuleState {
        var rule = EnforceRuleState()
        rule.name = text(record.rule)
        rule.index = record.rule_index
        rule.mode = EnforceMode(rawValue: record.mode) ?? .off
        rule.verb = EnforceVerb(rawValue: record.verb) ?? .unknown
        rule.target = text(record.target)
        rule.would = record.would
        rule.done = record.done
        rule.failed = record.failed
        rule.refused = record.refused
        rule.limited = record.limited
        rule.undone = record.undone
        rule.stands = record.stands != 0
        rule.targetError = record.target_error
        switch UInt32(record.spare) {
        case RW_ENFORCE_READY.rawValue: rule.spare = .ready
        case RW_ENFORCE_MISSING.rawValue: rule.spare = .missing(errno: record.spare_error)
        default: rule.spare = .notWanted
        }
        return rule
    }
}
