// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import ReserveKernel
import ReserveSinks

/// What a terminal can show, by its environment: no terminfo, which a rescue system may lack.
struct TopAbilities {
    enum Colour: String, CaseIterable {
        case auto
        case none
        case sixteen = "16"
        case truecolor
    }

    enum Charset: String, CaseIterable {
        case auto
        case ascii
        case utf8
    }

    var glyphs: TopGlyphs
    var colours: TopColours
    /// TERM=dumb: nothing can be drawn on it.
    var isDumb: Bool

    init(charset: Charset, colour: Colour) {
        let term = Self.variable("TERM")
        isDumb = term == "dumb"
        switch charset {
        case .ascii: glyphs = .ascii
        case .utf8: glyphs = .utf8
        // The kernel's own console has a font of 256 or 512 characters, without the bars.
        case .auto: glyphs = Self.isLocaleUTF8 && term != "linux" ? .utf8 : .ascii
        }
        switch colour {
        case .none: colours = .none
        case .sixteen: colours = .sixteen
        case .truecolor: colours = .truecolor
        case .auto:
            let isMonochrome =
                term.isEmpty || term.hasPrefix("vt") || term.hasSuffix("-m")
                || term.hasSuffix("-mono") || isDumb
            if isMonochrome || !Self.variable("NO_COLOR").isEmpty {
                colours = .none
            } else {
                let truecolor = Self.variable("COLORTERM")
                colours = truecolor == "truecolor" || truecolor == "24bit" ? .truecolor : .sixteen
            }
        }
    }

    /// As setlocale(3) reads the variables: the first that is set counts.
    private static var isLocaleUTF8: Bool {
        for name in ["LC_ALL", "LC_CTYPE", "LANG"] {
            let value = variable(name).lowercased()
            if !value.isEmpty { return value.contains("utf-8") || value.contains("utf8") }
        }
        return false
    }

    private static func variable(_ name: String) -> String {
        getenv(name).map { String(cString: $0) } ?? ""
    }
}

/// The terminal, taken over for as long as this lives.
struct TopTerminal: ~Copyable {
    let descriptor: Int32
    private var queue: OutputQueue

    /// Alternate screen, cursor hidden, no wrapping at the right edge; and the way back.
    private static let enter: StaticString = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l\u{1b}[2J"
    private static let leave: StaticString =
        "\u{1b}[?2026l\u{1b}[0m\u{1b}[?7h\u{1b}[?25h\u{1b}[2J\u{1b}[H\u{1b}[?1049l"

    init() throws(WatchError) {
        guard isatty(STDOUT_FILENO) == 1 else {
            throw .output(path: "the screen, which is no terminal", errno: ENOTTY)
        }
        let opened = rw_terminal_reopen(STDOUT_FILENO)
        guard opened >= 0 else {
            throw .resources(operation: "open the terminal", errno: -opened)
        }
        let result = rw_terminal_enter(
            opened, Self.cString(Self.enter), Self.cString(Self.leave))
        if result < 0 { throw .resources(operation: "take over the terminal", errno: -result) }
        descriptor = opened
        queue = OutputQueue(
            descriptor: opened,
            capacityBytes: TopRenderer.frameBytes, closesAtEnd: false)
    }

    deinit {
        rw_terminal_leave()
    }

    private static func cString(_ text: StaticString) -> UnsafePointer<CChar> {
        UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
    }

    var isWaiting: Bool { queue.isWaiting }
    /// The errno that ended it: the terminal is gone.
    var failure: Int32 { queue.failure }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        queue.append(bytes)
        queue.flush()
    }

    mutating func flush() {
        queue.flush()
    }

    /// Columns and rows; 80 by 24 where the terminal does not know, as on serial lines.
    static func size(of descriptor: Int32) -> (columns: Int, rows: Int) {
        var columns: Int32 = 0
        var rows: Int32 = 0
        guard rw_terminal_size(descriptor, &columns, &rows) == 0, columns > 0, rows > 0 else {
            return (80, 24)
        }
        return (Int(columns), Int(rows))
    }
}
