// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// Goes through the network namespaces that have a process or a name in /run/netns.
///
/// Sockets in a namespace that only a file descriptor keeps alive are not found.
enum NetworkNamespaces {
    /// Calls `body` inside each namespace once, the own one first, and comes back.
    ///
    /// Opens files and allocates: for the start, and for a change of the swap table.
    ///
    /// - Returns: how many namespaces could not be entered.
    static func forEach(_ body: () -> Void) -> Int {
        body()
        let own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)
        guard own >= 0 else { return 1 }
        defer { close(own) }
        var seen: Set<UInt64> = [inode(own)]
        var refused = 0
        for path in paths() {
            let descriptor = open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { continue }  // the process has ended meanwhile
            defer { close(descriptor) }
            guard seen.insert(inode(descriptor)).inserted else { continue }
            guard rw_enter_network_namespace(descriptor) == 0 else {
                refused += 1
                continue
            }
            body()
        }
        if seen.count > 1 { _ = rw_enter_network_namespace(own) }
        return refused
    }

    private static func inode(_ descriptor: Int32) -> UInt64 {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? UInt64(status.st_ino) : 0
    }

    private static func paths() -> [String] {
        let processes = (entries(of: "/proc") ?? []).filter { $0.first?.isNumber ?? false }
        return processes.map { "/proc/\($0)/ns/net" }
            + (entries(of: "/run/netns") ?? []).map { "/run/netns/\($0)" }
    }
}

/// The names in a directory, sorted, without "." and ".."; nil when it cannot be read.
func entries(of directory: String) -> [String]? {
    guard let stream = opendir(directory) else { return nil }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
            String(decoding: bytes.prefix(while: { $0 != 0 }), as: UTF8.self)
        }
        if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
}
