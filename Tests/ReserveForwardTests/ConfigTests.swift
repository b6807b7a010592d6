// SPDX-License-Identifier: Apache-2.0

import Foundation
import ReserveConfig
import Testing

@testable import ReserveForward

@Suite struct ForwardConfigTests {
    private func read(_ text: String) -> Configuration {
        Configuration(
            [ConfigText(Array(text.utf8), file: "x.conf")],
            schema: ConfigSchema(ForwardConfig.sections))
    }

    private func problems(_ text: String) -> [String] { read(text).problems.map(\.sentence) }

    @Test func whatTheFilesSayIsWhatForwardIsTold() throws {
        let configuration = read(
            """
            [Forward]
            QueueMaxBytes=1M
            QueueMaxAge=1d
            [Destination am]
            Type=alertmanager
            URL=https://am-1:9093
            URL=https://am-2:9093/x=y
            Label=cluster=eu west
            Resend=90s
            """)
        #expect(configuration.problems.isEmpty)
        let settings = ForwardSettings(configuration)
        #expect(settings.queueMaxBytes == 1 << 20)
        #expect(settings.queueMaxNanoseconds == 86_400_000_000_000)
        let destination = settings.destinations[0]
        #expect(destination.urls == ["https://am-1:9093", "https://am-2:9093/x=y"])
        #expect(destination.labels[0] == ("cluster", "eu west"))
        #expect(destination.standing.resendNanoseconds == 90 * Sample.second)
        // And the same after it was handed over.
        var handed = try ForwardSettings(words: settings.words)
        handed.lookMilliseconds = settings.lookMilliseconds
        handed.statusMilliseconds = settings.statusMilliseconds
        #expect(handed == settings)
    }

    @Test func aProblemHasItsPlace() {
        #expect(
            problems("[Destination am]\nType=pigeon\nURL=http://a\n")
                == [
                    "x.conf:2: error: [Destination am] Type=pigeon: \"pigeon\" is none of alertmanager, webhook, command, syslog, journal, otlp"
                ])
        #expect(problems("[Destination am]\nURL=http://a\n").first?.hasPrefix("x.conf:1: ") == true)
        #expect(problems("[Destination a.b]\nType=alertmanager\nURL=http://a\n").count == 1)
        #expect(problems("[Forward]\nQueueMaxBytes=1K\n").count == 1)
        #expect(problems("[Destination am]\nType=alertmanager\nURLs=http://a\n").count == 2)
    }

    @Test func everyKeyOfADestinationIsTaken() {
        for key in DestinationSettings.keys {
            var trial = DestinationSettings(name: "x")
            let reason = trial.set(key.name, "https://a")
            #expect(reason?.contains("no such setting") != true, "\(key.name)")
        }
    }
}
