// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The directory that a recorder writes to, and the mount that it lies on.
///
/// When that mount is gone, what is left at its place is a directory of another file system,
/// which nobody meant to be filled: the recorder waits until something is mounted there again.
struct StorageTarget {
    enum Trouble: Equatable {
        case errno(Int32)
        /// Nothing is mounted at this place, where something was.
        case notMounted(String)

        var words: String {
            switch self {
            case .errno(let number): return ReserveStore.words(number)
            case .notMounted(let place): return "nothing is mounted at \(place) any more"
            }
        }

        var number: Int32 {
            switch self {
            case .errno(let number): return number
            case .notMounted: return ENODEV
            }
        }
    }

    /// Absolute, without links.
    let path: String
    /// Where its file system is mounted.
    private let mountPoint: String

    /// Makes the directory when it is not there.
    init(path: String) throws(StoreError) {
        if mkdir(path, 0o750) != 0, errno != EEXIST { throw .output(path: path, errno: errno) }
        guard let real = realpath(path, nil) else { throw .output(path: path, errno: errno) }
        defer { free(real) }
        let absolute = String(cString: real)
        var status = stat()
        guard stat(absolute, &status) == 0 else { throw .output(path: path, errno: errno) }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw .output(path: path, errno: ENOTDIR)
        }
        self.path = absolute
        mountPoint = Self.mountPoint(of: absolute)
    }

    /// The directory again, after it failed: made anew where it was deleted. Less than `room`
    /// bytes free is no room: what one record fits into is full again at once.
    func find(room: Int) -> Trouble? {
        guard Self.isMountPoint(mountPoint) else { return .notMounted(mountPoint) }
        if mkdir(path, 0o750) != 0, errno != EEXIST { return .errno(errno) }
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return .errno(errno) }
        if status.f_flag & UInt(ST_RDONLY) != 0 { return .errno(EROFS) }
        let free = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        return !free.overflow && free.partialValue < UInt64(room) ? .errno(ENOSPC) : nil
    }

    private static func mountPoint(of path: String) -> String {
        var place = path
        while !isMountPoint(place) { place = parent(of: place) }
        return place
    }

    private static func isMountPoint(_ path: String) -> Bool {
        guard path != "/" else { return true }
        var here = stat()
        var above = stat()
        guard stat(path, &here) == 0, stat(parent(of: path), &above) == 0 else { return false }
        return here.st_dev != above.st_dev
    }

    private static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return "/" }
        return String(path[..<slash])
    }
}
