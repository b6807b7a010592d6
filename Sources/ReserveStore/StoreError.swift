// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Why a recording cannot be read or begun, in one sentence, with the way out.
///
/// Each case has an exit status of its own (sysexits.h), as in `WatchError`.
public enum StoreError: Error, Equatable, Sendable {
    /// A file or directory that was named cannot be read.
    case input(path: String, errno: Int32)
    /// It is not what it was taken for.
    case notARecording(path: String, reason: String)
    /// The directory cannot be made, or not written.
    case output(path: String, errno: Int32)
    /// Another recorder writes there.
    case busy(path: String)

    /// The process's exit status for this error.
    public var exitStatus: Int32 {
        switch self {
        case .input: return 66  // EX_NOINPUT
        case .notARecording: return 65  // EX_DATAERR
        case .output, .busy: return 73  // EX_CANTCREAT
        }
    }

    /// One sentence: operation, subject, reason, and what to do.
    public var sentence: String {
        switch self {
        case .input(let path, let errno):
            return "cannot read \(path): \(words(errno)); check the path"
        case .notARecording(let path, let reason):
            return "\(path) is no recording: \(reason); "
                + "name what record or events --record made, or an agent's box"
        case .output(let path, let errno):
            return "cannot record to \(path): \(words(errno)); choose another directory"
        case .busy(let path):
            return "another recorder writes to \(path); end it, or choose another directory"
        }
    }
}

/// The C library's words for an errno.
func words(_ errno: Int32) -> String { String(cString: strerror(errno)) }
