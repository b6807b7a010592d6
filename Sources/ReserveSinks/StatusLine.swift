// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension ByteWriter {
    /// The whole host in one line: what is not known shows as "?".
    mutating func statusLine(_ picture: borrowing Picture, isFinal: Bool, pageKB: UInt64) {
        if isFinal { text("total: ") }
        statusOfNodes(picture, pageKB: pageKB)
        text(" | reserve ")
        if let reserve = picture.counters?.reserve {
            number(reserve.outstandingPages)
            text(" pages out, ")
            number(reserve.takenPages)
            text(" taken")
        } else {
            text("?")
        }
        text(" | reclaim ")
        if let reclaim = picture.counters?.directReclaim {
            number(reclaim.inside)
            text(" inside")
            statusOfReclaimers(picture)
        } else {
            text("?")
        }
        text(" | throttle ")
        if let count = picture.counters?.kernel.pgscanDirectThrottle {
            number(count)
            text(" (")
            known(picture.throttledKnown ? UInt64(picture.throttled.count) : nil)
            text(" now)")
        } else {
            text("?")
        }
        statusOfDevices(picture)
        text(" | swap in ")
        known(picture.counters?.kernel.pswpin)
        text(" out ")
        known(picture.counters?.kernel.pswpout)
        if let kills = picture.counters?.kernel.oomKill, kills > 0 {
            text(" | OOM kills ")
            number(kills)
        }
        text(" | lost ")
        number(picture.lostRecords)
    }

    private mutating func statusOfNodes(_ picture: borrowing Picture, pageKB: UInt64) {
        if picture.nodes.isEmpty { text("free ?") }
        for index in picture.nodes.indices {
            let node = picture.nodes[index]
            if picture.nodes.count > 1 {
                text(index == 0 ? "node " : "; node ")
                number(UInt64(node.node))
                byte(UInt8(ascii: " "))
            }
            text("free ")
            number(node.freePages.multipliedSaturating(by: pageKB))
            text(" kB, min ")
            number(node.pfmemallocReservePages.multipliedSaturating(by: pageKB))
            text(", throttle line ")
            number(node.throttleLinePages.multipliedSaturating(by: pageKB))
            text(", lowest ")
            number(node.lowestFreePages.multipliedSaturating(by: pageKB))
        }
    }

    private mutating func statusOfReclaimers(_ picture: borrowing Picture) {
        var oldest: Int?
        for index in picture.reclaimers.indices {
            guard let known = oldest else {
                oldest = index
                continue
            }
            if picture.reclaimers[index].beganBootNanoseconds
                < picture.reclaimers[known].beganBootNanoseconds
            {
                oldest = index
            }
        }
        guard let oldest else { return }
        let stay = picture.reclaimers[oldest]
        text(", longest ")
        duration(picture.age(since: stay.beganBootNanoseconds))
        byte(UInt8(ascii: " "))
        plain(foreign: stay.task.comm)
    }

    private mutating func statusOfDevices(_ picture: borrowing Picture) {
        for index in picture.devices.indices {
            let sample = picture.devices[index].sample
            text(" | ")
            plain(foreign: sample.disk)
            byte(UInt8(ascii: " "))
            number(sample.inFlight)
            text(" in flight")
            if sample.inFlight > 0 {
                text(", oldest ")
                duration(sample.oldestNanoseconds)
            }
        }
    }
}
