// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import CLinux
import Glibc
import ReserveAgent
import ReserveBox
import ReserveConfig
import ReserveForward
import ReserveKernel
import ReserveSinks

struct ForwardCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "forward",
        abstract: "Brings the agent's alerts to where people are.",
        discussion: """
            Reads the black box of the agent that runs; needs no right but to read that, and to \
            keep its queue. Starts none: without an agent it waits for one. Each alert goes to \
            every destination, in its order, at least once: what a destination did not take \
            waits on disk, bounded by size and age. What happened while the host stalled goes \
            out after it, with its true times. Goes on until SIGTERM. Nothing listens.

            Destinations are those of the configuration, a [Destination NAME] each: Alertmanager, a \
            webhook, a command, syslog, the journal, OTLP (docs/forward.md); and what --alertmanager \
            names. SIGHUP has the configuration read anew. How it goes is told to metrics (reservewatch_forward_*) \
            by a file.

            EXAMPLES
              reservewatch forward --alertmanager http://127.0.0.1:9093
              reservewatch forward --alertmanager https://am-1:9093 --alertmanager https://am-2:9093
              reservewatch forward --config /etc/reservewatch/reservewatch.conf
              reservewatch forward --test                does everybody get them?

            EXIT STATUS
              0 when a signal ended it, 64 without a destination, 66 when a secret, a certificate \
              or a command cannot be used, 73 when the queue cannot be kept, 74 when --test did not \
              get through, 75 when another one has the queue, 78 when the configuration is wrong.
            """
    )

    @Option(
        help: ArgumentHelp(
            "An Alertmanager; of a cluster each member: they all get every alert.",
            valueName: "url"))
    var alertmanager: [String] = []

    @Option(
        help: ArgumentHelp(
            "The configuration, with PATH.d/*.conf; without it the host's own.", valueName: "path"))
    var config: String?

    @Option(
        help: ArgumentHelp(
            "The running agent's black box; by default where the configuration puts it.",
            valueName: "path"))
    var box: String?

    @Option(
        help: ArgumentHelp(
            "Keep the queue in this directory; $STATE_DIRECTORY, else /var/lib/reservewatch-forward.",
            valueName: "directory"))
    var state: String?

    @Option(
        help: ArgumentHelp(
            "Tell metrics how it goes in this file; $RUNTIME_DIRECTORY/status, else /run/reservewatch-forward/status.",
            valueName: "path"))
    var status: String?

    @Flag(help: "Send a test to every destination, say how that went, and end; 74: it failed.")
    var test = false

    @Flag(help: .hidden)
    var printSettings = false

    private static let program = "reservewatch-forward"

    func run() throws {
        let settings: ForwardSettings
        do throws(ForwardError) {
            settings = try self.settings()
            try settings.check()
        } catch {
            complain(error.sentence)
            throw ExitCode(error.exitStatus)
        }
        if printSettings {
            print(settings.words.joined(separator: "\n"))
            return
        }
        do throws(WatchError) {
            _ = try OwnProgram.find(Self.program)
        } catch {
            complain(
                "\(Self.program) is not there: install the package of that name, or put it "
                    + "beside reservewatch")
            throw ExitCode(66)
        }
        do throws(WatchError) {
            let descriptor = try handOver(settings.words)
            try OwnProgram.become(Self.program, ["words=\(descriptor)"])
        } catch {
            throw leave(error)
        }
    }

    private func settings() throws(ForwardError) -> ForwardSettings {
        let tree = config.map { ConfigTree(file: $0) } ?? .usual
        let configuration = tree.read(HostSettings.schema)
        for problem in configuration.problems { complain(plainText(problem.sentence)) }
        guard configuration.isValid else {
            throw .configuration(problems: configuration.problems.count)
        }
        var settings = ForwardSettings(configuration)
        settings.version = agentVersion
        settings.box =
            box ?? configuration.section("Box").value(BoxKeys.path) ?? BoxFile.usualPath
        settings.isTest = test
        settings.command = Self.ownCommand
        if let state { settings.state = state }
        if let status { settings.status = status.isEmpty ? nil : status }
        if !alertmanager.isEmpty {
            try settings.set(destination: "alertmanager", key: "Type", value: "alertmanager")
        }
        for url in alertmanager {
            try settings.set(destination: "alertmanager", key: "URL", value: url)
        }
        return settings
    }

    /// What prints these settings again.
    private static var ownCommand: [String] {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        guard count > 0 else { return [] }
        let path = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return [path] + CommandLine.arguments.dropFirst().filter { $0 != "--print-settings" }
            + ["--print-settings"]
    }

    /// In memory, and not as arguments: those everybody sees, and an address may be a secret.
    private func handOver(_ words: [String]) throws(WatchError) -> Int32 {
        let descriptor = rw_memory_file("reservewatch-forward")
        guard descriptor >= 0 else {
            throw .resources(operation: "hand the settings over", errno: descriptor)
        }
        let bytes = Array(words.joined(separator: "\n").utf8)
        guard write(descriptor, bytes, bytes.count) == bytes.count else {
            throw .resources(operation: "hand the settings over", errno: errno)
        }
        return descriptor
    }
}
