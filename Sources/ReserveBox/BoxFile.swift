// SPDX-License-Identifier: Apache-2.0

import CLinux
import CRecord
import Glibc

/// Why a box cannot be made or read, with the way out.
public enum BoxError: Error, Equatable, Sendable {
    /// No agent was ever there.
    case absent(path: String)
    case notPermitted(path: String, errno: Int32)
    /// It is no box, or one of another layout.
    case foreign(path: String, reason: String)
    /// Its writer runs.
    case inUse(path: String, pid: Int32)
    case failed(operation: String, path: String, errno: Int32)
}

/// Boxes by their path: made, opened, and checked before anything in them is believed.
public enum BoxFile {
    /// Where the agent of this host has its box: below /run, or where that is a disk, /dev/shm.
    public static let usualPath = isInMemory("/run") ? "/run/reservewatch/box" : shmPath
    private static let shmPath = "/dev/shm/reservewatch/box"

    private static func isInMemory(_ directory: String) -> Bool {
        let descriptor = Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return rw_is_in_memory(descriptor) == 1
    }

    /// Makes a box at `path`, readable by root and `group`. One that a dead writer left is kept
    /// beside it as `path.old`.
    public static func create(
        path: String, size: BoxSize, group: UInt32?, agentVersion: String
    ) throws(BoxError) -> BoxWriter {
        if let pid = runningWriter(of: path) { throw .inUse(path: path, pid: pid) }
        try makeDirectory(of: path, group: group)
        let fresh = "\(path).new"
        unlink(fresh)
        let descriptor = Glibc.open(
            fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failure("make", fresh) }
        var isDone = false
        defer {
            if !isDone {
                close(descriptor)
                unlink(fresh)
            }
        }
        guard rw_is_in_memory(descriptor) == 1 else {
            throw .foreign(
                path: path, reason: "it would lie on a disk; name a path on a tmpfs, as /run is")
        }
        if let group { _ = fchown(descriptor, 0, group) }
        guard fchmod(descriptor, 0o640) == 0 else { throw failure("make", fresh) }
        let writer = try write(
            to: descriptor, path: fresh, size: size, agentVersion: agentVersion)
        if access(path, F_OK) == 0 { rename(path, "\(path).old") }
        guard rename(fresh, path) == 0 else { throw failure("put in place", path) }
        isDone = true
        return writer
    }

    /// Makes a box in a descriptor that somebody else made, such as a memfd.
    public static func write(
        to descriptor: Int32, path: String, size: BoxSize, agentVersion: String
    ) throws(BoxError) -> BoxWriter {
        guard ftruncate(descriptor, off_t(size.totalBytes)) == 0 else {
            throw failure("take \(size.totalBytes) bytes for", path)
        }
        // A full tmpfs must be told now, and not by a bus error.
        let room = posix_fallocate(descriptor, 0, off_t(size.totalBytes))
        guard room == 0 else {
            throw .failed(
                operation: "take \(size.totalBytes) bytes for", path: path, errno: room)
        }
        guard rw_lock_file(descriptor) == 0 else { throw .inUse(path: path, pid: 0) }
        guard
            let memory = mmap(
                nil, size.totalBytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
            memory != MAP_FAILED
        else { throw failure("map", path) }
        return BoxWriter(
            memory: memory, size: size, descriptor: descriptor,
            facts: .ofThisProcess(agentVersion: agentVersion))
    }

    /// The directory of a box, for root and the group.
    public static func makeDirectory(of path: String, group: UInt32?) throws(BoxError) {
        guard let slash = path.lastIndex(of: "/"), slash > path.startIndex else { return }
        let directory = String(path[..<slash])
        if mkdir(directory, 0o750) == 0 {
            if let group { _ = chown(directory, 0, group) }
            return
        }
        guard errno == EEXIST else { throw failure("make the directory", directory) }
        // Somebody else's directory: they could put a file of theirs in our place.
        var status = stat()
        guard lstat(directory, &status) == 0 else { throw failure("look at", directory) }
        let isOurs =
            status.st_mode & S_IFMT == S_IFDIR
            && (status.st_uid == 0 || status.st_uid == geteuid())
            && (status.st_mode & 0o022 == 0 || status.st_mode & 0o1000 != 0)
        guard isOurs else {
            throw .foreign(path: path, reason: "others may write to its directory \(directory)")
        }
    }

    /// The pid of the process that writes the box at `path`, if there is one.
    private static func runningWriter(of path: String) -> Int32? {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard rw_file_is_locked(descriptor) == 1 else { return nil }
        // The kernel does not tell whose such a lock is; the box does.
        return header(of: descriptor).map { Int32(bitPattern: $0.writer_pid) } ?? 0
    }

    /// Opens the box at `path` for reading, after it was looked at from all sides.
    ///
    /// - Parameter ofThisBoot: false opens what another boot left, as a recording.
    public static func open(
        path: String, start: BoxReader.Start, ofThisBoot: Bool = true
    ) throws(BoxError) -> BoxReader {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            switch errno {
            case ENOENT, ENOTDIR: throw .absent(path: path)
            case EACCES, EPERM: throw .notPermitted(path: path, errno: errno)
            case ELOOP: throw .foreign(path: path, reason: "it is a symbolic link")
            default: throw failure("open", path)
            }
        }
        do throws(BoxError) {
            let owner = try ownerProblem(descriptor, path)
            if let owner { throw .foreign(path: path, reason: owner) }
            return try reader(of: descriptor, path: path, start: start, ofThisBoot: ofThisBoot)
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// Who else could have written it: then it is not to be believed.
    private static func ownerProblem(_ descriptor: Int32, _ path: String) throws(BoxError)
        -> String?
    {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("look at", path) }
        if status.st_mode & S_IFMT != S_IFREG { return "it is no plain file" }
        if status.st_uid != 0, status.st_uid != geteuid() {
            return "it belongs to user \(status.st_uid), not to root"
        }
        if status.st_mode & 0o022 != 0 { return "others may write it" }
        return nil
    }

    /// A reader over a descriptor that holds a box; takes the descriptor over on success.
    public static func reader(
        of descriptor: Int32, path: String, start: BoxReader.Start, ofThisBoot: Bool
    ) throws(BoxError) -> BoxReader {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("look at", path) }
        let bytes = Int(status.st_size)
        guard bytes >= Int(RW_BOX_HEADER_BYTES) else {
            throw .foreign(path: path, reason: "it is shorter than a box's header")
        }
        guard let memory = mmap(nil, bytes, PROT_READ, MAP_SHARED, descriptor, 0),
            memory != MAP_FAILED
        else { throw failure("map", path) }
        let header = UnsafePointer(memory.assumingMemoryBound(to: rw_box_header.self))
        if let reason = problem(header, bytes: bytes, ofThisBoot: ofThisBoot) {
            munmap(memory, bytes)
            throw .foreign(path: path, reason: reason)
        }
        return BoxReader(
            memory: memory, mappedBytes: bytes, descriptor: descriptor, start: start)
    }

    /// How often the loop of a box's writer turned; 0 as long as there is no box.
    public static func beats(of descriptor: Int32) -> UInt64 { header(of: descriptor)?.beats ?? 0 }

    /// Whether a file begins like a box, sound or not.
    public static func isBox(_ path: String) -> Bool {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return header(of: descriptor, atLeast: MemoryLayout.size(ofValue: BoxFacts.magic))
            .map(isMagic) ?? false
    }

    /// nil: there are fewer bytes than were asked for.
    private static func header(
        of descriptor: Int32, atLeast bytes: Int = MemoryLayout<rw_box_header>.size
    ) -> rw_box_header? {
        var header = rw_box_header()
        let count = withUnsafeMutableBytes(of: &header) {
            pread(descriptor, $0.baseAddress, $0.count, 0)
        }
        return count >= bytes ? header : nil
    }

    private static func isMagic(_ header: rw_box_header) -> Bool {
        withUnsafeBytes(of: header.magic) { magic in
            (0..<8).allSatisfy { magic[$0] == BoxFacts.magic[$0] }
        }
    }

    /// Why a segment is not to be read as a box, or nil.
    static func problem(
        _ header: UnsafePointer<rw_box_header>, bytes: Int, ofThisBoot: Bool
    ) -> String? {
        guard isMagic(header.pointee) else { return "it does not begin like one" }
        guard header.pointee.version == UInt32(RW_BOX_VERSION) else {
            return "its layout has version \(header.pointee.version), ours is \(RW_BOX_VERSION)"
        }
        guard header.pointee.checksum == BoxFacts.checksum(of: header) else {
            return "its header is damaged"
        }
        let ring = header.pointee.ring_bytes
        let small = UInt64(header.pointee.small_slots) * UInt64(RW_BOX_SMALL_BYTES)
        let large = UInt64(header.pointee.large_slots) * UInt64(RW_BOX_LARGE_BYTES)
        // Whoever made the header made its checksum: a sum that goes round must not pass.
        let isWithin = [
            (header.pointee.ring_offset, ring), (header.pointee.small_offset, small),
            (header.pointee.large_offset, large),
        ].allSatisfy { offset, length in
            offset <= UInt64(bytes) && length <= UInt64(bytes) - offset && offset % 8 == 0
        }
        guard ring > 0, ring & (ring - 1) == 0, isWithin else {
            return "it is shorter than its header says"
        }
        // In this order: a writer moves the tail first.
        let moving = UnsafeMutablePointer(mutating: header)
        let head = rw_box_load(&moving.pointee.head)
        let tail = rw_box_load(&moving.pointee.tail)
        guard head <= tail || head - tail <= ring else { return "its ring is damaged" }
        guard !ofThisBoot || BoxFacts(header.pointee).bootID == BoxFacts.thisBoot() else {
            return "it is of another boot; replay opens it"
        }
        return nil
    }

    private static func failure(_ operation: String, _ path: String) -> BoxError {
        .failed(operation: operation, path: path, errno: errno)
    }
}
