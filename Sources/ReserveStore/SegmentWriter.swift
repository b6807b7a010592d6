// SPDX-License-Identifier: Apache-2.0

import CRecord
import Glibc
import ReserveRecord

/// Keeps records, one as bytes after the other, in a directory of segments.
///
/// It survives a target that is full, read-only, broken or gone: what it cannot write waits
/// in bounded memory; what finds no room there is counted, and stands in the recording as
/// loss when it goes on. Time comes in with each call, as CLOCK_BOOTTIME in nanoseconds.
public final class SegmentWriter {
    public struct Settings: Sendable {
        public var segmentBytes: UInt64 = 64 << 20
        /// 0: by size only.
        public var segmentNanoseconds: UInt64 = 3_600_000_000_000
        /// Of all segments together; 0: no bound.
        public var keepBytes: UInt64 = 1 << 30
        /// 0: no bound.
        public var keepNanoseconds: UInt64 = 0
        public var compresses = true
        /// How long what is written may wait for the disk; 0: until its segment is closed.
        public var syncNanoseconds: UInt64 = 5_000_000_000
        /// What waits while the target takes nothing.
        public var waitingBytes = 4 << 20

        /// What is handed to the file system at once.
        var flushBytes: Int { Int(min(1 << 18, max(1, segmentBytes / 4))) }
        /// A segment is closed with the first write that fills it.
        var largestSegmentBytes: UInt64 { segmentBytes + UInt64(flushBytes) }

        public init() {}
    }

    /// Records that are lost until the target takes something again.
    private struct Gap {
        var state: StateKeeper
        var records: UInt64
        var sinceBootNanoseconds: UInt64
    }

    /// Records in segments, and records that are in none.
    public private(set) var recorded: UInt64 = 0
    public private(set) var unrecorded: UInt64 = 0
    /// A segment that is not under its name any more, and may come back with its disk.
    private struct Vanished {
        var path: String
        var records: UInt64
    }

    /// Why nothing is written at present, in words; nil: all is well.
    public var trouble: String? { failing?.words }

    private let settings: Settings
    private let target: StorageTarget
    private var store: SegmentStore
    private var current: OpenSegment?
    private var waiting = PendingFrames()
    /// As of what is written.
    private var state: StateKeeper
    private var gap: Gap?
    private var vanished: Vanished?
    /// The next segment begins after records that no segment has.
    private var isAfterGap = false
    private var failing: StorageTarget.Trouble?
    private var nextAttempt: UInt64 = 0
    private var nextCheck: UInt64 = 0
    private var nextSync: UInt64 = 0
    private var number: UInt64
    private let run: UInt64
    /// In this run's closed segments.
    private var recordsBefore: UInt64 = 0
    private let checksum = Checksum()
    private var messages: [String] = []

    private static let attemptNanoseconds: UInt64 = 1_000_000_000

    /// Makes the directory where it is missing, and begins a segment after those in it.
    ///
    /// - Parameter state: what is true before the first record comes.
    public init(
        directory: String, settings: Settings, state: StateKeeper = StateKeeper(), now: UInt64
    ) throws(StoreError) {
        self.settings = settings
        self.state = state
        target = try StorageTarget(path: directory)
        run = UInt64.random(in: 1 ... .max)
        store = try SegmentStore(directory: target.path, settings: settings)
        number = store.lastNumber + 1
        do throws(StoreError) {
            current = try begin(now)
        } catch {
            // Named as the user did.
            guard case .output(_, let errno) = error else { throw error }
            throw .output(path: directory, errno: errno)
        }
        nextSync = now &+ settings.syncNanoseconds
    }

    /// What is to be told, since the last call.
    public func takeMessages() -> [String] {
        defer { messages.removeAll() }
        return messages + store.takeMessages()
    }

    /// Takes one record.
    public func take(_ record: UnsafeRawBufferPointer, now: UInt64) {
        guard record.count >= RecordingFormat.shortestRecordBytes,
            record.count <= RecordingFormat.longestRecordBytes
        else {
            unrecorded += 1
            return
        }
        if gap != nil {
            lose(record)
            return
        }
        waiting.append(record, checksum: checksum)
        if current != nil, waiting.bytes.count >= settings.flushBytes {
            flush(now)
        }
        if current == nil, waiting.bytes.count >= settings.waitingBytes { beginGap() }
    }

    /// Records that never came here: the source had to drop them.
    public func tellLoss(of records: UInt64, sinceBootNanoseconds: UInt64 = 0, now: UInt64) {
        guard records > 0 else { return }
        unrecorded += records
        if gap != nil {
            gap?.records += records
            return
        }
        messages.append(
            "\(records) records came faster than they could be taken; the recording says so")
        let gap = rw_skipped(
            records: records, since: sinceBootNanoseconds, reason: RW_SKIPPED_BEHIND, errno: 0,
            bootNanoseconds: now)
        withUnsafeBytes(of: gap) { take($0, now: now) }
    }

    /// Once a beat: writes what waits, begins segments, tries again what failed, deletes what
    /// is beyond the bounds, and compresses a piece.
    public func turn(now: UInt64) {
        if let current, now >= nextCheck {
            nextCheck = now &+ Self.attemptNanoseconds
            if !current.isThere { lookFor(current) }
        }
        if current == nil { recover(now) }
        flush(now)
        if let current, current.isDirty, settings.syncNanoseconds > 0, now >= nextSync {
            nextSync = now &+ settings.syncNanoseconds
            let failure = current.sync()
            if failure != 0 { fail(.errno(failure), now) }
        }
        if failing == nil { store.turn(openNumber: number) }
    }

    /// Writes all that waits, closes the segment, and compresses what is not yet. Returns
    /// whether everything that was taken is recorded.
    @discardableResult
    public func finish(now: UInt64) -> Bool {
        if current == nil {
            nextAttempt = 0
            recover(now)
        }
        flush(now)
        unrecorded += waiting.count + (vanished?.records ?? 0)
        if let failing {
            let lost = waiting.count + (gap?.records ?? 0) + (vanished?.records ?? 0)
            messages.append(
                "the recording ends early: \(failing.words); \(lost) records are not in it")
        } else {
            closeCurrent()
            store.finish()
        }
        return unrecorded == 0
    }

    // MARK: writing

    private func flush(_ now: UInt64) {
        guard let segment = current, !waiting.bytes.isEmpty else {
            rotateIfDue(now)
            return
        }
        let (taken, failure) = waiting.bytes.withUnsafeBytes { segment.write($0) }
        let before = segment.records
        waiting.remove(taken) { state.take($0) }
        recorded = recordsBefore + before
        if failure != 0 { fail(.errno(failure), now) } else { rotateIfDue(now) }
    }

    private func rotateIfDue(_ now: UInt64) {
        guard let segment = current, segment.records > 0 else { return }
        // A long head must not make every record a segment of its own.
        let room = max(segment.headBytes + settings.segmentBytes / 2, settings.segmentBytes)
        let isOld =
            settings.segmentNanoseconds > 0
            && now >= segment.beganBootNanoseconds &+ settings.segmentNanoseconds
        guard segment.bytes >= room || isOld else { return }
        closeCurrent()
        number += 1
        start(now)
    }

    private func closeCurrent() {
        guard let segment = current else { return }
        current = nil
        let failure = segment.seal(checksum: checksum)
        if failure != 0 {
            messages.append(
                "\(segment.path) may not be whole on the disk: \(words(failure))")
        }
        settle(segment)
    }

    private func settle(_ segment: OpenSegment) {
        recordsBefore += segment.records
        recorded = recordsBefore
        store.add(number: segment.number, bytes: segment.bytes)
    }

    private func begin(_ now: UInt64) throws(StoreError) -> OpenSegment {
        var header = rw_segment_begin()
        header.number = number
        header.run = run
        header.records_before = recordsBefore
        header.boot_ns = now
        header.realtime_offset_ns = Clock.realtimeOffsetNanoseconds()
        header.flags = isAfterGap ? UInt32(RW_SEGMENT_AFTER_GAP.rawValue) : 0
        let segment = try OpenSegment(
            directory: target.path, begin: header, state: state.records(), checksum: checksum)
        isAfterGap = false
        return segment
    }

    private func start(_ now: UInt64) {
        store.makeRoom()
        do throws(StoreError) {
            current = try begin(now)
        } catch {
            guard case .output(_, let errno) = error else { return }
            fail(.errno(errno), now)
        }
    }

    // MARK: trouble

    private func fail(_ trouble: StorageTarget.Trouble, _ now: UInt64) {
        if let segment = current {
            current = nil
            if segment.records > 0 { settle(segment) } else { unlink(segment.path) }
            number += 1
        }
        nextAttempt = now &+ Self.attemptNanoseconds
        guard trouble != failing else { return }
        messages.append(
            "cannot record to \(target.path): \(trouble.words); "
                + (failing == nil
                    ? "records wait in memory, and it is tried again each second" : "still trying")
        )
        failing = trouble
    }

    /// The file is not there any more, or not under its name: what it holds, no reader finds.
    private func lookFor(_ segment: OpenSegment) {
        current = nil
        number += 1
        nextAttempt = 0
        messages.append(
            "\(segment.path) vanished with \(segment.records) records; recording goes on anew")
        vanished = Vanished(path: segment.path, records: segment.records)
    }

    /// When the directory is there again: what of the segment is there with it, and what the
    /// recording has to say is missing.
    private func settleVanished(_ now: UInt64) {
        guard let lost = vanished else { return }
        vanished = nil
        let found = min(lost.records, Self.records(in: lost.path))
        recordsBefore += found
        let missing = lost.records - found
        guard missing > 0 else { return }
        unrecorded += missing
        isAfterGap = true
        let record = rw_skipped(
            records: missing, since: 0, reason: RW_SKIPPED_VANISHED, errno: ENOENT,
            bootNanoseconds: now)
        withUnsafeBytes(of: record) { waiting.prepend($0, checksum: checksum) }
    }

    private static func records(in path: String) -> UInt64 {
        guard let source = try? RecordSource(path: path) else { return 0 }
        var count: UInt64 = 0
        while let entry = source.next() { count += entry.isState ? 0 : 1 }
        return count
    }

    private func lose(_ record: UnsafeRawBufferPointer) {
        gap?.state.take(record)
        gap?.records += 1
        unrecorded += 1
    }

    private func beginGap() {
        var ahead = state
        var last: UInt64 = 0
        waiting.forEach {
            ahead.take($0)
            last = max(last, $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }
        gap = Gap(state: ahead, records: 0, sinceBootNanoseconds: last)
    }

    private func recover(_ now: UInt64) {
        guard now >= nextAttempt else { return }
        nextAttempt = now &+ Self.attemptNanoseconds
        let head = state.records().reduce(0) { $0 + $1.count + RecordingFormat.frameHeaderBytes }
        if let trouble = target.find(room: head + waiting.bytes.count + 65_536) {
            fail(trouble, now)
            return
        }
        if let fresh = try? SegmentStore(directory: target.path, settings: settings) {
            store.replace(by: fresh)
            number = max(number, store.lastNumber + 1)
        }
        settleVanished(now)
        start(now)
        guard current != nil else { return }
        flush(now)
        guard current != nil else { return }
        endGap(now)
        guard let segment = current, let trouble = failing else { return }
        failing = nil
        messages.append(
            "recording goes on in \(segment.path) (it was: \(trouble.words)); "
                + "\(unrecorded) records are not recorded in all")
    }

    /// What waited is written; what was lost after it is told at the head of a new segment,
    /// which begins with the state of now.
    private func endGap(_ now: UInt64) {
        guard let lost = gap else { return }
        if lost.records > 0 {
            closeCurrent()
            number += 1
            state = lost.state
            isAfterGap = true
            start(now)
            guard current != nil else { return }
            let record = rw_skipped(
                records: lost.records, since: lost.sinceBootNanoseconds,
                reason: RW_SKIPPED_STORAGE, errno: failing?.number ?? 0, bootNanoseconds: now)
            withUnsafeBytes(of: record) { waiting.append($0, checksum: checksum) }
        }
        gap = nil
        flush(now)
    }
}
