// SPDX-License-Identifier: Apache-2.0

import ReserveModel
import ReserveSinks

/// Figures that the kernel side adds up by task, for as long as it keeps room for the task.
protocol TaskFigures: Sendable {
    var task: TaskIdentity { get }
    var firstBootNanoseconds: UInt64 { get }
    func plus(_ other: Self) -> Self
}

extension ReclaimTask: TaskFigures {}
extension PageTask: TaskFigures {}

/// The last figures of each life of each task, in bounded room.
struct ReportLives<Figures: TaskFigures>: Sendable {
    private struct Life: Hashable {
        var key: ReportTask.Key
        var first: UInt64
    }

    static var most: Int { 8192 }
    /// A task that paused for long begins anew: the sum of its lives is what it did.
    private var lives: [Life: Figures] = [:]
    private(set) var leftOut: UInt64 = 0

    mutating func take(_ figures: Figures) {
        let life = Life(
            key: ReportTask.Key(comm: figures.task.comm, tid: figures.task.tid),
            first: figures.firstBootNanoseconds)
        guard lives[life] != nil || lives.count < Self.most else {
            leftOut &+= 1
            return
        }
        lives[life] = figures
    }

    /// One entry for each name and thread: by what `weighs` says, the most first.
    func sums(by weighs: (Figures) -> UInt64) -> [Figures] {
        var sums: [ReportTask.Key: Figures] = [:]
        for (life, figures) in lives {
            sums[life.key] = sums[life.key].map { $0.plus(figures) } ?? figures
        }
        return sums.values.sorted { one, other in
            let (first, second) = (weighs(one), weighs(other))
            if first != second { return first > second }
            return (one.task.tid, one.task.comm.sortKey) < (other.task.tid, other.task.comm.sortKey)
        }
    }
}
