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
    }

    public struct Candidate: Equatable, Sendable {
        public var path: String
        public var programs: [String]
        public var needs: [Need]
        public var known: UInt64
    }

    public struct Signal: Equatable, Sendable {
        public var stem: UInt32
        public var name: String
        public var candidates: [Candidate]
    }

    public struct Choice: Equatable, Sendable {
        public var stem: UInt32
        public var name: String
        public var path: String
        public var programs: [String]
        public var known: UInt64
        public var state: UInt32
        public var reason: String
    }

    /// Programs that are not attached to anything: we run them.
    static let runByUs: Set<String> = ["find_nodes", "start_sampler", "final_report"]

    private let facts: KernelFacts
    private var refused: [String: String] = [:]

    public init(facts: KernelFacts) {
        self.facts = facts
    }

    /// Strikes a program that the kernel did not take.
    public mutating func refuse(program: String, reason: String) {
        refused[program] = reason
    }

    /// One choice for each signal, in the order of ``signals``.
    public var choices: [Choice] {
        Self.signals.map { signal in
            var reason = ""
            for (rank, candidate) in signal.candidates.enumerated() {
                if let lack = lack(of: candidate) {
                    if reason.isEmpty { reason = "\(candidate.path): \(lack)" }
                    continue
                }
                return Choice(
                    stem: signal.stem, name: signal.name, path: candidate.path,
                    programs: candidate.programs, known: candidate.known,
                    state: (rank == 0 ? RW_HOOK_PRIMARY : RW_HOOK_FALLBACK).rawValue,
                    reason: reason)
            }
            return Choice(
                stem: signal.stem, name: signal.name, path: "", programs: [], known: 0,
                state: RW_HOOK_MISSING.rawValue, reason: reason)
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
