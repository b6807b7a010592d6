// SPDX-License-Identifier: Apache-2.0

import Glibc
import ReserveBox

/// Why alerts cannot be forwarded, in one sentence, with the way out.
///
/// Each case has an exit status of its own (sysexits.h), as in `WatchError`.
public enum ForwardError: Error, Equatable, Sendable {
    /// A setting that is not taken.
    case badSetting(name: String, reason: String)
    /// Nobody is to get the alerts.
    case noDestination
    /// A file that a setting names cannot be read or used.
    case input(path: String, reason: String)
    /// The queue cannot be kept there.
    case output(path: String, errno: Int32)
    /// Another `forward` has the queue.
    case busy(path: String)
    case resources(operation: String, errno: Int32)
    /// The configuration has errors; they were told.
    case configuration(problems: Int)

    /// The process's exit status for this error.
    public var exitStatus: Int32 {
        switch self {
        case .badSetting, .noDestination: return 64  // EX_USAGE
        case .input: return 66  // EX_NOINPUT
        case .resources: return 71  // EX_OSERR
        case .output: return 73  // EX_CANTCREAT
        case .busy: return 75  // EX_TEMPFAIL
        case .configuration: return 78  // EX_CONFIG
        }
    }

    public var sentence: String {
        switch self {
        case .badSetting(let name, let reason): return "\(name): \(reason)"
        case .noDestination:
            return "nobody is to get the alerts: name a destination, such as --alertmanager "
                + "http://127.0.0.1:9093, or a [Destination NAME] in the configuration"
        case .input(let path, let reason): return "cannot use \(path): \(reason)"
        case .output(let path, let errno):
            return "cannot keep the queue in \(path): \(words(errno)); choose another --state"
        case .busy(let path):
            return "another forward has the queue in \(path); end it, or choose another --state"
        case .resources(let operation, let errno): return "cannot \(operation): \(words(errno))"
        case .configuration(let problems):
            return "the configuration is not taken, for what is told above (\(problems))"
        }
    }
}

/// The C library's words for an errno, positive or negative.
func words(_ errno: Int32) -> String { String(cString: strerror(abs(errno))) }

/// Writes one line to standard error, named like every Unix tool's.
public func complain(_ sentence: String) {
    let line = "reservewatch: \(sentence)\n"
    _ = line.withCString { write(STDERR_FILENO, $0, strlen($0)) }
}

extension BoxFollower.Absence {
    /// Why nothing is read, with the way out.
    func sentence(_ path: String) -> String {
        switch self {
        case .notLooked: return "no agent was looked for yet"
        case .ended:
            return "the agent that wrote \(path) has ended; start one: reservewatch agent"
        case .failed(.absent):
            return "no agent has its black box at \(path); start one: reservewatch agent"
        case .failed(.notPermitted(_, let errno)):
            return "reading \(path) is not permitted: \(words(errno)); run as root, or be in "
                + "the group that may read it"
        case .failed(.foreign(_, let reason)):
            return "\(path) is no black box of this host: \(reason)"
        case .failed(.inUse): return "\(path) is in use"
        case .failed(.failed(let operation, let path, let errno)):
            return "cannot \(operation) \(path): \(words(errno))"
        }
    }
}
