// SPDX-License-Identifier: Apache-2.0

import CBPF
import CLinux
import Glibc

/// The header of a record that the agent itself makes.
func userHeader(
    stem: rw_stem, kind: UInt32, size: Int, bootNanoseconds: UInt64
) -> rw_header {
    rw_header(
        stem: UInt16(stem.rawValue), kind: UInt16(kind), size: UInt32(size),
        boot_ns: bootNanoseconds, cpu: 0, reserved: 0)
}

/// Copies a string's bytes into a C array (a tuple in Swift), cut to fit, NUL padded.
func copy<Tuple>(_ text: String, into tuple: inout Tuple) {
    withUnsafeMutableBytes(of: &tuple) { bytes in
        for index in bytes.indices { bytes[index] = 0 }
        for (index, byte) in text.utf8.prefix(bytes.count).enumerated() { bytes[index] = byte }
    }
}

/// Records that no BPF program sends: who the host is, which hooks are in use, the totals.
public enum UserRecords {
    /// What the agent knows of itself that belongs in the totals.
    public struct Beat: Sendable {
        public var count: UInt64 = 0
        public var worstGapNanoseconds: UInt64 = 0
        public var readerLost: UInt64 = 0
        /// By stem, from the last ``LiveKernel/readPrograms(missed:)``.
        public var missed = InlineArray<16, UInt64>(repeating: 0)
        public var missedKnown = false

        public init() {}
    }

    /// The facts about this host that open every stream.
    public static func host(settings: LiveKernel.Settings, version: String) -> rw_host {
        var record = rw_host()
        record.header = userHeader(
            stem: RW_STEM_AGENT, kind: RW_AGENT_HOST.rawValue, size: MemoryLayout<rw_host>.size,
            bootNanoseconds: rw_boot_ns())
        record.wire_version = UInt32(RW_WIRE_VERSION)
        record.page_size_bytes = UInt32(sysconf(Int32(_SC_PAGESIZE)))
        record.cpus = UInt32(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        record.realtime_offset_ns = rw_realtime_offset_ns()
        record.slow_threshold_ns = settings.slowThresholdNanoseconds
        record.sample_period_ns = settings.samplePeriodNanoseconds
        record.ring_bytes = UInt64(settings.ringBytes)
        let bootID = readFile("/proc/sys/kernel/random/boot_id", limit: 64) ?? ""
        copy(String(bootID.prefix(while: { $0 != "\n" })), into: &record.boot_id)
        var names = utsname()
        if uname(&names) == 0 {
            copyName(&names.nodename, into: &record.host)
            copyName(&names.release, into: &record.kernel_release)
            copyName(&names.machine, into: &record.machine)
        }
        copy(version, into: &record.agent_version)
        return record
    }

    private static func copyName<From, To>(_ from: inout From, into to: inout To) {
        let text = withUnsafeBytes(of: &from) { bytes in
            String(decoding: bytes.prefix(while: { $0 != 0 }), as: UTF8.self)
        }
        copy(text, into: &to)
    }

    /// One hook's record.
    public static func hook(_ choice: HookPlan.Choice) -> rw_hook {
        var record = rw_hook()
        record.header = userHeader(
            stem: RW_STEM_AGENT, kind: RW_AGENT_HOOK.rawValue, size: MemoryLayout<rw_hook>.size,
            bootNanoseconds: rw_boot_ns())
        record.stem = choice.stem
        record.state = choice.state
        copy(choice.name, into: &record.signal)
        copy(choice.path, into: &record.path)
        copy(choice.reason, into: &record.reason)
        return record
    }

    /// The totals at this moment. No allocation, no system call.
    public static func counters(
        kernel: borrowing LiveKernel, vmstat: borrowing VmstatFallback, beat: Beat,
        bootNanoseconds: UInt64, into record: inout rw_counters_record
    ) {
        record.header = userHeader(
            stem: RW_STEM_AGENT, kind: RW_AGENT_COUNTERS.rawValue,
            size: MemoryLayout<rw_counters_record>.size, bootNanoseconds: bootNanoseconds)
        record.known = kernel.known
        record.reader_lost = beat.readerLost
        record.beat_worst_gap_ns = beat.worstGapNanoseconds
        record.beats = beat.count
        record.counters = kernel.shared.pointee.counters
        record.wide = kernel.shared.pointee.wide
        record.missed_known = beat.missedKnown ? 1 : 0
        withUnsafeMutableBytes(of: &record.missed) { bytes in
            for stem in 0..<16 {
                bytes.storeBytes(of: beat.missed[stem], toByteOffset: stem * 8, as: UInt64.self)
            }
        }
        vmstat.fill(&record.counters)
    }

    /// What the kernel tells of one program.
    ///
    /// - Parameter runsKnown: the kernel has kept statistics of some of our programs, so that a
    ///   0 is a count.
    public static func program(
        _ program: LiveKernel.Program, runsKnown: Bool, bootNanoseconds: UInt64
    ) -> rw_program {
        var record = rw_program()
        record.header = userHeader(
            stem: RW_STEM_AGENT, kind: RW_AGENT_PROGRAM.rawValue,
            size: MemoryLayout<rw_program>.size, bootNanoseconds: bootNanoseconds)
        copy(program.name, into: &record.name)
        record.stem = UInt32(program.stem)
        record.missed = program.missed
        record.runs = program.runs
        record.run_ns = program.runNanoseconds
        record.runs_known = runsKnown ? 1 : 0
        return record
    }

    /// After it a stream tells its final totals.
    public static func stopped(bootNanoseconds: UInt64) -> rw_header {
        bare(RW_AGENT_STOPPED, bootNanoseconds: bootNanoseconds)
    }

    /// A bare header of the agent's stem: time passed, or the agent stopped.
    public static func bare(_ kind: rw_agent_kind, bootNanoseconds: UInt64) -> rw_header {
        userHeader(
            stem: RW_STEM_AGENT, kind: kind.rawValue, size: MemoryLayout<rw_header>.size,
            bootNanoseconds: bootNanoseconds)
    }
}
