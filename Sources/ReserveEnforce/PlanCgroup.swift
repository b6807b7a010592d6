// SPDX-License-Identifier: Apache-2.0

import ReserveKernel

// Processes of the swap's path that are not locked: nobody can lock another's memory, but its
// cgroup can keep it from being swapped and from being reclaimed.

/// The largest share of memory that is kept for one such cgroup.
private let largestShareKept: UInt64 = 16
private let mebibyte: UInt64 = 1 << 20

/// Keeps what cannot be locked; whose processes are kept so goes into `kept`.
func keep(
    _ process: ProcessFacts, _ role: String, protected: Set<Int32>, _ facts: SwapPathFacts,
    _ kept: inout Set<Int32>, _ plan: inout Plan
) -> [Change] {
    // What is not known is among the findings, as is what is not locked and stays so.
    guard process.vmLckKiB == 0, let cgroup = process.cgroup else { return [] }
    if let found = obstacle(process, cgroup, protected) {
        plan.left.append(
            Left(
                id: "keep-from-swap", subject: "\(process.comm)[\(process.pid)]", found: found,
                why: "memory.swap.max and memory.min are a cgroup's, and hold for all in it. It is "
                    + "\(role), and nothing of it is locked.",
                instead: "run it as a service of its own, with MemorySwapMax=0 and MemoryMin=",
                isShortfall: false))
        return []
    }
    guard let own = cgroup.own, let above = cgroup.above, let swapMaximum = cgroup.swapMaximum
    else { return [] }
    kept.insert(process.pid)
    let unit = cgroup.path.split(separator: "/").last.map(String.init) ?? cgroup.path
    var changes: [Change] = []
    if swapMaximum != "0" {
        changes.append(
            Change(
                kind: .keepFromSwap, target: own.target("memory.swap.max"), old: swapMaximum,
                new: "0", bounds: "this cgroup only, in which nobody else is",
                why: "\(process.comm)[\(process.pid)] is \(role), and nothing of it is locked: its "
                    + "pages may be swapped out to the very device that it serves.",
                costs: "They stay in memory. What is swapped out already stays there until it is "
                    + "touched.",
                keep: "in \(unit): MemorySwapMax=0"))
    }
    return changes + minimum(process, role, cgroup, own, above, unit, facts, &plan)
}

/// Why its cgroup cannot keep it, or nil.
private func obstacle(
    _ process: ProcessFacts, _ cgroup: CgroupFacts, _ protected: Set<Int32>
) -> String? {
    if cgroup.path == "/" { return "it is in the root cgroup, which has no such bounds" }
    guard !cgroup.path.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7f }),
        cgroup.path.utf8.count < 1024
    else { return "its cgroup has a name that no journal takes" }
    guard let processes = cgroup.processes else {
        return "who else is in its cgroup, \(cgroup.path), cannot be read"
    }
    let others = processes.count { !protected.contains($0) }
    if others > 0 { return "\(others) other processes are in its cgroup, \(cgroup.path)" }
    guard cgroup.own != nil, cgroup.above != nil, cgroup.swapMaximum != nil else {
        return "its cgroup, \(cgroup.path), has no memory controller"
    }
    return nil
}

/// memory.min of the cgroup, and of all above it: it counts only as far as theirs reaches.
private func minimum(
    _ process: ProcessFacts, _ role: String, _ cgroup: CgroupFacts, _ own: CgroupFacts.Level,
    _ above: [CgroupFacts.Level], _ unit: String, _ facts: SwapPathFacts, _ plan: inout Plan
) -> [Change] {
    guard let current = cgroup.currentBytes, let total = facts.memory.totalKiB else { return [] }
    // memory.min counts in pages, and the kernel tells what it took.
    let limit = total * 1024 / largestShareKept / mebibyte * mebibyte
    guard current <= limit else {
        plan.left.append(
            Left(
                id: "keep-in-memory", subject: "\(process.comm)[\(process.pid)]",
                found: "its cgroup has \(current) bytes, more than \(limit), a sixteenth of this "
                    + "memory",
                why: "memory.min takes what it keeps from everybody else, in a stall too.",
                instead: "", isShortfall: false))
        return []
    }
    // Twice what it has now: a second look at a process that grew a little changes nothing.
    let wanted = min((2 * max(current, 1) + mebibyte - 1) / mebibyte * mebibyte, limit)
    let kept = own.minimumBytes < current ? wanted : own.minimumBytes
    let levels = above.filter { $0.minimumBytes < kept } + (kept != own.minimumBytes ? [own] : [])
    return levels.map { level in
        // Others below such a level may live off what it has already.
        let new = level == own ? kept : level.minimumBytes + kept
        return Change(
            kind: .keepInMemory, target: level.target("memory.min"), old: "\(level.minimumBytes)",
            new: "\(new)",
            bounds:
                "raised, never lowered; at most \(limit) bytes for it, a sixteenth of the memory"
                + (level == own ? "" : "; as much more, so that what is below counts"),
            why: "\(process.comm)[\(process.pid)] is \(role), and nothing of it is locked: reclaim "
                + "may drop its program from memory when it is needed to free some.",
            costs: "\(kept) bytes are not reclaimed from it, whoever else wants them.",
            keep: level == own ? "in \(unit): MemoryMin=\(kept)" : "in the slices above: MemoryMin="
        )
    }
}

extension CgroupFacts.Level {
    fileprivate func target(_ file: String) -> Target {
        .cgroup(path: "\(directory)/\(file)", inode: inode)
    }
}
