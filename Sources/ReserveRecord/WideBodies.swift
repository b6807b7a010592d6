// SPDX-License-Identifier: Apache-2.0

import CRecord
import ReserveModel

// The structs that came with wire 2; as RecordBodies.swift.

extension RecordDecoder {
    static func swapUsage(_ record: rw_swap_usage) -> SwapUsage {
        var usage = SwapUsage()
        usage.major = record.major
        usage.minor = record.minor
        if record.usage_known != 0 {
            var area = SwapUsage.Area()
            area.priority = record.priority
            area.pages = record.pages
            area.usedPages = record.used_pages
            usage.area = area
        }
        usage.inPages = record.in_pages
        usage.outPages = record.out_pages
        usage.readErrors = record.read_errors
        usage.writeErrors = record.write_errors
        usage.inFlight = record.in_flight
        usage.reads = numbers(record.read_us)
        usage.writes = numbers(record.write_us)
        if record.reads_known != 0 {
            usage.waiting = SwapUsage.Waiting(
                reads: record.reads_in_flight, nanoseconds: record.reads_waited_ns)
        }
        return usage
    }

    static func oomFreed(_ record: rw_oom_freed) -> OOMFreed {
        OOMFreed(
            task: task(record.victim), afterNanoseconds: record.after_ns,
            markedPages: record.marked_pages, reapedPages: record.reaped_pages)
    }

    static func kswapd(_ record: rw_kswapd, woke: Bool) -> KswapdMove {
        var move = KswapdMove()
        move.woke = woke
        move.node = record.node
        move.order = record.order
        move.highestZone = record.highest_zone
        move.awakeNanoseconds = record.awake_ns != 0 ? record.awake_ns : nil
        return move
    }

    static func reclaimWait(_ record: rw_reclaim_wait) -> ReclaimWait {
        ReclaimWait(
            task: task(record.task), node: record.node,
            reason: ReclaimReason(rawValue: record.reason) ?? .other,
            timeoutNanoseconds: record.timeout_ns, delayedNanoseconds: record.delayed_ns)
    }

    static func slab(_ record: rw_slab) -> SlabAllocation {
        SlabAllocation(
            task: task(record.task), cache: text(record.cache), gfpFlags: record.gfp_flags,
            order: record.order, stack: stackID(record.stack))
    }

    static func slabCache(_ record: rw_slab_cache) -> SlabCache {
        var cache = SlabCache()
        cache.name = text(record.cache)
        cache.serial = record.serial
        cache.slabsAllocated = record.slabs_allocated
        cache.slabsFreed = record.slabs_freed
        cache.slabsFromReserve = record.slabs_from_reserve
        if record.objects_known != 0 {
            var objects = SlabCache.Objects()
            objects.allocated = record.objects_allocated
            objects.freed = record.objects_freed
            cache.objects = objects
        }
        cache.objectBytes = record.object_bytes
        cache.slabOrder = record.slab_order
        return cache
    }

    static func socket(_ record: rw_socket) -> SocketSample {
        var socket = SocketSample()
        socket.task = record.task.tid != 0 ? task(record.task) : nil
        socket.serial = record.serial
        socket.family = record.family
        socket.state = record.state
        socket.found = SocketSample.Found(rawValue: record.found) ?? .unknown
        socket.netns = record.netns
        socket.local = address(record.local)
        socket.peer = address(record.peer)
        socket.owner = text(record.owner)
        socket.path = text(record.path)
        socket.disk = name(record.disk)
        socket.connection = record.connection
        if record.figures_known != 0 { socket.tcp = tcp(record) }
        socket.receiveBufferBytes = record.receive_buffer_bytes
        socket.sendBufferBytes = record.send_buffer_bytes
        socket.receiveMemoryBytes = record.receive_memory_bytes
        socket.sendMemoryBytes = record.send_memory_bytes
        socket.delivered = record.delivered
        socket.inode = record.inode
        return socket
    }

    private static func tcp(_ record: rw_socket) -> SocketSample.TCP {
        var tcp = SocketSample.TCP()
        tcp.bytesSent = record.bytes_sent
        tcp.bytesReceived = record.bytes_received
        tcp.segmentsSent = record.segments_sent
        tcp.segmentsReceived = record.segments_received
        tcp.retransmits = record.retransmits
        tcp.sendWindowBytes = record.send_window
        tcp.receiveWindowBytes = record.receive_window
        tcp.congestionWindow = record.congestion_window
        tcp.sendQueueBytes = record.send_queue_bytes
        tcp.receiveQueueBytes = record.receive_queue_bytes
        return tcp
    }

    private static func address(_ raw: rw_address) -> SocketAddress {
        var address = SocketAddress()
        withUnsafeBytes(of: raw.bytes) { bytes in
            address.low = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
            address.high = UInt64(
                littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }
        address.port = raw.port
        return address
    }

    static func socketDrop(_ record: rw_socket_drop) -> SocketDrop {
        var drop = SocketDrop()
        drop.task = task(record.task)
        drop.family = record.family
        drop.protocolNumber = record.`protocol`
        drop.local = address(record.local)
        drop.peer = address(record.peer)
        drop.bytes = record.bytes
        drop.uid = record.uid
        drop.reason = SocketDrop.Reason(rawValue: record.reason) ?? .other
        drop.reasonNumber = record.reason_number
        drop.netns = record.netns
        return drop
    }

    static func stack(_ record: rw_stack) -> KernelStack {
        withUnsafeBytes(of: record.frame) { bytes in
            KernelStack(
                id: UInt32(bitPattern: record.stack), frames: Int(record.frames), text: bytes)
        }
    }

    static func pressure(_ record: rw_pressure) -> PressureSample {
        var sample = PressureSample()
        sample.memorySome.average10 = record.some_avg10
        sample.memorySome.totalMicroseconds = record.some_total_us
        sample.memoryFull.average10 = record.full_avg10
        sample.memoryFull.totalMicroseconds = record.full_total_us
        sample.ioSome.average10 = record.io_some_avg10
        sample.ioSome.totalMicroseconds = record.io_some_total_us
        sample.ioFull.average10 = record.io_full_avg10
        sample.ioFull.totalMicroseconds = record.io_full_total_us
        return sample
    }

    static func program(_ record: rw_program) -> ProgramFigures {
        var program = ProgramFigures()
        program.name = text(record.name)
        program.stem = record.stem
        program.missed = record.missed
        if record.runs_known != 0 {
            var runs = ProgramFigures.Runs()
            runs.count = record.runs
            runs.nanoseconds = record.run_ns
            program.runs = runs
        }
        return program
    }

    static func reclaimTask(_ record: rw_reclaim_task) -> ReclaimTask {
        let raw = record.figures
        var figures = ReclaimTask(task: task(record.task))
        figures.firstBootNanoseconds = record.first_boot_ns
        figures.directReclaims = raw.direct_reclaims
        figures.directReclaimNanoseconds = raw.direct_reclaim_ns
        figures.longestNanoseconds = raw.longest_ns
        figures.directReclaimedPages = raw.direct_reclaimed_pages
        figures.kswapdRequests = raw.kswapd_requests
        figures.kswapdWakes = raw.kswapd_wakes
        figures.kswapdRewakes = raw.kswapd_rewakes
        figures.kswapdAwakeNanoseconds = raw.kswapd_awake_ns
        figures.kswapdLongestNanoseconds = raw.kswapd_longest_ns
        figures.scannedAnonPages = raw.scanned_anon_pages
        figures.scannedFilePages = raw.scanned_file_pages
        figures.reclaimedAnonPages = raw.reclaimed_anon_pages
        figures.reclaimedFilePages = raw.reclaimed_file_pages
        figures.writtenAnonPages = raw.written_anon_pages
        figures.writtenFilePages = raw.written_file_pages
        figures.begunByOrder = orders(raw.begun_by_order)
        figures.requestsByOrder = orders(raw.requests_by_order)
        figures.wakesByOrder = orders(raw.wakes_by_order)
        figures.rewakesByOrder = orders(raw.rewakes_by_order)
        return figures
    }

    static func pageTask(_ record: rw_page_task) -> PageTask {
        let raw = record.figures
        var figures = PageTask(task: task(record.task))
        figures.firstBootNanoseconds = record.first_boot_ns
        figures.allocations = raw.allocations
        figures.allocatedPages = raw.allocated_pages
        figures.frees = raw.frees
        figures.freedPages = raw.freed_pages
        figures.batchedFrees = raw.batched_frees
        figures.zoneLocked = raw.zone_locked
        figures.refills = raw.refills
        figures.drainedPages = raw.pcpu_drained
        figures.drains = raw.drains
        figures.fallbacks = raw.fallbacks
        figures.severeFallbacks = raw.severe_fallbacks
        return figures
    }

    private static func orders<Tuple>(_ tuple: Tuple) -> InlineArray<12, UInt32> {
        withUnsafeBytes(of: tuple) { bytes in
            InlineArray { bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self) }
        }
    }
}
