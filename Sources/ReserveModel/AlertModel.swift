// SPDX-License-Identifier: Apache-2.0

// What of a verdict people are to be told, and what explains it.

extension Model {
    /// Judges what is to be told now: after the verdict of the same moment.
    mutating func alert(_ now: UInt64, _ notices: inout NoticeQueue) {
        picture.findings = findings()
        let pressing = pressureReasons(now)
        see(
            .pressure, level(of: pressing), pressing,
            at: now, update: policy.alertUpdate, longest: policy.alertLongestUpdate, &notices)
        // Unknown is no reason to take an alert back.
        guard let standing = exposureReasons() else { return }
        see(
            .exposure, standing.isEmpty ? .resolved : .warning, standing, at: now,
            update: policy.exposureUpdate, longest: policy.exposureUpdate, &notices)
    }

    private mutating func see(
        _ track: Alert.Track, _ level: Alert.Level, _ reasons: Alert.Reasons, at now: UInt64,
        update: UInt64, longest: UInt64, _ notices: inout NoticeQueue
    ) {
        let index = Int(track.rawValue)
        guard
            picture.alerts[index].see(
                level, reasons, at: now, holdNanoseconds: policy.alertHold,
                updateNanoseconds: update,
                longestUpdateNanoseconds: longest)
        else { return }
        let state = picture.alerts[index]
        let alert = Alert(
            track: track, level: state.level, incident: state.incident, peak: state.peak,
            sinceBootNanoseconds: state.sinceBootNanoseconds, told: state.told - 1,
            reasons: reasons, findings: track == .pressure ? picture.findings : Alert.Findings())
        picture.lastAlerts[index] = alert
        notices.append(
            Notice(
                bootNanoseconds: now, severity: state.level.severity, body: .alert(alert)))
    }

    private func level(of reasons: Alert.Reasons) -> Alert.Level {
        if reasons.contains(.failing) || reasons.contains(.deadlocked) { return .critical }
        // While kswapd alone waits nobody lacks memory yet: a lost segment looks like that.
        if reasons.contains(.stopped), watchMarks.stopped >= policy.criticalAfter,
            watchMarks.tasksWait
        {
            return .critical
        }
        return reasons.isEmpty ? .resolved : .warning
    }

    mutating func pressureReasons(_ now: UInt64) -> Alert.Reasons {
        let verdict = picture.verdict
        let evidence = verdict.evidence
        var reasons: Alert.Reasons = []
        switch verdict.conditions.progress {
        case .failing: reasons.insert(.failing)
        case .stopped:
            reasons.insert(.stopped)
            if verdict.conditions.actors == .none { reasons.insert(.deadlocked) }
        case .moving:
            if let device = evidence.device, device.oldestNanoseconds >= policy.slowRequest {
                reasons.insert(.slowRequests)
            }
        case .unknown, .idle: break
        }
        if verdict.conditions.memory == .atThrottleLine { reasons.insert(.throttling) }
        if isDraining(evidence.node, now) { reasons.insert(.draining) }
        if let left = evidence.timeLeft, left.confidence == .high,
            left.nanoseconds < policy.timeLeftWarning,
            verdict.conditions.memory.rawValue >= HostConditions.Memory.belowMin.rawValue
        {
            reasons.insert(.trend)
        }
        return reasons
    }

    /// Well below min, and not only for a moment.
    private mutating func isDraining(_ node: HostVerdict.Node?, _ now: UInt64) -> Bool {
        guard let node, let base = node.minWithoutBoostPages,
            node.freePages < base.multipliedSaturating(by: policy.drainingPercent) / 100
        else {
            watchMarks.drainingSince = 0
            return false
        }
        if watchMarks.drainingSince == 0 { watchMarks.drainingSince = now }
        return now &- watchMarks.drainingSince >= policy.drainingFor
    }

    /// nil: what is needed to say is not known.
    func exposureReasons() -> Alert.Reasons? {
        guard picture.swaps.firstIndex(where: { !$0.nbdDisk.isEmpty }) != nil else {
            // No swap on NBD: sockets may fill what they like.
            return picture.counters == nil ? nil : []
        }
        guard let exposure = picture.exposure, let reserve = picture.reserveBytes else {
            return nil
        }
        var reasons: Alert.Reasons = []
        if let needed = exposure.neededBytes, needed > reserve {
            reasons.insert(.receiveBuffers)
        }
        // Throttled writeback is harmless by itself: it makes a full reserve deadly.
        if !reasons.isEmpty, let wbt = exposure.writebackThrottleMicroseconds, wbt > 0 {
            reasons.insert(.writebackThrottle)
        }
        if watchMarks.hasLocalServer { reasons.insert(.localServer) }
        return reasons
    }

    /// What explains a stop, and what does not, as far as anything tells.
    func findings() -> Alert.Findings {
        var findings = Alert.Findings()
        let verdict = picture.verdict
        guard verdict.conditions.progress == .stopped, let device = verdict.evidence.device else {
            return findings
        }
        // nil: not known, or too early to say.
        let isSilent: Bool? =
            switch device.silentNanoseconds {
            case .some(..<policy.receivingWithin): false
            case .some(policy.silentAfter...): true
            default: nil
            }
        switch device.path?.carrier ?? .unknown {
        case .down: findings.lostWire = .confirmed
        // A link with a carrier may still lead nowhere: only what arrives rules that out.
        case .up, .unknown: findings.lostWire = isSilent == false ? .ruledOut : .cannotTell
        }
        if device.path?.isLocal == true { findings.lostWire = .ruledOut }
        if isSilent == false {
            findings.deadReceivePath = .ruledOut
        } else if verdict.conditions.actors == .none {
            findings.deadReceivePath = .confirmed
            if findings.lostWire == .cannotTell, device.path?.carrier == .up {
                // The carrier is there, and the worker that would receive is seen waiting.
                findings.lostWire = .ruledOut
            }
        } else {
            findings.deadReceivePath = .cannotTell
        }
        // Packets arrive and answers do not: then it is the server, or what is before it.
        findings.silentServer = isSilent == false ? .confirmed : .cannotTell
        return findings
    }
}

extension Picture {
    /// The reserve that the host falls back on: min of all nodes without boost; nil: not known.
    public var reserveBytes: UInt64? {
        guard let host, !zones.isEmpty else { return nil }
        var pages: UInt64 = 0
        for index in zones.indices {
            let zone = zones[index]
            pages &+= zone.minPages &- min(zone.boostPages, zone.minPages)
        }
        return pages &* UInt64(host.pageSizeBytes)
    }
}
