// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ReserveAgent
import ReserveBox
import ReserveKernel

extension HookPlan.Arm: ExpressibleByArgument {}

/// How to watch: of `agent`, and of readers that start an agent of their own.
struct WatchOptions: ParsableArguments {
    @Option(help: "Milliseconds between two samples of the zones in the kernel, 1 to 1000.")
    var samplePeriod: Int?

    @Option(help: "Milliseconds from which a stay in direct reclaim is told, 1 to 10000.")
    var slow: Int?

    @Option(
        help: ArgumentHelp(
            "Watch what costs more than a calm host should pay: slab, skbs or pages; may be repeated.",
            discussion: """
                slab: every object that is allocated or freed, by cache. skbs: every packet \
                buffer that is allocated. pages: every page, by task, for report. docs/cost.md has what they cost.
                """,
            valueName: "what"))
    var arm: [HookPlan.Arm] = []

    @Option(help: "Size of the kernel's ring in KiB, a power of two from 4 to 65536.")
    var ring: Int?

    mutating func validate() throws {
        if let samplePeriod, !(1...1000).contains(samplePeriod) {
            throw ValidationError("--sample-period \(samplePeriod) is not within 1 and 1000.")
        }
        if let slow, !(1...10000).contains(slow) {
            throw ValidationError("--slow \(slow) is not within 1 and 10000.")
        }
        if let ring, !(4...65536).contains(ring) || ring & (ring - 1) != 0 {
            throw ValidationError("--ring \(ring) is not a power of two from 4 to 65536.")
        }
    }

    /// Whether anything was asked for that an agent which runs already may do otherwise.
    var isDefault: Bool { samplePeriod == nil && slow == nil && arm.isEmpty && ring == nil }

    /// Over the configuration.
    func fill(_ line: inout CommandLineSettings) {
        let agent = AgentKeys.section
        line.set(
            agent, AgentKeys.samplePeriod, "--sample-period", samplePeriod.map { "\($0)ms" })
        line.set(agent, AgentKeys.slow, "--slow", slow.map { "\($0)ms" })
        line.set(agent, AgentKeys.arm, "--arm", arm.map(\.rawValue))
        line.set(agent, AgentKeys.ring, "--ring", ring.map { "\($0)K" })
    }

    /// For an agent of a reader's own, which has no configuration.
    func fill(_ settings: inout AgentSettings) {
        if let samplePeriod { settings.samplePeriodMilliseconds = samplePeriod }
        if let slow { settings.slowMilliseconds = slow }
        if let ring { settings.ringKiB = ring }
        settings.armed = Set(arm)
    }
}

/// Where a reader finds the agent.
struct SourceOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The running agent's black box; by default where the configuration puts it.",
            valueName: "path"))
    var box: String?

    @Flag(
        name: .customLong("private"),
        help: "Start an agent of our own even if one runs; so do the options on how to watch.")
    var isPrivate = false

    func choice(_ watch: WatchOptions) -> LiveSource.Choice {
        var choice = LiveSource.Choice()
        choice.boxPath = box ?? HostSettings.boxPath
        choice.isPrivate = isPrivate || !watch.isDefault
        watch.fill(&choice.settings)
        return choice
    }
}
