// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// The settings, read anew: by the program that read them first, for it knows all that may stand
/// in the configuration. What it says of a wrong one is on our standard error.
final class Reload {
    enum Outcome: Equatable {
        case words([String])
        case failed
    }

    private let child: ChildProcess
    private let output: Int32

    private static let mostNanoseconds: UInt64 = 10_000_000_000

    init?(_ command: [String], now: UInt64) {
        output = rw_memory_file("reservewatch-settings")
        guard output >= 0 else { return nil }
        let input = open("/dev/null", O_RDONLY | O_CLOEXEC)
        defer { close(input) }
        var environment: [(String, String)] = []
        var entry = environ
        while let text = entry.pointee {
            let parts = String(cString: text).split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { environment.append((String(parts[0]), String(parts[1]))) }
            entry += 1
        }
        guard
            let child = ChildProcess(
                command, environment: environment, input: input, output: output,
                until: now &+ Self.mostNanoseconds)
        else {
            close(output)
            return nil
        }
        self.child = child
    }

    deinit { close(output) }

    var descriptors: [pollfd] { child.descriptors }

    /// nil: it is not done yet.
    func outcome(now: UInt64) -> Outcome? {
        guard let end = child.end(now: now) else { return nil }
        guard end == .exited(0) else { return .failed }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = pread(output, &bytes, bytes.count, 0)
        guard count > 0 else { return .failed }
        let text = String(decoding: bytes[..<count], as: UTF8.self)
        return .words(text.split(separator: "\n").map(String.init))
    }

    func abandon() { child.abandon() }
}
