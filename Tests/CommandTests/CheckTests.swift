// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// Configurations for a test, in a directory of its own.
final class ConfigDirectory {
    let path = NSTemporaryDirectory() + "reservewatch-conf-\(UUID().uuidString)"
    var main: String { "\(path)/r.conf" }

    init(_ text: String = "", dropIns: [String: String] = [:]) throws {
        try FileManager.default.createDirectory(
            atPath: "\(main).d", withIntermediateDirectories: true)
        try write(text)
        for (name, text) in dropIns {
            try text.write(toFile: "\(main).d/\(name)", atomically: true, encoding: .utf8)
        }
    }

    func write(_ text: String) throws {
        try text.write(toFile: main, atomically: true, encoding: .utf8)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// The real program's judgement of configurations.
@Suite struct CheckTests {
    private static let root = (Fixture.directory as NSString).deletingLastPathComponent + "/.."
    private static let example = "\(root)/docs/examples/reservewatch.conf"

    /// The document, after an independent validator has found it to match the schema.
    private func document(_ arguments: [String]) throws -> (Int32, [String: Any]) {
        let check = try Command(["check", "--json"] + arguments)
        #expect(check.errors.isEmpty, "\(check.errors)")
        let file = NSTemporaryDirectory() + "/check-\(UUID().uuidString).json"
        defer { try? FileManager.default.removeItem(atPath: file) }
        try check.output.write(toFile: file, atomically: true, encoding: .utf8)
        let validator = Process()
        validator.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        validator.arguments = [
            "python3", "\(Self.root)/Tests/Lab/validate_events.py",
            "\(Self.root)/docs/schema/check.schema.json", file,
        ]
        try validator.run()
        validator.waitUntilExit()
        #expect(validator.terminationStatus == 0, "\(check.output)")
        let object = try JSONSerialization.jsonObject(with: Data(check.output.utf8))
        return (check.status, try #require(object as? [String: Any]))
    }

    @Test func everyErrorIsToldWithFileAndLine() throws {
        let conf = try ConfigDirectory(
            """
            Interval=5s
            [Agnet]
            [Agent]
            Interval=1d
            Samplerate=3
            Arm=slab everything
            [Alerts]
            To=kmsg stdout /a /b /c
            [Box]
            Size=5M
            Path=box
            Group=no-such-group
            [Metrics]
            Listen=localhost:9479
            [Policy]
            Mode=maybe
            [Rule a]
            When=calm
            Action=freeze
            Target=/load

            """)
        let check = try Command(["check", conf.main])
        #expect(check.status == 78)
        #expect(check.errors.isEmpty)
        let said = check.output.replacingOccurrences(of: conf.path + "/", with: "")
        for line in [
            "r.conf:1: error: Interval= stands before the first [Section]; move it below one",
            "r.conf:2: error: there is no section [Agnet]; did you mean [Agent]?",
            "r.conf:4: error: [Agent] Interval=1d: it is not from 100ms to 1h",
            "r.conf:5: error: [Agent] has no Samplerate=",
            "r.conf:6: error: [Agent] Arm=slab everything: it is not slab, skbs or pages",
            "r.conf:8: error: [Alerts] To=/c: that makes 5 places; 4 is the most",
            "r.conf:10: error: [Box] Size=5M: it is no power of two",
            "r.conf:11: error: [Box] Path=box: it is no absolute path",
            "r.conf:12: error: [Box] Group=no-such-group: there is no such group here",
            "r.conf:14: error: [Metrics] Listen=localhost:9479: it is no ADDRESS:PORT",
            "r.conf:16: error: Mode=maybe is none of off, observe, enforce",
            "r.conf:18: error: Action=freeze is not done when",
        ] {
            #expect(said.contains(line), "\(line)\nin\n\(said)")
        }
        #expect(said.hasSuffix("r.conf: 12 errors, 0 warnings\n"), "\(said)")
    }

    @Test func whatIsWrongIsInTheDocumentTooAndWarningsAreNoFailure() throws {
        let conf = try ConfigDirectory("[Agent]\nInterval=5s\nInterval=6s\n")
        let (status, document) = try document([conf.main])
        #expect(status == 0)
        #expect(document["errors"] as? Int == 0)
        #expect(document["warnings"] as? Int == 1)
        let problems = try #require(document["problems"] as? [[String: Any]])
        #expect(problems.map { $0["line"] as? Int } == [3])
        let settings = try #require(document["settings"] as? [[String: Any]])
        let interval = try #require(settings.first { $0["key"] as? String == "Interval" })
        #expect(interval["value"] as? String == "6s")
        #expect(interval["usual"] as? Bool == false)
        let (failed, _) = try self.document(["/nowhere/at.all"])
        #expect(failed == 78)
    }

    @Test func whatHoldsIsShownWithWhereItComesFrom() throws {
        let conf = try ConfigDirectory(
            "[Alerts]\nTo=kmsg\n[Rule freeze]\nWhen=stalling\nAction=freeze\nTarget=/load\n")
        let more = try ConfigDirectory("[Alerts]\nTo=/dev/ttyS1\n[Agent]\nInterval=2s\n")
        let check = try Command(["check", "--show", conf.main, more.main])
        #expect(check.status == 0, "\(check.output)")
        let lines = check.output.split(separator: "\n").map {
            $0.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
        }
        for line in [
            "Interval=2s \(more.main):4", "SamplePeriod=10ms usual", "#EventsTo= not set",
            "To=kmsg /dev/ttyS1 \(conf.main):2, \(more.main):2", "[Rule freeze]",
            "Action=freeze \(conf.main):5", "freeze (observe)",
            "\(conf.main), \(more.main): 0 errors, 0 warnings",
        ] {
            #expect(lines.contains(line), "\(line) in\n\(check.output)")
        }
    }

    @Test func controlCharactersDoNotReachTheTerminal() throws {
        let conf = try ConfigDirectory("[Agent]\n\u{202e}evil=\u{9b}31m\nMost\u{1b}[31m=1\n")
        let check = try Command(["check", conf.main])
        #expect(check.status == 78)
        #expect(
            check.output.unicodeScalars.allSatisfy {
                $0 == "\n"
                    || $0.value >= 0x20 && !(0x7f..<0xa0).contains($0.value)
                        && $0.value != 0x202e
            })
    }

    // MARK: the example

    @Test func theExampleIsGoodAndChangesNothing() throws {
        let check = try Command(["check", Self.example])
        #expect(check.status == 0, "\(check.output)")
        #expect(check.output.hasSuffix("0 errors, 0 warnings\n"))
        let (_, mine) = try document([Self.example])
        let (_, usual) = try document(["/dev/null"])
        let settings = try #require(mine["settings"] as? [[String: Any]])
        #expect(settings.allSatisfy { $0["usual"] as? Bool == true })
        #expect(settings.count == (usual["settings"] as? [Any])?.count)
    }

    /// With the # taken away it still is good, holds what is usual, and no key is missing.
    @Test func theExamplesCommentsAreTheDefaults() throws {
        let text = try String(contentsOfFile: Self.example, encoding: .utf8)
        let uncommented = text.split(separator: "\n", omittingEmptySubsequences: false).map {
            line in
            let isSetting = line.hasPrefix("#[") || line.wholeMatch(of: /#[A-Z][A-Za-z]+=.*/) != nil
            return isSetting ? String(line.dropFirst()) : String(line)
        }
        let conf = try ConfigDirectory(uncommented.joined(separator: "\n"))
        let (status, document) = try document([conf.main])
        #expect(status == 0, "\(document["problems"] ?? "")")
        #expect(document["warnings"] as? Int == 0)
        let (_, usual) = try self.document(["/dev/null"])
        let mine = try #require(document["settings"] as? [[String: Any]])
        let expected = try #require(usual["settings"] as? [[String: Any]])
        for setting in expected {
            let section = setting["section"] as? String
            let key = try #require(setting["key"] as? String)
            let same = mine.first {
                $0["section"] as? String == section && $0["key"] as? String == key
            }
            // Modes of a policy have no value of their own where nothing is set; where the box lies
            // is another place on a host whose /run is a disk.
            if section != "[Policy]", section != "[Box]" || key != "Path" {
                #expect(same?["value"] as? String == setting["value"] as? String, "\(key)")
            }
            #expect(uncommented.contains { $0.hasPrefix("\(key)=") }, "\(key) is missing")
        }
    }

    /// Keys of sections that there may be many of stand where these are described.
    @Test func everyKeyIsInTheDocuments() throws {
        let page = try String(
            contentsOfFile: "\(Self.root)/docs/configuration.md", encoding: .utf8)
        let (_, usual) = try document(["/dev/null"])
        let settings = try #require(usual["settings"] as? [[String: Any]])
        #expect(settings.count > 20)
        for setting in settings {
            let key = try #require(setting["key"] as? String)
            let section = try #require(setting["section"] as? String)
            #expect(page.contains("`\(key)`"), "\(key)")
            #expect(page.contains("`\(section)`"), "\(section)")
        }
    }

    /// The agent does not start with what check refuses, and says the same.
    @Test func noCommandTakesWhatCheckRefuses() throws {
        let conf = try ConfigDirectory(
            "[Agent]\nInterval=5\n", dropIns: ["10-a.conf": "[Agent]\nInterval=never\n"])
        for command in [["agent"], ["metrics", "--once"], ["policy", "explain"]] {
            let refused = try Command(command + ["--config", conf.main])
            #expect(refused.status == 78)
            let lines = refused.errors.split(separator: "\n")
            #expect(lines.count == 2, "\(refused.errors)")
            #expect(
                lines.first?.hasPrefix(
                    "reservewatch: \(conf.main).d/10-a.conf:2: error: [Agent] Interval=never")
                    == true)
            #expect(lines.last?.contains("has 1 error; see reservewatch check") == true)
            let absent = try Command(command + ["--config", "/nowhere/at.all"])
            #expect(absent.status == 66)
            #expect(absent.errors.contains("/nowhere/at.all"))
        }
    }

    @Test func theCommandLineOutranksTheFile() throws {
        let conf = try ConfigDirectory("[Box]\nPath=/nowhere/by/file\n")
        let byFile = try Command(["metrics", "--once", "--config", conf.main])
        #expect(byFile.status == 75)
        #expect(byFile.errors.contains("/nowhere/by/file"))
        let byOption = try Command([
            "metrics", "--once", "--config", conf.main, "--box", "/nowhere/by/option",
        ])
        #expect(byOption.errors.contains("/nowhere/by/option"))
    }
}
