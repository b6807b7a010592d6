// SPDX-License-Identifier: Apache-2.0

import ReserveModel

// How the guard's events are told: as JSON, and to read.

extension GuardAttempt.Action {
    var word: StaticString {
        switch self {
        case .signal: return "signal"
        case .trace: return "trace"
        case .freeze: return "freeze"
        case .swapoff: return "swapoff"
        case .disconnect: return "disconnect"
        case .unknown: return "unknown"
        }
    }
}

extension GuardAttempt.Result {
    var word: StaticString {
        switch self {
        case .allowed: return "allowed"
        case .excepted: return "excepted"
        case .refused: return "refused"
        case .unknown: return "unknown"
        }
    }
}

extension GuardAttempt.Reason {
    var word: StaticString {
        switch self {
        case .observing: return "observing"
        case .noHook: return "no_hook"
        case .byInit: return "init"
        case .byUnit: return "unit"
        case .byGuarded: return "guarded"
        case .byCgroup: return "cgroup"
        case .byRule: return "rule"
        case .unknown: return "unknown"
        }
    }

    /// After the result: why it came so.
    fileprivate var sentence: StaticString {
        switch self {
        case .observing: return ", for the rule only observes"
        case .noHook: return ", for nothing in the kernel refuses it"
        case .byInit: return " as process 1"
        case .byUnit: return " as part of the same service"
        case .byGuarded: return " as one that is guarded itself"
        case .byCgroup: return " by its cgroup"
        case .byRule, .unknown: return ""
        }
    }
}

extension GuardAttempt.Way {
    /// nil: the action says it all.
    var word: StaticString? {
        switch self {
        case .none: return nil
        case .kernel: return "kernel"
        case .proc: return "proc"
        case .ioctlDisconnect: return "ioctl_disconnect"
        case .ioctlClearSock: return "ioctl_clear_sock"
        case .netlink: return "netlink"
        case .unknown: return "unknown"
        }
    }
}

extension GuardAttempt {
    /// asm-generic/signal.h; nil: one without a name here.
    var signalName: StaticString? {
        switch signal {
        case 1: return "SIGHUP"
        case 2: return "SIGINT"
        case 3: return "SIGQUIT"
        case 6: return "SIGABRT"
        case 9: return "SIGKILL"
        case 10: return "SIGUSR1"
        case 12: return "SIGUSR2"
        case 13: return "SIGPIPE"
        case 14: return "SIGALRM"
        case 15: return "SIGTERM"
        case 19: return "SIGSTOP"
        case 20: return "SIGTSTP"
        default: return nil
        }
    }
}

extension ByteWriter {
    // MARK: JSON

    mutating func guardAttempt(_ attempt: GuardAttempt, picture: borrowing Picture) {
        field("phase", word: "attempt")
        field("action", word: attempt.action.word)
        field("result", word: attempt.result.word)
        field("reason", word: attempt.reason.word)
        if let way = attempt.way.word { field("way", word: way) }
        open("by")
        task(attempt.task, picture: picture)
        field("uid", attempt.uid)
        close()
        if let target = attempt.target {
            open("target")
            task(target, picture: picture)
            roles(attempt.role)
            close()
        }
        if attempt.action == .signal {
            field("signal", attempt.signal)
            if let name = attempt.signalName { field("signal_name", word: name) }
        }
        if !attempt.disk.isEmpty { field("device", foreign: attempt.disk) }
        if attempt.action == .swapoff {
            field("major", attempt.major)
            field("minor", attempt.minor)
        }
    }

    mutating func guarded(
        _ process: GuardedProcess, hasEnded: Bool, picture: borrowing Picture
    ) {
        field("phase", word: hasEnded ? "released" : "guarded")
        guardedFields(process, picture: picture)
    }

    mutating func guardedFields(_ process: GuardedProcess, picture: borrowing Picture) {
        task(process.task, picture: picture)
        roles(process.role)
        if !process.disk.isEmpty { field("device", foreign: process.disk) }
        field("start_boot_ns", process.startBootNanoseconds)
        if process.tracer != 0 { field("tracer", process.tracer) }
        // The agent was found before it took its own protections: the hooks tell them.
        guard !process.isAgentOnly else { return }
        field("oom_score_adj", signed: process.scoreAdjust)
        field("locked_pages", process.lockedPages)
        field("swapped_pages", process.swappedPages)
    }

    private mutating func roles(_ role: GuardRole) {
        openArray("roles")
        if role.isAgent { element(word: "agent") }
        if role.isClient { element(word: "client") }
        if role.isServer { element(word: "server") }
        closeArray()
    }

    mutating func guardTotals(_ picture: borrowing Picture) {
        guard let totals = picture.counters?.guardTotals, totals.isKnown else { return }
        open("guard")
        counts("signal", totals.signals)
        counts("trace", totals.traces)
        counts("freeze", totals.freezes)
        counts("swapoff", totals.swapoffs)
        counts("disconnect", totals.disconnects)
        openArray("guarded")
        for index in picture.guarded.indices {
            element()
            guardedFields(picture.guarded[index], picture: picture)
            close()
        }
        closeArray()
        close()
    }

    private mutating func counts(_ name: StaticString, _ counts: CounterTotals.GuardCounts?) {
        guard let counts else { return }
        open(name)
        field("allowed", counts.allowed)
        field("excepted", counts.excepted)
        field("refused", counts.refused)
        close()
    }

    // MARK: to read

    mutating func guardLine(_ attempt: GuardAttempt, picture: borrowing Picture) {
        text("guard: ")
        if attempt.way == .kernel {
            text("the kernel sends ")
            signal(of: attempt)
        } else {
            culprit(attempt, picture: picture)
            byte(UInt8(ascii: " "))
            deed(attempt)
        }
        if let target = attempt.target {
            actor(target, picture: picture)
            rolePhrase(attempt.role, attempt.disk)
        }
        if attempt.way == .kernel {
            text(", at the hand of ")
            culprit(attempt, picture: picture)
        }
        switch attempt.result {
        case .allowed: text(": allowed")
        case .excepted: text(": excepted")
        case .refused: text(": refused")
        case .unknown: text(": what came of it is not known")
        }
        text(attempt.reason.sentence)
    }

    private mutating func culprit(_ attempt: GuardAttempt, picture: borrowing Picture) {
        actor(attempt.task, picture: picture)
        text(" (uid ")
        number(UInt64(attempt.uid))
        byte(UInt8(ascii: ")"))
    }

    private mutating func signal(of attempt: GuardAttempt) {
        if let name = attempt.signalName {
            text(name)
        } else {
            text("signal ")
            number(UInt64(attempt.signal))
        }
        text(" to ")
    }

    private mutating func deed(_ attempt: GuardAttempt) {
        switch attempt.action {
        case .signal:
            text("sends ")
            signal(of: attempt)
        case .trace:
            text(attempt.way == .proc ? "reaches by /proc into " : "traces ")
        case .freeze: text("freezes the cgroup of ")
        case .swapoff:
            text("switches off the swap ")
            number(UInt64(attempt.major))
            byte(UInt8(ascii: ":"))
            number(UInt64(attempt.minor))
            text(" on ")
            plain(foreign: attempt.disk)
        case .disconnect:
            text("disconnects ")
            plain(foreign: attempt.disk)
            text(", which carries swap, ")
            switch attempt.way {
            case .netlink: text("by netlink")
            case .ioctlDisconnect: text("by NBD_DISCONNECT")
            case .ioctlClearSock: text("by NBD_CLEAR_SOCK")
            default: text("in a way that is not known")
            }
        case .unknown: text("did what this version does not know")
        }
    }

    private mutating func rolePhrase(_ role: GuardRole, _ disk: FixedName) {
        if role.isClient { text(", client") }
        if role.isServer { text(role.isClient ? " and server" : ", server") }
        if role.isClient || role.isServer {
            text(" of ")
            plain(foreign: disk)
        }
        if role.isAgent { text(", the agent") }
    }

    mutating func guardedLine(
        _ process: GuardedProcess, hasEnded: Bool, picture: borrowing Picture
    ) {
        text(hasEnded ? "guard: no more of " : "guard: watches over ")
        actor(process.task, picture: picture)
        rolePhrase(process.role, process.disk)
        guard !hasEnded else { return }
        if process.isKillable {
            text("; the OOM killer may take it (oom_score_adj ")
            number(Int64(process.scoreAdjust))
            byte(UInt8(ascii: ")"))
        }
        if process.isUnlocked { text("; nothing of it is locked") }
        if process.tracer != 0 {
            text("; traced by ")
            number(UInt64(process.tracer))
        }
    }

    /// For the words at the end of a run; nothing where it is not observed.
    mutating func guardWords(_ picture: borrowing Picture) {
        guard let totals = picture.counters?.guardTotals, totals.isKnown else { return }
        text("Guard: ")
        number(UInt64(picture.guarded.count))
        text(" processes guarded; attempts refused")
        sums(totals) { $0.refused }
        text("; allowed")
        sums(totals) { $0.allowed }
        text("; excepted")
        sums(totals) { $0.excepted }
        text(".\n")
    }

    private mutating func sums(
        _ totals: CounterTotals.GuardTotals, _ count: (CounterTotals.GuardCounts) -> UInt64
    ) {
        let signals = totals.signals.map(count).map { $0 &+ (totals.freezes.map(count) ?? 0) }
        text(": signals and freezes ")
        known(signals)
        text(", traces ")
        known(totals.traces.map(count))
        text(", swapoff ")
        known(totals.swapoffs.map(count))
        text(", disconnect ")
        known(totals.disconnects.map(count))
    }
}
