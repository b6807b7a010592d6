// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// A program of the user's, run once for each alert: the alert is on its standard input and in its
/// environment, its words are those of the configuration, and no shell comes in between.
///
/// Status 0: delivered. 65: it will never take this one. Anything else: it is run again.
final class CommandTransport: Transport {
    private let words: [String]
    private let timeoutNanoseconds: UInt64
    private var child: ChildProcess?

    init(_ words: [String], timeoutMilliseconds: Int) {
        self.words = words
        timeoutNanoseconds = UInt64(timeoutMilliseconds) * 1_000_000
    }

    func start(_ message: Message, now: UInt64) -> Outcome? {
        let input = rw_memory_file("reservewatch-alert")
        guard input >= 0 else { return .failed(.local, "no memory: \(Self.words(-input))") }
        defer { close(input) }
        let bytes = message.bytes
        guard pwrite(input, bytes, bytes.count, 0) == bytes.count else {
            return .failed(.local, Self.words(errno))
        }
        child = ChildProcess(
            words, environment: message.environment, input: input, output: nil,
            until: now &+ timeoutNanoseconds)
        guard child == nil else { return nil }
        return .failed(.local, "\(words[0]) cannot be run: \(Self.words(errno))")
    }

    private static func words(_ errno: Int32) -> String { String(cString: strerror(errno)) }

    func outcome(now: UInt64) -> Outcome? {
        guard let child, let end = child.end(now: now) else { return nil }
        self.child = nil
        switch end {
        case .exited(0): return .delivered
        case .exited(65): return .refused("\(words[0]) ended with status 65")
        case .exited(let status): return .failed(.exit, "\(words[0]) ended with status \(status)")
        case .signalled(let signal):
            return .failed(.killed, "\(words[0]) was ended by signal \(signal)")
        case .late:
            return .failed(
                .timeout, "\(words[0]) took longer than \(timeoutNanoseconds / 1_000_000) ms")
        }
    }

    var descriptors: [pollfd] { child?.descriptors ?? [] }
    var deadline: UInt64? { child?.deadline }

    func abandon() {
        child?.abandon()
        child = nil
    }
}

/// A process of ours, in a group of its own, that is given so much time.
final class ChildProcess {
    enum End: Equatable {
        case exited(Int32)
        case signalled(Int32)
        /// It had to be ended.
        case late
    }

    private let pid: pid_t
    /// pidfd_open(2); -1: this kernel has none, and it is looked again and again.
    private let descriptor: Int32
    private var until: UInt64
    private var isLate = false

    private static let graceNanoseconds: UInt64 = 2_000_000_000
    private static let lookNanoseconds: UInt64 = 50_000_000

    /// nil: it could not be started; errno says why.
    ///
    /// - Parameters:
    ///   - environment: all of it.
    ///   - output: where its standard output goes; nil: nowhere. Its errors are ours.
    init?(
        _ words: [String], environment: [(String, String)], input: Int32, output: Int32?,
        until: UInt64
    ) {
        self.until = until
        var pid: Int32 = -EINVAL
        withCStringArray(words) { words in
            withCStringArray(environment.map { "\($0.0)=\($0.1)" }) { environment in
                pid = rw_spawn(words, environment, input, output ?? -1)
            }
        }
        guard pid > 0 else {
            errno = -pid
            return nil
        }
        self.pid = pid
        descriptor = rw_open_process(pid)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    var descriptors: [pollfd] {
        descriptor >= 0 ? [pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)] : []
    }

    var deadline: UInt64? {
        descriptor >= 0 ? until : min(until, rw_boot_ns() &+ Self.lookNanoseconds)
    }

    /// How it ended; nil: it runs. What runs for too long is asked to end, then ended, and what it
    /// started with it.
    func end(now: UInt64) -> End? {
        var status: Int32 = 0
        let ended = waitpid(pid, &status, WNOHANG)
        if ended == pid || ended < 0 && errno == ECHILD {
            if isLate { return .late }
            return status & 0x7f == 0 ? .exited(status >> 8 & 0xff) : .signalled(status & 0x7f)
        }
        guard now >= until else { return nil }
        kill(-pid, isLate ? SIGKILL : SIGTERM)
        isLate = true
        until = now &+ Self.graceNanoseconds
        return nil
    }

    /// Ends it without a word.
    func abandon() {
        kill(-pid, SIGKILL)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
    }
}

/// Calls `body` with an array that ends with NULL, as execve(2) wants them.
private func withCStringArray(
    _ texts: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Void
) {
    var copies = texts.map { strdup($0) } + [nil]
    defer { copies.forEach { free($0) } }
    copies.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { body(base) } }
}
