// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The file that node_exporter's textfile collector reads: always a whole page, or none.
public struct Textfile: Sendable {
    public let path: String
    private let temporaryPath: String
    private let intervalNanoseconds: UInt64
    public private(set) var nextNanoseconds: UInt64 = 0
    public private(set) var hasSucceeded = false

    public init(path: String, intervalNanoseconds: UInt64) {
        self.path = path
        // Not `*.prom`: the collector passes it over.
        temporaryPath = "\(path).\(getpid()).tmp"
        self.intervalNanoseconds = intervalNanoseconds
    }

    func isDue(at now: UInt64) -> Bool { now >= nextNanoseconds }

    /// - Returns: an errno, or 0.
    mutating func write(_ page: [UInt8], now: UInt64) -> Int32 {
        nextNanoseconds = now &+ intervalNanoseconds
        let descriptor = open(
            temporaryPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else { return errno }
        var rest = page[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return giveUp(descriptor) }
            rest = rest.dropFirst(count)
        }
        guard close(descriptor) == 0, rename(temporaryPath, path) == 0 else {
            return giveUp(nil)
        }
        hasSucceeded = true
        return 0
    }

    private func giveUp(_ descriptor: Int32?) -> Int32 {
        let reason = errno
        if let descriptor { close(descriptor) }
        unlink(temporaryPath)
        return reason == 0 ? EIO : reason
    }

    /// What nobody writes any more is stale, and would be scraped for ever.
    func remove() {
        if hasSucceeded { unlink(path) }
    }
}
