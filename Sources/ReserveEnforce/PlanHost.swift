// SPDX-License-Identifier: Apache-2.0

import ReserveKernel

/// What to change on a host, from what is known of it. Pure: the same facts give the same plan.
///
/// What is safe already stays; what is not known is not changed, and is told.
public func plan(_ facts: SwapPathFacts, _ settings: PlanSettings = PlanSettings()) -> Plan {
    let found = audit(facts).findings
    var plan = Plan()
    guard !facts.disks.isEmpty else {
        plan.isIdle = true
        plan.left = found.filter { $0.severity == .unknown }.map { left($0, facts) }
        return plan
    }
    var blockers: [String] = []
    for disk in facts.disks {
        plan.changes += scheduler(disk) + writebackThrottle(disk, &blockers)
    }
    plan.changes += receiveBounds(facts.memory, settings, &blockers)
    let processes = protected(facts)
    for process in processes {
        plan.changes += oomScore(process, &plan)
    }
    var kept: Set<Int32> = []
    let pids = Set(processes.map { $0.0.pid })
    for (process, role) in processes {
        plan.changes += keep(process, role, protected: pids, facts, &kept, &plan)
    }
    // Two processes of one cgroup want the same of it.
    plan.changes = onceEach(plan.changes)
    plan.changes += keepInPlace(facts.memory)
    for disk in facts.disks {
        nbdTimeouts(disk, settings, &plan)
    }
    reserve(facts.memory, settings, blockers, &plan)
    plan.left += found.filter { isLeft($0, facts, kept) }.map { left($0, facts) }
    return plan
}

private func onceEach(_ changes: [Change]) -> [Change] {
    var once: [Change] = []
    for change in changes where !once.contains(where: { $0.target == change.target }) {
        once.append(change)
    }
    return once
}

/// Findings that a change answers, or that ``Plan/left`` tells in other words.
private let answered: Set<String> = [
    "client-killable", "local-server-killable", "wbt-on", "scheduler-on", "no-timeout",
    "timeout-unknown",
    "timeout-alone", "rcvbuf-beyond-reserve", "rcvbuf-unknown", "min-free-changed",
    "min-free-unknown",
]

private func isLeft(_ finding: Finding, _ facts: SwapPathFacts, _ kept: Set<Int32>) -> Bool {
    switch finding.severity {
    case .ok, .notice: return false
    case .unknown, .warning, .critical: break
    }
    // What is kept from swap lacks nothing; what lacks besides the score is a finding by itself.
    let isKept =
        if case .process(let pid, _) = finding.subject { kept.contains(pid) } else { false }
    if isKept, ["client-not-locked", "local-server-not-locked"].contains(finding.id) {
        return false
    }
    if finding.id == "persist-unprotected" {
        return !isKept && isUnlocked(finding.subject, facts)
    }
    return !answered.contains(finding.id)
}

private func isUnlocked(_ subject: Finding.Subject, _ facts: SwapPathFacts) -> Bool {
    guard case .process(let pid, _) = subject else { return true }
    return !protected(facts).contains { $0.0.pid == pid && ($0.0.vmLckKiB ?? 0) > 0 }
}

private func left(_ finding: Finding, _ facts: SwapPathFacts) -> Left {
    let subject: String
    switch finding.subject {
    case .host: subject = "host"
    case .device(let name): subject = name
    case .process(let pid, let comm): subject = "\(comm)[\(pid)]"
    }
    // A disk that holds no swap yet has none to take off first.
    let hasSwap = facts.swaps?.contains { swap in
        if case .nbd = swap.below { return true } else { return false }
    }
    let isForSwap = finding.mend.hasPrefix("swapoff ")
    return Left(
        id: finding.id, subject: subject, found: finding.found, why: finding.why,
        instead: isForSwap && hasSwap != true ? "" : finding.mend, isShortfall: true)
}

// MARK: The disk

private func writebackThrottle(
    _ disk: SwapPathFacts.NBDDisk, _ blockers: inout [String]
) -> [Change] {
    guard let latency = disk.wbtLatMicroseconds else {
        blockers.append("whether writeback throttling is off on \(disk.name) is not known")
        return []
    }
    guard latency > 0 else { return [] }
    return [
        Change(
            kind: .writebackThrottle, target: .file("/sys/block/\(disk.name)/queue/wbt_lat_usec"),
            old: "\(latency)", new: "0",
            bounds: "off or as it was; this disk only",
            why: "Block writeback throttling lets a task that swaps out sleep in wbt_wait() until "
                + "earlier writes are answered, and the answers need the memory that it is to "
                + "free. In three deadlocks of trials the worker that refills the network card "
                + "slept there; the guests that survived had it off.",
            costs: "Writes to this disk are no longer held back for the sake of reads from it.",
            keep: "udev: ACTION==\"change\", KERNEL==\"\(disk.name)\", SUBSYSTEM==\"block\", "
                + "ATTR{queue/wbt_lat_usec}=\"0\"")
    ]
}

private func scheduler(_ disk: SwapPathFacts.NBDDisk) -> [Change] {
    guard let scheduler = disk.scheduler, scheduler != "none" else { return [] }
    return [
        Change(
            kind: .scheduler, target: .file("/sys/block/\(disk.name)/queue/scheduler"),
            old: scheduler, new: "none",
            bounds: "none or as it was; this disk only",
            why: "A request that was sent in part when a signal came (the OOM killer's, a stop, a "
                + "freeze) gets another tag from a scheduler; its reply is then taken for "
                + "nobody's, and the connection is lost with the swap on it. Without a scheduler "
                + "it keeps its tag.",
            costs: "Requests are not sorted any more before they are sent.",
            keep: "udev: ACTION==\"change\", KERNEL==\"\(disk.name)\", SUBSYSTEM==\"block\", "
                + "ATTR{queue/scheduler}=\"none\"")
    ]
}

private func nbdTimeouts(
    _ disk: SwapPathFacts.NBDDisk, _ settings: PlanSettings, _ plan: inout Plan
) {
    func leave(_ found: String, why: String, instead: String, isShortfall: Bool) {
        plan.left.append(
            Left(
                id: "nbd-timeouts", subject: disk.name, found: found, why: why, instead: instead,
                isShortfall: isShortfall))
    }
    guard let wanted = settings.nbdTimeouts else {
        // nbd_xmit_timeout() asks for a timeout only where there is one connection.
        let givesUp = (disk.connections ?? 1) > 1 && disk.timeout == .none
        leave(
            "timeout and dead_conn_timeout stay as they are"
                + (givesUp
                    ? "; with several connections the driver gives a silent one up after "
                        + "io_timeout, \(disk.ioTimeoutMilliseconds.map { "\($0)" } ?? "30000") ms, "
                        + "without being asked" : ""),
            why: "A timeout gives a silent connection up and shuts it down; then swap fails "
                + "after dead_conn_timeout unless somebody hands the driver a new one. Nobody does "
                + "so by itself, and a wire that was pulled for 60 s healed by itself without.",
            instead: "with somebody who reconnects: "
                + "reservewatch prepare --apply --nbd-timeout 20 --nbd-dead-conn-timeout 600",
            isShortfall: false)
        return
    }
    guard case .netlink = disk.client, let setUpBy = disk.setUpBy else {
        leave(
            "\(disk.name) was not set up over netlink, or that is not known",
            why: "The driver takes new timeouts only for devices that were.",
            instead: "connect it anew with nbd-client, without -nonetlink", isShortfall: true)
        return
    }
    let old: UInt64
    switch disk.timeout {
    case .unknown(let reason):
        leave(
            reason, why: "What is not known cannot be put back.",
            instead: "mount -t debugfs debugfs /sys/kernel/debug", isShortfall: true)
        return
    case .none: old = 0
    case .set(let milliseconds): old = (milliseconds + 999) / 1000
    }
    // A timeout that somebody chose stays; what it lacks is the time to wait for a connection.
    let new = old > 0 ? old : wanted.timeoutSeconds
    let undone =
        old > 0
        ? "It stays when undone: without it a timeout loses the swap."
        : "Undone, both are 0, as the driver begins."
    plan.changes.append(
        Change(
            kind: .nbdTimeouts,
            target: .nbdTimeouts(
                disk: disk.name, setUpBy: setUpBy, deadConnSeconds: wanted.deadConnSeconds),
            old: "\(old)", new: "\(new)",
            bounds: "both in one message, never a timeout alone; dead_conn_timeout "
                + "\(wanted.deadConnSeconds) s. \(undone)",
            why: "Requests that were sent on a connection that died are given up, and wait for a "
                + "new one that NBD_CMD_RECONFIGURE brings. On 6.1 a rescue of a deadlocked guest "
                + "ended only with it (1 of 1 with, 0 of 1 without). With a timeout of 5 s alone "
                + "a guest lost its swap after 5 s.",
            costs: "A wire that is gone for more than \(new) s has the connection shut down, and "
                + "unless somebody brings a new one swap is lost \(wanted.deadConnSeconds) s "
                + "later. Without it the wire may stay away longer and heals by itself.",
            keep: ""))
}

// MARK: Locked memory

private func keepInPlace(_ memory: MemoryFacts) -> [Change] {
    guard let allowed = memory.compactUnevictableAllowed, allowed != 0 else { return [] }
    return [
        Change(
            kind: .keepInPlace, target: .file("/proc/sys/vm/compact_unevictable_allowed"),
            old: "\(allowed)", new: "0",
            bounds: "0, as kernels with PREEMPT_RT have it, or as it was; for the whole host",
            why:
                "Compaction moves locked pages too, and runs when memory is short. Who touches one "
                + "that is on its way (the client, a server on this host, the watch) waits for "
                + "whoever moves it, an ordinary process that may wait for memory itself.",
            costs: "Large contiguous memory is a little harder to come by: what is locked stays "
                + "where it is.",
            keep: "/etc/sysctl.d/90-reservewatch.conf: vm.compact_unevictable_allowed = 0")
    ]
}

// MARK: Processes

/// The client and who serves or passes on, where they are processes of this host; once each.
private func protected(_ facts: SwapPathFacts) -> [(ProcessFacts, String)] {
    var found: [(ProcessFacts, String)] = []
    func take(_ process: ProcessFacts, _ role: String) {
        if !found.contains(where: { $0.0.pid == process.pid }) { found.append((process, role)) }
    }
    for disk in facts.disks {
        if case .process(let process, _) = disk.client { take(process, "\(disk.name)'s client") }
        guard case .known(let connections) = disk.sockets else { continue }
        for connection in connections {
            guard case .processes(let peers) = connection.peer else { continue }
            for peer in peers { take(peer.process, "what serves \(disk.name) on this host") }
        }
    }
    return found
}

private func oomScore(_ subject: (ProcessFacts, String), _ plan: inout Plan) -> [Change] {
    let (process, role) = subject
    // Unknown is among the findings.
    guard let score = process.oomScoreAdj, score > -1000 else { return [] }
    guard let start = process.startTicks else {
        plan.left.append(
            Left(
                id: "oom-score", subject: "\(process.comm)[\(process.pid)]",
                found: "/proc/\(process.pid)/stat does not tell its start",
                why: "Its number may be another's by the time of undoing.",
                instead: "echo -1000 >/proc/\(process.pid)/oom_score_adj", isShortfall: true))
        return []
    }
    return [
        Change(
            kind: .oomScore, target: .oomScore(pid: process.pid, startTicks: start),
            old: "\(score)", new: "-1000",
            bounds: "this process only, as long as it lives; its children begin with what it has",
            why: "It is \(role). When the OOM killer takes it, all that is swapped out is lost.",
            costs: "The OOM killer passes it over, also when it is what eats the memory.",
            keep: "in its unit: OOMScoreAdjust=-1000")
    ]
}
