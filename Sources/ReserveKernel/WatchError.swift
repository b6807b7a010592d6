// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Why the watch cannot start, in one sentence, with the way out.
///
/// Each case has an exit status of its own (sysexits.h), documented in the
/// README and in `reservewatch --help`.
public enum WatchError: Error, Equatable, Sendable {
    /// Neither root nor the capabilities that BPF needs.
    case notPermitted(operation: String, reason: String)
    /// The kernel cannot do what every path needs: no BPF, no BTF, too old.
    case kernelUnsuitable(reason: String, remedy: String)
    /// A file or device that was named cannot be opened or written.
    case output(path: String, errno: Int32)
    /// A file that was named cannot be read.
    case input(path: String, errno: Int32)
    /// A file is not what it was taken for.
    case notARecording(path: String, reason: String)
    /// A file does not describe a kernel: neither BTF nor a kernel's configuration.
    case notAKernel(path: String, reason: String, remedy: String)
    /// A file is no black box, or not one to be believed.
    case notABox(path: String, reason: String)
    /// Nobody writes a black box there.
    case noAgent(path: String)
    /// Another agent writes it already.
    case agentRuns(path: String, pid: Int32)
    /// The agent whose box was read ended without a word; nil: the reader's own, with its box.
    case agentGone(path: String?)
    /// The agent that a reader started ended at once; it said why itself.
    case agentFailed(status: Int32)
    /// A word of the agent's own command line.
    case badSetting(word: String, reason: String)
    /// A configuration with errors, each of which was told.
    case configuration(errors: Int)
    /// There is nothing to draw on.
    case terminal(reason: String)
    /// A journal of changes that cannot be believed as a whole.
    case notAJournal(path: String, reason: String, remedy: String)
    /// Another `prepare` holds the journal.
    case prepareRuns(path: String)
    /// Nobody can be served at an address that was named.
    case listen(address: String, errno: Int32)
    /// A mode that was asked for, and that this kernel cannot honour.
    case modeRefused(setting: String, reason: String, remedy: String)
    /// What a rule's mode promises this kernel, or these privileges, do not allow.
    case ruleRefused(rule: String, mode: String, operation: String, errno: Int32)
    /// A limit of the host was met while starting.
    case resources(operation: String, errno: Int32)

    /// The process's exit status for this error.
    public var exitStatus: Int32 {
        switch self {
        case .notPermitted: return 77  // EX_NOPERM
        case .ruleRefused(_, _, _, let errno) where errno == EPERM || errno == EACCES: return 77
        case .kernelUnsuitable, .modeRefused, .ruleRefused: return 69  // EX_UNAVAILABLE
        case .output, .terminal: return 73  // EX_CANTCREAT
        case .input: return 66  // EX_NOINPUT
        case .notARecording, .notAKernel, .notABox, .notAJournal: return 65  // EX_DATAERR
        case .agentFailed(let status): return status
        case .badSetting: return 64  // EX_USAGE
        case .configuration: return 78  // EX_CONFIG
        case .noAgent, .agentRuns, .agentGone, .prepareRuns: return 75  // EX_TEMPFAIL
        case .resources, .listen: return 71  // EX_OSERR
        }
    }

    /// One sentence: operation, subject, reason, and what to do.
    public var sentence: String {
        switch self {
        case .notPermitted(let operation, let reason):
            return "\(operation) is not permitted: \(reason)"
        case .kernelUnsuitable(let reason, let remedy):
            return "this kernel cannot be watched: \(reason); \(remedy)"
        case .output(let path, let errno):
            return "cannot write \(path): \(describe(errno: errno)); choose another path"
        case .input(let path, let errno):
            return "cannot read \(path): \(describe(errno: errno)); check the path"
        case .notARecording(let path, let reason):
            return "\(path) is no recording: \(reason); name a file made by events --record"
        case .notAKernel(let path, let reason, let remedy):
            return "\(path) describes no kernel: \(reason); \(remedy)"
        case .notABox(let path, let reason):
            return "\(path) is no black box of this host: \(reason)"
        case .noAgent(let path):
            return "no agent has its black box at \(path); start one: reservewatch agent"
        case .agentRuns(let path, let pid):
            let who = pid > 0 ? "process \(pid)" : "another agent"
            return "\(who) writes \(path) already; stop it, or name another --box"
        case .agentGone(let path):
            guard let path else { return "its own agent died; what that saw is told up to here" }
            return "the agent that wrote \(path) died; what it saw is in the box: "
                + "reservewatch replay \(path)"
        case .agentFailed(let status):
            return "the agent ended with status \(status)"
        case .notAJournal(let path, let reason, let remedy):
            return "\(path) is damaged: \(reason); \(remedy)"
        case .prepareRuns(let path):
            return "another prepare holds \(path); wait for its end"
        case .badSetting(let word, let reason):
            return "the agent does not take \"\(word)\": \(reason)"
        case .configuration(let errors):
            return "the configuration is not taken, for it has \(errors) "
                + "\(errors == 1 ? "error" : "errors"); see reservewatch check"
        case .terminal(let reason):
            return "top needs a terminal to draw on, and \(reason); --once prints one plain frame"
        case .listen(let address, let errno):
            return "cannot listen on \(address): \(describe(errno: errno)); name another --listen"
        case .modeRefused(let setting, let reason, let remedy):
            return "\(setting) cannot be honoured: \(reason); \(remedy)"
        case .ruleRefused(let rule, let mode, let operation, let errno):
            return "rule \(rule) cannot keep its Mode=\(mode): cannot \(operation): "
                + "\(describe(errno: errno)); mend that, or set Mode=off"
        case .resources(let operation, let errno):
            return "cannot \(operation): \(describe(errno: errno))"
        }
    }
}
