// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// A serial line of the guest, read by a thread of its own, each line with the host's clock
/// as it came in, and all of it kept in a file.
///
/// It comes through a FIFO. A socket would do worse: each byte of a serial line costs a whole
/// skb there, so that the guest's UART blocks after 278 bytes that we have not read yet, and
/// the emulator's own log has the byte twice then.
final class StampedLine: @unchecked Sendable {
    private let lock = NSLock()
    private var lines: [Arrival] = []
    private var rest: [UInt8] = []
    private let path: String

    /// Makes the two FIFOs that the emulator wants for a line of kind "pipe" at `path`.
    static func prepare(path: String) throws {
        for end in [".in", ".out"] where mkfifo(path + end, 0o600) != 0 {
            throw LabError.failed("cannot make \(path)\(end): \(String(cString: strerror(errno)))")
        }
    }

    /// Reads what the emulator writes to `path`.out until it ends.
    init(path: String, file: String) {
        self.path = path
        Thread.detachNewThread {
            let source = open(path + ".out", O_RDONLY)
            let kept = open(file, O_WRONLY | O_CREAT | O_APPEND, 0o644)
            var room = [UInt8](repeating: 0, count: 4096)
            while true {
                let count = read(source, &room, room.count)
                if count <= 0 { break }
                self.take(room[..<count])
                _ = write(kept, room, count)
            }
            close(source)
            close(kept)
        }
    }

    /// Whole lines that came so far.
    var arrivals: [Arrival] { lock.withLock { lines } }

    var times: [Double] { lock.withLock { lines.map(\.seconds) } }

    /// What the guest reads from the line.
    func send(_ text: String) {
        let bytes = Array(text.utf8)
        let file = open(path + ".in", O_WRONLY | O_NONBLOCK)
        _ = write(file, bytes, bytes.count)
        close(file)
    }

    /// Now, by the clock of ``Arrival``.
    static var now: Double { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 }

    private func take(_ bytes: ArraySlice<UInt8>) {
        let now = Self.now
        lock.withLock {
            for byte in bytes {
                guard byte == UInt8(ascii: "\n") else {
                    rest.append(byte)
                    continue
                }
                lines.append(Arrival(seconds: now, text: String(decoding: rest, as: UTF8.self)))
                rest = []
            }
        }
    }
}
