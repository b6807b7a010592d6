// SPDX-License-Identifier: Apache-2.0

import CBPF
import ReserveKernel

/// The hooks of a kernel as `doctor` prints them.
enum HookTable {
    /// All lines of a signal: state, name and path; what it costs and does not see; why
    /// it has no better one.
    ///
    ///     fallback  throttle.calls              /proc/vmstat
    ///               cost: beat (the agent's timer, whatever the load)
    ///               blind to: who begins and ends; ...
    ///               not better: ...
    static func lines(for choice: HookPlan.Choice) -> [String] {
        let indent = String(repeating: " ", count: 10)
        let name = padded(choice.name, to: 28)
        let path = choice.path.isEmpty ? "-" : choice.path
        var lines = [padded(choice.stateName, to: 10) + name + path]
        if let cost = choice.cost {
            lines.append("\(indent)cost: \(cost.rawValue) (\(cost.words))")
        }
        if !choice.blind.isEmpty { lines.append("\(indent)blind to: \(choice.blind)") }
        if choice.state == RW_HOOK_OFF.rawValue {
            lines.append("\(indent)\(choice.reason)")
        } else if !choice.reason.isEmpty {
            lines.append("\(indent)not better: \(choice.reason)")
        }
        return lines
    }

    static func text(_ choices: [HookPlan.Choice]) -> String {
        choices.flatMap(lines).map { $0 + "\n" }.joined()
    }

    private static func padded(_ text: String, to width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}

extension HookPlan.Cost {
    /// What the hook runs for; docs/cost.md has what a run costs.
    var words: String {
        switch self {
        case .once: "at the start only"
        case .beat: "the agent's timer, whatever the load"
        case .rare: "only under memory pressure"
        case .attempt: "each signal, trace or swapoff of the host"
        case .open: "each open(2) of the host"
        case .control: "each ioctl(2) and each netlink message of the host"
        case .connection: "each new connection"
        case .request: "each block request or swap bio"
        case .slab: "each slab that a cache gets or gives back"
        case .packet: "each network packet"
        case .page: "each page allocated or freed"
        case .object: "each object allocated or freed"
        }
    }
}
