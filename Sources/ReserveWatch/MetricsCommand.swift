// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ReserveAgent
import ReserveBox
import ReserveConfig
import ReserveKernel
import ReserveSinks
import ReserveStore

extension MetricsFormat: ExpressibleByArgument {}

extension ListenAddress: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

enum MetricsDescription: String, CaseIterable, ExpressibleByArgument {
    case markdown
}

struct MetricsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics",
        abstract: "Serves the agent's figures to Prometheus.",
        discussion: """
            Reads the black box of the agent that runs; needs no right but to read that. Starts \
            none: without an agent it serves reservewatch_up 0 and looks again each second.

            /metrics answers as Prometheus text or OpenMetrics, whichever is asked for; /healthz \
            200 while the agent's loop turns and 503 otherwise. Sockets that systemd hands over \
            (socket activation) take the place of the usual address.

            EXAMPLES
              reservewatch metrics
              reservewatch metrics --listen unix:/run/reservewatch/metrics.sock
              reservewatch metrics --textfile /var/lib/prometheus/node-exporter/reservewatch.prom
              reservewatch metrics --once | promtool check metrics
            """
    )

    @OptionGroup var file: ConfigOptions

    @Option(
        help: ArgumentHelp(
            "Serve at this address; 127.0.0.1:9479 unless --textfile is given or systemd hands over sockets.",
            discussion: "ADDRESS:PORT, [ADDRESS]:PORT or unix:PATH, in numbers.",
            valueName: "address"))
    var listen: ListenAddress?

    @Option(help: ArgumentHelp("Write the page to this file, atomically.", valueName: "path"))
    var textfile: String?

    @Option(help: "Seconds between two writes of that file, 1 to 3600; 15 by default.")
    var interval: Double?

    @Flag(help: "Write one page to standard output and end; 75 when no agent runs.")
    var once = false

    @Option(help: "The format of that page: text or openmetrics.")
    var format: MetricsFormat = .text

    @Option(
        help: ArgumentHelp(
            "The running agent's black box; by default where the configuration puts it.",
            valueName: "path"))
    var box: String?

    @Option(
        help: ArgumentHelp(
            "Where forward tells how the delivery of alerts goes.", valueName: "path"))
    var forwardStatus: String = "/run/reservewatch-forward/status"

    @Option(
        help: ArgumentHelp(
            "Tell of a recording instead: in its own time, with --once all of it.",
            valueName: "file"))
    var replay: String?

    @Option(help: .hidden)
    var speed: Double = 1

    @Option(help: .hidden)
    var until: Double?

    @Option(help: .hidden)
    var describe: MetricsDescription?

    mutating func validate() throws {
        if let interval, !(1...3600).contains(interval) {
            throw ValidationError("--interval \(interval) is not within 1 and 3600 seconds.")
        }
        guard speed >= 0.1, speed <= 10000 else {
            throw ValidationError("--speed \(speed) is not within 0.1 and 10000.")
        }
        if once, listen != nil || textfile != nil {
            throw ValidationError("--once writes to standard output only.")
        }
    }

    func run() throws {
        if describe != nil {
            try printOut(Array(MetricsDocument.markdown.utf8))
            return
        }
        // A recording has nothing to do with this host.
        let settings =
            try replay == nil
            ? HostSettings.load(file, over: overrides).metrics
            : MetricsSettings(
                Configuration([overrides.text], schema: HostSettings.schema))
        var recording: RecordingFeed?
        do throws(StoreError) {
            if let replay {
                recording = try RecordingFeed(
                    path: replay, speed: once ? nil : speed, limit: until)
            }
        } catch {
            throw leave(error)
        }
        do {
            if let recording {
                try serve(recording, settings)
            } else {
                try serve(BoxFeed(path: settings.box, forwardStatus: forwardStatus), settings)
            }
        } catch let error as WatchError {
            throw leave(error)
        }
    }

    /// The options, over the files.
    private var overrides: CommandLineSettings {
        var line = CommandLineSettings()
        let metrics = MetricsKeys.section
        line.set(metrics, MetricsKeys.listen, "--listen", listen?.text)
        line.set(
            metrics, MetricsKeys.textfile, "--textfile", CommandLineSettings.absolute(textfile))
        line.set(
            metrics, MetricsKeys.interval, "--interval", interval.map { "\(Int($0 * 1000))ms" })
        line.set(BoxKeys.section, BoxKeys.path, "--box", CommandLineSettings.absolute(box))
        return line
    }

    private func serve<Feed: MetricsFeed & ~Copyable>(
        _ feed: consuming Feed, _ settings: MetricsSettings
    ) throws {
        if once {
            try printOnce(feed, settings)
            return
        }
        let file = settings.textfile.map {
            Textfile(path: $0, intervalNanoseconds: settings.intervalNanoseconds)
        }
        var server = try MetricsServer(
            feed: feed, address: settings.listen, textfile: file, otherwise: .usual)
        try server.run()
    }

    private func printOnce<Feed: MetricsFeed & ~Copyable>(
        _ feed: consuming Feed, _ settings: MetricsSettings
    ) throws {
        var server = try MetricsServer(
            feed: feed, address: nil, textfile: nil, otherwise: nil)
        try printOut(server.page(format))
        // The page says so too, with reservewatch_up 0.
        if server.problem != nil { throw WatchError.noAgent(path: settings.box) }
    }
}
