// SPDX-License-Identifier: Apache-2.0

import CBPF
import Glibc

/// Which hook each signal gets on a kernel: facts in, decision out.
///
/// A signal has candidates in order of preference. The first one whose needs
/// the facts meet is taken; what the better ones lacked is kept as the reason
/// that the user sees. A program that the kernel refuses at load time is
/// reported back as ``refuse(program:reason:)`` and the plan decides anew.
public struct HookPlan: Equatable, Sendable {
    /// A precondition of a candidate.
    public enum Need: Equatable, Sendable {
        case tracepoint(String)
        case fentry(String)
        case symbols([String])
        /// One of these, for a variable that moved between kernels.
        case anySymbol([String])
        case module(String)
        /// The timer in the kernel, which reports for this signal.
        case timer
        /// A program of another signal, not refused.
        case loaded(String)
        /// The BPF LSM is switched on, and has this hook.
        case lsm(String)
        /// A security_*() whose return may be modified.
        case modifyReturn(String)
        /// A function of a module.
        case moduleFunction(String, of: String)
        /// The NBD driver's number at generic netlink.
        case nbdFamily
    }

    /// How often a hook runs on a host; docs/cost.md has what each run costs.
    public enum Cost: String, Sendable {
        /// At the start only.
        case once
        /// With the agent's timer, whatever the load.
        case beat
        /// Only under memory pressure.
        case rare
        /// Only when somebody does what it is for.
        case attempt
        /// For each open(2) and its like.
        case open
        /// For each ioctl(2), and each message over netlink.
        case control
        /// For each new connection.
        case connection
        /// For each block request or swap bio.
        case request
        /// For each slab that a cache gets or gives back.
        case slab
        /// For each network packet.
        case packet
        /// For each page that is allocated or freed.
        case page
        /// For each object that is allocated or freed: some per cent of a busy host.
        case object
    }

    /// What is watched only when asked for, with `--arm`.
    public enum Arm: String, CaseIterable, Sendable {
        case slab
        case skbs
        case pages
    }

    public struct Candidate: Equatable, Sendable {
        public var path: String
        public var programs: [String]
        public var needs: [Need]
        public var known: UInt64
        public var cost: Cost
        /// What this way cannot see; empty where it sees all.
        public var blind: String
        /// Whether what it sees may be refused.
        public var canRefuse = false

        init(
            _ path: String, _ programs: [String], needs: [Need], known: [rw_known], cost: Cost,
            blind: String, canRefuse: Bool = false
        ) {
            self.canRefuse = canRefuse
            self.path = path
            self.programs = programs
            self.needs = needs
            self.known = known.reduce(0) { $0 | UInt64($1.rawValue) }
            self.cost = cost
            self.blind = blind
        }
    }

    public struct Signal: Equatable, Sendable {
        public var stem: UInt32
        public var name: String
        public var candidates: [Candidate]
        /// nil: always watched.
        public var armedBy: Arm?
        /// The guard's rule that it serves.
        public var guardedBy: GuardPart?

        /// What a signal is to the guard.
        public struct GuardPart: Equatable, Sendable {
            public var rule: GuardRules.Rule
            /// Where the rule is `enforce`, it is this one that refuses.
            public var refuses: Bool
            /// It does nothing else, and is not loaded for less.
            public var onlyRefuses: Bool
        }

        init(_ stem: rw_stem, _ name: String, armedBy: Arm? = nil, _ candidates: Candidate...) {
            self.stem = stem.rawValue
            self.name = name
            self.candidates = candidates
            self.armedBy = armedBy
        }

        init(
            _ name: String, _ rule: GuardRules.Rule, refuses: Bool = false,
            onlyRefuses: Bool = false, _ candidates: Candidate...
        ) {
            stem = RW_STEM_GUARD.rawValue
            self.name = name
            self.candidates = candidates
            guardedBy = GuardPart(rule: rule, refuses: refuses, onlyRefuses: onlyRefuses)
        }
    }

    public struct Choice: Equatable, Sendable {
        public var stem: UInt32
        public var name: String
        public var path: String
        public var programs: [String]
        public var known: UInt64
        public var state: UInt32
        public var reason: String
        /// nil where nothing runs.
        public var cost: Cost?
        public var blind: String = ""
        public var canRefuse = false

        /// The state's word, as in docs/events.md.
        public var stateName: String {
            switch state {
            case RW_HOOK_PRIMARY.rawValue: "primary"
            case RW_HOOK_FALLBACK.rawValue: "fallback"
            case RW_HOOK_OFF.rawValue: "off"
            default: "missing"
            }
        }
    }

    /// Programs that are not attached to anything: we run them.
    static let runByUs: Set<String> = [
        "find_nodes", "start_sampler", "final_report", "find_tcp_sockets", "find_unix_sockets",
        "find_socket_tasks", "guard_begin", "guard_find_clients", "guard_find_holders",
        "guard_end",
    ]

    static let timerPrograms = ["find_nodes", "start_sampler", "final_report"]
    static let searchPrograms = [
        "guard_begin", "guard_find_clients", "guard_find_holders", "guard_end",
    ]

    /// Counts the entries of our tables. No signal: without it these figures are absent.
    static let countTables = "count_tables"

    /// Programs beside those of the signals.
    var extras: [String] {
        facts.functions.contains("bpf_map_sum_elem_count") && refused[Self.countTables] == nil
            ? [Self.countTables] : []
    }

    private let facts: KernelFacts
    private let armed: Set<Arm>
    let guarding: GuardRules
    private var refused: [String: String] = [:]

    public init(
        facts: KernelFacts, armed: Set<Arm> = [], guarding: GuardRules = GuardRules()
    ) {
        self.facts = facts
        self.armed = armed
        self.guarding = guarding
    }

    /// Strikes a program that the kernel did not take.
    public mutating func refuse(program: String, reason: String) {
        refused[program] = reason
    }

    /// One choice for each signal, in the order of ``signals``.
    public var choices: [Choice] {
        Self.signals.map { signal in
            var reason = ""
            if let arm = signal.armedBy, !armed.contains(arm) {
                return Choice(
                    stem: signal.stem, name: signal.name, path: "", programs: [], known: 0,
                    state: RW_HOOK_OFF.rawValue, reason: "off; --arm \(arm.rawValue) arms it")
            }
            if let off = off(signal) {
                return Choice(
                    stem: signal.stem, name: signal.name, path: "", programs: [], known: 0,
                    state: RW_HOOK_OFF.rawValue, reason: off)
            }
            for (rank, candidate) in signal.candidates.enumerated() {
                if let lack = lack(of: candidate) {
                    if reason.isEmpty { reason = "\(candidate.path): \(lack)" }
                    continue
                }
                return Choice(
                    stem: signal.stem, name: signal.name, path: candidate.path,
                    programs: candidate.programs, known: candidate.known,
                    state: (rank == 0 ? RW_HOOK_PRIMARY : RW_HOOK_FALLBACK).rawValue,
                    reason: reason, cost: candidate.cost, blind: candidate.blind,
                    canRefuse: candidate.canRefuse)
            }
            return Choice(
                stem: signal.stem, name: signal.name, path: "", programs: [], known: 0,
                state: RW_HOOK_MISSING.rawValue, reason: reason)
        }
    }

    /// Why the guard's rules do not want a signal, or nil.
    private func off(_ signal: Signal) -> String? {
        guard let part = signal.guardedBy else { return nil }
        let mode = guarding.mode(part.rule)
        if part.onlyRefuses {
            return mode == .enforce ? nil : "off; [Guard] \(part.rule.rawValue)=enforce arms it"
        }
        return mode == .off ? "off by [Guard] \(part.rule.rawValue)=off" : nil
    }

    /// The choices, with what became known as they were put to work: sockets in a network
    /// namespace that could not be entered were not looked at.
    static func noting(unseenNamespaces: Int, in choices: [Choice]) -> [Choice] {
        guard unseenNamespaces > 0 else { return choices }
        return choices.map { choice in
            guard choice.programs.contains("find_tcp_sockets") else { return choice }
            var noted = choice
            noted.state = RW_HOOK_FALLBACK.rawValue
            noted.reason = "\(unseenNamespaces) network namespaces cannot be entered"
            return noted
        }
    }

    /// Why a candidate cannot be had, or nil.
    func lack(of candidate: Candidate) -> String? {
        for need in candidate.needs {
            switch need {
            case .tracepoint(let name):
                if !facts.tracepoints.contains(name) { return "no tracepoint \(name)" }
            case .fentry(let name):
                if !facts.functions.contains(name) { return "\(name)() is inlined or renamed" }
                if facts.fentry != 0 {
                    return "kernel refuses fentry (\(describe(errno: facts.fentry)))"
                }
            case .symbols(let names):
                for name in names where facts.symbols[name] == nil {
                    return "\(name) not in kallsyms"
                }
            case .anySymbol(let names):
                if !names.contains(where: { facts.symbols[$0] != nil }) {
                    return "\(names.joined(separator: ", ")) not in kallsyms"
                }
            case .loaded(let program):
                if let reason = refused[program] { return reason }
            case .timer:
                for program in Self.timerPrograms {
                    if let reason = refused[program] { return "no timer: \(reason)" }
                }
            case .module(let name):
                if !facts.modules.contains(name) { return "\(name).ko was not loaded at the start" }
            case .moduleFunction(_, let name):
                if !facts.modules.contains(name) { return "\(name).ko was not loaded at the start" }
                if facts.fentry != 0 {
                    return "kernel refuses fentry (\(describe(errno: facts.fentry)))"
                }
            case .lsm(let name):
                if !facts.functions.contains("bpf_lsm_\(name)") { return "no hook \(name)" }
                let never =
                    facts.listsBPF == false ? "bpf is not in lsm=" : "taken, and never called"
                if let lack = Self.lack(ofRefusal: facts.lsm, never) { return lack }
            case .modifyReturn(let name):
                if !facts.functions.contains(name) { return "\(name)() is inlined or renamed" }
                if let lack = Self.lack(ofRefusal: facts.modifyReturn, "taken, and never called") {
                    return lack
                }
            case .nbdFamily:
                if facts.nbdFamily <= 0 { return "the NBD driver is not at netlink" }
            }
        }
        for program in candidate.programs {
            if let reason = refused[program] { return reason }
        }
        return nil
    }

    /// What a trial of ``KernelFacts/lsm`` or ``KernelFacts/modifyReturn`` says.
    private static func lack(ofRefusal result: Int32, _ never: String) -> String? {
        switch result {
        case 0: nil
        case -ESRCH: never
        default: "refused (\(describe(errno: result)))"
        }
    }
}
