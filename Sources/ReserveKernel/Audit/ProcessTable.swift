// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// The processes below /proc: who holds which socket, and what the audit asks about one.
package struct ProcessTable {
    private let files: RootedFiles
    let pids: [Int32]
    /// Holders of a socket, by its inode.
    private(set) var holders: [UInt64: [Int32]] = [:]
    /// Sockets of a process.
    private(set) var sockets: [Int32: [UInt64]] = [:]
    /// One process of each network namespace, to read its socket tables through.
    private(set) var namespaceWitnesses: [Int32] = []
    /// Processes whose descriptors could not be read; they may hold anything.
    private(set) var unreadable = 0

    init(_ files: RootedFiles) {
        self.files = files
        pids = (files.entries("/proc") ?? []).compactMap { Int32($0) }.sorted()
        var namespaces: Set<String> = []
        for pid in pids {
            if let namespace = files.link("/proc/\(pid)/ns/net"),
                namespaces.insert(namespace).inserted
            {
                namespaceWitnesses.append(pid)
            }
            guard let descriptors = files.entries("/proc/\(pid)/fd") else {
                // One that ended meanwhile holds nothing.
                if files.exists("/proc/\(pid)") { unreadable += 1 }
                continue
            }
            for descriptor in descriptors {
                guard let target = files.link("/proc/\(pid)/fd/\(descriptor)"),
                    let inode = Self.inode(ofSocket: target)
                else { continue }
                if holders[inode]?.contains(pid) != true { holders[inode, default: []].append(pid) }
                sockets[pid, default: []].append(inode)
            }
        }
    }

    /// 12345 of "socket:[12345]".
    private static func inode(ofSocket target: String) -> UInt64? {
        guard target.hasPrefix("socket:["), target.hasSuffix("]") else { return nil }
        return UInt64(target.dropFirst(8).dropLast())
    }

    func exists(_ pid: Int32) -> Bool { files.exists("/proc/\(pid)") }

    /// Whether a process holds a disk open; nil when its descriptors cannot be read.
    func holds(_ pid: Int32, disk: String) -> Bool? {
        guard let descriptors = files.entries("/proc/\(pid)/fd") else { return nil }
        return descriptors.contains { descriptor in
            let path = "/proc/\(pid)/fd/\(descriptor)"
            if files.link(path)?.split(separator: "/").last.map(String.init) == disk {
                return true
            }
            // By number, for a device node of another name.
            var status = stat()
            guard stat(files.root + path, &status) == 0, status.st_mode & S_IFMT == S_IFBLK,
                let numbers = files.word("/sys/block/\(disk)/dev")
            else { return false }
            let device = UInt64(status.st_rdev)
            return numbers == "\(rw_device_major(device)):\(rw_device_minor(device))"
        }
    }

    /// What can be read of a process; nil when there is none of that number.
    func process(_ pid: Int32) -> ProcessFacts? {
        guard let stat = files.text("/proc/\(pid)/stat"), let comm = Self.comm(ofStat: stat) else {
            return nil
        }
        let cmdline = (files.bytes("/proc/\(pid)/cmdline") ?? []).prefix(16 * 1024)
            .split(separator: 0, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        var facts = ProcessFacts(
            pid: pid, comm: comm,
            cmdline: cmdline.last?.isEmpty == true ? Array(cmdline.dropLast()) : Array(cmdline))
        for line in (files.text("/proc/\(pid)/status") ?? "").split(separator: "\n") {
            let words = line.split(whereSeparator: \.isWhitespace)
            guard words.count >= 2, let value = UInt64(words[1]) else { continue }
            switch words[0] {
            case "VmLck:": facts.vmLckKiB = value
            case "VmSwap:": facts.vmSwapKiB = value
            case "VmRSS:": facts.vmRSSKiB = value
            default: break
            }
        }
        facts.startTicks = Self.startTicks(ofStat: stat)
        facts.cgroup = CgroupFacts.read(pid, files)
        facts.oomScoreAdj = files.word("/proc/\(pid)/oom_score_adj").flatMap { Int32($0) }
        let threads = files.entries("/proc/\(pid)/task") ?? []
        let flags = threads.compactMap { thread in
            files.text("/proc/\(pid)/task/\(thread)/stat").flatMap(Self.flags(ofStat:))
        }
        if !threads.isEmpty, flags.count == threads.count {
            facts.taskFlags = flags
        }
        return facts
    }

    /// The name between the first "(" and the last ")": it may hold both, blanks and newlines.
    static func comm(ofStat text: String) -> String? {
        guard let open = text.firstIndex(of: "("), let close = text.lastIndex(of: ")"), open < close
        else { return nil }
        return String(text[text.index(after: open)..<close])
    }

    /// Field 9, counted from the pid; the name is field 2.
    static func flags(ofStat text: String) -> UInt64? { field(9, ofStat: text) }

    /// Field 22.
    package static func startTicks(ofStat text: String) -> UInt64? { field(22, ofStat: text) }

    private static func field(_ number: Int, ofStat text: String) -> UInt64? {
        guard let close = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: close)...].split(whereSeparator: \.isWhitespace)
        return fields.count > number - 3 ? UInt64(fields[number - 3]) : nil
    }
}
