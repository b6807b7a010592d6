// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import ReserveAgent
import ReserveKernel

/// Writes all of it to standard output, or says that it could not, and leaves with 74.
func printOut(_ bytes: [UInt8]) throws {
    let output = try OutputFile(path: nil)
    bytes.withUnsafeBytes { output.write($0) }
    let failure = output.finish()
    // A reader that went away (head, less) is no error of ours.
    guard failure != 0, failure != EPIPE else { return }
    printError("the output ended early: \(describe(errno: failure)); what followed is lost")
    throw ExitCode(74)
}

/// A file that is written whole or not at all: beside its place first, then moved there.
final class OutputFile {
    private let path: String?
    private let written: String
    private let descriptor: Int32
    private var failure: Int32 = 0

    init(path: String?) throws(WatchError) {
        // A reader that went away is told by write(2), and is no reason to die.
        signal(SIGPIPE, SIG_IGN)
        guard let path, path != "-" else {
            self.path = nil
            written = ""
            descriptor = STDOUT_FILENO
            return
        }
        var status = stat()
        // A pipe or a device is written as it is: there is nothing to move it over.
        let isPlain = stat(path, &status) != 0 || status.st_mode & S_IFMT == S_IFREG
        let beside = isPlain ? path + ".new-\(getpid())" : path
        self.path = isPlain ? path : nil
        written = beside
        descriptor = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw .output(path: path, errno: errno) }
    }

    func write(_ text: String) {
        var text = text
        text.withUTF8 { write(UnsafeRawBufferPointer($0)) }
    }

    func write(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes
        while !rest.isEmpty, failure == 0 {
            let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if count > 0 {
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            } else if count < 0 && errno == EAGAIN {
                var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&entry, 1, 1000)
            } else if count == 0 || errno != EINTR {
                failure = count < 0 ? errno : EIO
            }
        }
    }

    /// - Returns: the errno that ended the output, or 0.
    func finish() -> Int32 {
        guard descriptor != STDOUT_FILENO else { return failure }
        if close(descriptor) != 0, failure == 0 { failure = errno }
        guard let path else { return failure }
        if failure == 0, rename(written, path) != 0 { failure = errno }
        if failure != 0 { unlink(written) }
        return failure
    }
}
