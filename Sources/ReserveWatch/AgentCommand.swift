// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import ReserveAgent
import ReserveBox
import ReserveKernel

struct AgentCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent",
        abstract: "The watch: stays alive while the host stalls, alerts, fills the black box.",
        discussion: """
            One process, locked into memory, that takes no memory after its start. It publishes \
            every record into a black box, shared memory that events, top and record read, and \
            writes alerts to what it opened at the start. It goes on until SIGTERM. Needs root.

            ALERTS
              One line each: warning, critical, resolved. kmsg is /dev/kmsg, stdout the
              standard output, anything else a path: a serial line (/dev/ttyS1) is what
              comes through when nothing else does. A place that does not take its line
              holds up nothing.

            EXAMPLES
              reservewatch agent --alert-to kmsg
              reservewatch agent --alert-to kmsg --alert-to /dev/ttyS1 --alert-format json
              reservewatch agent --box /run/reservewatch/box --box-size 16384 --group adm
            """
    )

    @Option(help: ArgumentHelp("The black box, on a tmpfs.", valueName: "path"))
    var box: String = BoxFile.usualPath

    @Option(
        help: ArgumentHelp(
            "Size of the black box's history in KiB, a power of two from 64 to 1048576.",
            valueName: "KiB"))
    var boxSize: Int = 4096

    @Option(
        help: ArgumentHelp(
            "The group that may read the box; reservewatch where there is one.",
            valueName: "name"))
    var group: String?

    @Option(
        help: ArgumentHelp(
            "kmsg, stdout or a path that gets every alert; up to 4 of them.", valueName: "where"))
    var alertTo: [String] = []

    @Option(help: "Alerts as text or json, one line each.")
    var alertFormat: LineFormat = .text

    @Option(
        help: ArgumentHelp(
            "Write every event there as well: for a serial line.", valueName: "where"))
    var eventsTo: String?

    @Option(help: "Those events as json or text.")
    var eventsFormat: LineFormat = .json

    @Option(
        help: ArgumentHelp(
            "Write every raw record there as well: for a serial line.", valueName: "where"))
    var recordTo: String?

    @Option(
        help: ArgumentHelp(
            "Write a line there at each beat of the loop, for who measures it.",
            valueName: "where"))
    var beatTo: String?

    @Option(help: "Seconds between two summary lines, 0.1 to 3600.")
    var interval: Double = 1

    @Option(help: "Real-time priority, 1 to 99; 0: none.")
    var priority: Int = 10

    @OptionGroup var watch: WatchOptions
    @OptionGroup var guarding: GuardOptions

    mutating func validate() throws {
        guard BoxSize.isValid(ringBytes: boxSize << 10) else {
            throw ValidationError("--box-size \(boxSize) is not a power of two from 64 to 1048576.")
        }
        guard interval >= 0.1, interval <= 3600 else {
            throw ValidationError("--interval \(interval) is not within 0.1 and 3600 seconds.")
        }
        guard (0...99).contains(priority) else {
            throw ValidationError("--priority \(priority) is not within 0 and 99.")
        }
        guard alertTo.count <= 4 else {
            throw ValidationError("--alert-to was given \(alertTo.count) times; 4 is the most.")
        }
    }

    func run() throws {
        var settings = AgentSettings()
        settings.box = .path(box)
        settings.boxRingKiB = boxSize
        settings.group = try groupNumber()
        settings.alertsTo = alertTo
        settings.alertFormat = alertFormat
        settings.eventsTo = eventsTo
        settings.eventsFormat = eventsFormat
        settings.recordTo = recordTo
        settings.beatTo = beatTo
        settings.intervalMilliseconds = Int(interval * 1000)
        settings.realTimePriority = Int32(priority)
        watch.fill(&settings)
        guarding.fill(&settings.guardRules)
        do throws(WatchError) {
            try AgentProgram.become(settings)
        } catch {
            throw leave(error)
        }
    }

    /// From /etc/group itself: a static program has no way to ask other directories.
    private func groupNumber() throws -> UInt32? {
        let name = group ?? "reservewatch"
        for line in (readFile("/etc/group", limit: 1 << 20) ?? "").split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count >= 3, fields[0] == name, let number = UInt32(fields[2]) {
                return number
            }
        }
        guard let group else { return nil }
        if let number = UInt32(group) { return number }
        throw ValidationError("--group \(group): there is no such group.")
    }
}
