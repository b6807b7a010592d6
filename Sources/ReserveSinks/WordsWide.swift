// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension ByteWriter {
    /// SOCK_MEMALLOC sockets, and what became of packets in PFMEMALLOC memory.
    mutating func socketWords(_ picture: borrowing Picture) {
        guard let counters = picture.counters, counters.socketsKnown else {
            text("Sockets on the reserve: not observed on this host.\n")
            return
        }
        text("Sockets that live on the reserve (SOCK_MEMALLOC): ")
        number(UInt64(picture.sockets.count))
        text(" now.\n")
        for index in picture.sockets.indices where index < 8 {
            let socket = picture.sockets[index]
            text("  ")
            ends(of: socket)
            text(", ")
            text(socket.stateWord)
            text(", of ")
            if socket.disk.isEmpty {
                text(socket.ownerWord)
            } else {
                plain(foreign: socket.disk)
            }
            if let tcp = socket.tcp {
                text(", ")
                number(UInt64(tcp.retransmits))
                text(" segments sent again, ")
                number(tcp.sendQueueBytes)
                text(" bytes not acknowledged")
            }
            text("\n")
        }
        text("Packets in PFMEMALLOC memory: received ")
        known(counters.packets.received)
        text(", delivered to these sockets ")
        known(counters.packets.delivered)
        text(", dropped for other sockets ")
        known(counters.packets.dropped)
        text(".\n")
    }

    mutating func slabWords(_ picture: borrowing Picture) {
        guard let slab = picture.counters?.slab else {
            text("Slab: not observed on this host.\n")
            return
        }
        text("Slab: ")
        number(slab.allocated)
        text(" slabs allocated, ")
        number(slab.freed)
        text(" freed, ")
        number(slab.fromReserve)
        text(" from the reserve")
        if let questions = picture.counters?.slabQuestions {
            text("; objects of such slabs refused ")
            number(questions.refused)
            text(" times")
        }
        text(".\n")
    }

    mutating func known(_ value: UInt64?) {
        if let value { number(value) } else { text("?") }
    }
}
