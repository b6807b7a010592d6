// SPDX-License-Identifier: Apache-2.0

import ReserveConfig
import ReserveKernel

/// `[Guard]`: who carries the swap is kept from being ended; docs/guard.md.
enum GuardKeys {
    static let processes = ConfigKey<GuardMode>.choice(GuardRules.Rule.processes.rawValue)
    static let swapoff = ConfigKey<GuardMode>.choice(GuardRules.Rule.swapoff.rawValue)
    static let disconnect = ConfigKey<GuardMode>.choice(GuardRules.Rule.disconnect.rawValue)
    static let exceptions = ConfigKey<String>.text(
        "Exceptions", .words, kind: "cgroups from the root, up to \(GuardRules.mostExceptions)"
    ) { GuardRules.problem(ofException: $0) }

    static let section = ConfigSectionSchema(
        "Guard",
        keys: [
            processes.description, swapoff.description, disconnect.description,
            exceptions.description,
        ]
    ) { section in
        let count = section.values(exceptions).count
        guard count > GuardRules.mostExceptions else { return [] }
        return [
            section.problem(
                exceptions, "that makes \(count) cgroups; \(GuardRules.mostExceptions) is the most")
        ]
    }

    /// What the section says; the rest is as usual.
    static func rules(_ configuration: Configuration) -> GuardRules {
        let section = configuration.section("Guard")
        var rules = GuardRules()
        rules.processes = section.value(processes)
        rules.swapoff = section.value(swapoff)
        rules.disconnect = section.value(disconnect)
        rules.exceptions = section.values(exceptions)
        return rules
    }
}
