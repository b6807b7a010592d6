// SPDX-License-Identifier: Apache-2.0

import Foundation
import ReserveKernel

@testable import ReserveEnforce

extension HostTree {
    /// Settings as a distribution leaves them, with a client that the OOM killer may take.
    static func asInstalled() throws -> HostTree {
        let tree = try HostTree()
        try tree.sysctl("net/ipv4/tcp_rmem", "4096\t131072\t6291456")
        try tree.sysctl("net/core/rmem_max", "4194304")
        try tree.sysctl("kernel/random/boot_id", "one")
        try tree.write("/sys/block/nbd0/queue/wbt_lat_usec", "2000\n")
        try tree.write("/sys/kernel/debug/nbd/nbd0/timeout", "0\n")
        try tree.write("/sys/block/nbd0/queue/io_timeout", "30000\n")
        try tree.ioctlClient(["nbd-client", "h", "/dev/nbd0"], score: 0)
        return tree
    }

    static let changed = [
        "/proc/sys/net/ipv4/tcp_rmem", "/proc/sys/net/core/rmem_max",
        "/proc/sys/vm/min_free_kbytes", "/sys/block/nbd0/queue/wbt_lat_usec",
        "/proc/90/oom_score_adj",
    ]

    /// The values of what a plan may change, blanks as they are written.
    func values(_ paths: [String] = changed) -> [String] {
        let hand = Hand(root: root)
        return paths.map { path in
            if case .value(let value) = hand.present(.file(path)) { return value }
            return "?"
        }
    }

    var journalPath: String { root + "/run/reservewatch/prepare.journal" }

    func journal() throws -> JournalFile {
        try JournalFile(path: journalPath, bootID: Hand(root: root).bootID)
    }

    func facts(disks: [String] = []) -> SwapPathFacts {
        SwapPathFacts.read(root: root, disks: disks)
    }
}

/// Ends the work before its n-th step, as a crash would.
final class Crash {
    private var left: Int
    private(set) var hasHappened = false
    private(set) var steps: [Preparer.Step] = []

    init(before step: Int) {
        left = step
    }

    func step(_ step: Preparer.Step) throws(Preparer.Stopped) {
        if left == 0 {
            hasHappened = true
            throw Preparer.Stopped()
        }
        left -= 1
        steps.append(step)
    }
}
