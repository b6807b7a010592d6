// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import CBPF
import ReserveAgent
import ReserveKernel

struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract:
            "Tells which hook each signal gets on this kernel, and audits the way to the swap.",
        discussion: """
            Loads and attaches everything that the watch would, then lets go of it. Then looks \
            at the swap that lies on NBD: the client, the server, who stands between them, \
            timeouts, the reserve and what may fill it; each finding with why it matters and \
            the command that mends it. Changes nothing.

            Exit status 78 when the host is not fit to swap over NBD (a warning or worse), 1 \
            when a signal cannot be had or something could not be read, else 0.

            EXAMPLES
              reservewatch doctor
              reservewatch doctor --json | jq '.findings[] | {id, severity, mend}'
              reservewatch doctor --btf vmlinux --config /boot/config-6.12.117+deb12-amd64
            """
    )

    @Flag(help: "One JSON document: hooks, facts, findings, verdict.")
    var json = false

    @Option(help: .hidden)
    var root = ""

    @OptionGroup var offline: DoctorOffline

    func run() throws {
        let choices: [HookPlan.Choice]
        let memallocInodes: Set<UInt64>?
        do {
            if let promised = try offline.choices() { return try judge(promised) }
            let facts = try KernelFacts.discover()
            let kernel = try LiveKernel.attach(facts: facts, settings: LiveKernel.Settings())
            choices = kernel.choices
            memallocInodes = kernel.memallocInodes()
        } catch let error as WatchError {
            throw leave(error)
        }
        var handed = root.isEmpty ? HandedFacts.live() : HandedFacts()
        if root.isEmpty { handed.memallocInodes = memallocInodes }
        let facts = SwapPathFacts.read(root: root, handed: handed)
        let report = DoctorReport(choices: choices, facts: facts, audit: audit(facts))
        try printOut(json ? report.json.bytes : Array(report.text.utf8))
        if report.exitStatus != 0 { throw ExitCode(report.exitStatus) }
    }

    /// A kernel that does not run has hooks only.
    private func judge(_ promised: [HookPlan.Choice]) throws {
        try printOut(Array(HookTable.text(promised).utf8))
        if promised.contains(where: { $0.state == RW_HOOK_MISSING.rawValue }) { throw ExitCode(1) }
    }
}
