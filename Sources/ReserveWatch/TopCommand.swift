// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import ReserveAgent
import ReserveKernel
import ReserveModel
import ReserveSinks
import ReserveStore

extension TopAbilities.Charset: ExpressibleByArgument {}
extension TopAbilities.Colour: ExpressibleByArgument {}

struct TopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top",
        abstract: "Shows the reserves, who waits and what the swap does, live or from a recording.",
        discussion: """
            Keys: ? lists them. Space stops the time, the arrows go back and on, n and N to \
            the turns of an incident, q quits. On a serial console, in a monochrome \
            terminal and without UTF-8 it shows the same in plain ASCII. docs/top.md tells \
            how to read it.

            Without --replay it reads the black box of the agent that runs; where none runs, \
            it starts one of its own, which needs root.

            EXAMPLES
              reservewatch top
              reservewatch top --once >ticket.txt
              reservewatch top --replay incident.rwr
              reservewatch top --replay incident.rwr --at 03:27:10
              reservewatch top --replay incident.rwr --at @12s --once --pane tasks
            """
    )

    @Option(
        help: ArgumentHelp(
            "Look at this recording, directory of segments or black box instead.",
            valueName: "recording"))
    var replay: String?

    @Option(
        help: ArgumentHelp(
            "Begin at this time and stay there: 03:27:10, 2026-11-25T03:27:10Z, @12s from the start.",
            valueName: "time"))
    var at: String?

    @Flag(help: "Print one plain frame and leave: of the end, or of --at.")
    var once = false

    @Option(
        help: "Open this screen: overview, tasks, sockets, slab, nbd, zones, events or agent.")
    var pane: String?

    @Option(help: "Seconds between two frames, 0.1 to 60.")
    var interval: Double = 1

    @Option(help: "Play a recording so many times faster, 0.1 to 300.")
    var speed: Double = 1

    @Option(
        help: ArgumentHelp(
            "Size of the frame of --once; that of the terminal, else 80x24.",
            valueName: "columns x rows"))
    var size: String?

    @Option(help: "With what to draw: ascii, utf8, or auto, by the locale.")
    var charset: TopAbilities.Charset = .auto

    @Option(help: "auto, none, 16 or truecolor.")
    var color: TopAbilities.Colour = .auto

    @OptionGroup var source: SourceOptions
    @OptionGroup var watch: WatchOptions

    mutating func validate() throws {
        guard interval >= 0.1, interval <= 60 else {
            throw ValidationError("--interval \(interval) is not within 0.1 and 60 seconds.")
        }
        guard speed >= 0.1, speed <= 300 else {
            throw ValidationError("--speed \(speed) is not within 0.1 and 300.")
        }
        if let at, TopMoment(Array(at.utf8)) == nil {
            throw ValidationError(
                "--at \(at) is no time; write 03:27:10, 2026-11-25T03:27:10Z or @12s.")
        }
        if size != nil, frameSize() == nil {
            throw ValidationError("--size \(size ?? "") is no size; write 80x24.")
        }
        if let pane, !TopPane.allCases.contains(where: { "\($0.word)" == pane && $0 != .story }) {
            throw ValidationError("--pane \(pane) is no screen of top.")
        }
    }

    private func frameSize() -> (columns: Int, rows: Int)? {
        guard let size else { return nil }
        let parts = size.split(separator: "x")
        guard parts.count == 2, let columns = Int(parts[0]), let rows = Int(parts[1]),
            (20...TopGrid.mostColumns).contains(columns), (5...TopGrid.mostRows).contains(rows)
        else { return nil }
        return (columns, rows)
    }

    func run() throws {
        var recorded: RecordedEvents?
        do throws(StoreError) {
            if let replay { recorded = try RecordedEvents(path: replay) }
        } catch {
            throw leave(error)
        }
        do {
            try look(recorded)
        } catch let error as WatchError {
            throw leave(error)
        }
        // Told when the screen is the shell's again.
        for problem in recorded?.problems ?? [] { printError(problem.sentence) }
    }

    private func look(_ recorded: RecordedEvents?) throws {
        let abilities = TopAbilities(charset: charset, colour: color)
        if !once, isatty(STDOUT_FILENO) != 1 {
            throw WatchError.terminal(reason: "standard output is none")
        }
        if !once, abilities.isDumb { throw WatchError.terminal(reason: "TERM is dumb") }
        let source: TopSource
        if let recorded {
            source = recorded.source
        } else {
            let events = try LiveEvents(self.source.choice(watch))
            if once { events.settle() }
            source = events.source
        }
        let session = TopSession(
            player: TopPlayer(source, policy: Policy()))
        if let pane { _ = session.open(pane: pane) }
        session.setSpeed(tenths: UInt64(speed * 10))
        if let at, let moment = TopMoment(Array(at.utf8)) {
            guard session.go(to: moment) else {
                throw WatchError.notARecording(
                    path: replay ?? "the live stream", reason: "it does not tell the host's clock")
            }
        } else if once {
            session.goToEnd()
        }
        if once {
            try printFrame(session, abilities)
            return
        }
        var loop = try TopLoop(
            session: session, abilities: abilities,
            intervalNanoseconds: UInt64(interval * 1_000_000_000))
        loop.run()
    }

    private func printFrame(_ session: TopSession, _ abilities: TopAbilities) throws {
        let size = frameSize() ?? TopTerminal.size(of: STDOUT_FILENO)
        var painter = TopPainter(
            columns: size.columns, rows: size.rows, glyphs: abilities.glyphs)
        painter.draw(session)
        var writer = ByteWriter(capacityBytes: size.columns * size.rows * 4 + size.rows)
        painter.grid.writeText(&writer)
        try printOut([UInt8](writer.bytes))
    }
}
