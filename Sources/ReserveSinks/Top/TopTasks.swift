// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// A task that waits now.
struct TopTask {
    var task: TaskIdentity
    /// Asleep in throttle_direct_reclaim(); else inside direct reclaim.
    var isThrottled: Bool
    var insideNanoseconds: UInt64
    var gfpFlags: UInt32
    var order: UInt32?
    var stack: UInt32?
    var isKernelThread: Bool

    static func all(_ picture: borrowing Picture) -> [TopTask] {
        var tasks: [TopTask] = []
        for index in picture.throttled.indices {
            let stay = picture.throttled[index]
            tasks.append(
                TopTask(
                    task: stay.task, isThrottled: true,
                    insideNanoseconds: picture.age(since: stay.beganBootNanoseconds),
                    gfpFlags: stay.gfpFlags, order: nil, stack: nil, isKernelThread: false))
        }
        for index in picture.reclaimers.indices {
            let stay = picture.reclaimers[index]
            tasks.append(
                TopTask(
                    task: stay.task, isThrottled: false,
                    insideNanoseconds: picture.age(since: stay.beganBootNanoseconds),
                    gfpFlags: stay.gfpFlags, order: stay.order, stack: stay.stack,
                    isKernelThread: stay.isKernelThread))
        }
        return tasks
    }

    static func isBefore(_ one: TopTask, _ other: TopTask) -> Bool {
        one.insideNanoseconds != other.insideNanoseconds
            ? one.insideNanoseconds > other.insideNanoseconds : one.task.tid < other.task.tid
    }
}

extension FixedName {
    func isBefore(_ other: FixedName) -> Bool {
        for index in 0..<16 where self[index] != other[index] { return self[index] < other[index] }
        return false
    }
}

extension TopPainter {
    /// The longest waiting tasks, as many as there is room for.
    mutating func waitersSection(_ region: TopRegion, _ scene: TopScene) {
        let tasks = TopTask.all(scene.picture).sorted(by: TopTask.isBefore)
        guard !tasks.isEmpty, region.height >= 2 else { return }
        var rows = region
        taskHeader(rows.take(1))
        for index in 0..<min(tasks.count, rows.height) { taskRow(rows, index, tasks[index], scene) }
        listed.tid = tasks[0].task.tid
    }

    private mutating func taskHeader(_ region: TopRegion) {
        guard go(region, 0, indent: Self.labelColumns) else { return }
        column(8, .dim, right: true) { $0.text("FOR") }
        column(8, .dim) { $0.text("IN") }
        column(16, .dim) { $0.text("TASK") }
        column(7, .dim, right: true) { $0.text("TID") }
        text("CGROUP", .dim)
    }

    private mutating func taskRow(
        _ region: TopRegion, _ row: Int, _ task: TopTask, _ scene: TopScene
    ) {
        guard go(region, row, indent: Self.labelColumns) else { return }
        let style: TopStyle =
            task.insideNanoseconds >= 10_000_000_000
            ? .critical : task.insideNanoseconds >= 1_000_000_000 ? .warning : .plain
        column(8, style, right: true) { $0.duration(task.insideNanoseconds) }
        column(8, task.isThrottled ? .warning : .plain) { writer in
            writer.text(task.isThrottled ? "throttle" : "reclaim")
        }
        column(16) { $0.plain(foreign: task.task.comm) }
        column(7, right: true) { $0.number(UInt64(task.task.tid)) }
        let rest = region.x + region.width - column
        column(max(1, rest), task.isKernelThread ? .notice : .plain) { writer in
            writer.where(task, scene.picture)
        }
    }

    // MARK: the screens

    mutating func tasksPane(_ region: TopRegion, _ scene: TopScene) {
        var region = region
        let view = scene.session.view
        var tasks = TopTask.all(scene.picture).filter { task in
            passes(view) { writer in
                writer.plain(foreign: task.task.comm)
                writer.byte(32)
                writer.number(UInt64(task.task.tid))
                writer.byte(32)
                writer.where(task, scene.picture)
            }
        }
        switch view.place.order {
        case 1: tasks.sort { $0.task.comm.isBefore($1.task.comm) }
        case 2: tasks.sort { $0.task.tid < $1.task.tid }
        case 3: tasks.sort { $0.task.cgroupID < $1.task.cgroupID }
        default: tasks.sort(by: TopTask.isBefore)
        }
        if view.place.isReversed { tasks.reverse() }
        let names = sumsRows(scene)
        let title = region.take(1)
        paneTitle(title, "Tasks that wait now", count: tasks.count, view)
        taskHeader(region.take(1))
        var upper = region.take(
            max(3, min(tasks.count + 1, region.height - min(names + 2, region.height / 2))))
        upper.height = max(1, upper.height)
        if tasks.isEmpty, go(upper, 0, indent: Self.labelColumns) {
            text(
                scene.picture.counters?.directReclaim == nil
                    ? "unknown: direct reclaim is not observed on this host"
                    : "nobody has been inside for longer than the threshold", .dim)
        }
        list(upper, scene.session, count: tasks.count) { painter, index, row in
            painter.taskRow(upper, row, tasks[index], scene)
        }
        let selected = scene.session.view.place.selected
        if selected < tasks.count { listed.tid = tasks[selected].task.tid }
        sums(region, scene)
    }

    private func sumsRows(_ scene: TopScene) -> Int {
        scene.picture.waiters.count + scene.picture.takers.count
    }

    /// By name since the start: who waited longest, who took most.
    private mutating func sums(_ region: TopRegion, _ scene: TopScene) {
        let picture = scene.picture
        var region = region
        guard region.height >= 3 else { return }
        let head = region.take(1)
        guard go(head, 0) else { return }
        text("By name since the start", .bold)
        text("  (stays from the threshold on)", .dim)
        let columns = region.width / 2
        var left = region.takeLeft(columns)
        if go(left.take(1), 0) {
            column(14, .dim) { $0.text("WAITED") }
            column(8, .dim) { $0.text("IN") }
            column(5, .dim, right: true) { $0.text("STAYS") }
            column(8, .dim, right: true) { $0.text("LONGEST") }
        }
        let waiters = (0..<picture.waiters.count).sorted {
            picture.waiters[$0].longestNanoseconds > picture.waiters[$1].longestNanoseconds
        }
        for (row, index) in waiters.enumerated() where go(left, row) {
            let waiter = picture.waiters[index]
            column(14) { $0.plain(foreign: waiter.comm) }
            column(8) { $0.text(waiter.kind == .throttle ? "throttle" : "reclaim") }
            column(5, right: true) { $0.count(waiter.stays) }
            column(8, right: true) { $0.duration(waiter.longestNanoseconds) }
        }
        if go(region.take(1), 0) {
            column(16, .dim) { $0.text("TOOK RESERVE") }
            column(6, .dim, right: true) { $0.text("PAGES") }
            text("ENTITLED BY", .dim)
        }
        let takers = (0..<picture.takers.count).sorted {
            picture.takers[$0].pages > picture.takers[$1].pages
        }
        for (row, index) in takers.enumerated() where go(region, row) {
            let taker = picture.takers[index]
            column(16) { $0.plain(foreign: taker.task.comm) }
            column(6, right: true) { $0.count(taker.pages) }
            put { writer in
                writer.text(taker.entitlement.word)
                writer.text(", ")
                writer.text(taker.context.word)
            }
        }
    }

    mutating func storyPane(_ region: TopRegion, _ scene: TopScene) {
        var region = region
        let picture = scene.picture
        let tid = scene.session.view.storyTID
        let title = region.take(1)
        if go(title, 0) {
            put(.bold) { writer in
                writer.text("Story of task ")
                writer.number(UInt64(tid))
            }
        }
        let now = TopTask.all(picture).first(where: { $0.task.tid == tid })
        if let now {
            if go(title, 0, indent: 22) {
                put { $0.actor(now.task, picture: picture) }
            }
            if go(region.take(1), 0) {
                put(.warning) { writer in
                    writer.text(
                        now.isThrottled
                            ? "asleep in the pfmemalloc throttle for "
                            : "inside direct reclaim for ")
                    writer.duration(now.insideNanoseconds)
                    writer.text(now.isKernelThread ? ", a kernel thread" : "")
                    writer.text(", gfp ")
                    writer.hexadecimal(UInt64(now.gfpFlags))
                    if let order = now.order {
                        writer.text(" order ")
                        writer.number(UInt64(order))
                    }
                }
            }
            if let id = now.stack,
                let index = picture.stacks.firstIndex(where: { $0.id == id })
            {
                let stack = picture.stacks[index]
                for frame in 0..<min(stack.frames, max(2, region.height / 3))
                where go(region.take(1), 0, indent: 2) {
                    put(.dim) { writer in
                        writer.text(frame == 0 ? "at " : "by ")
                        writer.plain(foreign: stack.frame(frame))
                    }
                }
            }
        } else if go(region.take(1), 0) {
            text("does not wait now, or not for longer than the threshold", .dim)
        }
        logList(&region, scene) { $0.tid == tid }
    }

    // MARK: lists

    /// Whether a row that `compose` writes passes the filter of the view.
    mutating func passes(_ view: TopView, _ compose: (inout ByteWriter) -> Void) -> Bool {
        if view.filter.isEmpty { return true }
        return composed(compose) { view.passes($0) }
    }

    mutating func paneTitle(
        _ region: TopRegion, _ title: StaticString, count: Int, _ view: TopView
    ) {
        guard go(region, 0) else { return }
        text(title, .bold)
        put { writer in
            writer.text("  ")
            writer.number(UInt64(count))
        }
        let orders = view.pane.orders
        if orders.count > 1 {
            text("  sorted by ", .dim)
            text(orders[view.place.order % orders.count], .dim)
            if view.place.isReversed { text(", reversed", .dim) }
            text(" (s, r)", .dim)
        }
        if !view.filter.isEmpty { text("  filtered", .notice) }
    }

    /// The visible part of a list, with the selected row marked.
    ///
    /// - Parameter row: draws an entry, by its index, into a row.
    mutating func list(
        _ region: TopRegion, _ session: TopSession, count: Int,
        _ row: (inout TopPainter, Int, Int) -> Void
    ) {
        var place = session.view.place
        let visible = max(1, region.height)
        place.selected = max(0, min(place.selected, count - 1))
        place.scroll = max(
            place.selected - visible + 1, min(place.scroll, place.selected, max(0, count - visible))
        )
        for shown in 0..<visible where place.scroll + shown < count {
            row(&self, place.scroll + shown, shown)
            if place.scroll + shown == place.selected { restyle(region, shown, to: .selected) }
        }
        session.view.place = place
        listed.count = count
        listed.visible = visible
    }
}

extension ByteWriter {
    /// The cgroup of a task; "?" where its name was not told.
    fileprivate mutating func `where`(_ task: TopTask, _ picture: borrowing Picture) {
        if task.isKernelThread {
            text("kernel thread")
        } else if let path = picture.cgroupPath(task.task.cgroupID) {
            plain(foreign: path)
        } else {
            byte(UInt8(ascii: "?"))
        }
    }
}
