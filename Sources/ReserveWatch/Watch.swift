// SPDX-License-Identifier: Apache-2.0

import CBPF
import CLinux
import Glibc
import ReserveKernel
import ReserveModel
import ReserveRecord
import ReserveSinks

/// The watch: one loop that drains the ring, keeps the picture, and hands lines to
/// descriptors that were opened before it began.
///
/// After ``init(_:)`` it opens nothing and waits for nobody; the one exception is a change
/// of /proc/swaps, which it looks up in sysfs.
struct Watch: ~Copyable {
    struct Configuration {
        var settings = LiveKernel.Settings()
        var policy = Policy()
        var kinds = NoticeKinds.all
        var format = LineFormat.json
        /// nil: standard output.
        var output: String?
        var recording: String?
        var durationNanoseconds: UInt64?
        var realTimePriority: Int32 = 10
    }

    private var kernel: LiveKernel
    private let pressure: PressureFile
    private let vmstat: VmstatFallback
    /// Only where the kernel refuses to sample the zones by itself.
    private var zoneinfo: ZoneinfoFallback?
    private let swaps: SwapTable
    private let signals: Int32
    private var stream: Stream
    private var recording: RecordingSink?
    private var beat = UserRecords.Beat()
    private var lastTurn: UInt64 = 0
    /// When what costs a system call for each program is due again.
    private var nextSecond: UInt64 = 0
    private let configuration: Configuration
    private let missing: UInt64

    /// How long a turn of the loop sleeps at most.
    private static let beatMilliseconds: Int32 = 100

    /// Opens, loads, attaches, then locks itself into memory.
    init(_ configuration: Configuration) throws(WatchError) {
        let facts = try KernelFacts.discover()
        let signals = rw_open_signals()
        if signals < 0 { throw .resources(operation: "watch for signals", errno: signals) }
        let stream = try Stream(
            path: configuration.output, format: configuration.format, kinds: configuration.kinds,
            policy: configuration.policy)
        let recording: RecordingSink? =
            if let path = configuration.recording { try RecordingSink(path: path) } else { nil }
        let vmstat = try VmstatFallback()
        let swaps = try SwapTable()
        let kernel = try LiveKernel.attach(facts: facts, settings: configuration.settings)
        let missing = kernel.choices.filter { $0.programs.isEmpty }.reduce(0) { $0 | $1.known }
        let zoneinfo: ZoneinfoFallback? =
            missing & UInt64(RW_KNOWN_ZONES.rawValue) != 0 ? try ZoneinfoFallback() : nil
        self.configuration = configuration
        self.missing = missing
        self.zoneinfo = zoneinfo
        self.signals = signals
        self.stream = stream
        self.recording = recording
        self.vmstat = vmstat
        self.swaps = swaps
        self.kernel = kernel
        pressure = PressureFile()
        open(Survival.protect(realTimePriority: configuration.realTimePriority))
    }

    /// Tells who watches, and with what.
    private mutating func open(_ protections: [HookPlan.Choice]) {
        var host = UserRecords.host(settings: configuration.settings, version: agentVersion)
        withUnsafeBytes(of: &host) { take($0) }
        for choice in kernel.choices + protections {
            var hook = UserRecords.hook(choice)
            withUnsafeBytes(of: &hook) { take($0) }
        }
        lastTurn = rw_boot_ns()
        readSwaps()
    }

    private mutating func readSwaps() {
        let now = rw_boot_ns()
        // Collected first: the table and the stream are both parts of self.
        var records: [[UInt8]] = []
        swaps.read(bootNanoseconds: now) { records.append([UInt8]($0)) }
        for record in records { record.withUnsafeBytes { take($0) } }
    }

    /// One record on its way: recorded as it is, then decoded, modelled and told.
    private mutating func take(_ record: UnsafeRawBufferPointer) {
        recording?.take(record)
        stream.take(record)
    }

    /// Runs until a signal or the end of the duration, then tells the final totals.
    ///
    /// - Returns: the errno that ended the output early, or 0.
    mutating func run() -> Int32 {
        let began = rw_boot_ns()
        var stopping = false
        turn()
        while !stopping {
            let signalled = wait()
            turn()
            if signalled { stopping = true }
            if let limit = configuration.durationNanoseconds, rw_boot_ns() - began >= limit {
                stopping = true
            }
            if stream.failure != 0 { stopping = true }
        }
        // What moves on its own is reported once more, so that the last totals are all of
        // one moment; then what that put into the ring.
        kernel.reportFinally()
        drain()
        tellSecond(rw_boot_ns())
        tell(.init(RW_AGENT_STOPPED.rawValue))
        stream.finish(withinMilliseconds: 2000)
        recording?.finish(withinMilliseconds: 2000)
        return stream.failure != 0 ? stream.failure : recording?.failure ?? 0
    }

    /// Sleeps until the next beat, a signal, a change of the swap table, or room in an output.
    ///
    /// - Returns: whether a signal asks to stop.
    private mutating func wait() -> Bool {
        var entries: InlineArray<4, pollfd> = [
            pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
            pollfd(fd: swaps.descriptor, events: Int16(POLLPRI), revents: 0),
            pollfd(fd: stream.waitingDescriptor, events: Int16(POLLOUT), revents: 0),
            pollfd(fd: recording?.waitingDescriptor ?? -1, events: Int16(POLLOUT), revents: 0),
        ]
        let ready = withUnsafeMutableBytes(of: &entries) { bytes in
            poll(bytes.assumingMemoryBound(to: pollfd.self).baseAddress, 4, Self.beatMilliseconds)
        }
        guard ready > 0 else { return false }
        if entries[1].revents & Int16(POLLPRI | POLLERR) != 0 {
            readSwaps()
            kernel.findNewSockets()
        }
        guard entries[0].revents != 0 else { return false }
        let signal = rw_read_signal(signals)
        return signal == SIGINT || signal == SIGTERM || signal == SIGHUP
    }

    private mutating func turn() {
        let now = rw_boot_ns()
        beat.count += 1
        beat.worstGapNanoseconds = max(beat.worstGapNanoseconds, now - lastTurn)
        lastTurn = now
        drain()
        zoneinfo?.sample(bootNanoseconds: now) { record in
            recording?.take(record)
            stream.take(record)
        }
        if now >= nextSecond {
            nextSecond = now + 1_000_000_000
            tellSecond(now)
        }
        tell(.init(RW_AGENT_TICK.rawValue))
        stream.flush()
        recording?.flush()
    }

    private mutating func drain() {
        kernel.drain { record in
            recording?.take(record)
            stream.take(record)
        }
    }

    /// What the kernel is asked for each second only: pressure, and what it skipped.
    private mutating func tellSecond(_ now: UInt64) {
        if var record = pressure.sample(bootNanoseconds: now) {
            withUnsafeBytes(of: &record) { take($0) }
        }
        var changed = InlineArray<64, UInt64>(repeating: 0)
        var indices = InlineArray<64, Int>(repeating: 0)
        var count = 0
        beat.missedKnown = kernel.readMissed(into: &beat.missed) { index, missed in
            guard count < 64 else { return }
            changed[count] = missed
            indices[count] = index
            count += 1
        }
        for place in 0..<count {
            let program = kernel.program(at: indices[place])
            var record = UserRecords.program(
                name: program.name, stem: program.stem, missed: changed[place],
                bootNanoseconds: now)
            withUnsafeBytes(of: &record) { take($0) }
        }
    }

    /// The totals of this moment, then the bare record that makes the model act on them.
    private mutating func tell(_ kind: rw_agent_kind) {
        let now = rw_boot_ns()
        beat.readerLost = stream.lost + (recording?.lost ?? 0)
        var record = rw_counters_record()
        UserRecords.counters(
            kernel: kernel, vmstat: vmstat, missing: missing, beat: beat, bootNanoseconds: now,
            into: &record)
        withUnsafeBytes(of: &record) { take($0) }
        var bare = UserRecords.bare(kind, bootNanoseconds: now)
        withUnsafeBytes(of: &bare) { take($0) }
    }
}
