// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Files below a root: "" is the host's own, a test's is a tree that looks like it.
package struct RootedFiles {
    package let root: String

    package init(root: String) {
        self.root = root
    }

    /// A whole file, or nil when it cannot be opened. Bytes that are no UTF-8 are replaced.
    package func text(_ path: String) -> String? {
        bytes(path).map { String(decoding: $0, as: UTF8.self) }
    }

    func bytes(_ path: String) -> [UInt8]? {
        let descriptor = open(root + path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        while content.count < Self.largestBytes {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            if count <= 0 { break }
            content.append(contentsOf: chunk[..<count])
        }
        return content
    }

    /// A socket table of a hundred thousand connections has 15 MB.
    private static let largestBytes = 64 << 20

    /// The first word of a file.
    package func word(_ path: String) -> String? {
        text(path)?.split(whereSeparator: \.isWhitespace).first.map(String.init)
    }

    /// The word in brackets, of files that list what there is to choose from: "[none] bfq"; or
    /// the only word that there is.
    package func chosenWord(_ path: String) -> String? {
        let words = text(path)?.split(whereSeparator: \.isWhitespace) ?? []
        let chosen = words.first { $0.hasPrefix("[") && $0.hasSuffix("]") }
        return chosen.map { String($0.dropFirst().dropLast()) }
            ?? (words.count == 1 ? String(words[0]) : nil)
    }

    package func number(_ path: String) -> UInt64? {
        word(path).flatMap { UInt64($0) }
    }

    /// All words, which must be numbers.
    func numbers(_ path: String) -> [UInt64]? {
        guard let words = text(path)?.split(whereSeparator: \.isWhitespace) else { return nil }
        let numbers = words.compactMap { UInt64($0) }
        return numbers.count == words.count && !numbers.isEmpty ? numbers : nil
    }

    package func exists(_ path: String) -> Bool { access(root + path, F_OK) == 0 }

    /// What a symbolic link says, not what it leads to.
    func link(_ path: String) -> String? {
        var target = [CChar](repeating: 0, count: 4096)
        let count = readlink(root + path, &target, target.count)
        guard count > 0 else { return nil }
        return String(decoding: target[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Names in a directory in order, or nil when it cannot be read.
    func entries(_ path: String) -> [String]? { ReserveKernel.entries(of: root + path) }
}
