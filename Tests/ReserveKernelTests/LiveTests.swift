// SPDX-License-Identifier: Apache-2.0

import CBPF
import Glibc
import Testing

@testable import ReserveKernel

/// The BPF programs on this machine's own kernel. These never skip where CI is set: a
/// machine that cannot load them fails here.
@Suite(.serialized, .enabled(if: geteuid() == 0 || getenv("CI") != nil, "needs root"))
struct LiveTests {
    private func attach(_ settings: LiveKernel.Settings = .init()) throws -> LiveKernel {
        try LiveKernel.attach(facts: try KernelFacts.discover(), settings: settings)
    }

    /// The kernel's id of the thread that a test runs on.
    private static func thread() throws -> UInt32 {
        var path = [CChar](repeating: 0, count: 64)
        let bytes = readlink("/proc/thread-self", &path, path.count - 1)
        let words = path.prefix(max(bytes, 0)).split(separator: 47)  // "1234/task/1235"
        return try #require(
            words.last.flatMap {
                UInt32(String(decoding: $0.map(UInt8.init(bitPattern:)), as: UTF8.self))
            })
    }

    private func stems(_ kernel: borrowing LiveKernel) -> [UInt16: Int] {
        var seen: [UInt16: Int] = [:]
        kernel.drain { record in
            let header = record.loadUnaligned(as: rw_header.self)
            #expect(Int(header.size) == record.count)
            seen[header.stem, default: 0] += 1
        }
        return seen
    }

    @Test func everySignalIsHadOrItsAbsenceExplained() throws {
        let kernel = try attach()
        let choices = kernel.choices
        #expect(choices.count == HookPlan.signals.count)
        for choice in choices where choice.state != RW_HOOK_PRIMARY.rawValue {
            #expect(!choice.reason.isEmpty, "\(choice.name)")
        }
        for name in ["watermark.zones", "reserve.taken", "direct_reclaim.stays", "nbd.requests"] {
            let choice = choices.first { $0.name == name }
            #expect(choice?.state != RW_HOOK_MISSING.rawValue, "\(name)")
        }
    }

    @Test func theTimerSamplesEveryZoneAndNode() throws {
        let kernel = try attach()
        usleep(500_000)
        let seen = stems(kernel)
        #expect((seen[UInt16(RW_STEM_WATERMARK.rawValue)] ?? 0) >= 4)
        let ticks = kernel.shared.pointee.counters.timer_ticks
        #expect(ticks >= 20)
    }

    @Test func zoneMarksAreThoseOfProcZoneinfo() throws {
        let kernel = try attach()
        usleep(300_000)
        var zones: [String: rw_zone] = [:]
        kernel.drain { record in
            let header = record.loadUnaligned(as: rw_header.self)
            guard header.stem == RW_STEM_WATERMARK.rawValue,
                header.kind == RW_WATERMARK_ZONE.rawValue
            else { return }
            let zone = record.loadUnaligned(as: rw_zone.self)
            let name = withUnsafeBytes(of: zone.name) {
                String(decoding: $0.prefix(while: { $0 != 0 }), as: UTF8.self)
            }
            zones["\(zone.node) \(name)"] = zone
        }
        let text = try #require(readFile("/proc/zoneinfo", limit: 1 << 20))
        var compared = 0
        var current = ""
        var inPagesets = false
        for line in text.split(separator: "\n") {
            let words = line.split(whereSeparator: { " ,:".contains($0) })
            if line.hasPrefix("Node ") {
                current = "\(words[1]) \(words[3])"
                inPagesets = false
            }
            if words.first == "pagesets" { inPagesets = true }
            guard let zone = zones[current], !inPagesets, words.count == 2,
                let value = UInt64(words[1])
            else { continue }
            let told: [Substring: UInt64] = [
                "min": zone.min_pages, "low": zone.low_pages, "high": zone.high_pages,
                "managed": zone.managed_pages, "present": zone.present_pages,
                "spanned": zone.spanned_pages,
            ]
            if let figure = told[words[0]] {
                #expect(figure == value, "\(current) \(words[0])")
                compared += 1
            }
        }
        #expect(compared == zones.count * 6)
        #expect(compared > 0)
    }

    @Test func aPageThatTheLoopTakesIsToldWithItsStack() throws {
        let kernel = try attach()
        kernel.shared.pointee.settings.self_tid = try Self.thread()
        kernel.countOwn(true)
        let before = UserRecords.own(.init(), kernel: kernel, bootNanoseconds: 0)
        let page = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        page?.storeBytes(of: 1, as: UInt8.self)
        let after = UserRecords.own(.init(), kernel: kernel, bootNanoseconds: 0)
        kernel.countOwn(false)
        munmap(page, 4096)
        #expect(after.pages_allocated > before.pages_allocated)
        try #require(after.known & 32 != 0)
        var frames = ""
        kernel.drain { record in
            guard record.count == MemoryLayout<rw_stack>.size else { return }
            let stack = record.loadUnaligned(as: rw_stack.self)
            if stack.stack == Int32(after.allocation_stack) {
                frames = withUnsafeBytes(of: stack.frame) {
                    String(decoding: $0.map { $0 == 0 ? 32 : $0 }, as: UTF8.self)
                }
            }
        }
        #expect(frames.contains("handle_mm_fault"), "\(frames)")
    }

    @Test func aTinyRingLosesAndCountsWhatItLost() throws {
        var settings = LiveKernel.Settings()
        settings.ringBytes = 4096
        settings.samplePeriodNanoseconds = 1_000_000
        settings.reportPeriodNanoseconds = 1_000_000
        let kernel = try attach(settings)
        usleep(500_000)
        let stem = Int(RW_STEM_WATERMARK.rawValue)
        // Read before the drain: afterwards there is room again.
        let counters = kernel.shared.pointee.counters
        let emitted = withUnsafeBytes(of: counters.emitted) {
            $0.loadUnaligned(fromByteOffset: stem * 8, as: UInt64.self)
        }
        let lost = withUnsafeBytes(of: counters.lost) {
            $0.loadUnaligned(fromByteOffset: stem * 8, as: UInt64.self)
        }
        #expect(lost > 0)
        // What was emitted lies in the ring: it is full, and nothing of it was overwritten.
        var drained: UInt64 = 0
        kernel.drain { record in
            if record.loadUnaligned(as: rw_header.self).stem == UInt16(stem) { drained += 1 }
        }
        #expect(drained >= emitted && drained <= emitted + 8, "\(drained) of \(emitted)")
    }

    @Test func theLastReportIsOfThisMomentAndTheLast() throws {
        let kernel = try attach()
        usleep(150_000)
        kernel.drain { _ in }
        kernel.reportFinally()
        let last = stems(kernel)[UInt16(RW_STEM_WATERMARK.rawValue)] ?? 0
        #expect(last >= 2, "a zone and a node at least")
        usleep(300_000)
        let after = stems(kernel)[UInt16(RW_STEM_WATERMARK.rawValue)] ?? 0
        #expect(after == 0)
    }

    @Test func whatIsArmedIsCountedAndWhatIsNotIsNot() throws {
        var settings = LiveKernel.Settings()
        settings.armed = [.slab]
        let kernel = try attach(settings)
        #expect(kernel.known & UInt64(RW_KNOWN_SLAB_OBJECTS.rawValue) != 0)
        #expect(kernel.known & UInt64(RW_KNOWN_SKBS.rawValue) == 0)
        for _ in 0..<100 { close(open("/dev/null", O_RDONLY)) }  // a struct file each
        usleep(1_300_000)
        var caches: Set<String> = []
        kernel.drain { record in
            let header = record.loadUnaligned(as: rw_header.self)
            guard header.stem == RW_STEM_SLAB.rawValue, header.kind == RW_SLAB_CACHE.rawValue
            else { return }
            let cache = record.loadUnaligned(as: rw_slab_cache.self)
            #expect(cache.objects_known == 1)
            caches.insert(
                withUnsafeBytes(of: cache.cache) {
                    String(decoding: $0.prefix(while: { $0 != 0 }), as: UTF8.self)
                })
        }
        #expect(caches.count > 1, "\(caches)")
        let wide = kernel.shared.pointee.wide
        #expect(wide.kmallocs > 0 && wide.kmalloc_bytes > wide.kmallocs)
    }

    @Test func pagesAreAddedUpByTaskWhenArmed() throws {
        var settings = LiveKernel.Settings()
        settings.armed = [.pages]
        let kernel = try attach(settings)
        #expect(kernel.known & UInt64(RW_KNOWN_PAGE_TASKS.rawValue) != 0)
        let pages = 2000
        let page = Int(getpagesize())
        let memory = try #require(
            mmap(nil, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
        madvise(memory, pages * page, MADV_NOHUGEPAGE)
        for index in 0..<pages {
            memory.storeBytes(of: 1, toByteOffset: index * page, as: UInt8.self)
        }
        munmap(memory, pages * page)
        kernel.drain { _ in }
        kernel.reportFinally()
        var allocated: UInt64 = 0
        kernel.drain { record in
            let header = record.loadUnaligned(as: rw_header.self)
            guard header.stem == RW_STEM_RESERVE.rawValue, header.kind == RW_RESERVE_PAGES.rawValue
            else { return }
            let task = record.loadUnaligned(as: rw_page_task.self)
            if task.task.tgid == UInt32(getpid()) { allocated += task.figures.allocated_pages }
        }
        #expect(allocated >= UInt64(pages))
        #expect(allocated < UInt64(pages) * 20, "\(allocated)")
    }

    @Test func theKernelTellsOfOurProgramsAndTables() throws {
        var settings = LiveKernel.Settings()
        settings.armed = [.pages]
        var kernel = try attach(settings)
        #expect(kernel.programs > 10)
        var missed = InlineArray<16, UInt64>(repeating: 7)
        let known = kernel.readPrograms(missed: &missed)
        #expect(known)
        #expect(missed[Int(RW_STEM_WATERMARK.rawValue)] == 0)
        let memory = kernel.memory
        // The ring alone is a megabyte.
        #expect((memory.mapBytes ?? 0) > 1 << 20)
        #expect((memory.programBytes ?? 0) > UInt64(kernel.programs) * 4096)
        for table in LiveKernel.Table.all {
            #expect(kernel.capacity(of: table) >= 256, "\(table.name)")
        }
        // Armed, every task that allocates has an entry: this one has.
        let tasks = try #require(LiveKernel.Table.all.first { $0.name == "page_tasks" })
        if kernel.countTables() {
            #expect(kernel.entries(of: tasks) > 0)
            #expect(kernel.entries(of: tasks) <= UInt64(kernel.capacity(of: tasks)))
        } else {
            #expect(try !KernelFacts.discover().functions.contains("bpf_map_sum_elem_count"))
        }
    }

    @Test func withoutArmingNoPagesAreAddedUp() throws {
        let kernel = try attach()
        #expect(kernel.known & UInt64(RW_KNOWN_PAGE_TASKS.rawValue) == 0)
        #expect(kernel.known & UInt64(RW_KNOWN_RECLAIM_TASKS.rawValue) != 0)
    }

    @Test func aSocketThatIsNotMarkedIsNotTold() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        #expect(listen(listener, 1) == 0)
        let kernel = try attach()
        #expect(kernel.known & UInt64(RW_KNOWN_SOCKETS.rawValue) != 0)
        usleep(300_000)
        #expect(stems(kernel)[UInt16(RW_STEM_SOCKET.rawValue)] == nil)
        #expect(kernel.shared.pointee.socket_serial == 0)
    }

    /// It gives up after a million instructions, and another kernel's goes through more of them.
    @Test func theVerifierIsDoneSoonWithEachProgram() throws {
        var settings = LiveKernel.Settings()
        settings.armed = Set(HookPlan.Arm.allCases)
        let kernel = try attach(settings)
        for name in kernel.choices.flatMap(\.programs) {
            let descriptor = rw_bpf_program_descriptor(kernel.bpf, name)
            let text = try #require(readFile("/proc/self/fdinfo/\(descriptor)", limit: 4096))
            let line = try #require(
                text.split(separator: "\n").first { $0.hasPrefix("verified_insns:") })
            let verified = try #require(Int(line.split(separator: "\t")[1]))
            #expect(verified > 0 && verified < 100_000, "\(name)")
        }
    }

    @Test func afterTheEndNothingStaysAttached() throws {
        do {
            let kernel = try attach()
            let known = kernel.known
            #expect(known != 0)
        }
        // The object is gone: a second one attaches as the first one did.
        let again = try attach()
        let count = again.choices.count
        #expect(count == HookPlan.signals.count)
    }
}
