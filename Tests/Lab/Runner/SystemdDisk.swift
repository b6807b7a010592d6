// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// The disk of a guest whose init is Debian's systemd: the package as `make deb` makes it,
/// installed into a Debian that scripts/root fetched once.
struct SystemdDisk {
    let kernel: KernelPackage
    let lab: String
    let cache: String

    /// Loaded there by systemd and udev.
    private static let modules = ["virtio_net", "nbd", "tcp_diag", "unix_diag"]

    /// - Returns: the path of the file system.
    func make(in directory: String) throws -> String {
        let tree = URL(fileURLWithPath: "\(lab)/../..").standardized.path
        let root = try Tools.run("\(tree)/scripts/root", [])
            .trimmingCharacters(in: .whitespacesAndNewlines)
        // From the programs that are there now, whatever packages lie in build/deb.
        let packages = "\(directory)/packages"
        defer { try? FileManager.default.removeItem(atPath: packages) }
        try Tools.run("\(tree)/scripts/deb", ["--unchecked", "--out", packages])
        let disk = "\(directory)/root.img"
        Children.shared.removeAtEnd(disk)
        Children.shared.removeAtEnd("\(disk).root")
        _ = try Tools.require("mkfs.ext4", package: "e2fsprogs")
        try Tools.run(
            "\(lab)/systemd/image",
            ["\(tree)/\(root)", packages, disk, kernel.root, kernel.release]
                + kernel.modules(Self.modules))
        return disk
    }
}
