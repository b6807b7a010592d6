// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import ReserveAgent
import ReserveBox
import ReserveConfig
import ReserveForward
import ReserveKernel
import ReservePolicy
import ReserveSinks

/// The configuration, as each command has its part of it.
struct HostSettings {
    private(set) var configuration: Configuration
    let agent: AgentSettings
    let metrics: MetricsSettings
    let rules: RuleSet

    /// Every section that there is. Whoever adds one declares it beside its command, and names it
    /// here; docs/configuration.md and reservewatch.conf(5) have to know it too.
    static let schema = ConfigSchema(
        [
            AgentKeys.section, AlertKeys.section, BoxKeys.section, GuardKeys.section,
            MetricsKeys.section, PolicySections.policy, PolicySections.rule,
        ] + ForwardConfig.sections)

    init(_ configuration: Configuration) {
        var problems: [ConfigProblem] = []
        agent = AgentSettings(configuration, problems: &problems)
        metrics = MetricsSettings(configuration)
        rules = PolicySections.rules(configuration, problems: &problems)
        self.configuration = configuration
        for problem in problems { self.configuration.add(problem) }
    }

    /// The host's configuration, with what the command line says over it.
    ///
    /// - Throws: the exit status, after every problem was told.
    static func load(_ options: ConfigOptions, over: CommandLineSettings? = nil) throws
        -> HostSettings
    {
        if let path = options.config, access(path, R_OK) != 0 {
            throw leave(WatchError.input(path: path, errno: errno))
        }
        let settings = HostSettings(
            options.tree.read(schema, over: over.map { [$0.text] } ?? []))
        for problem in settings.configuration.problems { printError(plainText(problem.sentence)) }
        let errors = settings.configuration.errors
        if errors > 0 { throw leave(WatchError.configuration(errors: errors)) }
        return settings
    }

    /// Where the agent's box is by the configuration, for readers: these do not care what else
    /// is wrong with it, or whether they may read it.
    static var boxPath: String {
        ConfigTree.usual.read(schema).section("Box").value(BoxKeys.path) ?? BoxFile.usualPath
    }
}

extension Configuration {
    var errors: Int { problems.count { $0.severity == .error } }
}

/// Where the configuration is.
struct ConfigOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Read this file and FILE.d/*.conf instead of the host's configuration; /dev/null: none.",
            valueName: "file"))
    var config: String?

    var tree: ConfigTree { config.map { ConfigTree(file: $0) } ?? .usual }
}

/// Options, as what they stand for in a file: one way from words to settings, and one place that
/// says which of the two counts.
struct CommandLineSettings {
    private var blocks: [ConfigBlock] = []

    /// `--OPTION VALUE...`; nothing where the option was not given.
    mutating func set<Value>(
        _ section: ConfigSectionSchema, _ key: ConfigKey<Value>, _ option: String,
        _ values: [String]
    ) {
        guard !values.isEmpty else { return }
        let place = ConfigPlace(file: option, line: 0)
        var block = ConfigBlock(kind: section.kind, place: place)
        // A list begins anew.
        for value in (key.description.count == .one ? [] : [""]) + values {
            let text =
                key.description.count == .words && !value.isEmpty ? "\"\(value)\"" : value
            block.assignments.append(
                ConfigAssignment(key: key.description.name, value: text, place: place))
        }
        blocks.append(block)
    }

    mutating func set<Value>(
        _ section: ConfigSectionSchema, _ key: ConfigKey<Value>, _ option: String, _ value: String?
    ) {
        set(section, key, option, value.map { [$0] } ?? [])
    }

    var text: ConfigText { ConfigText(blocks, from: "the command line") }

    /// A path from here as one from the root, which is what files have.
    static func absolute(_ path: String?) -> String? {
        guard let path, !path.hasPrefix("/"), !path.isEmpty else { return path }
        guard let here = getcwd(nil, 0) else { return path }
        defer { free(here) }
        return "\(String(cString: here))/\(path)"
    }
}
