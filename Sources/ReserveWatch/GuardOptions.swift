// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ReserveAgent
import ReserveKernel

extension GuardMode: ExpressibleByArgument {}

/// The guard of an agent: docs/guard.md.
struct GuardOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Signals to, traces and freezes of NBD client, local server and agent: off, observe, enforce.",
            discussion: """
                observe tells attempts, enforce refuses them. Without it they are observed as far \
                as the kernel lets us; with it a kernel that cannot is refused.
                """, valueName: "mode"))
    var `guard`: GuardMode?

    @Option(help: ArgumentHelp("swapoff of swap on NBD, the same.", valueName: "mode"))
    var guardSwapoff: GuardMode?

    @Option(
        help: ArgumentHelp(
            "Disconnecting an NBD device that carries swap, the same.", valueName: "mode"))
    var guardDisconnect: GuardMode?

    @Option(
        help: ArgumentHelp(
            "A cgroup whose processes, and all below, are refused nothing; may be repeated.",
            valueName: "cgroup"))
    var guardExcept: [String] = []

    mutating func validate() throws {
        for path in guardExcept {
            if let problem = GuardRules.problem(ofException: path) {
                throw ValidationError("--guard-except \(path): \(problem).")
            }
        }
        guard guardExcept.count <= GuardRules.mostExceptions else {
            throw ValidationError(
                "--guard-except was given \(guardExcept.count) times; "
                    + "\(GuardRules.mostExceptions) is the most.")
        }
    }

    /// Over the configuration.
    func fill(_ line: inout CommandLineSettings) {
        let section = GuardKeys.section
        line.set(section, GuardKeys.processes, "--guard", `guard`?.rawValue)
        line.set(section, GuardKeys.swapoff, "--guard-swapoff", guardSwapoff?.rawValue)
        line.set(section, GuardKeys.disconnect, "--guard-disconnect", guardDisconnect?.rawValue)
        line.set(section, GuardKeys.exceptions, "--guard-except", guardExcept)
    }
}
