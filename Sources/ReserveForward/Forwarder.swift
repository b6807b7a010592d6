// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import ReserveBox
import ReserveModel
import ReserveRecord
import ReserveSinks

/// Brings alerts to where people are: reads the agent's box, keeps what it tells on disk, and
/// hands it on. One thread, one loop, nothing that waits for one destination alone.
public final class Forwarder {
    private var settings: ForwardSettings
    private var reload: Reload?
    private let sender: any HTTPSender
    private let bootID: String
    private var follower: BoxFollower
    private var reader: AlertReader
    private let queue: AlertQueue
    private var lanes: [Lane] = []
    private var status: StatusFile?
    private var toldAbsence: String?
    /// Since when no agent runs, nanoseconds since 1970; nil: one does.
    private var absentSince: Int64?

    /// Takes the queue over, and makes ready for each destination.
    ///
    /// - Parameter sender: with ``ForwardSettings/mostDestinations`` slots.
    public init(
        _ settings: ForwardSettings, sender: any HTTPSender
    ) throws(ForwardError) {
        self.settings = settings
        self.sender = sender
        bootID = BoxFacts.thisBoot() ?? ""
        let directory = try QueueDirectory(settings.state)
        queue = try AlertQueue(directory, settings.queue, bootID: bootID)
        reader = AlertReader(state: queue.state, bootID: bootID)
        follower = BoxFollower(
            path: settings.box, readsEnded: true, after: queue.state.writer)
        status = settings.status.map {
            StatusFile(path: $0, bootID: bootID, each: settings.statusMilliseconds)
        }
        try makeLanes()
        forgetOthers(queue.places)
        for destination in settings.destinations { warn(of: destination) }
    }

    // MARK: destinations

    private func makeLanes() throws(ForwardError) {
        let checksum = Checksum()
        for destination in settings.destinations {
            for number in 0..<destination.laneCount {
                let path = "\(queue.path)/\(destination.file(number))\(QueueDirectory.placeSuffix)"
                var place = Place(path: path) ?? newPlace()
                if place.next > queue.nextSequence {
                    // Of another queue: what is in this one it does not have.
                    place.next = queue.firstSequence
                }
                // Before anything is put into the queue: what a crash left without a place would
                // be taken for old.
                let failure = FrameFile.replace(path, place.bytes(checksum))
                guard failure == 0 else { throw .output(path: queue.path, errno: failure) }
                lanes.append(
                    destination.lane(
                        number, place: place, placePath: path, sender: sender,
                        slot: lanes.count, settings))
            }
        }
    }

    /// Where a destination begins that was not there before: with what stands.
    private func newPlace() -> Place {
        var place = Place(next: queue.nextSequence)
        place.opening = queue.state.open.compactMap { $0 }.sorted { $0.sequence < $1.sequence }
        return place
    }

    /// Places of destinations that are not configured any more.
    private func forgetOthers(_ files: [String]) {
        let wanted = Set(
            settings.destinations.flatMap { each in (0..<each.laneCount).map { each.file($0) } })
        for file in files where !wanted.contains(file) {
            let path = "\(queue.path)/\(file)\(QueueDirectory.placeSuffix)"
            let count = Place(path: path).map { place in
                queue.waiting.count { $0.sequence >= place.next }
            }
            unlink(path)
            guard let count, count > 0 else { continue }
            complain(
                "destination \(file) is not configured any more: \(count) alerts that it did not "
                    + "get are given up for it")
        }
    }

    private func warn(of destination: DestinationSettings) {
        for secret in destination.secrets where secret.isOpenToAll {
            complain(
                "\(secret.name) of destination \(destination.name) can be read by everybody; "
                    + "chmod 0600 keeps it to its owner")
        }
    }

    // MARK: other settings

    private func beginReload(_ now: UInt64) {
        guard reload == nil else { return }
        guard !settings.command.isEmpty else {
            complain("SIGHUP: it was not told where its settings come from; restart it instead")
            return
        }
        reload = Reload(settings.command, now: now)
        if reload == nil {
            complain("cannot read the settings anew: \(words(errno)); they stay as they were")
        }
    }

    private func finishReload(_ now: UInt64) {
        guard let outcome = reload?.outcome(now: now) else { return }
        reload = nil
        do throws(ForwardError) {
            guard case .words(let words) = outcome else {
                complain("the settings stay as they were")
                return
            }
            var settings = try ForwardSettings(words: words)
            settings.lookMilliseconds = self.settings.lookMilliseconds
            try take(settings)
            complain("the settings were read anew: \(lanes.count) ways to destinations")
        } catch {
            complain("\(error.sentence); the settings stay as they were")
        }
    }

    private func take(_ new: ForwardSettings) throws(ForwardError) {
        if new.state != settings.state || new.box != settings.box || new.status != settings.status {
            complain("--state, --box and --status count from the next start on")
        }
        let former = lanes
        for lane in former { lane.abandon() }
        lanes = []
        settings = new
        queue.settings = new.queue
        try makeLanes()
        for index in lanes.indices {
            let same = former.first {
                $0.name == lanes[index].name && $0.endpoint == lanes[index].endpoint
            }
            if let same { lanes[index].goOn(from: same) }
        }
        forgetOthers(queue.places)
        for destination in settings.destinations { warn(of: destination) }
    }

    // MARK: the loop

    /// Goes on until SIGINT or SIGTERM.
    public func run() throws(ForwardError) {
        let signals = rw_open_signals()
        if signals < 0 { throw .resources(operation: "watch for signals", errno: signals) }
        defer { close(signals) }
        while true {
            let now = rw_boot_ns()
            turn(now)
            switch wait(signals, now) {
            case SIGINT, SIGTERM:
                end()
                return
            case SIGHUP: beginReload(now)
            default: break
            }
        }
    }

    private func end() {
        for lane in lanes { lane.abandon() }
        reload?.abandon()
        status?.remove()
        let waiting = lanes.map { $0.waitingCount(queue) }.max() ?? 0
        if waiting > 0 {
            complain("ended; \(waiting) alerts wait in \(queue.path) for the next start")
        }
    }

    private func turn(_ now: UInt64) {
        follower.advance(&reader)
        let isNews = reader.isStateNews
        let events = reader.takeEvents()
        if !events.isEmpty || isNews {
            queue.append(events, state: reader.state, now: now)
        } else {
            queue.turn(now: now)
        }
        tellAbsence(now)
        for index in lanes.indices {
            lanes[index].turn(queue, absence: absence, now: now)
            for message in lanes[index].takeMessages() { complain(message) }
        }
        if let first = lanes.map(\.place.next).min() { queue.forget(below: first) }
        for message in queue.takeMessages() { complain(message) }
        finishReload(now)
        writeStatus(now)
    }

    /// - Returns: a signal that came, or 0.
    private func wait(_ signals: Int32, _ now: UInt64) -> Int32 {
        var entries = [pollfd(fd: signals, events: Int16(POLLIN), revents: 0)]
        var until = now &+ UInt64(settings.lookMilliseconds) * 1_000_000
        for lane in lanes {
            entries += lane.descriptors
            if let wake = lane.wake { until = min(until, wake) }
        }
        entries += reload?.descriptors ?? []
        let milliseconds = until > now ? Int((until - now + 999_999) / 1_000_000) : 0
        sender.wait(&entries, milliseconds: milliseconds)
        return entries[0].revents != 0 ? rw_read_signal(signals) : 0
    }

    /// What alerts that stand say while nobody watches whether they still do.
    private var absence: String? {
        absentSince.map { "no agent runs since \(timestamp($0)): what became of it is not known" }
    }

    private func tellAbsence(_ now: UInt64) {
        let sentence = follower.isFollowing ? nil : follower.absence.sentence(settings.box)
        if sentence == nil {
            absentSince = nil
        } else if absentSince == nil {
            absentSince = Int64(clamping: now) &+ rw_realtime_offset_ns()
        }
        guard sentence != toldAbsence else { return }
        toldAbsence = sentence
        complain(sentence.map { "waiting: \($0)" } ?? "the agent is there")
    }

    private func writeStatus(_ now: UInt64) {
        guard var file = status, file.isDue(at: now) else { return }
        var status = ForwardStatus()
        status.isFollowing = follower.isFollowing
        status.queueBytes = queue.bytes
        status.queueFailures = queue.failures
        status.missedLines = reader.missedLines
        status.missedIncidents = reader.missedIncidents
        status.destinations = lanes.map { lane in
            var destination = ForwardStatus.Destination()
            destination.name = lane.name
            destination.endpoint = lane.endpoint
            destination.queued = UInt64(lane.waitingCount(queue))
            destination.oldestNanoseconds = lane.oldestAge(queue, now: now)
            destination.sent = lane.account.sent
            destination.lastSuccess = lane.place.lastSuccess
            destination.failed = lane.account.failed
            destination.dropped = lane.account.dropped
            return destination
        }
        if let failure = file.write(status, now: now) { complain(failure) }
        self.status = file
    }
}

/// The file in which `metrics` finds how it goes.
struct StatusFile {
    private let path: String
    private let bootID: String
    private var written = ForwardStatus()
    private var next: UInt64 = 0
    private var trouble: Int32 = 0
    private let lookNanoseconds: UInt64

    init(path: String, bootID: String, each milliseconds: Int) {
        self.path = path
        lookNanoseconds = UInt64(milliseconds) * 1_000_000
        self.bootID = bootID
        if let slash = path.lastIndex(of: "/"), slash > path.startIndex {
            mkdir(String(path[..<slash]), 0o755)
        }
    }

    /// It is looked this often whether something changed.
    func isDue(at now: UInt64) -> Bool { now >= next }

    /// - Returns: what went wrong, once.
    mutating func write(_ status: ForwardStatus, now: UInt64) -> String? {
        next = now &+ lookNanoseconds
        var status = status
        status.bootID = bootID
        // Ages alone are no news.
        var same = written
        same.writtenBootNanoseconds = 0
        for index in same.destinations.indices where index < status.destinations.count {
            same.destinations[index].oldestNanoseconds =
                status.destinations[index].oldestNanoseconds
        }
        let isOld = now >= written.writtenBootNanoseconds &+ ForwardStatus.writtenEachNanoseconds
        guard isOld || same != status else { return nil }
        status.writtenBootNanoseconds = now
        let failure = FrameFile.replace(path, status.bytes, mode: 0o644, isDurable: false)
        defer { trouble = failure }
        if failure == 0 { written = status }
        guard failure != 0, failure != trouble else { return nil }
        return "cannot write \(path), so that metrics cannot tell of deliveries: "
            + "\(words(failure)); choose another --status"
    }

    /// What nobody writes any more is stale.
    func remove() { if trouble == 0 { unlink(path) } }
}
