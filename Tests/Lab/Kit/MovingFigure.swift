// SPDX-License-Identifier: Apache-2.0

/// A figure of the kernel that goes up and down, read twice around the agent's start and twice around
/// its end: the slabs of a cache.
public struct MovingFigure {
    private let starts: ClosedRange<Int>
    private let ends: [Int]

    /// Two readings around the start, two around the end.
    public init(starts: [Int], ends: [Int]) {
        self.starts = min(starts[0], starts[1])...max(starts[0], starts[1])
        self.ends = ends
    }

    /// The agent's end lies between the kernel's two last readings, and between them the figure may
    /// have been beside both. Where the agent's last one is, what it told right before and after the
    /// first of them (`then`) is held against that one alone.
    ///
    /// - Returns: the first of `then` that agrees; nil: none does, or the last one needs none.
    public func agreeing(_ then: [Int], last: Int?) -> Int? {
        guard let last else { return nil }
        let bracket =
            min(ends[0], ends[1]) - starts.upperBound...max(ends[0], ends[1]) - starts.lowerBound
        if bracket.contains(last) { return nil }
        let first = ends[0] - starts.upperBound...ends[0] - starts.lowerBound
        return then.first(where: first.contains)
    }
}
