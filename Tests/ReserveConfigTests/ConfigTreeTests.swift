// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import ReserveConfig

/// Directories like /etc, /run and /usr/lib, in a place of the test's own.
private final class Directories {
    let root = NSTemporaryDirectory() + "reservewatch-config-\(UUID().uuidString)"
    var tree: ConfigTree {
        ConfigTree(directories: ["etc", "run", "lib"].map { "\(root)/\($0)" }, name: "r.conf")
    }

    init() throws {
        for name in ["etc", "run", "lib"] {
            try FileManager.default.createDirectory(
                atPath: "\(root)/\(name)/r.conf.d", withIntermediateDirectories: true)
        }
    }

    func write(_ path: String, _ text: String) throws {
        try text.write(toFile: "\(root)/\(path)", atomically: false, encoding: .utf8)
    }

    func link(_ path: String, to target: String) throws {
        try FileManager.default.createSymbolicLink(
            atPath: "\(root)/\(path)", withDestinationPath: target)
    }

    func read() -> Configuration { tree.read(Example.schema) }

    func sentences(_ read: Configuration) -> [String] {
        read.problems.map { $0.sentence.replacingOccurrences(of: "\(root)/", with: "") }
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }
}

@Suite struct ConfigTreeTests {
    @Test func nothingIsAConfigurationToo() throws {
        let read = try Directories().read()
        #expect(read.problems.isEmpty)
        #expect(read.sections.isEmpty)
        #expect(read.files.isEmpty)
        let nowhere = ConfigTree(directories: ["/nowhere/at/all"], name: "r.conf")
        #expect(nowhere.read(Example.schema).problems.isEmpty)
    }

    @Test func dropInsComeAfterTheMainFileByTheirNames() throws {
        let directories = try Directories()
        try directories.write("etc/r.conf", "[Agent]\nMost=1\n[Rule a]\nTarget=main\n")
        try directories.write("lib/r.conf.d/10-a.conf", "[Agent]\nMost=2\n[Rule a]\nTarget=ten\n")
        try directories.write(
            "run/r.conf.d/20-b.conf", "[Agent]\nMost=3\n[Rule a]\nTarget=twenty\n")
        try directories.write("etc/r.conf.d/05-c.conf", "[Agent]\nMost=4\n")
        try directories.write("etc/r.conf.d/ignored.txt", "nonsense")
        try directories.write("etc/r.conf.d/.hidden.conf", "nonsense")
        let read = directories.read()
        #expect(read.problems.isEmpty)
        #expect(read.section("Agent").value(Example.most) == 3)
        #expect(read.sections("Rule")[0].values(Example.targets) == ["main", "ten", "twenty"])
        #expect(
            read.files.map(\.path).map { String($0.suffix(9)) } == [
                "tc/r.conf", "05-c.conf", "10-a.conf", "20-b.conf",
            ])
    }

    @Test func theHigherDirectoryHidesTheLower() throws {
        let directories = try Directories()
        try directories.write("run/r.conf", "[Agent]\nMost=1\n")
        try directories.write("lib/r.conf", "[Agent]\nMost=2\n")
        try directories.write("lib/r.conf.d/a.conf", "[Rule a]\nTarget=lib\n")
        try directories.write("etc/r.conf.d/a.conf", "[Rule a]\nTarget=etc\n")
        let read = directories.read()
        #expect(read.section("Agent").value(Example.most) == 1)
        #expect(read.sections("Rule")[0].values(Example.targets) == ["etc"])
        #expect(
            read.files.map(\.state) == [
                .read, .hidden(by: "\(directories.root)/run/r.conf"),
                .read, .hidden(by: "\(directories.root)/etc/r.conf.d/a.conf"),
            ])
    }

    @Test func aLinkToDevNullMasks() throws {
        let directories = try Directories()
        try directories.link("etc/r.conf", to: "/dev/null")
        try directories.write("lib/r.conf", "nonsense")
        try directories.link("run/r.conf.d/a.conf", to: "/dev/null")
        try directories.write("lib/r.conf.d/a.conf", "nonsense")
        let read = directories.read()
        #expect(read.problems.isEmpty)
        #expect(read.files.filter { $0.state == .masked }.count == 2)
    }

    @Test func linksAreFollowedAndOneThatLeadsNowhereIsTold() throws {
        let directories = try Directories()
        try directories.write("lib/real", "[Agent]\nMost=5\n")
        try directories.link("etc/r.conf", to: "../lib/real")
        try directories.link("etc/r.conf.d/a.conf", to: "nowhere")
        let read = directories.read()
        #expect(read.section("Agent").value(Example.most) == 5)
        #expect(
            directories.sentences(read) == [
                "etc/r.conf.d/a.conf: error: it cannot be read: No such file or directory"
            ])
        #expect(!read.isValid)
    }

    @Test func whatIsNoFileOrNotOursIsRefused() throws {
        let directories = try Directories()
        #expect(mkfifo("\(directories.root)/etc/r.conf", 0o600) == 0)
        try directories.write("etc/r.conf.d/a.conf", "[Agent]\nMost=5\n")
        #expect(chmod("\(directories.root)/etc/r.conf.d/a.conf", 0o646) == 0)
        try FileManager.default.createDirectory(
            atPath: "\(directories.root)/etc/r.conf.d/b.conf", withIntermediateDirectories: false)
        let read = directories.read()
        #expect(
            directories.sentences(read) == [
                "etc/r.conf: error: it is no file",
                "etc/r.conf.d/a.conf: error: everybody may write it, and so have us do anything; "
                    + "chmod o-w it",
                "etc/r.conf.d/b.conf: error: it is no file",
            ])
        #expect(read.section("Agent").value(Example.most) == nil)
    }

    @Test(.enabled(if: geteuid() == 0 || getenv("CI") != nil, "needs root to give a file away"))
    func aFileOfAnotherUserIsRefused() throws {
        let directories = try Directories()
        try directories.write("etc/r.conf", "[Agent]\nMost=5\n")
        #expect(chown("\(directories.root)/etc/r.conf", 65534, 65534) == 0)
        #expect(
            directories.sentences(directories.read()) == [
                "etc/r.conf: error: it belongs to user 65534, who could have us do anything; "
                    + "give it to root"
            ])
    }

    @Test func aFileThatIsNamedMustBeThere() throws {
        let directories = try Directories()
        let path = "\(directories.root)/etc/mine.conf"
        let missing = ConfigTree(file: path).read(Example.schema)
        #expect(
            directories.sentences(missing) == [
                "etc/mine.conf: error: it cannot be read: No such file or directory"
            ])
        try directories.write("etc/mine.conf", "[Agent]\nMost=1\n")
        try FileManager.default.createDirectory(
            atPath: "\(path).d", withIntermediateDirectories: false)
        try directories.write("etc/mine.conf.d/a.conf", "[Agent]\nMost=2\n")
        let read = ConfigTree(file: path).read(Example.schema)
        #expect(read.problems.isEmpty)
        #expect(read.section("Agent").value(Example.most) == 2)
        #expect(ConfigTree(file: "/dev/null").read(Example.schema).isValid)
        // Files by themselves, without what lies beside them.
        let files = ConfigTree.read(files: [path, "\(directories.root)/no"], Example.schema)
        #expect(files.section("Agent").value(Example.most) == 1)
        #expect(
            directories.sentences(files) == [
                "no: error: it cannot be read: No such file or directory"
            ])
    }
}
