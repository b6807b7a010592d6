// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit
import ReserveKernel

/// The hooks that each signal would get, judged by the kernels' files: no guest is booted.
struct Hooks {
    let lab: String
    let cache: String

    private var path: String { "\(lab)/../../docs/hooks.md" }

    /// Compares Debian's kernels with docs/hooks.md, and reports the running one.
    ///
    /// - Returns: whether nothing differs.
    func compare() throws -> Bool {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw LabError.failed("cannot read docs/hooks.md; reservelab hooks --write makes it")
        }
        let committed = HookDocument(parsing: text)
        var agrees = true
        for section in try debian() {
            let differences = committed.differences(from: section)
            for line in differences { say("    \(line)") }
            say(
                differences.isEmpty
                    ? "ok    hooks of \(section.source): \(section.rows.count) signals"
                    : "FAIL  hooks of \(section.source): not as in docs/hooks.md, "
                        + "under \(section.kernel)")
            agrees = agrees && differences.isEmpty
        }
        let kernels = Set(KernelPackage.names.map(Self.heading))
        for section in committed.sections where !kernels.contains(section.kernel) {
            say("FAIL  docs/hooks.md has \(section.kernel), which is no kernel of the lab")
            agrees = false
        }
        if !agrees {
            say("      if it is meant: scripts/lab hooks --write, and say why in the commit")
        }
        try reportRunning()
        return agrees
    }

    /// Writes the tables anew, below the prose that is there.
    func write() throws {
        let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? "# Hooks\n\n"
        let head = HookDocument(parsing: text).head
        try HookDocument(head: head, sections: try debian()).text.write(
            toFile: path, atomically: true, encoding: .utf8)
        say("lab: wrote docs/hooks.md")
    }

    private static func heading(_ kernel: String) -> String { "Debian \(kernel)" }

    private func debian() throws -> [HookDocument.Section] {
        try KernelPackage.names.map { name in
            let kernel = try KernelPackage.fetch(name, cache: cache)
            let facts = try Self.facts(btf: try kernel.vmlinux(), config: kernel.config)
            return HookDocument.Section(
                kernel: Self.heading(name), source: kernel.package, rows: Self.rows(facts))
        }
    }

    private static func facts(btf: String, config: String) throws -> KernelFacts {
        do throws(WatchError) {
            return try KernelFacts.read(btf: btf, config: config)
        } catch {
            throw LabError.failed(error.sentence)
        }
    }

    /// One row for each signal; one that is watched only when asked for has the hook that it
    /// would get.
    private static func rows(_ facts: KernelFacts) -> [HookDocument.Row] {
        var rules = GuardRules()
        for rule in GuardRules.Rule.allCases { rules[rule] = .enforce }
        let armed = HookPlan(
            facts: facts, armed: Set(HookPlan.Arm.allCases), guarding: rules
        ).choices
        return zip(HookPlan.signals, armed).map { signal, choice in
            var with = signal.armedBy.map { " with --arm \($0.rawValue)" } ?? ""
            if let part = signal.guardedBy, part.onlyRefuses {
                with = " with \(part.rule.rawValue)=enforce"
            }
            return HookDocument.Row(
                signal: choice.name, state: choice.stateName + with,
                path: choice.path.isEmpty ? "-" : choice.path, reason: choice.reason)
        }
    }

    /// The running kernel, by its files and, where we may, by trial. It differs by machine, so
    /// it is told and never fails.
    private func reportRunning() throws {
        let btf = "/sys/kernel/btf/vmlinux"
        guard FileManager.default.fileExists(atPath: btf) else {
            return say("      the running kernel has no \(btf)")
        }
        let config = try runningConfig()
        let told = Self.rows(try Self.facts(btf: btf, config: config))
        say("      hooks of the running kernel, by its files:")
        for line in Self.changed(told) { say("      \(line)") }
        let found: KernelFacts
        do throws(WatchError) {
            found = try KernelFacts.discover()
        } catch {
            return say("      asked itself, it refuses: \(error.sentence)")
        }
        let differences = HookDocument(
            head: "", sections: [HookDocument.Section(kernel: "", rows: told)]
        ).differences(from: HookDocument.Section(kernel: "", rows: Self.rows(found)))
        say(
            differences.isEmpty
                ? "      asked itself, it says the same"
                : "      asked itself (+), it gives other ones than its files promise (-):")
        for line in differences { say("      \(line)") }
    }

    /// What is not the best, or that all is.
    private static func changed(_ rows: [HookDocument.Row]) -> [String] {
        let other = rows.filter { !$0.state.hasPrefix("primary") }
        let lines = other.map { "\($0.state) \($0.signal): \($0.path) (\($0.reason))" }
        return lines + ["primary \(rows.count - other.count) of \(rows.count)"]
    }

    private func runningConfig() throws -> String {
        if let gzip = Tools.path("gzip"), FileManager.default.fileExists(atPath: "/proc/config.gz")
        {
            let path = "\(cache)/config-running"
            try Tools.run(gzip, ["-dc", "/proc/config.gz"]).write(
                toFile: path, atomically: true, encoding: .utf8)
            return path
        }
        let release = try Tools.run(try Tools.require("uname", package: "coreutils"), ["-r"])
        return "/boot/config-\(release.trimmingCharacters(in: .newlines))"
    }
}
