// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// `prepare` of the real program, in a tree that looks like a host.
@Suite(.serialized)
struct PrepareTests {
    private static let root = (Fixture.directory as NSString).deletingLastPathComponent + "/.."

    /// The document, after an independent validator has found it to match the schema.
    private func document(_ tree: PrepareTree, _ arguments: [String]) throws -> [String: Any] {
        let command = try Command(["prepare", "--json", "--root", tree.root] + arguments)
        #expect(command.output.split(separator: "\n").count == 1, "\(command.errors)")
        let file = tree.root + "/document.json"
        try command.output.write(toFile: file, atomically: true, encoding: .utf8)
        let validator = Process()
        validator.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        validator.arguments = [
            "python3", "\(Self.root)/Tests/Lab/validate_events.py",
            "\(Self.root)/docs/schema/prepare.schema.json", file,
        ]
        try validator.run()
        validator.waitUntilExit()
        #expect(validator.terminationStatus == 0, "\(command.output)")
        let object = try JSONSerialization.jsonObject(with: Data(command.output.utf8))
        let document = try #require(object as? [String: Any])
        #expect(document["exit_status"] as? Int == Int(command.status))
        return document
    }

    private func outcomes(_ document: [String: Any]) -> [String] {
        (document["changes"] as? [[String: Any]] ?? []).compactMap { $0["outcome"] as? String }
    }

    private func ids(_ document: [String: Any]) -> [String] {
        (document["changes"] as? [[String: Any]] ?? []).compactMap { $0["id"] as? String }
    }

    @Test func aHostIsPreparedAndPutBack() throws {
        let tree = try PrepareTree()
        let before = try tree.values()
        let planned = try document(tree, ["--dry-run"])
        #expect(
            ids(planned) == ["wbt-off", "tcp-receive-bound", "socket-receive-bound", "reserve"])
        #expect(outcomes(planned) == Array(repeating: "would", count: 4))
        #expect(try tree.values() == before)
        #expect(planned["exit_status"] as? Int == 0)

        #expect(outcomes(try document(tree, ["--apply"])) == Array(repeating: "done", count: 4))
        #expect(try tree.values() == ["4096 131072 262144", "262144", "32768", "0"])
        #expect(outcomes(try document(tree, ["--apply"])).isEmpty)
        #expect(outcomes(try document(tree, ["--status"])) == Array(repeating: "ours", count: 4))

        try tree.write("/proc/sys/net/core/rmem_max", "500000\n")
        #expect(outcomes(try document(tree, ["--status"])).contains("foreign"))
        let undone = try document(tree, ["--undo"])
        #expect(outcomes(undone) == ["restored", "foreign", "restored", "restored"])
        #expect(try tree.values() == [before[0], "500000", before[2], before[3]])
        #expect(outcomes(try document(tree, ["--undo"])).isEmpty)
        #expect(outcomes(try document(tree, ["--status"])).isEmpty)
    }

    @Test func inWordsEachChangeSaysWhyWithinWhatAndHowItIsUndone() throws {
        let tree = try PrepareTree()
        let text = try Command(["prepare", "--dry-run", "--root", tree.root]).output
        for word in ["bounds: ", "why: ", "costs: ", "keep: ", "undo: "] {
            #expect(text.components(separatedBy: "\n          \(word)").count > 4, "\(word)")
        }
        #expect(text.contains("undo: echo '4096 131072 6291456' >/proc/sys/net/ipv4/tcp_rmem\n"))
        #expect(text.contains("as-is     nbd-timeouts  nbd0: "))
        #expect(text.hasSuffix("4 changes would be made.\n"))
    }

    @Test func whatCannotBeDoneHasAStatusOfItsOwn() throws {
        let tree = try PrepareTree()
        try tree.write("/proc/meminfo", "MemTotal: 246000 kB\nMemAvailable: 1000 kB\n")
        let document = try document(tree, ["--apply"])
        #expect(document["exit_status"] as? Int == 78)
        #expect(outcomes(document) == ["done", "done", "done"])
        let left = document["left"] as? [[String: Any]] ?? []
        #expect(left.contains { $0["id"] as? String == "reserve-refused" })
    }

    @Test func aDamagedJournalStopsApplyAndUndoDoesWhatItCan() throws {
        let tree = try PrepareTree()
        let before = try tree.values()
        _ = try Command(["prepare", "--apply", "--root", tree.root])
        let path = tree.root + "/run/reservewatch/prepare.journal"
        var lines = try String(contentsOfFile: path, encoding: .utf8)
            .components(separatedBy: "\n")
        // the second change
        lines[2] = lines[2].replacingOccurrences(of: "6291456", with: "6291457")
        try lines.joined(separator: "\n").write(toFile: path, atomically: false, encoding: .utf8)
        let again = try Command(["prepare", "--apply", "--root", tree.root])
        #expect(again.status == 65)
        #expect(again.errors.contains("is damaged: 1 lines cannot be believed; undo what"))
        let undone = try document(tree, ["--undo"])
        #expect(undone["exit_status"] as? Int == 65)
        #expect(outcomes(undone) == ["restored", "restored", "restored"])
        let after = try tree.values()
        #expect(after == ["4096 131072 262144", before[1], before[2], before[3]])
        #expect(try document(tree, ["--status"])["exit_status"] as? Int == 65)
    }

    @Test func wrongUsageIsToldWithAWayOut() throws {
        for arguments in [
            [], ["--apply", "--undo"], ["--dry-run", "--nbd-timeout", "20"],
            ["--dry-run", "--receive-max", "100"], ["--dry-run", "--device", "sda"],
            ["--dry-run", "--nbd-timeout", "0", "--nbd-dead-conn-timeout", "600"],
        ] {
            #expect(try Command(["prepare"] + arguments).status == 64, "\(arguments)")
        }
        let alone = try Command(["prepare", "--dry-run", "--nbd-timeout", "20"])
        #expect(alone.errors.contains("go together"))
        let tree = try PrepareTree()
        let missing = ["prepare", "--dry-run", "--root", tree.root, "--device", "nbd7"]
        #expect(try Command(missing).status == 66)
    }

    @Test(.enabled(if: geteuid() == 0 || getenv("CI") != nil, "needs root"))
    func nobodyMayNotChangeThisHost() throws {
        for mode in ["--apply", "--undo"] {
            let refused = try Command(["prepare", mode], through: Command.asNobody)
            #expect(refused.status == 77)
            #expect(refused.errors.contains("run it as root, or with --dry-run"))
        }
        // The agent's directory may be closed to others.
        let status = try Command(["prepare", "--status"], through: Command.asNobody).status
        #expect(status == 0 || status == 77)
    }

    /// The kernel's own file, in a network namespace that ends with the command.
    @Test(.enabled(if: geteuid() == 0 || getenv("CI") != nil, "needs root"))
    func theKernelsOwnFileIsChangedAndPutBack() throws {
        let tree = try PrepareTree()
        let file = "/proc/sys/net/ipv4/tcp_rmem"
        try FileManager.default.removeItem(atPath: tree.root + file)
        try FileManager.default.createSymbolicLink(
            atPath: tree.root + file, withDestinationPath: file)
        let script = """
            prepare="$1"; tree="$2"; file=\(file)
            echo '4096 131072 6000000' >$file
            "$prepare" prepare --apply --root "$tree" >/dev/null; echo applied $?
            cat $file
            "$prepare" prepare --undo --root "$tree" >/dev/null; echo undone $?
            cat $file
            "$prepare" prepare --apply --root "$tree" >/dev/null
            echo '4096 131072 300000' >$file
            "$prepare" prepare --undo --root "$tree" | grep -c somebody
            cat $file
            """
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "unshare", "--net", "sh", "-c", script, "sh", Command.binary, tree.root,
        ]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let said = String(
            decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(
            said.replacingOccurrences(of: "\t", with: " ").split(separator: "\n") == [
                "applied 0", "4096 131072 262144", "undone 0", "4096 131072 6000000", "1",
                "4096 131072 300000",
            ])
    }
}

/// A host as installed, with swap on nbd0 set up over netlink.
private final class PrepareTree {
    let root = NSTemporaryDirectory() + "prepare-tree-\(UUID().uuidString)"

    init() throws {
        try write(
            "/proc/swaps", "Filename Type Size Used Priority\n/dev/nbd0 partition 1 0 -2\n")
        try write("/dev/nbd0", "")
        try write("/sys/class/block/nbd0/dev", "43:0\n")
        try write("/sys/block/nbd0/dev", "43:0\n")
        try write("/sys/block/nbd0/pid", "90\n")
        try write("/sys/block/nbd0/mq/0/nr_tags", "128\n")
        try write("/sys/block/nbd0/queue/io_timeout", "30000\n")
        try write("/sys/block/nbd0/queue/wbt_lat_usec", "2000\n")
        try write("/sys/block/nbd0/queue/scheduler", "[none] mq-deadline\n")
        try write("/sys/kernel/debug/nbd/nbd0/timeout", "0\n")
        try write("/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n")
        try write("/proc/meminfo", "MemTotal: 246000 kB\nMemAvailable: 150000 kB\n")
        try write(
            "/proc/zoneinfo",
            "Node 0, zone   Normal\n  pages free 1000\n        min 1\n        low 2\n"
                + "        high 3\n        spanned 61440\n        present 61440\n"
                + "        managed 61440\n")
        try write("/proc/sys/kernel/random/boot_id", "one\n")
        try write("/proc/sys/vm/min_free_kbytes", "1982\n")
        try write("/proc/sys/vm/swappiness", "60\n")
        try write("/proc/sys/net/ipv4/tcp_mem", "2880\t3840\t5760\n")
        try write("/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n")
        try write("/proc/sys/net/core/rmem_max", "4194304\n")
        try write(
            "/proc/net/tcp",
            "  sl  local_address rem_address   st\n"
                + "   0: 0F02000A:BF68 0202000A:2A39 01 00000000:00000000 00:00000000 00000000"
                + "     0        0 501 1 0000000000000000 20 4 30 10 -1\n")
    }

    deinit {
        try? FileManager.default.removeItem(atPath: root)
    }

    func write(_ path: String, _ text: String) throws {
        let file = URL(fileURLWithPath: root + path)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
    }

    /// What is changed, blanks between the words.
    func values() throws -> [String] {
        try [
            "/proc/sys/net/ipv4/tcp_rmem", "/proc/sys/net/core/rmem_max",
            "/proc/sys/vm/min_free_kbytes", "/sys/block/nbd0/queue/wbt_lat_usec",
        ].map { path in
            try String(contentsOfFile: root + path, encoding: .utf8)
                .split(whereSeparator: \.isWhitespace).joined(separator: " ")
        }
    }
}
