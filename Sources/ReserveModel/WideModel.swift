// SPDX-License-Identifier: Apache-2.0

// kswapd, reclaim_wait, slab, socket, and what goes with the other stems.

extension Model {
    /// Takes in what came through the ring, by stem, so that it can be held against `emitted`.
    mutating func countReceived(_ body: Event.Body) {
        let stem: Int
        switch body {
        case .reserveTaken, .reserveReturned, .allocationFailed, .allocatedBelowMin, .pageTask:
            stem = Stem.reserve
        case .zone, .node: stem = Stem.watermark
        case .reclaimInside, .reclaimLeft, .reclaimTask: stem = Stem.directReclaim
        case .throttleBegan, .throttleEnded, .throttleWaiting: stem = Stem.throttle
        case .nbdDevice, .nbdFailed: stem = Stem.nbd
        case .swapFailed, .swapUsage: stem = Stem.swap
        case .oom, .oomFreed: stem = Stem.oom
        case .kswapd: stem = Stem.kswapd
        case .reclaimWait: stem = Stem.reclaimWait
        case .slabTaken, .slabRefused, .slabCache: stem = Stem.slab
        case .socket, .socketGone, .socketDrop: stem = Stem.socket
        case .guardAttempt, .guarded, .guardReleased: stem = Stem.guard
        case .cgroupName: stem = Stem.cgroup
        case .stack: stem = Stem.agent
        // The agent's own records pass no ring.
        case .host, .hook, .counters, .tick, .stopped, .swapDevice, .swapTableRead, .pressure,
            .program, .table, .selfAccount, .sink, .exposure, .standing, .takerTotal, .waiterTotal,
            .told, .skipped, .settings, .enforcement, .enforceRule, .unknown, .malformed:
            return
        }
        picture.received[stem] &+= 1
    }

    mutating func applyWide(_ event: Event, _ notices: inout NoticeQueue) {
        let now = event.bootNanoseconds
        switch event.body {
        case .swapUsage(let usage): take(usage)
        case .oomFreed(let freed):
            notices.append(Notice(bootNanoseconds: now, severity: .notice, body: .oomFreed(freed)))
        case .kswapd(let move):
            notices.append(Notice(bootNanoseconds: now, severity: .info, body: .kswapd(move)))
        case .reclaimWait(let wait): groups.add(wait)
        case .slabTaken(let slab): groups.add(slab, isRefusal: false)
        case .slabRefused(let slab): groups.add(slab, isRefusal: true)
        case .slabCache(let cache): picture.caches.put(cache) { $0.serial == cache.serial }
        case .socket(let socket): take(socket, at: now, &notices)
        case .socketGone(let socket): forget(socket, at: now, &notices)
        case .socketDrop(let drop): groups.add(drop)
        case .guardAttempt(let attempt): take(attempt, at: now, &notices)
        case .guarded(let process): take(process, at: now, &notices)
        case .guardReleased(let process): release(process, at: now, &notices)
        case .stack(let stack):
            if picture.stacks.firstIndex(where: { $0.id == stack.id }) == nil {
                picture.stacks.append(stack)
            }
            notices.append(Notice(bootNanoseconds: now, severity: .info, body: .stack(stack)))
        case .pressure(let pressure): picture.pressure = pressure
        case .program(let program):
            picture.programs.put(program) { $0.name == program.name }
        case .table(let table): picture.tables.put(table) { $0.name == table.name }
        case .selfAccount(let account): picture.selfAccount = account
        case .sink(let sink): picture.sinks.put(sink) { $0.index == sink.index }
        case .exposure(let exposure): picture.exposure = exposure
        case .standing(let standing): goOn(from: standing)
        // The watch's own sums: for one who saw all records they change nothing.
        case .takerTotal(let taker): picture.takers.put(taker) { $0.isSame(as: taker) }
        case .waiterTotal(let waiter):
            picture.waiters.put(waiter) { $0.comm == waiter.comm && $0.kind == waiter.kind }
        case .skipped(let records): picture.skippedRecords &+= records
        case .settings(let settings): take(settings, at: now, &notices)
        case .enforcement(let act):
            picture.lastEnforcement = act
            notices.append(
                Notice(bootNanoseconds: now, severity: act.severity, body: .enforcement(act)))
        case .enforceRule(let rule): picture.rules.put(rule) { $0.index == rule.index }
        default: break
        }
    }

    private mutating func take(_ usage: SwapUsage) {
        picture.swapUsages.put(usage) { $0.major == usage.major && $0.minor == usage.minor }
        // The line of /proc/swaps is read when the table changes; how full it is, all the time.
        guard let area = usage.area, let host = picture.host,
            let line = picture.swaps.firstIndex(where: {
                $0.isPartition && $0.major == usage.major && $0.minor == usage.minor
            })
        else { return }
        picture.swaps[line].usedKiB = area.usedPages &* UInt64(host.pageSizeBytes / 1024)
    }

    private mutating func take(
        _ socket: SocketSample, at now: UInt64, _ notices: inout NoticeQueue
    ) {
        let phase: Notice.SocketPhase
        if let index = picture.sockets.firstIndex(where: { $0.serial == socket.serial }) {
            let before = picture.sockets[index].state
            picture.sockets[index] = socket
            if before == socket.state { return }
            phase = .moved
        } else {
            guard picture.sockets.append(socket) else { return }
            phase = .appeared
        }
        notices.append(
            Notice(bootNanoseconds: now, severity: .info, body: .socket(phase, socket)))
    }

    private mutating func forget(
        _ socket: SocketSample, at now: UInt64, _ notices: inout NoticeQueue
    ) {
        if let index = picture.sockets.firstIndex(where: { $0.serial == socket.serial }) {
            picture.sockets.remove(at: index)
        }
        notices.append(
            Notice(bootNanoseconds: now, severity: .notice, body: .socket(.gone, socket)))
    }

    /// One line for each sum of the interval, then the sums begin anew.
    mutating func tellGroups(_ now: UInt64, _ notices: inout NoticeQueue) {
        for index in groups.waits.indices {
            notices.append(
                Notice(
                    bootNanoseconds: now, severity: .info, body: .reclaimWaits(groups.waits[index])
                ))
        }
        for index in groups.slabs.indices {
            notices.append(
                Notice(bootNanoseconds: now, severity: .notice, body: .slab(groups.slabs[index])))
        }
        for index in groups.drops.indices {
            notices.append(
                Notice(bootNanoseconds: now, severity: .warning, body: .drops(groups.drops[index]))
            )
        }
        groups.waits.removeAll()
        groups.slabs.removeAll()
        groups.drops.removeAll()
    }
}
