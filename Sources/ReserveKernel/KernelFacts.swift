// SPDX-License-Identifier: Apache-2.0

import CBPF
import CLinux
import Glibc

/// What a kernel offers, found by looking and by trying; never by its version.
public struct KernelFacts: Equatable, Sendable {
    /// Tracepoints that BTF describes (as `btf_trace_<name>`).
    public var tracepoints: Set<String> = []
    /// Functions that BTF describes.
    public var functions: Set<String> = []
    /// Whether a trivial fentry program was let in; else the negative errno.
    public var fentry: Int32 = 0
    /// Whether a program of the BPF LSM was let in, and was called; else a negative errno,
    /// -ESRCH where it was never called.
    public var lsm: Int32 = 0
    /// The same of fmod_ret on a security_*().
    public var modifyReturn: Int32 = 0
    /// Whether "bpf" is among the LSMs that are switched on; nil: securityfs does not tell.
    public var listsBPF: Bool?
    /// Of the NBD driver at generic netlink, or a negative errno.
    public var nbdFamily: Int32 = 0
    /// Kernel addresses by name, of the symbols that were asked for and are in /proc/kallsyms.
    public var symbols: [String: UInt64] = [:]
    /// Kernel modules that are loaded, or built in, and have BTF.
    public var modules: Set<String> = []

    public init() {}

    /// The names that the plan asks about, so that discovery is one pass.
    static let tracepointsAsked = asked {
        if case .tracepoint(let name) = $0 { [name] } else { [] }
    }
    static let functionsAsked =
        asked { need in
            switch need {
            case .fentry(let name), .modifyReturn(let name): [name]
            case .lsm(let name): ["bpf_lsm_\(name)"]
            default: []
            }
        }
        // What our own tables and maps are measured by: LiveKernel.
        + ["bpf_map_sum_elem_count", "array_map_mem_usage"]
    static let symbolsAsked = asked { need in
        switch need {
        case .symbols(let names), .anySymbol(let names): names
        default: []
        }
    }

    private static func asked(_ names: (HookPlan.Need) -> [String]) -> [String] {
        let needs = HookPlan.signals.flatMap(\.candidates).flatMap(\.needs)
        return Set(needs.flatMap(names)).sorted()
    }

    /// Looks at the running kernel.
    ///
    /// - Throws: ``WatchError/notPermitted(operation:reason:)`` or
    ///   ``WatchError/kernelUnsuitable(reason:remedy:)`` when nothing can be watched at all.
    public static func discover() throws(WatchError) -> KernelFacts {
        try requireBPF()
        defer { rw_btf_close() }
        var facts = KernelFacts()
        facts.askBTF()
        facts.fentry =
            facts.functions.contains("throttle_direct_reclaim")
            ? rw_bpf_try_fentry("throttle_direct_reclaim") : -ENOENT
        facts.lsm = rw_bpf_try_refusal(RW_REFUSAL_LSM)
        facts.listsBPF = readFile("/sys/kernel/security/lsm", limit: 4096).map { list in
            list.split(whereSeparator: { $0 == "," || $0 == "\n" }).contains("bpf")
        }
        facts.modifyReturn = rw_bpf_try_refusal(RW_REFUSAL_MODIFY_RETURN)
        facts.symbols = readSymbols(symbolsAsked)
        facts.nbdFamily = -ENOENT
        if access("/sys/kernel/btf/nbd", F_OK) == 0 || describesNBD {
            facts.modules.insert("nbd")
            // Without the driver the kernel would go and look for a module.
            facts.nbdFamily = rw_nbd_family()
        }
        return facts
    }

    /// Whether the kernel's own BTF has nbd, since it is no module there.
    static var describesNBD: Bool { rw_btf_has_tracepoint("nbd_header_sent") == 1 }

    /// Tracepoints and functions, from the BTF that is open or else the running kernel's.
    mutating func askBTF() {
        tracepoints = Set(Self.tracepointsAsked.filter { rw_btf_has_tracepoint($0) == 1 })
        functions = Set(Self.functionsAsked.filter { rw_btf_has_function($0) == 1 })
    }

    /// The trial that tells root without BPF, BPF without BTF and an old kernel apart.
    private static func requireBPF() throws(WatchError) {
        let ring = rw_bpf_try_ring()
        if ring == -EPERM || ring == -EACCES {
            throw .notPermitted(operation: "loading BPF programs", reason: whyNotPermitted())
        }
        if ring == -ENOSYS {
            throw .kernelUnsuitable(
                reason: "it has no bpf() system call",
                remedy: "run one built with CONFIG_BPF_SYSCALL=y, such as Debian's")
        }
        if ring == -EINVAL {
            throw .kernelUnsuitable(
                reason: "it has no BPF ring buffers",
                remedy: "run Linux 6.1 or newer, such as Debian 12's")
        }
        if ring != 0 {
            throw .resources(operation: "create a BPF ring buffer", errno: ring)
        }
        if rw_btf_available() != 0 {
            throw .kernelUnsuitable(
                reason: "it has no type information in /sys/kernel/btf/vmlinux",
                remedy: "mount sysfs, or run one built with CONFIG_DEBUG_INFO_BTF=y")
        }
    }

    private static func whyNotPermitted() -> String {
        if geteuid() != 0 {
            return
                "run it as root (sudo reservewatch ...), or with CAP_BPF, CAP_PERFMON, CAP_SYSLOG and CAP_SYS_RESOURCE"
        }
        if let lockdown = readFile("/sys/kernel/security/lockdown", limit: 256),
            lockdown.contains("[confidentiality]")
        {
            return
                "the kernel is locked down for confidentiality, which bars BPF from reading memory; boot with lockdown=integrity"
        }
        return
            "root lacks CAP_BPF or CAP_PERFMON here; in a container, run it on the host or add these capabilities"
    }

    /// Addresses from /proc/kallsyms; names that are missing or hidden (address 0) are left out.
    private static func readSymbols(_ names: [String]) -> [String: UInt64] {
        var found: [String: UInt64] = [:]
        guard let file = fopen("/proc/kallsyms", "re") else { return found }
        defer { fclose(file) }
        // Some two hundred thousand lines: no string is made of those that nobody asked for.
        let wanted = names.map { Array($0.utf8CString) }
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        while getline(&line, &capacity, file) > 0, let line {
            // "ffffffff8163e530 t end_swap_bio_write\n", with "\t[module]" for modules
            guard let name = strchr(line, Int32(UInt8(ascii: " "))).map({ $0 + 3 }) else {
                continue
            }
            name[strcspn(name, "\t\n")] = 0
            guard let index = wanted.firstIndex(where: { strcmp($0, name) == 0 }) else { continue }
            let address = UInt64(strtoull(line, nil, 16))
            if address != 0 { found[names[index]] = address }
            if found.count == names.count { break }
        }
        return found
    }
}

/// A small file's text, or nil when it cannot be read. Bytes that are no UTF-8 are replaced.
public func readFile(_ path: String, limit: Int) -> String? {
    // Not to wait for somebody who put a FIFO in its place.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: limit)
    var used = 0
    while used < limit {
        let count = bytes.withUnsafeMutableBytes { buffer in
            read(descriptor, buffer.baseAddress.map { $0 + used }, limit - used)
        }
        if count <= 0 { break }
        used += count
    }
    return String(decoding: bytes[..<used], as: UTF8.self)
}
