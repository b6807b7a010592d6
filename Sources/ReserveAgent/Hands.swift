// SPDX-License-Identifier: Apache-2.0

import CHand
import CLinux
import CRecord
import Glibc
import ReserveBox
import ReserveKernel
import ReserveModel
import ReservePolicy
import ReserveRecord

/// The rules at work: the decision in the loop, and the hands beside it.
///
/// The loop gives directives away and takes results in; it waits for neither.
struct Hands: ~Copyable {
    private let hand: OpaquePointer
    private var decider: Decider
    private var directives = DirectiveQueue(capacity: 64)
    private var told = BoundedList<Enforcement>(capacity: 64)
    /// How each rule was told last.
    private var toldRules: [EnforceRuleState]
    private var isClosed = false
    private let rules: RuleSet
    private let keepsSpare: Bool
    private var clients = InlineArray<16, UInt32>(repeating: 0)
    private var swapPlaces = InlineArray<4, rw_swap_place>(repeating: rw_swap_place())
    /// The keeper lives: without it nothing may stand.
    private(set) var hasKeeper = true

    /// Takes back what an agent that is no more left, and opens what the rules want.
    ///
    /// Before anything else takes memory: the keeper begins as a copy of this process.
    ///
    /// - Returns: nil without rules; what was taken back is in `leftOver`.
    static func open(
        _ settings: AgentSettings, leftOver: inout [rw_enforce]
    ) throws(WatchError) -> Hands? {
        guard case .path(let box) = settings.box else {
            // A reader's own agent acts on nothing.
            return nil
        }
        let journal = "\(box).hand"
        try clear(journal, box: box, &leftOver)
        if settings.rules.isIdle { return nil }
        do throws(BoxError) {
            try BoxFile.makeDirectory(of: box, group: settings.group)
        } catch {
            throw WatchError(error)
        }
        var failure = rw_hand_failure()
        var record = EnforceRecords.settings(
            settings.rules, priority: settings.realTimePriority)
        guard let hand = rw_hand_open(journal, &record, &failure) else {
            throw Self.error(failure, settings.rules)
        }
        return Hands(hand, settings)
    }

    private static func clear(
        _ journal: String, box: String, _ leftOver: inout [rw_enforce]
    ) throws(WatchError) {
        var taken = [rw_enforce](repeating: rw_enforce(), count: 128)
        let count = rw_hand_clear(journal, &taken, UInt32(taken.count))
        if count == -EAGAIN { throw .agentRuns(path: box, pid: 0) }
        if count == -EBADMSG || count == -EINVAL {
            throw .notAJournal(
                path: journal, reason: "it is no journal of this version's acts",
                remedy: "see that nothing is frozen or stopped that should not be, then remove it")
        }
        guard count >= 0 else { throw .output(path: journal, errno: -count) }
        leftOver = Array(taken.prefix(Int(count)))
    }

    private static func error(_ failure: rw_hand_failure, _ set: RuleSet) -> WatchError {
        var failure = failure
        let what = withUnsafeBytes(of: &failure.what) { bytes in
            String(decoding: bytes.prefix(while: { $0 != 0 }), as: UTF8.self)
        }
        let index = Int(failure.rule)
        guard set.rules.indices.contains(index) else {
            return .resources(operation: what, errno: failure.error)
        }
        return .ruleRefused(
            rule: set.rules[index].name, mode: "\(set.mode(of: set.rules[index]))",
            operation: what, errno: failure.error)
    }

    private init(_ hand: OpaquePointer, _ settings: AgentSettings) {
        self.hand = hand
        rules = settings.rules
        keepsSpare = rules.rules.contains { $0.keepsSpare }
        decider = Decider(settings.rules, policy: settings.policy)
        toldRules = settings.rules.rules.map { _ in EnforceRuleState() }
    }

    deinit {
        if !isClosed { rw_hand_close(hand, 1000) }
    }

    /// Tries everything that the rules may want, and starts the threads: before memory is
    /// locked.
    ///
    /// - Throws: ``WatchError/ruleRefused(rule:mode:operation:errno:)``: nothing is downgraded.
    mutating func rehearse() throws(WatchError) {
        var failure = rw_hand_failure()
        if rw_hand_rehearse(hand, &failure) != 0 { throw Self.error(failure, rules) }
        for (index, rule) in rules.rules.enumerated() {
            let error = rw_hand_target_error(hand, UInt32(index))
            if error != 0 {
                printError(
                    "rule \(rule.name): \(rule.target.words) is not there "
                        + "(\(describe(errno: error))); it is looked for again, and until then "
                        + "the rule does nothing")
            } else if rule.action.isUndone || rule.action == .killCgroup,
                rw_hand_protected_members(hand, UInt32(index)) > 0
            {
                printError(
                    "rule \(rule.name): a process in \(rule.target.words) is protected; as long "
                        + "as it is there the rule does nothing")
            }
        }
        // Once with everything that a decision touches.
        var nothing = Picture()
        nothing.verdict.state = .unknown
        decide(nothing, at: rw_boot_ns())
    }

    var keeper: Int32 { rw_hand_keeper(hand) }
    var capabilities: UInt64 { rw_hand_capabilities(hand) }

    /// The loop turned.
    ///
    /// - Returns: whether the keeper lives no more, and did before.
    mutating func beat(_ picture: borrowing Picture, at now: UInt64) -> Bool {
        var count: UInt32 = 0
        for index in picture.devices.indices where count < 16 {
            guard let client = picture.devices[index].sample.config?.clientPID, client > 0 else {
                continue
            }
            clients[Int(count)] = client
            count += 1
        }
        let state = UInt32(picture.verdict.state.rawValue)
        let lives = withUnsafeBytes(of: &clients) { bytes in
            bytes.assumingMemoryBound(to: UInt32.self).baseAddress.map {
                rw_hand_beat(hand, now, state, $0, count)
            }
        }
        if keepsSpare { tellPlaces(picture) }
        defer { hasKeeper = lives == 1 }
        return hasKeeper && lives != 1
    }

    private mutating func tellPlaces(_ picture: borrowing Picture) {
        let places = EnforceRecords.places(picture, &swapPlaces)
        withUnsafeBytes(of: &swapPlaces) { bytes in
            if let first = bytes.assumingMemoryBound(to: rw_swap_place.self).baseAddress {
                rw_hand_swaps(hand, first, UInt32(places))
            }
        }
    }

    /// Decides for this moment, and hands over what is to be done. What is only to be told waits
    /// for ``next()``.
    mutating func decide(_ picture: borrowing Picture, at now: UInt64) {
        for index in decider.standings.indices {
            let error = rw_hand_spare_error(hand, UInt32(index))
            decider.setSpare(
                index, error < 0 ? .notWanted : error == 0 ? .ready : .missing(errno: error))
        }
        decider.decide(picture, at: now, &directives, told: &told)
        for index in directives.indices {
            var record = EnforceRecords.directive(directives[index])
            if rw_hand_put(hand, &record) != 0 {
                var act = decider.wouldBe(directives[index])
                act.outcome = .refused
                act.reason = .busy
                decider.hear(act)
                told.append(act)
            }
        }
        directives.removeAll()
    }

    /// The next thing that is to be told of the acts, as a record; nil: nothing more now.
    mutating func next(at now: UInt64) -> rw_enforce? {
        if !told.isEmpty {
            let act = told[0]
            told.remove(at: 0)
            return EnforceRecords.record(act, at: now)
        }
        var record = rw_enforce()
        guard rw_hand_take(hand, &record) == 1 else { return nil }
        record.header = EnforceRecords.header(
            RW_ENFORCE_ACT, MemoryLayout<rw_enforce>.size, record.header.boot_ns)
        let event = withUnsafeBytes(of: &record) { RecordDecoder.decode($0) }
        if case .enforcement(let act) = event.body { decider.hear(act) }
        return record
    }

    /// The next rule that stands otherwise than it was told last; nil: none.
    mutating func nextRule(at now: UInt64) -> rw_enforce_rule? {
        for index in decider.standings.indices {
            var standing = decider.standings[index]
            standing.targetError = rw_hand_target_error(hand, UInt32(index))
            if toldRules[index].isSame(as: standing) { continue }
            toldRules[index] = standing
            return EnforceRecords.record(standing, at: now)
        }
        return nil
    }

    /// Takes back what stands, at most so long; ``next(at:)`` then tells it.
    mutating func finish(withinMilliseconds limit: Int32) {
        rw_hand_close(hand, limit)
        isClosed = true
    }
}

extension EnforceRuleState {
    fileprivate func isSame(as other: EnforceRuleState) -> Bool {
        mode == other.mode && would == other.would && done == other.done && failed == other.failed
            && refused == other.refused && limited == other.limited && undone == other.undone
            && stands == other.stands && targetError == other.targetError
            && name == other.name && spare == other.spare
    }
}
