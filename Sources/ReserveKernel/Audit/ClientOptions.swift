// SPDX-License-Identifier: Apache-2.0

/// What nbd-client was told, from its command line or from /etc/nbdtab.
///
/// The options are those of nbd-client 3.24, which parses them with getopt_long_only(3): one
/// dash or two, abbreviated as long as it is clear, or a cluster of letters.
public struct ClientOptions: Equatable, Sendable {
    public var swap = false
    public var persist = false
    public var tls = false
    public var noFork = false
    public var noNetlink = false
    public var timeoutSeconds: UInt64?
    public var connections: Int?
    /// Whether the program is nbd-client at all; else nothing of the above is known.
    public var isNBDClient = false

    /// Fields of the line of nbdtab that the above comes from, if it does.
    public var nbdtabFields: Int?

    public init() {}

    private static let flags: [(name: String, letter: Character)] = [
        ("no-optgo", "g"), ("nonetlink", "L"), ("systemd-mark", "m"), ("nofork", "n"),
        ("persist", "p"), ("preinit", "P"), ("readonly", "R"), ("sdp", "S"), ("swap", "s"),
        ("unix", "u"), ("enable-tls", "x"), ("help", "h"), ("list", "l"), ("version", "V"),
    ]
    private static let valued: [(name: String, letter: Character)] = [
        ("cacertfile", "A"), ("block-size", "b"), ("size", "B"), ("check", "c"),
        ("connections", "C"), ("disconnect", "d"), ("certfile", "F"), ("tlshostname", "H"),
        ("keyfile", "K"), ("name", "N"), ("timeout", "t"),
    ]

    /// - Parameter nbdtab: the file's text, for a client that was only told the device.
    public static func parse(_ cmdline: [String], nbdtab: String? = nil) -> ClientOptions {
        var options = ClientOptions()
        guard let program = cmdline.first?.split(separator: "/").last,
            // -systemd-mark overwrites the first letter of argv[0]
            program == "nbd-client"
                || cmdline[0].hasPrefix("@")
                    && cmdline[0].hasSuffix("bd-client")
        else { return options }
        options.isNBDClient = true
        var plain: [String] = []
        var index = 1
        while index < cmdline.count {
            let word = cmdline[index]
            index += 1
            guard word.hasPrefix("-"), word.count > 1 else {
                // the old way to say it
                if word.hasPrefix("timeout=") { options.take("t", String(word.dropFirst(8))) }
                plain.append(word)
                continue
            }
            for (letter, value) in letters(of: word) {
                var value = value
                if value == nil, valued.contains(where: { $0.letter == letter }) {
                    value = index < cmdline.count ? cmdline[index] : ""
                    index += 1
                }
                options.take(letter, value ?? "")
            }
        }
        if plain.count == 1, let device = plain[0].split(separator: "/").last, let nbdtab {
            options.take(nbdtab: nbdtab, device: String(device))
        }
        return options
    }

    /// The short letters that a word stands for, the last with its value if it is glued on.
    private static func letters(of word: String) -> [(Character, String?)] {
        let body = word.drop(while: { $0 == "-" })
        let name = String(body.prefix(while: { $0 != "=" }))
        let value = body.contains("=") ? String(body.dropFirst(name.count + 1)) : nil
        let all = flags + valued
        let matches = all.filter { $0.name.hasPrefix(name) }
        if let exact = all.first(where: { $0.name == name }) { return [(exact.letter, value)] }
        // One letter is the short option even where a long one begins with it.
        if matches.count == 1, name.count > 1 { return [(matches[0].letter, value)] }
        var found: [(Character, String?)] = []
        var rest = body
        while let letter = rest.first {
            rest = rest.dropFirst()
            if valued.contains(where: { $0.letter == letter }) {
                return found + [(letter, rest.isEmpty ? nil : String(rest))]
            }
            found.append((letter, nil))
        }
        return found
    }

    private mutating func take(_ letter: Character, _ value: String) {
        switch letter {
        case "s": swap = true
        case "p": persist = true
        case "n": noFork = true
        case "L": noNetlink = true
        case "x", "F", "K", "A", "H": tls = true
        // Anybody may call a process so: the driver takes 32 bits of it at most.
        case "t": timeoutSeconds = UInt64(value).map { min($0, UInt64(UInt32.max)) }
        case "C": connections = Int(value)
        default: break
        }
    }

    /// "nbd0 host export swap,persist,timeout=20", see nbdtab(5).
    private mutating func take(nbdtab: String, device: String) {
        for line in nbdtab.split(separator: "\n") {
            let fields = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            guard fields.count >= 3, fields[0].split(separator: "/").last.map(String.init) == device
            else { continue }
            nbdtabFields = fields.count
            for option in fields.dropFirst(3).joined().split(separator: ",") {
                let pair = option.split(separator: "=", maxSplits: 1).map(String.init)
                let value = pair.count > 1 ? pair[1] : ""
                switch pair[0] {
                case "swap": take("s", "")
                case "persist": take("p", "")
                case "tls", "certfile", "keyfile", "cacertfile", "tlshostname": take("x", "")
                case "timeout": take("t", value)
                case "conns": take("C", value)
                default: break
                }
            }
        }
    }
}

/// A word for a POSIX shell, safe to print: what is not plain is quoted, and what could steer
/// a terminal or hide is written as $'\x..', which bash, zsh and busybox read.
func shellQuoted(_ word: String) -> String {
    func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            return true
        default:
            return "-_./:,=@+%".utf8.contains(byte)
        }
    }
    if !word.isEmpty, word.utf8.allSatisfy(isPlain) { return word }
    if word.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) {
        return "'"
            + word.split(separator: "'", omittingEmptySubsequences: false)
            .joined(separator: "'\\''") + "'"
    }
    var text = "$'"
    for byte in word.utf8 {
        if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\\") {
            text += "\\" + String(UnicodeScalar(byte))
        } else if byte >= 0x20 && byte < 0x7f {
            text += String(UnicodeScalar(byte))
        } else {
            let digits = String(byte, radix: 16)
            text += "\\x" + (digits.count < 2 ? "0" : "") + digits
        }
    }
    return text + "'"
}
