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
        guard arrivals.contains(where: { $0 <= to }), from < to else { return nil }
        let within = arrivals.filter { $0 > from && $0 <= to }
        let times = [from] + within + [to]
        let gaps = zip(times, times.dropFirst()).map { (length: $1 - $0, since: $0) }
        let worst = gaps.max { $0.length < $1.length } ?? (0, from)
        let usual = gaps.map(\.length).sorted()[gaps.count / 2]
        return Beat(
            count: within.count, usualGapMilliseconds: Int((usual * 1000).rounded()),
            worstGapMilliseconds: Int((worst.length * 1000).rounded()),
            worstGapAtSeconds: ((worst.since - from) * 10).rounded() / 10)
    }
}
