// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import ReserveModel
@testable import ReserveSinks

@Suite struct ForwardMetricsTests {
    private func status() -> ForwardStatus {
        var status = ForwardStatus()
        status.writtenBootNanoseconds = 77
        status.bootID = "boot"
        status.isFollowing = true
        status.queueBytes = 1024
        status.missedLines = 2
        var destination = ForwardStatus.Destination()
        destination.name = "am"
        destination.endpoint = "127.0.0.1:9093"
        destination.queued = 3
        destination.oldestNanoseconds = 1_500_000_000
        destination.sent = 12
        destination.lastSuccess = 1_795_590_000_250_000_000
        destination.failed = [.timeout: 4]
        destination.dropped = [.room: 5]
        var other = ForwardStatus.Destination()
        other.name = "am"
        other.endpoint = "[::1]:9093"
        status.destinations = [destination, other]
        return status
    }

    private func page(_ status: ForwardStatus?, age: UInt64?) -> String {
        var facts = ReaderFacts()
        facts.forward = status
        facts.forwardAgeNanoseconds = age
        let page = MetricsPage(
            .text, picture: nil, reader: facts, metrics: MetricsRegistry.forwardMetrics)
        return String(decoding: page.bytes, as: UTF8.self)
    }

    @Test func whatForwardWritesIsRead() throws {
        let read = try #require(ForwardStatus(String(decoding: status().bytes, as: UTF8.self)))
        var wanted = status()
        for index in wanted.destinations.indices {
            for cause in FailureCause.allCases
            where wanted.destinations[index].failed[cause] == nil {
                wanted.destinations[index].failed[cause] = 0
            }
            for cause in DropCause.allCases
            where wanted.destinations[index].dropped[cause] == nil {
                wanted.destinations[index].dropped[cause] = 0
            }
        }
        #expect(read == wanted)
    }

    @Test func eachDestinationHasItsSeries() {
        let page = page(status(), age: 2_000_000_000)
        let am = "{destination=\"am\",endpoint=\"127.0.0.1:9093\""
        for line in [
            "reservewatch_forward_up 1", "reservewatch_forward_status_age_seconds 2",
            "reservewatch_forward_following 1",
            "reservewatch_forward_queue_bytes 1024",
            "reservewatch_forward_queued_alerts\(am)} 3",
            "reservewatch_forward_oldest_waiting_seconds\(am)} 1.5",
            "reservewatch_forward_sent_alerts_total\(am)} 12",
            "reservewatch_forward_last_success_timestamp_seconds\(am)} 1795590000.25",
            "reservewatch_forward_failed_attempts_total\(am),cause=\"timeout\"} 4",
            "reservewatch_forward_failed_attempts_total\(am),cause=\"untrusted\"} 0",
            "reservewatch_forward_dropped_alerts_total\(am),cause=\"room\"} 5",
        ] {
            #expect(page.contains("\n\(line)\n"), "\(line) in \(page)")
        }
        let other = "{destination=\"am\",endpoint=\"[::1]:9093\""
        #expect(page.contains("sent_alerts_total\(other)} 0\n"))
        #expect(!page.contains("last_success_timestamp_seconds\(other)"), "it never had any")
    }

    @Test func whatIsStaleSaysNothingButThatItIs() {
        let old = page(status(), age: 31_000_000_000)
        #expect(old.contains("reservewatch_forward_up 0\n"))
        #expect(!old.contains("sent_alerts") && !old.contains("queue_bytes"))
        #expect(!page(nil, age: nil).contains("reservewatch_forward"))
    }

    @Test(arguments: [
        "", "forward=2\n", "forward=1\n", "forward=1\nnonsense", "forward=1\nwritten_boot_ns=x\n",
        "forward=1\nwritten_boot_ns=1\n" + String(repeating: "destination=a\n", count: 65),
    ])
    func whatIsNoStatusIsNone(text: String) {
        #expect(ForwardStatus(text) == nil)
    }

    @Test func aHostileStatusMakesNoSeriesOfItsOwn() throws {
        let text =
            "forward=1\nwritten_boot_ns=1\ndestination=a\"} 1\nendpoint=\u{1b}[2J\\\n"
            + "failed.invented=7\nsent=-1\ndropped.room.x=3\n"
        let status = try #require(ForwardStatus(text))
        let page = page(status, age: 1)
        #expect(
            page.contains(
                "sent_alerts_total{destination=\"a\\\"} 1\",endpoint=\"\u{fffd}[2J\\\\\"} 0"))
        #expect(!page.contains("invented"))
    }
}
