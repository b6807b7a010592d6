// SPDX-License-Identifier: Apache-2.0

import ReserveSinks

/// How one attempt to deliver ended.
enum Outcome: Equatable {
    case delivered
    /// It may succeed later.
    case failed(FailureCause, String, retryAfterNanoseconds: UInt64 = 0)
    /// This message will never be taken.
    case refused(String)
}

extension Outcome {
    /// What an answer of HTTP means for the alert that was sent.
    ///
    /// Dropped is only what the message itself is at fault for. What mending the destination, its
    /// address or a password would let pass is tried again: an alert that waits is worth more
    /// than one that was right to drop.
    static func ofHTTP(status: Int, retryAfterNanoseconds: UInt64, body: String) -> Outcome {
        let said = "status \(status)" + (body.isEmpty ? "" : ": \(body)")
        switch status {
        case 200..<300: return .delivered
        case 300..<400: return .failed(.redirect, "\(said); redirects are not followed")
        case 400, 406, 411, 413, 414, 415, 417, 422, 431: return .refused(said)
        case 401, 403, 407: return .failed(.unauthorized, said)
        case 429: return .failed(.busy, said, retryAfterNanoseconds: retryAfterNanoseconds)
        case 400..<500:
            return .failed(.status4xx, said, retryAfterNanoseconds: retryAfterNanoseconds)
        default: return .failed(.status5xx, said, retryAfterNanoseconds: retryAfterNanoseconds)
        }
    }
}

/// How long until the next attempt: doubled each time, up to a bound; half of it by chance, so
/// that a fleet does not come back all at once.
struct Backoff: Equatable, Sendable {
    var firstNanoseconds: UInt64 = 1_000_000_000
    var mostNanoseconds: UInt64 = 60_000_000_000

    /// - Parameter failures: in a row, from 1.
    func delay(
        failures: Int, atLeast wanted: UInt64 = 0, using generator: inout some RandomNumberGenerator
    ) -> UInt64 {
        var whole = firstNanoseconds
        for _ in 1..<max(failures, 1) where whole < mostNanoseconds { whole *= 2 }
        whole = min(max(whole, 1), mostNanoseconds)
        let delay = whole / 2 + UInt64.random(in: 0...(whole - whole / 2), using: &generator)
        // What the other side asks for, as long as that is sensible.
        return max(delay, min(wanted, mostNanoseconds))
    }
}
