// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A secret in a file: by its path, or by the name of a credential that systemd hands over
/// (`LoadCredential=`), which lies in `$CREDENTIALS_DIRECTORY`.
struct Secret: Equatable, Sendable {
    /// As the user named it.
    let name: String

    struct Problem: Error {
        var sentence: String
    }

    private static let longestBytes = 16 * 1024

    private func path() throws(Problem) -> String {
        if name.hasPrefix("/") { return name }
        guard let directory = getenv("CREDENTIALS_DIRECTORY") else {
            throw Problem(
                sentence: "\(name) is the name of a credential, and there is no "
                    + "CREDENTIALS_DIRECTORY; name a whole path, or use LoadCredential=")
        }
        guard !name.contains("/"), name != "." && name != ".." else {
            throw Problem(sentence: "\(name) is neither a whole path nor a credential's name")
        }
        return "\(String(cString: directory))/\(name)"
    }

    /// Its one line. Never a part of a message.
    func read() throws(Problem) -> String {
        let path = try path()
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw Problem(sentence: "cannot read \(path): \(words(errno))")
        }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: Self.longestBytes + 1)
        var used = 0
        while used < bytes.count {
            let count = bytes.withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress?.advanced(by: used), $0.count - used)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw Problem(sentence: "cannot read \(path): \(words(errno))")
            }
            if count == 0 { break }
            used += count
        }
        guard used <= Self.longestBytes else {
            throw Problem(sentence: "\(path) is longer than 16 KiB")
        }
        var line = bytes[..<used]
        while line.last == 10 || line.last == 13 { line = line.dropLast() }
        guard !line.isEmpty else { throw Problem(sentence: "\(path) is empty") }
        // A line end within would begin a header of its own.
        guard line.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else {
            throw Problem(sentence: "\(path) holds more than one line, or control characters")
        }
        return String(decoding: line, as: UTF8.self)
    }

    /// Whether others than its owner and group may read it.
    var isOpenToAll: Bool {
        guard let path = try? path() else { return false }
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & 0o004 != 0
    }
}
