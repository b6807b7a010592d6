// SPDX-License-Identifier: Apache-2.0

import CBPF
import CLinux
import Glibc
import ReserveBox
import ReserveKernel
import ReserveModel
import ReserveRecord
import ReserveSinks

/// The watch: one loop that drains the ring, keeps the picture, writes alerts to what it has
/// open, and publishes every record into the black box.
///
/// After ``init(_:version:)`` it takes no memory, opens nothing and waits for nobody; the one
/// exception is a change of /proc/swaps, which it looks up in sysfs.
public struct Watch: ~Copyable {
    private var kernel: LiveKernel
    private let pressure: PressureFile
    private var vmstat: VmstatFallback
    private var exposure: ExposureFiles
    /// To be mended when the host is calm: it opens files, and asks for a lock of the kernel's.
    private var followsOldSwaps = false
    /// Only where the kernel refuses to sample the zones by itself.
    private var zoneinfo: ZoneinfoFallback?
    private let swaps: SwapTable
    private let signals: Int32
    private var box: BoxWriter
    private var stream: Stream
    private var recording: RecordingSink?
    private var sinks: AlertSinks
    private var beatLine: BeatLine?
    /// Only where a service manager asked to be told.
    private var manager: ServiceManager?
    /// Only where somebody reads the configuration for us.
    private var exchange: SettingsExchange?
    /// Only with rules.
    private var hands: Hands?
    private var beat = UserRecords.Beat()
    private var own = UserRecords.Own()
    private var sums = SumRecords()
    private var marks: OwnMarks
    private var lastTurn: UInt64 = 0
    /// When what costs a system call for each program is due again, and the totals.
    private var nextSecond: UInt64 = 0
    private var nextExposure: UInt64 = 0
    private var nextTotals: UInt64 = 0
    private let settings: AgentSettings
    /// Which connections there were when those who are to be guarded were searched for.
    private var guardMark: UInt64
    /// The hook table's line, made beforehand.
    private var keeperGone = rw_hook()

    /// From one turn of the loop to the next.
    private static let beat: UInt64 = 100_000_000
    private static let second: UInt64 = 1_000_000_000

    /// Opens, loads, attaches, rehearses, then locks itself into memory.
    public init(_ settings: AgentSettings, version: String) throws(WatchError) {
        try refuseLockout(settings.guardRules)
        let signals = rw_open_signals()
        if signals < 0 { throw .resources(operation: "watch for signals", errno: signals) }
        // First of all: the keeper begins as a copy of what is here by now.
        var leftOver: [rw_enforce] = []
        var hands = try Hands.open(settings, leftOver: &leftOver)
        let facts = try KernelFacts.discover()
        // What else the policy has comes with the record of settings, as it does to readers.
        var policy = Policy()
        policy.summaryInterval = settings.policy.summaryInterval
        let stream = try Stream.forLoop(
            path: settings.eventsTo, format: settings.eventsFormat, policy: policy)
        let recording: RecordingSink? =
            if let path = settings.recordTo { try RecordingSink.forLoop(path: path) } else { nil }
        let sinks = try AlertSinks(settings.alertsTo, format: settings.alertFormat)
        let beatLine: BeatLine? =
            if let path = settings.beatTo { try BeatLine(path: path) } else { nil }
        // One that belongs to a reader is nobody's service.
        let manager: ServiceManager? =
            if settings.parent == nil { try ServiceManager() } else { nil }
        let exchange: SettingsExchange? =
            if let descriptors = settings.exchange {
                try SettingsExchange(
                    descriptors, holds: SettingsRecord.make(settings.policy, RW_SETTINGS_STARTED))
            } else { nil }
        let box = try openBox(settings, version: version)
        let swaps = try SwapTable()
        let kernel = try LiveKernel.attach(facts: facts, settings: settings.kernelSettings)
        let missing = kernel.choices.filter { $0.programs.isEmpty }.reduce(0) { $0 | $1.known }
        let vmstat = try VmstatFallback(missing: missing)
        let exposure = try ExposureFiles()
        let zoneinfo: ZoneinfoFallback? =
            missing & UInt64(RW_KNOWN_ZONES.rawValue) != 0 ? try ZoneinfoFallback() : nil
        try hands?.rehearse()
        self.settings = settings
        guardMark = kernel.guardMark
        self.zoneinfo = zoneinfo
        self.signals = signals
        self.box = box
        self.stream = stream
        self.recording = recording
        self.sinks = sinks
        self.beatLine = beatLine
        self.manager = manager
        self.exchange = exchange
        self.vmstat = vmstat
        self.swaps = swaps
        marks = OwnMarks(kernel)
        self.kernel = kernel
        self.hands = hands
        pressure = PressureFile()
        self.exposure = exposure
        // Before the rights go: without them the kernel tells less.
        own.memory = self.kernel.memory
        var protections = Survival.protect(realTimePriority: settings.realTimePriority)
        protections.append(Survival.dropCapabilities(self.kernel))
        if let keeper = self.hands?.keeper {
            protections.append(Survival.keeper(pid: keeper, lives: true))
            protections.append(Survival.hands(capabilities: self.hands?.capabilities ?? 0))
            keeperGone = UserRecords.hook(Survival.keeper(pid: keeper, lives: false))
        }
        open(protections, version: version, leftOver)
    }

    /// Tells who watches, and with what.
    private mutating func open(
        _ protections: [HookPlan.Choice], version: String, _ leftOver: [rw_enforce]
    ) {
        var host = UserRecords.host(settings: settings.kernelSettings, version: version)
        withUnsafeBytes(of: &host) { take($0) }
        for choice in kernel.choices + protections {
            var hook = UserRecords.hook(choice)
            withUnsafeBytes(of: &hook) { take($0) }
        }
        var times = SettingsRecord.make(settings.policy, RW_SETTINGS_STARTED)
        withUnsafeBytes(of: &times) { take($0) }
        for act in leftOver {
            var record = act
            record.header = EnforceRecords.header(
                RW_ENFORCE_ACT, MemoryLayout<rw_enforce>.size, act.header.boot_ns)
            withUnsafeBytes(of: &record) { take($0) }
        }
        readSwaps()
        // Everything that an incident will want is done once now: its code and memory are
        // there, and so are the buffers that the kernel takes at a first write.
        sinks.rehearse(stream.model.picture, at: rw_boot_ns())
        turn()
        own.note(boxBytes: box.bytes)
        kernel.countOwn(true)
        lastTurn = rw_boot_ns()
        beat = UserRecords.Beat()
    }

    private mutating func readSwaps() {
        let now = rw_boot_ns()
        // Collected first: the table and the stream are both parts of self.
        var records: [[UInt8]] = []
        swaps.read(bootNanoseconds: now) { records.append([UInt8]($0)) }
        for record in records { record.withUnsafeBytes { take($0) } }
        kernel.guardSwaps(stream.model.picture.swapsOnNBD)
        followsOldSwaps = true
        nextExposure = 0
    }

    /// One record on its way: published and recorded as it is, then decoded, modelled, told.
    private mutating func take(_ record: UnsafeRawBufferPointer) {
        box.publish(record)
        recording?.take(record)
        stream.take(record) { notice, picture in sinks.tell(notice, picture: picture) }
    }

    /// Runs until a signal, then tells the final totals.
    ///
    /// - Returns: the errno that ended the event output early, or 0.
    public mutating func run() -> Int32 {
        var isAsked = false
        turn()
        manager?.ready(stream.model.picture)
        while !isAsked, stream.failure == 0 {
            // Outputs may want to be written to many times between two turns.
            repeat { isAsked = wait() } while !isAsked && rw_boot_ns() < lastTurn + Self.beat
            turn()
        }
        manager?.stopping()
        kernel.countOwn(false)
        // It takes its time, in which a host that is busy goes on.
        hands?.finish(withinMilliseconds: 1000)
        tellActs(rw_boot_ns())
        // What moves on its own is reported once more, so that the last totals are all of
        // one moment; then what that put into the ring.
        kernel.reportFinally()
        drain()
        tellSecond(rw_boot_ns(), isLast: true)
        tellTotals(rw_boot_ns(), isLast: true)
        tell(RW_AGENT_STOPPED)
        box.end(at: rw_boot_ns())
        sinks.flush(rw_boot_ns())
        stream.finish(withinMilliseconds: 2000)
        recording?.finish(withinMilliseconds: 2000)
        sinks.finish(withinMilliseconds: 500)
        manager?.finish(withinMilliseconds: 500)
        return stream.failure
    }

    /// Sleeps until the next turn is due, a signal, a change of the swap table, or room in an
    /// output, which is written to at once.
    ///
    /// - Returns: whether a signal asks to stop.
    private mutating func wait() -> Bool {
        let now = rw_boot_ns()
        let due = lastTurn + Self.beat
        let milliseconds = due > now ? Int32((due - now + 999_999) / 1_000_000) : 0
        // Few enough for the memory that poll(2) has on its stack.
        var entries: InlineArray<4, pollfd> = [
            pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
            pollfd(fd: swaps.descriptor, events: Int16(POLLPRI), revents: 0),
            pollfd(fd: stream.waitingDescriptor, events: Int16(POLLOUT), revents: 0),
            pollfd(fd: recording?.waitingDescriptor ?? -1, events: Int16(POLLOUT), revents: 0),
        ]
        let ready = withUnsafeMutableBytes(of: &entries) { bytes in
            poll(bytes.assumingMemoryBound(to: pollfd.self).baseAddress, 4, milliseconds)
        }
        guard ready > 0 else { return false }
        if entries[1].revents & Int16(POLLPRI | POLLERR) != 0 {
            readSwaps()
            kernel.findNewSockets()
        }
        if entries[2].revents != 0 { stream.flush() }
        if entries[3].revents != 0 { recording?.flush() }
        guard entries[0].revents != 0 else { return false }
        let signal = rw_read_signal(signals)
        // Without a configuration there is nothing to be read anew.
        guard signal == SIGHUP, exchange != nil else {
            return signal == SIGINT || signal == SIGTERM || signal == SIGHUP
        }
        manager?.reloading()
        exchange?.ask(at: rw_boot_ns())
        return false
    }

    /// Looks whether settings came that were asked for.
    private mutating func takeSettings(_ now: UInt64) {
        guard var record = exchange?.turn(at: now) else { return }
        stream.setSummaryInterval(nanoseconds: record.summary_interval_ns)
        withUnsafeBytes(of: &record) { take($0) }
        manager?.reloaded(record)
    }

    private mutating func turn() {
        let now = rw_boot_ns()
        beat.count += 1
        if lastTurn > 0 {
            beat.worstGapNanoseconds = max(beat.worstGapNanoseconds, now - lastTurn)
        }
        lastTurn = now
        box.beat(beat.count, at: now)
        beatLine?.beat(at: now)
        if hands?.beat(stream.model.picture, at: now) == true { tellKeeperGone() }
        if kernel.guardMark != guardMark {
            guardMark = kernel.guardMark
            kernel.searchGuarded()
        }
        takeSettings(now)
        drain()
        zoneinfo?.sample(bootNanoseconds: now) { record in
            box.publish(record)
            recording?.take(record)
            stream.take(record) { notice, picture in sinks.tell(notice, picture: picture) }
        }
        if now >= nextSecond {
            nextSecond = now + Self.second
            tellSecond(now)
        }
        tellExposure(now)
        // A summary is made of the totals of its own moment.
        if now >= nextTotals || stream.model.isSummaryDue(at: now) { tellTotals(now) }
        tell(RW_AGENT_TICK)
        hands?.decide(stream.model.picture, at: now)
        tellActs(now)
        tellStanding(now)
        sinks.flush(now)
        stream.flush()
        recording?.flush()
    }

    private mutating func drain() {
        own.ringMostWaitingBytes = max(own.ringMostWaitingBytes, kernel.waitingBytes)
        kernel.drain { record in
            box.publish(record)
            recording?.take(record)
            stream.take(record) { notice, picture in sinks.tell(notice, picture: picture) }
        }
    }

    /// What came of acts, and what of each rule is otherwise than before.
    private mutating func tellActs(_ now: UInt64) {
        while var record = hands?.next(at: now) {
            withUnsafeBytes(of: &record) { take($0) }
        }
        while var record = hands?.nextRule(at: now) {
            withUnsafeBytes(of: &record) { take($0) }
        }
    }

    /// Nothing may be left standing that nobody would take back: the hands see to that.
    private mutating func tellKeeperGone() {
        var hook = keeperGone
        hook.header.boot_ns = rw_boot_ns()
        withUnsafeBytes(of: &hook) { take($0) }
    }

    /// What the kernel is asked for each second only: pressure, and of our own programs.
    private mutating func tellSecond(_ now: UInt64, isLast: Bool = false) {
        if var record = pressure.sample(bootNanoseconds: now) {
            withUnsafeBytes(of: &record) { take($0) }
        }
        tellOwn(now, isLast: isLast)
        var account = UserRecords.own(own, kernel: kernel, bootNanoseconds: now)
        withUnsafeBytes(of: &account) { take($0) }
        sums.changed(in: stream.model.picture, at: now) { record in
            // What these say the watch's own model knows already.
            box.publish(record)
            recording?.take(record)
        }
        var changed = InlineArray<4, rw_sink>(repeating: rw_sink())
        var count = 0
        sinks.states(at: now) { record in
            guard count < 4 else { return }
            changed[count] = record.loadUnaligned(as: rw_sink.self)
            count += 1
        }
        for index in 0..<count {
            var record = changed[index]
            withUnsafeBytes(of: &record) { take($0) }
        }
        tellManager(now)
    }

    private mutating func tellManager(_ now: UInt64) {
        manager?.turn(stream.model.picture, at: now)
        var changed: rw_sink?
        manager?.state(at: now) { changed = $0.loadUnaligned(as: rw_sink.self) }
        guard var record = changed else { return }
        withUnsafeBytes(of: &record) { take($0) }
    }

    /// Read beside the loop, while the host is calm.
    private mutating func tellExposure(_ now: UInt64) {
        if var record = exposure.take(bootNanoseconds: now) {
            withUnsafeBytes(of: &record) { take($0) }
        }
        guard now >= nextExposure, stream.model.picture.verdict.state <= .calm else { return }
        nextExposure = now + 10 * Self.second
        if followsOldSwaps {
            followsOldSwaps = !exposure.follow(disks: stream.model.picture.nbdDisksWithSwap)
        }
        exposure.ask()
    }

    /// What our programs missed, how often they ran, how full our tables are.
    private mutating func tellOwn(_ now: UInt64, isLast: Bool) {
        beat.missedKnown = kernel.readPrograms(missed: &beat.missed)
        marks.look(kernel, at: now, atOnce: isLast)
        for index in 0..<kernel.programs {
            guard var record = marks.program(index, of: kernel, at: now) else { continue }
            withUnsafeBytes(of: &record) { take($0) }
        }
        for index in 0..<marks.tableCount {
            guard var record = marks.table(index, of: kernel, at: now) else { continue }
            withUnsafeBytes(of: &record) { take($0) }
        }
    }

    /// The totals of this moment.
    private mutating func tellTotals(_ now: UInt64, isLast: Bool = false) {
        nextTotals = now + Self.second
        if isLast { vmstat.readNow() } else { vmstat.refresh() }
        beat.readerLost = stream.lost + (recording?.lost ?? 0)
        var record = rw_counters_record()
        UserRecords.counters(
            kernel: kernel, vmstat: vmstat, beat: beat, bootNanoseconds: now, into: &record)
        withUnsafeBytes(of: &record) { take($0) }
    }

    /// The bare record that makes the model act on what came before.
    private mutating func tell(_ kind: rw_agent_kind) {
        var bare = UserRecords.bare(kind, bootNanoseconds: rw_boot_ns())
        withUnsafeBytes(of: &bare) { take($0) }
    }

    /// Where verdict and alerts stand, when that changed: for those who come later.
    private mutating func tellStanding(_ now: UInt64) {
        if var record = sums.standing(of: stream.model.picture, at: now) {
            withUnsafeBytes(of: &record) { take($0) }
        }
        while var record = sinks.told.next() { withUnsafeBytes(of: &record) { take($0) } }
    }
}

/// A line each beat, for whoever measures from outside how steady the loop is.
struct BeatLine: ~Copyable {
    private var output: Output
    private var writer = ByteWriter(capacityBytes: 64)

    init(path: String) throws(WatchError) {
        output = try openForLoop(path, capacityBytes: 4096)
    }

    mutating func beat(at bootNanoseconds: UInt64) {
        writer.clear()
        writer.text("B ")
        writer.number(bootNanoseconds)
        writer.text("\n")
        output.append(writer.bytes)
        output.flush()
    }
}

/// - Throws: ``WatchError/modeRefused(setting:reason:remedy:)`` when nobody could end the agent.
private func refuseLockout(_ rules: GuardRules) throws(WatchError) {
    let comm = (readFile("/proc/1/comm", limit: 64) ?? "").prefix { $0 != "\n" }
    guard let reason = rules.lockout(processOne: String(comm)) else { return }
    throw .modeRefused(
        setting: "[Guard] Mode=enforce", reason: reason,
        remedy: "name the cgroup from which it is to be ended, Exceptions=/PATH")
}

/// The black box that the settings ask for.
private func openBox(
    _ settings: AgentSettings, version: String
) throws(WatchError) -> BoxWriter {
    let size = BoxSize(ringBytes: settings.boxRingKiB << 10)
    do throws(BoxError) {
        switch settings.box {
        case .path(let path):
            return try BoxFile.create(
                path: path, size: size, group: settings.group, agentVersion: version)
        case .descriptor(let number):
            return try BoxFile.write(
                to: number, path: "the box", size: size, agentVersion: version)
        }
    } catch {
        throw WatchError(error)
    }
}
