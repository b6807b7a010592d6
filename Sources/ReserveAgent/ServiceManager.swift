// SPDX-License-Identifier: Apache-2.0

import CLinux
import CRecord
import Glibc
import ReserveKernel
import ReserveModel
import ReserveSinks

/// What the watch tells the service manager, by sd_notify(3): that it is ready, what the host's
/// state is, that it still turns, that it reads its settings anew, that it ends.
///
/// A datagram takes memory in the kernel, whatever MSG_DONTWAIT says:
/// net/unix/af_unix.c:unix_dgram_sendmsg() takes its buffer with the socket's sk_allocation,
/// GFP_KERNEL, and that goes into direct reclaim like any other. So a thread sends, as for alerts,
/// and the loop hands over.
///
/// The watchdog asks whether the watch turns, and all that the manager can see is whether
/// datagrams come. In a stall these are two things: the loop turns, the thread is stuck. A watch
/// that were killed then would be lost in the very moment that it is for. So the watchdog is
/// called off while the host is anything but calm (docs/decisions/0013).
struct ServiceManager: ~Copyable {
    private var output: Output
    private var writer = ByteWriter(capacityBytes: 1024)
    private var state: HostState?
    /// What the manager waits for at most; 0: it does not.
    private let watchdogMicroseconds: UInt64
    private var nextPing: UInt64 = 0
    private var isCalledOff = false
    private var toldLines: UInt64 = .max
    private var toldDropped: UInt64 = 0

    /// The name of its row among the places that the watch writes to, and its number, behind all
    /// places of alerts.
    private let name = [UInt8]("service manager".utf8)
    private static let index = AgentSettings.mostAlertPlaces

    /// nil: none asked to be told.
    init?(_ environment: Environment = .own) throws(WatchError) {
        guard let path = environment.socket else { return nil }
        let descriptor = rw_notify_socket(path)
        guard descriptor >= 0 else {
            throw .resources(operation: "tell the service manager at \(path)", errno: descriptor)
        }
        guard
            let output = Output.forLoop(
                descriptor: descriptor, capacityBytes: 16 * 1024, closesAtEnd: true)
        else {
            throw .resources(operation: "start a thread for the service manager", errno: EAGAIN)
        }
        self.output = output
        watchdogMicroseconds = environment.watchdogMicroseconds
    }

    /// What sd_notify(3) and sd_watchdog_enabled(3) look at.
    struct Environment {
        var socket: String?
        var watchdogMicroseconds: UInt64 = 0

        init(socket: String?, watchdog: String?, owner: String?, process: Int32) {
            self.socket = socket
            guard let period = watchdog.flatMap({ UInt64($0) }), period < 1 << 50,
                owner == nil || owner == "\(process)"
            else { return }
            watchdogMicroseconds = period
        }

        static var own: Environment {
            func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
            return Environment(
                socket: variable("NOTIFY_SOCKET"), watchdog: variable("WATCHDOG_USEC"),
                owner: variable("WATCHDOG_PID"), process: getpid())
        }
    }

    /// When the loop has turned for the first time.
    mutating func ready(_ picture: borrowing Picture) {
        writer.clear()
        writer.text("READY=1\n")
        status(picture)
        send()
    }

    mutating func reloading() {
        writer.clear()
        writer.text("RELOADING=1\nMONOTONIC_USEC=")
        writer.number(rw_monotonic_us())
        writer.text("\n")
        send()
    }

    /// That it has come to an end, whatever came of it.
    mutating func reloaded(_ settings: rw_times) {
        writer.clear()
        writer.text("READY=1\nSTATUS=")
        var state = SettingsState()
        state.outcome = .init(rawValue: settings.outcome)
        switch state.outcome {
        case .taken: writer.text("settings taken")
        case .refused: writer.text("settings refused: the configuration has errors; as before")
        default: writer.text("settings were not read; as before")
        }
        if settings.waiting > 0 {
            writer.text(", ")
            writer.number(UInt64(settings.waiting))
            writer.text(" wait for a restart")
        }
        writer.text("\n")
        send()
        // The next turn tells the host's state again.
        self.state = nil
    }

    mutating func stopping() {
        writer.clear()
        writer.text("STOPPING=1\n")
        send()
    }

    /// From the loop, each second. Does not allocate, does not wait.
    mutating func turn(_ picture: borrowing Picture, at now: UInt64) {
        let seen = picture.verdict.state
        if seen != state {
            state = seen
            writer.clear()
            callOff(seen > .calm)
            status(picture)
            send()
        }
        guard watchdogMicroseconds > 0, !isCalledOff, now >= nextPing else { return }
        nextPing = now + watchdogMicroseconds * 1000 / 4
        writer.clear()
        writer.text("WATCHDOG=1\n")
        send()
    }

    private mutating func callOff(_ isWanted: Bool) {
        guard watchdogMicroseconds > 0, isWanted != isCalledOff else { return }
        isCalledOff = isWanted
        writer.text("WATCHDOG_USEC=")
        writer.number(isWanted ? 0 : watchdogMicroseconds)
        writer.text("\n")
        if !isWanted { nextPing = 0 }
    }

    /// A line of the verdict; the last of its datagram, for what has no room is cut off.
    private mutating func status(_ picture: borrowing Picture) {
        writer.text("STATUS=")
        writer.verdictEvidence(
            picture, pageKB: UInt64(picture.host?.pageSizeBytes ?? 4096) / 1024)
        writer.text("\n")
    }

    private mutating func send() {
        output.append(writer.bytes, since: rw_boot_ns())
    }

    /// Hands its record to `body` when it changed: datagrams taken, lost, waiting.
    mutating func state(at now: UInt64, _ body: (UnsafeRawBufferPointer) -> Void) {
        guard let thread = output.threadState else { return }
        let dropped = output.lost &+ thread.failed
        guard thread.lines != toldLines || dropped != toldDropped || thread.waiting_bytes > 0
        else { return }
        toldLines = thread.lines
        toldDropped = dropped
        var record = name.withUnsafeBytes {
            UserRecords.sink(
                name: $0, index: Self.index, isJSON: false, lines: thread.lines, dropped: dropped,
                waitingBytes: thread.waiting_bytes, lastNanoseconds: thread.last_ns,
                worstNanoseconds: thread.worst_ns, error: thread.error, bootNanoseconds: now)
        }
        withUnsafeBytes(of: &record, body)
    }

    mutating func finish(withinMilliseconds limit: Int32) {
        output.finish(withinMilliseconds: limit)
    }
}
