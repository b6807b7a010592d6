// SPDX-License-Identifier: Apache-2.0

/// What the user may set about which events are worth telling. Times in nanoseconds.
public struct Policy: Sendable {
    /// Between two summaries.
    public var summaryInterval: UInt64 = 1_000_000_000
    /// Stays in direct reclaim that ended are told from this length on.
    public var directReclaimNotice: UInt64 = 100_000_000
    /// A stay or a request older than this is told as stalled, again at each doubling.
    public var stallNotice: UInt64 = 1_000_000_000
    /// How long free must stay above a mark before the zone counts as back above it.
    public var watermarkHold: UInt64 = 1_000_000_000

    public init() {}
}
