// SPDX-License-Identifier: Apache-2.0

/// One thing that the audit has to say about the way to the swap.
public struct Finding: Equatable, Sendable {
    public enum Severity: String, Sendable {
        /// Looked at, and well.
        case ok
        /// To be known; the host is fit all the same.
        case notice
        /// Could not be read: neither well nor bad.
        case unknown
        /// The host is not fit to swap over NBD like this.
        case warning
        /// Bound to lose the swap or to deadlock.
        case critical
    }

    public enum Subject: Equatable, Sendable {
        case host
        case device(String)
        case process(pid: Int32, comm: String)
    }

    /// Stays the same over versions; docs/doctor.md has a section for each.
    public var id: String
    public var severity: Severity
    public var subject: Subject
    /// What was found, with its figures.
    public var found: String
    public var why: String
    /// A command for a POSIX shell that mends it, to be run as root; empty where there is none.
    public var mend: String

    public init(
        _ id: String, _ severity: Severity, _ subject: Subject, found: String, why: String,
        mend: String = ""
    ) {
        self.id = id
        self.severity = severity
        self.subject = subject
        self.found = found
        self.why = why
        self.mend = mend
    }
}

/// What the audit comes to.
public enum Verdict: String, Sendable {
    case fit
    /// A warning or worse.
    case unfit
    /// Nothing worse was found, but something could not be read.
    case unknown
    /// No swap lies on NBD: nothing to audit.
    case noNBDSwap = "no_nbd_swap"
}

/// The findings of one look at a host, in the order: disks by name, then the host.
public struct Audit: Equatable, Sendable {
    public var findings: [Finding]
    public var verdict: Verdict
}

/// Judges the facts. Pure: the same facts give the same findings.
public func audit(_ facts: SwapPathFacts) -> Audit {
    var findings = swapFindings(facts)
    let cannotTell = findings.contains { $0.severity == .unknown }
    guard !facts.disks.isEmpty else {
        // A swap of which nothing is known may lie on NBD.
        return Audit(findings: findings, verdict: cannotTell ? .unknown : .noNBDSwap)
    }
    for disk in facts.disks {
        let context = DiskContext(disk: disk, swaps: facts.swaps ?? [])
        var own = context.clientFindings() + context.pathFindings() + context.queueFindings()
        if own.allSatisfy({ $0.severity == .ok || $0.severity == .notice }) {
            own.append(context.clean)
        }
        findings += own
    }
    findings += memoryFindings(facts.memory)
    findings += memallocFindings(facts)
    let severities = findings.map(\.severity)
    let verdict: Verdict =
        severities.contains(.critical) || severities.contains(.warning)
        ? .unfit : severities.contains(.unknown) ? .unknown : .fit
    return Audit(findings: findings, verdict: verdict)
}

private func swapFindings(_ facts: SwapPathFacts) -> [Finding] {
    guard let swaps = facts.swaps else {
        return [
            Finding(
                "swap-unknown", .unknown, .host, found: "/proc/swaps cannot be read",
                why: "Whether swap lies on NBD is not known.", mend: "mount -t proc proc /proc")
        ]
    }
    return swaps.filter { $0.below == .unknown }.map { swap in
        Finding(
            "swap-unknown", .unknown, .device(swap.path),
            found: "the block device below \(shellQuoted(swap.path)) was not found",
            why: "A file system that spans devices (btrfs, overlay, NFS), or a device that is not "
                + "in this /dev: whether it lies on NBD is not known.",
            mend: "findmnt -T \(shellQuoted(swap.path))")
    }
}

/// The driver marks its sockets by itself (drivers/block/nbd.c:nbd_start_device()); /proc shows
/// it of none.
private func memallocFindings(_ facts: SwapPathFacts) -> [Finding] {
    var findings: [Finding] = []
    var isTold = true
    for disk in facts.disks {
        guard case .known(let connections) = disk.sockets else {
            isTold = false
            continue
        }
        for connection in connections {
            switch connection.memalloc {
            case nil: isTold = false
            case true?: break
            case false?:
                findings.append(
                    Finding(
                        "memalloc-missing", .critical, .device(disk.name),
                        found: "socket \(connection.inode) of \(disk.name) has no SOCK_MEMALLOC",
                        why: "Its replies are dropped when only the reserve is left, and then no "
                            + "page can be freed."))
            }
        }
    }
    if !isTold {
        findings.append(
            Finding(
                "memalloc-not-told", .notice, .host,
                found: "SOCK_MEMALLOC of the device's sockets is not told here",
                why: "/proc does not show it. The NBD driver sets it on each of its sockets; "
                    + "behind a proxy it does not reach the connection to the server."))
    }
    return findings
}
