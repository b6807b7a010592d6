// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// The NBD server: outside the guest, on loopback, healthy.
struct NBDServer {
    let port: Int
    let process: Process
    let statsFile: String

    static func start(directory: String) throws -> NBDServer {
        let nbdkit = try Tools.require("nbdkit", package: "nbdkit")
        let port = try Tools.freePort()
        let stats = "\(directory)/nbdkit-stats.txt"
        let process = try Children.shared.start(
            nbdkit,
            [
                "-f", "-p", "\(port)", "-i", "127.0.0.1", "--filter=stats", "memory", "2G",
                "statsfile=\(stats)",
            ],
            log: "\(directory)/nbdkit.log")
        return NBDServer(port: port, process: process, statsFile: stats)
    }

    /// Ends the server; it then writes its own counts.
    func stop() -> String {
        Children.shared.stop(process)
        return (try? String(contentsOfFile: statsFile, encoding: .utf8)) ?? ""
    }
}

/// A guest in the emulator, with a serial line for each thing that must survive the stall.
final class Guest {
    let directory: String
    let process: Process
    let qmp: QMP
    let console: UnixSocket
    let usesKVM: Bool

    var consoleLog: String { "\(directory)/console.log" }
    var events: String { "\(directory)/events.jsonl" }
    var recording: String { "\(directory)/recording.rwr" }
    var probe: String { "\(directory)/counters.txt" }
    var marks: String { "\(directory)/marks.txt" }

    init(
        scenario: Scenario, kernel: KernelPackage, archive: String, directory: String
    ) throws {
        self.directory = directory
        let qemu = try Tools.require("qemu-system-x86_64", package: "qemu-system-x86")
        usesKVM = false
        // Sockets want short paths; the results' directory may lie deep.
        let sockets = "\(NSTemporaryDirectory())/rwlab.\(getpid())"
        try FileManager.default.createDirectory(
            atPath: sockets, withIntermediateDirectories: true)
        for name in ["console.log", "events.jsonl", "recording.rwr", "counters.txt", "marks.txt"] {
            _ = FileManager.default.createFile(atPath: "\(directory)/\(name)", contents: nil)
        }
        var arguments = [
            "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "\(scenario.cpus)",
            "-m", "\(scenario.memoryMiB)", "-display", "none", "-nodefaults", "-no-reboot",
            "-qmp", "unix:\(sockets)/qmp,server=on,wait=off",
            "-chardev",
            "socket,id=console,path=\(sockets)/console,server=on,wait=off,logfile=\(directory)/console.log",
            "-serial", "chardev:console",
        ]
        for (id, file) in [
            ("events", "events.jsonl"), ("record", "recording.rwr"), ("probe", "counters.txt"),
            ("marks", "marks.txt"),
        ] {
            arguments += ["-chardev", "file,id=\(id),path=\(directory)/\(file)"]
        }
        arguments += [
            "-device",
            "pci-serial-4x,chardev1=events,chardev2=record,chardev3=probe,chardev4=marks",
            "-netdev", "user,id=lan",
            "-device", "virtio-net-pci,id=net0,netdev=lan,romfile=",
            "-kernel", kernel.image, "-initrd", archive,
            "-append",
            "console=ttyS0 loglevel=4 panic=-1 8250.nr_uarts=8",
        ]
        process = try Children.shared.start(
            qemu, arguments, log: "\(directory)/qemu.log")
        qmp = try QMP(path: "\(sockets)/qmp")
        console = try UnixSocket(path: "\(sockets)/console")
        self.sockets = sockets
    }

    private let sockets: String

    func stop() {
        Children.shared.stop(process)
        try? FileManager.default.removeItem(atPath: sockets)
    }

    func text(_ path: String) -> String {
        (try? Data(contentsOf: URL(fileURLWithPath: path)))
            .map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// What the guest said of a marker, or nil as long as it has not come.
    func mark(_ word: String) -> String? {
        for line in text(marks).split(separator: "\n") where line.hasPrefix("# ") {
            let words = line.split(separator: " ", maxSplits: 3)
            if words.count >= 3, words[2] == word { return words.count > 3 ? String(words[3]) : "" }
        }
        return nil
    }
}

/// How long a file stayed without growing, by the host's clock.
struct GrowthWatch {
    let path: String
    private var size = 0
    private var since = Date()
    private(set) var worstSeconds = 0.0

    init(path: String) {
        self.path = path
    }

    mutating func look() {
        let now = Date()
        let size =
            (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int) ?? 0
        if size > self.size {
            if self.size > 0 { worstSeconds = max(worstSeconds, now.timeIntervalSince(since)) }
            self.size = size
            since = now
        }
    }
}
