// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// The picture in, directives out: what to do to the host by the rules, and when to take it back.
///
/// Pure, as the model is: time comes with the picture, what came of an act comes as an event.
/// A recording through it gives what the watch would have decided. Does not allocate after
/// ``init(_:policy:)``.
public struct Decider: Sendable {
    public let rules: [Rule]
    let policy: Policy
    let names: [FixedText]
    let targets: [FixedText]
    var modes: [EnforceMode]
    var states: [RuleProgress]
    /// Of each rule: how often it acted, and what stands.
    public internal(set) var standings: [EnforceRuleState]
    var lastSerial: UInt32 = 0
    private var lastLook: UInt64 = 0

    /// What stands is taken back when its reason was gone for so long.
    static let releaseAfter: UInt64 = 1_000_000_000
    /// An act whose end is not heard of for so long is not waited for any more.
    static let answerAfter: UInt64 = 10_000_000_000
    /// From one kill to the next, so that what the former freed is seen.
    static let betweenKills: UInt64 = 500_000_000

    public init(_ set: RuleSet, policy: Policy) {
        rules = Array(set.rules.prefix(RuleSet.mostRules))
        self.policy = policy
        names = rules.map { FixedText($0.name) }
        targets = rules.map { FixedText($0.target.words) }
        modes = rules.map { set.mode(of: $0) }
        states = rules.map { _ in RuleProgress() }
        standings = []
        for (index, rule) in rules.enumerated() {
            var standing = EnforceRuleState()
            standing.name = names[index]
            standing.index = UInt32(index)
            standing.mode = modes[index]
            standing.verb = rule.action.verb
            standing.target = targets[index]
            standings.append(standing)
        }
    }

    /// Decides for the present moment.
    ///
    /// - Parameters:
    ///   - directives: what to do, in this order.
    ///   - told: what of it happens here alone, and is only to be told.
    public mutating func decide(
        _ picture: borrowing Picture, at now: UInt64, _ directives: inout DirectiveQueue,
        told: inout BoundedList<Enforcement>
    ) {
        // A host that was stopped itself has not waited.
        let step = lastLook == 0 ? 0 : min(now &- lastLook, policy.longestStep)
        lastLook = now
        for index in rules.indices where modes[index] != .off {
            var holds = rules[index].holds(in: picture, policy)
            if !rules[index].action.isUndone, !Self.isHopeless(picture) { holds = false }
            // The first look at which it holds begins the time.
            let goesOn = holds && states[index].wasHolding
            states[index].heldNanoseconds = goesOn ? states[index].heldNanoseconds &+ step : 0
            states[index].clearNanoseconds = holds ? 0 : states[index].clearNanoseconds &+ step
            states[index].conditionNanoseconds =
                goesOn ? states[index].conditionNanoseconds &+ step : 0
            states[index].wasHolding = holds
            if !holds { states[index].isBlocked = false }
            let isDue =
                holds && states[index].heldNanoseconds >= rules[index].holdNanoseconds
            switch rules[index].action {
            case .freeze, .memoryHigh, .stop:
                standOrRelease(index, isDue, now, &directives, &told)
            case .kill, .killCgroup: kill(index, isDue, now, &directives, &told)
            case .rescue: rescue(index, isDue, picture, now, step, &directives, &told)
            }
        }
    }

    /// Whether anything may be done that is for good. A lost wire heals by itself; and where a
    /// request completes now and then the host goes on, though it is still called stalling, for
    /// ``Policy/stateHold``.
    private static func isHopeless(_ picture: borrowing Picture) -> Bool {
        if picture.findings.lostWire == .confirmed { return false }
        switch picture.verdict.conditions.progress {
        case .stopped, .failing: return true
        case .unknown, .idle, .moving: return false
        }
    }

    /// Takes in whether a connection stands ready to take an ended one's place.
    public mutating func setSpare(_ index: Int, _ spare: EnforceRuleState.Spare) {
        standings[index].spare = spare
    }

    /// Takes in what came of an act.
    public mutating func hear(_ act: Enforcement) {
        let index = Int(act.ruleIndex)
        guard rules.indices.contains(index), act.verb != .rescue else { return }
        if act.verb.isUndoing {
            if act.outcome == .failed { standings[index].failed &+= 1 }
            if act.outcome == .done { standings[index].undone &+= 1 }
            // By the keeper, at the deadline or otherwise: it stands no more.
            if states[index].standingSerial == act.serial, act.outcome != .failed {
                states[index].stands = false
                standings[index].stands = false
            }
            return
        }
        standings[index][act.outcome] &+= 1
        let isFutile = act.outcome == .failed || act.outcome == .refused
        if isFutile, act.serial == states[index].standingSerial {
            // Not again before it was over once.
            states[index].stands = false
            standings[index].stands = false
            states[index].isBlocked = true
        }
        // What is done on the way answers for nothing.
        guard states[index].serial == act.serial, act.verb != .calmQueue else { return }
        states[index].isAnswered = true
        states[index].hasFailed = isFutile
    }

    // MARK: acts that stand

    private mutating func standOrRelease(
        _ index: Int, _ isDue: Bool, _ now: UInt64, _ directives: inout DirectiveQueue,
        _ told: inout BoundedList<Enforcement>
    ) {
        if states[index].stands {
            let isOver = now >= states[index].deadline
            guard isOver || states[index].clearNanoseconds >= Self.releaseAfter else { return }
            undo(index, isOver ? .deadline : .released, now, &directives)
            // What was given up at its deadline must hold anew from here on.
            states[index].heldNanoseconds = 0
            return
        }
        guard isDue, !states[index].isBlocked, isAllowed(index, now, &told) else { return }
        states[index].deadline = now &+ rules[index].limits.durationNanoseconds
        act(index, rules[index].action.verb, rules[index].target.choice, now, &directives)
        states[index].stands = true
        standings[index].stands = true
    }

    mutating func undo(
        _ index: Int, _ reason: EnforceReason, _ now: UInt64, _ directives: inout DirectiveQueue
    ) {
        guard let verb = rules[index].action.verb.undoing else { return }
        directives.append(
            Directive(
                serial: states[index].standingSerial, rule: index, verb: verb,
                isEnforced: modes[index] == .enforce, reason: reason, choice: .named,
                bootNanoseconds: now))
        states[index].stands = false
        standings[index].stands = false
    }

    // MARK: acts that are for good

    private mutating func kill(
        _ index: Int, _ isDue: Bool, _ now: UInt64, _ directives: inout DirectiveQueue,
        _ told: inout BoundedList<Enforcement>
    ) {
        // A break of a moment, as when one request completes, does not make another occasion.
        if states[index].clearNanoseconds >= Self.releaseAfter { states[index].victims = 0 }
        guard isDue, !isWaiting(index, now) else { return }
        if states[index].victims == 0 {
            guard isAllowed(index, now, &told) else { return }
        } else {
            let most = rules[index].action == .killCgroup ? 1 : rules[index].limits.victims
            guard states[index].victims < most, !states[index].hasFailed,
                now &- states[index].acted >= Self.betweenKills
            else { return }
        }
        act(index, rules[index].action.verb, rules[index].target.choice, now, &directives)
        states[index].victims += 1
        // The next one wants the whole time anew: what this one freed must show.
        states[index].heldNanoseconds = 0
    }

    /// Whether the former act has not been heard of.
    func isWaiting(_ index: Int, _ now: UInt64) -> Bool {
        states[index].serial > 0 && !states[index].isAnswered
            && now &- states[index].acted < Self.answerAfter
    }

    // MARK: for all

    /// Whether the limits allow another time; told once for each occasion when they do not.
    mutating func isAllowed(
        _ index: Int, _ now: UInt64, _ told: inout BoundedList<Enforcement>
    ) -> Bool {
        let limits = rules[index].limits
        var count = 0
        for place in 0..<Rule.Limits.mostTimes {
            let time = states[index].times[place]
            if time > 0, now &- time < limits.everyNanoseconds { count += 1 }
        }
        if count < limits.times {
            states[index].times[states[index].nextTime] = now
            states[index].nextTime = (states[index].nextTime + 1) % Rule.Limits.mostTimes
            return true
        }
        states[index].isBlocked = true
        states[index].heldNanoseconds = 0
        guard !states[index].isLimitTold || now &- states[index].limitTold >= Self.limitAgain
        else { return false }
        states[index].isLimitTold = true
        states[index].limitTold = now
        tell(index, rules[index].action.verb, .limited, .rule, 0, &told)
        return false
    }

    /// That a rule is at its limit is told no more often.
    private static let limitAgain: UInt64 = 60_000_000_000

    mutating func act(
        _ index: Int, _ verb: EnforceVerb, _ choice: EnforceChoice, _ now: UInt64,
        _ directives: inout DirectiveQueue, connection: Directive.Connection? = nil
    ) {
        lastSerial &+= 1
        var directive = Directive(
            serial: lastSerial, rule: index, verb: verb, isEnforced: modes[index] == .enforce,
            reason: .rule, choice: choice, bootNanoseconds: now)
        directive.connection = connection
        if verb.undoing != nil {
            directive.deadlineBootNanoseconds = states[index].deadline
            states[index].standingSerial = lastSerial
        }
        states[index].serial = lastSerial
        states[index].acted = now
        states[index].isAnswered = false
        states[index].hasFailed = false
        directives.append(directive)
    }

    mutating func tell(
        _ index: Int, _ verb: EnforceVerb, _ outcome: EnforceOutcome, _ reason: EnforceReason,
        _ serial: UInt32, _ told: inout BoundedList<Enforcement>
    ) {
        var act = Enforcement()
        act.rule = names[index]
        act.ruleIndex = UInt32(index)
        act.serial = serial
        act.mode = modes[index]
        act.verb = verb
        act.outcome = outcome
        act.reason = reason
        act.target = targets[index]
        if verb != .rescue { standings[index][outcome] &+= 1 }
        told.append(act)
    }
}

/// Where one rule is.
struct RuleProgress: Sendable {
    /// How long all that it waits for has held, and how long it has not.
    var heldNanoseconds: UInt64 = 0
    var clearNanoseconds: UInt64 = 0
    /// As the first, but not begun anew by acts.
    var conditionNanoseconds: UInt64 = 0
    var wasHolding = false
    /// It failed or is at its limit: not again before what it waits for was over once.
    var isBlocked = false
    /// The last act, when it was asked for, and whether its end was heard of.
    var serial: UInt32 = 0
    var acted: UInt64 = 0
    var isAnswered = false
    var hasFailed = false
    /// An act stands: which one, and until when.
    var stands = false
    var standingSerial: UInt32 = 0
    var deadline: UInt64 = 0
    /// Killed on this occasion.
    var victims = 0
    /// When it began to act, in a ring.
    var times = InlineArray<8, UInt64>(repeating: 0)
    var nextTime = 0
    var isLimitTold = false
    var limitTold: UInt64 = 0
    var rescue = RescueProgress()
}
