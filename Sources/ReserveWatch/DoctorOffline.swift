// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ReserveAgent
import ReserveKernel

/// `doctor` for a kernel that does not run: no root, nothing loaded.
struct DoctorOffline: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Judge the kernel that this file describes, without root and without trying.",
            discussion: """
                A vmlinux, or a copy of a kernel's /sys/kernel/btf/vmlinux. What only a \
                trial can tell, such as a lockdown, is not seen.
                """,
            valueName: "file"))
    var btf: String?

    @Option(
        help: ArgumentHelp(
            "That kernel's configuration; without it, what it decides is taken to be set.",
            valueName: "file"))
    var config: String?

    func validate() throws {
        if config != nil, btf == nil { throw ValidationError("--config needs --btf") }
    }

    /// What the plan makes of the kernel's files; nil when none is named.
    func choices() throws(WatchError) -> [HookPlan.Choice]? {
        guard let btf else { return nil }
        let facts = try KernelFacts.read(btf: btf, config: config)
        if config == nil {
            printError("without --config, fentry, data symbols and nbd.ko are taken to be there")
        }
        return HookPlan(facts: facts).choices
    }
}
