// SPDX-License-Identifier: Apache-2.0

import CBPF
import Glibc

/// A kernel that does not run, judged by the files that it came with.
extension KernelFacts {
    /// Data among ``symbolsAsked`` that BTF does not describe, though it is there: pahole
    /// writes variables into BTF only where they are per-CPU.
    static let dataBeyondBTF: Set<String> = ["swap_info", "nbd_index_idr"]

    /// What the files of a kernel promise.
    ///
    /// Tracepoints and functions are those of ``discover()``. For the rest this is a promise,
    /// not a trial, and cannot know:
    /// - whether the kernel, once it runs, refuses fentry for another reason (lockdown, a
    ///   security policy) or a function that it keeps from tracing;
    /// - addresses: a symbol that is there has 1 for its address, never a real one;
    /// - whether data that BTF does not describe (``dataBeyondBTF``) is still in the kernel:
    ///   CONFIG_KALLSYMS_ALL says only that it would be listed;
    /// - whether the module is installed and will be loaded;
    /// - whether the verifier takes our programs.
    ///
    /// - Parameters:
    ///   - btf: raw BTF, or a vmlinux.
    ///   - config: its configuration; nil takes each option that matters for set.
    /// - Throws: ``WatchError/input(path:errno:)`` for what cannot be read,
    ///   ``WatchError/notAKernel(path:reason:remedy:)`` for what is something else.
    public static func read(btf: String, config: String?) throws(WatchError) -> KernelFacts {
        var options: KernelConfig?
        if let config { options = try KernelConfig.read(config) }
        try open(btf: btf)
        defer { rw_btf_close() }
        var facts = KernelFacts()
        facts.askBTF()
        facts.take(
            options, hasFunction: { rw_btf_has_function($0) == 1 },
            hasVariable: { rw_btf_has_variable($0) == 1 })
        if describesNBD {
            facts.modules.insert("nbd")
            facts.nbdFamily = 1
        }
        return facts
    }

    private static func open(btf path: String) throws(WatchError) {
        let result = rw_btf_open(path)
        let remedy = "name a vmlinux, or a copy of a kernel's /sys/kernel/btf/vmlinux"
        switch -result {
        case 0: return
        case ENODATA:
            throw .notAKernel(
                path: path, reason: "it is an ELF file without type information (.BTF)",
                remedy: remedy)
        case EPROTO:
            throw .notAKernel(
                path: path,
                reason: "it is neither whole BTF nor an ELF file that has it", remedy: remedy)
        case ENOMEM: throw .resources(operation: "read \(path)", errno: result)
        default: throw .input(path: path, errno: result)
        }
    }

    /// Fills in what the configuration decides.
    mutating func take(
        _ config: KernelConfig?, hasFunction: (String) -> Bool, hasVariable: (String) -> Bool
    ) {
        func isBuiltIn(_ option: String) -> Bool { config?.isBuiltIn(option) ?? true }
        let traces = [
            "CONFIG_BPF_JIT", "CONFIG_FUNCTION_TRACER", "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS",
        ]
        fentry = traces.allSatisfy(isBuiltIn) ? 0 : -EOPNOTSUPP
        // lsm= of the boot may say otherwise: a promise, too.
        let isListed = config?.values["CONFIG_LSM"]?.dropFirst().dropLast().split(separator: ",")
            .contains("bpf")
        listsBPF = isListed
        lsm =
            fentry != 0 || !isBuiltIn("CONFIG_BPF_LSM")
            ? -EOPNOTSUPP : isListed ?? true ? 0 : -ESRCH
        modifyReturn = fentry
        // Without CONFIG_KALLSYMS_ALL only functions are listed, be the data in BTF or not.
        let listsData = isBuiltIn("CONFIG_KALLSYMS_ALL")
        for name in Self.symbolsAsked {
            let isData = Self.dataBeyondBTF.contains(name) || hasVariable(name)
            if hasFunction(name) || (isData && listsData) { symbols[name] = 1 }
        }
        // Built in, nbd is in the kernel's own BTF, or it was not built.
        let nbd = "CONFIG_BLK_DEV_NBD"
        if config?.isModule(nbd) ?? true, isBuiltIn("CONFIG_DEBUG_INFO_BTF_MODULES") {
            modules.insert("nbd")
        }
        nbdFamily = modules.contains("nbd") ? 1 : -ENOENT
    }
}
