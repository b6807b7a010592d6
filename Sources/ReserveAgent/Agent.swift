// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import ReserveKernel

/// The version of this build, in the stream's first line and in `--version`.
public let agentVersion = "0.2.0"

/// The agent's program.
public enum Agent {
    /// Watches until a signal asks it to stop.
    ///
    /// - Returns: the exit status; what went wrong is on standard error.
    public static func run(words: [String]) -> Int32 {
        do throws(WatchError) {
            let settings: AgentSettings
            do throws(AgentSettings.Problem) {
                settings = try AgentSettings(words: words)
            } catch {
                throw .badSetting(word: error.word, reason: error.reason)
            }
            if let parent = settings.parent, rw_end_with_parent(parent) != 0 { return 0 }
            // It starts no program; whoever took it over should win nothing by doing so. A kernel
            // that refuses this is older than all that can be watched.
            _ = rw_forbid_new_rights()
            var watch = try Watch(settings, version: agentVersion)
            let failure = watch.run()
            if failure != 0 && failure != EPIPE {
                printError(
                    "the output ended early: \(describe(errno: failure)); what followed is lost")
                return 74
            }
            return 0
        } catch {
            printError(error.sentence)
            return error.exitStatus
        }
    }
}

/// Writes one line to standard error, named like every Unix tool's.
public func printError(_ sentence: String) {
    let line = "reservewatch: \(sentence)\n"
    _ = line.withCString { write(STDERR_FILENO, $0, strlen($0)) }
}
