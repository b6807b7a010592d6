// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import ReserveKernel

/// Reads and writes what a plan changes: on this host, or in a tree that looks like one.
public struct Hand {
    /// What is found at a target.
    public enum Reading: Equatable, Sendable {
        case value(String)
        /// The process, connection or file is no longer there, or is another.
        case gone
        case unreadable(errno: Int32)
    }

    /// Asks the driver; 0 or a negative errno.
    public typealias Reconfigure = (_ timeouts: NBDRequest) -> Int32

    public struct NBDRequest: Equatable, Sendable {
        public var disk: String
        public var timeoutSeconds: UInt64
        public var deadConnSeconds: UInt64
        public var backend: String?
    }

    let root: String
    let files: RootedFiles
    let reconfigure: Reconfigure

    /// - Parameter reconfigure: in the place of the driver, for tests.
    public init(root: String = "", reconfigure: Reconfigure? = nil) {
        self.root = root
        files = RootedFiles(root: root)
        // A tree has no driver, and this host's is not meant.
        self.reconfigure = reconfigure ?? (root.isEmpty ? Self.askDriver : { _ in -ENODEV })
    }

    private static func askDriver(_ request: NBDRequest) -> Int32 {
        guard let index = nbdIndex(request.disk) else { return -EINVAL }
        func ask(_ backend: UnsafePointer<CChar>?) -> Int32 {
            var timeouts = rw_nbd_timeouts(
                index: index, timeout_s: request.timeoutSeconds,
                dead_conn_timeout_s: request.deadConnSeconds, backend: backend)
            return rw_nbd_reconfigure(&timeouts)
        }
        return request.backend.map { name in name.withCString { ask($0) } } ?? ask(nil)
    }

    /// The boot that changes belong to; empty where it is not told.
    public var bootID: String { files.word("/proc/sys/kernel/random/boot_id") ?? "" }

    // MARK: Looking

    public func present(_ target: Target) -> Reading {
        switch target {
        case .file(let path) where path.hasSuffix("/queue/scheduler"):
            // It lists what there is to choose from.
            return files.chosenWord(path).map { .value($0) } ?? read(path)
        case .file(let path):
            return read(path)
        case .oomScore(let pid, let startTicks):
            guard isSame(pid, startTicks) else { return .gone }
            return read("/proc/\(pid)/oom_score_adj")
        case .cgroup(let path, let inode):
            guard isSame(directoryOf: path, inode) else { return .gone }
            return read(path)
        case .nbdTimeouts(let disk, let setUpBy, _):
            guard files.word("/sys/block/\(disk)/pid") == "\(setUpBy)" else { return .gone }
            guard let jiffies = files.number("/sys/kernel/debug/nbd/\(disk)/timeout") else {
                return .unreadable(errno: ENOENT)
            }
            if jiffies == 0 { return .value("0") }
            guard let milliseconds = files.number("/sys/block/\(disk)/queue/io_timeout") else {
                return .unreadable(errno: ENOENT)
            }
            return .value("\((milliseconds + 999) / 1000)")
        }
    }

    private func isSame(_ pid: Int32, _ startTicks: UInt64) -> Bool {
        files.text("/proc/\(pid)/stat").flatMap(ProcessTable.startTicks(ofStat:)) == startTicks
    }

    private func isSame(directoryOf path: String, _ inode: UInt64) -> Bool {
        guard let slash = path.lastIndex(of: "/") else { return false }
        var status = stat()
        return stat(root + path[..<slash], &status) == 0 && UInt64(status.st_ino) == inode
    }

    /// Words with one blank between them, as they are written.
    private func read(_ path: String) -> Reading {
        let descriptor = open(root + path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            return errno == ENOENT ? .gone : .unreadable(errno: errno)
        }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        guard count >= 0 else { return .unreadable(errno: errno) }
        let text = String(decoding: bytes[..<count], as: UTF8.self)
        return .value(text.split(whereSeparator: \.isWhitespace).joined(separator: " "))
    }

    // MARK: Doing

    /// Puts a value there: 0, or a negative errno.
    public func put(_ target: Target, _ value: String) -> Int32 {
        switch target {
        case .file(let path):
            return write(path, value) { true }
        case .oomScore(let pid, let startTicks):
            // The open file stays with the process that it was opened of. Looked at after the
            // opening, the process is still the one that was meant.
            return write("/proc/\(pid)/oom_score_adj", value) { isSame(pid, startTicks) }
        case .cgroup(let path, let inode):
            // As above: the open file stays with its cgroup.
            return write(path, value) { isSame(directoryOf: path, inode) }
        case .nbdTimeouts(let disk, _, let deadConnSeconds):
            guard let seconds = UInt64(value) else { return -EINVAL }
            let backend = files.text("/sys/block/\(disk)/backend").map { text in
                String(text.prefix { $0 != "\n" })
            }
            return reconfigure(
                NBDRequest(
                    disk: disk, timeoutSeconds: seconds,
                    deadConnSeconds: seconds == 0 ? 0 : deadConnSeconds, backend: backend))
        }
    }

    private func write(_ path: String, _ value: String, if isRight: () -> Bool) -> Int32 {
        let descriptor = open(root + path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return -errno }
        defer { close(descriptor) }
        guard isRight() else { return -ESRCH }
        // A tree's files are plain ones, and may have been longer; a real one below it is not.
        if !root.isEmpty { _ = ftruncate(descriptor, 0) }
        let bytes = Array((value + "\n").utf8)
        while true {
            let count = Glibc.write(descriptor, bytes, bytes.count)
            if count < 0 && errno == EINTR { continue }
            if count < 0 { return -errno }
            return count == bytes.count ? 0 : -EIO
        }
    }
}
