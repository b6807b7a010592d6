// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import CBPF
import ReserveKernel

struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract:
            "Tells for each signal which hook this kernel lets us use, and why no better one.",
        discussion: """
            Loads and attaches everything that the watch would, then lets go of it. \
            Exit status 1 when a signal cannot be had at all.

            EXAMPLES
              reservewatch doctor
            """
    )

    func run() throws {
        let choices: [HookPlan.Choice]
        do throws(WatchError) {
            let facts = try KernelFacts.discover()
            choices = try LiveKernel.attach(facts: facts, settings: LiveKernel.Settings()).choices
        } catch {
            throw leave(error)
        }
        for choice in choices { print(Self.line(for: choice)) }
        if choices.contains(where: { $0.state == RW_HOOK_MISSING.rawValue }) {
            throw ExitCode(1)
        }
    }

    /// "primary   reserve.taken              tp_btf/mm_page_alloc" and the reason below.
    static func line(for choice: HookPlan.Choice) -> String {
        let state: String
        switch choice.state {
        case RW_HOOK_PRIMARY.rawValue: state = "primary "
        case RW_HOOK_FALLBACK.rawValue: state = "fallback"
        case RW_HOOK_OFF.rawValue: state = "off     "
        default: state = "missing "
        }
        let name = choice.name + String(repeating: " ", count: max(0, 28 - choice.name.count))
        let path = choice.path.isEmpty ? "-" : choice.path
        let reason = choice.reason.isEmpty ? "" : "\n          not better: \(choice.reason)"
        return "\(state)  \(name)\(path)\(reason)"
    }
}
