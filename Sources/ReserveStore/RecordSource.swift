// SPDX-License-Identifier: Apache-2.0

import CRecord
import Glibc
import ReserveRecord

/// All records of a recording, one after the other: of a single file, of one segment, of a
/// directory of segments, compressed or not.
///
/// What a segment repeats from those before it is given only where it is news: at the begin,
/// and after a gap. A damaged or missing segment costs what it held, and is told.
public final class RecordSource {
    public struct Entry {
        /// Valid until the next call of ``RecordSource/next()``.
        public var bytes: UnsafeRawBufferPointer
        /// State from before the begin, or from within a gap: to be applied, not to be told.
        public var isState: Bool
        /// The first record of an agent: all that was known before is over.
        public var isHost: Bool
        /// CLOCK_BOOTTIME in nanoseconds.
        public var bootNanoseconds: UInt64
        /// The same on the host's clock, nanoseconds since 1970; the boot's own time where
        /// the recording does not name the host.
        public var realNanoseconds: Int64
    }

    /// Where to begin.
    public enum Start: Sendable {
        case begin
        /// With the last segment that begins before this moment: what it repeats is the state.
        case before(realNanoseconds: Int64)
        case lastSegment
    }

    private let segments: [SegmentPath]
    private var position: Int
    private var data: SegmentData?
    private var reader: RecordingReader?
    private var path = ""

    private var run: UInt64?
    /// Records of the run up to here, by the recorder's own count; and in the segment at hand.
    private var recordsBefore: UInt64 = 0
    private var skipsRepeated = false
    /// After a gap, the host and its hooks are news only when they are others.
    private var skipsHost = false
    private var host: [UInt8] = []
    private var realtimeOffset: Int64 = 0
    private var lastBoot: UInt64 = 0
    private let gap = GapRecord()
    private var problems: [RecordingProblem] = []

    /// - Throws: when nothing there can be read as a recording.
    public init(path: String, start: Start = .begin) throws(StoreError) {
        segments = try SegmentPath.all(of: path)
        position = 0
        switch start {
        case .begin: break
        case .lastSegment: position = segments.count - 1
        case .before(let time): position = Self.lastSegment(of: segments, before: time)
        }
        var failure: StoreError?
        while position < segments.count {
            do throws(StoreError) {
                try open(segments[position])
                position += 1
                return
            } catch {
                if failure == nil { failure = error }
                tellUnreadable(error)
                position += 1
            }
        }
        throw failure ?? .notARecording(path: path, reason: "it holds no segments")
    }

    /// What was damaged, torn or missing since the last call.
    public func takeProblems() -> [RecordingProblem] {
        defer { problems.removeAll() }
        return problems
    }

    /// The next record; nil at the end.
    public func next() -> Entry? {
        while true {
            guard let frame = reader?.nextFrame() else {
                guard openNext() else { return nil }
                continue
            }
            switch frame {
            case .begin(let begin):
                if let missing = begins(begin) { return missing }
            case .end, .other: continue
            case .repeated(let record):
                if let entry = repeated(record) { return entry }
            case .record(let record):
                skipsRepeated = false
                return entry(record, isState: false)
            }
        }
    }

    // MARK: segments

    /// A segment says what was before it: whether anything is missing, and what is news.
    private func begins(_ begin: rw_segment_begin) -> Entry? {
        let goesOn = run == begin.run
        let missing =
            goesOn && begin.records_before > recordsBefore
            ? begin.records_before - recordsBefore : 0
        let isAfterGap = begin.flags & UInt32(RW_SEGMENT_AFTER_GAP.rawValue) != 0
        skipsRepeated = goesOn && missing == 0 && !isAfterGap
        skipsHost = goesOn
        run = begin.run
        recordsBefore = begin.records_before
        guard missing > 0 else { return nil }
        problems.append(.missing(path: path, records: missing))
        gap.fill(
            records: missing, since: lastBoot, bootNanoseconds: max(lastBoot, begin.boot_ns))
        return entry(gap.bytes, isState: false, isCounted: false)
    }

    private func repeated(_ record: UnsafeRawBufferPointer) -> Entry? {
        if skipsRepeated { return nil }
        let header = record.loadUnaligned(as: rw_header.self)
        if skipsHost, header.stem == UInt16(RW_STEM_AGENT.rawValue) {
            if header.kind == UInt16(RW_AGENT_HOST.rawValue) {
                skipsHost = record.elementsEqual(host)
                if skipsHost { return nil }
            } else if header.kind == UInt16(RW_AGENT_HOOK.rawValue) {
                return nil
            }
        }
        return entry(record, isState: true)
    }

    private func entry(
        _ record: UnsafeRawBufferPointer, isState: Bool, isCounted: Bool = true
    ) -> Entry {
        let header = record.loadUnaligned(as: rw_header.self)
        if !isState, isCounted { recordsBefore &+= 1 }
        let isHost =
            header.stem == UInt16(RW_STEM_AGENT.rawValue)
            && header.kind == UInt16(RW_AGENT_HOST.rawValue)
        if isHost {
            host = [UInt8](record)
            if record.count >= MemoryLayout<rw_host>.size {
                realtimeOffset = record.loadUnaligned(as: rw_host.self).realtime_offset_ns
            }
            lastBoot = 0
        }
        if !isState { lastBoot = max(lastBoot, header.boot_ns) }
        return Entry(
            bytes: record, isState: isState, isHost: isHost, bootNanoseconds: header.boot_ns,
            realNanoseconds: Int64(clamping: header.boot_ns) &+ realtimeOffset)
    }

    /// Ends the segment at hand and opens the next that can be read.
    private func openNext() -> Bool {
        endSegment()
        while position < segments.count {
            let segment = segments[position]
            position += 1
            do throws(StoreError) {
                try open(segment)
                return true
            } catch {
                tellUnreadable(error)
            }
        }
        return false
    }

    private func endSegment() {
        guard let reader else { return }
        if reader.damagedBytes > 0 {
            problems.append(.damaged(path: path, bytes: reader.damagedBytes))
        }
        if reader.tornBytes > 0 { problems.append(.torn(path: path, bytes: reader.tornBytes)) }
        if data?.isCut == true { problems.append(.cutCompressed(path: path)) }
        self.reader = nil
        data = nil
    }

    private func open(_ segment: SegmentPath) throws(StoreError) {
        let (path, data) = try segment.load()
        reader = try Self.reader(of: data, path: path)
        self.data = data
        self.path = path
    }

    private func tellUnreadable(_ error: StoreError) {
        switch error {
        case .input(let path, let errno):
            problems.append(.unreadable(path: path, reason: words(errno)))
        case .notARecording(let path, let reason):
            // Begun, and nothing written yet: the last one of a crash.
            if position + 1 >= segments.count, reason == "it is empty" { return }
            problems.append(.unreadable(path: path, reason: reason))
        case .output, .busy: break
        }
    }

    private static func reader(
        of data: SegmentData, path: String
    ) throws(StoreError) -> RecordingReader {
        do throws(RecordingReader.Problem) {
            return try RecordingReader(data.bytes)
        } catch {
            switch error {
            case .framingVersion(let version):
                throw .notARecording(
                    path: path, reason: "its framing has version \(version), newer than ours")
            case .notARecording:
                throw .notARecording(path: path, reason: "it does not begin like one")
            }
        }
    }

    // MARK: times

    /// When the recording begins and ends, on the host's clock; nil: it has no records.
    public static func bounds(
        path: String
    ) throws(StoreError) -> (begin: Int64, end: Int64)? {
        let segments = try SegmentPath.all(of: path)
        var begin: Int64?
        for segment in segments {
            begin = firstTime(of: segment)
            if begin != nil { break }
        }
        guard let begin else { return nil }
        for segment in segments.reversed() {
            guard let source = try? RecordSource(path: segment.preferred) else { continue }
            var end: Int64?
            while let entry = source.next() {
                if !entry.isState { end = max(end ?? .min, entry.realNanoseconds) }
            }
            if let end { return (begin, max(begin, end)) }
        }
        return (begin, begin)
    }

    private static func firstTime(of segment: SegmentPath) -> Int64? {
        guard let source = try? RecordSource(path: segment.preferred) else { return nil }
        while let entry = source.next() {
            if !entry.isState { return entry.realNanoseconds }
        }
        return nil
    }

    /// Times rise from segment to segment, so that halving finds it.
    private static func lastSegment(of segments: [SegmentPath], before time: Int64) -> Int {
        var low = 0
        var high = segments.count
        while low < high {
            let middle = (low + high) / 2
            if let first = firstTime(of: segments[middle]), first <= time {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return max(0, low - 1)
    }
}

/// The record that tells of a gap which is found while reading.
private final class GapRecord {
    private let memory = UnsafeMutableRawBufferPointer.allocate(
        byteCount: MemoryLayout<rw_skipped>.size, alignment: 8)

    deinit { memory.deallocate() }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(memory) }

    func fill(records: UInt64, since: UInt64, bootNanoseconds: UInt64) {
        let record = rw_skipped(
            records: records, since: since, reason: RW_SKIPPED_DAMAGED, errno: 0,
            bootNanoseconds: bootNanoseconds)
        memory.storeBytes(of: record, as: rw_skipped.self)
    }
}

extension rw_skipped {
    /// Says that records are missing here.
    init(
        records: UInt64, since: UInt64, reason: rw_skipped_reason, errno: Int32,
        bootNanoseconds: UInt64
    ) {
        self.init()
        header.stem = UInt16(RW_STEM_AGENT.rawValue)
        header.kind = UInt16(RW_AGENT_SKIPPED.rawValue)
        header.size = UInt32(MemoryLayout<rw_skipped>.size)
        header.boot_ns = bootNanoseconds
        self.records = records
        since_boot_ns = since
        self.reason = reason.rawValue
        error = errno
    }
}
