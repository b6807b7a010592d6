// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A kernel's configuration, as in /boot/config-<release>.
struct KernelConfig: Equatable {
    /// What each option that is on says: `y`, `m`, a number, a string in its quotes.
    private(set) var values: [String: String] = [:]

    /// Reads `CONFIG_X=value`; all else, with it `# CONFIG_X is not set`, is passed over.
    init(parsing text: String) {
        for line in text.split(separator: "\n") where line.hasPrefix("CONFIG_") {
            guard let equals = line.firstIndex(of: "=") else { continue }
            values[String(line[..<equals])] = String(line[line.index(after: equals)...])
        }
    }

    /// Whether the option is part of the kernel.
    func isBuiltIn(_ option: String) -> Bool { values[option] == "y" }

    /// Whether the option is a module of the kernel.
    func isModule(_ option: String) -> Bool { values[option] == "m" }

    /// - Throws: ``WatchError/input(path:errno:)`` when it cannot be read,
    ///   ``WatchError/notAKernel(path:reason:remedy:)`` when it is no configuration.
    static func read(_ path: String) throws(WatchError) -> KernelConfig {
        // Debian's has some 280 KB.
        let limit = 1 << 20
        guard let text = readFile(path, limit: limit) else {
            throw .input(path: path, errno: errno)
        }
        // No text, or no end: not worth the parsing.
        let isText = text.utf8.count < limit && !text.utf8.contains(0)
        let config = KernelConfig(parsing: isText ? text : "")
        if config.values.isEmpty {
            throw .notAKernel(
                path: path, reason: "it has no lines as CONFIG_BPF=y, or is compressed",
                remedy: "name /boot/config-RELEASE, or what zcat /proc/config.gz prints")
        }
        return config
    }
}
