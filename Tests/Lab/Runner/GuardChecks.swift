// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// What came of each attempt in the guest, and what the agent told of it.
struct GuardChecks {
    private typealias Line = [String: Any]

    let run: LabRun
    let lab: String
    /// The lines of each agent, in the order in which they ran.
    private let rounds: [[Line]]

    init(run: LabRun, lab: String) {
        self.run = run
        self.lab = lab
        var rounds: [[Line]] = []
        for text in run.guest.text(run.guest.events).split(separator: "\n") {
            guard
                let line = (try? JSONSerialization.jsonObject(with: Data(text.utf8))) as? Line,
                let kind = line["kind"] as? String
            else { continue }
            if kind == "start" { rounds.append([]) }
            if !rounds.isEmpty { rounds[rounds.count - 1].append(line) }
        }
        self.rounds = rounds
    }

    func rows() throws -> [Row] {
        let validation = Validation(
            lab: lab, out: run.directory, binary: run.watch?.tool ?? "")
        return try [validation.schema(named: "events", of: run.guest.events)] + steps + refusals
            + hooks + guardedRoles + totals + [alive, punctual, kept]
    }

    private func events(_ round: [Line]) -> [Line] { round.compactMap { $0["guard"] as? Line } }

    private var steps: [Row] {
        var outcomes: [String: String] = [:]
        for line in run.guest.says.text.split(separator: "\n") {
            let words = line.split(separator: " ")
            // "# UPTIME TRIED NAME OUTCOME"
            if words.count == 5, words[2] == "TRIED" {
                outcomes[String(words[3])] = String(words[4])
            }
        }
        let attempts = rounds.flatMap(events).filter { $0["phase"] as? String == "attempt" }
        let told = Dictionary(grouping: attempts) { event in
            (event["by"] as? Line)?["comm"] as? String ?? "-"
        }
        let known = Set(GuardStep.all.map(\.name))
        let strangers = told.keys.filter { !known.contains($0) }.sorted()
        return GuardStep.all.map { step in
            step.row(
                outcome: outcomes[step.name], told: (told[step.name] ?? []).map(GuardStep.Told.init)
            )
        } + [.check("nobody else is told of", strangers.isEmpty, strangers.joined(separator: " "))]
    }

    /// Where nothing is called, nothing is promised; and nobody is locked out.
    private var refusals: [Row] {
        let marks = run.guest.says.text.split(separator: "\n").filter { $0.contains(" REFUSED ") }
        let wanted = [
            "guard=enforce", "guard_swapoff=enforce", "guard_disconnect=enforce", "lockout",
        ]
        return wanted.map { words in
            let said = marks.first { $0.contains(" REFUSED \(words) ") }.map(String.init) ?? "-"
            let isRight =
                said.contains("status=69") && said.contains("cannot be honoured")
                && (words != "lockout" || said.contains("nobody but process 1"))
            return .check("refused at the start: \(words)", isRight, String(said.suffix(200)))
        }
    }

    /// With bpf among the LSMs by them, else by fmod_ret.
    private var hooks: [Row] {
        let isListed = !run.scenario.kernelWords.contains("lsm=")
        let prefix = isListed ? "lsm/" : "fmod_ret/security_"
        let start = (rounds.count > 1 ? rounds[1] : []).first?["start"] as? Line
        let hooks = start?["hooks"] as? [Line] ?? []
        return ["signals", "traces", "swapoff_refusal", "disconnect_refusal"].map { name in
            let hook = hooks.first { $0["signal"] as? String == "guard.\(name)" }
            let path = hook?["path"] as? String ?? "-"
            let reason = hook?["reason"] as? String ?? ""
            return .check(
                "hook of guard.\(name)",
                path.hasPrefix(prefix) && (isListed || reason.contains("bpf is not in lsm=")),
                path, note: reason)
        }
    }

    private var guardedRoles: [Row] {
        zip(["observing", "enforcing"], rounds).map { name, round in
            let found = events(round).filter { $0["phase"] as? String == "guarded" }
                .map { event in
                    let roles = event["roles"] as? [String] ?? []
                    return "\(roles.joined(separator: "+")):\(event["device"] as? String ?? "-")"
                }
            return .check(
                "who is guarded, \(name)",
                found.sorted() == ["agent:-", "client:nbd0", "server:nbd2"],
                found.sorted().joined(separator: " "))
        }
    }

    /// The totals are made in the kernel, the events are what came through.
    private var totals: [Row] {
        zip(["observing", "enforcing"], rounds).flatMap { name, round -> [Row] in
            let last = round.last { $0["summary"] != nil }?["summary"] as? Line
            let totals = last?["guard"] as? Line ?? [:]
            let attempts = events(round).filter { $0["phase"] as? String == "attempt" }
            return ["signal", "trace", "freeze", "swapoff", "disconnect"].flatMap { action in
                ["allowed", "excepted", "refused"].map { result in
                    .equal(
                        "guard total: \(action) \(result), \(name)",
                        agent: (totals[action] as? Line)?[result] as? Int,
                        kernel: attempts.count {
                            $0["action"] as? String == action
                                && $0["result"] as? String == result
                        }, note: "kernel is the events here")
                }
            }
        }
    }

    /// `prepare`, of a server of which nothing is locked: memory.swap.max and memory.min.
    private var kept: Row {
        let kept = run.guest.mark("KEPT") ?? "-"
        let left = run.guest.mark("LEFT") ?? "-"
        let words = kept.split(separator: " ")
        let minimum = words.count == 2 ? Int(words[1]) ?? 0 : 0
        return .check(
            "an unlocked server is kept by its cgroup, and let go",
            words.first == "0" && minimum > 0 && left == "max 0", "\(kept); \(left)")
    }

    private var punctual: Row {
        let late = run.guest.says.text.split(separator: "\n").filter { $0.contains(" LATE ") }
        return .check("nothing was waited for in vain", late.isEmpty, late.joined(separator: "; "))
    }

    private var alive: Row {
        let words = run.guest.mark("ALIVE") ?? "-"
        return .check("all that was refused did nothing", words == "yes", words)
    }
}
