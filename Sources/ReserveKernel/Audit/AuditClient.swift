// SPDX-License-Identifier: Apache-2.0

extension DiskContext {
    /// The process that waits inside ioctl(NBD_DO_IT), if there is one.
    func clientFindings() -> [Finding] {
        switch disk.client {
        case .netlink:
            return []
        case .unknown(let reason):
            return [
                Finding(
                    "client-unknown", .unknown, device, found: reason,
                    why: "A client that may be killed or paged out takes the swap with it.",
                    mend: "cat \(sysfs("pid"))")
            ]
        case .process(let process, let options):
            return findings(process, options)
        }
    }

    private func findings(_ process: ProcessFacts, _ options: ClientOptions) -> [Finding] {
        let subject = Finding.Subject.process(pid: process.pid, comm: process.comm)
        guard let locked = process.vmLckKiB, let score = process.oomScoreAdj else {
            return [
                Finding(
                    "client-unknown", .unknown, subject,
                    found: "VmLck or oom_score_adj of \(disk.name)'s client cannot be read",
                    why: "A client that may be killed or paged out takes the swap with it.",
                    mend: "grep VmLck /proc/\(process.pid)/status")
            ]
        }
        var found: [Finding] = []
        let isPaged = locked == 0 && !process.isKeptFromSwap
        if locked == 0 {
            found.append(
                isPaged ? notLocked(process, options, subject) : keptFromSwap(process, subject))
        }
        if score > Self.unkillable {
            found.append(
                Finding(
                    "client-killable", .warning, subject,
                    found: "\(disk.name)'s client has oom_score_adj \(score)",
                    why: "When the OOM killer takes it, the device is shut down and all that is "
                        + "swapped out is lost.",
                    mend: protect(process)))
        }
        if options.persist, isPaged || score > Self.unkillable {
            found.append(persist(process, locked: locked, score: score, subject))
        }
        return found
    }

    /// oom_score_adj at which the OOM killer passes a process over (OOM_SCORE_ADJ_MIN).
    static let unkillable: Int32 = -1000

    func protect(_ process: ProcessFacts) -> String {
        "echo \(Self.unkillable) >/proc/\(process.pid)/oom_score_adj"
    }

    /// Not locked, and yet not swapped.
    func keptFromSwap(_ process: ProcessFacts, _ subject: Finding.Subject) -> Finding {
        let minimum = process.cgroup?.own?.minimumBytes ?? 0
        return Finding(
            "kept-from-swap", .notice, subject,
            found:
                "VmLck 0 kB, but memory.swap.max of its cgroup is 0 and nothing of it is swapped "
                + "out; memory.min \(minimum)",
            why:
                "Nothing of it goes to the device that it serves. What memory.min does not cover of "
                + "its program's file may still be dropped and read again.",
            mend: "")
    }

    private func notLocked(
        _ process: ProcessFacts, _ options: ClientOptions, _ subject: Finding.Subject
    ) -> Finding {
        let swapped = process.vmSwapKiB.map { ", VmSwap \($0) kB" } ?? ""
        let resident = process.vmRSSKiB.map { ", VmRSS \($0) kB" } ?? ""
        let figures = "VmLck 0 kB\(resident)\(swapped)"
        let found =
            options.swap
            ? "started with -swap, yet nothing of it is locked: \(figures)"
            : "nothing of \(disk.name)'s client is locked: \(figures)"
        let why =
            (options.swap
                ? "nbd-client locks its memory before it goes to the background, and a child does "
                    + "not inherit locks. " : "")
            + "Its pages may be swapped out to the very device that it serves; then it can "
            + "neither notice a lost connection nor end well."
        // Over netlink nobody has to stay.
        let dropped: Set<String> = ["nonetlink", "L", "persist", "p", "nofork", "n"]
        let mend = clientCommand(without: dropped).map(reconnect) ?? ""
        return Finding("client-not-locked", .warning, subject, found: found, why: why, mend: mend)
    }

    private func persist(
        _ process: ProcessFacts, locked: UInt64, score: Int32, _ subject: Finding.Subject
    ) -> Finding {
        // In the foreground the lock holds; systemd keeps it there.
        let dropped: Set<String> = ["nofork", "n", "swap", "s"]
        let added = ["-swap", "-nofork"]
        var mend = protect(process)
        if locked == 0, let command = clientCommand(without: dropped, adding: added) {
            let unit =
                "systemd-run --unit=\(shellQuoted(disk.name))-client -p OOMScoreAdjust=-1000 "
            mend = "\(swapOff) && \(disconnect) && \(unit)\(command) && sleep 2 && \(swapOn)"
        }
        return Finding(
            "persist-unprotected", .critical, subject,
            found: "-persist, but VmLck \(locked) kB and oom_score_adj \(score)",
            why: "It must connect anew, from user space, just when nothing can be swapped in: "
                + "unlocked it waits for its own pages on the device that is gone, killable it "
                + "may not be there at all.",
            mend: mend)
    }
}
