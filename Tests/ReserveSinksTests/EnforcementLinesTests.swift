// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import ReserveModel
@testable import ReserveSinks

private func text(_ words: String) -> FixedText {
    Array(words.utf8).withUnsafeBytes { FixedText(bytes: $0) }
}

private func act() -> Enforcement {
    var act = Enforcement()
    act.rule = text("kill-hog")
    act.serial = 7
    act.mode = .enforce
    act.verb = .kill
    act.outcome = .done
    act.reason = .rule
    act.choice = .largest
    act.target = text("/load")
    act.victim = TaskIdentity(tid: 190, tgid: 190, cgroupID: 0, comm: FixedName("dirtyload"))
    act.heldPages = 14210
    act.heldBootNanoseconds = 5
    act.freedPages = 14006
    act.freeBeforePages = 622
    act.freeAfterPages = 5773
    act.tookNanoseconds = 24_000_000
    return act
}

private func line(_ act: Enforcement, in picture: Picture = Picture()) -> String {
    var writer = ByteWriter(capacityBytes: 4096)
    writer.enforcementLine(act, picture: picture, pageKB: 4)
    return String(decoding: writer.bytes, as: UTF8.self)
}

private func json(_ act: Enforcement) throws -> [String: Any] {
    var lines = JSONLines()
    var text = ""
    lines.write(
        Notice(bootNanoseconds: 1, severity: .notice, body: .enforcement(act)), picture: Picture()
    ) { text = String(decoding: $0, as: UTF8.self) }
    let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
    return try #require(object?["enforce"] as? [String: Any])
}

@Suite struct EnforcementLinesTests {
    @Test func aKillSaysWhomWhyAndWhatCameFree() {
        #expect(
            line(act())
                == "rule kill-hog has killed dirtyload[190]; it held the most memory of its "
                + "own, 56840 kB; 56024 kB of it came free; free 2488 to 23092 kB in 24 ms")
    }

    /// Recordings are input.
    @Test func figuresAsLargeAsCanBeEndNothing() {
        var act = act()
        act.heldPages = .max
        act.freedPages = 1 << 63
        act.freeBeforePages = .max
        act.freeAfterPages = .max
        #expect(line(act).contains("free 18446744073709551615 to 18446744073709551615 kB"))
    }

    @Test func whatWasNotDoneSaysSo() {
        var would = act()
        would.outcome = .would
        would.mode = .observe
        #expect(line(would).hasPrefix("rule kill-hog would have killed dirtyload[190]"))
        #expect(!line(would).contains("came free"))
        var refused = act()
        refused.outcome = .refused
        refused.reason = .protected
        refused.victim = TaskIdentity(tid: 0, tgid: 0, cgroupID: 0, comm: FixedName())
        #expect(line(refused).hasPrefix("rule kill-hog may not have killed the largest of /load: "))
        var failed = act()
        failed.outcome = .failed
        failed.error = 1
        #expect(line(failed).contains("has NOT killed"))
        #expect(line(failed).contains("errno 1"))
    }

    @Test(
        arguments: [
            (EnforceRuleState.Spare.notWanted, nil, nil), (.ready, "ready", nil),
            (.missing(errno: 116), "missing", 116),
        ] as [(EnforceRuleState.Spare, String?, Int?)])
    func theSumsSayWhetherASpareConnectionIsReady(
        _ spare: EnforceRuleState.Spare, _ word: String?, _ error: Int?
    ) throws {
        var rule = EnforceRuleState()
        rule.name = text("rescue")
        rule.spare = spare
        var picture = Picture()
        picture.rules.append(rule)
        var writer = ByteWriter(capacityBytes: 4096)
        writer.byte(UInt8(ascii: "{"))
        writer.rules(picture)
        writer.byte(UInt8(ascii: "}"))
        let object = try JSONSerialization.jsonObject(with: Data(writer.bytes)) as? [String: Any]
        let told = try #require((object?["rules"] as? [[String: Any]])?.first)
        #expect(told["spare"] as? String == word)
        #expect(told["spare_error"] as? Int == error)
    }

    @Test func aConnectionThatWasPutInSaysSo() {
        var act = act()
        act.victim = TaskIdentity(tid: 0, tgid: 0, cgroupID: 0, comm: FixedName())
        act.target = text("nbd0")
        act.verb = .reconnect
        act.freeBeforePages = nil
        act.freedPages = nil
        #expect(line(act) == "rule kill-hog has given another connection to nbd0 in 24 ms")
        act.outcome = .refused
        act.reason = .noSpare
        #expect(line(act).contains("no other connection stands ready"))
    }

    @Test func aRescueSaysHowItEnded() {
        var rescue = act()
        rescue.verb = .rescue
        rescue.reason = .recovered
        #expect(line(rescue) == "rule kill-hog has rescued this host: requests complete again")
        rescue.outcome = .failed
        rescue.reason = .exhausted
        #expect(line(rescue).hasPrefix("rule kill-hog has NOT rescued this host: all that"))
    }

    @Test func whatIsUnknownIsAbsent() throws {
        var act = act()
        let whole = try json(act)
        #expect((whole["victim"] as? [String: Any])?["freed_pages"] as? Int == 14006)
        act.freedPages = nil
        act.freeBeforePages = nil
        act.heldPages = nil
        let part = try json(act)
        #expect((part["victim"] as? [String: Any])?["freed_pages"] == nil)
        #expect((part["victim"] as? [String: Any])?["held_pages"] == nil)
        #expect(part["free_before_pages"] == nil)
        #expect(part["processes"] == nil)
    }

    @Test func namesThatMeanHarmDoNone() throws {
        var act = act()
        act.rule = text("a\"},{\u{1b}]0;x")
        act.target = text("/\u{202e}\n\"")
        act.victim.comm = FixedName("\u{1b}[2J\"\\")
        #expect(try json(act)["rule"] as? String == "a\"},{\u{1b}]0;x")
        #expect(!line(act).contains("\u{1b}"))
        #expect(!line(act).contains("\n"))
    }

    @Test func everyWordOfTheSchemaIsThere() throws {
        let schema = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().path
        let text = try String(
            contentsOfFile: schema + "/docs/schema/events.schema.json", encoding: .utf8)
        for verb in EnforceVerb.allCases { #expect(text.contains("\"\(verb.word)\"")) }
        for reason in EnforceReason.allCases { #expect(text.contains("\"\(reason.word)\"")) }
        for outcome in EnforceOutcome.allCases { #expect(text.contains("\"\(outcome.word)\"")) }
        for choice in EnforceChoice.allCases { #expect(text.contains("\"\(choice.word)\"")) }
    }
}
