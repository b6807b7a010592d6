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
        decodeWide(record, into: &totals)
        totals.loss = loss(record)
        totals.timerTicks = raw.timer_ticks
        totals.beats = record.beats
        totals.beatWorstGapNanoseconds = record.beat_worst_gap_ns
        return totals
    }

    /// What came after wire 1; a wire 1 record knows none of it.
    private static func decodeWide(
        _ record: rw_counters_record, into totals: inout CounterTotals
    ) {
        let raw = record.wide
        func known(_ bit: rw_known, _ value: UInt64) -> UInt64? {
            record.known & UInt64(bit.rawValue) != 0 ? value : nil
        }
        if known(RW_KNOWN_BELOW_MIN, 0) != nil {
            var below = CounterTotals.BelowMin()
            below.allocations = raw.below_min
            below.pages = raw.below_min_pages
            below.by = numbers(raw.below_min_by)
            totals.belowMin = below
        }
        if known(RW_KNOWN_KSWAPD, 0) != nil {
            var kswapd = CounterTotals.Kswapd()
            kswapd.wakes = raw.kswapd_wakes
            kswapd.sleeps = raw.kswapd_sleeps
            kswapd.requests = raw.kswapd_requests
            totals.kswapd = kswapd
        }
        if known(RW_KNOWN_RECLAIM_WAIT, 0) != nil {
            var waits = CounterTotals.ReclaimWaits()
            waits.count = numbers(raw.reclaim_waits)
            waits.nanoseconds = numbers(raw.reclaim_wait_ns)
            totals.reclaimWaits = waits
        }
        if known(RW_KNOWN_SLAB, 0) != nil {
            var slab = CounterTotals.Slab()
            slab.allocated = raw.slabs_allocated
            slab.freed = raw.slabs_freed
            slab.fromReserve = raw.slabs_from_reserve
            slab.cachesUntracked = raw.slab_caches_untracked
            totals.slab = slab
        }
        if known(RW_KNOWN_SLAB_REFUSALS, 0) != nil {
            var questions = CounterTotals.SlabQuestions()
            questions.asked = raw.slab_questions
            questions.refused = raw.slab_refusals
            totals.slabQuestions = questions
        }
        if known(RW_KNOWN_SLAB_OBJECTS, 0) != nil {
            var objects = CounterTotals.SlabObjects()
            objects.kmallocs = raw.kmallocs
            objects.kmallocBytes = raw.kmalloc_bytes
            objects.kfrees = raw.kfrees
            totals.slabObjects = objects
        }
        totals.packets.allocated = known(RW_KNOWN_SKBS, raw.pfmemalloc_allocated)
        totals.packets.received = known(RW_KNOWN_RECEIVED, raw.pfmemalloc_received)
        totals.packets.delivered = known(RW_KNOWN_DELIVERED, raw.pfmemalloc_delivered)
        totals.packets.dropped = known(RW_KNOWN_DROPS, raw.pfmemalloc_drop)
        totals.packets.freed = known(RW_KNOWN_DROPS, raw.pfmemalloc_freed)
        totals.socketsKnown = known(RW_KNOWN_SOCKETS, 0) != nil
        totals.socketsMarked = known(RW_KNOWN_SOCKETS_MARKED, raw.sockets_marked)
        totals.swapDevicesKnown = known(RW_KNOWN_SWAP_DEVICES, 0) != nil
        totals.reclaimTasksKnown = known(RW_KNOWN_RECLAIM_TASKS, 0) != nil
        totals.reclaimTasksUntracked = raw.reclaim_tasks_untracked
        totals.pageTasksKnown = known(RW_KNOWN_PAGE_TASKS, 0) != nil
        totals.pageTasksUntracked = raw.page_tasks_untracked
        totals.guardTotals = guardTotals(record)
        totals.oomFreedPages = known(RW_KNOWN_OOM_FREED, raw.oom_freed_pages)
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
        reclaim.durations = numbers(raw.direct_reclaim_us)
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
        loss.ring = numbers(raw.lost)
        loss.suppressed = numbers(raw.suppressed)
        loss.emitted = numbers(raw.emitted)
        if record.missed_known != 0 { loss.missed = numbers(record.missed) }
        loss.output = record.reader_lost
        loss.nbdUntracked = raw.nbd_untracked
        loss.nbdDevicesUntracked = raw.nbd_devices_untracked
        loss.socketsUntracked = record.wide.sockets_untracked
        loss.stacksUntracked = record.wide.stacks_untracked
        loss.swapUntracked = record.wide.swap_untracked
        return loss
    }
}
