// SPDX-License-Identifier: Apache-2.0

import CRecord
import ReserveModel

extension RecordDecoder {
    /// The totals, with every group that no hook keeps left nil: `known` decides, not the zeros.
    static func counters(_ record: rw_counters_record) -> CounterTotals {
        let raw = record.counters
        var totals = CounterTotals()
        func knows(_ bit: rw_known) -> Bool { record.known & UInt64(bit.rawValue) != 0 }

        totals.contextKnown = knows(RW_KNOWN_CONTEXT)
        totals.zonesKnown = knows(RW_KNOWN_ZONES)
        totals.nbdKnown = knows(RW_KNOWN_NBD)
        if knows(RW_KNOWN_RESERVE) { totals.reserve = reserve(raw) }
        if knows(RW_KNOWN_DIRECT_RECLAIM) { totals.directReclaim = directReclaim(raw) }
        if knows(RW_KNOWN_SNAPSHOT) { totals.throttle = throttleTotals(raw) }
        if knows(RW_KNOWN_ALLOCSTALL) { totals.kernel.allocstall = raw.allocstall }
        if knows(RW_KNOWN_THROTTLE) {
            totals.kernel.pgscanDirectThrottle = raw.pgscan_direct_throttle
        }
        if knows(RW_KNOWN_SWAP) {
            totals.kernel.pswpin = raw.pswpin
            totals.kernel.pswpout = raw.pswpout
            totals.swapReadErrors = raw.swap_read_errors
            totals.swapWriteErrors = raw.swap_write_errors
        }
        if knows(RW_KNOWN_OOM) {
            totals.kernel.oomKill = raw.oom_kill
            totals.oomMarked = raw.oom_marked
        }
        totals.loss = loss(record)
        totals.timerTicks = raw.timer_ticks
        totals.beats = record.beats
        totals.beatWorstGapNanoseconds = record.beat_worst_gap_ns
        return totals
    }

    private static func reserve(_ raw: rw_counters) -> CounterTotals.Reserve {
        var reserve = CounterTotals.Reserve()
        reserve.taken = raw.reserve_taken
        reserve.takenPages = raw.reserve_taken_pages
        reserve.returned = raw.reserve_returned
        reserve.returnedPages = raw.reserve_returned_pages
        reserve.outstanding = raw.reserve_outstanding
        reserve.outstandingPages = raw.reserve_outstanding_pages
        reserve.untrackedPages = raw.reserve_untracked_pages
        reserve.allocFailed = raw.alloc_failed
        reserve.allocFailedOrder0 = raw.alloc_failed_order0
        reserve.allocFailedAtomic = raw.alloc_failed_atomic
        return reserve
    }

    private static func directReclaim(_ raw: rw_counters) -> CounterTotals.DirectReclaim {
        var reclaim = CounterTotals.DirectReclaim()
        reclaim.begun = raw.direct_reclaim_begun
        reclaim.ended = raw.direct_reclaim_ended
        reclaim.endedUnseen = raw.direct_reclaim_ended_unseen
        reclaim.untracked = raw.direct_reclaim_untracked
        reclaim.inside = raw.direct_reclaim_inside
        reclaim.totalNanoseconds = raw.direct_reclaim_ns
        reclaim.reclaimedPages = raw.direct_reclaim_reclaimed_pages
        reclaim.durations = buckets(raw.direct_reclaim_us)
        return reclaim
    }

    private static func throttleTotals(_ raw: rw_counters) -> CounterTotals.Throttle {
        var throttle = CounterTotals.Throttle()
        throttle.evaluations = raw.throttle_evaluations
        throttle.refusals = raw.throttle_refusals
        throttle.mismatchesPlain = raw.predicate_mismatches_plain
        throttle.mismatchesSnapshot = raw.predicate_mismatches_snapshot
        throttle.ended = raw.throttle_ended
        throttle.totalNanoseconds = raw.throttle_ns
        return throttle
    }

    private static func loss(_ record: rw_counters_record) -> CounterTotals.Loss {
        let raw = record.counters
        var loss = CounterTotals.Loss()
        copyStems(raw.lost, to: &loss.ring)
        copyStems(raw.suppressed, to: &loss.suppressed)
        copyStems(raw.emitted, to: &loss.emitted)
        if record.missed_known != 0 {
            var missed = InlineArray<16, UInt64>(repeating: 0)
            copyStems(record.missed, to: &missed)
            loss.missed = missed
        }
        loss.output = record.reader_lost
        loss.nbdUntracked = raw.nbd_untracked
        loss.nbdDevicesUntracked = raw.nbd_devices_untracked
        return loss
    }

    private static func copyStems<Tuple>(_ tuple: Tuple, to stems: inout InlineArray<16, UInt64>) {
        withUnsafeBytes(of: tuple) { bytes in
            for index in 0..<16 {
                stems[index] = bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)
            }
        }
    }
}
