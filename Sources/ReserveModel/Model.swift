// SPDX-License-Identifier: Apache-2.0

/// Events in; the picture, and what is worth telling, out.
///
/// Has no clock and does nothing: time comes with the events, so that a recording gives
/// the same notices as the live stream did, byte for byte.
public struct Model: Sendable {
    public internal(set) var policy: Policy
    public internal(set) var picture = Picture()

    private var hasStarted = false
    private var nextSummary: UInt64 = 0
    private var lastSummary: UInt64 = 0
    private var toldLost: UInt64 = 0
    private var nextMissed: UInt64 = 1
    /// What each taker took since the last summary.
    private var intervalTakers = BoundedList<Taker>(capacity: 128)
    private var zoneLevels = BoundedList<Level>(capacity: 48)
    private var nodeLevels = BoundedList<Level>(capacity: 8)
    private var nextReclaimNotice = BoundedList<StallMark>(capacity: 1024)
    /// What is told as sums, once for each interval.
    var groups = IntervalGroups()
    var machine = HostStateMachine()
    var trends = BoundedList<NodeTrend>(capacity: 8)
    var paths = BoundedList<PathMark>(capacity: 16)
    /// Working state of the verdict, see VerdictModel.swift.
    var watchMarks = VerdictMarks()
    /// The table of /proc/swaps that is being read now.
    private var readingSwaps = BoundedList<SwapDevice>(capacity: 32)

    /// Where a zone or node stands against its marks; going up waits for `aboveSince`.
    private struct Level: Sendable {
        var node: UInt32
        var index: UInt32
        /// 0: above all, 1: below low (or at the throttle line), 2: below min.
        var depth: Int
        var aboveSince: UInt64
    }

    private struct StallMark: Sendable {
        var tid: UInt32
        var next: UInt64
    }

    public init(policy: Policy) {
        self.policy = policy
    }

    /// Whether a tick at `now` would make a summary.
    public func isSummaryDue(at now: UInt64) -> Bool { now >= nextSummary }

    /// Takes one event in. Does not allocate.
    public mutating func apply(_ event: Event, notices: inout NoticeQueue) {
        if event.bootNanoseconds > picture.nowBootNanoseconds {
            picture.nowBootNanoseconds = event.bootNanoseconds
        }
        let now = event.bootNanoseconds
        startIfDue(event, &notices)
        countReceived(event.body)
        switch event.body {
        case .host(let host): begin(host, at: now)
        case .hook(let hook): picture.hooks.append(hook)
        case .counters(let totals): take(totals)
        case .tick: tick(now, &notices)
        case .stopped: summarise(now, isFinal: true, &notices)
        case .zone(let zone): take(zone, at: now, &notices)
        case .node(let node): take(node, at: now, &notices)
        case .reserveTaken(let allocation): take(allocation, at: now)
        case .reserveReturned(let block): release(block)
        case .allocationFailed(let allocation): count(allocation, .failed)
        case .allocatedBelowMin(let allocation): count(allocation, .belowMin)
        case .reclaimInside(let stay): enter(stay)
        case .reclaimLeft(let stay): leave(stay, at: now, &notices)
        case .throttleBegan(let stay): beginThrottle(stay, at: now, &notices)
        case .throttleEnded(let stay): endThrottle(stay, at: now, &notices)
        case .throttleWaiting(let stay): seeWaiting(stay, at: now, &notices)
        case .nbdDevice(let device): take(device, at: now, &notices)
        case .nbdFailed(let failure):
            notices.append(
                Notice(bootNanoseconds: now, severity: .warning, body: .nbdFailed(failure)))
        case .swapDevice(let device): readingSwaps.append(device)
        case .swapTableRead: swapsRead(at: now, &notices)
        case .swapFailed(let failure):
            notices.append(
                Notice(bootNanoseconds: now, severity: .warning, body: .swapFailed(failure)))
        case .oom(let victim):
            if victim.killed { picture.oomKills.append(victim) }
            notices.append(Notice(bootNanoseconds: now, severity: .warning, body: .oom(victim)))
        // Told by a report alone: the picture has the totals, and the tasks that are inside.
        case .reclaimTask, .pageTask: break
        // For readers that keep an account of their own of what was told.
        case .told: break
        case .swapUsage, .oomFreed, .kswapd, .reclaimWait, .slabTaken, .slabRefused, .slabCache,
            .socket, .socketGone, .socketDrop, .guardAttempt, .guarded, .guardReleased, .stack,
            .pressure, .program, .table, .selfAccount, .sink, .exposure, .standing, .takerTotal,
            .waiterTotal, .skipped, .settings, .enforcement, .enforceRule:
            applyWide(event, &notices)
        case .cgroupName(let id, let path):
            picture.cgroups.put(Picture.CgroupName(id: id, path: path)) { $0.id == id }
        case .unknown: picture.unknownRecords &+= 1
        case .malformed: picture.malformedRecords &+= 1
        }
    }

    private mutating func begin(_ host: HostFacts, at now: UInt64) {
        picture.host = host
        picture.firstBootNanoseconds = now
        lastSummary = now
        nextSummary = now &+ policy.summaryInterval
    }

    /// The first line of all: as soon as the host and its hooks have been told.
    private mutating func startIfDue(_ event: Event, _ notices: inout NoticeQueue) {
        guard !hasStarted, picture.host != nil else { return }
        if case .hook = event.body { return }
        hasStarted = true
        notices.append(
            Notice(bootNanoseconds: event.bootNanoseconds, severity: .info, body: .start))
    }

    /// The totals are exact where lists may miss an end whose record was lost: an empty
    /// total empties the list.
    private mutating func take(_ totals: CounterTotals) {
        picture.counters = totals
        if totals.directReclaim?.inside == 0 {
            picture.reclaimers.removeAll()
            nextReclaimNotice.removeAll()
        }
        if totals.reserve?.outstanding == 0 { picture.blocks.removeAll() }
        if let throttle = totals.throttle, throttle.ended == totals.kernel.pgscanDirectThrottle {
            picture.throttled.removeAll()
        }
    }

    // MARK: time

    private mutating func tick(_ now: UInt64, _ notices: inout NoticeQueue) {
        judge(now, &notices)
        tellStalledReclaimers(now, &notices)
        endUnseenWaiting(now, &notices)
        guard now >= nextSummary else { return }
        summarise(now, isFinal: false, &notices)
        // Kept on the grid of the start, whatever the beat; a long gap gives one summary.
        let behind = (now - nextSummary) / max(policy.summaryInterval, 1) + 1
        nextSummary &+= behind &* policy.summaryInterval
    }

    private mutating func summarise(
        _ now: UInt64, isFinal: Bool, _ notices: inout NoticeQueue
    ) {
        for index in intervalTakers.indices {
            let taker = intervalTakers[index]
            notices.append(
                Notice(
                    bootNanoseconds: now,
                    severity: taker.pages > 0 || taker.failed > 0 ? .notice : .info,
                    body: .reserve(taker)))
        }
        intervalTakers.removeAll()
        tellGroups(now, &notices)
        picture.intervalOverflowed = intervalTakers.overflowed &+ groups.overflowed
        let lost = picture.lostRecords &+ picture.untracked &+ notices.overflowed
        let missed = picture.missedEvents ?? 0
        if lost != toldLost || missed >= nextMissed {
            toldLost = lost
            // Nested interrupts hide a few events all the time under load: told at doublings.
            nextMissed = Self.doubled(nextMissed, past: missed)
            notices.append(Notice(bootNanoseconds: now, severity: .warning, body: .loss))
        }
        notices.append(
            Notice(
                bootNanoseconds: now, severity: .info,
                body: .summary(isFinal: isFinal, intervalNanoseconds: now &- lastSummary)))
        lastSummary = now
    }

    private mutating func tellStalledReclaimers(_ now: UInt64, _ notices: inout NoticeQueue) {
        for index in picture.reclaimers.indices {
            let stay = picture.reclaimers[index]
            let age = now > stay.beganBootNanoseconds ? now - stay.beganBootNanoseconds : 0
            guard let mark = nextReclaimNotice.firstIndex(where: { $0.tid == stay.task.tid }),
                age >= nextReclaimNotice[mark].next
            else { continue }
            nextReclaimNotice[mark].next = Self.doubled(nextReclaimNotice[mark].next, past: age)
            var told = stay
            told.durationNanoseconds = age
            notices.append(
                Notice(
                    bootNanoseconds: now, severity: .warning,
                    body: .directReclaim(.stalled, told)))
        }
    }

    /// The first doubling of a mark that is beyond a figure; the largest number where none is.
    private static func doubled(_ mark: UInt64, past figure: UInt64) -> UInt64 {
        var next = max(mark, 1)
        while next <= figure, next < .max { next = next.multipliedSaturating(by: 2) }
        return next
    }

    // MARK: zones and nodes

    private mutating func take(
        _ zone: ZoneSample, at now: UInt64, _ notices: inout NoticeQueue
    ) {
        picture.zones.put(zone) { $0.node == zone.node && $0.index == zone.index }
        // Going down the dips between two samples count, going up the present does.
        let lowest = min(zone.freePages, zone.recentLowestFreePages)
        let down = lowest < zone.minPages ? 2 : lowest < zone.lowPages ? 1 : 0
        let up = zone.freePages < zone.minPages ? 2 : zone.freePages < zone.lowPages ? 1 : 0
        let (from, to) = moved(
            &zoneLevels, node: zone.node, index: zone.index, down: down, up: up, at: now)
        if to > from {
            notices.append(
                Notice(
                    bootNanoseconds: now, severity: to == 2 ? .warning : .notice,
                    body: .zone(to == 2 ? .belowMin : .belowLow, zone)))
        } else if to < from {
            notices.append(
                Notice(
                    bootNanoseconds: now, severity: .info,
                    body: .zone(to == 0 ? .aboveLow : .aboveMin, zone)))
        }
    }

    private mutating func take(
        _ node: NodeSample, at now: UInt64, _ notices: inout NoticeQueue
    ) {
        picture.nodes.put(node) { $0.node == node.node }
        addTrend(of: node, at: now)
        let depth =
            node.pfmemallocReservePages > 0 && node.freePages <= node.throttleLinePages ? 1 : 0
        let (from, to) = moved(
            &nodeLevels, node: node.node, index: 0, down: depth, up: depth, at: now)
        if to != from {
            notices.append(
                Notice(
                    bootNanoseconds: now, severity: to > from ? .warning : .info,
                    body: .node(to > from ? .atThrottleLine : .aboveThrottleLine, node)))
        }
    }

    /// The depth before and after; up only when it held for `watermarkHold`.
    private func moved(
        _ levels: inout BoundedList<Level>, node: UInt32, index: UInt32, down: Int, up: Int,
        at now: UInt64
    ) -> (from: Int, to: Int) {
        guard let found = levels.firstIndex(where: { $0.node == node && $0.index == index })
        else {
            levels.append(Level(node: node, index: index, depth: down, aboveSince: 0))
            return (0, down)
        }
        let from = levels[found].depth
        if down > from {
            levels[found].depth = down
            levels[found].aboveSince = 0
        } else if max(down, up) < from {
            if levels[found].aboveSince == 0 { levels[found].aboveSince = now }
            if now &- levels[found].aboveSince >= policy.watermarkHold {
                levels[found].depth = max(down, up)
                levels[found].aboveSince = 0
            }
        } else {
            levels[found].aboveSince = 0
        }
        return (from, levels[found].depth)
    }

    // MARK: reserve

    private mutating func take(_ allocation: ReserveAllocation, at now: UInt64) {
        count(allocation, .taken)
        if let index = picture.takers.firstIndex(where: {
            $0.task.comm == allocation.task.comm && $0.context == allocation.context
                && $0.entitlement == allocation.entitlement
        }) {
            picture.takers[index].add(allocation, .taken)
        } else {
            var taker = Taker(allocation)
            taker.add(allocation, .taken)
            picture.takers.append(taker)
        }
        guard allocation.serial != 0 else { return }
        // Serials rise; CPUs may hand them in slightly out of order.
        var place = picture.blocks.count
        while place > 0, picture.blocks[place - 1].serial > allocation.serial { place -= 1 }
        picture.blocks.insert(
            Picture.ReserveBlock(serial: allocation.serial, takenBootNanoseconds: now), at: place)
    }

    private mutating func count(_ allocation: ReserveAllocation, _ outcome: Taker.Outcome) {
        if let index = intervalTakers.firstIndex(where: {
            $0.task == allocation.task && $0.context == allocation.context
                && $0.entitlement == allocation.entitlement
                && $0.allowance == allocation.allowance
        }) {
            intervalTakers[index].add(allocation, outcome)
        } else {
            var taker = Taker(allocation)
            taker.add(allocation, outcome)
            intervalTakers.append(taker)
        }
    }

    private mutating func release(_ block: ReserveReturn) {
        var low = 0
        var high = picture.blocks.count
        while low < high {
            let middle = (low + high) / 2
            if picture.blocks[middle].serial < block.serial {
                low = middle + 1
            } else {
                high = middle
            }
        }
        guard low < picture.blocks.count, picture.blocks[low].serial == block.serial else { return }
        picture.blocks.remove(at: low)
    }

    // MARK: direct reclaim

    private mutating func enter(_ stay: ReclaimStay) {
        forget(reclaimer: stay.task.tid)
        picture.reclaimers.append(stay)
        nextReclaimNotice.append(StallMark(tid: stay.task.tid, next: policy.stallNotice))
        picture.mostReclaimers = max(picture.mostReclaimers, picture.reclaimers.count)
    }

    private mutating func leave(
        _ stay: ReclaimStay, at now: UInt64, _ notices: inout NoticeQueue
    ) {
        forget(reclaimer: stay.task.tid)
        remember(stay.task.comm, .directReclaim, stay.durationNanoseconds)
        guard stay.durationNanoseconds >= policy.directReclaimNotice else { return }
        notices.append(
            Notice(
                bootNanoseconds: now,
                severity: stay.durationNanoseconds >= policy.stallNotice ? .warning : .notice,
                body: .directReclaim(.left, stay)))
    }

    private mutating func forget(reclaimer tid: UInt32) {
        if let index = picture.reclaimers.firstIndex(where: { $0.task.tid == tid }) {
            picture.reclaimers.remove(at: index)
        }
        if let index = nextReclaimNotice.firstIndex(where: { $0.tid == tid }) {
            nextReclaimNotice.remove(at: index)
        }
    }

    private mutating func remember(
        _ comm: FixedName, _ kind: Picture.WaitKind, _ durationNanoseconds: UInt64
    ) {
        let found = picture.waiters.firstIndex(where: { $0.comm == comm && $0.kind == kind })
        if found == nil {
            guard picture.waiters.append(Picture.WaiterTotals(comm: comm, kind: kind)) else {
                return
            }
        }
        let index = found ?? picture.waiters.count - 1
        picture.waiters[index].stays &+= 1
        picture.waiters[index].totalNanoseconds &+= durationNanoseconds
        picture.waiters[index].longestNanoseconds = max(
            picture.waiters[index].longestNanoseconds, durationNanoseconds)
    }

    // MARK: throttle

    private mutating func beginThrottle(
        _ stay: ThrottleStay, at now: UInt64, _ notices: inout NoticeQueue
    ) {
        forget(throttled: stay.task.tid)
        picture.throttled.append(stay)
        picture.mostThrottled = max(picture.mostThrottled, picture.throttled.count)
        notices.append(
            Notice(bootNanoseconds: now, severity: .warning, body: .throttle(.began, stay)))
    }

    private mutating func endThrottle(
        _ stay: ThrottleStay, at now: UInt64, _ notices: inout NoticeQueue
    ) {
        forget(throttled: stay.task.tid)
        remember(stay.task.comm, .throttle, stay.durationNanoseconds)
        notices.append(
            Notice(bootNanoseconds: now, severity: .notice, body: .throttle(.ended, stay)))
    }

    /// Where the calls cannot be hooked, a task counts as waiting until it is not seen any more.
    private mutating func seeWaiting(
        _ stay: ThrottleStay, at now: UInt64, _ notices: inout NoticeQueue
    ) {
        if let index = picture.throttled.firstIndex(where: { $0.task.tid == stay.task.tid }) {
            picture.throttled[index].durationNanoseconds =
                now &- picture.throttled[index].beganBootNanoseconds
            return
        }
        var first = stay
        first.beganBootNanoseconds = now
        picture.throttled.append(first)
        picture.mostThrottled = max(picture.mostThrottled, picture.throttled.count)
        notices.append(
            Notice(bootNanoseconds: now, severity: .warning, body: .throttle(.waiting, first)))
    }

    /// Waiting tasks that the timer's walks have not met for half a second are through.
    private mutating func endUnseenWaiting(_ now: UInt64, _ notices: inout NoticeQueue) {
        var index = 0
        while index < picture.throttled.count {
            let stay = picture.throttled[index]
            let seen = stay.beganBootNanoseconds &+ stay.durationNanoseconds
            // Only sightings have no evaluation: a call that began was evaluated once at least.
            if stay.evaluations == 0, now > seen, now - seen > 500_000_000 {
                endThrottle(stay, at: now, &notices)
            } else {
                index += 1
            }
        }
    }

    private mutating func forget(throttled tid: UInt32) {
        if let index = picture.throttled.firstIndex(where: { $0.task.tid == tid }) {
            picture.throttled.remove(at: index)
        }
    }

    // MARK: devices

    private mutating func take(
        _ sample: NBDSample, at now: UInt64, _ notices: inout NoticeQueue
    ) {
        let found = picture.devices.firstIndex(where: {
            $0.sample.firstMinor == sample.firstMinor
        })
        if found == nil {
            guard picture.devices.append(Picture.NBDState(sample: sample)) else { return }
            notices.append(
                Notice(bootNanoseconds: now, severity: .info, body: .nbd(.appeared, sample)))
        }
        let index = found ?? picture.devices.count - 1
        var state = picture.devices[index]
        if let before = state.sample.config, let config = sample.config,
            config.connections > 0, config.liveConnections < before.liveConnections
        {
            notices.append(
                Notice(
                    bootNanoseconds: now, severity: .warning, body: .nbd(.connectionLost, sample))
            )
        }
        state.sample = sample
        state.mostInFlight = max(state.mostInFlight, sample.inFlight, sample.mostInFlight)
        if sample.oldestNanoseconds > state.worstOldestNanoseconds {
            state.worstOldestNanoseconds = sample.oldestNanoseconds
            state.worstBootNanoseconds = now
        }
        // Who did not get the records of that time has it by this.
        if sample.worstOldestNanoseconds > state.worstOldestNanoseconds {
            state.worstOldestNanoseconds = sample.worstOldestNanoseconds
            state.worstBootNanoseconds = sample.worstBootNanoseconds
        }
        if sample.oldestNanoseconds >= max(state.nextStallNotice, policy.stallNotice) {
            state.nextStallNotice = Self.doubled(
                max(state.nextStallNotice, policy.stallNotice), past: sample.oldestNanoseconds)
            notices.append(
                Notice(bootNanoseconds: now, severity: .warning, body: .nbd(.stalled, sample)))
        } else if state.nextStallNotice > 0, sample.oldestNanoseconds < policy.stallNotice {
            state.nextStallNotice = 0
            notices.append(
                Notice(bootNanoseconds: now, severity: .info, body: .nbd(.resumed, sample)))
        }
        seePath(of: state.sample, at: now)
        picture.devices[index] = state
    }

    private mutating func swapsRead(at now: UInt64, _ notices: inout NoticeQueue) {
        for index in readingSwaps.indices {
            let device = readingSwaps[index]
            if picture.swaps.firstIndex(where: { $0.path == device.path }) == nil {
                notices.append(
                    Notice(
                        bootNanoseconds: now, severity: .info, body: .swapAppeared(device)))
            }
        }
        for index in picture.swaps.indices {
            let device = picture.swaps[index]
            if readingSwaps.firstIndex(where: { $0.path == device.path }) == nil {
                notices.append(
                    Notice(bootNanoseconds: now, severity: .notice, body: .swapGone(device)))
            }
        }
        picture.swaps.removeAll()
        for index in readingSwaps.indices { picture.swaps.append(readingSwaps[index]) }
        readingSwaps.removeAll()
    }
}
