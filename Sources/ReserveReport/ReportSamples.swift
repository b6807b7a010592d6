// SPDX-License-Identifier: Apache-2.0

import ReserveModel
import ReserveSinks

// Which figures go on which chart.

extension ReportCollector {
    /// Charts of sockets beyond these are left to the table.
    private static let mostSocketCharts = 8

    mutating func sample(_ event: Event) {
        let now = event.bootNanoseconds
        switch event.body {
        case .zone(let zone): sample(zone, at: now)
        case .node(let node): sample(node, at: now)
        case .counters(let totals): sample(totals, at: now)
        case .nbdDevice(let device): sample(device, at: now)
        case .socket(let socket): sample(socket, at: now)
        case .socketGone(let socket): goneSockets.insert(socket.serial)
        case .swapUsage(let usage): sample(usage, at: now)
        case .reclaimLeft(let stay):
            add(
                .directReclaim, stay.task, began: stay.beganBootNanoseconds,
                duration: stay.durationNanoseconds, at: now)
        case .reclaimTask(let task): reclaimTasks.take(task)
        case .pageTask(let task): pageTasks.take(task)
        case .reclaimWait(let wait):
            add(
                .reclaimWait, wait.task, began: now &- min(now, wait.delayedNanoseconds),
                duration: wait.delayedNanoseconds, at: now)
        case .kswapd(let move):
            if let awake = move.awakeNanoseconds {
                spans.add(
                    ReportSpan(
                        kind: .kswapd, comm: kswapdName(move.node), tid: kswapdTID(move.node),
                        began: now &- min(now, awake), durationNanoseconds: awake))
            }
        default: break
        }
    }

    func kswapdName(_ node: UInt32) -> FixedName {
        let text = Array("kswapd\(node)".utf8)
        return text.withUnsafeBytes { FixedName(bytes: $0) }
    }

    func kswapdTID(_ node: UInt32) -> UInt32 {
        let nodes = model.picture.nodes
        return nodes.firstIndex(where: { $0.node == node }).map { nodes[$0].kswapdTID } ?? 0
    }

    /// The chart of this id, made at its first figure.
    private mutating func chart(
        _ id: String, _ title: @autoclosure () -> String, unit: String, source: String,
        numerator: UInt64 = 1, denominator: UInt64 = 1
    ) -> Int {
        if let index = charts.firstIndex(where: { $0.id == id }) { return index }
        charts.append(
            ReportChart(
                id: id, title: title(), unit: unit, source: source, numerator: numerator,
                denominator: denominator))
        return charts.count - 1
    }

    private mutating func sample(_ zone: ZoneSample, at now: UInt64) {
        let index = chart(
            "zone-\(zone.node)-\(zone.index)", "Node \(zone.node), zone \(plain(zone.name))",
            unit: "kB", source: "watermark: struct zone; min, low, high include the boost",
            numerator: pageKB)
        charts[index].add(
            zone.freePages, to: "free", at: now, origin: origin,
            lowest: zone.recentLowestFreePages)
        charts[index].add(zone.highPages, to: "high", .dotted, at: now, origin: origin)
        charts[index].add(zone.lowPages, to: "low", .dashed, at: now, origin: origin)
        charts[index].add(zone.minPages, to: "min", .mark, at: now, origin: origin)
        charts[index].add(zone.boostPages, to: "boost", .dotted, at: now, origin: origin)
    }

    private mutating func sample(_ node: NodeSample, at now: UInt64) {
        let index = chart(
            "node-\(node.node)", "Node \(node.node): free against the marks", unit: "kB",
            source:
                "watermark: the zones that allow_direct_reclaim() counts, and sums of their marks",
            numerator: pageKB)
        charts[index].add(node.freePages, to: "free", at: now, origin: origin)
        charts[index].add(
            node.pfmemallocReservePages, to: "min", .mark, at: now, origin: origin)
        charts[index].add(
            node.throttleLinePages, to: "throttle line", .limit, at: now, origin: origin)
        // Sums of low, high and boost are told only where they are of the same zones as min.
        var sums = (min: UInt64(0), low: UInt64(0), high: UInt64(0), boost: UInt64(0))
        for place in model.picture.zones.indices {
            let zone = model.picture.zones[place]
            guard zone.node == node.node, zone.managedPages > 0 else { continue }
            sums.min &+= zone.minPages
            sums.low &+= zone.lowPages
            sums.high &+= zone.highPages
            sums.boost &+= zone.boostPages
        }
        guard sums.min > 0, sums.min == node.pfmemallocReservePages else { return }
        charts[index].add(sums.high, to: "high", .dotted, at: now, origin: origin)
        charts[index].add(sums.low, to: "low", .dashed, at: now, origin: origin)
        charts[index].add(sums.boost, to: "boost", .dotted, at: now, origin: origin)
    }

    private mutating func sample(_ totals: CounterTotals, at now: UInt64) {
        if let reserve = totals.reserve {
            let out = chart(
                "reserve", "Reserve pages outstanding", unit: "pages",
                source: "reserve: taken with the watermarks ignored, not yet freed")
            charts[out].add(reserve.outstandingPages, to: "outstanding", at: now, origin: origin)
            let rate = chart(
                "reserve-rate", "Taken from the reserve, and allocations that got nothing",
                unit: "per s", source: "reserve: mm_page_alloc, totals of the kernel side")
            charts[rate].add(
                reserve.takenPages, to: "pages taken", at: now, origin: origin, isTotal: true)
            charts[rate].add(
                reserve.allocFailed, to: "failed", .dashed, at: now, origin: origin, isTotal: true)
        }
        if let reclaim = totals.directReclaim {
            let inside = chart(
                "waiting", "Tasks in direct reclaim and in the PFMEMALLOC throttle", unit: "tasks",
                source: "direct_reclaim and throttle: totals and records")
            charts[inside].add(reclaim.inside, to: "in direct reclaim", at: now, origin: origin)
            if totals.kernel.pgscanDirectThrottle != nil {
                charts[inside].add(
                    UInt64(model.picture.throttled.count), to: "in the throttle", .mark, at: now,
                    origin: origin)
            }
        }
        if let swapIn = totals.kernel.pswpin, let swapOut = totals.kernel.pswpout {
            let swap = chart(
                "swap", "Swap in and out", unit: "pages per s",
                source: "swap: pswpin and pswpout of the kernel side")
            charts[swap].add(swapIn, to: "in", .dashed, at: now, origin: origin, isTotal: true)
            charts[swap].add(swapOut, to: "out", at: now, origin: origin, isTotal: true)
        }
        guard totals.packets.received != nil || totals.packets.dropped != nil else { return }
        let packets = chart(
            "packets", "Packets in PFMEMALLOC memory", unit: "per s",
            source: "socket: netif_receive_skb, sk_filter_trim_cap()")
        if let received = totals.packets.received {
            charts[packets].add(
                received, to: "received", .dotted, at: now, origin: origin, isTotal: true)
        }
        if let delivered = totals.packets.delivered {
            charts[packets].add(delivered, to: "delivered", at: now, origin: origin, isTotal: true)
        }
        if let dropped = totals.packets.dropped {
            charts[packets].add(
                dropped, to: "dropped", .mark, at: now, origin: origin, isTotal: true)
        }
    }

    private mutating func sample(_ device: NBDSample, at now: UInt64) {
        let name = plain(device.disk)
        let flight = chart(
            "nbd-flight-\(device.firstMinor)", "\(name): requests in flight", unit: "requests",
            source: "nbd: block_rq_issue, block_rq_complete")
        charts[flight].add(device.inFlight, to: "in flight", at: now, origin: origin)
        if let phases = device.phases {
            charts[flight].add(phases.unsent, to: "not sent yet", .mark, at: now, origin: origin)
        }
        let age = chart(
            "nbd-age-\(device.firstMinor)", "\(name): age of the oldest request", unit: "ms",
            source: "nbd: the oldest request in flight, each 100 ms", denominator: 1_000_000)
        charts[age].add(device.oldestNanoseconds, to: "oldest", at: now, origin: origin)
        let rate = chart(
            "nbd-rate-\(device.firstMinor)", "\(name): read and written", unit: "kB per s",
            source: "nbd: bytes of completed requests", denominator: 1024)
        charts[rate].add(
            device.readBytes, to: "read", .dashed, at: now, origin: origin, isTotal: true)
        charts[rate].add(
            device.writtenBytes, to: "written", at: now, origin: origin, isTotal: true)
        sampleLatency(device, name: name, at: now)
    }

    /// Of the requests that completed since the last record: bounds of buckets, for the
    /// kernel side counts no finer.
    private mutating func sampleLatency(_ device: NBDSample, name: String, at now: UInt64) {
        defer { lastLatency[device.disk] = device.latency }
        guard let before = lastLatency[device.disk] else { return }
        var fresh = LatencyBuckets(repeating: 0)
        for index in 0..<24 where device.latency[index] > before[index] {
            fresh[index] = device.latency[index] - before[index]
        }
        guard let half = bucket(of: fresh, reaching: 500),
            let all = bucket(of: fresh, reaching: 1000)
        else { return }
        let latency = chart(
            "nbd-latency-\(device.firstMinor)", "\(name): latency of requests as they complete",
            unit: "ms",
            source: "nbd: upper bounds of power-of-two buckets, so up to twice the real one",
            denominator: 1000)
        charts[latency].add(
            UInt64(1) << UInt64(half + 1), to: "half below", .point, at: now, origin: origin)
        charts[latency].add(
            UInt64(1) << UInt64(all + 1), to: "all below", .point, at: now, origin: origin)
    }

    private mutating func sample(_ socket: SocketSample, at now: UInt64) {
        guard sockets[socket.serial] != nil || sockets.count < 256 else { return }
        sockets[socket.serial] = socket
        guard let tcp = socket.tcp, socket.serial <= UInt64(Self.mostSocketCharts) else { return }
        // Each watch numbers them anew.
        let id = (starts > 1 ? "socket-\(starts)-" : "socket-") + "\(socket.serial)"
        guard
            charts.contains(where: { $0.id == id })
                || charts.count(where: { $0.id.hasPrefix("socket-") }) < Self.mostSocketCharts
        else { return }
        let ends = written { $0.ends(of: socket) }
        let index = chart(
            id, "Socket \(ends)", unit: "bytes",
            source: "socket: struct tcp_sock, each 100 ms")
        charts[index].add(
            tcp.sendQueueBytes, to: "not acknowledged", at: now, origin: origin)
        charts[index].add(
            tcp.receiveQueueBytes, to: "not read", .dashed, at: now, origin: origin)
    }

    private mutating func sample(_ usage: SwapUsage, at now: UInt64) {
        guard let area = usage.area else { return }
        let index = chart(
            "swap-used-\(usage.major)-\(usage.minor)", "Swap in use, \(usage.major):\(usage.minor)",
            unit: "kB", source: "swap: swap_info[]", numerator: pageKB)
        charts[index].add(area.usedPages, to: "used", at: now, origin: origin)
        charts[index].add(area.pages, to: "size", .dotted, at: now, origin: origin)
    }
}
