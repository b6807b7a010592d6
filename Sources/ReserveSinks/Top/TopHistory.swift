// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// The last minutes in seconds: free pages of each node, and the state of the host.
///
/// A second in which nothing was told stays unknown: the line has a gap there.
public struct TopHistory: Sendable {
    public static let seconds = 900
    static let unknown = UInt32.max

    struct Series: Sendable {
        var node: UInt32
        /// The lowest sample of each second, by boot second modulo ``seconds``.
        var lowest = [UInt32](repeating: TopHistory.unknown, count: TopHistory.seconds)
    }

    private(set) var series: [Series] = []
    /// The worst state of each second; 255: nothing was told.
    private(set) var states = [UInt8](repeating: 255, count: TopHistory.seconds)
    /// The second that is being written; nil: nothing yet.
    private(set) var newest: UInt64?
    private(set) var oldest: UInt64 = 0

    public init() {}

    /// Seconds that can be shown.
    var length: Int {
        guard let newest else { return 0 }
        return min(Int(clamping: newest - oldest) + 1, Self.seconds)
    }

    mutating func see(_ event: Event, _ picture: borrowing Picture) {
        switch event.body {
        case .node(let node):
            let place = begin(event.bootNanoseconds)
            guard let place else { return }
            var index = series.firstIndex(where: { $0.node == node.node })
            if index == nil, series.count < 64 {
                series.append(Series(node: node.node))
                index = series.count - 1
            }
            guard let index else { return }
            let free = UInt32(clamping: min(node.freePages, UInt64(Self.unknown - 1)))
            series[index].lowest[place] = min(series[index].lowest[place], free)
        case .tick:
            guard let place = begin(event.bootNanoseconds) else { return }
            let state = picture.verdict.state.rawValue
            states[place] = states[place] == 255 ? state : max(states[place], state)
        default: return
        }
    }

    /// Opens the second of a moment; nil: too old.
    private mutating func begin(_ bootNanoseconds: UInt64) -> Int? {
        let second = bootNanoseconds / 1_000_000_000
        guard let last = newest else {
            newest = second
            oldest = second
            return Int(second % UInt64(Self.seconds))
        }
        if second > last {
            let gap = min(second - last, UInt64(Self.seconds))
            for step in 0..<gap {
                let place = Int((second - step) % UInt64(Self.seconds))
                for index in series.indices { series[index].lowest[place] = Self.unknown }
                states[place] = 255
            }
            newest = second
        } else if last - second >= UInt64(Self.seconds) {
            return nil
        }
        return Int(second % UInt64(Self.seconds))
    }

    /// The lowest of `count` seconds that end `back` seconds before the newest one.
    func lowest(_ index: Int, back: Int, count: Int) -> UInt32? {
        var found = Self.unknown
        for step in back..<(back + count) {
            guard let place = place(back: step) else { break }
            found = min(found, series[index].lowest[place])
        }
        return found == Self.unknown ? nil : found
    }

    func worstState(back: Int, count: Int) -> HostState? {
        var worst: UInt8?
        for step in back..<(back + count) {
            guard let place = place(back: step) else { break }
            if states[place] != 255 { worst = max(worst ?? 0, states[place]) }
        }
        return worst.flatMap { HostState(rawValue: $0) }
    }

    private func place(back: Int) -> Int? {
        guard let newest, back < length, newest >= UInt64(back) else { return nil }
        return Int((newest - UInt64(back)) % UInt64(Self.seconds))
    }
}

/// Totals of the last seconds, from which rates are made.
public struct TopRates: Sendable {
    struct Device: Sendable {
        var firstMinor: UInt32
        var readBytes: UInt64
        var writtenBytes: UInt64
        var latency: LatencyBuckets
    }

    struct Snapshot: Sendable {
        var bootNanoseconds: UInt64
        var swapIn: UInt64?
        var swapOut: UInt64?
        var taken: UInt64?
        var cpuNanoseconds: UInt64?
        var devices: [Device]
    }

    private var snapshots: [Snapshot] = []
    private static let most = 12

    public init() {}

    mutating func see(_ event: Event, _ picture: borrowing Picture) {
        guard case .tick = event.body else { return }
        if let last = snapshots.last, event.bootNanoseconds < last.bootNanoseconds + 1_000_000_000 {
            return
        }
        if snapshots.count == Self.most { snapshots.removeFirst() }
        snapshots.append(Self.snapshot(picture, at: event.bootNanoseconds))
    }

    static func snapshot(_ picture: borrowing Picture, at now: UInt64) -> Snapshot {
        var devices: [Device] = []
        for index in picture.devices.indices {
            let sample = picture.devices[index].sample
            devices.append(
                Device(
                    firstMinor: sample.firstMinor, readBytes: sample.readBytes,
                    writtenBytes: sample.writtenBytes, latency: sample.latency))
        }
        return Snapshot(
            bootNanoseconds: now, swapIn: picture.counters?.kernel.pswpin,
            swapOut: picture.counters?.kernel.pswpout,
            taken: picture.counters?.reserve?.takenPages,
            cpuNanoseconds: picture.selfAccount?.cpuNanoseconds, devices: devices)
    }

    /// The oldest snapshot of the last `seconds`; nil: none is old enough to tell a rate.
    private func base(_ now: UInt64, seconds: UInt64) -> Snapshot? {
        for snapshot in snapshots
        where now >= snapshot.bootNanoseconds
            && now - snapshot.bootNanoseconds <= seconds * 1_000_000_000
        {
            return now - snapshot.bootNanoseconds >= 500_000_000 ? snapshot : nil
        }
        return nil
    }

    /// By how much a total grew in a second, over the last three; nil: not known.
    func perSecond(
        _ picture: borrowing Picture, _ now: UInt64, _ total: (Snapshot) -> UInt64?
    ) -> UInt64? {
        guard let base = base(now, seconds: 3), let before = total(base),
            let after = total(Self.snapshot(picture, at: now)), after >= before
        else { return nil }
        let milliseconds = (now - base.bootNanoseconds) / 1_000_000
        return milliseconds == 0 ? nil : (after - before) &* 1000 / milliseconds
    }

    func perSecond(
        device minor: UInt32, _ picture: borrowing Picture, _ now: UInt64,
        _ total: (Device) -> UInt64
    ) -> UInt64? {
        perSecond(picture, now) { snapshot in
            snapshot.devices.first(where: { $0.firstMinor == minor }).map(total)
        }
    }

    /// What `percent` of the requests of the last ten seconds were done within, as the upper
    /// bound of a bucket in microseconds; nil: none was done, or not known.
    func latency(_ sample: NBDSample, percent: UInt64, _ now: UInt64) -> UInt64? {
        guard let base = base(now, seconds: 11),
            let before = base.devices.first(where: { $0.firstMinor == sample.firstMinor })
        else { return nil }
        var sum: UInt64 = 0
        for index in 0..<24 { sum &+= sample.latency[index] &- before.latency[index] }
        guard sum > 0, sum < 1 << 40 else { return nil }
        var seen: UInt64 = 0
        for index in 0..<24 {
            seen &+= sample.latency[index] &- before.latency[index]
            if seen * 100 >= sum * percent { return 1 << UInt64(index + 1) }
        }
        return nil
    }
}
