// SPDX-License-Identifier: Apache-2.0

import CLinux
import ReserveAgent
import ReserveModel
import ReserveSinks
import ReserveStore

/// A recording, told in its own time: for tests, and to see an incident again on a dashboard.
struct RecordingFeed: MetricsFeed {
    private let source: RecordSource
    private var maker = PictureMaker()
    /// nil: all at once.
    private let speed: Double?
    /// Seconds of the recording after which nothing more is told.
    private let limit: Double
    private let beganNanoseconds = rw_boot_ns()
    private var firstNanoseconds: UInt64?
    /// Its bytes are there until the next one is asked for.
    private var waiting: RecordSource.Entry?

    init(path: String, speed: Double?, limit: Double?) throws(StoreError) {
        source = try RecordSource(path: path)
        self.speed = speed
        self.limit = limit ?? .infinity
    }

    var picture: Picture? { firstNanoseconds == nil ? nil : maker.picture }
    var problem: String? { firstNanoseconds == nil ? "the recording is empty" : nil }

    mutating func advance() {
        let paced = speed.map { Double(rw_boot_ns() &- beganNanoseconds) * $0 } ?? .infinity
        let elapsed = min(paced, limit * 1_000_000_000)
        while let entry = waiting ?? source.next() {
            waiting = nil
            let first = firstNanoseconds ?? entry.bootNanoseconds
            firstNanoseconds = first
            if entry.bootNanoseconds > first, Double(entry.bootNanoseconds - first) > elapsed {
                waiting = entry
                break
            }
            // Another agent: what the one before it knew is over.
            if entry.isHost { maker.begin(keepingMarks: false) }
            maker.take(entry.bytes)
        }
        maker.mark()
    }

    func describe(_ facts: inout ReaderFacts) {
        facts.isUp = firstNanoseconds != nil
        facts.marks = maker.marks
    }
}
