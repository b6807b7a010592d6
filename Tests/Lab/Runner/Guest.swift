// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// A guest in the emulator, with a serial line for each thing that must survive the stall.
final class Guest {
    let directory: String
    let process: Process
    let qmp: QMP
    let console: StampedLine
    /// The lines whose every line has the time of its arrival.
    let stamped: [SerialLine: StampedLine]
    private let jammed: UnixSocket
    let accelerator: Accelerator

    var consoleLog: String { "\(directory)/console.log" }
    var events: String { path(.events) }
    var recording: String { path(.record) }
    var probe: String { path(.probe) }
    var marks: String { path(.marks) }

    private func path(_ line: SerialLine) -> String { "\(directory)/\(line.file ?? "")" }

    init(
        scenario: Scenario, kernel: KernelPackage, archive: String, disk: String? = nil,
        directory: String, accelerator: Accelerator, scrapePort: Int? = nil
    ) throws {
        self.directory = directory
        self.accelerator = accelerator
        let qemu = try Tools.require("qemu-system-x86_64", package: "qemu-system-x86")
        // Sockets want short paths; the results' directory may lie deep.
        let sockets = "/tmp/rwlab.\(getpid()).\(kernel.name)"
        Children.shared.removeAtEnd(sockets)
        try FileManager.default.createDirectory(
            atPath: sockets, withIntermediateDirectories: true)
        for name in ["console.log"] + SerialLine.allCases.compactMap(\.file) {
            _ = FileManager.default.createFile(atPath: "\(directory)/\(name)", contents: nil)
        }
        var arguments = accelerator.arguments
        arguments += [
            "-smp", "\(scenario.cpus)", "-m", "\(scenario.memoryMiB)", "-display", "none",
            // A guest that dies stays, so that its registers and stacks can be read.
            "-nodefaults", "-action", "reboot=shutdown,shutdown=pause",
            "-qmp", "unix:\(sockets)/qmp,server=on,wait=off",
            "-chardev", "pipe,id=console,path=\(sockets)/console", "-serial", "chardev:console",
        ]
        try StampedLine.prepare(path: "\(sockets)/console")
        arguments += Self.nodes(scenario)
        if scenario.flood?.sharesCard == false {
            arguments += [
                "-netdev", "user,id=front,net=10.0.3.0/24,host=10.0.3.2",
                "-device", "virtio-net-pci,id=net1,netdev=front,romfile=,addr=10",
            ]
        }
        if let disk {
            arguments += [
                // Nothing of it outlives the run: the guest need not wait for our disk.
                "-drive", "file=\(disk),format=raw,if=none,id=root,cache=unsafe",
                "-device", "virtio-blk-pci,drive=root",
            ]
        }
        arguments += try Self.lines(directory: directory, sockets: sockets)
        arguments += [
            "-netdev",
            "user,id=lan"
                + (scrapePort.map { ",hostfwd=tcp:127.0.0.1:\($0)-\(Scraper.guest)" } ?? ""),
            "-device", "\(Self.cards[scenario.nic] ?? ""),id=net0,netdev=lan,romfile=",
            "-kernel", kernel.image, "-initrd", archive,
            "-append",
            "console=ttyS0 loglevel=4 panic=-1 nokaslr 8250.nr_uarts=16"
                // The rootfs is tmpfs otherwise, which is swapped.
                + (scenario.keepsPrograms ? " rootfstype=ramfs" : "")
                + (scenario.usesSystemd ? " net.ifnames=0 systemd.show_status=no" : "")
                + (scenario.kernelWords.isEmpty ? "" : " \(scenario.kernelWords)"),
        ]
        process = try Children.shared.start(
            qemu, arguments, log: "\(directory)/qemu.log")
        qmp = try QMP(path: "\(sockets)/qmp")
        console = StampedLine(path: "\(sockets)/console", file: "\(directory)/console.log")
        var stamped: [SerialLine: StampedLine] = [:]
        for line in SerialLine.allCases where line.isStamped {
            stamped[line] = StampedLine(
                path: "\(sockets)/\(line.name)", file: "\(directory)/\(line.file ?? line.name)")
        }
        self.stamped = stamped
        jammed = try UnixSocket(path: "\(sockets)/\(SerialLine.jammed.name)")
        self.sockets = sockets
    }

    private let sockets: String

    /// The emulator's network cards by the driver that the guest has for them.
    private static let cards = ["virtio": "virtio-net-pci", "e1000": "e1000"]

    /// The cards of four serial lines, in the order of ``SerialLine``.
    private static func lines(directory: String, sockets: String) throws -> [String] {
        var arguments: [String] = []
        for line in SerialLine.allCases {
            let path = "\(sockets)/\(line.name)"
            let kind: String
            if line.isStamped {
                try StampedLine.prepare(path: path)
                kind = "pipe,path=\(path)"
            } else if let file = line.file {
                kind = "file,path=\(directory)/\(file)"
            } else {
                kind = "socket,path=\(path),server=on,wait=off"
            }
            arguments += ["-chardev", "\(kind),id=\(line.name)"]
        }
        for first in stride(from: 0, to: SerialLine.allCases.count, by: 4) {
            let lines = SerialLine.allCases[first...].prefix(4)
            let ports = lines.enumerated().map { "chardev\($0 + 1)=\($1.name)" }
            arguments += [
                "-device",
                "pci-serial-\(lines.count > 2 ? 4 : 2)x,\(ports.joined(separator: ","))",
            ]
        }
        return arguments
    }

    /// Memory and CPUs in even parts, one a node.
    private static func nodes(_ scenario: Scenario) -> [String] {
        guard scenario.nodes > 1 else { return [] }
        let cpus = scenario.cpus / scenario.nodes
        return (0..<scenario.nodes).flatMap { node in
            [
                "-object",
                "memory-backend-ram,id=memory\(node),size=\(scenario.memoryMiB / scenario.nodes)M",
                "-numa",
                "node,nodeid=\(node),memdev=memory\(node),cpus=\(node * cpus)-\((node + 1) * cpus - 1)",
            ]
        }
    }

    func stop() {
        Children.shared.stop(process)
        try? FileManager.default.removeItem(atPath: sockets)
    }

    func text(_ path: String) -> String {
        (try? Data(contentsOf: URL(fileURLWithPath: path)))
            .map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// The marks, samples and console lines that came so far, read piece by piece.
    private(set) lazy var samples = Tail(path: probe)
    private(set) lazy var says = Tail(path: marks)
    private(set) lazy var mutters = Tail(path: consoleLog)

    /// What the guest said of a marker, or nil as long as it has not come.
    func mark(_ word: String) -> String? {
        for line in says.text.split(separator: "\n") where line.hasPrefix("# ") {
            let words = line.split(separator: " ", maxSplits: 3)
            if words.count >= 3, words[2] == word { return words.count > 3 ? String(words[3]) : "" }
        }
        return nil
    }

    /// When a marker came in, by the clock of ``Arrival``.
    func arrival(of word: String) -> Double? {
        stamped[.marks]?.arrivals.first {
            let words = $0.text.split(separator: " ", maxSplits: 3)
            return words.count >= 3 && words[0] == "#" && words[2] == word
        }?.seconds
    }
}
