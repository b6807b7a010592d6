// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Where a process' memory is charged in the unified hierarchy, and what keeps it there.
public struct CgroupFacts: Equatable, Sendable {
    /// A cgroup's memory.min, and which one it is.
    public struct Level: Equatable, Sendable {
        /// Its directory below /sys/fs/cgroup.
        public var directory: String
        /// Of the directory: tells it from a later cgroup of the same name.
        public var inode: UInt64
        public var minimumBytes: UInt64
    }

    /// As /proc/PID/cgroup has it; "/" is the root.
    public var path: String
    /// nil without a memory controller, as in the root.
    public var own: Level?
    /// Those above it but the root, the topmost first; nil where one of them has no memory.min.
    public var above: [Level]?
    /// memory.swap.max: "max", or bytes; nil as ``own``.
    public var swapMaximum: String?
    public var currentBytes: UInt64?
    /// Of everybody in it and below it; nil where not all could be read.
    public var processes: [Int32]?

    public init(path: String) {
        self.path = path
    }

    static let mount = "/sys/fs/cgroup"

    /// The cgroup of a process; nil where there is no unified hierarchy, or it cannot be read.
    static func read(_ pid: Int32, _ files: RootedFiles) -> CgroupFacts? {
        // "0::/system.slice/nbd@nbd0.service"
        guard let text = files.text("/proc/\(pid)/cgroup"),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("0::/") }),
            files.exists("\(mount)/cgroup.controllers")
        else { return nil }
        var facts = CgroupFacts(path: String(line.dropFirst(3)))
        let names = facts.path.split(separator: "/")
        guard !names.isEmpty else { return facts }
        let directories = names.indices.map { index in
            "\(mount)/" + names[...index].joined(separator: "/")
        }
        let levels = directories.map { level($0, files) }
        facts.own = levels.last ?? nil
        let above = levels.dropLast().compactMap { $0 }
        facts.above = above.count == levels.count - 1 ? above : nil
        let directory = directories[directories.count - 1]
        facts.swapMaximum = files.word("\(directory)/memory.swap.max")
        facts.currentBytes = files.number("\(directory)/memory.current")
        facts.processes = processes(in: directory, files)
        return facts
    }

    private static func level(_ directory: String, _ files: RootedFiles) -> Level? {
        var status = stat()
        guard stat(files.root + directory, &status) == 0,
            let word = files.word("\(directory)/memory.min")
        else { return nil }
        guard let bytes = word == "max" ? UInt64.max : UInt64(word) else { return nil }
        return Level(directory: directory, inode: UInt64(status.st_ino), minimumBytes: bytes)
    }

    private static func processes(
        in directory: String, _ files: RootedFiles, depth: Int = 0
    ) -> [Int32]? {
        guard depth < 16, let text = files.text("\(directory)/cgroup.procs"),
            let names = files.entries(directory)
        else { return nil }
        var found = text.split(separator: "\n").compactMap { Int32($0) }
        for name in names where files.exists("\(directory)/\(name)/cgroup.procs") {
            guard let below = processes(in: "\(directory)/\(name)", files, depth: depth + 1) else {
                return nil
            }
            found += below
        }
        return found
    }
}

extension ProcessFacts {
    /// Nothing of it is in the swap, and its cgroup lets nothing of it go there.
    public var isKeptFromSwap: Bool { cgroup?.swapMaximum == "0" && vmSwapKiB == 0 }
}
