// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What a Prometheus outside the guest has of it: every sample of every series, with the time of
/// its scrape, as `promtool query instant -o json URL 'SELECTOR[RANGE]'` writes them.
public struct Scrapes: Sendable {
    public struct Series: Equatable, Sendable {
        public var name: String
        public var labels: [String: String]
        /// In the order of time, one for each scrape that had it: seconds of the Unix time.
        public var samples: [(seconds: Double, value: Double)]

        public static func == (one: Series, other: Series) -> Bool {
            one.name == other.name && one.labels == other.labels
                && one.samples.elementsEqual(other.samples, by: ==)
        }
    }

    public let series: [Series]

    /// nil: it is no such answer.
    public init?(json: Data) {
        guard let answer = (try? JSONSerialization.jsonObject(with: json)) as? [[String: Any]]
        else { return nil }
        var series: [Series] = []
        for each in answer {
            guard var labels = each["metric"] as? [String: String],
                let pairs = each["values"] as? [[Any]]
            else { return nil }
            let name = labels.removeValue(forKey: "__name__") ?? ""
            var samples: [(seconds: Double, value: Double)] = []
            for pair in pairs {
                guard pair.count == 2, let seconds = pair[0] as? Double,
                    let value = (pair[1] as? String).flatMap(Double.init)
                else { return nil }
                samples.append((seconds, value))
            }
            series.append(Series(name: name, labels: labels, samples: samples))
        }
        self.series = series
    }

    /// Times of all scrapes, and whether each was answered: the series `up`.
    public var scrapes: [(seconds: Double, isGood: Bool)] {
        series.first { $0.name == "up" }?.samples.map { ($0.seconds, $0.value == 1) } ?? []
    }

    public var good: [Double] { scrapes.filter(\.isGood).map(\.seconds) }

    /// The value that a scrape brought; nil: it was not on that page. `labels` are those that
    /// tell the series from others of its name.
    public func value(_ name: String, _ labels: [String: String] = [:], at seconds: Double)
        -> Double?
    {
        series.first { each in
            each.name == name && labels.allSatisfy { each.labels[$0.key] == $0.value }
        }?.samples.first { abs($0.seconds - seconds) < 0.001 }?.value
    }

    /// The greatest value that any scrape brought.
    public func most(_ name: String) -> Double? {
        series.filter { $0.name == name }.flatMap(\.samples).map(\.value).max()
    }
}

/// The summaries between which a scraped page lies: by the beats of the agent's loop, which
/// both name.
public struct SummaryBracket {
    /// The last one that is not later than the page, and the first that is not earlier.
    public var before: [String: Any]
    public var after: [String: Any]
    /// The first that is later: a page has records that came after its totals.
    public var later: [String: Any]

    public init?(_ summaries: [[String: Any]], beats: Int) {
        func beatsOf(_ summary: [String: Any]) -> Int? {
            (summary["agent"] as? [String: Any])?["beats"] as? Int
        }
        guard let before = summaries.last(where: { (beatsOf($0) ?? .max) <= beats }),
            let after = summaries.first(where: { (beatsOf($0) ?? 0) >= beats })
        else { return nil }
        self.before = before
        self.after = after
        later = summaries.first { (beatsOf($0) ?? 0) > beats } ?? after
    }

    /// The figure at `path` ("direct_reclaim.begun", "nbd.0.issued") in one of them.
    public static func figure(_ path: String, in summary: [String: Any]) -> Int? {
        var here: Any? = summary
        for word in path.split(separator: ".") {
            if let index = Int(word) {
                let list = here as? [Any]
                here = list.flatMap { index < $0.count ? $0[index] : nil }
            } else {
                here = (here as? [String: Any])?[String(word)]
            }
        }
        return here as? Int ?? (here as? String).flatMap { Int($0) }
    }

    /// Least and most that the figure was while the page was made. `goesOn`: it may be later
    /// than the page's totals.
    public func range(_ path: String, goesOn: Bool = false) -> (low: Int, high: Int)? {
        guard let first = Self.figure(path, in: before),
            let last = Self.figure(path, in: goesOn ? later : after)
        else { return nil }
        return (min(first, last), max(first, last))
    }
}
