// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension ByteWriter {
    mutating func verdictLine(_ verdict: HostVerdict, pageKB: UInt64) {
        text("host is ")
        text(verdict.state.word)
        text(": ")
        text(verdict.state.meaning)
        text(" (was ")
        text(verdict.from.word)
        byte(UInt8(ascii: ")"))
        evidenceText(verdict.evidence, pageKB: pageKB)
    }

    /// One line: level, verdict, figures, what explains it, what to do. Also what goes to kmsg,
    /// which takes lines of less than a kilobyte.
    mutating func alertLine(
        _ alert: Alert, picture: borrowing Picture, pageKB: UInt64, isBrief: Bool = false
    ) {
        switch alert.level {
        case .critical: text("CRITICAL")
        case .warning: text("WARNING")
        case .resolved: text("RESOLVED")
        }
        byte(UInt8(ascii: " "))
        text(alert.track.word)
        text(" #")
        number(UInt64(alert.incident))
        if alert.told > 0, alert.level != .resolved {
            text(", told ")
            number(UInt64(alert.told) + 1)
            text(" times,")
        }
        if alert.sinceBootNanoseconds < picture.nowBootNanoseconds {
            text(alert.level == .resolved ? " after " : " since ")
            duration(picture.nowBootNanoseconds - alert.sinceBootNanoseconds)
        }
        text(": ")
        if alert.level == .resolved {
            resolvedText(alert)
        } else if alert.track == .exposure {
            exposureText(alert, picture: picture)
        } else {
            pressureText(alert, picture: picture, pageKB: pageKB)
            if !isBrief { waitingText(picture) }
        }
        text("; do: ")
        text(alert.reasons.advice)
    }

    private mutating func resolvedText(_ alert: Alert) {
        text("it was ")
        text(alert.peak.word)
        text(" at its worst and is over")
    }

    private mutating func exposureText(_ alert: Alert, picture: borrowing Picture) {
        let start: Int = count
        if let exposure = picture.exposure, let bound = exposure.receiveBoundBytes,
            let reserve = picture.reserveBytes, alert.reasons.contains(.receiveBuffers)
        {
            text("receive buffers may hold ")
            number(bound / 1024)
            text(" kB")
            if let sockets = exposure.tcpSockets, let most = exposure.tcpReceiveMaximumBytes {
                text(" (")
                number(sockets)
                text(" TCP sockets of up to ")
                number(most / 1024)
                text(" kB)")
            }
            if let rings = exposure.receiveRingsBytes {
                text(", the receive rings of its network cards ")
                number(rings / 1024)
                text(" kB")
            }
            text("; the reserve is ")
            number(reserve / 1024)
            text(" kB: were they to fill, no reply to a swap request would find room")
        } else if alert.reasons.contains(.receiveBuffers) {
            text("receive buffers may hold more than the reserve")
        }
        if alert.reasons.contains(.writebackThrottle) {
            if count > start { text("; ") }
            text("writeback throttling of the swap's disk is on (wbt_lat_usec ")
            known(picture.exposure?.writebackThrottleMicroseconds)
            text("), it may put to sleep who must receive")
        }
        if alert.reasons.contains(.localServer) {
            if count > start { text("; ") }
            text("the swap's server is on this host, and waits for the memory that it should free")
        }
    }

    private mutating func pressureText(
        _ alert: Alert, picture: borrowing Picture, pageKB: UInt64
    ) {
        text("host is ")
        text(picture.verdict.state.word)
        var first = true
        for index in 0..<10 where alert.reasons.contains(Alert.Reasons.all[index]) {
            text(first ? " (" : ", ")
            text(Alert.Reasons.all[index].word)
            first = false
        }
        if !first { byte(UInt8(ascii: ")")) }
        evidenceText(picture.verdict.evidence, pageKB: pageKB)
        findingsText(alert.findings, picture.verdict.evidence, picture: picture)
    }

    /// The state, the figures behind it, and what explains a stop.
    package mutating func verdictEvidence(_ picture: borrowing Picture, pageKB: UInt64) {
        text("host is ")
        text(picture.verdict.state.word)
        evidenceText(picture.verdict.evidence, pageKB: pageKB)
        findingsText(picture.findings, picture.verdict.evidence, picture: picture)
    }

    private mutating func evidenceText(_ evidence: HostVerdict.Evidence, pageKB: UInt64) {
        if let device = evidence.device {
            text("; ")
            plain(foreign: device.disk)
            byte(UInt8(ascii: " "))
            number(device.inFlight)
            text(" in flight")
            if device.inFlight > 0 {
                text(", oldest ")
                duration(device.oldestNanoseconds)
            }
            if device.stoppedNanoseconds > 0 {
                text(", none completed for ")
                duration(device.stoppedNanoseconds)
            }
            if device.failed > 0 {
                text(", ")
                number(device.failed)
                text(" failed")
            }
            if let live = device.liveConnections, let all = device.connections, live < all {
                text(", ")
                number(UInt64(live))
                text(" of ")
                number(UInt64(all))
                text(" connections left")
            }
        }
        if let node = evidence.node {
            text("; free ")
            number(node.freePages.multipliedSaturating(by: pageKB))
            text(" kB of min ")
            number(node.minPages.multipliedSaturating(by: pageKB))
            if let base = node.minWithoutBoostPages, base != node.minPages {
                text(" (without boost ")
                number(base.multipliedSaturating(by: pageKB))
                byte(UInt8(ascii: ")"))
            }
        }
        timeLeft(evidence)
        if evidence.reclaimers > 0 {
            text("; ")
            number(evidence.reclaimers)
            text(" in direct reclaim, longest ")
            duration(evidence.longestReclaimNanoseconds)
        }
        if evidence.throttled > 0 {
            text("; ")
            number(evidence.throttled)
            text(" asleep in the pfmemalloc throttle")
        }
        if let missed = evidence.swapInsMissed {
            text("; no page came from swap for ")
            duration(missed)
        }
    }

    private mutating func findingsText(
        _ findings: Alert.Findings, _ evidence: HostVerdict.Evidence, picture: borrowing Picture
    ) {
        guard findings.lostWire != .notLooked else { return }
        if let path = evidence.device?.path {
            text("; link ")
            if path.link.isEmpty { byte(UInt8(ascii: "?")) }
            plain(foreign: path.link)
            text(" carrier ")
            text(path.carrier.word)
        }
        if let silent = evidence.device?.silentNanoseconds {
            if silent > 0 {
                text(", nothing received for ")
                duration(silent)
            } else {
                text(", packets arrive")
            }
        }
        finding("lost wire", findings.lostWire)
        finding("dead receive path", findings.deadReceivePath)
        finding("silent server", findings.silentServer)
        if let worker = evidence.worker {
            text("; ")
            self.worker(worker, picture: picture)
        }
    }

    /// When free memory of the worst node ends, where that is foreseen.
    mutating func timeLeft(_ evidence: HostVerdict.Evidence) {
        guard let left = evidence.timeLeft else { return }
        text(", gone in ")
        duration(left.nanoseconds)
        text(" (")
        text(left.confidence.word)
        text(" confidence)")
    }

    /// "kworker/1:0[28] in reclaim for 914 ms, for virtio_net's receive ring"
    mutating func worker(_ worker: HostVerdict.Worker, picture: borrowing Picture) {
        plain(foreign: worker.task.comm)
        byte(UInt8(ascii: "["))
        number(UInt64(worker.task.tid))
        text("] in reclaim for ")
        duration(worker.insideNanoseconds)
        wayIn(worker, picture: picture)
    }

    /// The innermost frames that say what the worker wanted, without the allocator's own.
    private mutating func wayIn(_ worker: HostVerdict.Worker, picture: borrowing Picture) {
        guard let id = worker.stack,
            let index = picture.stacks.firstIndex(where: { $0.id == id })
        else { return }
        let stack = picture.stacks[index]
        guard let module = stack.innermostModule else { return }
        text(", for ")
        plain(foreign: module)
        if worker.receives { text("'s receive ring") }
    }

    private mutating func finding(_ name: StaticString, _ finding: Alert.Finding) {
        text(", ")
        text(name)
        switch finding {
        case .confirmed: text(": yes")
        case .ruledOut: text(": ruled out")
        case .cannotTell: text(": cannot tell")
        case .notLooked: text(": not looked at")
        }
    }

    private mutating func waitingText(_ picture: borrowing Picture) {
        let most = min(2, picture.reclaimers.count)
        for index in 0..<most {
            let stay = picture.reclaimers[index]
            text(index == 0 ? "; waiting: " : ", ")
            actor(stay.task, picture: picture)
            byte(UInt8(ascii: " "))
            duration(picture.age(since: stay.beganBootNanoseconds))
        }
    }
}
