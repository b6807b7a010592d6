// SPDX-License-Identifier: Apache-2.0

/// Where free memory is heading: a straight line through its last samples.
///
/// Least squares over at most 20 samples, always in the same order, so that a replay
/// computes the same.
public struct FreeTrend: Sendable {
    /// How well the line fits: the share of the movement that it explains.
    public enum Confidence: UInt8, Sendable, CaseIterable {
        /// Half to three quarters.
        case low
        /// Three quarters to nine tenths.
        case medium
        case high
    }

    public struct Estimate: Sendable, Equatable {
        /// Until nothing would be free if it went on like this.
        public var nanoseconds: UInt64
        public var confidence: Confidence
    }

    private struct Sample: Sendable {
        var bootNanoseconds: UInt64
        var freePages: UInt64
    }

    private var samples = BoundedList<Sample>(capacity: 20)
    private static let fewest = 8
    /// Older samples say nothing about the present: 20 of them at ten a second.
    private static let windowNanoseconds: UInt64 = 2_500_000_000
    /// A trend that leads further than this is none.
    private static let farthestNanoseconds: UInt64 = 600_000_000_000

    public init() {}

    public mutating func add(freePages: UInt64, at bootNanoseconds: UInt64) {
        while samples.count > 0,
            samples.count == samples.capacity
                || bootNanoseconds &- samples[0].bootNanoseconds > Self.windowNanoseconds
        {
            samples.remove(at: 0)
        }
        samples.append(Sample(bootNanoseconds: bootNanoseconds, freePages: freePages))
    }

    /// The time left; nil: not falling, too few samples, or no straight line.
    public var timeLeft: Estimate? {
        guard samples.count >= Self.fewest else { return nil }
        let count = Double(samples.count)
        var meanX = 0.0
        var meanY = 0.0
        for index in samples.indices {
            meanX += milliseconds(index) / count
            meanY += Double(samples[index].freePages) / count
        }
        var xx = 0.0
        var xy = 0.0
        var yy = 0.0
        for index in samples.indices {
            let x = milliseconds(index) - meanX
            let y = Double(samples[index].freePages) - meanY
            xx += x * x
            xy += x * y
            yy += y * y
        }
        guard xx > 0, yy > 0, xy < 0 else { return nil }
        let fit = xy / xx * (xy / yy)
        guard fit >= 0.5 else { return nil }
        let free = Double(samples[samples.count - 1].freePages)
        let left = free / (-xy / xx) * 1_000_000
        guard left < Double(Self.farthestNanoseconds) else { return nil }
        return Estimate(
            nanoseconds: UInt64(left),
            confidence: fit >= 0.9 ? .high : fit >= 0.75 ? .medium : .low)
    }

    private func milliseconds(_ index: Int) -> Double {
        Double(samples[index].bootNanoseconds &- samples[0].bootNanoseconds) / 1_000_000
    }
}
