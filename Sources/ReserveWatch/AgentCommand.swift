// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import ReserveAgent
import ReserveBox
import ReserveKernel
import ReservePolicy

struct AgentCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent",
        abstract: "The watch: stays alive while the host stalls, alerts, fills the black box.",
        discussion: """
            One process, locked into memory, that takes no memory after its start. It publishes \
            every record into a black box, shared memory that events, top and record read, and \
            writes alerts to what it opened at the start. It goes on until SIGTERM. Needs root.

            Options outrank the configuration, /etc/reservewatch/reservewatch.conf and what is \
            dropped into reservewatch.conf.d; one with errors is refused (reservewatch check). It \
            acts on the host by the rules in it, as far as their modes allow (reservewatch policy \
            explain); without rules on nothing.

            ALERTS
              One line each: warning, critical, resolved. kmsg is /dev/kmsg, stdout the
              standard output, anything else a path: a serial line (/dev/ttyS1) is what
              comes through when nothing else does. A place that does not take its line
              holds up nothing.

            SIGHUP
              Has the configuration read anew. One with errors changes nothing. Times
              take effect at once, everything else at the next start; the log says which.

            EXAMPLES
              reservewatch agent --alert-to kmsg
              reservewatch agent --alert-to kmsg --alert-to /dev/ttyS1 --alert-format json
              reservewatch agent --box /run/reservewatch/box --box-size 16384 --group adm
              reservewatch agent --config rules.conf --alert-to kmsg
            """
    )

    @OptionGroup var file: ConfigOptions

    @Option(
        help: ArgumentHelp(
            "The black box, on a tmpfs; \(BoxFile.usualPath) by default.", valueName: "path"))
    var box: String?

    @Option(
        help: ArgumentHelp(
            "Size of the black box's history in KiB, a power of two from 64 to 1048576; 4096 by default.",
            valueName: "KiB"))
    var boxSize: Int?

    @Option(
        help: ArgumentHelp(
            "The group that may read the box; reservewatch where there is one.",
            valueName: "name"))
    var group: String?

    @Option(
        help: ArgumentHelp(
            "kmsg, stdout or a path that gets every alert; up to 4 of them.", valueName: "where"))
    var alertTo: [String] = []

    @Option(help: "Alerts as text or json, one line each; text by default.")
    var alertFormat: LineFormat?

    @Option(
        help: ArgumentHelp(
            "Write every event there as well: for a serial line.", valueName: "where"))
    var eventsTo: String?

    @Option(help: "Those events as json or text; json by default.")
    var eventsFormat: LineFormat?

    @Option(
        help: ArgumentHelp(
            "Write every raw record there as well: for a serial line.", valueName: "where"))
    var recordTo: String?

    @Option(
        help: ArgumentHelp(
            "Write a line there at each beat of the loop, for who measures it.",
            valueName: "where"))
    var beatTo: String?

    @Option(help: "Seconds between two summary lines, 0.1 to 3600; 1 by default.")
    var interval: Double?

    @Option(help: "Real-time priority, 1 to 99; 0: none; 10 by default.")
    var priority: Int?

    @OptionGroup var watch: WatchOptions
    @OptionGroup var guarding: GuardOptions

    mutating func validate() throws {
        if let boxSize, !BoxSize.isValid(ringBytes: boxSize << 10) {
            throw ValidationError("--box-size \(boxSize) is not a power of two from 64 to 1048576.")
        }
        if let interval, !(0.1...3600).contains(interval) {
            throw ValidationError("--interval \(interval) is not within 0.1 and 3600 seconds.")
        }
        if let priority, !(0...99).contains(priority) {
            throw ValidationError("--priority \(priority) is not within 0 and 99.")
        }
        guard alertTo.count <= AgentSettings.mostAlertPlaces else {
            throw ValidationError("--alert-to was given \(alertTo.count) times; 4 is the most.")
        }
        if let group, Group.number(group) == nil {
            throw ValidationError("--group \(group): there is no such group.")
        }
    }

    func run() throws {
        let host = try HostSettings.load(file, over: overrides)
        do throws(WatchError) {
            var settings = host.agent
            settings.rules = host.rules
            try SettingsKeeper.start(beside: &settings, host, file, overrides)
            try AgentProgram.become(settings)
        } catch {
            throw leave(error)
        }
    }

    /// The options, over the files.
    private var overrides: CommandLineSettings {
        var line = CommandLineSettings()
        func path(_ path: String?) -> String? { CommandLineSettings.absolute(path) }
        line.set(BoxKeys.section, BoxKeys.path, "--box", path(box))
        line.set(BoxKeys.section, BoxKeys.size, "--box-size", boxSize.map { "\($0)K" })
        line.set(BoxKeys.section, BoxKeys.group, "--group", group)
        line.set(
            AlertKeys.section, AlertKeys.to, "--alert-to",
            alertTo.map { ["kmsg", "stdout", "-"].contains($0) ? $0 : path($0) ?? $0 })
        line.set(AlertKeys.section, AlertKeys.format, "--alert-format", alertFormat?.rawValue)
        let agent = AgentKeys.section
        line.set(agent, AgentKeys.eventsTo, "--events-to", path(eventsTo))
        line.set(agent, AgentKeys.eventsFormat, "--events-format", eventsFormat?.rawValue)
        line.set(agent, AgentKeys.recordTo, "--record-to", path(recordTo))
        line.set(agent, AgentKeys.beatTo, "--beat-to", path(beatTo))
        line.set(
            agent, AgentKeys.interval, "--interval", interval.map { "\(Int($0 * 1000))ms" })
        line.set(agent, AgentKeys.priority, "--priority", priority.map { "\($0)" })
        watch.fill(&line)
        guarding.fill(&line)
        return line
    }
}
