// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import ReserveModel
@testable import ReserveSinks

@Suite struct GuardLinesTests {
    private func task(_ tid: UInt32, _ comm: String) -> TaskIdentity {
        let name = Array(comm.utf8).withUnsafeBytes { FixedName(bytes: $0) }
        return TaskIdentity(tid: tid, tgid: tid, cgroupID: 0, comm: name)
    }

    private func attempt(
        _ action: GuardAttempt.Action, _ result: GuardAttempt.Result,
        _ reason: GuardAttempt.Reason, _ way: GuardAttempt.Way = .none, comm: String = "pkill"
    ) -> GuardAttempt {
        let hasTarget = action != .swapoff && action != .disconnect
        var attempt = GuardAttempt(
            task: task(812, comm), target: hasTarget ? task(190, "nbd-client") : nil,
            action: action, result: result, reason: reason, way: way)
        attempt.signal = action == .signal ? 9 : 0
        attempt.role = GuardRole(rawValue: hasTarget ? 2 : 0)
        attempt.disk = FixedName("nbd0")
        attempt.major = action == .swapoff ? 253 : 0
        attempt.minor = action == .swapoff ? 1 : 0
        return attempt
    }

    private func text(_ attempt: GuardAttempt) -> String {
        var writer = ByteWriter(capacityBytes: 4096)
        writer.guardLine(attempt, picture: Picture())
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    @Test func aLineSaysWhoTriedWhatAtWhomAndWhatCameOfIt() {
        #expect(
            text(attempt(.signal, .refused, .byRule))
                == "guard: pkill[812] (uid 0) sends SIGKILL to nbd-client[190], client of nbd0: refused"
        )
        #expect(
            text(attempt(.trace, .allowed, .observing, .proc))
                == "guard: pkill[812] (uid 0) reaches by /proc into nbd-client[190], client of nbd0: "
                + "allowed, for the rule only observes")
        #expect(
            text(attempt(.signal, .allowed, .noHook, .kernel))
                == "guard: the kernel sends SIGKILL to nbd-client[190], client of nbd0, at the hand "
                + "of pkill[812] (uid 0): allowed, for nothing in the kernel refuses it")
        #expect(
            text(attempt(.swapoff, .excepted, .byCgroup))
                == "guard: pkill[812] (uid 0) switches off the swap 253:1 on nbd0: excepted by its cgroup"
        )
        #expect(
            text(attempt(.disconnect, .refused, .byRule, .netlink))
                == "guard: pkill[812] (uid 0) disconnects nbd0, which carries swap, by netlink: refused"
        )
    }

    private func json(_ body: (inout ByteWriter) -> Void) throws -> [String: Any] {
        var writer = ByteWriter(capacityBytes: 8192)
        writer.byte(UInt8(ascii: "{"))
        body(&writer)
        writer.byte(UInt8(ascii: "}"))
        let object = try JSONSerialization.jsonObject(with: Data(writer.bytes))
        return try #require(object as? [String: Any])
    }

    @Test func hostileNamesCannotLeaveTheirQuotes() throws {
        let name = "a\"},{\u{1b}[2J"
        let line = try json { writer in
            writer.guardAttempt(
                attempt(.signal, .allowed, .observing, comm: name), picture: Picture())
        }
        let by = try #require(line["by"] as? [String: Any])
        #expect(by["comm"] as? String == name)
        #expect(by["uid"] as? Int == 0)
        #expect(line["signal_name"] as? String == "SIGKILL")
        let target = try #require(line["target"] as? [String: Any])
        #expect(target["roles"] as? [String] == ["client"])
        #expect(!text(attempt(.signal, .allowed, .observing, comm: name)).contains("\u{1b}"))
    }

    @Test func aSwapoffHasNoTargetAndASignalNoDevice() throws {
        let swapoff = try json { writer in
            writer.guardAttempt(attempt(.swapoff, .refused, .byRule), picture: Picture())
        }
        #expect(swapoff["target"] == nil && swapoff["signal"] == nil)
        #expect(swapoff["major"] as? Int == 253 && swapoff["minor"] as? Int == 1)
        let signal = try json { writer in
            writer.guardAttempt(attempt(.signal, .refused, .byRule), picture: Picture())
        }
        #expect(signal["major"] == nil)
    }

    @Test func whatTheAgentIsFoundWithIsNotToldAsItsState() throws {
        var process = GuardedProcess(
            task: task(1, "reservewatch-ag"), role: GuardRole(rawValue: 1))
        let agent = try json {
            $0.guarded(process, hasEnded: false, picture: Picture())
        }
        #expect(agent["phase"] as? String == "guarded" && agent["oom_score_adj"] == nil)
        process.role = GuardRole(rawValue: 2)
        process.disk = FixedName("nbd0")
        let client = try json {
            $0.guarded(process, hasEnded: true, picture: Picture())
        }
        #expect(client["phase"] as? String == "released")
        #expect(client["locked_pages"] as? Int == 0)
        var writer = ByteWriter(capacityBytes: 1024)
        writer.guardedLine(process, hasEnded: false, picture: Picture())
        #expect(
            String(decoding: writer.bytes, as: UTF8.self)
                == "guard: watches over reservewatch-ag[1], client of nbd0; the OOM killer may take "
                + "it (oom_score_adj 0); nothing of it is locked")
    }

    @Test func anActionThatIsNotObservedHasNoSeries() {
        var picture = Picture()
        picture.host = HostFacts()
        var counters = CounterTotals()
        var counts = CounterTotals.GuardCounts()
        counts.refused = 3
        counters.guardTotals.signals = counts
        picture.counters = counters
        let page = MetricsPage(
            .text, picture: picture, reader: ReaderFacts(), metrics: MetricsRegistry.guardMetrics)
        let lines = String(decoding: page.bytes, as: UTF8.self).split(separator: "\n")
        #expect(
            lines.contains(
                "reservewatch_guard_attempts_total{action=\"signal\",result=\"refused\"} 3"))
        #expect(!lines.contains { $0.contains("swapoff\"") })
    }
}
