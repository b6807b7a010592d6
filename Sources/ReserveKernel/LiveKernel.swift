// SPDX-License-Identifier: Apache-2.0

import CBPF
import Glibc

/// The attached BPF programs and the memory they share with us: the live end of the path.
///
/// Owns the object; detaches and frees everything at its end. After ``attach(settings:)``
/// nothing here allocates.
public struct LiveKernel: ~Copyable {
    /// What the user may set before the start.
    public struct Settings: Sendable {
        /// Size of the kernel's ring in bytes, a power of two of at least a page.
        public var ringBytes: UInt32 = 1 << 20
        /// Period of the zone samples, 1 ms to 1 s.
        public var samplePeriodNanoseconds: UInt64 = 10_000_000
        /// Time between two zone records, a multiple of the period.
        public var reportPeriodNanoseconds: UInt64 = 100_000_000
        /// Stays in direct reclaim from this on are sent as records.
        public var slowThresholdNanoseconds: UInt64 = 50_000_000
        /// `RW_RESERVE_FAILED` records per 100 ms; more are counted as suppressed.
        public var failedPerWindow: UInt32 = 32
        /// Hooks that cost more than a calm host should pay.
        public var armed: Set<HookPlan.Arm> = []
        public var guardRules = GuardRules()
        /// An agent that belongs to one reader is ended by it, and not guarded.
        public var guardsItself = true

        public init() {}
    }

    let bpf: OpaquePointer
    private let ring: rw_ring
    /// The attached programs, and what the kernel told of each last.
    private var watched: [Program]
    /// Totals and working state of the programs, live.
    public let shared: UnsafeMutablePointer<rw_shared>
    /// What was chosen for each signal.
    public let choices: [HookPlan.Choice]
    /// Bits of `enum rw_known`: which counters a hook keeps.
    public let known: UInt64

    /// Whether the kernel counts the entries of our tables.
    let countsTables: Bool
    /// Whether it counts the memory of each map by its type, or tells only how large keys and
    /// values are: struct bpf_map_ops.map_mem_usage, which array_map_mem_usage() is one of.
    let countsMapMemory: Bool

    /// An attached program, and what the kernel tells of it.
    public struct Program: Sendable {
        public let name: String
        public let stem: Int
        public internal(set) var missed: UInt64 = 0
        /// While the kernel kept statistics.
        public internal(set) var runs: UInt64 = 0
        public internal(set) var runNanoseconds: UInt64 = 0
    }

    /// Loads and attaches the best that this kernel takes.
    ///
    /// - Throws: ``WatchError`` when not even the plainest hooks can be had.
    public static func attach(
        facts: KernelFacts, settings: Settings
    ) throws(WatchError) -> LiveKernel {
        var plan = HookPlan(facts: facts, armed: settings.armed, guarding: settings.guardRules)
        // Each turn strikes one way to have a signal. A kernel that refuses more cannot be watched.
        for _ in 0..<48 {
            let choices = plan.choices
            // Before anything of it is at work.
            if let error = plan.unhonoured(choices) { throw error }
            let extras = plan.extras
            switch try tryLoading(
                choices: choices, extras: extras, facts: facts, settings: settings)
            {
            case .loaded(let bpf, let unseen):
                return try LiveKernel(
                    bpf: bpf, choices: HookPlan.noting(unseenNamespaces: unseen, in: choices),
                    countsTables: extras.contains(HookPlan.countTables),
                    countsMapMemory: facts.functions.contains("array_map_mem_usage"))
            case .refused(let program, let reason):
                plan.refuse(program: program, reason: reason)
            }
        }
        throw .kernelUnsuitable(
            reason: "it refused program after program",
            remedy: "set RESERVEWATCH_LIBBPF_LOG=1 and send us what it prints")
    }

    private enum Attempt {
        /// With the number of network namespaces that could not be entered.
        case loaded(OpaquePointer, unseenNamespaces: Int)
        case refused(program: String, reason: String)
    }

    private static func tryLoading(
        choices: [HookPlan.Choice], extras: [String], facts: KernelFacts, settings: Settings
    ) throws(WatchError) -> Attempt {
        guard let bpf = rw_bpf_open(settings.ringBytes) else {
            throw .kernelUnsuitable(
                reason: String(cString: rw_bpf_message()), remedy: "rebuild reservewatch")
        }
        var kept = false
        defer { if !kept { rw_bpf_close(bpf) } }
        let programs = choices.flatMap(\.programs)
        for program in programs + extras where rw_bpf_enable(bpf, program) != 0 {
            throw .kernelUnsuitable(
                reason: String(cString: rw_bpf_message()), remedy: "rebuild reservewatch")
        }
        let result = rw_bpf_load(bpf)
        if result != 0 {
            let program = String(cString: rw_bpf_refused_program())
            if program.isEmpty {
                if result == -EPERM {
                    throw .notPermitted(
                        operation: "loading BPF programs",
                        reason: "\(String(cString: rw_bpf_message())); run reservewatch as root")
                }
                throw .kernelUnsuitable(
                    reason: String(cString: rw_bpf_message()),
                    remedy: "set RESERVEWATCH_LIBBPF_LOG=1 and send us what it prints")
            }
            return .refused(
                program: program, reason: "kernel refused \(program) (\(describe(errno: result)))")
        }
        let attempt = arm(
            bpf, programs: programs, choices: choices, facts: facts, settings: settings)
        if case .loaded = attempt { kept = true }
        return attempt
    }

    /// Writes the settings, attaches every program, starts the timer, looks for sockets.
    private static func arm(
        _ bpf: OpaquePointer, programs: [String], choices: [HookPlan.Choice], facts: KernelFacts,
        settings: Settings
    ) -> Attempt {
        // Without it LiveKernel's own initializer fails, with the reason.
        guard let shared = rw_bpf_shared(bpf) else { return .loaded(bpf, unseenNamespaces: 0) }
        shared.pointee.settings.slow_threshold_ns = settings.slowThresholdNanoseconds
        shared.pointee.settings.sample_period_ns = settings.samplePeriodNanoseconds
        shared.pointee.settings.report_ticks = UInt32(
            max(1, settings.reportPeriodNanoseconds / settings.samplePeriodNanoseconds))
        shared.pointee.settings.failed_per_window = settings.failedPerWindow
        shared.pointee.settings.end_swap_bio_write = facts.symbols["end_swap_bio_write"] ?? 0
        shared.pointee.settings.end_swap_bio_read = facts.symbols["end_swap_bio_read"] ?? 0
        shared.pointee.settings.nbd_index_idr = facts.symbols["nbd_index_idr"] ?? 0
        shared.pointee.settings.swap_info = facts.symbols["swap_info"] ?? 0
        shared.pointee.settings.slab_objects = programs.contains("slab_object_freed") ? 1 : 0
        shared.pointee.settings.self_tid = UInt32(getpid())
        shared.pointee.settings.page_tasks = programs.contains("task_page_freed") ? 1 : 0
        shared.pointee.settings.drops_by_reason = programs.contains("socket_filtered") ? 0 : 1
        shared.pointee.settings.nbd_phases = programs.contains("nbd_sent") ? 1 : 0
        shared.pointee.settings.walk_waiters = programs.contains("throttle_exit") ? 0 : 1
        shared.pointee.settings.guard_kill_hook =
            choices.contains { $0.name == "guard.signals" && $0.canRefuse } ? 1 : 0
        shared.pointee.settings.guard_trace_hook =
            choices.contains { $0.name == "guard.traces" && $0.canRefuse } ? 1 : 0
        let excepted = write(
            settings.guardRules, guardsItself: settings.guardsItself, family: facts.nbdFamily,
            to: bpf, shared)
        if excepted != 0 {
            return .refused(
                program: "guard_begin",
                reason: "the exceptions were not taken (\(describe(errno: excepted)))")
        }
        for program in programs where !HookPlan.runByUs.contains(program) {
            let result = rw_bpf_attach(bpf, program)
            if result != 0 {
                return .refused(
                    program: program,
                    reason: "kernel did not attach \(program) (\(describe(errno: result)))")
            }
        }
        if programs.contains("find_nodes") {
            if rw_bpf_run_iterator(bpf, "find_nodes") != 0 {
                return .refused(program: "find_nodes", reason: String(cString: rw_bpf_message()))
            }
            let searched = programs.contains("guard_begin") ? rw_bpf_start_guard_search(bpf) : 0
            if searched != 0 {
                return .refused(
                    program: "guard_begin",
                    reason: "who is to be guarded was not found (\(describe(errno: searched)))")
            }
            if rw_bpf_start_sampler(bpf) != 0 {
                return .refused(program: "start_sampler", reason: String(cString: rw_bpf_message()))
            }
        }
        return findSockets(bpf, programs: programs)
    }

    /// Runs those of the socket iterators that are loaded, in every network namespace.
    private static func findSockets(_ bpf: OpaquePointer, programs: [String]) -> Attempt {
        var failed: Attempt?
        var unseen = 0
        func run(_ program: String) {
            guard failed == nil, programs.contains(program) else { return }
            if rw_bpf_run_iterator(bpf, program) != 0 {
                failed = .refused(program: program, reason: String(cString: rw_bpf_message()))
            }
        }
        run("find_socket_tasks")
        if programs.contains("find_tcp_sockets") {
            unseen = NetworkNamespaces.forEach {
                run("find_tcp_sockets")
                run("find_unix_sockets")
            }
        }
        return failed ?? .loaded(bpf, unseenNamespaces: unseen)
    }

    /// Looks again for SOCK_MEMALLOC sockets where their marking cannot be hooked: when the
    /// swap table has changed.
    public func findNewSockets() {
        guard looksForSockets else { return }
        let programs = choices.flatMap(\.programs).filter { $0 != "find_socket_tasks" }
        _ = Self.findSockets(bpf, programs: programs)
    }

    /// Whether ``findNewSockets()`` goes through the network namespaces, which takes rights.
    var looksForSockets: Bool {
        let programs = choices.flatMap(\.programs)
        return programs.contains("find_tcp_sockets") && !programs.contains("socket_marked")
    }

    /// Whether the kernel tells, with the rights of this moment, how often it skipped programs.
    var tellsMissed: Bool {
        watched.contains { program in
            var figures = rw_bpf_figures()
            return program.name.withCString { rw_bpf_figures(bpf, $0, &figures) }
                && figures.missed >= 0
        }
    }

    private init(
        bpf: OpaquePointer, choices: [HookPlan.Choice], countsTables: Bool, countsMapMemory: Bool
    ) throws(WatchError) {
        guard let shared = rw_bpf_shared(bpf), rw_bpf_ring(bpf).data != nil else {
            rw_bpf_close(bpf)
            throw .resources(operation: "map the memory of the BPF programs", errno: ENOMEM)
        }
        self.bpf = bpf
        self.shared = shared
        self.countsTables = countsTables
        self.countsMapMemory = countsMapMemory
        ring = rw_bpf_ring(bpf)
        self.choices = choices
        // A file that we read ourselves is known as well: the caller fills it in.
        watched = choices.flatMap { choice in
            choice.programs.filter { !HookPlan.runByUs.contains($0) }
                .map { Program(name: $0, stem: Int(choice.stem) & Int(RW_STEM_SLOTS - 1)) }
        }
        known = choices.reduce(0) { $0 | $1.known }
    }

    deinit {
        rw_bpf_close(bpf)
    }

    /// The attached programs, as ``readPrograms(missed:)`` found them last.
    public var programs: Int { watched.count }
    public func program(at index: Int) -> Program { watched[index] }

    /// Asks the kernel for the figures of each program. One system call each; the kernel answers
    /// from its own memory. Does not allocate.
    ///
    /// - Parameter missed: by stem, how often the kernel skipped our programs.
    /// - Returns: whether it tells that of every program.
    public mutating func readPrograms(missed: inout InlineArray<16, UInt64>) -> Bool {
        var known = true
        missed = InlineArray(repeating: 0)
        for index in watched.indices {
            var figures = rw_bpf_figures()
            let told = watched[index].name.withCString { rw_bpf_figures(bpf, $0, &figures) }
            guard told else {
                known = false
                continue
            }
            watched[index].runs = figures.runs
            watched[index].runNanoseconds = figures.run_ns
            guard figures.missed >= 0 else {
                known = false
                continue
            }
            watched[index].missed = UInt64(figures.missed)
            missed[watched[index].stem] &+= UInt64(figures.missed)
        }
        return known
    }

    /// Counts from now on what this process itself allocates and reclaims; its thread must be
    /// the one that attached. ``Self/faultsKnown`` tells whether its faults are seen as well.
    public func countOwn(_ isOn: Bool) {
        shared.pointee.settings.self_tgid = isOn ? UInt32(getpid()) : 0
    }

    public var faultsKnown: Bool { shared.pointee.self_task != 0 }

    /// Stops the sampling and puts the figures of this moment into the ring: for the end.
    public func reportFinally() {
        if choices.contains(where: { $0.programs.contains("final_report") }) {
            _ = rw_bpf_final_report(bpf)
        }
    }

    /// The inodes of all SOCK_MEMALLOC sockets now; nil where they are not observed. Ends the
    /// sampling, and passes over every other record.
    public func memallocInodes() -> Set<UInt64>? {
        guard known & UInt64(RW_KNOWN_SOCKETS.rawValue) != 0 else { return nil }
        drain { _ in }
        reportFinally()
        var inodes: Set<UInt64> = []
        drain { record in
            guard record.count >= MemoryLayout<rw_socket>.size else { return }
            let header = record.loadUnaligned(as: rw_header.self)
            guard header.stem == RW_STEM_SOCKET.rawValue, header.kind == RW_SOCKET_STATE.rawValue
            else { return }
            inodes.insert(record.loadUnaligned(as: rw_socket.self).inode)
        }
        return inodes
    }

    /// Bytes in the ring that wait to be drained.
    public var waitingBytes: UInt64 {
        guard let consumer = ring.consumer_position, let producer = ring.producer_position else {
            return 0
        }
        return UInt64(rw_ring_load(producer) &- rw_ring_load(consumer))
    }

    /// Hands every record in the ring to `body`, oldest first, and frees their room.
    ///
    /// Never blocks. Stops after one ring's worth, so that a flood cannot hold the caller.
    ///
    /// - Returns: the number of records.
    @discardableResult
    public func drain(_ body: (UnsafeRawBufferPointer) -> Void) -> Int {
        guard let consumer = ring.consumer_position, let producer = ring.producer_position,
            let data = ring.data
        else { return 0 }
        var position = rw_ring_load(consumer)
        let end = rw_ring_load(producer)
        var count = 0
        while position < end {
            let header = data + Int(position & UInt(ring.size_bytes - 1))
            let length = rw_ring_load_length(header)
            // kernel/bpf/ringbuf.c: BUSY is still being written, DISCARD was given back
            if length & (1 << 31) != 0 { break }
            let size = Int(length & ~(3 << 30))
            if length & (1 << 30) == 0 {
                body(UnsafeRawBufferPointer(start: header + 8, count: size))
                count += 1
            }
            position += UInt((size + 8 + 7) & ~7)
            rw_ring_store(consumer, position)
        }
        return count
    }
}
