// SPDX-License-Identifier: Apache-2.0

import CRecord
import ReserveModel

// The structs of the stem guard; as RecordBodies.swift.

extension RecordDecoder {
    static func guardAttempt(_ record: rw_guard_attempt) -> GuardAttempt {
        var attempt = GuardAttempt(
            task: task(record.task), target: record.target.tid != 0 ? task(record.target) : nil,
            action: GuardAttempt.Action(rawValue: record.action) ?? .unknown,
            result: GuardAttempt.Result(rawValue: record.result) ?? .unknown,
            reason: GuardAttempt.Reason(rawValue: record.reason) ?? .unknown,
            way: GuardAttempt.Way(rawValue: record.way) ?? .unknown)
        attempt.uid = record.uid
        attempt.signal = record.signal
        attempt.role = GuardRole(rawValue: record.role)
        // include/linux/kdev_t.h: MINORBITS
        attempt.major = record.device >> 20
        attempt.minor = record.device & 0xfffff
        attempt.disk = name(record.disk)
        return attempt
    }

    static func guarded(_ record: rw_guarded) -> GuardedProcess {
        var process = GuardedProcess(
            task: task(record.task), role: GuardRole(rawValue: record.role))
        process.disk = name(record.disk)
        process.scoreAdjust = record.score_adj
        process.tracer = record.tracer
        process.startBootNanoseconds = record.start_boot_ns
        process.lockedPages = record.locked_pages
        process.swappedPages = record.swapped_pages
        return process
    }

    static func guardTotals(_ record: rw_counters_record) -> CounterTotals.GuardTotals {
        // RW_GUARD_RESULTS of each action, one action after the other.
        let counts: InlineArray<32, UInt64> = numbers(record.wide.guard_attempts)
        func row(_ action: rw_guard_action, _ bit: rw_known) -> CounterTotals.GuardCounts? {
            guard record.known & UInt64(bit.rawValue) != 0 else { return nil }
            let first = Int(action.rawValue) * Int(RW_GUARD_RESULTS.rawValue)
            var row = CounterTotals.GuardCounts()
            row.allowed = counts[first + Int(RW_GUARD_ALLOWED.rawValue)]
            row.excepted = counts[first + Int(RW_GUARD_EXCEPTED.rawValue)]
            row.refused = counts[first + Int(RW_GUARD_REFUSED.rawValue)]
            return row
        }
        var totals = CounterTotals.GuardTotals()
        totals.signals = row(RW_GUARD_SIGNAL, RW_KNOWN_GUARD_SIGNALS)
        totals.freezes = row(RW_GUARD_FREEZE, RW_KNOWN_GUARD_SIGNALS)
        totals.traces = row(RW_GUARD_TRACE, RW_KNOWN_GUARD_TRACES)
        totals.swapoffs = row(RW_GUARD_SWAPOFF, RW_KNOWN_GUARD_SWAPOFF)
        totals.disconnects = row(RW_GUARD_DISCONNECT, RW_KNOWN_GUARD_DISCONNECT)
        totals.untracked = record.wide.guard_untracked
        return totals
    }
}
