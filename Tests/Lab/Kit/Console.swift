// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What the guest's console tells about its kernel's death.
public enum ConsoleEvidence {
    /// How the kernel begins to say that it dies: arch/x86/kernel/{traps,dumpstack}.c, kernel/panic.c.
    static let signs = [
        "Kernel panic", "PANIC:", "Oops:", "BUG: unable to handle", "kernel BUG at",
        "general protection fault", "stack guard page was hit",
    ]

    /// The first line that says so, without its time stamp; nil while the kernel is well.
    public static func death(in console: String) -> String? {
        for line in console.split(whereSeparator: \.isNewline) {
            guard signs.contains(where: { line.contains($0) }) else { continue }
            return withoutStamp(line)
        }
        return nil
    }

    /// A console line without the "[   12.345678] " that printk puts before it.
    static func withoutStamp(_ line: Substring) -> String {
        guard line.hasPrefix("["), let end = line.firstIndex(of: "]") else { return String(line) }
        return line[line.index(after: end)...].trimmingCharacters(in: .whitespaces)
    }
}

/// One task of a sysrq-w dump: uninterruptible, and where it waits.
public struct StuckTask: Equatable, Sendable {
    public var name: String
    /// Functions from where it sleeps outwards; those of the scheduler are left out.
    public var functions: [String]

    /// What every blocked task's stack begins with, and what says nothing about why.
    static let plumbing = [
        "schedule", "__schedule", "schedule_timeout", "io_schedule", "io_schedule_timeout",
        "schedule_preempt_disabled", "__mutex_lock", "mutex_lock", "__cond_resched",
        "preempt_schedule_common", "__mutex_lock_slowpath", "context_switch",
    ]

    /// Reads a dump of kernel/sched/core.c:show_state_filter().
    public static func parse(_ dump: String) -> [StuckTask] {
        var tasks: [StuckTask] = []
        for raw in dump.split(whereSeparator: \.isNewline) {
            let line = ConsoleEvidence.withoutStamp(raw)
            if line.hasPrefix("task:") {
                let name = line.dropFirst(5).components(separatedBy: " state:")[0]
                tasks.append(
                    StuckTask(name: name.trimmingCharacters(in: .whitespaces), functions: []))
            } else if let function = function(of: line), !tasks.isEmpty {
                tasks[tasks.count - 1].functions.append(function)
            }
        }
        return tasks
    }

    /// `mempool_alloc` of "mempool_alloc+0x62/0x1a0"; nil of a frame marked unreliable with "?".
    private static func function(of line: String) -> String? {
        let word = line.split(separator: " ").first.map(String.init) ?? ""
        guard let plus = word.firstIndex(of: "+"), word[plus...].hasPrefix("+0x") else {
            return nil
        }
        let name = String(word[..<plus])
        return plumbing.contains(name) ? nil : name
    }

    /// One line to read: "kswapd0: mempool_alloc < bio_alloc_bioset < __swap_writepage".
    public func sentence(depth: Int = 6) -> String {
        "\(name): \(functions.prefix(depth).joined(separator: " < "))"
    }
}
