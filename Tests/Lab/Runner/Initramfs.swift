// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// The guest's file system: busybox, nbd-client, modules, loads, our script, the agent.
struct Initramfs {
    let kernel: KernelPackage
    let lab: String
    let cache: String

    /// Builds the archive.
    ///
    /// - Parameters:
    ///   - settings: what /lab.conf says, as shell assignments.
    ///   - watch: the agent, or nil for a guest without it.
    /// - Returns: MiB of the file system, unpacked.
    @discardableResult
    func build(
        settings: [(String, String)], scenario: Scenario, watch: WatchProgram?, at archive: String
    ) throws -> Int {
        try Self.pack(archive) { root in
            try Self.copy(
                try Tools.require("busybox", package: "busybox-static"), to: "\(root)/bin/busybox")
            try copyDynamic(try Tools.require("nbd-client", package: "nbd-client"), into: root)
            // busybox's swapon knows no priorities.
            try copyDynamic(try Tools.require("swapon", package: "mount"), into: root)
            if scenario.swaps.contains(where: { $0.placement == .dm }) {
                try copyDynamic(try Tools.require("dmsetup", package: "dmsetup"), into: root)
            }
            for program in watch?.programs ?? [] {
                try Self.copy(
                    program, to: "\(root)/bin/\((program as NSString).lastPathComponent)")
            }
            for companion in scenario.companions where companion != .shell {
                try copyDynamic(
                    try Tools.require(companion.rawValue, package: companion.rawValue), into: root)
            }
            for load in ["mapload", "dirtyload", "coldload", "labprobe", "flood", "later"]
                + (scenario.jammed ? ["jam"] : []) + (scenario.guarding ? ["attempt"] : [])
                + (scenario.doctor || scenario.serverIsLocal ? ["ioflusher"] : [])
            {
                try Self.copy(try compile(load), to: "\(root)/bin/\(load)")
            }
            var names: [String] = []
            for module in try kernel.modules(Self.modules(scenario)) {
                names.append(try place(module: module, in: "\(root)/modules"))
            }
            try Self.copy("\(lab)/guest/init", to: "\(root)/init")
            // Sourced by init, each where its scenario needs it.
            for (part, isWanted) in [
                ("doctor", scenario.doctor), ("sockets", scenario.sockets),
                ("guard", scenario.guarding),
                ("common", true), ("systemd-root", scenario.usesSystemd),
                ("systemd", scenario.usesSystemd), ("jammed", scenario.jammed),
                ("compare", !scenario.companions.isEmpty),
                ("vmscan-trace", scenario.trace),
            ] where isWanted {
                try Self.copy("\(lab)/guest/\(part)", to: "\(root)/\(part)")
            }
            if let rules = scenario.rules {
                try Self.copy("\(lab)/rules/\(rules).conf", to: "\(root)/rules.conf")
            }
            if scenario.doctor || scenario.sockets || scenario.guarding || scenario.serverIsLocal {
                try placeServer(in: root)
            }
            let assignments =
                (settings + [("MODULES", names.joined(separator: " "))])
                .map { "\($0.0)='\($0.1.replacingOccurrences(of: "'", with: "'\\''"))'\n" }
            try assignments.joined().write(
                toFile: "\(root)/lab.conf", atomically: true, encoding: .utf8)
        }
    }

    private static func modules(_ scenario: Scenario) -> [String] {
        // The rest is loaded from the disk, by systemd.
        if scenario.usesSystemd { return ["virtio_pci", "virtio_blk", "ext4"] }
        let swaps = scenario.swaps
        // The card of the swap first: it is eth0 then.
        var modules = scenario.nic == "e1000" ? ["e1000"] : []
        modules += ["virtio_pci", "virtio_net", "tcp_diag"]
        if scenario.doctor { modules.append("unix_diag") }
        if swaps.contains(where: \.isNBD) { modules.append("nbd") }
        if swaps.contains(where: { $0.placement == .dm }) { modules.append("dm-mod") }
        if swaps.contains(where: { !$0.isNBD }) { modules += ["brd", "nvmet-tcp", "nvme-tcp"] }
        return modules
    }

    /// Makes an empty tree, has it filled, and packs it as the kernel wants an initramfs.
    @discardableResult
    static func pack(_ archive: String, fill: (String) throws -> Void) throws -> Int {
        let root = archive + ".root"
        let files = FileManager.default
        try? files.removeItem(atPath: root)
        defer { try? files.removeItem(atPath: root) }
        for directory in ["bin", "modules", "proc", "sys", "dev", "lib64", "root", "tmp"] {
            try files.createDirectory(
                atPath: "\(root)/\(directory)", withIntermediateDirectories: true)
        }
        try fill(root)
        let shell = try Tools.require("sh", package: "dash")
        _ = try Tools.require("cpio", package: "cpio")
        _ = try Tools.require("gzip", package: "gzip")
        try Tools.run(
            shell,
            ["-c", "find . | cpio --quiet -o -H newc | gzip -1 >\"$1\"", "pack", archive], in: root)
        let size = try Tools.run(try Tools.require("du", package: "coreutils"), ["-sm", root])
        return Int(size.prefix { $0.isNumber }) ?? 0
    }

    static func copy(_ from: String, to: String) throws {
        let resolved = URL(fileURLWithPath: from).resolvingSymlinksInPath().path
        try? FileManager.default.removeItem(atPath: to)
        do {
            try FileManager.default.copyItem(atPath: resolved, toPath: to)
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o755], ofItemAtPath: to)
        } catch {
            throw LabError.failed("cannot copy \(from) to \(to): \(error.localizedDescription)")
        }
    }

    /// A dynamic program with all that ldd(1) finds it to need.
    private func copyDynamic(_ program: String, into root: String) throws {
        try Self.copy(program, to: "\(root)/bin/\((program as NSString).lastPathComponent)")
        try copyLibraries(of: program, into: root)
    }

    private func copyLibraries(of program: String, into root: String) throws {
        let text = try Tools.run(try Tools.require("ldd", package: "libc-bin"), [program])
        for line in text.split(separator: "\n") {
            guard
                let path = line.split(separator: " ").first(where: { $0.hasPrefix("/") })
                    ?? line.split(whereSeparator: { " \t".contains($0) }).first(where: {
                        $0.hasPrefix("/")
                    })
            else { continue }
            let directory = "\(root)\((String(path) as NSString).deletingLastPathComponent)"
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true)
            try Self.copy(String(path), to: root + path)
        }
    }

    /// A server of the guest's own.
    private func placeServer(in root: String) throws {
        let nbdkit = try Tools.require("nbdkit", package: "nbdkit")
        try copyDynamic(nbdkit, into: root)
        let config = try Tools.run(nbdkit, ["--dump-config"])
        guard
            let plugins = config.split(separator: "\n").first(where: { $0.hasPrefix("plugindir=") }
            )?
            .dropFirst("plugindir=".count)
        else { throw LabError.failed("nbdkit --dump-config names no plugindir") }
        try FileManager.default.createDirectory(
            atPath: root + plugins, withIntermediateDirectories: true)
        let plugin = "\(plugins)/nbdkit-memory-plugin.so"
        try Self.copy(plugin, to: root + plugin)
        try copyLibraries(of: plugin, into: root)
    }

    /// Builds one of the loads, static, and returns its path.
    func compile(_ load: String) throws -> String {
        let source = "\(lab)/loads/\(load).c"
        let program = "\(cache)/\(load)"
        try Tools.run(
            try Tools.require("gcc", package: "gcc"),
            ["-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", program, source])
        return program
    }

    /// Copies a module, unpacked, and returns its file name.
    private func place(module: String, in directory: String) throws -> String {
        var name = (module as NSString).lastPathComponent
        if name.hasSuffix(".xz") {
            name = String(name.dropLast(3))
            let shell = try Tools.require("sh", package: "dash")
            _ = try Tools.require("xz", package: "xz-utils")
            try Tools.run(
                shell, ["-c", "xz -dc \"$1\" >\"$2\"", "unpack", module, "\(directory)/\(name)"])
        } else {
            try Self.copy(module, to: "\(directory)/\(name)")
        }
        return name
    }
}
