// SPDX-License-Identifier: Apache-2.0

import ReserveModel
import ReservePolicy
import Testing

@testable import ReserveAgent

@Suite struct AgentSettingsTests {
    /// Every key that a rule has, and what holds for all.
    private var rules: RuleSet {
        var rescue = Rule(name: "rescue", action: .rescue, target: .unit("batch.slice"))
        rescue.mode = .enforce
        rescue.states = [HostStates(.deadlocked)]
        rescue.holdNanoseconds = 5_000_000_000
        rescue.endsConnection = true
        rescue.limits.victims = 2
        var kill = Rule(name: "kill.one", action: .kill, target: .largestIn(.cgroup("/a.b/c")))
        kill.states = [HostStates(.stalling), HostStates(.deadlocked)]
        kill.seen = [EvidenceSet(.tasksWait)]
        kill.ruledOut = [EvidenceSet(.lostWire)]
        kill.holdNanoseconds = 4_000_000_000
        var set = RuleSet()
        set.rules = [rescue, kill]
        set.ceiling = .observe
        set.protected = ["postgres", "/usr/bin/a=b", "cgroup:/keep"]
        return set
    }

    @Test func wordsGiveTheSettingsThatTheyWereMadeOf() throws {
        var settings = AgentSettings()
        settings.box = .descriptor(7)
        settings.boxRingKiB = 128
        settings.group = 42
        settings.alertsTo = ["kmsg", "/dev/ttyS1", "/a path=with all"]
        settings.alertFormat = .json
        settings.eventsTo = "/dev/ttyS2"
        settings.eventsFormat = .text
        settings.recordTo = "/dev/ttyS3"
        settings.beatTo = "/dev/ttyS4"
        settings.intervalMilliseconds = 250
        settings.samplePeriodMilliseconds = 5
        settings.slowMilliseconds = 20
        settings.ringKiB = 64
        settings.armed = [.slab, .skbs]
        settings.realTimePriority = 0
        settings.parent = 99
        settings.guardRules.processes = .enforce
        settings.guardRules.swapoff = .off
        settings.guardRules.exceptions = ["/system.slice/a=b.service", "/admin"]
        settings.exchange = AgentSettings.Exchange(file: 5, bell: 6)
        settings.policy.criticalAfter = 3_000_000_000
        settings.rules = rules
        #expect(try AgentSettings(words: settings.words) == settings)
        #expect(try AgentSettings(words: AgentSettings().words) == AgentSettings())
    }

    @Test(arguments: [
        "nonsense", "nonsense=1", "ring_kib=3", "ring_kib=100000", "box_ring_kib=65",
        "box_ring_kib=32", "interval_ms=0", "sample_period_ms=x", "slow_ms=10001", "arm=weather",
        "guard=yes", "guard_swapoff=", "guard_except=/", "guard_except=nbd.service",
        "alert_format=xml", "box_descriptor=1", "group=adm", "parent=0", "priority=100",
        "exchange=5", "exchange=1,2", "alert_hold_ms=100",
        "rule=a;Mode=enforce", "policy=Mode=much", "rule=b;Action=kill;Target=/a;When=calm",
    ])
    func whatIsNoSettingIsRefusedByName(word: String) {
        do throws(AgentSettings.Problem) {
            _ = try AgentSettings(words: [word])
            Issue.record("taken: \(word)")
        } catch {
            #expect(error.word == word)
            #expect(!error.reason.isEmpty)
        }
    }

    @Test func moreSinksThanThreadsAreRefused() {
        #expect(throws: AgentSettings.Problem.self) {
            _ = try AgentSettings(words: Array(repeating: "alert_to=stdout", count: 5))
        }
    }
}
