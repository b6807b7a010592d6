// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// A policy over a recording: what it would have done, at the moment at which it would.
///
/// Nothing is done, so nothing changes: what an act would have brought is not in the recording.
/// A rescue goes on through its steps as long as the host stays dead.
public struct Simulation: Sendable {
    private let set: RuleSet
    private let policy: Policy
    private var decider: Decider
    private var directives = DirectiveQueue(capacity: 64)
    private var told = BoundedList<Enforcement>(capacity: 64)
    /// Ticks of the recording: moments at which something could be decided.
    public private(set) var moments: UInt64 = 0
    /// How long each rule's condition held at a stretch, at most.
    public private(set) var longestHolds: [UInt64]

    public init(_ set: RuleSet, policy: Policy) {
        self.set = set
        self.policy = policy
        decider = Decider(set.asObserved, policy: policy)
        longestHolds = set.rules.map { _ in 0 }
    }

    /// Another agent's records begin: what was before is not the same any more.
    public mutating func restart() {
        decider = Decider(set.asObserved, policy: policy)
    }

    /// Decides for a moment, and hands what would be done to `body`.
    public mutating func decide(
        _ picture: borrowing Picture, at now: UInt64, _ body: (Enforcement) -> Void
    ) {
        moments += 1
        decider.decide(picture, at: now, &directives, told: &told)
        for index in directives.indices {
            let act = decider.wouldBe(directives[index])
            decider.hear(act)
            body(act)
        }
        for index in told.indices { body(told[index]) }
        directives.removeAll()
        told.removeAll()
        for index in longestHolds.indices {
            longestHolds[index] = max(longestHolds[index], decider.held(index))
        }
    }

    public var standings: [EnforceRuleState] { decider.standings }
}

extension RuleSet {
    /// Every rule that is not off, in the mode observe.
    var asObserved: RuleSet {
        var set = self
        for index in set.rules.indices where mode(of: rules[index]) == .enforce {
            set.rules[index].mode = .observe
        }
        return set
    }
}

extension Decider {
    /// How long the condition of a rule has held.
    func held(_ index: Int) -> UInt64 { states[index].conditionNanoseconds }

    /// A directive as the act that it would be, done at once.
    public func wouldBe(_ directive: Directive) -> Enforcement {
        var act = Enforcement()
        act.rule = names[directive.rule]
        act.ruleIndex = UInt32(directive.rule)
        act.serial = directive.serial
        act.mode = modes[directive.rule]
        act.verb = directive.verb
        act.outcome = .would
        act.reason = directive.reason
        act.choice = directive.choice
        act.target = targets[directive.rule]
        if let connection = directive.connection {
            act.target = FixedText(name: connection.disk)
        } else if case .largestIn(let place) = rules[directive.rule].target {
            act.target = FixedText(place.words)
        }
        act.deadlineBootNanoseconds = directive.deadlineBootNanoseconds
        return act
    }
}

extension FixedText {
    init(name: FixedName) {
        var bytes = InlineArray<16, UInt8>(repeating: 0)
        for index in 0..<16 { bytes[index] = name[index] }
        self = withUnsafeBytes(of: bytes) { FixedText(bytes: $0) }
    }
}
