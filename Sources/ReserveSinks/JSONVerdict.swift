// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension ByteWriter {
    /// Tasks that an alert names; how many there are is in its figures.
    private static var named: Int { 4 }

    mutating func verdict(_ verdict: HostVerdict, picture: borrowing Picture) {
        field("state", word: verdict.state.word)
        field("from", word: verdict.from.word)
        field("since_boot_ns", verdict.sinceBootNanoseconds)
        field("memory", word: verdict.conditions.memory.word)
        field("progress", word: verdict.conditions.progress.word)
        field("actors", word: verdict.conditions.actors.word)
        open("evidence")
        evidence(verdict.evidence, picture: picture)
        close()
    }

    private mutating func evidence(
        _ evidence: HostVerdict.Evidence, picture: borrowing Picture
    ) {
        if let node = evidence.node {
            field("node", node.node)
            field("free_pages", node.freePages)
            field("min_pages", node.minPages)
            field("min_without_boost_pages", known: node.minWithoutBoostPages)
            field("low_pages", known: node.lowPages)
            field("throttle_line_pages", node.throttleLinePages)
            field("kswapd_blocked", node.kswapdIsBlocked)
            field("kswapd_failures", node.kswapdFailures)
        }
        if let left = evidence.timeLeft {
            field("time_left_us", microseconds: left.nanoseconds)
            field("time_left_confidence", word: left.confidence.word)
        }
        field("reclaimers", evidence.reclaimers)
        field("longest_reclaim_us", microseconds: evidence.longestReclaimNanoseconds)
        field("throttled", evidence.throttled)
        if let swapIns = evidence.swapIns {
            field("swap_ins", swapIns.reads)
            field("longest_swap_in_us", microseconds: swapIns.nanoseconds)
        }
        field("failed_atomic_allocations", known: evidence.failedAtomicAllocations)
        if let device = evidence.device { self.device(device) }
        if let worker = evidence.worker {
            open("worker")
            task(worker.task, picture: picture)
            field("inside_us", microseconds: worker.insideNanoseconds)
            field("receives", worker.receives)
            if let stack = worker.stack { field("stack", stack) }
            close()
        }
    }

    private mutating func device(_ device: HostVerdict.Device) {
        open("device")
        field("device", foreign: device.disk)
        field("in_flight", device.inFlight)
        field("oldest_us", microseconds: device.oldestNanoseconds)
        field("stopped_us", microseconds: device.stoppedNanoseconds)
        field("unsent", known: device.unsent)
        field("errors", device.failed)
        if let connections = device.connections { field("connections", connections) }
        if let live = device.liveConnections { field("live_connections", live) }
        if let silent = device.silentNanoseconds { field("silent_us", microseconds: silent) }
        if let path = device.path { self.path(path) }
        close()
    }

    /// What the device's connections go through.
    mutating func path(_ path: NBDSample.Path) {
        field("carrier", word: path.carrier.word)
        if !path.link.isEmpty { field("link", foreign: path.link) }
        field("local_server", path.isLocal)
        field("segments_received", path.segmentsReceived)
        field("segments_sent", path.segmentsSent)
    }

    mutating func alert(_ alert: Alert, picture: borrowing Picture) {
        briefAlert(alert, picture: picture)
        open("evidence")
        evidence(picture.verdict.evidence, picture: picture)
        close()
        if let reserve = picture.reserveBytes { field("reserve_bytes", reserve) }
        if alert.track == .exposure {
            if let exposure = picture.exposure { self.exposure(exposure) }
        } else {
            waiting(picture)
        }
    }

    /// Without evidence and without those who wait: for places that take short lines only.
    mutating func briefAlert(_ alert: Alert, picture: borrowing Picture) {
        field("track", word: alert.track.word)
        field("level", word: alert.level.word)
        field("incident", alert.incident)
        field("peak", word: alert.peak.word)
        field("since_boot_ns", alert.sinceBootNanoseconds)
        field("told", alert.told)
        openArray("reasons")
        for index in 0..<10 where alert.reasons.contains(Alert.Reasons.all[index]) {
            comma()
            byte(UInt8(ascii: "\""))
            text(Alert.Reasons.all[index].word)
            byte(UInt8(ascii: "\""))
        }
        closeArray()
        field("verdict", word: picture.verdict.state.word)
        if alert.track == .pressure {
            field("lost_wire", word: alert.findings.lostWire.word)
            field("dead_receive_path", word: alert.findings.deadReceivePath.word)
            field("silent_server", word: alert.findings.silentServer.word)
        }
        field("advice", word: alert.reasons.advice)
    }

    /// Who waits, the longest first as they came: direct reclaim, then the throttle.
    private mutating func waiting(_ picture: borrowing Picture) {
        openArray("waiting")
        for index in 0..<min(Self.named, picture.reclaimers.count) {
            let stay = picture.reclaimers[index]
            element()
            task(stay.task, picture: picture)
            field("where", word: "direct_reclaim")
            since(stay.beganBootNanoseconds, picture)
            if let stack = stay.stack { field("stack", stack) }
            close()
        }
        for index in 0..<min(Self.named, picture.throttled.count) {
            let stay = picture.throttled[index]
            element()
            task(stay.task, picture: picture)
            field("where", word: "throttle")
            since(stay.beganBootNanoseconds, picture)
            close()
        }
        closeArray()
    }

    mutating func exposure(_ exposure: Exposure) {
        open("exposure")
        field("receive_bound_bytes", known: exposure.receiveBoundBytes)
        field("tcp_sockets", known: exposure.tcpSockets)
        field("tcp_receive_maximum_bytes", known: exposure.tcpReceiveMaximumBytes)
        field("tcp_memory_maximum_bytes", known: exposure.tcpMemoryMaximumBytes)
        field("tcp_memory_bytes", known: exposure.tcpMemoryBytes)
        field("udp_sockets", known: exposure.udpSockets)
        field("receive_default_bytes", known: exposure.receiveDefaultBytes)
        field("receive_maximum_bytes", known: exposure.receiveMaximumBytes)
        field("udp_memory_maximum_bytes", known: exposure.udpMemoryMaximumBytes)
        field("writeback_throttle_us", known: exposure.writebackThrottleMicroseconds)
        field("receive_rings_bytes", known: exposure.receiveRingsBytes)
        field("needed_bytes", known: exposure.neededBytes)
        close()
    }

    /// Verdict, alerts and the watch's own account, as a summary has them.
    mutating func standing(_ picture: borrowing Picture) {
        open("verdict")
        field("state", word: picture.verdict.state.word)
        field("since_boot_ns", picture.verdict.sinceBootNanoseconds)
        field("memory", word: picture.verdict.conditions.memory.word)
        field("progress", word: picture.verdict.conditions.progress.word)
        field("actors", word: picture.verdict.conditions.actors.word)
        if let left = picture.verdict.evidence.timeLeft {
            field("time_left_us", microseconds: left.nanoseconds)
            field("time_left_confidence", word: left.confidence.word)
        }
        close()
        openArray("alerts")
        for index in 0..<2 where picture.alerts[index].level != .resolved {
            element()
            field("track", word: picture.alerts[index].track.word)
            field("level", word: picture.alerts[index].level.word)
            field("incident", picture.alerts[index].incident)
            field("since_boot_ns", picture.alerts[index].sinceBootNanoseconds)
            close()
        }
        closeArray()
        if let exposure = picture.exposure { self.exposure(exposure) }
        if let account = picture.selfAccount { self.account(account) }
        if !picture.sinks.isEmpty { sinks(picture) }
        if !picture.rules.isEmpty { rules(picture) }
    }

    private mutating func account(_ account: SelfAccount) {
        open("self")
        if let own = account.allocations {
            field("pages_allocated", own.pages)
            field("allocations", own.calls)
            field("direct_reclaims", own.directReclaims)
            field("sink_pages_allocated", own.sinkPages)
            field("sink_direct_reclaims", own.sinkDirectReclaims)
            if let stack = own.lastStack { field("allocation_stack", UInt64(stack)) }
        }
        if let faults = account.faults {
            field("major_faults", faults.major)
            field("minor_faults", faults.minor)
        }
        field("locked_kib", account.lockedKiB)
        field("resident_kib", account.residentKiB)
        field("box_bytes", account.boxBytes)
        field("cpu_us", microseconds: account.cpuNanoseconds)
        field("threads", account.threads)
        close()
    }

    private mutating func sinks(_ picture: borrowing Picture) {
        openArray("sinks")
        for index in picture.sinks.indices {
            let sink = picture.sinks[index]
            element()
            field("name", foreign: sink.name)
            field("json", sink.isJSON)
            field("lines", sink.lines)
            field("dropped", sink.dropped)
            field("waiting_bytes", sink.waitingBytes)
            if let last = sink.lastNanoseconds { field("last_us", microseconds: last) }
            if let worst = sink.worstNanoseconds { field("worst_us", microseconds: worst) }
            if sink.error != 0 { field("error", signed: sink.error) }
            close()
        }
        closeArray()
    }
}
