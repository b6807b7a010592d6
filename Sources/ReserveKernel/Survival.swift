// SPDX-License-Identifier: Apache-2.0

import CBPF
import CLinux
import Glibc

/// What the agent does to stay alive while the host stalls, and what of it was refused.
public enum Survival {
    /// Takes every protection in turn. Nothing here is fatal: what is refused is reported.
    ///
    /// To be called after everything is loaded and opened, for the memory lock covers it all.
    ///
    /// - Returns: one line of the hook table for each protection.
    public static func protect(realTimePriority: Int32) -> [HookPlan.Choice] {
        let isMoved = compactionMovesLocked
        return [
            line("agent.oom_score_adj", "-1000", setOOMScore()),
            line("agent.io_flusher", "PR_SET_IO_FLUSHER", rw_set_io_flusher()),
            line("agent.priority", "SCHED_FIFO", rw_set_fifo_priority(realTimePriority)),
            lockedMemory(rw_lock_memory(), isMoved: isMoved),
        ]
    }

    /// vm.compact_unevictable_allowed; not there without compaction, as good as 0.
    private static var compactionMovesLocked: Bool {
        RootedFiles(root: "").number("/proc/sys/vm/compact_unevictable_allowed") ?? 0 != 0
    }

    /// The line of mlockall(2)'s `result`: in memory is not yet in place.
    static func lockedMemory(_ result: Int32, isMoved: Bool) -> HookPlan.Choice {
        var choice = line("agent.locked_memory", "mlockall", result)
        guard result == 0, isMoved else { return choice }
        choice.state = RW_HOOK_FALLBACK.rawValue
        choice.reason = "compaction may move it; reservewatch prepare keeps it in place"
        return choice
    }

    /// Gives away every capability that the loop has no use for, which on most hosts is all of
    /// them: what they were for is loaded, attached and opened.
    ///
    /// Of the calling thread: the sinks' threads give theirs away when they begin.
    ///
    /// - Returns: the hook table's line, with what is kept and why.
    public static func dropCapabilities(_ kernel: borrowing LiveKernel) -> HookPlan.Choice {
        var kept: [(number: Int32, name: String)] = []
        var reasons: [String] = []
        if kernel.looksForSockets {
            // setns(2), and /proc/PID/ns/net of others, at each change of the swap table.
            kept += [(RW_CAP_SYS_ADMIN, "sys_admin"), (RW_CAP_SYS_PTRACE, "sys_ptrace")]
            reasons.append("sockets are looked for at swapon")
        }
        if rw_unlimit_locked_memory() != 0 {
            // A stack that grows against the limit is a SIGSEGV.
            kept.append((RW_CAP_IPC_LOCK, "ipc_lock"))
            reasons.append("locked memory has a limit")
        }
        // Asked of the kernel itself: its answer without CAP_BPF depends on its version.
        let told = kernel.tellsMissed
        var result = rw_keep_capabilities(set(kept), .max)
        if result == 0, told, !kernel.tellsMissed {
            kept.append((RW_CAP_BPF, "bpf"))
            reasons.append("the kernel hides what it skipped")
        }
        if result == 0 { result = rw_keep_capabilities(set(kept), set(kept)) }
        var choice = line(
            "agent.capabilities", kept.isEmpty ? "none" : kept.map(\.name).joined(separator: ", "),
            result)
        if result == 0, !kept.isEmpty {
            choice.state = RW_HOOK_FALLBACK.rawValue
            choice.reason = reasons.joined(separator: "; ")
        }
        return choice
    }

    private static func set(_ capabilities: [(number: Int32, name: String)]) -> UInt64 {
        capabilities.reduce(0) { $0 | 1 << UInt64($1.number) }
    }

    private static func setOOMScore() -> Int32 {
        let descriptor = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return -errno }
        defer { close(descriptor) }
        return write(descriptor, "-1000", 5) == 5 ? 0 : -errno
    }

    /// The process that takes back what a rule did, should this one die.
    public static func keeper(pid: Int32, lives: Bool) -> HookPlan.Choice {
        var choice = line("agent.keeper", "process \(pid)", lives ? 0 : -ESRCH)
        if !lives { choice.reason = "it ended, or stands still: rules freeze and stop nothing" }
        return choice
    }

    /// What the threads that carry out rules, and their keeper, may do: as much as the rules need.
    public static func hands(capabilities: UInt64) -> HookPlan.Choice {
        let names = [
            (RW_CAP_DAC_READ_SEARCH, "dac_read_search"), (RW_CAP_KILL, "kill"),
            (RW_CAP_NET_ADMIN, "net_admin"), (RW_CAP_SYS_PTRACE, "sys_ptrace"),
            (RW_CAP_SYS_ADMIN, "sys_admin"),
        ].filter { capabilities >> UInt64($0.0) & 1 != 0 }.map(\.1)
        return line("agent.hands", names.joined(separator: ", "), 0)
    }

    private static func line(_ name: String, _ path: String, _ result: Int32) -> HookPlan.Choice {
        HookPlan.Choice(
            stem: RW_STEM_AGENT.rawValue, name: name, path: result == 0 ? path : "", programs: [],
            known: 0,
            state: (result == 0 ? RW_HOOK_PRIMARY : RW_HOOK_MISSING).rawValue,
            reason: result == 0 ? "" : "refused (\(describe(errno: result)))")
    }
}
