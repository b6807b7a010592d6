// SPDX-License-Identifier: Apache-2.0

// How the picture becomes a verdict: what is seen of the memory, of the swap's requests, and
// of those who could answer them.

/// The trend of one node's free pages.
struct NodeTrend: Sendable {
    var node: UInt32
    var trend = FreeTrend()
}

/// What came in on one device's path, and since when nothing did.
struct PathMark: Sendable {
    var firstMinor: UInt32
    var segments: UInt64 = 0
    var replies: UInt64 = 0
    var errors: UInt64 = 0
    var completed: UInt64 = 0
    var lastProgress: UInt64 = 0
    var lastError: UInt64 = 0
    /// Accumulated only while we look: a host that was stopped itself has not waited.
    var stopped: UInt64 = 0
    var silent: UInt64 = 0
    var lastLook: UInt64 = 0
}

/// What the verdict remembers from one look to the next.
struct VerdictMarks: Sendable {
    var drainingSince: UInt64 = 0
    var failedAtomicBefore: UInt64?
    var failedAtomic: UInt64?
    var nextFailedLook: UInt64 = 0
    /// How long the worst of the swap's devices has been stopped.
    var stopped: UInt64 = 0
    var silent: UInt64?
    var hasLocalServer = false
    /// Tasks wait, and not kswapd alone, or are held by a rule of ours.
    var tasksWait = false
}

extension Model {
    mutating func addTrend(of node: NodeSample, at now: UInt64) {
        let found = trends.firstIndex(where: { $0.node == node.node })
        if found == nil { guard trends.append(NodeTrend(node: node.node)) else { return } }
        trends[found ?? trends.count - 1].trend.add(freePages: node.freePages, at: now)
    }

    /// What a report of a device says about progress on its path.
    mutating func seePath(of sample: NBDSample, at now: UInt64) {
        let found = paths.firstIndex(where: { $0.firstMinor == sample.firstMinor })
        if found == nil {
            guard paths.append(PathMark(firstMinor: sample.firstMinor)) else { return }
        }
        let index = found ?? paths.count - 1
        var mark = paths[index]
        let isFirst = mark.lastLook == 0
        let step = isFirst ? 0 : min(now &- mark.lastLook, policy.longestStep)
        mark.lastLook = now
        let segments = sample.path?.segmentsReceived ?? 0
        let replies = sample.phases?.received ?? 0
        // Fewer than before: a connection went, and its figures with it.
        let received = segments > mark.segments || replies > mark.replies
        mark.segments = segments
        mark.replies = replies
        if sample.errors > mark.errors, !isFirst { mark.lastError = now }
        mark.errors = sample.errors
        let progressed = sample.completed != mark.completed || sample.inFlight == 0
        mark.completed = sample.completed
        mark.stopped = progressed ? 0 : mark.stopped &+ step
        // One that was issued only now has not waited as long as we have looked.
        mark.stopped = min(mark.stopped, sample.oldestNanoseconds)
        mark.silent = received || sample.inFlight == 0 ? 0 : mark.silent &+ step
        paths[index] = mark
    }

    /// Judges the present: called at every tick.
    mutating func judge(_ now: UInt64, _ notices: inout NoticeQueue) {
        var evidence = HostVerdict.Evidence()
        let memory = judgeMemory(&evidence, at: now)
        judgeWaiting(&evidence, at: now)
        let progress = judgeProgress(&evidence, at: now)
        let actors = judgeActors(progress, evidence)
        let conditions = HostConditions(memory: memory, progress: progress, actors: actors)
        let since = picture.stateSinceBootNanoseconds
        let before = machine.see(conditions, at: now, holdNanoseconds: policy.stateHold)
        picture.verdict.state = machine.state
        picture.verdict.sinceBootNanoseconds = machine.sinceBootNanoseconds
        picture.verdict.conditions = conditions
        picture.verdict.evidence = evidence
        if let before {
            picture.verdict.from = before
            picture.stateTotals?.move(
                from: before, after: now > since ? now - since : 0, to: machine.state)
            notices.append(
                Notice(
                    bootNanoseconds: now, severity: Self.severity(of: machine.state),
                    body: .verdict(picture.verdict)))
        }
        alert(now, &notices)
    }

    private static func severity(of state: HostState) -> Notice.Severity {
        switch state {
        case .unknown, .calm: return .info
        case .pressed, .reserve: return .notice
        case .throttling: return .warning
        case .stalling, .failing, .deadlocked: return .critical
        }
    }

    // MARK: memory

    private mutating func judgeMemory(
        _ evidence: inout HostVerdict.Evidence, at now: UInt64
    ) -> HostConditions.Memory {
        guard !picture.nodes.isEmpty else { return .unknown }
        var worst = HostConditions.Memory.unknown
        for index in picture.nodes.indices {
            let sample = picture.nodes[index]
            let node = figures(of: sample)
            let memory = Self.depth(of: sample, node, isWaitedFor: isSleepingFor(sample))
            guard memory.rawValue > worst.rawValue || evidence.node == nil else { continue }
            worst = memory
            evidence.node = node
            evidence.timeLeft = trends.firstIndex(where: { $0.node == sample.node })
                .flatMap { memory.rawValue > 1 ? trends[$0].trend.timeLeft : nil }
        }
        return worst
    }

    private func isSleepingFor(_ node: NodeSample) -> Bool {
        if node.waitersKnown { return node.throttleWaiters > 0 }
        return picture.throttled.firstIndex(where: { $0.node == node.node }) != nil
    }

    private static func depth(
        of sample: NodeSample, _ node: HostVerdict.Node, isWaitedFor: Bool
    ) -> HostConditions.Memory {
        if !sample.directReclaimAllowed || isWaitedFor { return .atThrottleLine }
        if sample.freePages < sample.pfmemallocReservePages { return .belowMin }
        guard let low = node.lowPages else { return .unknown }
        return sample.freePages < low ? .belowLow : .aboveLow
    }

    private func figures(of sample: NodeSample) -> HostVerdict.Node {
        var node = HostVerdict.Node()
        node.node = sample.node
        node.freePages = sample.freePages
        node.minPages = sample.pfmemallocReservePages
        node.throttleLinePages = sample.throttleLinePages
        node.kswapdIsBlocked = sample.kswapdState == 2
        node.kswapdFailures = sample.kswapdFailures
        var base: UInt64?
        var low: UInt64?
        for index in picture.zones.indices {
            let zone = picture.zones[index]
            guard zone.node == sample.node, zone.isOfReserve else { continue }
            base = (base ?? 0) &+ (zone.minPages &- min(zone.boostPages, zone.minPages))
            low = (low ?? 0) &+ zone.lowPages
        }
        node.minWithoutBoostPages = base
        node.lowPages = low
        return node
    }

    // MARK: who waits

    private mutating func judgeWaiting(_ evidence: inout HostVerdict.Evidence, at now: UInt64) {
        evidence.reclaimers = UInt64(picture.reclaimers.count)
        evidence.throttled = UInt64(picture.throttled.count)
        for index in picture.nodes.indices where picture.nodes[index].waitersKnown {
            evidence.throttled = max(evidence.throttled, picture.nodes[index].throttleWaiters)
        }
        for index in picture.reclaimers.indices {
            let stay = picture.reclaimers[index]
            let age = now &- min(stay.beganBootNanoseconds, now)
            evidence.longestReclaimNanoseconds = max(evidence.longestReclaimNanoseconds, age)
            guard stay.isKernelThread else { continue }
            let worker = HostVerdict.Worker(
                task: stay.task, insideNanoseconds: age, stack: stay.stack,
                receives: receives(stay.stack))
            // One that should receive says more than one that waits longer.
            if let known = evidence.worker,
                known.receives && !worker.receives
                    || known.receives == worker.receives
                        && known.insideNanoseconds >= worker.insideNanoseconds
            {
                continue
            }
            evidence.worker = worker
        }
        if let failed = picture.counters?.reserve?.allocFailedAtomic,
            now >= watchMarks.nextFailedLook
        {
            watchMarks.failedAtomic = watchMarks.failedAtomicBefore.map { failed &- $0 }
            watchMarks.failedAtomicBefore = failed
            watchMarks.nextFailedLook = now &+ 1_000_000_000
        }
        evidence.failedAtomicAllocations = watchMarks.failedAtomic
        evidence.swapIns = swapIns()
    }

    /// What is read from the swaps on NBD, and how long the longest of them has been silent.
    private func swapIns() -> SwapUsage.Waiting? {
        var all: SwapUsage.Waiting?
        for index in picture.swaps.indices where !picture.swaps[index].nbdDisk.isEmpty {
            let swap = picture.swaps[index]
            guard
                let usage = picture.swapUsages.firstIndex(where: {
                    $0.major == swap.major && $0.minor == swap.minor
                }), let waiting = picture.swapUsages[usage].waiting
            else { continue }
            // A read whose end a program missed stays in flight; where the disk has no request,
            // or only a younger one, nobody waits for it.
            let oldest =
                picture.devices.firstIndex(where: { $0.sample.disk == swap.nbdDisk })
                .map { picture.devices[$0].sample.oldestNanoseconds } ?? 0
            let known = all ?? SwapUsage.Waiting(reads: 0, nanoseconds: 0)
            all = SwapUsage.Waiting(
                reads: known.reads &+ waiting.reads,
                nanoseconds: max(known.nanoseconds, min(waiting.nanoseconds, oldest)))
        }
        return all
    }

    /// Whether a stack leads through the receive path of a network driver: the work that fills
    /// a card's ring anew (virtio_net's refill_work()), or its NAPI poll.
    private func receives(_ id: UInt32?) -> Bool {
        guard let id, let index = picture.stacks.firstIndex(where: { $0.id == id }) else {
            return false
        }
        let stack = picture.stacks[index]
        return stack.mentions("refill") || stack.mentions("fill_recv") || stack.mentions("napi")
            || stack.mentions("alloc_rx") || stack.mentions("rx_")
    }

    // MARK: what the swap's requests do

    private mutating func judgeProgress(
        _ evidence: inout HostVerdict.Evidence, at now: UInt64
    ) -> HostConditions.Progress {
        watchMarks.stopped = 0
        watchMarks.silent = nil
        watchMarks.hasLocalServer = false
        watchMarks.tasksWait = false
        guard let counters = picture.counters, counters.nbdKnown else { return .unknown }
        watchMarks.tasksWait = evidence.showsWaitingTasks(policy) || holdsTasks
        let isWaited = watchMarks.tasksWait || evidence.node?.kswapdIsBlocked == true
        var worst = HostConditions.Progress.idle
        for index in picture.devices.indices {
            let sample = picture.devices[index].sample
            guard holdsSwap(sample.disk),
                let place = paths.firstIndex(where: { $0.firstMinor == sample.firstMinor })
            else { continue }
            let mark = paths[place]
            if sample.path?.isLocal == true { watchMarks.hasLocalServer = true }
            let progress = self.progress(of: sample, mark, isWaited: isWaited, at: now)
            let isWorse =
                evidence.device == nil || progress.rawValue > worst.rawValue
                || progress == worst && mark.stopped > watchMarks.stopped
            guard isWorse else { continue }
            worst = progress
            watchMarks.stopped = mark.stopped
            let isReceiveKnown = sample.path != nil || sample.phases != nil
            watchMarks.silent = isReceiveKnown ? mark.silent : nil
            evidence.device = device(sample, mark)
        }
        return worst
    }

    /// Whom one of our rules froze or stopped for the stall waits no less, and is seen in reclaim no
    /// more.
    private var holdsTasks: Bool {
        picture.rules.firstIndex {
            $0.stands && $0.mode == .enforce && ($0.verb == .freeze || $0.verb == .stop)
        } != nil
    }

    private func progress(
        of sample: NBDSample, _ mark: PathMark, isWaited: Bool, at now: UInt64
    ) -> HostConditions.Progress {
        if let config = sample.config, config.connections > 0, config.liveConnections == 0 {
            return .failing
        }
        if mark.lastError > 0, now &- mark.lastError < policy.failingFor { return .failing }
        if sample.inFlight == 0 { return .idle }
        return mark.stopped >= policy.stallAfter && isWaited ? .stopped : .moving
    }

    private func holdsSwap(_ disk: FixedName) -> Bool {
        picture.swaps.firstIndex(where: { $0.nbdDisk == disk }) != nil
    }

    private func device(_ sample: NBDSample, _ mark: PathMark) -> HostVerdict.Device {
        var device = HostVerdict.Device()
        device.disk = sample.disk
        device.inFlight = sample.inFlight
        device.oldestNanoseconds = sample.oldestNanoseconds
        device.stoppedNanoseconds = mark.stopped
        device.unsent = sample.phases?.unsent
        device.failed = sample.errors
        device.connections = sample.config?.connections
        device.liveConnections = sample.config?.liveConnections
        device.path = sample.path
        device.silentNanoseconds = watchMarks.silent
        return device
    }

    // MARK: who could answer

    private func judgeActors(
        _ progress: HostConditions.Progress, _ evidence: HostVerdict.Evidence
    ) -> HostConditions.Actors {
        guard progress == .stopped, let device = evidence.device else { return .open }
        // A server on this host needs memory from the very tasks that wait for it.
        if device.path?.isLocal == true, watchMarks.stopped >= policy.criticalAfter {
            return .none
        }
        if device.path?.carrier == .down { return .wireLost }
        guard let silent = watchMarks.silent else { return .open }
        if silent < policy.receivingWithin { return .receiving }
        if silent < policy.silentAfter { return .open }
        if let worker = evidence.worker, worker.receives,
            worker.insideNanoseconds >= policy.stuckAfter
        {
            return .none
        }
        return .open
    }

    /// Goes on where the watch stands, for a reader that came later: wholly where nothing was
    /// judged yet, else in what the watch has counted and we have not. For who saw every record
    /// it changes nothing.
    mutating func goOn(from standing: Standing) {
        let isFirst = machine.state == .unknown
        for index in 0..<2 {
            let track = standing.tracks[index]
            let place = Int(track.track.rawValue)
            let own = picture.alerts[place]
            if own.standing != track, isFirst || own.lacks(track) {
                picture.alerts[place] = AlertTrack(track)
            }
            if track.criticalIncidents == nil { picture.alerts[place].forgetCritical() }
        }
        let ownChanges = picture.stateTotals?.changes ?? 0
        let isBehind = standing.totals.map { $0.changes > ownChanges } ?? false
        if isFirst || isBehind || standing.totals == nil { picture.stateTotals = standing.totals }
        guard isFirst || isBehind else { return }
        takeState(of: standing)
    }

    /// Goes on from where the agent stands, for a reader that did not see its first record and
    /// counts incidents from another one. Who saw all stands there already.
    public mutating func follow(_ standing: Standing) {
        let own = picture.standing
        guard own != standing else { return }
        for index in 0..<2 where own.tracks[index] != standing.tracks[index] {
            let track = standing.tracks[index]
            picture.alerts[Int(track.track.rawValue)] = AlertTrack(track)
        }
        picture.stateTotals = standing.totals
        takeState(of: standing)
    }

    private mutating func takeState(of standing: Standing) {
        machine = HostStateMachine(
            state: standing.state, sinceBootNanoseconds: standing.stateSinceBootNanoseconds)
        picture.verdict.state = standing.state
        picture.verdict.sinceBootNanoseconds = standing.stateSinceBootNanoseconds
    }

    /// Why a track would be told now, and what explains it: of a moment of which this model made
    /// no notice of its own.
    public func presentAlert(_ track: Alert.Track, _ standing: Standing.Track, at now: UInt64)
        -> Alert
    {
        var copy = self
        let isPressure = track == .pressure
        let reasons = isPressure ? copy.pressureReasons(now) : exposureReasons() ?? []
        return Alert(
            track: track, level: standing.level, incident: standing.incident, peak: standing.peak,
            sinceBootNanoseconds: standing.sinceBootNanoseconds,
            told: standing.told > 0 ? standing.told - 1 : 0,
            reasons: standing.level == .resolved ? [] : reasons,
            findings: isPressure && standing.level != .resolved ? findings() : Alert.Findings())
    }
}
