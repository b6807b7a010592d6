// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import ReserveModel
@testable import ReserveSinks

private func name(_ text: String) -> FixedName {
    Array(text.utf8).withUnsafeBytes { FixedName(bytes: $0) }
}

/// A picture as full of evidence as it can be, with names that mean harm.
private func picture(hostile: Bool) -> Picture {
    var picture = Picture()
    var host = HostFacts()
    host.pageSizeBytes = 4096
    host.host = Array((hostile ? "h\u{1b}[2J\"\n" : "lab").utf8)
        .withUnsafeBytes { FixedText(bytes: $0) }
    picture.host = host
    picture.nowBootNanoseconds = 90_000_000_000
    picture.verdict.state = .deadlocked
    picture.verdict.conditions = HostConditions(
        memory: .belowMin, progress: .stopped, actors: .none)
    var node = HostVerdict.Node()
    node.freePages = .max >> 20
    node.minPages = .max >> 20
    node.minWithoutBoostPages = 12345
    picture.verdict.evidence.node = node
    var device = HostVerdict.Device()
    device.disk = name(hostile ? "nbd\"\u{7}\\<" : "nbd0")
    device.inFlight = 128
    device.oldestNanoseconds = 50_000_000_000
    device.stoppedNanoseconds = 49_000_000_000
    device.failed = .max >> 12
    device.connections = 16
    device.liveConnections = 1
    device.silentNanoseconds = 49_000_000_000
    var path = NBDSample.Path()
    path.link = name(hostile ? "e\u{202e}th\u{0}" : "eth0")
    device.path = path
    picture.verdict.evidence.device = device
    picture.verdict.evidence.reclaimers = 1024
    picture.verdict.evidence.throttled = 1024
    picture.verdict.evidence.longestReclaimNanoseconds = 49_000_000_000
    picture.verdict.evidence.timeLeft = FreeTrend.Estimate(
        nanoseconds: 1_000_000_000, confidence: .high)
    for tid in 1...8 {
        picture.reclaimers.append(
            ReclaimStay(
                task: TaskIdentity(
                    tid: UInt32(tid), tgid: UInt32(tid), cgroupID: 5,
                    comm: name(hostile ? "\"},{\u{1b}]0;" : "mapload")),
                beganBootNanoseconds: 40_000_000_000, durationNanoseconds: 0, reclaimedPages: 0,
                gfpFlags: 0, order: 0))
    }
    picture.cgroups.append(
        Picture.CgroupName(
            id: 5,
            path: Array(("/" + String(repeating: hostile ? "\"\u{1b}" : "deep/", count: 24)).utf8)
                .withUnsafeBytes { FixedText(bytes: $0) }))
    return picture
}

private func alert(_ level: Alert.Level, _ track: Alert.Track = .pressure) -> Notice {
    var findings = Alert.Findings()
    findings.lostWire = .cannotTell
    findings.deadReceivePath = .confirmed
    findings.silentServer = .cannotTell
    return Notice(
        bootNanoseconds: 90_000_000_000, severity: .critical,
        body: .alert(
            Alert(
                track: track, level: level, incident: 4_000_000_000, peak: .critical,
                sinceBootNanoseconds: 40_000_000_000, told: 900, reasons: [.deadlocked, .stopped],
                findings: findings)))
}

@Suite struct AlertLinesTests {
    private func text(_ bytes: UnsafeRawBufferPointer) -> String {
        String(decoding: bytes, as: UTF8.self)
    }

    @Test(arguments: [false, true])
    func everyShapeIsOneWholeLine(hostile: Bool) throws {
        var lines = AlertLines()
        for level in Alert.Level.allCases {
            for track in Alert.Track.allCases {
                lines.write(alert(level, track), picture: picture(hostile: hostile))
                for isJSON in [false, true] {
                    for line in [
                        text(lines.line(isJSON: isJSON)), text(lines.kmsg(isJSON: isJSON)),
                    ] {
                        #expect(line.hasSuffix("\n"))
                        #expect(line.dropLast().allSatisfy { !$0.isNewline })
                        let isControl = { (scalar: Unicode.Scalar) in
                            scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
                                || (0x202a...0x202e).contains(scalar.value)
                        }
                        #expect(!line.dropLast().unicodeScalars.contains(where: isControl))
                    }
                }
                let object = try JSONSerialization.jsonObject(
                    with: Data(text(lines.line(isJSON: true)).utf8))
                #expect((object as? [String: Any])?["kind"] as? String == "alert")
            }
        }
    }

    /// 1024 bytes less a prefix of 48: what kmsg takes on 6.1.
    @Test func kmsgGetsNoLineThatItWouldRefuse() throws {
        var lines = AlertLines()
        for hostile in [false, true] {
            for level in Alert.Level.allCases {
                lines.write(alert(level), picture: picture(hostile: hostile))
                #expect(lines.kmsg(isJSON: false).count <= 976)
                #expect(lines.kmsg(isJSON: true).count <= 976)
                let json = text(lines.kmsg(isJSON: true))
                let start = try #require(json.firstIndex(of: "{"))
                let object = try JSONSerialization.jsonObject(with: Data(json[start...].utf8))
                #expect((object as? [String: Any])?["kind"] as? String == "alert")
            }
        }
    }

    @Test func kmsgIsToldTheLevelInItsOwnWay() {
        var lines = AlertLines()
        for (level, prefix) in [
            (Alert.Level.critical, "<2>reservewatch: CRITICAL"),
            (.warning, "<4>reservewatch: WARNING"), (.resolved, "<5>reservewatch: RESOLVED"),
        ] {
            lines.write(alert(level), picture: picture(hostile: false))
            #expect(text(lines.kmsg(isJSON: false)).hasPrefix(prefix))
        }
    }

    @Test func aServerOnTheHostAloneIsToldWithoutASeparatorBeforeIt() {
        var host = picture(hostile: false)
        host.exposure = Exposure()
        var lines = AlertLines()
        lines.write(
            Notice(
                bootNanoseconds: 90_000_000_000, severity: .warning,
                body: .alert(
                    Alert(
                        track: .exposure, level: .warning, incident: 1, peak: .warning,
                        sinceBootNanoseconds: 90_000_000_000, told: 0, reasons: [.localServer],
                        findings: Alert.Findings()))), picture: host)
        #expect(
            text(lines.line(isJSON: false)).contains(
                "WARNING exposure #1: the swap's server is on this host"))
    }

    @Test func theLineSaysWhatWasFoundAndWhatToDo() {
        var lines = AlertLines()
        lines.write(alert(.critical), picture: picture(hostile: false))
        let line = text(lines.line(isJSON: false))
        for words in [
            "CRITICAL pressure #4000000000", "host is deadlocked (deadlocked, stopped)",
            "nbd0 128 in flight, oldest 50.0 s", "none completed for 49.0 s",
            "1 of 16 connections left", "gone in 1.0 s (high confidence)",
            "1024 in direct reclaim", "lost wire: cannot tell", "dead receive path: yes",
            "waiting: mapload[1]", "do: nothing on this host ends it",
        ] {
            #expect(line.contains(words), "\(words) not in \(line)")
        }
    }
}
