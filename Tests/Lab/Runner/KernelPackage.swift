// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// Debian's kernel, by the name of its metapackage, unpacked but not installed.
struct KernelPackage {
    let name: String
    let root: String
    let release: String

    static let metapackages = ["6.1": "linux-image-amd64", "6.12": "linux-image-6.12-amd64"]
    static let names = ["6.1", "6.12"]

    /// As Debian calls it.
    var package: String { "linux-image-\(release)" }
    var image: String { "\(root)/boot/vmlinuz-\(release)" }
    var config: String { "\(root)/boot/config-\(release)" }

    /// What is in the cache, or else fetched from Debian's archive.
    static func fetch(_ name: String, cache: String) throws -> KernelPackage {
        guard let metapackage = metapackages[name] else {
            throw LabError.usage(
                "no kernel \(name); choose one of \(names.joined(separator: ", "))")
        }
        let root = "\(cache)/linux-\(name)"
        let done = "\(root)/.unpacked"
        if let release = try? String(contentsOfFile: done, encoding: .utf8) {
            return KernelPackage(name: name, root: root, release: release)
        }
        let package = try current(of: metapackage)
        say("lab: fetching \(package)")
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        let aptGet = try Tools.require("apt-get", package: "apt")
        try Tools.run(aptGet, ["download", "-q", package], in: root)
        guard
            let deb = try FileManager.default.contentsOfDirectory(atPath: root)
                .first(where: { $0.hasPrefix(package) && $0.hasSuffix(".deb") })
        else { throw LabError.failed("apt-get download \(package) left no package") }
        try Tools.run(
            try Tools.require("dpkg-deb", package: "dpkg"), ["-x", "\(root)/\(deb)", root])
        try FileManager.default.removeItem(atPath: "\(root)/\(deb)")
        let release = String(package.dropFirst("linux-image-".count))
        try Tools.run(
            try Tools.require("depmod", package: "kmod"), ["-b", root, release])
        try release.write(toFile: done, atomically: true, encoding: .utf8)
        return KernelPackage(name: name, root: root, release: release)
    }

    private static func current(of metapackage: String) throws -> String {
        let text = try Tools.run(
            try Tools.require("apt-cache", package: "apt"), ["depends", metapackage])
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.first == "Depends:", words.count == 2, words[1].hasPrefix("linux-image-") {
                return String(words[1])
            }
        }
        throw LabError.failed("apt-cache knows no \(metapackage); run: apt-get update")
    }

    /// The kernel as ELF, with its BTF, unpacked from the image: what is in the cache, or else
    /// made.
    func vmlinux() throws -> String {
        let path = "\(root)/vmlinux-\(release)"
        let files = FileManager.default
        if files.fileExists(atPath: path) { return path }
        let data = try Data(contentsOf: URL(fileURLWithPath: image))
        let boot: BootImage
        do throws(LabError) {
            boot = try BootImage(data)
        } catch {
            throw LabError.failed("cannot unpack \(image): \(error.sentence)")
        }
        let packed = "\(path).packed"
        let unpacked = "\(path).new"
        defer { for file in [packed, unpacked] { try? files.removeItem(atPath: file) } }
        try data[boot.payload].write(to: URL(fileURLWithPath: packed))
        let package = boot.packing == .xz ? "xz-utils" : boot.packing.rawValue
        try Tools.run(
            try Tools.require("sh", package: "dash"),
            [
                "-c", "\"$1\" -dc <\"$2\" >\"$3\"", "unpack",
                try Tools.require(boot.packing.rawValue, package: package), packed, unpacked,
            ])
        let bytes = try files.attributesOfItem(atPath: unpacked)[.size] as? Int
        guard bytes == boot.unpackedBytes else {
            throw LabError.failed(
                "cannot unpack \(image): it gave \(bytes ?? 0) bytes of \(boot.unpackedBytes)")
        }
        try files.moveItem(atPath: unpacked, toPath: path)
        return path
    }

    /// Module files in the order in which they must be loaded.
    func modules(_ wanted: [String]) throws -> [String] {
        let modprobe = try Tools.require("modprobe", package: "kmod")
        var files: [String] = []
        for name in wanted {
            let text = try Tools.run(
                modprobe, ["-d", root, "-S", release, "--show-depends", name])
            for line in text.split(separator: "\n") where line.hasPrefix("insmod ") {
                let file = line.dropFirst(7).split(separator: " ")[0]
                if !files.contains(String(file)) { files.append(String(file)) }
            }
        }
        return files
    }
}
