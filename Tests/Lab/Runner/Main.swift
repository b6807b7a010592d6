// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// `reservelab`: a guest that really swaps over NBD, and the kernel's word against ours.
///
/// Exit status: 0 all agreed, 1 a check failed or the guest died, 2 usage, 3 a tool is missing,
/// 4 the guest deadlocked (the kernel's outcome, not ours), 5 the lab itself failed,
/// 128 + N ended by signal N.
@main
struct Main {
    static func main() {
        Children.shared.stopOnSignals()
        var status: Int32 = 5
        var complaint: String?
        do {
            status = try Lab(Array(CommandLine.arguments.dropFirst())).run()
        } catch let error as LabError {
            complaint = error.sentence
            status = error.exitStatus
        } catch {
            complaint = error.localizedDescription
        }
        // What fails after a signal is its consequence; the signal's handler exits.
        if Children.shared.isInterrupted { sleep(60) }
        if let complaint {
            FileHandle.standardError.write(Data("reservelab: \(complaint)\n".utf8))
        }
        Children.shared.stopAll()
        exit(status)
    }
}

struct Lab {
    static let usage = """
        usage: reservelab list
               reservelab fetch
               reservelab hooks [--write]
               reservelab run --scenario NAME [--kernel 6.1|6.12] [--host prepared|default]
               reservelab test | proof [--repeat N] [--scenario NAME,NAME]
               reservelab tables
               reservelab demo [--demo wire|deadlock] [--kernel 6.1|6.12]
        options: --binary FILE (build/reservewatch), --out DIR (build/lab), --no-agent,
                 --agent-options WORDS
        """

    let command: String
    private var options: [String: String] = [:]

    init(_ arguments: [String]) throws {
        guard let command = arguments.first else { throw LabError.usage(Self.usage) }
        self.command = command
        var index = 1
        while index < arguments.count {
            let option = arguments[index]
            guard option.hasPrefix("--") else { throw LabError.usage(Self.usage) }
            if ["--no-agent", "--write"].contains(option) {
                options[option] = "yes"
                index += 1
                continue
            }
            guard index + 1 < arguments.count else { throw LabError.usage(Self.usage) }
            options[option] = arguments[index + 1]
            index += 2
        }
    }

    func option(_ name: String, _ usual: String) -> String { options["--\(name)"] ?? usual }

    /// The directory of the lab's own files, below the checkout that we run in.
    var lab: String { option("lab", FileManager.default.currentDirectoryPath + "/Tests/Lab") }
    var out: String { absolute(option("out", "build/lab")) }
    var binary: String { absolute(option("binary", "build/reservewatch")) }
    var cache: String { out + "/cache" }

    private func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
    }

    func run() throws -> Int32 {
        switch command {
        case "list":
            for scenario in try scenarios() {
                say(
                    "\(scenario.name.padding(toLength: 16, withPad: " ", startingAt: 0))\(scenario.about)"
                )
            }
            return 0
        case "fetch":
            try prepareCache()
            for name in KernelPackage.names { _ = try KernelPackage.fetch(name, cache: cache) }
            return 0
        case "hooks":
            try prepareCache()
            let hooks = Hooks(lab: lab, cache: cache)
            if options["--write"] == nil { return try hooks.compare() ? 0 : 1 }
            try hooks.write()
            return 0
        case "run":
            var scenario = try scenario(option("scenario", ""))
            let kernel = option("kernel", "6.12")
            guard scenario.kernels.isEmpty || scenario.kernels.contains(kernel) else {
                throw LabError.usage(
                    "\(scenario.name) runs on \(scenario.kernels.joined(separator: ", ")) only")
            }
            scenario.host = option("host", scenario.host)
            guard ["prepared", "default"].contains(scenario.host) else {
                throw LabError.usage("no host \"\(scenario.host)\"; choose prepared or default")
            }
            let report = try perform(scenario, kernel: kernel)
            return report.outcome.exitStatus(rowsPass: report.failures.isEmpty)
        case "test":
            try prepareCache()
            var tally = Tally()
            tally.count("hooks", passes: try Hooks(lab: lab, cache: cache).compare())
            return try series(Self.tested, times: 1, after: tally)
        case "proof":
            let chosen = option("scenario", "").split(separator: ",").map(String.init)
            return try series(
                chosen.isEmpty ? try runnable().map(\.name) : chosen,
                times: Int(option("repeat", "3")) ?? 3, numbered: true)
        case "tables":
            try WatchTables(lab: lab).write(out: out)
            return 0
        case "demo":
            return try Demo(lab: self).run()
        default:
            throw LabError.usage(Self.usage)
        }
    }

    /// What `make test` runs: each stem and each witness at least once. What a guest may deadlock
    /// in by chance, and what takes long, is left to `proof`.
    private static let tested = [
        "doctor", "guard", "guard-no-lsm", "sockets", "no-pressure", "series", "wire-pull", "oom",
        "overflow",
        "swap-errors", "storm", "receive-flood-deadlock", "receive-flood-rescue-spare",
    ]

    func prepareCache() throws {
        try FileManager.default.createDirectory(
            atPath: cache, withIntermediateDirectories: true)
    }

    func scenarios() throws -> [Scenario] {
        try FileManager.default.contentsOfDirectory(atPath: "\(lab)/scenarios").sorted()
            .filter { $0.hasSuffix(".scenario") }
            .map { try scenario(String($0.dropLast(9))) }
    }

    /// All but those that compare with a program that is not installed here: earlyoom is no
    /// package to put on somebody's machine unasked, it starts to kill there.
    private func runnable() throws -> [Scenario] {
        try scenarios().filter { scenario in
            let missing = scenario.companions.map(\.rawValue).filter {
                $0 != "shell" && Tools.path($0) == nil
            }
            if missing.isEmpty { return true }
            say(
                "lab: \(scenario.name) is left out: \(missing.joined(separator: ", ")) "
                    + "not installed")
            return false
        }
    }

    func scenario(_ name: String) throws -> Scenario {
        let path = "\(lab)/scenarios/\(name).scenario"
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw LabError.usage("no scenario \"\(name)\"; see: reservelab list")
        }
        return try Scenario.parse(text, name: name)
    }

    private func series(
        _ names: [String], times: Int, numbered: Bool = false, after tally: Tally = Tally()
    ) throws -> Int32 {
        var tally = tally
        var reports: [Report] = []
        for turn in 1...max(times, 1) {
            for name in names {
                let scenario = try scenario(name)
                for report in try performOnAllKernels(scenario, numbered: numbered) {
                    let label = "\(name)-\(report.kernel)" + (numbered ? ".\(turn)" : "")
                    tally.count(
                        label, report.outcome, rowsPass: report.failures.isEmpty, scenario,
                        kills: report.witnesses.oomKills.count)
                    reports.append(report)
                }
            }
        }
        for report in reports { report.printFailures() }
        for line in tally.lines { say(line) }
        return tally.exitStatus
    }

    /// One guest for each kernel that can run it, side by side: the emulator gives each one core.
    private func performOnAllKernels(_ scenario: Scenario, numbered: Bool) throws -> [Report] {
        let names = KernelPackage.names.filter {
            scenario.kernels.isEmpty || scenario.kernels.contains($0)
        }
        func start(_ name: String) throws -> LabRun {
            let plain = "\(out)/\(scenario.name)-\(name)"
            return try self.start(
                scenario, kernel: name, directory: numbered ? Self.next(plain) : plain,
                agentOptions: option("agent-options", ""))
        }
        if scenario.usesSystemd {
            // Their servers share a port.
            return try names.map { name in
                let run = try start(name)
                run.onRemark = { say("lab: \(name): \($0)") }
                try run.run()
                return try conclude(run)
            }
        }
        let runs = try names.map(start)
        for run in runs {
            let name = run.kernel.name
            run.onRemark = { say("lab: \(name): \($0)") }
        }
        DispatchQueue.concurrentPerform(iterations: runs.count) { runs[$0].runKeepingError() }
        return try runs.map { run in
            if let error = run.error { throw error }
            return try conclude(run)
        }
    }

    /// The first number that no run of a series has yet: none is ever overwritten.
    private static func next(_ plain: String) -> String {
        var number = 1
        while FileManager.default.fileExists(atPath: "\(plain).\(number)") { number += 1 }
        return "\(plain).\(number)"
    }

    func agent() throws -> WatchProgram? {
        if options["--no-agent"] != nil { return nil }
        guard FileManager.default.isExecutableFile(atPath: binary) else {
            throw LabError.missingTool(binary, install: "make build")
        }
        return WatchProgram(tool: binary)
    }

    /// A guest made ready: server started, emulator started.
    func start(
        _ scenario: Scenario, kernel name: String, directory: String, agentOptions: String
    ) throws -> LabRun {
        try prepareCache()
        let watch = try agent()
        let kernel = try KernelPackage.fetch(name, cache: cache)
        say("lab: \(scenario.name) on \(kernel.release), results in \(directory)")
        return try LabRun(
            scenario: scenario, kernel: kernel, lab: lab, cache: cache,
            directory: directory, watch: watch, agentOptions: agentOptions)
    }

    func perform(_ scenario: Scenario, kernel name: String) throws -> Report {
        let run = try start(
            scenario, kernel: name, directory: "\(out)/\(scenario.name)-\(name)",
            agentOptions: option("agent-options", ""))
        run.onRemark = { say("lab: \($0)") }
        try run.run()
        return try conclude(run)
    }

    /// The checks of a run that is over, its result file and its table.
    private func conclude(_ run: LabRun) throws -> Report {
        let scenario = run.scenario
        let directory = run.directory
        var rows: [Row] = []
        let readings = Readings(run)
        let watching = WatchChecks(run: run, readings: readings)
        if scenario.preparesByCommand, scenario.host == "prepared" {
            rows += PreparedChecks(run: run).rows()
        }
        if scenario.rules != nil, run.watch != nil {
            rows += EnforceChecks(run: run, readings: readings).rows()
        }
        if scenario.doctor {
            rows += try DoctorChecks(run: run, lab: lab).rows()
        } else if scenario.guarding {
            rows += try GuardChecks(run: run, lab: lab).rows()
        } else if let watch = run.watch {
            if run.outcome == .completed {
                var checks = Checks(run: run, readings: readings)
                checks.all()
                rows += checks.rows
            }
            rows += try Validation(lab: lab, out: directory, binary: watch.tool).rows(
                isComplete: run.outcome == .completed)
            if watch.agent != nil { rows += watching.rows() }
            if scenario.usesSystemd { rows += SystemdChecks(run: run).rows() }
            if scenario.trace, run.outcome == .completed {
                rows.append(
                    try KernelScripts(lab: lab, cache: cache).row(
                        of: directory, binary: watch.tool))
            }
        }
        var report = Report(
            scenario: scenario.name, kernel: run.kernel.name, kernelRelease: run.kernel.release,
            host: scenario.host, accelerator: run.guest.accelerator.rawValue,
            settings: Report.settings(run.guest.mark("SETTINGS") ?? ""),
            versions: Versions.all(kernel: run.kernel, binary: run.watch?.tool),
            agent: run.guest.mark("AGENT") ?? "", outcome: run.outcome, reason: run.reason,
            stuck: run.stuck.map { $0.sentence() }, lastedSeconds: run.lastedSeconds,
            worstEventGapSeconds: run.worstEventGapSeconds, serverStats: run.serverStats,
            rows: rows, witnesses: readings.witnesses, watch: run.watch?.name,
            beats: watching.beats, alerts: watching.account, selfAccount: watching.selfAccount,
            lockedKiB: watching.lockedKiB)
        try report.write(to: "\(directory)/result.json")
        if run.watch != nil, run.outcome == .completed {
            let exactness = ExactnessTable(lab: lab)
            report.rows.append(try exactness.row(of: directory))
            try report.write(to: "\(directory)/result.json")
            try exactness.write(out: out)
        }
        try WatchTables(lab: lab).write(out: out)
        report.printTable()
        return report
    }
}
