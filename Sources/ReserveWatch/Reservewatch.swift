// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ReserveAgent
import ReserveKernel

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
              reservewatch agent --alert-to kmsg         the watch, as a service runs it
              reservewatch events                        JSON lines until Ctrl-C
              reservewatch events --format text          the same, to read
              reservewatch events --kind throttle --kind oom
              reservewatch events --record incident.rwr  keep the raw records as well
              reservewatch top                           look at it, live
              reservewatch top --replay incident.rwr     or later, forward and back in time
              reservewatch replay incident.rwr           the same events again, anywhere
              reservewatch replay incident.rwr --format words
              reservewatch record /var/lib/reservewatch  keep them in segments, bounded
              reservewatch report incident.rwr -o report.html   the incident as one page
              reservewatch metrics                       for Prometheus, on 127.0.0.1:9479
              reservewatch forward --alertmanager http://127.0.0.1:9093   alerts, to people
              reservewatch doctor                        what this kernel lets us see,
                                                         and whether the swap's path is fit
              reservewatch doctor --btf vmlinux          what that one would, not running
              reservewatch prepare --dry-run             what would be changed, and why
              reservewatch policy simulate incident.rwr  what rules would have done
              reservewatch check                         what is wrong with the configuration

            EXIT STATUS
               0  it did what was asked
               1  doctor found a signal missing, or could not read what it needs to know
              64  wrong usage
              65  the input is not what it was taken for: no recording, box or kernel;
                  the journal of prepare is damaged
              66  the input cannot be read; a secret, a certificate or a program is missing
              69  this kernel cannot be watched (no BPF, no BTF, too old), or cannot honour
                  a mode that was asked for
              71  the host had no resources to start with, or an address is taken
              73  the output cannot be opened
              74  the output failed on the way; forward --test did not get through
              75  no agent runs, or another one does, or it died; another prepare
                  or forward runs
              77  not permitted: not root, missing capability, lockdown
              78  the configuration has errors; doctor found this host unfit to swap over
                  NBD; prepare could not do, or undo, all that it should
            """,
        version: agentVersion,
        subcommands: [
            AgentCommand.self, EventsCommand.self, TopCommand.self, RecordCommand.self,
            ReplayCommand.self, ReportCommand.self,
            MetricsCommand.self, ForwardCommand.self,
            DoctorCommand.self, PrepareCommand.self, PolicyCommand.self,
            CheckCommand.self,
        ]
    )
}

/// Prints the sentence of an error and leaves with its status.
func leave(_ error: WatchError) -> ExitCode {
    // The agent that we started has said why by itself.
    if case .agentFailed = error { return ExitCode(error.exitStatus) }
    printError(error.sentence)
    return ExitCode(error.exitStatus)
}
