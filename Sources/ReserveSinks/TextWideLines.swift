// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension ByteWriter {
    /// The lines of kswapd, reclaim_wait, slab and socket.
    mutating func wideLine(_ body: Notice.Body, picture: borrowing Picture, pageKB: UInt64) {
        switch body {
        case .oomFreed(let freed):
            text("OOM: the memory of ")
            actor(freed.task, picture: picture)
            text(" is being torn down after ")
            duration(freed.afterNanoseconds)
            text(", ")
            number(freed.markedPages.multipliedSaturating(by: pageKB))
            text(" kB, of which the reaper had ")
            number(freed.reapedPages.multipliedSaturating(by: pageKB))
        case .kswapd(let move):
            text("kswapd")
            number(UInt64(move.node))
            text(move.woke ? " woke" : " sleeps again after ")
            if let awake = move.awakeNanoseconds { duration(awake) }
        case .reclaimWaits(let group):
            text("reclaim waits: ")
            actor(group.task, picture: picture)
            text(" for ")
            text(group.reason.word)
            byte(UInt8(ascii: " "))
            number(group.waits)
            text(" times, ")
            duration(group.totalNanoseconds)
            text(" in all")
        case .slab(let group): slabLine(group, picture: picture)
        case .socket(let phase, let socket): socketLine(phase, socket)
        case .drops(let group): dropLine(group, picture: picture)
        case .stack(let stack):
            text("stack ")
            number(UInt64(stack.id))
            for index in 0..<stack.frames {
                text(index == 0 ? ": " : " < ")
                plain(foreign: stack.frame(index))
            }
        default: break
        }
    }

    private mutating func slabLine(_ group: SlabGroup, picture: borrowing Picture) {
        text("slab: ")
        actor(group.task, picture: picture)
        if group.isRefusal {
            text(" was refused an object of the reserve ")
            number(group.times)
            text(" times")
        } else {
            text(" took ")
            number(group.times)
            text(" slabs (")
            number(group.pages)
            text(" pages) of ")
            plain(foreign: group.cache)
            text(" from the reserve")
        }
    }

    private mutating func socketLine(_ phase: Notice.SocketPhase, _ socket: SocketSample) {
        text("socket ")
        ends(of: socket)
        switch phase {
        case .appeared: text(" lives on the reserve (SOCK_MEMALLOC), ")
        case .moved: text(" is now ")
        case .gone: text(" is gone, was ")
        }
        text(socket.stateWord)
        if socket.disk.isEmpty {
            text(", of ")
            text(socket.ownerWord)
        } else {
            text(", connection ")
            number(UInt64(socket.connection))
            text(" of ")
            plain(foreign: socket.disk)
        }
    }

    /// "inet 10.0.2.15:56398 to 10.0.2.2:10809", "unix /run/nbd.sock".
    package mutating func ends(of socket: SocketSample) {
        text(socket.familyWord)
        byte(UInt8(ascii: " "))
        if socket.family == 1 {
            plain(foreign: socket.path)
        } else {
            text(address: socket.local, family: socket.family)
            text(" to ")
            text(address: socket.peer, family: socket.family)
        }
    }

    private mutating func dropLine(_ group: DropGroup, picture: borrowing Picture) {
        number(group.packets)
        text(" packets dropped for want of SOCK_MEMALLOC, to ")
        text(address: group.drop.local, family: group.drop.family)
        if group.drop.task.tid != 0 {
            text(" of ")
            actor(group.drop.task, picture: picture)
        }
    }
}
