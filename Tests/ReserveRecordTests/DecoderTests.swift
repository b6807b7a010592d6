// SPDX-License-Identifier: Apache-2.0

import CRecord
import ReserveModel
import ReserveRecord
import Testing

@Suite struct DecoderTests {
    /// One RW_RESERVE_TAKEN as it lies in the ring, every byte written out.
    static let taken: [UInt8] = [
        0x01, 0x00,  // stem: reserve
        0x01, 0x00,  // kind: taken
        0x50, 0x00, 0x00, 0x00,  // size: 80
        0x40, 0xe2, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,  // boot_ns: 123456
        0x01, 0x00, 0x00, 0x00,  // cpu
        0x00, 0x00, 0x00, 0x00,  // reserved
        0x2a, 0x00, 0x00, 0x00,  // tid: 42
        0x29, 0x00, 0x00, 0x00,  // tgid: 41
        0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // cgroup_id: 7
        0x6b, 0x73, 0x77, 0x61, 0x70, 0x64, 0x30, 0x00,  // comm: "kswapd0"
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // serial: 9
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // held_ns
        0x00, 0x28, 0x07, 0x00,  // gfp_flags: 0x72800
        0x03,  // order: 3
        0x05,  // context: kswapd
        0x02,  // entitlement: PF_MEMALLOC
        0x00,
    ]

    private func decode(_ bytes: [UInt8]) -> Event {
        bytes.withUnsafeBytes { RecordDecoder.decode($0) }
    }

    @Test func aTakenBlockIsReadFieldByField() throws {
        let event = decode(Self.taken)
        #expect(event.bootNanoseconds == 123456)
        #expect(event.cpu == 1)
        guard case .reserveTaken(let allocation) = event.body else {
            Issue.record("decoded as \(event.body)")
            return
        }
        #expect(allocation.task.tid == 42)
        #expect(allocation.task.tgid == 41)
        #expect(allocation.task.cgroupID == 7)
        #expect(allocation.task.comm == FixedName("kswapd0"))
        #expect(allocation.serial == 9)
        #expect(allocation.gfpFlags == 0x72800)
        #expect(allocation.pages == 8)
        #expect(allocation.context == .kswapd)
        #expect(allocation.entitlement.taskMemalloc)
        #expect(!allocation.entitlement.gfpMemalloc)
    }

    @Test(arguments: 0..<80) func aRecordCutAnywhereIsMalformed(length: Int) {
        let event = decode(Array(Self.taken.prefix(length)))
        guard case .malformed = event.body else {
            Issue.record("\(length) bytes decoded as \(event.body)")
            return
        }
    }

    @Test func aLongerRecordOfANewerAgentIsStillRead() {
        let event = decode(Self.taken + [UInt8](repeating: 0xff, count: 16))
        guard case .reserveTaken = event.body else {
            Issue.record("decoded as \(event.body)")
            return
        }
    }

    @Test func anUnknownStemIsToldAndNoCrash() {
        var bytes = Self.taken
        bytes[0] = 0xee
        guard case .unknown(let stem, let kind) = decode(bytes).body else {
            Issue.record("not unknown")
            return
        }
        #expect(stem == 0xee)
        #expect(kind == 1)
    }

    @Test func aContextOfANewerAgentIsUnknown() {
        var bytes = Self.taken
        bytes[77] = 99
        guard case .reserveTaken(let allocation) = decode(bytes).body else { return }
        #expect(allocation.context == .unknown)
    }

    @Test func countersThatNoHookKeepsAreNil() {
        var record = rw_counters_record()
        record.header.stem = UInt16(RW_STEM_AGENT.rawValue)
        record.header.kind = UInt16(RW_AGENT_COUNTERS.rawValue)
        record.counters.allocstall = 5
        record.counters.pswpin = 6
        record.known = UInt64(RW_KNOWN_SWAP.rawValue)
        let event = withUnsafeBytes(of: &record) { RecordDecoder.decode($0) }
        guard case .counters(let totals) = event.body else {
            Issue.record("decoded as \(event.body)")
            return
        }
        #expect(totals.kernel.allocstall == nil)
        #expect(totals.kernel.pswpin == 6)
        #expect(totals.reserve == nil)
        #expect(totals.throttle == nil)
    }

    /// A record of `size` bytes, all of them 1 but for the header's stem and kind.
    private func filled(_ stem: rw_stem, _ kind: UInt32, size: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 1, count: size)
        bytes[0] = UInt8(stem.rawValue)
        bytes[1] = 0
        bytes[2] = UInt8(kind)
        bytes[3] = 0
        return bytes
    }

    /// What grew since wire 1, with the size that it had then.
    static let grown: [(rw_stem, UInt32, Int)] = [
        (RW_STEM_RESERVE, RW_RESERVE_TAKEN.rawValue, 80),
        (RW_STEM_WATERMARK, RW_WATERMARK_NODE.rawValue, 96),
        (RW_STEM_NBD, RW_NBD_DEVICE.rawValue, 352),
        (RW_STEM_SWAP, RW_SWAP_DEVICE.rawValue, 192),
        (RW_STEM_OOM, RW_OOM_KILL.rawValue, 80),
        (RW_STEM_AGENT, RW_AGENT_COUNTERS.rawValue, 1040),
        (RW_STEM_AGENT, RW_AGENT_SELF.rawValue, 120),
        (RW_STEM_AGENT, RW_AGENT_STANDING.rawValue, 104),
        (RW_STEM_AGENT, RW_AGENT_PROGRAM.rawValue, 72),
    ]

    @Test(arguments: 0..<9) func aRecordOfWireOneIsReadAndAShorterOneIsNot(index: Int) {
        let (stem, kind, size) = Self.grown[index]
        if case .malformed = decode(filled(stem, kind, size: size)).body {
            Issue.record("\(stem) \(kind) of wire 1 is malformed")
        }
        guard case .malformed = decode(filled(stem, kind, size: size - 1)).body else {
            Issue.record("\(stem) \(kind) shorter than wire 1 was read")
            return
        }
    }

    @Test func whatWireOneDidNotTellIsUnknown() {
        if case .nbdDevice(let device) = decode(
            filled(RW_STEM_NBD, RW_NBD_DEVICE.rawValue, size: 352)
        ).body {
            #expect(device.config == nil)
        }
        if case .oom(let victim) = decode(filled(RW_STEM_OOM, RW_OOM_KILL.rawValue, size: 80)).body
        {
            #expect(victim.points == nil)
        }
        var old = filled(RW_STEM_OOM, RW_OOM_KILL.rawValue, size: 80)
        old[64] = 9  // rss_pages
        if case .oom(let victim) = decode(old).body {
            #expect(victim.rssPages != 0)
            #expect(victim.resident == nil)
        } else {
            Issue.record("no victim")
        }
        if case .reserveTaken(let taken) = decode(Self.taken).body {
            #expect(taken.stack == nil)
            #expect(taken.allowance == .none)
        }
        var counters = filled(RW_STEM_AGENT, RW_AGENT_COUNTERS.rawValue, size: 1040)
        // known: all bits of wire 1, none of wire 2
        for (place, byte) in [UInt8(0xff), 0x03, 0, 0, 0, 0, 0, 0].enumerated() {
            counters[24 + place] = byte
        }
        if case .counters(let totals) = decode(counters).body {
            #expect(totals.kswapd == nil)
            #expect(totals.slab == nil)
            #expect(totals.packets.dropped == nil)
            #expect(!totals.socketsKnown)
            #expect(totals.reserve != nil)
        } else {
            Issue.record("no counters")
        }
    }

    @Test func whatAnOlderWatchDidNotTellOfItselfIsUnknown() {
        var own = filled(RW_STEM_AGENT, RW_AGENT_SELF.rawValue, size: 120)
        own[116] = 3  // known: pages, reclaims, faults
        for place in 117..<120 { own[place] = 0 }
        if case .selfAccount(let account) = decode(own).body {
            #expect(account.allocations != nil && account.faults != nil)
            #expect(account.allocations?.lastStack == nil)
            #expect(account.maps == nil && account.programBytes == nil)
            #expect(account.kernelSide == nil)
        } else {
            Issue.record("no account")
        }
        var standing = filled(RW_STEM_AGENT, RW_AGENT_STANDING.rawValue, size: 104)
        for place in 28..<32 { standing[place] = 0 }  // was reserved
        if case .standing(let told) = decode(standing).body {
            #expect(told.totals == nil)
            #expect(told.tracks[0].criticalIncidents == nil)
        } else {
            Issue.record("no standing")
        }
        if case .program(let program) = decode(
            filled(RW_STEM_AGENT, RW_AGENT_PROGRAM.rawValue, size: 72)
        ).body {
            #expect(program.missed != 0 && program.runs == nil)
        } else {
            Issue.record("no program")
        }
    }

    @Test func aTableThatTheKernelDoesNotCountHasNoEntries() {
        var record = rw_table()
        record.header.stem = UInt16(RW_STEM_AGENT.rawValue)
        record.header.kind = UInt16(RW_AGENT_TABLE.rawValue)
        record.capacity = 8192
        record.entries = 7
        record.most_entries = 9
        for known in UInt32(0)...1 {
            record.entries_known = known
            guard case .table(let table) = withUnsafeBytes(of: record, RecordDecoder.decode).body
            else {
                Issue.record("no table")
                continue
            }
            #expect(table.capacity == 8192)
            #expect(table.entries?.now == (known == 1 ? 7 : nil))
            #expect(table.entries?.most == (known == 1 ? 9 : nil))
        }
    }

    @Test func whatATaskReclaimedIsReadFieldByField() {
        var record = rw_reclaim_task()
        record.header.stem = UInt16(RW_STEM_DIRECT_RECLAIM.rawValue)
        record.header.kind = UInt16(RW_DIRECT_RECLAIM_TASK.rawValue)
        record.task.tid = 41
        record.first_boot_ns = 42
        withUnsafeMutableBytes(of: &record.figures) { bytes in
            // 15 totals of 64 bits, then 4 lists of 12 of 32 bits, each with its own number.
            for place in 0..<15 {
                bytes.storeBytes(
                    of: UInt64(100 + place), toByteOffset: place * 8, as: UInt64.self)
            }
            for place in 0..<48 {
                bytes.storeBytes(
                    of: UInt32(200 + place), toByteOffset: 120 + place * 4, as: UInt32.self)
            }
        }
        let event = withUnsafeBytes(of: record) { RecordDecoder.decode($0) }
        guard case .reclaimTask(let task) = event.body else {
            Issue.record("\(event.body)")
            return
        }
        #expect(task.task.tid == 41 && task.firstBootNanoseconds == 42)
        let totals = [
            task.directReclaims, task.directReclaimNanoseconds, task.longestNanoseconds,
            task.directReclaimedPages, task.kswapdRequests, task.kswapdWakes, task.kswapdRewakes,
            task.kswapdAwakeNanoseconds, task.kswapdLongestNanoseconds, task.scannedAnonPages,
            task.scannedFilePages, task.reclaimedAnonPages, task.reclaimedFilePages,
            task.writtenAnonPages, task.writtenFilePages,
        ]
        #expect(totals == (100..<115).map { UInt64($0) })
        for order in 0..<12 {
            #expect(task.begunByOrder[order] == UInt32(200 + order))
            #expect(task.requestsByOrder[order] == UInt32(212 + order))
            #expect(task.wakesByOrder[order] == UInt32(224 + order))
            #expect(task.rewakesByOrder[order] == UInt32(236 + order))
        }
    }

    @Test func whatATaskAllocatedIsReadFieldByField() {
        var record = rw_page_task()
        record.header.stem = UInt16(RW_STEM_RESERVE.rawValue)
        record.header.kind = UInt16(RW_RESERVE_PAGES.rawValue)
        record.task.tid = 41
        record.first_boot_ns = 42
        withUnsafeMutableBytes(of: &record.figures) { bytes in
            for place in 0..<11 {
                bytes.storeBytes(
                    of: UInt64(100 + place), toByteOffset: place * 8, as: UInt64.self)
            }
        }
        let event = withUnsafeBytes(of: record) { RecordDecoder.decode($0) }
        guard case .pageTask(let task) = event.body else {
            Issue.record("\(event.body)")
            return
        }
        #expect(task.task.tid == 41 && task.firstBootNanoseconds == 42)
        let totals = [
            task.allocations, task.allocatedPages, task.frees, task.freedPages, task.batchedFrees,
            task.zoneLocked, task.refills, task.drainedPages, task.drains, task.fallbacks,
            task.severeFallbacks,
        ]
        #expect(totals == (100..<111).map { UInt64($0) })
    }

    @Test func aSocketIsReadFieldByField() {
        var record = rw_socket()
        record.header.stem = UInt16(RW_STEM_SOCKET.rawValue)
        record.header.kind = UInt16(RW_SOCKET_STATE.rawValue)
        record.family = 10
        record.state = 1
        record.found = RW_SOCKET_OF_NBD.rawValue
        withUnsafeMutableBytes(of: &record.local.bytes) {
            $0[0] = 0x20
            $0[15] = 0x01
        }
        record.local.port = 10809
        record.figures_known = 1
        record.retransmits = 3
        let event = withUnsafeBytes(of: &record) { RecordDecoder.decode($0) }
        guard case .socket(let socket) = event.body else {
            Issue.record("decoded as \(event.body)")
            return
        }
        #expect(socket.task == nil)
        #expect(socket.found == .ofNBD)
        #expect(socket.local[0] == 0x20)
        #expect(socket.local[15] == 1)
        #expect(socket.local.port == 10809)
        #expect(socket.tcp?.retransmits == 3)
    }

    @Test func aStackHasItsFrames() {
        var record = rw_stack()
        record.header.stem = UInt16(RW_STEM_AGENT.rawValue)
        record.header.kind = UInt16(RW_AGENT_STACK.rawValue)
        record.stack = 7
        record.frames = 2
        withUnsafeMutableBytes(of: &record.frame) { bytes in
            for (index, byte) in "first+0x1/0x2".utf8.enumerated() { bytes[index] = byte }
            for (index, byte) in "second".utf8.enumerated() { bytes[48 + index] = byte }
        }
        let event = withUnsafeBytes(of: &record) { RecordDecoder.decode($0) }
        guard case .stack(let stack) = event.body else {
            Issue.record("decoded as \(event.body)")
            return
        }
        #expect(stack.id == 7)
        #expect(stack.frames == 2)
        #expect(stack.frame(0).count == 13)
        #expect(stack.frame(1).count == 6)
        #expect(stack.frame(1)[0] == UInt8(ascii: "s"))
        #expect(stack.innermostModule == nil)
    }

    @Test func aStackLeadsToTheDriverThatIsNearest() {
        var text = [UInt8](repeating: 0, count: 768)
        for (frame, words) in [
            "__alloc_pages+0x1/0x2", "virtnet_poll+0x1/0x2 [virtio_net]", "other+0x1/0x2 [other]",
        ].enumerated() {
            for (index, byte) in words.utf8.enumerated() { text[frame * 48 + index] = byte }
        }
        let stack = text.withUnsafeBytes { KernelStack(id: 1, frames: 3, text: $0) }
        #expect(stack.innermostModule == FixedName("virtio_net"))
        // A name that was cut has no end: it names nothing.
        for index in 48..<96 { text[index] = UInt8(ascii: "x") }
        text[95] = UInt8(ascii: "[")
        let cut = text.withUnsafeBytes { KernelStack(id: 1, frames: 2, text: $0) }
        #expect(cut.innermostModule == nil)
    }

    @Test func settingsComeBackAsTheyWereWritten() {
        var record = rw_times()
        record.header = rw_header(
            stem: UInt16(RW_STEM_AGENT.rawValue), kind: UInt16(RW_AGENT_SETTINGS.rawValue),
            size: 120, boot_ns: 5, cpu: 0, reserved: 0)
        record.summary_interval_ns = 1
        record.direct_reclaim_notice_ns = 2
        record.stall_notice_ns = 3
        record.critical_after_ns = 4
        record.slow_request_ns = 5
        record.time_left_warning_ns = 6
        record.alert_hold_ns = 7
        record.alert_update_ns = 8
        record.alert_longest_update_ns = 9
        record.exposure_update_ns = 10
        record.outcome = RW_SETTINGS_REFUSED.rawValue
        record.asked = 11
        record.errors = 12
        record.waiting = 13
        let event = withUnsafeBytes(of: record) { RecordDecoder.decode($0) }
        guard case .settings(let settings) = event.body else {
            Issue.record("\(event.body)")
            return
        }
        let policy = settings.policy
        #expect(
            [
                policy.summaryInterval, policy.directReclaimNotice, policy.stallNotice,
                policy.criticalAfter, policy.slowRequest, policy.timeLeftWarning,
                policy.alertHold, policy.alertUpdate, policy.alertLongestUpdate,
                policy.exposureUpdate,
            ] == Array(1...10))
        #expect(settings.outcome == .refused)
        #expect([settings.asked, settings.errors, settings.waiting] == [11, 12, 13])
        record.outcome = 99
        let newer = withUnsafeBytes(of: record) { RecordDecoder.decode($0) }
        guard case .settings(let unknown) = newer.body else { return }
        #expect(unknown.outcome == .unknown(99))
    }
}
