// SPDX-License-Identifier: Apache-2.0

import CBPF

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
    }

    /// How often a hook runs on a host; docs/cost.md has what each run costs.
    public enum Cost: String, Sendable {
        /// At the start only.
        case once
        /// With the agent's timer, whatever the load.
        case beat
        /// Only under memory pressure.
        case rare
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

        init(
            _ path: String, _ programs: [String], needs: [Need], known: [rw_known], cost: Cost,
            blind: String
        ) {
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

        init(_ stem: rw_stem, _ name: String, armedBy: Arm? = nil, _ candidates: Candidate...) {
            self.stem = stem.rawValue
            self.name = name
            self.candidates = candidates
            self.armedBy = armedBy
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
        "find_socket_tasks",
    ]

    static let timerPrograms = ["find_nodes", "start_sampler", "final_report"]

    /// Counts the entries of our tables. No signal: without it these figures are absent.
    static let countTables = "count_tables"

    /// Programs beside those of the signals.
    var extras: [String] {
        facts.functions.contains("bpf_map_sum_elem_count") && refused[Self.countTables] == nil
            ? [Self.countTables] : []
    }

    private let facts: KernelFacts
    private let armed: Set<Arm>
    private var refused: [String: String] = [:]

    public init(facts: KernelFacts, armed: Set<Arm> = []) {
        self.facts = facts
        self.armed = armed
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
            for (rank, candidate) in signal.candidates.enumerated() {
                if let lack = lack(of: candidate) {
                    if reason.isEmpty { reason = "\(candidate.path): \(lack)" }
                    continue
                }
                return Choice(
                    stem: signal.stem, name: signal.name, path: candidate.path,
                    programs: candidate.programs, known: candidate.known,
                    state: (rank == 0 ? RW_HOOK_PRIMARY : RW_HOOK_FALLBACK).rawValue,
                    reason: reason, cost: candidate.cost, blind: candidate.blind)
            }
            return Choice(
                stem: signal.stem, name: signal.name, path: "", programs: [], known: 0,
                state: RW_HOOK_MISSING.rawValue, reason: reason)
        }
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
    private func lack(of candidate: Candidate) -> String? {
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
            }
        }
        for program in candidate.programs {
            if let reason = refused[program] { return reason }
        }
        return nil
    }
}
