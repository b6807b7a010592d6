// SPDX-License-Identifier: Apache-2.0

import ReserveModel

// As JSONBodies.swift: kswapd, reclaim_wait, slab, socket, stack.

extension ByteWriter {
    mutating func oomFreed(_ freed: OOMFreed, picture: borrowing Picture) {
        field("phase", word: "freed")
        task(freed.task, picture: picture)
        field("after_us", microseconds: freed.afterNanoseconds)
        field("marked_pages", freed.markedPages)
        field("reaped_pages", freed.reapedPages)
    }

    mutating func kswapd(_ move: KswapdMove) {
        field("phase", word: move.woke ? "woke" : "slept")
        field("node", move.node)
        if move.woke {
            field("order", move.order)
            field("highest_zone", move.highestZone)
        } else if let awake = move.awakeNanoseconds {
            field("awake_us", microseconds: awake)
        }
    }

    mutating func waits(_ group: WaitGroup, picture: borrowing Picture) {
        task(group.task, picture: picture)
        field("node", group.node)
        field("reason", word: group.reason.word)
        field("waits", group.waits)
        field("total_us", microseconds: group.totalNanoseconds)
        field("longest_us", microseconds: group.longestNanoseconds)
    }

    mutating func slab(_ group: SlabGroup, picture: borrowing Picture) {
        field("phase", word: group.isRefusal ? "refused" : "taken")
        task(group.task, picture: picture)
        if !group.cache.isEmpty { field("cache", foreign: group.cache) }
        field("times", group.times)
        if !group.isRefusal { field("pages", group.pages) }
        field("gfp_flags", group.gfpFlags)
        stackOf(group.stack, picture: picture)
    }

    mutating func cache(_ cache: SlabCache, slabsKnown: Bool) {
        field("cache", foreign: cache.name)
        if slabsKnown {
            field("slabs_allocated", cache.slabsAllocated)
            field("slabs_freed", cache.slabsFreed)
            field("slabs_from_reserve", cache.slabsFromReserve)
        }
        if let objects = cache.objects {
            field("objects_allocated", objects.allocated)
            field("objects_freed", objects.freed)
        }
        field("object_bytes", cache.objectBytes)
        field("slab_order", cache.slabOrder)
    }

    mutating func socket(_ socket: SocketSample, picture: borrowing Picture) {
        field("family", word: socket.familyWord)
        field("state", word: socket.stateWord)
        if socket.family == 1 {
            if !socket.path.isEmpty { field("path", foreign: socket.path) }
        } else {
            field("local", address: socket.local, family: socket.family)
            field("peer", address: socket.peer, family: socket.family)
        }
        field("netns", socket.netns)
        if socket.inode != 0 { field("inode", socket.inode) }
        field("owner", word: socket.ownerWord)
        if !socket.owner.isEmpty { field("owner_callback", foreign: socket.owner) }
        if !socket.disk.isEmpty {
            field("device", foreign: socket.disk)
            field("connection", socket.connection)
        }
        field("found", word: socket.found.word)
        if let task = socket.task {
            open("marked_by")
            self.task(task, picture: picture)
            close()
        }
        if let tcp = socket.tcp { figures(tcp) }
        field("receive_buffer_bytes", socket.receiveBufferBytes)
        field("send_buffer_bytes", socket.sendBufferBytes)
        field("receive_memory_bytes", socket.receiveMemoryBytes)
        field("send_memory_bytes", socket.sendMemoryBytes)
        if picture.counters?.packets.delivered != nil {
            field("pfmemalloc_delivered", socket.delivered)
        }
    }

    private mutating func figures(_ tcp: SocketSample.TCP) {
        field("bytes_sent", large: tcp.bytesSent)
        field("bytes_received", large: tcp.bytesReceived)
        field("segments_sent", tcp.segmentsSent)
        field("segments_received", tcp.segmentsReceived)
        field("retransmits", tcp.retransmits)
        field("send_window_bytes", tcp.sendWindowBytes)
        field("receive_window_bytes", tcp.receiveWindowBytes)
        field("congestion_window", tcp.congestionWindow)
        field("send_queue_bytes", tcp.sendQueueBytes)
        field("receive_queue_bytes", tcp.receiveQueueBytes)
    }

    mutating func drops(_ group: DropGroup, picture: borrowing Picture) {
        let drop = group.drop
        field("phase", word: "dropped")
        if drop.task.tid != 0 {
            task(drop.task, picture: picture)
        } else if drop.task.cgroupID != 0 {
            cgroup(drop.task.cgroupID, picture: picture)
        }
        field("local", address: drop.local, family: drop.family)
        field("peer", address: drop.peer, family: drop.family)
        field("protocol", drop.protocolNumber)
        field("uid", drop.uid)
        field("netns", drop.netns)
        field("reason", word: drop.reason.word)
        if drop.reason != .notTold { field("reason_number", drop.reasonNumber) }
        field("packets", group.packets)
        field("bytes", group.bytes)
    }

    mutating func stack(_ stack: KernelStack) {
        field("stack", stack.id)
        openArray("frames")
        for index in 0..<stack.frames {
            comma()
            byte(UInt8(ascii: "\""))
            json(foreign: stack.frame(index))
            byte(UInt8(ascii: "\""))
        }
        closeArray()
    }

    /// `"192.0.2.1:10809"`, `"[2001:db8:0:0:0:0:0:1]:10809"`.
    mutating func field(_ name: StaticString, address: SocketAddress, family: UInt32) {
        key(name)
        byte(UInt8(ascii: "\""))
        text(address: address, family: family)
        byte(UInt8(ascii: "\""))
    }

    mutating func text(address: SocketAddress, family: UInt32) {
        if family == 2 {
            for index in 0..<4 {
                if index > 0 { byte(UInt8(ascii: ".")) }
                number(UInt64(address[index]))
            }
        } else {
            byte(UInt8(ascii: "["))
            for group in 0..<8 {
                if group > 0 { byte(UInt8(ascii: ":")) }
                hexadecimalDigits(
                    UInt64(address[group * 2]) << 8 | UInt64(address[group * 2 + 1]))
            }
            byte(UInt8(ascii: "]"))
        }
        byte(UInt8(ascii: ":"))
        number(UInt64(address.port))
    }
}
