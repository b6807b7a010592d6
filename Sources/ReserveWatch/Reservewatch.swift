// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ReserveKernel

/// The version of this build, in the stream's first line and in `--version`.
let agentVersion = "0.1.0"

@main
struct Reservewatch: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reservewatch",
        abstract: "Shows how a host that swaps over the network lives off its reserves.",
        discussion: """
            Linux keeps memory below the min watermark for those who free memory: \
            the PFMEMALLOC reserve. A host that swaps over a network block device \
            lives off it under pressure. ReserveWatch shows how it drains, who takes \
            it, who is put to sleep for it, and what the device does meanwhile.

            EXAMPLES
              reservewatch events                        JSON lines until Ctrl-C
              reservewatch events --format text          the same, to read
              reservewatch events --kind throttle --kind oom
              reservewatch events --record incident.rwr  keep the raw records as well
              reservewatch replay incident.rwr           the same events again, anywhere
              reservewatch replay incident.rwr --format words
              reservewatch doctor                        what this kernel lets us see,
                                                         and whether the swap's path is fit
              reservewatch doctor --btf vmlinux          what that one would, not running

            EXIT STATUS
               0  it did what was asked
               1  doctor found a signal missing, or could not read what it needs to know
              64  wrong usage
              65  the input is not what it was taken for: no recording, no kernel
              66  the input cannot be read
              69  this kernel cannot be watched (no BPF, no BTF, too old)
              71  the host had no resources to start with
              73  the output cannot be opened
              74  the output failed on the way
              77  not permitted: not root, missing capability, lockdown
              78  doctor found this host unfit to swap over NBD
            """,
        version: agentVersion,
        subcommands: [EventsCommand.self, ReplayCommand.self, DoctorCommand.self]
    )
}

/// Prints the sentence of an error and leaves with its status.
func leave(_ error: WatchError) -> ExitCode {
    printError(error.sentence)
    return ExitCode(error.exitStatus)
}
