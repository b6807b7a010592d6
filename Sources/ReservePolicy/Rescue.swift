// SPDX-License-Identifier: Apache-2.0

import ReserveModel

// The sequence for a host that is deadlocked already. Each step waits for what the former one
// did, and is taken only when that was not enough.

/// Where a rescue is.
struct RescueProgress: Sendable {
    enum Step: UInt8, Sendable {
        case none
        /// The load is to be frozen.
        case freezing
        /// One process after the other is killed.
        case killing
        /// All that may be killed was: whether that helped shows now.
        case waiting
        /// The swap's connection was ended; what was sent on it ends with the device.
        case ending
        /// As that, and another connection stands ready: what was sent is ended next.
        case clearing
        /// The other one is to be put in as soon as it answers.
        case replacing
        /// It was put in: whether requests complete on it shows now.
        case replaced
        /// Nothing is left to be done; what was stopped waits for its deadline.
        case exhausted
    }

    var step = Step.none
    /// When it was entered.
    var since: UInt64 = 0
    /// Killed, and kills that were asked for: not every one finds somebody.
    var victims = 0
    var tries = 0
    var hasHitOwner = false
    /// How long requests have completed again, or the host has received again.
    var goodNanoseconds: UInt64 = 0
    /// Connections that are still to be ended.
    var nextConnection = 0
    /// The device was disconnected as well.
    var hasDisconnected = false
    /// How often the steps were gone through.
    var rounds = 1
    /// Whose connection was ended.
    var disk = FixedName()
    /// The last kill was to hit the owner of the most unread.
    var isOwnerTried = false
    /// How often the other connection was tried.
    var attempts = 0

    /// No connection is there: when it is over now, for its deadline or a lost wire, nothing puts
    /// one in any more.
    var isBetween: Bool { step == .clearing || step == .replacing }

    /// What lies in swap is given up.
    var isSwapLost: Bool {
        nextConnection > 0 && !isBetween && step != .replaced
    }
}

extension Decider {
    /// The load freezes when it leaves the kernel; what is stuck there does not.
    private static var freezeWait: UInt64 { 500_000_000 }
    /// Memory that came free reached those who wait for it within 1.2 s in trials.
    private static var killWait: UInt64 { 2_000_000_000 }
    /// Kills that may find nobody, beyond those that the rule allows.
    private static var inVain: Int { 4 }
    /// Until who was stuck in sending has come out of it. What was sent already, and has no
    /// timeout, waits for a connection that is no more, and with it who waits in wbt_wait().
    private static var disconnectWait: UInt64 { 1_000_000_000 }
    /// Until who was stuck in sending has come out of it, where nobody needs to be waited for but
    /// them: as long as no connection is there, whoever reads from swap fails.
    private static var clearWait: UInt64 { 200_000_000 }
    /// So often the other connection is tried, two seconds each for its answer: it came after 0.3 to
    /// 6.1 s in the lab, and after 8 and 11 s on a machine with little time for the guest, where one
    /// that had given up received again after 33 s.
    private static var mostAttempts: Int { 16 }
    /// Until requests complete on it; when they stop again the steps begin anew, so often.
    private static var replacedWait: UInt64 { 5_000_000_000 }
    private static var mostRounds: Int { 2 }
    /// Until the host received again in trials: 0.14 to 0.94 s.
    private static var endWait: UInt64 { 10_000_000_000 }
    /// For so long it must go well after the connection's end.
    private static var settled: UInt64 { 1_000_000_000 }
    /// And for so long where swap is kept, with memory above low: a load that was let go on a
    /// second after its requests completed again deadlocked the host once more.
    private static var recoveredFor: UInt64 { 5_000_000_000 }

    mutating func rescue(
        _ index: Int, _ isDue: Bool, _ picture: borrowing Picture, _ now: UInt64, _ step: UInt64,
        _ directives: inout DirectiveQueue, _ told: inout BoundedList<Enforcement>
    ) {
        if states[index].rescue.step == .none {
            guard isDue, !states[index].isBlocked, isAllowed(index, now, &told) else { return }
            states[index].rescue = RescueProgress()
            states[index].deadline = now &+ rules[index].limits.durationNanoseconds
            act(index, .freeze, .named, now, &directives)
            states[index].stands = true
            standings[index].stands = true
            enter(.freezing, index, now)
            return
        }
        if let end = ending(index, picture, now, step) {
            finish(index, end, now, &directives, &told)
            return
        }
        let progress = picture.verdict.conditions.progress
        // As long as requests complete, nothing more is done.
        let isUntouched =
            states[index].rescue.nextConnection == 0 || states[index].rescue.step == .replaced
        if isUntouched, progress == .moving || progress == .idle { return }
        let inStep = now &- states[index].rescue.since
        switch states[index].rescue.step {
        case .none: break
        case .freezing:
            guard inStep >= Self.freezeWait, !isWaiting(index, now) else { return }
            enter(.killing, index, now)
            killNext(index, now, &directives)
        case .killing:
            guard !isWaiting(index, now), now &- states[index].acted >= Self.betweenKills else {
                return
            }
            count(index)
            let most = rules[index].limits.victims
            if states[index].rescue.victims < most,
                states[index].rescue.tries < most + Self.inVain
            {
                killNext(index, now, &directives)
            } else {
                enter(.waiting, index, now)
            }
        case .waiting:
            guard inStep >= Self.killWait else { return }
            endConnections(index, picture, now, &directives)
            if states[index].rescue.nextConnection == 0 {
                exhaust(index, now, &told)
            } else {
                states[index].rescue.disk =
                    picture.verdict.evidence.device?.disk ?? FixedName()
                enter(hasSpare(index) ? .clearing : .ending, index, now)
            }
        case .clearing:
            guard inStep >= Self.clearWait, !isWaiting(index, now) else { return }
            act(
                index, .clear, .named, now, &directives,
                connection: Directive.Connection(disk: states[index].rescue.disk))
            enter(.replacing, index, now)
        case .replacing: replace(index, now, &directives)
        case .replaced:
            guard inStep >= Self.replacedWait else { return }
            if states[index].rescue.rounds < Self.mostRounds, hasSpare(index) {
                // The host receives again, and what it receives took what had come free: who that
                // is for could not be known before.
                let rounds = states[index].rescue.rounds
                states[index].rescue = RescueProgress()
                states[index].rescue.rounds = rounds + 1
                enter(.killing, index, now)
                killNext(index, now, &directives)
            } else {
                // It ends as the first one did.
                end(states[index].rescue.disk, index, picture, now, &directives)
                enter(.ending, index, now)
            }
        case .ending:
            if !states[index].rescue.hasDisconnected, inStep >= Self.disconnectWait,
                let device = picture.verdict.evidence.device, device.inFlight > 0
            {
                states[index].rescue.hasDisconnected = true
                act(
                    index, .disconnect, .named, now, &directives,
                    connection: Directive.Connection(disk: device.disk))
            }
            if inStep >= Self.endWait { exhaust(index, now, &told) }
        case .exhausted: break
        }
    }

    private mutating func enter(_ step: RescueProgress.Step, _ index: Int, _ now: UInt64) {
        states[index].rescue.step = step
        states[index].rescue.since = now
        states[index].rescue.goodNanoseconds = 0
    }

    /// The largest of the load first: who owns the sockets can be looked up only with memory. Each
    /// second time the owner again, until one was hit: with memory somebody takes over connections
    /// that had waited for it, and whatever is sent on them.
    private mutating func killNext(
        _ index: Int, _ now: UInt64, _ directives: inout DirectiveQueue
    ) {
        let isOwner = states[index].rescue.tries % 2 == 1 && !states[index].rescue.hasHitOwner
        states[index].rescue.tries += 1
        states[index].rescue.isOwnerTried = isOwner
        act(index, .kill, isOwner ? .socketOwner : .largest, now, &directives)
    }

    /// What came of the last kill. One that was not heard of in time counts as one that was done.
    private mutating func count(_ index: Int) {
        guard !states[index].hasFailed else { return }
        states[index].rescue.victims += 1
        if states[index].rescue.isOwnerTried { states[index].rescue.hasHitOwner = true }
    }

    /// Only where the receive path is known to be dead, and the wire known not to be lost.
    private mutating func endConnections(
        _ index: Int, _ picture: borrowing Picture, _ now: UInt64,
        _ directives: inout DirectiveQueue
    ) {
        guard rules[index].endsConnection, picture.findings.deadReceivePath == .confirmed,
            picture.findings.lostWire == .ruledOut, let device = picture.verdict.evidence.device,
            device.path?.isLocal == false
        else { return }
        end(device.disk, index, picture, now, &directives)
    }

    private mutating func end(
        _ disk: FixedName, _ index: Int, _ picture: borrowing Picture, _ now: UInt64,
        _ directives: inout DirectiveQueue
    ) {
        for place in picture.sockets.indices where picture.sockets[place].disk == disk {
            let socket = picture.sockets[place]
            guard socket.tcp != nil else { continue }
            states[index].rescue.nextConnection += 1
            act(
                index, .endConnection, .named, now, &directives,
                connection: Directive.Connection(
                    disk: disk, family: socket.family, local: socket.local,
                    peer: socket.peer, netns: socket.netns))
        }
    }

    /// Whoever only tells has made no connection, and tells what one would be for.
    private func hasSpare(_ index: Int) -> Bool {
        rules[index].keepsSpare
            && (modes[index] != .enforce || standings[index].spare == .ready)
    }

    /// Puts the connection that stands ready in the place of the one that was ended.
    private mutating func replace(
        _ index: Int, _ now: UInt64, _ directives: inout DirectiveQueue
    ) {
        guard !isWaiting(index, now) else { return }
        let attempts = states[index].rescue.attempts
        if attempts > 0, !states[index].hasFailed {
            enter(.replaced, index, now)
        } else if attempts < Self.mostAttempts {
            states[index].rescue.attempts += 1
            act(
                index, .reconnect, .named, now, &directives,
                connection: Directive.Connection(disk: states[index].rescue.disk))
        } else {
            enter(.ending, index, now)
        }
    }

    private mutating func exhaust(
        _ index: Int, _ now: UInt64, _ told: inout BoundedList<Enforcement>
    ) {
        enter(.exhausted, index, now)
        tell(
            index, .rescue, modes[index] == .enforce ? .failed : .would, .exhausted,
            states[index].standingSerial, &told)
    }

    /// Why it is over; nil: it is not.
    private mutating func ending(
        _ index: Int, _ picture: borrowing Picture, _ now: UInt64, _ step: UInt64
    ) -> EnforceReason? {
        if picture.findings.lostWire == .confirmed { return .wireLost }
        if now >= states[index].deadline { return .deadline }
        let progress = picture.verdict.conditions.progress
        let isStuck = picture.verdict.evidence.worker?.receives == true
        // After the connection's end requests fail, and that is no progress: what counts is
        // that the worker of the receive path came out, and that nothing is in flight for ever.
        let hasEnded = states[index].rescue.isSwapLost
        if states[index].rescue.isBetween { return nil }
        let inFlight = picture.verdict.evidence.device?.inFlight ?? 0
        let isGood =
            hasEnded
            ? !isStuck && inFlight == 0
            : (progress == .idle || progress == .moving)
                && picture.verdict.conditions.memory == .aboveLow
        states[index].rescue.goodNanoseconds =
            isGood ? states[index].rescue.goodNanoseconds &+ step : 0
        let wanted = hasEnded ? Self.settled : Self.recoveredFor
        guard states[index].rescue.goodNanoseconds >= wanted else { return nil }
        return hasEnded ? .receivesAgain : .recovered
    }

    private mutating func finish(
        _ index: Int, _ reason: EnforceReason, _ now: UInt64,
        _ directives: inout DirectiveQueue, _ told: inout BoundedList<Enforcement>
    ) {
        let isWell = reason == .recovered || reason == .receivesAgain
        if states[index].rescue.step != .exhausted || isWell {
            let outcome: EnforceOutcome =
                modes[index] != .enforce ? .would : isWell ? .done : .failed
            tell(index, .rescue, outcome, reason, states[index].standingSerial, &told)
        }
        if states[index].rescue.isSwapLost || states[index].rescue.isBetween {
            // Its pages in that swap are lost. Let go, it would have the host write to the dead
            // device for ever: the kernel takes what it can not write for progress.
            act(index, .killCgroup, .named, now, &directives)
        }
        if states[index].stands { undo(index, reason, now, &directives) }
        states[index].rescue = RescueProgress()
        // Not again for what is the same deadlock.
        states[index].isBlocked = true
        states[index].heldNanoseconds = 0
    }
}
