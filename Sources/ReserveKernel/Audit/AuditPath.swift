// SPDX-License-Identifier: Apache-2.0

extension DiskContext {
    /// Who else of this host the requests pass through.
    func pathFindings() -> [Finding] {
        switch disk.sockets {
        case .unknown(let reason):
            return [
                Finding(
                    "server-unknown", .unknown, device, found: reason,
                    why: "Whether a process of this host serves the swap or passes it on is not "
                        + "known; that deadlocks.",
                    mend: "ss -tnp && ss -xp")
            ]
        case .known(let connections):
            var findings: [Finding] = []
            var seen: Set<Int32> = []
            for connection in connections {
                switch connection.peer {
                case .remote:
                    continue
                case .localUnknown:
                    findings.append(localUnknown(connection))
                case .processes(let peers):
                    for peer in peers where seen.insert(peer.process.pid).inserted {
                        findings += self.findings(peer, connection)
                    }
                }
            }
            if let proxy = tlsByOptions(findings) { findings.append(proxy) }
            return findings
        }
    }

    private func localUnknown(_ connection: SwapPathFacts.Connection) -> Finding {
        if connection.kind == .unix {
            return Finding(
                "local-server", .critical, device,
                found: "\(disk.name) goes through a unix socket (inode \(connection.inode)); "
                    + "which process holds the other end could not be told",
                why: Self.whyLocal, mend: swapOff)
        }
        return Finding(
            "local-server-unknown", .unknown, device,
            found: "both ends of \(disk.name)'s TCP connection (inode \(connection.inode)) are "
                + "on this host; who holds the other one could not be told",
            why: Self.whyLocal, mend: "ss -tnp")
    }

    private static let whyLocal =
        "Each page that is swapped out needs memory in the server first. Guests with such a "
        + "server stalled within seconds in every trial, also with it locked and with "
        + "PR_SET_IO_FLUSHER."

    private func findings(
        _ peer: SwapPathFacts.PeerProcess, _ connection: SwapPathFacts.Connection
    ) -> [Finding] {
        let process = peer.process
        let subject = Finding.Subject.process(pid: process.pid, comm: process.comm)
        let isTLS =
            peer.tcpConnections > 0 && connection.kind == .unix && peer.options.isNBDClient
        var found = [isTLS ? tlsProxy(subject, peer) : server(subject, peer, connection)]
        found += protection(process, subject)
        return found
    }

    private func server(
        _ subject: Finding.Subject, _ peer: SwapPathFacts.PeerProcess,
        _ connection: SwapPathFacts.Connection
    ) -> Finding {
        let kind = connection.kind == .unix ? "a unix socket" : "loopback"
        let passes =
            peer.tcpConnections > 0
            ? "; it holds \(peer.tcpConnections) TCP connections to elsewhere: a proxy, it seems"
            : ""
        let inferred =
            connection.isInferred
            ? "; the socket is taken for the device's because the kernel alone holds it" : ""
        return Finding(
            "local-server", .critical, subject,
            found: "serves \(disk.name) on this same host, over \(kind)\(passes)\(inferred)",
            why: Self.whyLocal,
            mend: swapOff)
    }

    private func tlsProxy(
        _ subject: Finding.Subject, _ peer: SwapPathFacts.PeerProcess
    ) -> Finding {
        Finding(
            "tls-proxy", .critical, subject,
            found: "encrypts for \(disk.name): unix socket on one side, TCP on the other",
            why: Self.whyTLS, mend: swapOff)
    }

    private static let whyTLS =
        "A process that encrypts needs memory to free memory, and its TCP connection has no "
        + "SOCK_MEMALLOC: nbd-client itself warns that swap and TLS are prone to deadlock. "
        + "Encrypt in the kernel instead (WireGuard, IPsec), or below the swap (dm-crypt)."

    /// TLS was asked for, but its proxy was not among those found.
    private func tlsByOptions(_ findings: [Finding]) -> Finding? {
        guard let (process, options) = clientProcess, options.tls,
            !findings.contains(where: { $0.id == "tls-proxy" })
        else { return nil }
        return Finding(
            "tls-proxy", .critical, .process(pid: process.pid, comm: process.comm),
            found: "was told to use TLS; the process that encrypts was not found",
            why: Self.whyTLS, mend: swapOff)
    }

    /// What a process in the way would need at least. It does not make it safe.
    private func protection(_ process: ProcessFacts, _ subject: Finding.Subject) -> [Finding] {
        var found: [Finding] = []
        if let locked = process.vmLckKiB, let score = process.oomScoreAdj {
            if locked == 0, process.isKeptFromSwap {
                found.append(keptFromSwap(process, subject))
            } else if locked == 0 {
                found.append(
                    Finding(
                        "local-server-not-locked", .warning, subject,
                        found: "VmLck 0 kB" + (process.vmSwapKiB.map { ", VmSwap \($0) kB" } ?? ""),
                        why: "Its own pages may be swapped out to the device that it serves, and "
                            + "then nobody can bring them back.",
                        mend: lockedServer(process)))
            }
            if score > Self.unkillable {
                found.append(
                    Finding(
                        "local-server-killable", .warning, subject,
                        found: "oom_score_adj \(score)",
                        why: "When the OOM killer takes it, the swap is lost.",
                        mend: protect(process)))
            }
        } else {
            found.append(
                Finding(
                    "local-server-unknown", .unknown, subject,
                    found: "VmLck or oom_score_adj cannot be read",
                    why: "Whether it may be killed or paged out is not known.",
                    mend: "cat /proc/\(process.pid)/status"))
        }
        guard let lacking = process.threadsWithoutIOFlusher, let all = process.taskFlags?.count
        else {
            found.append(
                Finding(
                    "local-server-unknown", .unknown, subject,
                    found: "the flags of its threads cannot be read",
                    why: "Whether it set PR_SET_IO_FLUSHER is not known.",
                    mend: "cat /proc/\(process.pid)/stat"))
            return found
        }
        if lacking > 0 {
            found.append(
                Finding(
                    "local-server-no-io-flusher", .warning, subject,
                    found: "\(lacking) of \(all) threads without PR_SET_IO_FLUSHER",
                    why: "Its allocations may start swap-out to the device that it serves, and "
                        + "wait for themselves. The state passes on to children and through "
                        + "execve(2).",
                    mend: restart(process)))
        }
        return found
    }

    /// Memory can be locked from inside only. Of the servers we know, nbdkit has an option, and
    /// as nbd-client it locks before it goes to the background: -f keeps it in front.
    private func lockedServer(_ process: ProcessFacts) -> String {
        guard process.comm == "nbdkit", let program = process.cmdline.first else { return "" }
        let words = ["setsid", program, "--swap", "-f"] + process.cmdline.dropFirst()
        return "\(swapOff) && kill \(process.pid) && "
            + words.map(shellQuoted).joined(separator: " ") + " &"
    }

    /// prctl(2) PR_SET_IO_FLUSHER (57) can only be set from inside, before execve(2).
    private func restart(_ process: ProcessFacts) -> String {
        guard !process.cmdline.isEmpty else { return "" }
        let python =
            "import ctypes,os,sys; ctypes.CDLL(None).prctl(57,1,0,0,0); "
            + "os.execvp(sys.argv[1],sys.argv[1:])"
        let command = process.cmdline.map(shellQuoted).joined(separator: " ")
        return "\(swapOff) && kill \(process.pid) && python3 -c \(shellQuoted(python)) \(command)"
    }
}
