// SPDX-License-Identifier: Apache-2.0

import CLinux
import CRecord
import Glibc
import ReserveModel
import ReserveRecord

/// Alerts that are on their way, in their order, on disk: what was put in is there after a crash.
///
/// A directory of segments, appended to and never changed. Each begins with how far the box was
/// read; an alert's frame says the same by itself, so that one write is enough for both. Segments
/// whose alerts all destinations have are deleted; beyond its bound the queue gives up the oldest
/// segment, delivered or not.
final class AlertQueue {
    struct Settings: Equatable, Sendable {
        /// Of all segments together.
        var mostBytes: UInt64 = 4 << 20
        /// What waited longer is given up.
        var mostNanoseconds: UInt64 = 7 * 86_400 * 1_000_000_000
        var segmentBytes: UInt64 { max(mostBytes / 8, 16 << 10) }
    }

    private struct Segment {
        var number: UInt64
        var bytes: UInt64
        /// Sequence of the last alert in it; 0: there is none.
        var last: UInt64
    }

    /// What waits, oldest first; sequences rise, and may have gaps where something was damaged.
    private(set) var waiting: [AlertEvent] = []
    private(set) var nextSequence: UInt64 = 1
    /// Alerts below this were given up for want of room, or are delivered.
    private(set) var firstSequence: UInt64 = 1
    /// Why it cannot be written at present; nil: all is well.
    private(set) var trouble: Int32?
    private(set) var failures: UInt64 = 0
    /// As of what was put in.
    private(set) var state = ReadState()

    private let directory: QueueDirectory
    var settings: Settings
    /// Of this host now.
    private let bootID: String
    private let checksum = Checksum()
    private var segments: [Segment] = []
    private var current: Int32 = -1
    private var number: UInt64 = 0
    /// Frames that no file has taken yet.
    private var unwritten: [(bytes: [UInt8], sequence: UInt64)] = []
    private var isStateUnwritten = false
    private var nextAttempt: UInt64 = 0
    private var messages: [String] = []

    private static let attemptNanoseconds: UInt64 = 1_000_000_000

    /// Takes over what an earlier run left.
    init(
        _ directory: QueueDirectory, _ settings: Settings, bootID: String
    ) throws(ForwardError) {
        self.directory = directory
        self.settings = settings
        self.bootID = bootID
        load()
        let failure = begin()
        guard failure == 0 else { throw .output(path: directory.path, errno: failure) }
    }

    deinit { if current >= 0 { close(current) } }

    var path: String { directory.path }
    /// Of destinations that had a place here, by their file's name.
    var places: [String] { directory.names(QueueDirectory.placeSuffix) }
    var bytes: UInt64 { segments.reduce(0) { $0 + $1.bytes } }
    /// What waits in memory alone: no file has taken it.
    var unwrittenCount: Int { unwritten.count }

    func takeMessages() -> [String] {
        defer { messages.removeAll() }
        return messages
    }

    /// The first alert from a sequence on; nil: there is none.
    func event(from sequence: UInt64) -> AlertEvent? {
        var low = 0
        var high = waiting.count
        while low < high {
            let middle = (low + high) / 2
            if waiting[middle].sequence < sequence { low = middle + 1 } else { high = middle }
        }
        return low < waiting.count ? waiting[low] : nil
    }

    func events(after sequence: UInt64) -> ArraySlice<AlertEvent> {
        waiting.drop { $0.sequence <= sequence }
    }

    // MARK: in

    /// Puts alerts in; with them how far was read. When it returns they are on the disk, or it
    /// says that they are not.
    func append(_ events: [AlertEvent], state: ReadState, now: UInt64) {
        var implied = self.state
        for var event in events {
            event.sequence = nextSequence
            nextSequence += 1
            event.queued = Int64(clamping: now) &+ rw_realtime_offset_ns()
            event.queuedBootNanoseconds = now
            event.queuedBootID = bootID
            waiting.append(event)
            unwritten.append(
                (FrameFile.frame(QueueFrame.event, event.fields, checksum), event.sequence))
            implied.take(event)
        }
        // Most of it the alerts' own frames say.
        let isOther =
            implied.bootID != state.bootID || implied.writer != state.writer
            || implied.tracks != state.tracks
        implied.bootID = state.bootID
        implied.writer = state.writer
        implied.tracks = state.tracks
        self.state = implied
        isStateUnwritten = isStateUnwritten || isOther
        nextAttempt = 0
        turn(now: now)
    }

    /// Tries again what could not be written, and begins segments.
    func turn(now: UInt64) {
        guard !unwritten.isEmpty || isStateUnwritten, now >= nextAttempt else { return }
        nextAttempt = now &+ Self.attemptNanoseconds
        let failure = write()
        if failure != 0 { failures &+= 1 }
        if failure != 0, trouble != failure {
            messages.append(
                "cannot write the queue in \(path): \(words(failure)); \(unwritten.count) alerts "
                    + "wait in memory, and it is tried again each second")
        } else if failure == 0, trouble != nil {
            messages.append("the queue in \(path) can be written again")
        }
        trouble = failure == 0 ? nil : failure
        keepBound()
    }

    private func write() -> Int32 {
        if current < 0 {
            let failure = begin()
            if failure != 0 { return failure }
        }
        var frames: [UInt8] = []
        for each in unwritten { frames += each.bytes }
        if isStateUnwritten { frames += FrameFile.frame(QueueFrame.state, stateFields, checksum) }
        var (_, failure) = FrameFile.append(current, frames)
        if failure == 0, fdatasync(current) != 0 { failure = errno }
        guard failure == 0 else {
            // A torn frame costs only itself: the next try is in a file of its own.
            close(current)
            current = -1
            return failure
        }
        let last = segments.count - 1
        segments[last].bytes += UInt64(frames.count)
        segments[last].last = max(segments[last].last, unwritten.last?.sequence ?? 0)
        unwritten.removeAll()
        isStateUnwritten = false
        if segments[last].bytes >= settings.segmentBytes { return begin() }
        return 0
    }

    /// Begins a segment with the state so far.
    private func begin() -> Int32 {
        if current >= 0 { close(current) }
        current = -1
        number += 1
        let name = "\(directory.path)/\(QueueDirectory.segment(number))"
        let descriptor = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { return errno }
        let head = FrameFile.opening + FrameFile.frame(QueueFrame.state, stateFields, checksum)
        var (_, failure) = FrameFile.append(descriptor, head)
        if failure == 0, fdatasync(descriptor) != 0 { failure = errno }
        guard failure == 0 else {
            close(descriptor)
            unlink(name)
            return failure
        }
        directory.sync()
        current = descriptor
        segments.append(Segment(number: number, bytes: UInt64(head.count), last: 0))
        return 0
    }

    // MARK: out

    /// Everybody has what is below a sequence.
    func forget(below sequence: UInt64) {
        let delivered = waiting.prefix { $0.sequence < sequence }.count
        if delivered > 0 { waiting.removeFirst(delivered) }
        firstSequence = max(firstSequence, min(sequence, nextSequence))
        if unwritten.contains(where: { $0.sequence < sequence }) {
            unwritten.removeAll { $0.sequence < sequence }
            isStateUnwritten = true
        }
        while let oldest = segments.first, oldest.number != number, oldest.last < sequence {
            delete(oldest)
        }
    }

    /// The age of an alert in the queue. A clock that was set in between counts only where the
    /// host was booted anew since.
    func age(of event: AlertEvent, now: UInt64) -> UInt64 {
        if event.queuedBootID == bootID {
            return now > event.queuedBootNanoseconds ? now - event.queuedBootNanoseconds : 0
        }
        let real = Int64(clamping: now) &+ rw_realtime_offset_ns()
        return real > event.queued ? UInt64(real - event.queued) : 0
    }

    func isTooOld(_ event: AlertEvent, now: UInt64) -> Bool {
        age(of: event, now: now) > settings.mostNanoseconds
    }

    /// Gives up the oldest as long as there is too much.
    private func keepBound() {
        while bytes > settings.mostBytes, segments.count > 1, let oldest = segments.first {
            giveUp(through: oldest.last)
            delete(oldest)
        }
        // What no file takes is bounded as well.
        var held = unwritten.reduce(0) { $0 + $1.bytes.count }
        while UInt64(held) > settings.mostBytes, let oldest = unwritten.first {
            giveUp(through: oldest.sequence)
            held -= oldest.bytes.count
            unwritten.removeFirst()
        }
    }

    private func giveUp(through sequence: UInt64) {
        guard sequence >= firstSequence else { return }
        firstSequence = sequence + 1
        waiting.removeAll { $0.sequence <= sequence }
    }

    private func delete(_ segment: Segment) {
        let name = QueueDirectory.segment(segment.number)
        unlink("\(directory.path)/\(name)")
        segments.removeFirst()
    }

    // MARK: what is there

    private func load() {
        for name in directory.names(QueueDirectory.suffix) {
            guard let number = UInt64(name) else { continue }
            self.number = max(self.number, number)
            load(number)
        }
        // A frame that may not have reached the disk was written again.
        var sequences: Set<UInt64> = []
        waiting = waiting.filter { sequences.insert($0.sequence).inserted }
        waiting.sort { $0.sequence < $1.sequence }
        firstSequence = waiting.first?.sequence ?? nextSequence
    }

    private func load(_ number: UInt64) {
        let file = "\(directory.path)/\(QueueDirectory.segment(number))"
        var segment = Segment(number: number, bytes: 0, last: 0)
        var found: [AlertEvent] = []
        var state = self.state
        var next = nextSequence
        let (damaged, failure) = FrameFile.read(file) { type, payload in
            segment.bytes += UInt64(payload.count + RecordingFormat.frameHeaderBytes)
            let fields = Fields(payload)
            if type == QueueFrame.event.rawValue, let event = AlertEvent(fields) {
                found.append(event)
                segment.last = max(segment.last, event.sequence)
                next = max(next, event.sequence + 1)
                state.take(event)
            } else if type == QueueFrame.state.rawValue {
                let read = ReadState(fields)
                state = read
                next = max(next, fields.number("next") ?? 1)
            }
        }
        if failure != 0 { messages.append("cannot read \(file): \(words(failure))") }
        if damaged > 0 {
            messages.append("\(file): \(damaged) bytes are torn or damaged, and passed over")
        }
        self.state = state
        nextSequence = next
        waiting += found
        segments.append(segment)
    }

    private var stateFields: Fields {
        var fields = state.fields
        fields.add("next", nextSequence)
        return fields
    }
}

extension ReadState {
    fileprivate var fields: Fields {
        var fields = Fields()
        fields.add("boot_id", bootID)
        fields.add("writer_pid", known: writer?.pid)
        fields.add("writer_ticks", known: writer?.startTicks)
        fields.add("writer_created_ns", known: writer?.createdBootNanoseconds)
        for (index, track) in tracks.enumerated() {
            guard let track else { continue }
            fields.add("track\(index)_incident", track.incident)
            fields.add("track\(index)_told", track.told)
            fields.add("track\(index)_level", track.level.rawValue)
        }
        for (index, event) in open.enumerated() {
            guard let event else { continue }
            // Its lines in one: no value has this byte.
            let lines = event.fields.bytes.map { $0 == 10 ? 0x1f : $0 }
            fields.add("open\(index)", String(decoding: lines, as: UTF8.self))
        }
        return fields
    }

    fileprivate init(_ fields: Fields) {
        bootID = fields.text("boot_id") ?? ""
        if let pid: Int32 = fields.number("writer_pid"),
            let ticks: UInt64 = fields.number("writer_ticks"),
            let created: UInt64 = fields.number("writer_created_ns")
        {
            writer = .init(pid: pid, startTicks: ticks, createdBootNanoseconds: created)
        }
        for index in 0..<2 {
            if let incident: UInt32 = fields.number("track\(index)_incident"),
                let told: UInt32 = fields.number("track\(index)_told"),
                let level: UInt8 = fields.number("track\(index)_level"),
                let level = Alert.Level(rawValue: level)
            {
                tracks[index] = Track(incident: incident, told: told, level: level)
            }
            if let open = fields.text("open\(index)") {
                let lines = open.utf8.map { $0 == 0x1f ? 10 : $0 }
                self.open[index] = lines.withUnsafeBytes { AlertEvent(Fields($0)) }
            }
        }
    }
}
