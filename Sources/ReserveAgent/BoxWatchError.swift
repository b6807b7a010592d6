// SPDX-License-Identifier: Apache-2.0

import ReserveBox
import ReserveKernel

extension WatchError {
    /// What a box's error is to a user.
    public init(_ error: BoxError) {
        switch error {
        case .absent(let path):
            self = .noAgent(path: path)
        case .notPermitted(let path, _):
            self = .notPermitted(
                operation: "reading \(path)",
                reason: "run reservewatch as root, or be in the group that may read it")
        case .foreign(let path, let reason): self = .notABox(path: path, reason: reason)
        case .inUse(let path, let pid): self = .agentRuns(path: path, pid: pid)
        case .failed(let operation, let path, let errno):
            self = .resources(operation: "\(operation) \(path)", errno: errno)
        }
    }
}
