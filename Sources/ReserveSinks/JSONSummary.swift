// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension ByteWriter {
    /// Takers and tasks that a summary names; the rest is in the totals.
    private static var named: Int { 8 }

    /// The totals since the start. What is not known is absent, and named in "unknown".
    mutating func summary(
        _ picture: borrowing Picture, isFinal: Bool, intervalNanoseconds: UInt64
    ) {
        field("final", isFinal)
        field("interval_us", microseconds: intervalNanoseconds)
        kernelCounters(picture)
        openArray("zones")
        for index in picture.zones.indices {
            element()
            zone(picture.zones[index])
            close()
        }
        closeArray()
        openArray("nodes")
        for index in picture.nodes.indices {
            element()
            node(picture.nodes[index], picture: picture)
            close()
        }
        closeArray()
        reserve(picture)
        directReclaim(picture)
        throttle(picture)
        if picture.counters?.nbdKnown ?? false { nbdDevices(picture) }
        openArray("swap")
        for index in picture.swaps.indices {
            element()
            swap(picture.swaps[index])
            close()
        }
        closeArray()
        if picture.counters?.swapDevicesKnown ?? false { swapUsages(picture) }
        wideTotals(picture)
        standing(picture)
        open("loss")
        loss(picture)
        close()
        agent(picture)
    }

    private mutating func kernelCounters(_ picture: borrowing Picture) {
        let kernel = picture.counters?.kernel ?? CounterTotals.Kernel()
        open("kernel_counters")
        field("allocstall", known: kernel.allocstall)
        field("pgscan_direct_throttle", known: kernel.pgscanDirectThrottle)
        field("pswpin", known: kernel.pswpin)
        field("pswpout", known: kernel.pswpout)
        field("oom_kill", known: kernel.oomKill)
        close()
        openArray("unknown")
        if kernel.allocstall == nil { unknown("allocstall") }
        if kernel.pgscanDirectThrottle == nil { unknown("pgscan_direct_throttle") }
        if kernel.pswpin == nil { unknown("pswpin") }
        if kernel.pswpout == nil { unknown("pswpout") }
        if kernel.oomKill == nil { unknown("oom_kill") }
        if picture.counters?.reserve == nil { unknown("reserve") }
        if picture.counters?.directReclaim == nil { unknown("direct_reclaim") }
        if picture.counters?.throttle == nil { unknown("throttle") }
        if !(picture.counters?.nbdKnown ?? false) { unknown("nbd") }
        if !(picture.counters?.zonesKnown ?? false) { unknown("zones") }
        wideUnknown(picture)
        closeArray()
    }

    mutating func unknown(_ name: StaticString) { element(word: name) }

    /// A word of ours in an array.
    mutating func element(word: StaticString) {
        comma()
        byte(UInt8(ascii: "\""))
        text(word)
        byte(UInt8(ascii: "\""))
    }

    private mutating func reserve(_ picture: borrowing Picture) {
        guard let reserve = picture.counters?.reserve else { return }
        open("reserve")
        field("taken", reserve.taken)
        field("taken_pages", reserve.takenPages)
        field("returned", reserve.returned)
        field("returned_pages", reserve.returnedPages)
        field("outstanding", reserve.outstanding)
        field("outstanding_pages", reserve.outstandingPages)
        field("untracked_pages", reserve.untrackedPages)
        if let oldest = picture.oldestBlockNanoseconds {
            field("oldest_outstanding_us", microseconds: oldest)
        }
        field("alloc_failed", reserve.allocFailed)
        field("alloc_failed_order0", reserve.allocFailedOrder0)
        field("alloc_failed_atomic", reserve.allocFailedAtomic)
        openArray("takers")
        var told = Ranking()
        for index in picture.takers.indices { told.offer(picture.takers[index].pages, index) }
        for place in 0..<told.count {
            element()
            taker(picture.takers[told.index(at: place)], picture: picture, withTask: false)
            close()
        }
        closeArray()
        close()
    }

    private mutating func directReclaim(_ picture: borrowing Picture) {
        guard let totals = picture.counters?.directReclaim else { return }
        open("direct_reclaim")
        field("begun", totals.begun)
        field("ended", totals.ended)
        field("ended_unseen", totals.endedUnseen)
        field("inside", totals.inside)
        field("total_us", large: totals.totalNanoseconds / 1000)
        field("reclaimed_pages", totals.reclaimedPages)
        field("histogram_us", totals.durations)
        openArray("tasks")
        var told = Ranking()
        for index in picture.reclaimers.indices {
            told.offer(.max - picture.reclaimers[index].beganBootNanoseconds, index)
        }
        for place in 0..<told.count {
            let stay = picture.reclaimers[told.index(at: place)]
            element()
            task(stay.task, picture: picture)
            since(stay.beganBootNanoseconds, picture)
            close()
        }
        closeArray()
        close()
    }

    private mutating func throttle(_ picture: borrowing Picture) {
        open("throttle")
        if let totals = picture.counters?.throttle {
            let snapshotIsBetter = totals.mismatchesSnapshot < totals.mismatchesPlain
            field("evaluations", totals.evaluations)
            field("false_returns", totals.refusals)
            field(
                "predicate_mismatches", min(totals.mismatchesSnapshot, totals.mismatchesPlain))
            field("predicate_rule", word: snapshotIsBetter ? "snapshot" : "plain")
            field("predicate_mismatches_plain", totals.mismatchesPlain)
            field("predicate_mismatches_snapshot", totals.mismatchesSnapshot)
            field("ended", totals.ended)
            field("total_us", large: totals.totalNanoseconds / 1000)
        }
        field("count", known: picture.counters?.kernel.pgscanDirectThrottle)
        waitingNow(picture)
        openArray("tasks")
        for index in picture.throttled.indices where index < Self.named {
            let stay = picture.throttled[index]
            element()
            task(stay.task, picture: picture)
            since(stay.beganBootNanoseconds, picture)
            close()
        }
        closeArray()
        close()
    }

    /// Absent where a node has more waiters than the walk over them counts.
    private mutating func waitingNow(_ picture: borrowing Picture) {
        var waiting: UInt64 = 0
        for index in picture.nodes.indices {
            guard picture.nodes[index].waitersKnown else { return }
            waiting &+= picture.nodes[index].throttleWaiters
        }
        if !picture.nodes.isEmpty { field("waiting_now", waiting) }
    }

    private mutating func nbdDevices(_ picture: borrowing Picture) {
        openArray("nbd")
        for index in picture.devices.indices {
            let state = picture.devices[index]
            element()
            nbd(state.sample)
            field("worst_oldest_us", microseconds: state.worstOldestNanoseconds)
            field("most_in_flight", state.mostInFlight)
            openArray("swap")
            for line in picture.swaps.indices
            where picture.swaps[line].nbdDisk == state.sample.disk {
                comma()
                byte(UInt8(ascii: "\""))
                json(foreign: picture.swaps[line].path)
                byte(UInt8(ascii: "\""))
            }
            closeArray()
            close()
        }
        closeArray()
    }

    private mutating func agent(_ picture: borrowing Picture) {
        guard let counters = picture.counters else { return }
        open("agent")
        field("beats", counters.beats)
        field("worst_gap_us", microseconds: counters.beatWorstGapNanoseconds)
        field("timer_ticks", counters.timerTicks)
        close()
    }
}

/// The indices with the eight largest values, largest first; equal ones in order of arrival.
struct Ranking {
    private var values = InlineArray<8, UInt64>(repeating: 0)
    private var indices = InlineArray<8, Int>(repeating: 0)
    private(set) var count = 0

    func index(at place: Int) -> Int { indices[place] }

    mutating func offer(_ value: UInt64, _ index: Int) {
        var place = count
        while place > 0, values[place - 1] < value { place -= 1 }
        guard place < 8 else { return }
        var last = min(count, 7)
        while last > place {
            values[last] = values[last - 1]
            indices[last] = indices[last - 1]
            last -= 1
        }
        values[place] = value
        indices[place] = index
        count = min(count + 1, 8)
    }
}
