// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// `doctor` of the real program, on this kernel, with a tree in the place of /proc and /sys.
@Suite(.serialized, .enabled(if: geteuid() == 0 || getenv("CI") != nil, "needs root"))
struct DoctorTests {
    private static let root = (Fixture.directory as NSString).deletingLastPathComponent + "/.."

    /// The document, after an independent validator has found it to match the schema.
    private func document(_ arguments: [String] = []) throws -> (Int32, [String: Any]) {
        let doctor = try Command(["doctor", "--json"] + arguments)
        #expect(doctor.errors.isEmpty, "\(doctor.errors)")
        #expect(doctor.output.split(separator: "\n").count == 1)
        let file = NSTemporaryDirectory() + "/doctor-\(UUID().uuidString).json"
        defer { try? FileManager.default.removeItem(atPath: file) }
        try doctor.output.write(toFile: file, atomically: true, encoding: .utf8)
        let validator = Process()
        validator.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        validator.arguments = [
            "python3", "\(Self.root)/Tests/Lab/validate_events.py",
            "\(Self.root)/docs/schema/doctor.schema.json", file,
        ]
        try validator.run()
        validator.waitUntilExit()
        #expect(validator.terminationStatus == 0, "\(doctor.output)")
        let object = try JSONSerialization.jsonObject(with: Data(doctor.output.utf8))
        return (doctor.status, try #require(object as? [String: Any]))
    }

    private func ids(_ document: [String: Any]) -> [String] {
        (document["findings"] as? [[String: Any]] ?? []).compactMap { $0["id"] as? String }
    }

    @Test func thisHostsDocumentMatchesTheSchemaAndTheStatus() throws {
        let (status, document) = try document()
        #expect(document["exit_status"] as? Int == Int(status))
        let hooks = try #require(document["hooks"] as? [[String: Any]])
        #expect(hooks.contains { $0["signal"] as? String == "watermark.zones" })
    }

    @Test func aHostWithoutNBDSwapSaysSoAndItsHooksDecide() throws {
        let tree = try Tree()
        try tree.write("/proc/swaps", "Filename Type Size Used Priority\n")
        let (status, document) = try document(["--root", tree.root])
        #expect(document["verdict"] as? String == "no_nbd_swap")
        #expect(status == 0 || status == 1)
        let text = try Command(["doctor", "--root", tree.root])
        #expect(text.output.contains("No swap lies on NBD"))
        #expect(text.status == status)
    }

    @Test func whatCannotBeReadIsNotTakenAsFit() throws {
        let tree = try Tree()
        try tree.write(
            "/proc/swaps", "Filename Type Size Used Priority\n/dev/nbd0 partition 1 0 -2\n")
        try tree.write("/dev/nbd0", "")
        let (status, document) = try document(["--root", tree.root])
        #expect(document["verdict"] as? String == "unknown")
        #expect(status == 1)
        for id in ["client-unknown", "server-unknown", "timeout-unknown", "min-free-unknown"] {
            #expect(ids(document).contains(id))
        }
    }

    @Test func anUnfitHostHasAStatusOfItsOwnAndHostileNamesStayNames() throws {
        let tree = try Tree()
        let name = "\"x)\u{1b}[2J\n{"
        try tree.write(
            "/proc/swaps", "Filename Type Size Used Priority\n/dev/nbd0 partition 1 0 -2\n")
        try tree.write("/dev/nbd0", "")
        try tree.write("/sys/block/nbd0/pid", "7\n")
        try tree.write("/sys/block/nbd0/queue/wbt_lat_usec", "2000\n")
        try tree.write("/proc/7/stat", "7 (\(name)) S 1 7 7 0 -1 4194304 0\n")
        try tree.write("/proc/7/status", "VmLck:\t0 kB\n")
        try tree.write("/proc/7/oom_score_adj", "0\n")
        try tree.write("/proc/7/cmdline", "nbd-client\0-swap\0\u{1b}]0;owned\u{7}\0")
        try tree.link("/proc/7/fd/3", "/dev/nbd0")
        let (status, document) = try document(["--root", tree.root])
        #expect(status == 78)
        #expect(document["verdict"] as? String == "unfit")
        for id in ["client-not-locked", "client-killable", "wbt-on"] {
            #expect(ids(document).contains(id), "\(ids(document))")
        }
        let findings = try #require(document["findings"] as? [[String: Any]])
        let subject = findings[0]["subject"] as? [String: Any]
        #expect(subject?["comm"] as? String == name)
        let text = try Command(["doctor", "--root", tree.root])
        #expect(text.status == 78)
        #expect(text.output.contains("not fit to swap over NBD"))
        #expect(text.output.utf8.allSatisfy { $0 == 0x0a || $0 >= 0x20 && $0 != 0x7f })
        #expect(text.output.contains("mend: echo 0 >/sys/block/nbd0/queue/wbt_lat_usec\n"))
    }
}

/// A directory that looks as much like a host as a test writes into it.
private final class Tree {
    let root = NSTemporaryDirectory() + "doctor-tree-\(UUID().uuidString)"

    init() throws {
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: root)
    }

    private func directory(_ path: String) throws -> URL {
        let file = URL(fileURLWithPath: root + path)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        return file
    }

    func write(_ path: String, _ text: String) throws {
        try Data(text.utf8).write(to: try directory(path))
    }

    func link(_ path: String, _ target: String) throws {
        try FileManager.default.createSymbolicLink(
            atPath: try directory(path).path, withDestinationPath: target)
    }
}
