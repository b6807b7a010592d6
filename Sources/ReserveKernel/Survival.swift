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
        [
            line("agent.oom_score_adj", "-1000", setOOMScore()),
            line("agent.io_flusher", "PR_SET_IO_FLUSHER", rw_set_io_flusher()),
            line("agent.priority", "SCHED_FIFO", rw_set_fifo_priority(realTimePriority)),
            line("agent.locked_memory", "mlockall", rw_lock_memory()),
        ]
    }

    private static func setOOMScore() -> Int32 {
        let descriptor = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return -errno }
        defer { close(descriptor) }
        return write(descriptor, "-1000", 5) == 5 ? 0 : -errno
    }

    private static func line(_ name: String, _ path: String, _ result: Int32) -> HookPlan.Choice {
        HookPlan.Choice(
            stem: RW_STEM_AGENT.rawValue, name: name, path: result == 0 ? path : "", programs: [],
            known: 0,
            state: (result == 0 ? RW_HOOK_PRIMARY : RW_HOOK_MISSING).rawValue,
            reason: result == 0 ? "" : "refused (\(describe(errno: result)))")
    }
}
