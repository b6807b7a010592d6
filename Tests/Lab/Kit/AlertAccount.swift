// SPDX-License-Identifier: Apache-2.0

/// One alert of the watch, as its line in the stream tells it.
public struct AlertLine: Equatable, Sendable {
    public var bootNanoseconds: Int
    public var level: String
    public var track: String
    public var incident: Int

    public init(bootNanoseconds: Int, level: String, track: String, incident: Int) {
        self.bootNanoseconds = bootNanoseconds
        self.level = level
        self.track = track
        self.incident = incident
    }

    /// A line of kind "alert"; nil of any other, and of one that lacks what we compare.
    public static func parse(_ line: [String: Any]) -> AlertLine? {
        guard line["kind"] as? String == "alert", let body = line["alert"] as? [String: Any],
            let since = line["boot_ns"] as? Int,
            let level = body["level"] as? String
        else { return nil }
        return AlertLine(
            bootNanoseconds: since, level: level, track: body["track"] as? String ?? "",
            incident: body["incident"] as? Int ?? -1)
    }
}

/// What was alerted, and when, held against when the kernel's own counters stood still.
public struct AlertAccount: Codable, Equatable, Sendable {
    /// Lines of each level: an update of an incident is one more.
    public var lines: [String: Int] = [:]
    /// Incidents that were ever at a level, by "track level".
    public var incidents: [String: Int] = [:]
    /// The longest time in which requests were in flight and none completed; the probe's.
    public var stallSeconds = 0.0
    /// From the last completion before it: to the first `critical`, by the guest's clock, and to
    /// its line's arrival outside, by the host's. Negative: one stood already.
    public var criticalAfterSeconds: Double?
    public var criticalArrivedAfterSeconds: Double?
    /// From the first completion after it to the `resolved` of that incident.
    public var resolvedAfterSeconds: Double?
    /// How long before the last completion a warning stood that still did, by track; negative
    /// where it came after.
    public var warningLeadSeconds: [String: Double] = [:]

    public init() {}

    public init(
        alerts: [AlertLine], stall: ProbeSample.Stall, arrivals: [Arrival] = [],
        hostLessBoot: Double? = nil
    ) {
        var told: Set<String> = []
        for alert in alerts {
            lines[alert.level, default: 0] += 1
            let name = "\(alert.track) \(alert.level)"
            if told.insert("\(name) \(alert.incident)").inserted {
                incidents[name, default: 0] += 1
            }
        }
        stallSeconds = stall.seconds
        guard stall.seconds > 0 else { return }
        let since = stall.sinceBootNanoseconds
        func after(_ alert: AlertLine) -> Double { Double(alert.bootNanoseconds - since) / 1e9 }
        // One that stands already, by a stop just before, is told no second time.
        let over = alerts.filter { $0.level == "resolved" && after($0) < 0 }
        let critical = alerts.first { alert in
            alert.level == "critical" && alert.bootNanoseconds <= stall.untilBootNanoseconds
                && !over.contains { $0.track == alert.track && $0.incident == alert.incident }
        }
        criticalAfterSeconds = critical.map(after)
        if let critical, let hostLessBoot {
            let begin = Double(since) / 1e9 + hostLessBoot
            let from = begin + min(0, after(critical))
            criticalArrivedAfterSeconds = arrivals.first {
                $0.seconds >= from && $0.text.contains("\"level\":\"critical\"")
            }.map { $0.seconds - begin }
        }
        if let critical, stall.hasEnded {
            resolvedAfterSeconds = alerts.first {
                $0.level == "resolved" && $0.incident == critical.incident
                    && $0.bootNanoseconds > critical.bootNanoseconds
            }.map { Double($0.bootNanoseconds - stall.untilBootNanoseconds) / 1e9 }
        }
        warningLeadSeconds = Self.leads(alerts, since: since, until: stall.untilBootNanoseconds)
    }

    /// The first critical of each incident that the kernel's own count contradicts: in the
    /// `seconds` before it a request of the swap completed, or none was in flight. Only the track
    /// `pressure` tells of a stop; a critical of another has nothing here that bears it out.
    public static func contradicted(
        _ alerts: [AlertLine], by samples: [ProbeSample], stoppedFor seconds: Double
    ) -> [AlertLine] {
        var told: Set<Int> = []
        return alerts.filter { alert in
            guard alert.level == "critical" else { return false }
            guard alert.track == "pressure" else { return true }
            guard told.insert(alert.incident).inserted else { return false }
            let before = samples.filter {
                $0.completed != nil && $0.bootNanoseconds <= alert.bootNanoseconds
            }
            guard let last = before.last, (last.inFlight ?? 0) > 0,
                let moved = before.last(where: { $0.completed != last.completed })
            else { return true }
            // What completed since that sample completed after it.
            return Double(alert.bootNanoseconds - moved.bootNanoseconds) / 1e9 < seconds
        }
    }

    private static func leads(_ alerts: [AlertLine], since: Int, until: Int) -> [String: Double] {
        var standing: [String: Int] = [:]
        for alert in alerts where alert.bootNanoseconds <= since {
            if alert.level == "resolved" {
                standing[alert.track] = nil
            } else if standing[alert.track] == nil {
                standing[alert.track] = alert.bootNanoseconds
            }
        }
        for alert in alerts
        where alert.level == "warning" && alert.bootNanoseconds > since
            && alert.bootNanoseconds <= until && standing[alert.track] == nil
        {
            standing[alert.track] = alert.bootNanoseconds
        }
        return standing.mapValues { Double(since - $0) / 1e9 }
    }
}

/// A line of a serial line, with the host's clock as it came in.
public struct Arrival: Equatable, Sendable {
    /// Of CLOCK_MONOTONIC.
    public var seconds: Double
    public var text: String

    public init(seconds: Double, text: String) {
        self.seconds = seconds
        self.text = text
    }

    /// How late the probe's locked child was at most between two moments of the host's clock, by
    /// its samples ("@ <ns> <worst> <since the last sample>"): milliseconds. One that came
    /// within a second after the end may tell of what was before it. nil where none came.
    public static func lateness(_ arrivals: [Arrival], from: Double, to: Double) -> Int? {
        arrivals.compactMap { arrival -> Int? in
            guard arrival.text.hasPrefix("@ "), arrival.seconds > from, arrival.seconds <= to + 1
            else { return nil }
            let words = arrival.text.split(separator: " ")
            return words.count >= 4 ? Int(words[3]) : nil
        }.max()
    }

    /// Host's clock less the guest's CLOCK_BOOTTIME, from the probe's samples ("@ <ns> ..."),
    /// whose least difference has the least delay in it; nil without one. The guest's clock
    /// drifts, so that only samples within `around` seconds of a moment are asked.
    public static func hostLessBoot(
        _ arrivals: [Arrival], near bootNanoseconds: Int, around: Double = 30
    ) -> Double? {
        let moment = Double(bootNanoseconds) / 1e9
        return arrivals.compactMap { arrival -> Double? in
            guard arrival.text.hasPrefix("@ ") else { return nil }
            let words = arrival.text.split(separator: " ")
            guard words.count >= 2, let boot = Int(words[1]) else { return nil }
            let seconds = Double(boot) / 1e9
            return abs(seconds - moment) <= around ? arrival.seconds - seconds : nil
        }.min()
    }
}
