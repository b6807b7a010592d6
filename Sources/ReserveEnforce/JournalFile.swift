// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import ReserveKernel

/// The journal on its way to the disk: a line is there, as far as fsync(2) can tell, before what
/// it announces is done. Whoever has it open holds its lock.
public final class JournalFile {
    public let path: String
    public private(set) var text: JournalText
    private let descriptor: Int32
    private let bootID: String

    /// Opens the journal, and makes it where there is none. Lines of a boot before this one are
    /// dropped: what they changed went with it.
    ///
    /// - Throws: ``WatchError/prepareRuns(path:)`` while another holds it,
    ///   ``WatchError/output(path:errno:)``.
    public init(path: String, bootID: String) throws(WatchError) {
        self.path = path
        self.bootID = bootID
        try Self.makeDirectory(of: path)
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw Self.failure(path, errno) }
        text = JournalText()
        // From here on deinit closes it.
        guard rw_lock_file(descriptor) == 0 else { throw .prepareRuns(path: path) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .output(path: path, errno: errno) }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid() else {
            throw .notAJournal(
                path: path, reason: "it is no file of ours", remedy: "look who made it")
        }
        text = JournalText(try Self.content(descriptor, path))
        if let written = text.bootID, written != bootID { try clear() }
    }

    /// An empty journal in a file that is open already, for tests of one that cannot be written.
    init(descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
        bootID = ""
        text = JournalText()
    }

    deinit { close(descriptor) }

    /// Reads a journal without taking it: nil where there is none.
    public static func look(_ path: String) throws(WatchError) -> JournalText? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        if descriptor < 0 {
            if errno == ENOENT { return nil }
            if errno == EACCES {
                throw .notPermitted(
                    operation: "reading the journal \(path)", reason: "run it as root")
            }
            throw .input(path: path, errno: errno)
        }
        defer { close(descriptor) }
        return JournalText(try content(descriptor, path))
    }

    /// What stands, and is to be done next, in words that do not say it twice.
    public func announce(_ target: Target, old: String, new: String) throws(WatchError) {
        let standing = text.standing.last { $0.target == target }
        if let standing, standing.old == old, standing.new == new { return }
        if text.bootID == nil {
            try append(JournalText.begin(bootID: bootID))
            text.bootID = bootID
        }
        let entry = JournalEntry(number: text.nextNumber, target: target, old: old, new: new)
        try append(JournalText.change(entry))
        text.standing.append(entry)
        text.nextNumber += 1
    }

    public func takeBack(_ number: UInt32) throws(WatchError) {
        try append(JournalText.undone(number))
        text.standing.removeAll { $0.number == number }
    }

    /// Nothing stands any more. Emptied, not removed: another may wait for this file's lock.
    public func clear() throws(WatchError) {
        guard ftruncate(descriptor, 0) == 0, fsync(descriptor) == 0 else {
            throw .output(path: path, errno: errno)
        }
        text = JournalText()
    }

    private func append(_ line: String) throws(WatchError) {
        // What was torn is cut off first, and so is what of a line came through before an error.
        guard ftruncate(descriptor, off_t(text.wholeBytes)) == 0 else {
            throw .output(path: path, errno: errno)
        }
        let bytes = Array(line.utf8)
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress, $0.count, off_t(text.wholeBytes + done))
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                throw .output(path: path, errno: count < 0 ? errno : ENOSPC)
            }
            done += count
        }
        guard fsync(descriptor) == 0 else { throw .output(path: path, errno: errno) }
        text.wholeBytes += done
        text.isTorn = false
    }

    // MARK: Files

    private static func failure(_ path: String, _ number: Int32) -> WatchError {
        number == EACCES || number == EPERM
            ? .notPermitted(
                operation: "keeping the journal \(path)", reason: "run it as root")
            : .output(path: path, errno: number)
    }

    /// /run/reservewatch, where no agent has made it yet.
    private static func makeDirectory(of path: String) throws(WatchError) {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return }
        let directory = String(path[..<slash])
        if access(directory, F_OK) == 0 { return }
        try makeDirectory(of: directory)
        if mkdir(directory, 0o750) != 0 && errno != EEXIST { throw failure(directory, errno) }
    }

    private static func content(_ descriptor: Int32, _ path: String) throws(WatchError) -> [UInt8] {
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = pread(descriptor, &chunk, chunk.count, off_t(content.count))
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw .input(path: path, errno: errno) }
            if count == 0 { return content }
            content += chunk[..<count]
            guard content.count <= largestBytes else {
                throw .notAJournal(
                    path: path, reason: "it has more than \(largestBytes) bytes",
                    remedy: "look what it is, and remove it")
            }
        }
    }

    private static let largestBytes = 1 << 20
}
