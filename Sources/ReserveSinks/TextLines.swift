// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// One line to read for each notice, and a status line for each summary: a plain rolling view.
public struct TextLines: ~Copyable {
    /// The longest line stays below this.
    package static let lineBytes = 4096

    private var writer = ByteWriter(capacityBytes: TextLines.lineBytes)
    /// Lines that did not fit, given up whole.
    public private(set) var lost: UInt64 = 0

    public init() {}

    /// A storm has hundreds of short stays and of failed attempts a second: JSON has them
    /// all, the status line their number, and a person only those that matter.
    private static let longStay: UInt64 = 4_000_000_000

    package static func isForPeople(_ notice: Notice) -> Bool {
        switch notice.body {
        case .reserve(let taker): return taker.pages >= 256
        case .directReclaim(_, let stay): return stay.durationNanoseconds >= longStay
        case .kswapd(let move): return (move.awakeNanoseconds ?? 0) >= longStay
        case .reclaimWaits(let group): return group.totalNanoseconds >= longStay
        case .slab(let group): return group.times >= 64
        case .stack: return false
        default: return true
        }
    }

    /// Hands the line for one notice to `body`. Does not allocate.
    public mutating func write(
        _ notice: Notice, picture: borrowing Picture, _ body: (UnsafeRawBufferPointer) -> Void
    ) {
        writer.clear()
        guard Self.isForPeople(notice) else { return }
        if let host = picture.host {
            writer.time(
                realNanoseconds: Int64(clamping: notice.bootNanoseconds)
                    &+ host.realtimeOffsetNanoseconds, dateToo: false)
        }
        switch notice.severity {
        case .warning, .critical: writer.text(" ! ")
        case .info, .notice: writer.text("   ")
        }
        writer.noticeText(notice, picture: picture)
        writer.byte(UInt8(ascii: "\n"))
        if writer.isWhole {
            body(writer.bytes)
        } else {
            lost &+= 1
        }
    }
}

extension ByteWriter {
    /// What happened, without time and severity.
    package mutating func noticeText(_ notice: Notice, picture: borrowing Picture) {
        let pageKB = UInt64(picture.host?.pageSizeBytes ?? 4096) / 1024
        switch notice.body {
        case .start: startLine(picture)
        case .zone(let crossing, let zone): zoneLine(crossing, zone, pageKB: pageKB)
        case .node(let crossing, let node): nodeLine(crossing, node, pageKB: pageKB)
        case .reserve(let taker): takerLine(taker)
        case .directReclaim(let phase, let stay):
            text("direct reclaim: ")
            actor(stay.task, picture: picture)
            text(phase == .stalled ? " still inside after " : " came out after ")
            duration(stay.durationNanoseconds)
            if phase == .left {
                text(", ")
                number(stay.reclaimedPages)
                text(" pages reclaimed")
            }
        case .throttle(let phase, let stay): throttleLine(phase, stay, picture: picture)
        case .nbd(let phase, let sample): nbdLine(phase, sample)
        case .nbdFailed(let failure):
            plain(foreign: failure.disk)
            text(failure.isWrite ? ": a write failed after " : ": a read failed after ")
            duration(failure.durationNanoseconds)
            text(", errno ")
            number(Int64(-failure.error))
        case .swapAppeared(let device): swapLine(device, gone: false)
        case .swapGone(let device): swapLine(device, gone: true)
        case .swapFailed(let failure):
            text(failure.isWrite ? "swap-out failed on " : "swap-in failed on ")
            number(UInt64(failure.major))
            byte(UInt8(ascii: ":"))
            number(UInt64(failure.minor))
        case .oom(let victim):
            text(victim.killed ? "OOM killer killed " : "OOM: already dying ")
            actor(victim.task, picture: picture)
            text(", ")
            number(victim.rssPages.multipliedSaturating(by: pageKB))
            text(" kB resident")
        case .oomFreed, .kswapd, .reclaimWaits, .slab, .socket, .drops, .stack:
            wideLine(notice.body, picture: picture, pageKB: pageKB)
        case .guardAttempt(let attempt): guardLine(attempt, picture: picture)
        case .guarded(let phase, let process):
            guardedLine(process, hasEnded: phase == .ended, picture: picture)
        case .verdict(let verdict): verdictLine(verdict, pageKB: pageKB)
        case .alert(let alert): alertLine(alert, picture: picture, pageKB: pageKB)
        case .settings(let settings): settingsLine(settings)
        case .enforcement(let act):
            enforcementLine(act, picture: picture, pageKB: pageKB)
        case .loss:
            lossLine(picture)
        case .summary(let isFinal, _): statusLine(picture, isFinal: isFinal, pageKB: pageKB)
        }
    }

    /// "comm[tid]" and the cgroup where it is known and not the root.
    mutating func actor(_ task: TaskIdentity, picture: borrowing Picture) {
        plain(foreign: task.comm)
        byte(UInt8(ascii: "["))
        number(UInt64(task.tid))
        byte(UInt8(ascii: "]"))
        if let path = picture.cgroupPath(task.cgroupID), path.count > 1 {
            text(" in ")
            plain(foreign: path)
        }
    }

    /// "12.3 s", "87 ms", "340 us": two to three digits that matter.
    package mutating func duration(_ nanoseconds: UInt64) {
        if nanoseconds >= 100_000_000_000 {
            number(nanoseconds / 1_000_000_000)
            text(" s")
        } else if nanoseconds >= 1_000_000_000 {
            number(nanoseconds / 1_000_000_000)
            byte(UInt8(ascii: "."))
            number(nanoseconds / 100_000_000 % 10)
            text(" s")
        } else if nanoseconds >= 1_000_000 {
            number(nanoseconds / 1_000_000)
            text(" ms")
        } else {
            number(nanoseconds / 1000)
            text(" us")
        }
    }

    fileprivate mutating func startLine(_ picture: borrowing Picture) {
        text("watching")
        if let host = picture.host {
            byte(UInt8(ascii: " "))
            plain(foreign: host.host)
            text(", Linux ")
            plain(foreign: host.kernelRelease)
        }
        var missing = 0
        for index in picture.hooks.indices {
            let hook = picture.hooks[index]
            guard hook.state == .missing || hook.state == .fallback else { continue }
            text(missing == 0 ? "; not at their best: " : ", ")
            plain(foreign: hook.signal)
            if hook.state == .missing { text(hook.isProtection ? " (refused)" : " (unknown)") }
            missing += 1
        }
        if missing == 0 { text("; every signal at its best hook") }
    }

    fileprivate mutating func zoneLine(
        _ crossing: Notice.Crossing, _ zone: ZoneSample, pageKB: UInt64
    ) {
        text("zone ")
        plain(foreign: zone.name)
        switch crossing {
        case .belowMin: text(" fell below min: only entitled allocations succeed; lowest ")
        case .belowLow: text(" fell below low: kswapd is at work; lowest ")
        case .aboveMin: text(" is back above min; lowest was ")
        default: text(" is back above low; lowest was ")
        }
        number(min(zone.freePages, zone.recentLowestFreePages).multipliedSaturating(by: pageKB))
        text(" kB, min ")
        number(zone.minPages.multipliedSaturating(by: pageKB))
        text(" kB, low ")
        number(zone.lowPages.multipliedSaturating(by: pageKB))
        text(" kB")
        if zone.boostPages > 0 {
            text(" (boost ")
            number(zone.boostPages.multipliedSaturating(by: pageKB))
            text(" kB)")
        }
    }

    fileprivate mutating func nodeLine(
        _ crossing: Notice.Crossing, _ node: NodeSample, pageKB: UInt64
    ) {
        text("node ")
        number(UInt64(node.node))
        text(
            crossing == .atThrottleLine
                ? " is at the throttle line: direct reclaimers are put to sleep; free "
                : " is above the throttle line again; free ")
        number(node.freePages.multipliedSaturating(by: pageKB))
        text(" kB, line ")
        number(node.throttleLinePages.multipliedSaturating(by: pageKB))
        text(" kB")
    }

    fileprivate mutating func takerLine(_ taker: Taker) {
        text("reserve: ")
        plain(foreign: taker.task.comm)
        byte(UInt8(ascii: "["))
        number(UInt64(taker.task.tid))
        text("] ")
        text(taker.context.word)
        if taker.pages > 0 {
            text(" took ")
            number(taker.pages)
            text(" pages (")
            text(taker.entitlement.word)
            byte(UInt8(ascii: ")"))
        }
        if taker.failed > 0 {
            text(taker.pages > 0 ? "," : "")
            text(" got nothing ")
            number(taker.failed)
            text(" times")
        }
        text(", gfp ")
        hexadecimal(UInt64(taker.gfpFlags))
        text(" order <= ")
        number(UInt64(taker.largestOrder))
    }

    fileprivate mutating func throttleLine(
        _ phase: Notice.StayPhase, _ stay: ThrottleStay, picture: borrowing Picture
    ) {
        text("pfmemalloc throttle: ")
        actor(stay.task, picture: picture)
        switch phase {
        case .began, .waiting: text(" was put to sleep")
        case .ended:
            text(" was let on after ")
            duration(stay.durationNanoseconds)
        default:
            text(" sleeps since ")
            duration(stay.durationNanoseconds)
        }
        text(", node ")
        number(UInt64(stay.node))
    }

    fileprivate mutating func nbdLine(_ phase: Notice.DevicePhase, _ sample: NBDSample) {
        plain(foreign: sample.disk)
        switch phase {
        case .appeared:
            text(": connected, or has had a request")
            return
        case .resumed: text(": requests complete again, ")
        case .stalled:
            text(": no end to the oldest request for ")
            duration(sample.oldestNanoseconds)
            text(", ")
        case .connectionLost:
            text(": a connection is lost, ")
            number(UInt64(sample.config?.liveConnections ?? 0))
            text(" of ")
            number(UInt64(sample.config?.connections ?? 0))
            text(" live, ")
        }
        number(sample.inFlight)
        text(" in flight")
        if let phases = sample.phases, phases.unsent > 0 {
            text(", ")
            number(phases.unsent)
            text(" of them not sent yet")
        }
    }

    fileprivate mutating func lossLine(_ picture: borrowing Picture) {
        text("lost: ")
        number(picture.lostRecords)
        text(" records, ")
        number(picture.untracked)
        text(" entries without room (totals stay exact)")
        if let missed = picture.missedEvents, missed > 0 {
            text("; ")
            number(missed)
            text(" events hidden by nested interrupts (in no total)")
        }
    }

    fileprivate mutating func swapLine(_ device: SwapDevice, gone: Bool) {
        text(gone ? "swap gone: " : "swap on: ")
        plain(foreign: device.path)
        text(", ")
        number(device.sizeKiB / 1024)
        text(" MB, priority ")
        number(Int64(device.priority))
        if device.nbdDisk.isEmpty {
            text(", not on NBD")
        } else {
            text(", on ")
            plain(foreign: device.nbdDisk)
        }
    }
}
