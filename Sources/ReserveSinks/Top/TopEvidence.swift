// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension ByteWriter {
    mutating func reasons(_ reasons: Alert.Reasons) {
        var first = true
        for index in 0..<10 where reasons.contains(Alert.Reasons.all[index]) {
            if !first { text(", ") }
            text(Alert.Reasons.all[index].word)
            first = false
        }
        if first { text("over") }
    }

    /// What the verdict rests on; the first word is not a separator.
    mutating func evidence(_ scene: TopScene, _ findings: Alert.Findings?) {
        let picture = scene.picture
        let evidence = picture.verdict.evidence
        if evidence.node == nil && evidence.device == nil && evidence.reclaimers == 0 {
            text(
                picture.nodes.isEmpty
                    ? "free memory is not known yet, or not observed on this host"
                    : "no verdict was drawn yet")
            return
        }
        var isFirst = true
        if let device = evidence.device, device.inFlight > 0 || device.failed > 0 {
            deviceEvidence(device)
            isFirst = false
        }
        if let worker = evidence.worker {
            if !isFirst { text("; ") }
            self.worker(worker, picture: picture)
            isFirst = false
        }
        if let node = evidence.node {
            if !isFirst { text("; ") }
            text("free is ")
            if node.minPages > 0 {
                let percent = node.freePages &* 100 / node.minPages
                number(percent < 1000 ? percent : percent / 100)
                text(percent < 1000 ? "% of min" : " times min")
            } else {
                byte(UInt8(ascii: "?"))
            }
            timeLeft(evidence)
            isFirst = false
        }
        if let findings { shortFindings(findings) }
        if evidence.reclaimers > 0 {
            text("; ")
            number(evidence.reclaimers)
            text(" wait in reclaim, longest ")
            duration(evidence.longestReclaimNanoseconds)
        }
        if evidence.throttled > 0 {
            text("; ")
            number(evidence.throttled)
            text(" sleep in the pfmemalloc throttle")
        }
        if let missed = evidence.swapInsMissed {
            text("; tasks wait for swapped pages, none came for ")
            duration(missed)
        }
        if let failed = evidence.failedAtomicAllocations, failed > 0 {
            text("; ")
            number(failed)
            text(" that could not wait got nothing")
        }
    }

    private mutating func deviceEvidence(_ device: HostVerdict.Device) {
        plain(foreign: device.disk)
        byte(UInt8(ascii: " "))
        if device.failed > 0 {
            number(device.failed)
            text(" failed")
        } else if device.stoppedNanoseconds == 0 {
            text("completes")
        }
        if device.stoppedNanoseconds > 0 {
            text(device.failed > 0 ? ", " : "")
            text("completed nothing for ")
            duration(device.stoppedNanoseconds)
        }
        if let live = device.liveConnections, let all = device.connections, live < all {
            text(", ")
            number(UInt64(live))
            byte(UInt8(ascii: "/"))
            number(UInt64(all))
            text(" connections left")
        }
        if let silent = device.silentNanoseconds, silent > 0 {
            text(", received nothing for ")
            duration(silent)
        }
        if let path = device.path, !path.link.isEmpty {
            text(", ")
            plain(foreign: path.link)
            text(" is ")
            text(path.carrier.word)
        }
    }

    /// What explains a stop, only where somebody looked.
    private mutating func shortFindings(_ findings: Alert.Findings) {
        guard findings.lostWire != .notLooked else { return }
        var causes = 0
        func each(_ wanted: Alert.Finding, _ body: (StaticString) -> Void) {
            if findings.lostWire == wanted { body("lost wire") }
            if findings.deadReceivePath == wanted { body("dead receive path") }
            if findings.silentServer == wanted { body("silent server") }
        }
        each(.confirmed) { name in
            text(causes == 0 ? "; cause: " : ", ")
            text(name)
            causes += 1
        }
        if causes == 0 { text("; cause: nothing that is seen tells") }
        var excluded = 0
        each(.ruledOut) { name in
            text(excluded == 0 ? "; not: " : ", ")
            text(name)
            excluded += 1
        }
    }

    mutating func percent(_ hundredths: UInt32?) {
        guard let hundredths else {
            byte(UInt8(ascii: "?"))
            return
        }
        number(UInt64(hundredths / 100))
        byte(UInt8(ascii: "%"))
    }

    /// Units in a second as bytes.
    mutating func rate(_ perSecond: UInt64?, unitBytes: UInt64) {
        if let perSecond {
            size(bytes: perSecond &* unitBytes)
        } else {
            byte(UInt8(ascii: "?"))
        }
        text("/s")
    }

    mutating func size(known pages: UInt64?, pageKB: UInt64) {
        if let pages { size(pages: pages, pageKB: pageKB) } else { byte(UInt8(ascii: "?")) }
    }
}
