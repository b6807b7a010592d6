// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import ReserveKernel
import ReserveSinks

/// Keys in, frames out, at a steady rate; all that is shown comes from the session.
struct TopLoop: ~Copyable {
    private let session: TopSession
    private var terminal: TopTerminal
    private var renderer: TopRenderer
    private var painter: TopPainter
    private var writer: ByteWriter
    private var keys = TopKeyDecoder()
    private let signals: Int32
    private let glyphs: TopGlyphs
    private let interval: UInt64
    private var continued: UInt32 = 0
    private var wasStopped = false
    private var lastElapsed: UInt64
    private var lastDraw: UInt64 = 0
    private var isStale = true

    /// A key is answered at once, but no more than four times a second.
    private static let fastest: UInt64 = 250_000_000
    /// A turn is no longer, so that an absence is known to a quarter of a second.
    private static let turn: UInt64 = 250_000_000
    /// How long an escape waits for what may follow it.
    private static let escape: UInt64 = 50_000_000
    /// Not having run for so long is told.
    private static let away: UInt64 = 2_000_000_000

    init(
        session: TopSession, abilities: TopAbilities, intervalNanoseconds: UInt64
    ) throws(WatchError) {
        let signals = rw_open_signals()
        if signals < 0 { throw .resources(operation: "watch for signals", errno: -signals) }
        let terminal = try TopTerminal()
        let size = TopTerminal.size(of: terminal.descriptor)
        self.signals = signals
        self.session = session
        glyphs = abilities.glyphs
        interval = intervalNanoseconds
        renderer = TopRenderer(colours: abilities.colours)
        self.terminal = terminal
        painter = TopPainter(columns: size.columns, rows: size.rows, glyphs: glyphs)
        writer = ByteWriter(capacityBytes: TopRenderer.frameBytes)
        lastElapsed = rw_boot_ns()
    }

    /// Runs until the user quits, a signal asks to end, or the terminal is gone.
    mutating func run() {
        continued = rw_terminal_continued()
        var begun = rw_boot_ns()
        var used = rw_cpu_ns()
        var planned: UInt64 = 0
        while true {
            let now = rw_boot_ns()
            let late = now - begun
            let worked = rw_cpu_ns() - used
            if late > planned + worked + Self.away { wasAway(from: begun + planned, to: now) }
            wasStopped = false
            begun = now
            used = rw_cpu_ns()
            if isDue(now) { draw(now) }
            if terminal.failure != 0 { return }
            planned = wait(now)
            guard takeInput(planned) else { return }
        }
    }

    private func isDue(_ now: UInt64) -> Bool {
        // What is waiting for a slow line is the base of the next frame.
        if terminal.isWaiting { return false }
        return now >= lastDraw + interval
            || isStale && now >= lastDraw + min(Self.fastest, interval)
    }

    /// How long the next wait may be.
    private func wait(_ now: UInt64) -> UInt64 {
        if keys.isPending { return Self.escape }
        if terminal.isWaiting { return Self.turn }
        let due = lastDraw + (isStale ? min(Self.fastest, interval) : interval)
        return due > now ? min(due - now, Self.turn) : 0
    }

    private mutating func wasAway(from: UInt64, to: UInt64) {
        // What another clock recorded has no such gap.
        if session.player.isLive {
            session.wasAway(from: from, to: to, isStopped: wasStopped)
        }
        lastElapsed = to
    }

    private mutating func draw(_ now: UInt64) {
        session.elapse(nanoseconds: now - lastElapsed)
        lastElapsed = now
        session.hostClock = session.player.isLive ? now : nil
        painter.draw(session)
        writer.clear()
        renderer.write(painter.grid, &writer)
        // A frame that was not sent whole is the base of none.
        if writer.isWhole { terminal.append(writer.bytes) } else { renderer.forget() }
        lastDraw = now
        isStale = false
    }

    /// Waits for keys, signals or the time of the next frame; false: it is over.
    private mutating func takeInput(_ nanoseconds: UInt64) -> Bool {
        let events = Int16(terminal.isWaiting ? POLLIN | POLLOUT : POLLIN)
        var entries: InlineArray<2, pollfd> = [
            pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
            pollfd(fd: terminal.descriptor, events: events, revents: 0),
        ]
        let milliseconds = Int32(clamping: (nanoseconds + 999_999) / 1_000_000)
        let ready = withUnsafeMutableBytes(of: &entries) { bytes in
            poll(bytes.assumingMemoryBound(to: pollfd.self).baseAddress, 2, milliseconds)
        }
        if rw_terminal_continued() != continued {
            continued = rw_terminal_continued()
            wasStopped = true
            resize()
        }
        if ready == 0, let key = keys.timeout() { return take(key) }
        guard ready > 0 else { return true }
        if entries[0].revents != 0 {
            let signal = rw_read_signal(signals)
            if signal == SIGWINCH { resize() }
            if signal == SIGINT || signal == SIGTERM || signal == SIGHUP { return false }
        }
        let happened = Int32(entries[1].revents)
        if happened & Int32(POLLERR | POLLNVAL) != 0 { return false }
        if happened & Int32(POLLOUT) != 0 { terminal.flush() }
        if happened & Int32(POLLIN) != 0 { return readKeys() }
        // A terminal that hung up and has nothing more to say is gone.
        return happened & Int32(POLLHUP) == 0
    }

    private mutating func readKeys() -> Bool {
        var bytes = InlineArray<256, UInt8>(repeating: 0)
        let count = withUnsafeMutableBytes(of: &bytes) { buffer in
            read(terminal.descriptor, buffer.baseAddress, buffer.count)
        }
        if count < 0 { return errno == EAGAIN || errno == EINTR }
        // The end of the input: nobody is there any more.
        if count == 0 { return false }
        for index in 0..<count {
            if let key = keys.take(bytes[index]), !take(key) { return false }
        }
        return true
    }

    private mutating func take(_ key: TopKey) -> Bool {
        isStale = true
        switch session.take(key, listed: painter) {
        case .quit: return false
        case .suspend:
            raise(SIGTSTP)
            continued = rw_terminal_continued()
            wasStopped = true
            resize()
        case .redraw: resize()
        default: break
        }
        return true
    }

    /// The terminal may have another size now, and show anything.
    private mutating func resize() {
        let (columns, rows) = TopTerminal.size(of: terminal.descriptor)
        painter = TopPainter(columns: columns, rows: rows, glyphs: glyphs)
        renderer.forget()
        isStale = true
    }
}
