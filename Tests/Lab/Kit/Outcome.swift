// SPDX-License-Identifier: Apache-2.0

/// How a run went, apart from whether the figures agree.
public enum Outcome: String, Codable, Equatable, Sendable {
    case completed
    /// Requests in flight, none completing, wire and server healthy: the kernel's own doing.
    case deadlocked
    /// The guest's kernel died: an oops or a panic on its console. Never put down to chance.
    case panicked
    /// The locked probe fell silent although the emulator runs: the guest does not run any more.
    case hung
    case timedOut = "timed_out"
    /// The swap was taken away, and the kernel goes on writing to it: the load does not end,
    /// though it was killed. The kernel's own doing.
    case livelocked
    case guestFailed = "guest_failed"

    /// The status with which `reservelab run` exits.
    public func exitStatus(rowsPass: Bool) -> Int32 {
        switch self {
        case .completed: return rowsPass ? 0 : 1
        case .deadlocked, .livelocked: return 4
        case .panicked, .hung, .timedOut, .guestFailed: return 1
        }
    }
}
