// SPDX-License-Identifier: Apache-2.0

import ReserveModel

// The bodies of the lines, one function for each definition of the schema.

extension ByteWriter {
    mutating func start(_ picture: borrowing Picture) {
        if let host = picture.host {
            field("agent_version", foreign: host.agentVersion)
            field("kernel_release", foreign: host.kernelRelease)
            field("machine", foreign: host.machine)
            field("page_size_bytes", host.pageSizeBytes)
            field("cpus", host.cpus)
            field("sample_period_us", microseconds: host.samplePeriodNanoseconds)
            field("slow_threshold_us", microseconds: host.slowThresholdNanoseconds)
            field("ring_bytes", host.ringBytes)
        }
        openArray("hooks")
        for index in picture.hooks.indices {
            let hook = picture.hooks[index]
            element()
            field("signal", foreign: hook.signal)
            field("state", word: hook.state.word)
            if !hook.path.isEmpty { field("path", foreign: hook.path) }
            if !hook.reason.isEmpty { field("reason", foreign: hook.reason) }
            close()
        }
        closeArray()
    }

    mutating func zone(_ zone: ZoneSample) {
        field("node", zone.node)
        field("zone", foreign: zone.name)
        field("free_pages", zone.freePages)
        field("min_pages", zone.minPages)
        field("low_pages", zone.lowPages)
        field("high_pages", zone.highPages)
        field("boost_pages", zone.boostPages)
        field("lowest_free_pages", zone.lowestFreePages)
        field("lowest_boot_ns", zone.lowestBootNanoseconds)
        field("recent_lowest_free_pages", zone.recentLowestFreePages)
        field("managed_pages", zone.managedPages)
        field("present_pages", zone.presentPages)
        field("spanned_pages", zone.spannedPages)
        field("high_atomic_pages", zone.highAtomicPages)
        openArray("protection_pages")
        for index in 0..<zone.protectionCount {
            comma()
            number(zone.protectionPages[index])
        }
        closeArray()
    }

    mutating func node(_ node: NodeSample, picture: borrowing Picture) {
        field("node", node.node)
        field("pfmemalloc_reserve_pages", node.pfmemallocReservePages)
        field("throttle_line_pages", node.throttleLinePages)
        field("free_pages", node.freePages)
        field("lowest_free_pages", node.lowestFreePages)
        field("lowest_boot_ns", node.lowestBootNanoseconds)
        field("direct_reclaim_allowed", node.directReclaimAllowed)
        field("kswapd_state", UInt64(node.kswapdState))
        field("kswapd_failures", node.kswapdFailures)
        field("kswapd_order", node.kswapdOrder)
        if picture.counters?.kswapd != nil {
            field("kswapd_wakes", node.kswapdWakes)
            field("kswapd_sleeps", node.kswapdSleeps)
            field("kswapd_requests", node.kswapdRequests)
        }
        field("throttle_waiters", node.throttleWaiters)
        field("throttle_waiters_exact", node.waitersKnown)
    }

    /// How long a stay has lasted that has not ended.
    mutating func since(_ beganBootNanoseconds: UInt64, _ picture: borrowing Picture) {
        field("since_us", microseconds: picture.age(since: beganBootNanoseconds))
    }

    mutating func task(_ task: TaskIdentity, picture: borrowing Picture) {
        field("tid", task.tid)
        field("tgid", task.tgid)
        field("comm", foreign: task.comm)
        if task.cgroupID != 0 { cgroup(task.cgroupID, picture: picture) }
    }

    /// The id of a stack, and the driver that it leads through.
    mutating func stackOf(_ id: UInt32?, picture: borrowing Picture) {
        guard let id else { return }
        field("stack", id)
        if let index = picture.stacks.firstIndex(where: { $0.id == id }),
            let module = picture.stacks[index].innermostModule
        {
            field("driver", foreign: module)
        }
    }

    mutating func cgroup(_ id: UInt64, picture: borrowing Picture) {
        field("cgroup_id", id)
        if let path = picture.cgroupPath(id) { field("cgroup", foreign: path) }
    }

    mutating func taker(_ taker: Taker, picture: borrowing Picture, withTask: Bool) {
        if withTask {
            task(taker.task, picture: picture)
        } else {
            field("comm", foreign: taker.task.comm)
        }
        field("context", word: taker.context.word)
        field("entitlement", word: taker.entitlement.word)
        field("allocations", taker.allocations)
        field("pages", taker.pages)
        field("failed", taker.failed)
        if taker.belowMin > 0 {
            field("below_min", taker.belowMin)
            field("below_min_pages", taker.belowMinPages)
            field("allowance", word: taker.allowance.word)
        }
        stackOf(taker.stack, picture: picture)
        field("gfp_flags", taker.gfpFlags)
        field("largest_order", UInt64(taker.largestOrder))
    }

    mutating func reclaim(_ stay: ReclaimStay, picture: borrowing Picture, hasLeft: Bool) {
        task(stay.task, picture: picture)
        field("began_boot_ns", stay.beganBootNanoseconds)
        field("duration_us", microseconds: stay.durationNanoseconds)
        if hasLeft { field("reclaimed_pages", stay.reclaimedPages) }
        field("gfp_flags", stay.gfpFlags)
        field("order", stay.order)
        if let stack = stay.stack { field("stack", stack) }
    }

    mutating func throttle(_ stay: ThrottleStay, picture: borrowing Picture) {
        task(stay.task, picture: picture)
        field("node", stay.node)
        field("began_boot_ns", stay.beganBootNanoseconds)
        field("duration_us", microseconds: stay.durationNanoseconds)
        if stay.throttleLinePages > 0 {
            field("free_pages", stay.freePages)
            field("throttle_line_pages", stay.throttleLinePages)
        }
        if stay.evaluations > 0 {
            field("gfp_flags", stay.gfpFlags)
            field("evaluations", stay.evaluations)
        }
    }

    mutating func nbd(_ sample: NBDSample) {
        field("device", foreign: sample.disk)
        field("issued", sample.issued)
        field("requeued", sample.requeued)
        field("completed", sample.completed)
        field("completed_unseen", sample.completedUnseen)
        field("errors", sample.errors)
        field("in_flight", sample.inFlight)
        field("oldest_us", microseconds: sample.oldestNanoseconds)
        if let phases = sample.phases {
            field("sent", phases.sent)
            field("received", phases.received)
            field("unsent", phases.unsent)
        }
        if sample.lastCompletionBootNanoseconds > 0 {
            field("last_completion_boot_ns", sample.lastCompletionBootNanoseconds)
        }
        field("read_bytes", large: sample.readBytes)
        field("written_bytes", large: sample.writtenBytes)
        field("latency_us", sample.latency)
        if let config = sample.config {
            field("connections", config.connections)
            field("live_connections", config.liveConnections)
            field("client_pid", config.clientPID)
            field("timeout_ms", config.timeoutNanoseconds / 1_000_000)
            field("dead_conn_timeout_ms", config.deadConnTimeoutNanoseconds / 1_000_000)
        }
        if let path = sample.path { self.path(path) }
    }

    mutating func nbdFailure(_ failure: NBDFailure) {
        field("phase", word: "failed")
        field("device", foreign: failure.disk)
        field("error", signed: failure.error)
        field("write", failure.isWrite)
        field("bytes", failure.bytes)
        field("duration_us", microseconds: failure.durationNanoseconds)
    }

    mutating func swap(_ device: SwapDevice) {
        field("path", foreign: device.path)
        if !device.nbdDisk.isEmpty { field("nbd_device", foreign: device.nbdDisk) }
        field("type", word: device.isPartition ? "partition" : "file")
        field("size_kib", device.sizeKiB)
        field("used_kib", device.usedKiB)
        field("priority", signed: device.priority)
        if device.major != 0 {
            field("major", device.major)
            field("minor", device.minor)
        }
    }

    mutating func swapFailure(_ failure: SwapFailure) {
        field("phase", word: "failed")
        field("major", failure.major)
        field("minor", failure.minor)
        field("write", failure.isWrite)
        field("status", failure.status)
    }

    mutating func oom(_ victim: OOMVictim, picture: borrowing Picture) {
        field("phase", word: "marked")
        task(victim.task, picture: picture)
        field("killed", victim.killed)
        field("total_vm_pages", victim.totalVMPages)
        field("rss_pages", victim.rssPages)
        if let resident = victim.resident {
            field("anon_pages", resident.anonPages)
            field("file_pages", resident.filePages)
            field("shmem_pages", resident.shmemPages)
        }
        if let points = victim.points { field("points", signed64: points) }
        field("oom_score_adj", signed: victim.scoreAdjust)
        field("uid", victim.uid)
    }

    /// Everything that did not reach the picture, by cause; zero where nothing was lost.
    mutating func loss(_ picture: borrowing Picture) {
        if let loss = picture.counters?.loss {
            stems("ring", loss.ring)
            stems("suppressed", loss.suppressed)
            stems("emitted", loss.emitted)
            if let missed = loss.missed { stems("missed", missed) }
            stems("received", picture.received)
            field("output", loss.output)
        }
        openArray("missed_by_program")
        for index in picture.programs.indices where picture.programs[index].missed > 0 {
            let program = picture.programs[index]
            element()
            field("program", foreign: program.name)
            field("missed", program.missed)
            close()
        }
        closeArray()
        field("untracked", picture.untracked)
        field("unknown_records", picture.unknownRecords)
        field("malformed_records", picture.malformedRecords)
        if picture.skippedRecords > 0 { field("skipped_records", picture.skippedRecords) }
    }

    private mutating func stems(_ name: StaticString, _ values: InlineArray<16, UInt64>) {
        open(name)
        for stem in 0..<16 {
            if let word = Stem.name(stem), values[stem] > 0 { field(word, values[stem]) }
        }
        close()
    }
}
