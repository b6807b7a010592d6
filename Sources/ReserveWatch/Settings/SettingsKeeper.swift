// SPDX-License-Identifier: Apache-2.0

import CLinux
import CRecord
import Glibc
import ReserveAgent
import ReserveConfig
import ReserveKernel
import ReserveSinks

/// The process beside the agent that reads its configuration when the agent is asked to
/// (docs/decisions/0012). An ordinary one: it may freeze with the host, and ends with the agent.
struct SettingsKeeper {
    private let file: ConfigOptions
    private let overrides: CommandLineSettings
    /// What the agent began with, and what of it holds now.
    private let began: [Row]
    private var holds: [Row]

    /// A setting as far as it matters whether it is another.
    private struct Row: Equatable {
        var section: String
        var name: String
        var text: String
        var source: String

        var title: String { "\(section) \(name)" }
        var isLive: Bool { LiveKeys.contains(section, name) }

        static func == (one: Row, other: Row) -> Bool {
            one.section == other.section && one.name == other.name && one.text == other.text
        }
    }

    /// Starts it, and hands the agent what it needs for the exchange.
    ///
    /// To be called by a process with one thread, which then becomes the agent.
    static func start(
        beside settings: inout AgentSettings, _ host: HostSettings, _ file: ConfigOptions,
        _ overrides: CommandLineSettings
    ) throws(WatchError) {
        let exchange = rw_exchange_file()
        guard exchange >= 0 else {
            throw .resources(operation: "make room for settings", errno: exchange)
        }
        let bell = rw_bell()
        guard bell >= 0 else { throw .resources(operation: "make a bell", errno: bell) }
        let agent = getpid()
        let child = rw_fork()
        guard child >= 0 else {
            throw .resources(operation: "start the reader of the configuration", errno: child)
        }
        guard child == 0 else {
            settings.exchange = AgentSettings.Exchange(file: exchange, bell: bell)
            return
        }
        // The terminal's are for the agent, with which we end: also where who started it has
        // SIGTERM blocked.
        signal(SIGHUP, SIG_IGN)
        signal(SIGINT, SIG_IGN)
        signal(SIGTERM, SIG_DFL)
        var ending = sigset_t()
        sigemptyset(&ending)
        sigaddset(&ending, SIGTERM)
        sigprocmask(SIG_UNBLOCK, &ending, nil)
        guard rw_end_with_parent(agent) == 0, let page = rw_exchange_map(exchange) else { exit(0) }
        becomeOrdinary()
        var keeper = SettingsKeeper(host, file, overrides)
        keeper.run(page, bell: bell)
    }

    private init(_ host: HostSettings, _ file: ConfigOptions, _ overrides: CommandLineSettings) {
        self.file = file
        self.overrides = overrides
        began = Self.rows(host)
        holds = began
    }

    /// Without the rights and the protection that the agent was started with.
    private static func becomeOrdinary() {
        rw_set_name("rw-settings")
        _ = rw_forbid_new_rights()
        _ = rw_keep_capabilities(0, 0)
        let score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC)
        if score >= 0 {
            _ = write(score, "0", 1)
            close(score)
        }
    }

    private static func rows(_ host: HostSettings) -> [Row] {
        host.configuration.settings.filter { $0.section != "[Metrics]" }.map { setting in
            Row(
                section: setting.section, name: setting.key.name, text: setting.text ?? "",
                source: setting.values.last.map { " (\($0.place))" } ?? "")
        }
    }

    private mutating func run(_ page: OpaquePointer, bell: Int32) -> Never {
        while true {
            _ = rw_exchange_wait(page, bell)
            var record = answer()
            withUnsafeBytes(of: &record) { bytes in
                if let base = bytes.baseAddress { rw_exchange_give(page, base, bytes.count) }
            }
        }
    }

    /// Reads the configuration anew and says what comes of it.
    private mutating func answer() -> rw_times {
        let host = HostSettings(file.tree.read(HostSettings.schema, over: [overrides.text]))
        for problem in host.configuration.problems { printError(plainText(problem.sentence)) }
        let errors = host.configuration.errors
        let fresh = errors > 0 ? holds : Self.rows(host)
        let waiting = fresh.filter { !$0.isLive && !began.contains($0) }
        let gone = began.filter { old in
            !old.isLive && !fresh.contains { $0.section == old.section && $0.name == old.name }
        }
        guard errors == 0 else {
            printError(
                "the configuration is not taken, for it has \(errors) "
                    + "\(errors == 1 ? "error" : "errors"); the agent goes on with what it has")
            return SettingsRecord.make(
                host.agent.policy, RW_SETTINGS_REFUSED, errors: errors,
                waiting: waiting.count + gone.count)
        }
        let taken = fresh.filter { $0.isLive && !holds.contains($0) }
        for row in taken {
            printError(plainText("takes effect: \(row.title)=\(row.text)\(row.source)"))
        }
        for row in waiting {
            printError(plainText("needs a restart: \(row.title)=\(row.text)\(row.source)"))
        }
        for row in gone { printError(plainText("needs a restart: \(row.title)= is gone")) }
        if taken.isEmpty, waiting.isEmpty, gone.isEmpty {
            printError("the configuration says nothing new")
        }
        holds = fresh
        return SettingsRecord.make(
            host.agent.policy, RW_SETTINGS_TAKEN, waiting: waiting.count + gone.count)
    }
}
