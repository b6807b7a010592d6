// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// What took part in a run, in the words of each program.
enum Versions {
    static func all(kernel: KernelPackage, binary: String?) -> [String: String] {
        var versions = ["kernel": kernel.package]
        for (name, option) in [
            ("qemu-system-x86_64", "--version"), ("nbdkit", "--version"),
            ("nbd-client", "--version"),
        ] {
            versions[name] = firstLine(Tools.path(name), option)
        }
        if let binary { versions["reservewatch"] = firstLine(binary, "--version") }
        return versions
    }

    private static func firstLine(_ program: String?, _ option: String) -> String {
        guard let program, let text = try? Tools.run(program, [option]) else { return "unknown" }
        return text.split(separator: "\n").first.map(String.init) ?? "unknown"
    }
}
