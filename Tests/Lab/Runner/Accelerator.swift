// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// How the emulator runs the guest's code.
enum Accelerator: String {
    case kvm
    /// Works everywhere; slow, and with coarse time. All of the guest's CPUs take turns on
    /// one thread: docs/decisions/0005-one-emulator-thread.md.
    case tcg

    var arguments: [String] {
        switch self {
        case .kvm: return ["-accel", "kvm", "-cpu", "host"]
        case .tcg: return ["-accel", "tcg,thread=single", "-cpu", "max"]
        }
    }

    /// KVM where it truly runs a kernel to its end, else TCG. /dev/kvm alone says little:
    /// there are machines where it opens and the guest never executes. Asked once a boot.
    static func choose(kernel: KernelPackage, cache: String) throws -> Accelerator {
        guard access("/dev/kvm", R_OK | W_OK) == 0 else { return .tcg }
        let boot =
            (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8))?
            .trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
        let answer = "\(cache)/accelerator"
        if let known = try? String(contentsOfFile: answer, encoding: .utf8) {
            let words = known.split(separator: " ").map(String.init)
            if words.count == 2, words[0] == boot, let choice = Accelerator(rawValue: words[1]) {
                return choice
            }
        }
        let choice: Accelerator = try runsAKernel(kernel, cache: cache) ? .kvm : .tcg
        say("lab: guests run under \(choice.rawValue)")
        try "\(boot) \(choice.rawValue)".write(toFile: answer, atomically: true, encoding: .utf8)
        return choice
    }

    /// A kernel without a root file system must get as far as to miss it.
    private static func runsAKernel(_ kernel: KernelPackage, cache: String) throws -> Bool {
        let log = "\(cache)/kvm-probe.log"
        let process = try Children.shared.start(
            try Tools.require("qemu-system-x86_64", package: "qemu-system-x86"),
            Accelerator.kvm.arguments + [
                "-m", "128", "-display", "none", "-nodefaults", "-no-reboot",
                "-serial", "file:\(log)", "-kernel", kernel.image,
                "-append", "console=ttyS0 panic=-1",
            ],
            log: "\(cache)/kvm-probe.err")
        for _ in 0..<100 where process.isRunning { usleep(100_000) }
        Children.shared.stop(process)
        let said = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        return said.contains("Unable to mount root fs")
    }
}
