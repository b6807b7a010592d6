// SPDX-License-Identifier: Apache-2.0

import CBPF
import Glibc
import Testing

@testable import ReserveKernel

@Suite struct KernelConfigTests {
    private let debian = """
        #
        # Automatically generated file; DO NOT EDIT.
        #
        CONFIG_CC_VERSION_TEXT="gcc-12 (Debian 12.2.0) y=m"
        CONFIG_BPF_JIT=y
        CONFIG_FUNCTION_TRACER=y
        CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS=y
        CONFIG_KALLSYMS_ALL=y
        CONFIG_DEBUG_INFO_BTF_MODULES=y
        CONFIG_BLK_DEV_NBD=m
        CONFIG_HZ=250
        # CONFIG_LRU_GEN_ENABLED is not set
        """

    /// The facts of Debian's configuration with these words changed.
    private func facts(_ replace: String, _ with: String) -> KernelFacts {
        let lines = debian.split(separator: "\n").map { $0 == replace ? with[...] : $0 }
        var facts = KernelFacts()
        facts.take(
            KernelConfig(parsing: lines.joined(separator: "\n")),
            hasFunction: { $0.hasPrefix("end_swap") }, hasVariable: { $0 == "this_cpu_off" })
        return facts
    }

    @Test func optionsAreReadAndWhatIsNotSetIsOff() {
        let config = KernelConfig(parsing: debian)
        #expect(config.isBuiltIn("CONFIG_BPF_JIT"))
        #expect(config.isModule("CONFIG_BLK_DEV_NBD") && !config.isBuiltIn("CONFIG_BLK_DEV_NBD"))
        #expect(!config.isBuiltIn("CONFIG_LRU_GEN_ENABLED"))
        #expect(!config.isBuiltIn("CONFIG_NOWHERE"))
        #expect(config.values["CONFIG_HZ"] == "250")
        #expect(config.values["CONFIG_CC_VERSION_TEXT"]?.hasSuffix("y=m\"") == true)
        #expect(config.values.count == 8)
    }

    @Test func aFullConfigurationPromisesAll() {
        let facts = facts("", "")
        #expect(facts.fentry == 0)
        #expect(facts.modules == ["nbd"])
        #expect(facts.symbols.keys.contains("end_swap_bio_write"))
        #expect(facts.symbols.keys.contains("this_cpu_off"))
        #expect(facts.symbols.keys.contains("swap_info"))
        #expect(!facts.symbols.keys.contains("pcpu_hot"), "BTF would describe it")
    }

    @Test(arguments: [
        "CONFIG_BPF_JIT", "CONFIG_FUNCTION_TRACER", "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS",
    ])
    func fentryWantsAllThreeOptions(option: String) {
        #expect(facts("\(option)=y", "# \(option) is not set").fentry == -EOPNOTSUPP)
    }

    @Test func withoutKallsymsAllFunctionsAreListedAndDataIsNot() {
        let facts = facts("CONFIG_KALLSYMS_ALL=y", "# CONFIG_KALLSYMS_ALL is not set")
        #expect(Set(facts.symbols.keys) == ["end_swap_bio_write", "end_swap_bio_read"])
    }

    @Test func aModuleIsThereOnlyWithItsTypes() {
        #expect(facts("CONFIG_BLK_DEV_NBD=m", "").modules.isEmpty)
        #expect(facts("CONFIG_DEBUG_INFO_BTF_MODULES=y", "").modules.isEmpty)
    }

    @Test func whatIsNoConfigurationIsNamed() throws {
        #expect(throws: WatchError.input(path: "/nowhere/config", errno: ENOENT)) {
            try KernelConfig.read("/nowhere/config")
        }
        for path in ["/etc/passwd", "/proc/self/exe", "/dev/null"] {
            let error = #expect(throws: WatchError.self) { try KernelConfig.read(path) }
            #expect(error?.exitStatus == 65)
            #expect(error?.sentence.hasPrefix("\(path) describes no kernel: ") == true)
        }
    }

    @Test func everySymbolThatNeedsAnExceptionIsAsked() {
        #expect(KernelFacts.dataBeyondBTF.isSubset(of: KernelFacts.symbolsAsked))
    }
}

/// Among the live tests, since these must not run beside them: libbpf's seam is for one thread.
extension LiveTests {
    private static let runningBTF = "/sys/kernel/btf/vmlinux"

    @Test func theRunningKernelsFileSaysWhatTheKernelSays() throws {
        let told = try KernelFacts.read(btf: Self.runningBTF, config: nil)
        let found = try KernelFacts.discover()
        #expect(told.tracepoints == found.tracepoints)
        #expect(told.functions == found.functions)
        #expect(!told.tracepoints.isEmpty && !told.functions.isEmpty)
        // A promise may be more than what is kept, and never less.
        #expect(Set(found.symbols.keys).isSubset(of: told.symbols.keys))
    }

    @Test func afterAFileTheQuestionsAreAboutTheRunningKernelAgain() throws {
        #expect(rw_btf_open(Self.runningBTF) == 0)
        #expect(rw_btf_has_function("do_exit") == 1)
        #expect(rw_btf_has_function("no_such_function") == 0)
        #expect(rw_bpf_try_fentry("do_exit") == -EBUSY)
        rw_btf_close()
        #expect(rw_btf_available() == 0)
        #expect(rw_bpf_try_fentry("do_exit") != -EBUSY)
        rw_btf_close()
    }

    /// The thread beside the loop reads what /proc/sys says, each time it is asked anew.
    @Test func whatTheHostsSocketsMayHoldIsReadBesideTheLoop() throws {
        var files = try ExposureFiles()
        var isThere = files.take(bootNanoseconds: 0) != nil
        #expect(!isThere)
        let follows = files.follow(disks: ["no-such-disk"])
        #expect(follows)
        for _ in 0..<2 {
            files.ask()
            var told: rw_exposure?
            while told == nil {
                usleep(1000)
                told = files.take(bootNanoseconds: 7)
            }
            let record = try #require(told)
            #expect(record.header.boot_ns == 7)
            #expect(record.known & 0x3f == 0x3f, "sockstat, tcp_rmem, tcp_mem, rmem_default")
            #expect(record.known & 1 << 8 == 0, "no disk, no writeback throttling")
            let text = try #require(readFile("/proc/sys/net/core/rmem_default", limit: 64))
            #expect(record.receive_default_bytes == UInt64(text.dropLast()))
        }
        isThere = files.take(bootNanoseconds: 8) != nil
        #expect(!isThere)
    }

    @Test func aFailedOpenLeavesNoFileOpen() {
        #expect(rw_btf_open("/nowhere/vmlinux") == -ENOENT)
        #expect(rw_btf_has_function("do_exit") == 1)
        rw_btf_close()
    }

    @Test(arguments: [
        ("/nowhere/vmlinux", 66, "No such file"), ("/proc", 66, "Is a directory"),
        ("/proc/self/exe", 65, "without type information"), ("/etc/passwd", 65, "neither"),
        ("/dev/null", 65, "neither"),
    ])
    func aFileThatIsNoKernelIsNamed(path: String, status: Int, words: String) throws {
        let error = #expect(throws: WatchError.self) {
            try KernelFacts.read(btf: path, config: nil)
        }
        #expect(error?.exitStatus == Int32(status))
        #expect(error?.sentence.contains(path) == true)
        #expect(error?.sentence.contains(words) == true, "\(error?.sentence ?? "")")
    }
}
