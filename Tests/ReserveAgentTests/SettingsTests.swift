// SPDX-License-Identifier: Apache-2.0

import CLinux
import CRecord
import Foundation
import Glibc
import ReserveKernel
import ReserveModel
import Testing

@testable import ReserveAgent

@Suite struct SettingsExchangeTests {
    private let descriptors: AgentSettings.Exchange
    private let page: OpaquePointer
    private let start = SettingsRecord.make(Policy(), RW_SETTINGS_STARTED)

    init() throws {
        descriptors = AgentSettings.Exchange(file: rw_exchange_file(), bell: rw_bell())
        page = try #require(rw_exchange_map(descriptors.file))
    }

    private func give(_ record: rw_times) {
        withUnsafeBytes(of: record) { rw_exchange_give(page, $0.baseAddress!, $0.count) }
    }

    /// What a turn tells; macros take nothing that cannot be copied.
    private func turn(_ exchange: inout SettingsExchange, at now: UInt64) -> rw_times? {
        exchange.turn(at: now)
    }

    private var longer: Policy {
        var policy = Policy()
        policy.criticalAfter = 9_000_000_000
        policy.summaryInterval = 7_000_000_000
        return policy
    }

    @Test func whatIsGivenIsTakenOnceAndHolds() throws {
        var exchange = try SettingsExchange(descriptors, holds: start)
        let told1 = turn(&exchange, at: 1)
        #expect(told1 == nil)
        exchange.ask(at: 1_000)
        #expect(rw_exchange_wait(page, descriptors.bell) == 1)
        let told2 = turn(&exchange, at: 2_000)
        #expect(told2 == nil)
        #expect(rw_exchange_is_taken(page) == 1)
        give(SettingsRecord.make(longer, RW_SETTINGS_TAKEN, waiting: 2))
        #expect(rw_exchange_is_taken(page) == 0)
        let told3 = turn(&exchange, at: 3_000)
        let taken = try #require(told3)
        #expect(rw_exchange_is_taken(page) == 1)
        #expect(taken.outcome == RW_SETTINGS_TAKEN.rawValue)
        #expect(taken.critical_after_ns == 9_000_000_000)
        #expect(taken.summary_interval_ns == 7_000_000_000)
        #expect(taken.waiting == 2)
        #expect(taken.asked == 1)
        #expect(taken.header.boot_ns == 3_000)
        let told4 = turn(&exchange, at: 4_000)
        #expect(told4 == nil)
    }

    @Test func whatIsRefusedLeavesWhatHolds() throws {
        var exchange = try SettingsExchange(descriptors, holds: start)
        exchange.ask(at: 1_000)
        give(SettingsRecord.make(longer, RW_SETTINGS_REFUSED, errors: 3))
        let told5 = turn(&exchange, at: 2_000)
        let refused = try #require(told5)
        #expect(refused.outcome == RW_SETTINGS_REFUSED.rawValue)
        #expect(refused.errors == 3)
        #expect(refused.critical_after_ns == Policy().criticalAfter)
        let holds = exchange.record.critical_after_ns
        #expect(holds == Policy().criticalAfter)
    }

    @Test func anAnswerThatIsMissingIsToldOnceAndTakenWhenItComes() throws {
        var exchange = try SettingsExchange(descriptors, holds: start)
        let second: UInt64 = 1_000_000_000
        exchange.ask(at: second)
        let told6 = turn(&exchange, at: 10 * second)
        #expect(told6 == nil)
        let told7 = turn(&exchange, at: 11 * second)
        let missing = try #require(told7)
        #expect(missing.outcome == RW_SETTINGS_UNANSWERED.rawValue)
        let told8 = turn(&exchange, at: 30 * second)
        #expect(told8 == nil)
        give(SettingsRecord.make(longer, RW_SETTINGS_TAKEN))
        let told9 = turn(&exchange, at: 31 * second)
        #expect(told9?.outcome == RW_SETTINGS_TAKEN.rawValue)
        let told10 = turn(&exchange, at: 60 * second)
        #expect(told10 == nil)
    }

    @Test func aMessageOfAnotherSizeIsNone() throws {
        var exchange = try SettingsExchange(descriptors, holds: start)
        rw_exchange_give(page, "x", 1)
        let told11 = turn(&exchange, at: 1)
        #expect(told11 == nil)
        #expect(rw_exchange_is_taken(page) == 1)
    }
}

@Suite struct ServiceManagerTests {
    private func environment(
        _ path: String?, watchdog: String? = nil, owner: String? = nil
    ) -> ServiceManager.Environment {
        ServiceManager.Environment(socket: path, watchdog: watchdog, owner: owner, process: 42)
    }

    @Test func theWatchdogIsOursOnlyWhereItSaysSo() {
        #expect(environment("/a", watchdog: "5000").watchdogMicroseconds == 5000)
        #expect(environment("/a", watchdog: "5000", owner: "42").watchdogMicroseconds == 5000)
        #expect(environment("/a", watchdog: "5000", owner: "43").watchdogMicroseconds == 0)
        #expect(environment("/a", watchdog: "soon").watchdogMicroseconds == 0)
        #expect(environment("/a", watchdog: "18446744073709551615").watchdogMicroseconds == 0)
        #expect(environment(nil).watchdogMicroseconds == 0)
    }

    @Test func whatIsNoSocketIsRefusedAndNothingIsNoManager() throws {
        for path in ["relative", "/nowhere/at/all", String(repeating: "/x", count: 100)] {
            do throws(WatchError) {
                _ = try ServiceManager(environment(path))
                Issue.record("taken: \(path)")
            } catch {
                #expect(error.sentence.contains(path))
            }
        }
        var isNone = true
        if let _ = try ServiceManager(environment(nil)) { isNone = false }
        #expect(isNone)
    }

    /// While the host is anything but calm, nobody may kill a watch whose datagrams are stuck.
    @Test func theWatchdogIsCalledOffInAStallAndSetAgainAfterIt() throws {
        let path = NSTemporaryDirectory() + "notify-\(UUID().uuidString)"
        let receiver = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        defer {
            close(receiver)
            unlink(path)
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(receiver, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)
        guard var manager = try ServiceManager(environment(path, watchdog: "8000000")) else {
            Issue.record("no manager")
            return
        }
        var picture = Picture()
        let second: UInt64 = 1_000_000_000
        var now = 100 * second
        for state in [HostState.calm, .calm, .deadlocked, .throttling, .calm] {
            picture.verdict.state = state
            manager.turn(picture, at: now)
            now += 2 * second
        }
        manager.finish(withinMilliseconds: 5000)
        var heard: [String] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while case let count = recv(receiver, &buffer, buffer.count, Int32(MSG_DONTWAIT)),
            count > 0
        {
            heard += String(decoding: buffer[..<count], as: UTF8.self).split(separator: "\n")
                .map(String.init)
        }
        #expect(
            heard == [
                "STATUS=host is calm", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG_USEC=0",
                "STATUS=host is deadlocked", "STATUS=host is throttling", "WATCHDOG_USEC=8000000",
                "STATUS=host is calm", "WATCHDOG=1",
            ])
    }
}

@Suite struct AdjustableTimeTests {
    @Test func everyUsualTimeIsOneThatMayBeSet() {
        for time in AdjustableTime.all {
            #expect(time.range.contains(Policy()[keyPath: time.field]), "\(time.word)")
        }
        #expect(Set(AdjustableTime.all.map(\.word)).count == AdjustableTime.all.count)
    }

    @Test func eachHasItsOwnPlaceInWordsAndInTheRecord() throws {
        var settings = AgentSettings()
        for (index, time) in AdjustableTime.all.enumerated() {
            settings.policy[keyPath: time.field] =
                time.range.lowerBound + UInt64(index + 1) * 1_000_000
        }
        #expect(try AgentSettings(words: settings.words) == settings)
        let record = SettingsRecord.make(settings.policy, RW_SETTINGS_STARTED)
        for time in AdjustableTime.all {
            #expect(record[keyPath: time.place] == settings.policy[keyPath: time.field])
        }
    }
}
