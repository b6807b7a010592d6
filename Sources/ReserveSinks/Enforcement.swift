// SPDX-License-Identifier: Apache-2.0

import ReserveModel

// What the agent did by its rules: words, the bodies of JSON lines, and lines to read.

extension EnforceMode {
    package var word: StaticString {
        switch self {
        case .off: return "off"
        case .observe: return "observe"
        case .enforce: return "enforce"
        }
    }
}

extension EnforceVerb {
    package var word: StaticString {
        switch self {
        case .unknown: return "unknown"
        case .freeze: return "freeze"
        case .thaw: return "thaw"
        case .memoryHigh: return "memory_high"
        case .memoryHighBack: return "memory_high_back"
        case .stop: return "stop"
        case .resume: return "resume"
        case .kill: return "kill"
        case .killCgroup: return "kill_cgroup"
        case .endConnection: return "end_connection"
        case .reconnect: return "reconnect"
        case .rescue: return "rescue"
        case .disconnect: return "disconnect"
        case .clear: return "clear"
        case .calmQueue: return "calm_queue"
        case .queueBack: return "queue_back"
        }
    }

    /// "frozen /load", "would have frozen /load"
    fileprivate var participle: StaticString {
        switch self {
        case .unknown: return "done something that this version does not know to"
        case .freeze: return "frozen"
        case .thaw: return "thawed"
        case .memoryHigh: return "set memory.high of"
        case .memoryHighBack: return "set back memory.high of"
        case .stop: return "stopped"
        case .resume: return "let go on"
        case .kill: return "killed"
        case .killCgroup: return "killed all of"
        case .endConnection: return "ended a connection of"
        case .reconnect: return "given another connection to"
        case .rescue: return "rescued"
        case .disconnect: return "disconnected"
        case .clear: return "ended what was sent and not answered on"
        case .calmQueue: return "switched off"
        case .queueBack: return "set back"
        }
    }
}

extension EnforceOutcome {
    /// Those that are counted.
    static let told: InlineArray<5, EnforceOutcome> = [.would, .done, .failed, .refused, .limited]

    package var word: StaticString {
        switch self {
        case .unknown: return "unknown"
        case .would: return "would"
        case .done: return "done"
        case .failed: return "failed"
        case .refused: return "refused"
        case .limited: return "limited"
        }
    }
}

extension EnforceReason {
    package var word: StaticString {
        switch self {
        case .none: return "none"
        case .rule: return "rule"
        case .released: return "released"
        case .deadline: return "deadline"
        case .watchDied: return "watch_died"
        case .watchStands: return "watch_stands"
        case .keeperDied: return "keeper_died"
        case .agentEnds: return "agent_ends"
        case .leftOver: return "left_over"
        case .protected: return "protected"
        case .nobody: return "nobody"
        case .unreachable: return "unreachable"
        case .busy: return "busy"
        case .foreign: return "foreign"
        case .recovered: return "recovered"
        case .exhausted: return "exhausted"
        case .wireLost: return "wire_lost"
        case .receivesAgain: return "receives_again"
        case .noSpare: return "no_spare"
        }
    }

    fileprivate var meaning: StaticString {
        switch self {
        case .none: return ""
        case .rule: return ""
        case .released: return "what the rule waits for is over"
        case .deadline: return "its time is up"
        case .watchDied: return "the watch died"
        case .watchStands: return "the watch stands still"
        case .keeperDied: return "nobody would take it back if the agent died"
        case .agentEnds: return "the agent ends"
        case .leftOver: return "an agent before this one left it"
        case .protected: return "somebody who is protected would be hit"
        case .nobody: return "nobody is there to be hit"
        case .unreachable: return "it cannot be reached from the agent's network"
        case .busy: return "the acts before it are not finished"
        case .foreign: return "somebody else has changed it"
        case .recovered: return "requests complete again"
        case .exhausted: return "all that the rule allows was done, and nothing helped"
        case .wireLost: return "the wire is lost, which heals by itself"
        case .receivesAgain: return "the host receives again, and the swap's connection is ended"
        case .noSpare: return "no other connection stands ready"
        }
    }
}

extension EnforceChoice {
    package var word: StaticString {
        switch self {
        case .named: return "named"
        case .largest: return "largest"
        case .socketOwner: return "socket_owner"
        }
    }
}

extension ByteWriter {
    mutating func enforcement(
        _ act: Enforcement, picture: borrowing Picture, isBrief: Bool = false
    ) {
        field("rule", foreign: act.rule)
        field("mode", word: act.mode.word)
        field("act", word: act.verb.word)
        field("result", word: act.outcome.word)
        field("reason", word: act.reason.word)
        if act.serial > 0 { field("serial", act.serial) }
        if isBrief { return }
        if !act.target.isEmpty { field("target", foreign: act.target) }
        if act.victim.tid != 0 {
            open("victim")
            task(act.victim, picture: picture)
            field("choice", word: act.choice.word)
            if let held = act.heldPages {
                field("held_pages", held)
                field("held_boot_ns", act.heldBootNanoseconds)
            }
            field("freed_pages", known: act.freedPages)
            close()
        }
        if let processes = act.processes { field("processes", processes) }
        if act.error != 0 { field("error", signed: act.error) }
        field("took_us", microseconds: act.tookNanoseconds)
        if let before = act.freeBeforePages, let after = act.freeAfterPages {
            field("free_before_pages", before)
            field("free_after_pages", after)
        }
        if act.deadlineBootNanoseconds > 0 {
            field("deadline_boot_ns", act.deadlineBootNanoseconds)
        }
    }

    /// Of the summary: every rule, and how often it acted.
    mutating func rules(_ picture: borrowing Picture) {
        openArray("rules")
        for index in picture.rules.indices {
            let rule = picture.rules[index]
            element()
            field("rule", foreign: rule.name)
            field("mode", word: rule.mode.word)
            field("act", word: rule.verb.word)
            field("target", foreign: rule.target)
            if rule.targetError != 0 { field("target_error", signed: rule.targetError) }
            field("stands", rule.stands)
            switch rule.spare {
            case .notWanted: break
            case .ready: field("spare", word: "ready")
            case .missing(let errno):
                field("spare", word: "missing")
                if errno != 0 { field("spare_error", signed: errno) }
            }
            for place in 0..<5 {
                let outcome = EnforceOutcome.told[place]
                field(outcome.word, rule[outcome])
            }
            field("undone", rule.undone)
            close()
        }
        closeArray()
    }

    /// "rule freeze-load would have frozen /load: ..."
    package mutating func enforcementLine(
        _ act: Enforcement, picture: borrowing Picture, pageKB: UInt64
    ) {
        text("rule ")
        plain(foreign: act.rule)
        if act.verb == .rescue { return rescueText(act) }
        switch act.outcome {
        case .would: text(" would have ")
        case .done: text(" has ")
        case .failed: text(" has NOT ")
        case .refused: text(" may not have ")
        case .limited: text(" has acted as often as it may, and has not ")
        case .unknown: text(" ?? ")
        }
        text(act.verb.participle)
        byte(UInt8(ascii: " "))
        whom(act, picture: picture)
        if act.reason.meaning.utf8CodeUnitCount > 0 {
            text(": ")
            text(act.reason.meaning)
        }
        if act.error != 0 {
            text(" (errno ")
            number(Int64(act.error))
            byte(UInt8(ascii: ")"))
        }
        choiceText(act, pageKB: pageKB)
        effectText(act, pageKB: pageKB)
        if act.deadlineBootNanoseconds > picture.nowBootNanoseconds, act.outcome != .limited {
            text("; for at most ")
            duration(act.deadlineBootNanoseconds - picture.nowBootNanoseconds)
        }
    }

    /// How a rescue ended; of the mode observe, what became of the host without it.
    private mutating func rescueText(_ act: Enforcement) {
        switch act.outcome {
        case .would: text(" would be at the end of its steps: ")
        case .done: text(" has rescued this host: ")
        case .limited: text(" has tried as often as it may")
        default: text(" has NOT rescued this host: ")
        }
        text(act.reason.meaning)
    }

    private mutating func whom(_ act: Enforcement, picture: borrowing Picture) {
        if act.victim.tid != 0 {
            actor(act.victim, picture: picture)
        } else if act.verb == .kill || act.verb == .stop || act.verb == .resume {
            text(
                act.choice == .socketOwner
                    ? "the owner of the most unread socket memory" : "the largest of ")
            if act.choice != .socketOwner { plain(foreign: act.target) }
        } else {
            plain(foreign: act.target)
        }
    }

    /// Why this one.
    private mutating func choiceText(_ act: Enforcement, pageKB: UInt64) {
        guard act.victim.tid != 0, let held = act.heldPages, !act.verb.isUndoing else { return }
        switch act.choice {
        case .named: text("; it held ")
        case .largest: text("; it held the most memory of its own, ")
        case .socketOwner: text("; its sockets held the most unread, ")
        }
        number(held.multipliedSaturating(by: pageKB))
        text(" kB")
    }

    private mutating func effectText(_ act: Enforcement, pageKB: UInt64) {
        guard act.outcome == .done, !act.verb.isUndoing else { return }
        if let freed = act.freedPages {
            text("; ")
            number(freed.multipliedSaturating(by: pageKB))
            text(" kB of it came free")
        }
        if let before = act.freeBeforePages, let after = act.freeAfterPages {
            text("; free ")
            number(before.multipliedSaturating(by: pageKB))
            text(" to ")
            number(after.multipliedSaturating(by: pageKB))
            text(" kB")
        }
        if act.tookNanoseconds > 0 {
            text(" in ")
            duration(act.tookNanoseconds)
        }
    }
}
