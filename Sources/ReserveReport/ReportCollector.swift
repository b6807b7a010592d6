// SPDX-License-Identifier: Apache-2.0

import ReserveModel
import ReserveSinks

/// Gathers what a report tells, one event after the other, in bounded memory.
///
/// Runs the same model as the live watch, so that a report and a replay never disagree.
public struct ReportCollector: Sendable {
    var model: Model
    private var notices = NoticeQueue(capacity: 2048)

    var charts: [ReportChart] = []
    var spans = ReportSpans()
    var tasks: [ReportTask.Key: ReportTask] = [:]
    var tasksLeftOut: UInt64 = 0
    var takers: [ReportTaker.Key: ReportTaker] = [:]
    var takersLeftOut: UInt64 = 0
    var periods: [ReportPeriod] = []
    var periodsLeftOut = 0
    var marks: [ReportMark] = []
    var marksLeftOut = 0
    var alerts: [ReportAlert] = []
    var alertsLeftOut = 0
    private var kswapdSince: [UInt32: UInt64] = [:]
    var reclaimTasks = ReportLives<ReclaimTask>()
    var pageTasks = ReportLives<PageTask>()
    var lastLatency: [FixedName: LatencyBuckets] = [:]
    var sockets: [UInt64: SocketSample] = [:]
    var goneSockets: Set<UInt64> = []
    var drops: [DropGroup] = []

    /// CLOCK_BOOTTIME of the first record.
    var origin: UInt64 = 0
    private var hasBegun = false
    /// Starts of the watch in the boot that the report tells of.
    var starts = 0
    /// Boots of the host before that one, and when the last of them was recorded last.
    var formerBoots = 0
    var formerEnd = ""
    var endedByItself = false
    /// Stretches without a beat of the watch: it, or the host, stood still.
    var gaps: [(from: UInt64, to: UInt64)] = []
    private var lastBeat: UInt64 = 0

    static let mostTasks = 4096
    static let mostTakers = 512
    static let mostMarks = 1500
    static let mostPeriods = 2000
    static let mostAlerts = 500
    static let gapNanoseconds: UInt64 = 2_000_000_000

    public init(policy: Policy = Policy()) {
        model = Model(policy: policy)
    }

    var picture: Picture { model.picture }
    var end: UInt64 { max(model.picture.nowBootNanoseconds, origin) }
    var pageKB: UInt64 { UInt64(model.picture.host?.pageSizeBytes ?? 4096) / 1024 }

    /// Takes one event in.
    public mutating func take(_ event: Event) {
        let now = event.bootNanoseconds
        if case .host(let host) = event.body { begin(host, at: now) }
        if !hasBegun, now > 0 {
            hasBegun = true
            origin = now
            lastBeat = now
        }
        model.apply(event, notices: &notices)
        switch event.body {
        case .host: break
        case .stopped: endedByItself = true
        case .tick: beat(now)
        default:
            // Totals come with each beat, the last ones with the end.
            if case .counters = event.body { beat(now) }
            sample(event)
        }
        for index in notices.indices { take(notices[index]) }
        notices.removeAll()
    }

    /// A watch that begins knows nothing of the one before it, and its totals begin at 0. Of
    /// another boot it has another clock as well: there all begins anew.
    private mutating func begin(_ host: HostFacts, at now: UInt64) {
        guard let before = model.picture.host else {
            starts = 1
            return
        }
        guard host.bootID == before.bootID else {
            var anew = ReportCollector(policy: model.policy)
            anew.formerBoots = formerBoots + 1
            anew.formerEnd = clock(end, dateToo: true)
            anew.starts = 1
            self = anew
            return
        }
        finish()
        for index in periods.indices where periods[index].to == nil {
            periods[index].to = max(end, periods[index].from)
        }
        // A recorder that was started anew repeats who watches.
        if now != model.picture.firstBootNanoseconds { starts += 1 }
        model = Model(policy: model.policy)
        kswapdSince = [:]
        lastLatency = [:]
        sockets = [:]
        goneSockets = []
        endedByItself = false
    }

    private mutating func beat(_ now: UInt64) {
        if now > lastBeat, now - lastBeat >= Self.gapNanoseconds, gaps.count < 1000 {
            gaps.append((from: lastBeat, to: now))
        }
        lastBeat = max(lastBeat, now)
    }

    /// What is only known when a watch has ended: stays and periods that have not.
    mutating func finish() {
        for (node, since) in kswapdSince.sorted(by: { $0.key < $1.key }) {
            spans.add(
                ReportSpan(
                    kind: .kswapd, comm: kswapdName(node), tid: kswapdTID(node), began: since,
                    durationNanoseconds: end > since ? end - since : 0, isOpen: true))
        }
        for index in model.picture.reclaimers.indices {
            leaveOpen(
                .directReclaim, model.picture.reclaimers[index].task,
                began: model.picture.reclaimers[index].beganBootNanoseconds)
        }
        for index in model.picture.throttled.indices {
            leaveOpen(
                .throttle, model.picture.throttled[index].task,
                began: model.picture.throttled[index].beganBootNanoseconds)
        }
    }

    private mutating func leaveOpen(_ kind: ReportSpan.Kind, _ task: TaskIdentity, began: UInt64) {
        let age = end > began ? end - began : 0
        spans.add(
            ReportSpan(
                kind: kind, comm: task.comm, tid: task.tid, began: began, durationNanoseconds: age,
                isOpen: true))
        remember(kind, task, age)
        tasks[ReportTask.Key(comm: task.comm, tid: task.tid)]?.stillInside = true
    }

    // MARK: notices

    private mutating func take(_ notice: Notice) {
        let now = notice.bootNanoseconds
        switch notice.body {
        case .zone(let crossing, let zone):
            let subject = "node \(zone.node) \(plain(zone.name))"
            let charts = ["zone-\(zone.node)-\(zone.index)"]
            switch crossing {
            case .belowLow: open(.belowLow, subject, on: charts, at: now)
            case .belowMin:
                open(.belowLow, subject, on: charts, at: now)
                open(.belowMin, subject, on: charts, at: now)
            case .aboveMin: close(.belowMin, subject, at: held(now))
            case .aboveLow:
                close(.belowMin, subject, at: held(now))
                close(.belowLow, subject, at: held(now))
            case .atThrottleLine, .aboveThrottleLine: break
            }
        case .node(let crossing, let node):
            if crossing == .atThrottleLine {
                open(
                    .throttleLine, "node \(node.node)", on: ["node-\(node.node)", "waiting"],
                    at: now)
            } else {
                close(.throttleLine, "node \(node.node)", at: held(now))
            }
        case .nbd(.stalled, let sample):
            let minor = sample.firstMinor
            open(
                .stalled, plain(sample.disk),
                on: ["flight", "age", "rate", "latency"].map { "nbd-\($0)-\(minor)" },
                at: now &- min(now, sample.oldestNanoseconds))
        case .nbd(.resumed, let sample): close(.stalled, plain(sample.disk), at: now)
        case .reserve(let taker): take(taker, at: now)
        case .throttle(.ended, let stay):
            add(
                .throttle, stay.task, began: stay.beganBootNanoseconds,
                duration: stay.durationNanoseconds, at: now)
        case .drops(let group): if drops.count < 256 { drops.append(group) }
        case .verdict(let verdict):
            if let index = periods.lastIndex(where: { $0.kind == .verdict && $0.to == nil }) {
                periods[index].to = max(now, periods[index].from)
            }
            open(
                .verdict, "\(verdict.state.word)",
                on: verdict.state > .calm ? ["*" + "\(verdict.state.word)"] : [], at: now)
        case .kswapd(let move): kswapdSince[move.node] = move.woke ? now : nil
        default: break
        }
        mark(notice)
    }

    /// Going up is told when it has held for a while: then it began that much earlier.
    private func held(_ now: UInt64) -> UInt64 { now &- min(now, model.policy.watermarkHold) }

    private mutating func open(
        _ kind: ReportPeriod.Kind, _ subject: String, on charts: [String], at now: UInt64
    ) {
        if periods.contains(where: { $0.kind == kind && $0.subject == subject && $0.to == nil }) {
            return
        }
        guard periods.count < Self.mostPeriods else {
            periodsLeftOut += 1
            return
        }
        periods.append(
            ReportPeriod(kind: kind, subject: subject, from: max(now, origin), charts: charts))
    }

    private mutating func close(_ kind: ReportPeriod.Kind, _ subject: String, at now: UInt64) {
        guard
            let index = periods.lastIndex(where: {
                $0.kind == kind && $0.subject == subject && $0.to == nil
            })
        else { return }
        periods[index].to = max(now, periods[index].from)
    }

    /// The same sentence as `replay --format text`, without what only repeats totals.
    private mutating func mark(_ notice: Notice) {
        switch notice.kind {
        case .start, .summary, .stack: return
        default: break
        }
        let failure = SwapPathFailure(notice.body)
        guard TextLines.isForPeople(notice), !isRepeated(failure, at: notice.bootNanoseconds)
        else { return }
        let text = written(capacityBytes: TextLines.lineBytes) {
            $0.noticeText(notice, picture: model.picture)
        }
        if case .alert(let alert) = notice.body {
            if alerts.count < Self.mostAlerts {
                alerts.append(
                    ReportAlert(at: notice.bootNanoseconds, alert: alert, text: text))
            } else {
                alertsLeftOut += 1
            }
        }
        if marks.count >= Self.mostMarks {
            // The lines that matter least go first.
            guard let index = marks.firstIndex(where: { $0.severity.rank < notice.severity.rank })
            else {
                marksLeftOut += 1
                return
            }
            marks.remove(at: index)
            marksLeftOut += 1
        }
        marks.append(
            ReportMark(
                at: notice.bootNanoseconds, severity: notice.severity, kind: notice.kind,
                text: text, failure: failure))
    }

    /// Of failures within a second only the first is a line, with the number of all.
    private mutating func isRepeated(_ failure: SwapPathFailure?, at now: UInt64) -> Bool {
        guard let failure else { return false }
        let since = now &- min(now, 1_000_000_000)
        var index = marks.count
        while index > 0, marks[index - 1].at > since {
            index -= 1
            if marks[index].failure == failure {
                marks[index].times += 1
                return true
            }
        }
        return false
    }

    private mutating func take(_ taker: Taker, at now: UInt64) {
        let key = ReportTaker.Key(
            comm: taker.task.comm, context: taker.context, entitlement: taker.entitlement)
        var entry: ReportTaker
        if let found = takers[key] {
            entry = found
        } else {
            guard takers.count < Self.mostTakers else {
                takersLeftOut &+= taker.pages
                return
            }
            entry = ReportTaker(first: now, last: now, series: ReportSeries(origin: origin))
        }
        entry.allocations &+= taker.allocations
        entry.pages &+= taker.pages
        entry.failed &+= taker.failed
        entry.belowMinPages &+= taker.belowMinPages
        entry.last = now
        if taker.pages > 0 { entry.series.add(entry.pages, at: now) }
        if entry.driver == nil, let id = taker.stack,
            let index = model.picture.stacks.firstIndex(where: { $0.id == id }),
            let module = model.picture.stacks[index].innermostModule
        {
            entry.driver = plain(module)
        }
        takers[key] = entry
    }

    // MARK: stays

    mutating func add(
        _ kind: ReportSpan.Kind, _ task: TaskIdentity, began: UInt64, duration: UInt64,
        at now: UInt64
    ) {
        let begin = began > 0 ? began : now &- min(now, duration)
        spans.add(
            ReportSpan(
                kind: kind, comm: task.comm, tid: task.tid, began: begin,
                durationNanoseconds: duration))
        remember(kind, task, duration)
    }

    private mutating func remember(
        _ kind: ReportSpan.Kind, _ task: TaskIdentity, _ duration: UInt64
    ) {
        let key = ReportTask.Key(comm: task.comm, tid: task.tid)
        guard tasks[key] != nil || tasks.count < Self.mostTasks else {
            tasksLeftOut &+= 1
            return
        }
        var entry = tasks[key] ?? ReportTask(cgroupID: task.cgroupID)
        switch kind {
        case .directReclaim: entry.reclaim.add(duration)
        case .throttle: entry.throttle.add(duration)
        case .reclaimWait: entry.waits.add(duration)
        case .kswapd: break
        }
        tasks[key] = entry
    }
}

extension Notice.Severity {
    var rank: Int {
        switch self {
        case .info: return 0
        case .notice: return 1
        case .warning: return 2
        case .critical: return 3
        }
    }
}
