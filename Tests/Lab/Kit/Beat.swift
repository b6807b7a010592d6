// SPDX-License-Identifier: Apache-2.0

/// The beat of one process of the guest, as it came in outside of it, by the host's clock.
public struct Beat: Codable, Equatable, Sendable {
    /// Beats that came while it was looked at.
    public var count: Int
    /// The middle one of all gaps: what it does when nothing is wrong.
    public var usualGapMilliseconds: Int
    public var worstGapMilliseconds: Int
    /// When the worst gap began: seconds after the load's start.
    public var worstGapAtSeconds: Double

    /// - Parameters:
    ///   - arrivals: seconds of the host's clock, in order.
    ///   - from: when the load began; a gap that reaches over it counts from there.
    ///   - to: the end. One that has fallen silent has a gap until then.
    /// - Returns: nil when it never beat until `to`: unknown, and not zero.
    public static func of(_ arrivals: [Double], from: Double, to: Double) -> Beat? {
        of(arrivals.map { ($0, nil) }, from: from, to: to)
    }

    /// Without what the lines were late by: between two beats that tell their own time ("B
    /// <CLOCK_BOOTTIME ns>") passed no more than they tell. The rest is the serial line's, or the
    /// guest's clock stood still.
    public static func stamped(_ arrivals: [Arrival], from: Double, to: Double) -> Beat? {
        let beats = arrivals.map { arrival -> (seconds: Double, stamp: Double?) in
            let words = arrival.text.split(separator: " ")
            let stamp = words.count == 2 && words[0] == "B" ? Double(words[1]) : nil
            return (arrival.seconds, stamp.map { $0 / 1e9 })
        }
        return of(beats, from: from, to: to)
    }

    private static func of(
        _ beats: [(seconds: Double, stamp: Double?)], from: Double, to: Double
    ) -> Beat? {
        guard beats.contains(where: { $0.seconds <= to }), from < to else { return nil }
        let within = beats.filter { $0.seconds > from && $0.seconds <= to }
        let times = [(seconds: from, stamp: nil)] + within + [(seconds: to, stamp: nil)]
        let gaps = zip(times, times.dropFirst()).map { before, after in
            var length = after.seconds - before.seconds
            if let began = before.stamp, let ended = after.stamp {
                length = min(length, ended - began)
            }
            return (length: length, since: before.seconds)
        }
        let worst = gaps.max { $0.length < $1.length } ?? (0, from)
        let usual = gaps.map(\.length).sorted()[gaps.count / 2]
        return Beat(
            count: within.count, usualGapMilliseconds: Int((usual * 1000).rounded()),
            worstGapMilliseconds: Int((worst.length * 1000).rounded()),
            worstGapAtSeconds: ((worst.since - from) * 10).rounded() / 10)
    }
}
