// SPDX-License-Identifier: Apache-2.0

import ReserveModel

// The parts of the summary that came with wire 2; what is not known is absent.

extension ByteWriter {
    mutating func wideUnknown(_ picture: borrowing Picture) {
        let counters = picture.counters
        if counters?.belowMin == nil { unknown("below_min") }
        if counters?.kswapd == nil { unknown("kswapd") }
        if counters?.reclaimWaits == nil { unknown("reclaim_wait") }
        if counters?.slab == nil { unknown("slab") }
        if counters?.slabQuestions == nil { unknown("slab_refusals") }
        if !(counters?.socketsKnown ?? false) { unknown("sockets") }
        if counters?.packets.dropped == nil { unknown("pfmemalloc_drop") }
        if counters?.packets.delivered == nil { unknown("pfmemalloc_delivered") }
        if counters?.packets.received == nil { unknown("pfmemalloc_received") }
        if !(counters?.swapDevicesKnown ?? false) { unknown("swap_devices") }
        if counters?.oomFreedPages == nil { unknown("oom_freed_pages") }
        if counters?.guardTotals.signals == nil { unknown("guard_signals") }
        if counters?.guardTotals.traces == nil { unknown("guard_traces") }
        if counters?.guardTotals.swapoffs == nil { unknown("guard_swapoff") }
        if counters?.guardTotals.disconnects == nil { unknown("guard_disconnect") }
        if picture.pressure == nil { unknown("pressure") }
    }

    mutating func wideTotals(_ picture: borrowing Picture) {
        guard let counters = picture.counters else { return }
        if let below = counters.belowMin { belowMin(below) }
        if let kswapd = counters.kswapd {
            open("kswapd")
            field("wakes", kswapd.wakes)
            field("sleeps", kswapd.sleeps)
            field("requests", kswapd.requests)
            close()
        }
        if let waits = counters.reclaimWaits { reclaimWaits(waits) }
        slabTotals(picture)
        socketTotals(picture)
        if let pages = counters.oomFreedPages { field("oom_freed_pages", pages) }
        guardTotals(picture)
        if let pressure = picture.pressure { self.pressure(pressure) }
    }

    private mutating func belowMin(_ below: CounterTotals.BelowMin) {
        open("below_min")
        field("allocations", below.allocations)
        field("pages", below.pages)
        for allowance in Allowance.allCases where allowance != .unknown {
            field(allowance.word, below.by[Int(allowance.rawValue)])
        }
        close()
    }

    private mutating func reclaimWaits(_ waits: CounterTotals.ReclaimWaits) {
        open("reclaim_wait")
        for reason in ReclaimReason.allCases {
            open(reason.word)
            field("waits", waits.count[Int(reason.rawValue)])
            field("total_us", large: waits.nanoseconds[Int(reason.rawValue)] / 1000)
            close()
        }
        close()
    }

    /// The eight caches that took most slabs from the reserve or else changed most.
    private mutating func slabCaches(_ picture: borrowing Picture) {
        openArray("slab_caches")
        var told = Ranking()
        for index in picture.caches.indices {
            let cache = picture.caches[index]
            let slabs = (cache.slabsAllocated &+ cache.slabsFreed) << UInt64(cache.slabOrder)
            let objects = cache.objects.map { $0.allocated &+ $0.freed } ?? 0
            told.offer(cache.slabsFromReserve << 48 &+ slabs << 16 &+ objects >> 8, index)
        }
        for place in 0..<told.count {
            element()
            cache(
                picture.caches[told.index(at: place)],
                slabsKnown: picture.counters?.slab != nil)
            close()
        }
        closeArray()
    }

    private mutating func slabTotals(_ picture: borrowing Picture) {
        guard let counters = picture.counters else { return }
        if let slab = counters.slab {
            open("slab")
            field("slabs_allocated", slab.allocated)
            field("slabs_freed", slab.freed)
            field("slabs_from_reserve", slab.fromReserve)
            field("caches_untracked", slab.cachesUntracked)
            close()
        }
        if counters.slab != nil || counters.slabObjects != nil { slabCaches(picture) }
        if let questions = counters.slabQuestions {
            open("slab_refusals")
            field("asked", questions.asked)
            field("refused", questions.refused)
            close()
        }
        if let objects = counters.slabObjects {
            open("slab_objects")
            field("kmallocs", objects.kmallocs)
            field("kmalloc_bytes", large: objects.kmallocBytes)
            field("kfrees", objects.kfrees)
            close()
        }
    }

    private mutating func socketTotals(_ picture: borrowing Picture) {
        guard let counters = picture.counters else { return }
        if counters.socketsKnown {
            field("sockets_marked", known: counters.socketsMarked)
            openArray("sockets")
            for index in picture.sockets.indices {
                element()
                socket(picture.sockets[index], picture: picture)
                close()
            }
            closeArray()
        }
        open("pfmemalloc_packets")
        field("allocated", known: counters.packets.allocated)
        field("received", known: counters.packets.received)
        field("delivered", known: counters.packets.delivered)
        field("dropped", known: counters.packets.dropped)
        field("freed", known: counters.packets.freed)
        close()
    }

    mutating func swapUsages(_ picture: borrowing Picture) {
        openArray("swap_devices")
        for index in picture.swapUsages.indices {
            let usage = picture.swapUsages[index]
            element()
            field("major", usage.major)
            field("minor", usage.minor)
            if let line = picture.swaps.firstIndex(where: {
                $0.major == usage.major && $0.minor == usage.minor
            }) {
                field("path", foreign: picture.swaps[line].path)
            }
            if let area = usage.area {
                field("priority", signed: area.priority)
                field("pages", area.pages)
                field("used_pages", area.usedPages)
            }
            field("in_pages", usage.inPages)
            field("out_pages", usage.outPages)
            field("read_errors", usage.readErrors)
            field("write_errors", usage.writeErrors)
            field("in_flight", usage.inFlight)
            if let waiting = usage.waiting {
                field("reads_in_flight", waiting.reads)
                field("reads_waited_us", microseconds: waiting.nanoseconds)
            }
            field("read_latency_us", usage.reads)
            field("write_latency_us", usage.writes)
            close()
        }
        closeArray()
    }

    private mutating func pressure(_ pressure: PressureSample) {
        open("pressure")
        line("memory_some", pressure.memorySome)
        line("memory_full", pressure.memoryFull)
        line("io_some", pressure.ioSome)
        line("io_full", pressure.ioFull)
        close()
    }

    private mutating func line(_ name: StaticString, _ line: PressureSample.Line) {
        open(name)
        field("avg10_hundredths", line.average10)
        field("total_us", large: line.totalMicroseconds)
        close()
    }
}
