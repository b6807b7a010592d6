// SPDX-License-Identifier: Apache-2.0

/// What the user may set about which events are worth telling. Times in nanoseconds.
public struct Policy: Sendable, Equatable {
    /// Between two summaries.
    public var summaryInterval: UInt64 = 1_000_000_000
    /// Stays in direct reclaim that ended are told from this length on.
    public var directReclaimNotice: UInt64 = 100_000_000
    /// A stay or a request older than this is told as stalled, again at each doubling.
    public var stallNotice: UInt64 = 1_000_000_000
    /// How long free must stay above a mark before the zone counts as back above it.
    public var watermarkHold: UInt64 = 1_000_000_000

    // The state and the alerts; docs/verdict.md has the runs behind each figure.

    /// How long something better must be seen before the state follows.
    public var stateHold: UInt64 = 2_000_000_000
    /// Requests in flight and none completed for so long, with tasks that wait: stopped.
    public var stallAfter: UInt64 = 500_000_000
    /// From here on a stop is critical.
    public var criticalAfter: UInt64 = 1_200_000_000
    /// Nothing received for so long: the device's path is silent.
    public var silentAfter: UInt64 = 800_000_000
    /// Something received within so long: packets arrive. Between the two nothing is said.
    public var receivingWithin: UInt64 = 300_000_000
    /// A kernel thread inside direct reclaim for so long is stuck.
    public var stuckAfter: UInt64 = 500_000_000
    /// A reclaimer counts as waiting for the swap from this length of stay on.
    public var waitingAfter: UInt64 = 250_000_000
    /// How much time between two looks counts at most: a host that was stopped itself has
    /// not waited.
    public var longestStep: UInt64 = 400_000_000
    /// Errors count for so long.
    public var failingFor: UInt64 = 5_000_000_000
    /// A request older than this while others complete is slow.
    public var slowRequest: UInt64 = 2_000_000_000
    /// The reserve drains when free memory is below this share of min without boost.
    public var drainingPercent: UInt64 = 60
    /// And for so long.
    public var drainingFor: UInt64 = 300_000_000
    /// A trend that ends the reserve within this time is told, where it is sure enough.
    public var timeLeftWarning: UInt64 = 2_000_000_000
    /// An incident is resolved when nothing was wrong for so long.
    public var alertHold: UInt64 = 5_000_000_000
    /// The first time after which an incident is told again; doubled each time.
    public var alertUpdate: UInt64 = 10_000_000_000
    public var alertLongestUpdate: UInt64 = 60_000_000_000
    /// The exposure of a host changes slowly, and is told again once an hour.
    public var exposureUpdate: UInt64 = 3_600_000_000_000

    public init() {}
}
