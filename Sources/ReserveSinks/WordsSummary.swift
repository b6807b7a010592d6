// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// What happened, in words, for a person: printed once at the end.
///
/// Written into a fixed buffer like every other text; says what is not known.
public struct WordsSummary: ~Copyable {
    private var writer = ByteWriter(capacityBytes: 16 * 1024)

    public init() {}

    /// Hands the whole text to `body`.
    public mutating func write(
        picture: borrowing Picture, _ body: (UnsafeRawBufferPointer) -> Void
    ) {
        writer.clear()
        writer.words(picture)
        body(writer.bytes)
    }
}

extension ByteWriter {
    fileprivate mutating func words(_ picture: borrowing Picture) {
        let pageKB = UInt64(picture.host?.pageSizeBytes ?? 4096) / 1024
        text("Watched ")
        if let host = picture.host {
            plain(foreign: host.host)
            text(" (Linux ")
            plain(foreign: host.kernelRelease)
            text(") ")
        }
        text("for ")
        duration(picture.nowBootNanoseconds &- picture.firstBootNanoseconds)
        text(".\n\n")
        zoneWords(picture, pageKB: pageKB)
        reserveWords(picture)
        waitWords(picture)
        deviceWords(picture)
        socketWords(picture)
        slabWords(picture)
        guardWords(picture)
        swapWords(picture, pageKB: pageKB)
        ruleWords(picture)
        blindWords(picture)
    }

    private mutating func zoneWords(_ picture: borrowing Picture, pageKB: UInt64) {
        if picture.nodes.isEmpty {
            text("Free memory: not observed on this host.\n")
        }
        for index in picture.nodes.indices {
            let node = picture.nodes[index]
            text("Node ")
            number(UInt64(node.node))
            text(": the lowest free memory was ")
            number(node.lowestFreePages.multipliedSaturating(by: pageKB))
            text(" kB, ")
            after(node.lowestBootNanoseconds, picture)
            text("; min is ")
            number(node.pfmemallocReservePages.multipliedSaturating(by: pageKB))
            text(" kB now, the throttle line ")
            number(node.throttleLinePages.multipliedSaturating(by: pageKB))
            text(" kB.\n")
        }
        for index in picture.zones.indices {
            let zone = picture.zones[index]
            text("  zone ")
            plain(foreign: zone.name)
            text(": lowest ")
            number(zone.lowestFreePages.multipliedSaturating(by: pageKB))
            text(" kB, min ")
            number(zone.minPages.multipliedSaturating(by: pageKB))
            text(" kB")
            if zone.boostPages > 0 {
                text(" (of which boost ")
                number(zone.boostPages.multipliedSaturating(by: pageKB))
                text(" kB)")
            }
            text("\n")
        }
    }

    private mutating func after(_ bootNanoseconds: UInt64, _ picture: borrowing Picture) {
        duration(
            bootNanoseconds > picture.firstBootNanoseconds
                ? bootNanoseconds - picture.firstBootNanoseconds : 0)
        text(" after the start")
    }

    private mutating func reserveWords(_ picture: borrowing Picture) {
        guard let reserve = picture.counters?.reserve else {
            text("Reserve: who takes from it was not observed on this host.\n")
            return
        }
        text("Reserve: ")
        number(reserve.takenPages)
        text(" pages were taken with the watermarks ignored, in ")
        number(reserve.taken)
        text(" allocations; ")
        number(reserve.outstandingPages)
        text(" pages are still out")
        if let oldest = picture.oldestBlockNanoseconds {
            text(", the oldest for ")
            duration(oldest)
        }
        text(".\n")
        var told = Ranking()
        for index in picture.takers.indices { told.offer(picture.takers[index].pages, index) }
        for place in 0..<told.count {
            let taker = picture.takers[told.index(at: place)]
            text("  ")
            number(taker.pages)
            text(" pages by ")
            plain(foreign: taker.task.comm)
            text(", ")
            text(taker.context.word)
            text(", entitled by ")
            text(taker.entitlement.word)
            text("\n")
        }
        text("Allocations that got nothing: ")
        number(reserve.allocFailed)
        text(", ")
        number(reserve.allocFailedOrder0)
        text(" of them for a single page, ")
        number(reserve.allocFailedAtomic)
        text(" that could not wait.\n")
    }

    private mutating func waitWords(_ picture: borrowing Picture) {
        if let reclaim = picture.counters?.directReclaim {
            text("Direct reclaim: ")
            number(reclaim.begun)
            text(" times, ")
            duration(reclaim.totalNanoseconds)
            text(" in all, ")
            number(reclaim.reclaimedPages)
            text(" pages reclaimed; ")
            number(reclaim.inside)
            text(" tasks are inside now, at most ")
            number(UInt64(picture.mostReclaimers))
            text(" slow ones at once.\n")
        } else {
            text("Direct reclaim: not observed on this host.\n")
        }
        waiters(picture, of: .directReclaim)
        for index in picture.reclaimers.indices where index < 8 {
            let stay = picture.reclaimers[index]
            text("  still inside: ")
            actor(stay.task, picture: picture)
            text(" for ")
            duration(picture.age(since: stay.beganBootNanoseconds))
            text("\n")
        }
        if let count = picture.counters?.kernel.pgscanDirectThrottle {
            text("PFMEMALLOC throttle (throttle_direct_reclaim): ")
            number(count)
            text(" times")
            if let throttle = picture.counters?.throttle {
                text(", ")
                duration(throttle.totalNanoseconds)
                text(" in all; the kernel was asked ")
                number(throttle.evaluations)
                text(" times and said no ")
                number(throttle.refusals)
                text(" times")
            }
            text("; ")
            known(picture.throttledKnown ? UInt64(picture.throttled.count) : nil)
            text(" tasks sleep there now.\n")
        } else {
            text("PFMEMALLOC throttle: not observed on this host.\n")
        }
        waiters(picture, of: .throttle)
    }

    private mutating func waiters(_ picture: borrowing Picture, of kind: Picture.WaitKind) {
        var told = Ranking()
        for index in picture.waiters.indices where picture.waiters[index].kind == kind {
            told.offer(picture.waiters[index].longestNanoseconds, index)
        }
        for place in 0..<told.count {
            let waiter = picture.waiters[told.index(at: place)]
            text("  ")
            plain(foreign: waiter.comm)
            text(": ")
            number(waiter.stays)
            text(kind == .directReclaim ? " slow stays, " : " sleeps, ")
            duration(waiter.totalNanoseconds)
            text(" in all, longest ")
            duration(waiter.longestNanoseconds)
            text("\n")
        }
    }

    private mutating func deviceWords(_ picture: borrowing Picture) {
        if !(picture.counters?.nbdKnown ?? false) {
            text("NBD: not observed on this host.\n")
        } else if picture.devices.isEmpty {
            text("NBD: no request was made.\n")
        }
        for index in picture.devices.indices {
            let state = picture.devices[index]
            plain(foreign: state.sample.disk)
            text(": ")
            number(state.sample.issued)
            text(" requests issued, ")
            number(state.sample.completed)
            text(" completed, ")
            number(state.sample.errors)
            text(" failed; ")
            number(state.sample.inFlight)
            text(" in flight now")
            if state.sample.inFlight > 0 {
                text(", the oldest for ")
                duration(state.sample.oldestNanoseconds)
            }
            text(". At worst a request waited ")
            duration(state.worstOldestNanoseconds)
            if state.worstOldestNanoseconds > 0 {
                text(" (")
                after(state.worstBootNanoseconds, picture)
                text(")")
            }
            text(", at most ")
            number(state.mostInFlight)
            text(" were in flight.\n")
        }
    }

    private mutating func swapWords(_ picture: borrowing Picture, pageKB: UInt64) {
        text("Swap: ")
        if let kernel = picture.counters?.kernel, let swapIn = kernel.pswpin,
            let swapOut = kernel.pswpout
        {
            number(swapIn.multipliedSaturating(by: pageKB) / 1024)
            text(" MB came in, ")
            number(swapOut.multipliedSaturating(by: pageKB) / 1024)
            text(" MB went out")
        } else {
            text("pages in and out were not observed")
        }
        for index in picture.swaps.indices {
            let swap = picture.swaps[index]
            text("; ")
            plain(foreign: swap.path)
            if swap.nbdDisk.isEmpty {
                text(" is not on NBD")
            } else {
                text(" lies on ")
                plain(foreign: swap.nbdDisk)
            }
        }
        text(".\nOOM killer: ")
        if let kills = picture.counters?.kernel.oomKill {
            number(kills)
            text(" kills.\n")
        } else {
            text("not observed on this host.\n")
        }
        for index in picture.oomKills.indices where index < 8 {
            text("  killed: ")
            actor(picture.oomKills[index].task, picture: picture)
            text("\n")
        }
    }

    private mutating func ruleWords(_ picture: borrowing Picture) {
        for index in picture.rules.indices {
            let rule = picture.rules[index]
            text("Rule ")
            plain(foreign: rule.name)
            text(" (")
            text(rule.mode.word)
            text("): ")
            number(rule.mode == .enforce ? rule.done : rule.would)
            text(rule.mode == .enforce ? " acts, " : " acts that it would have done, ")
            if rule.mode == .enforce {
                number(rule.undone)
                text(" taken back, ")
                number(rule.failed)
                text(" failed, ")
            }
            number(rule.refused)
            text(" refused, ")
            number(rule.limited)
            text(rule.stands ? " at its limit; one stands now.\n" : " at its limit.\n")
        }
    }

    private mutating func blindWords(_ picture: borrowing Picture) {
        text("Lost: ")
        number(picture.lostRecords)
        text(" records, ")
        number(picture.untracked)
        text(" entries without room in a table; ")
        if let missed = picture.missedEvents {
            number(missed)
            text(" events were missed in nested interrupts.")
        } else {
            text("whether events were missed in nested interrupts, this kernel does not tell.")
        }
        if let gap = picture.counters?.beatWorstGapNanoseconds, gap > 0 {
            text(" The watch itself never paused for longer than ")
            duration(gap)
            text(".")
        }
        text("\n")
        for index in picture.hooks.indices where picture.hooks[index].state == .missing {
            text(picture.hooks[index].isProtection ? "Not protected: " : "Not observed: ")
            plain(foreign: picture.hooks[index].signal)
            text(" (")
            plain(foreign: picture.hooks[index].reason)
            text(")\n")
        }
    }
}
