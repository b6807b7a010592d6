// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A beat of the runner's own, each 100 ms: how late this machine is by itself. What it
/// misses, a guest's beat may have missed for no other reason.
final class HostBeat: @unchecked Sendable {
    private let lock = NSLock()
    private var stamps: [Double] = []
    private var isOver = false

    init() {
        Thread.detachNewThread { [self] in
            while true {
                let ended = lock.withLock {
                    stamps.append(StampedLine.now)
                    return isOver
                }
                if ended { break }
                usleep(100_000)
            }
        }
    }

    var times: [Double] { lock.withLock { stamps } }

    func stop() { lock.withLock { isOver = true } }
}
