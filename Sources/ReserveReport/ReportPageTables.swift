// SPDX-License-Identifier: Apache-2.0

import ReserveModel
import ReserveSinks

// What trace-pagealloc-postprocess.pl tells.

extension ReportCollector {
    var pageSection: ReportSection {
        var section = ReportSection(id: "pages", title: "Pages by process")
        guard let counters = picture.counters, counters.pageTasksKnown else {
            section.paragraphs.append(
                "Not counted: a hot path, watched only where events had --arm pages.")
            return section
        }
        section.paragraphs.append(
            "As trace-pagealloc-postprocess.pl counts, since the start of the watch. Which"
                + " fallbacks changed the type of a block, and which were moderate, is not told.")
        var table = ReportTable(
            "Page allocator by task", "@process", "#tid", "#alloc", "#lock", "#free", "#batch",
            "#drain", "#runs", "#refill", "#frag", "#severe")
        for task in pageTasks.sums(by: { $0.allocations &+ $0.frees }) {
            table.rows.append([
                plain(task.task.comm), "\(task.task.tid)", "\(task.allocations)",
                "\(task.zoneLocked)", "\(task.frees)", "\(task.batchedFrees)",
                "\(task.drainedPages)", "\(task.drains)", "\(task.refills)", "\(task.fallbacks)",
                "\(task.severeFallbacks)",
            ])
        }
        table.limit(to: 200, "tasks")
        if table.rows.isEmpty {
            section.paragraphs.append("No task allocated or freed a page.")
        } else {
            section.tables.append(table)
        }
        if counters.pageTasksUntracked > 0 {
            section.paragraphs.append(
                "\(counters.pageTasksUntracked) events of tasks that found no room in the kernel's"
                    + " table are in no row.")
        }
        return section
    }
}
