// SPDX-License-Identifier: Apache-2.0

/// One `Key=Value`, with the line on which it begins.
public struct ConfigAssignment: Sendable, Equatable {
    public var key: String
    /// Without the white space around it. Empty: what was set before is taken back.
    public var value: String
    public var place: ConfigPlace

    public init(key: String, value: String, place: ConfigPlace) {
        self.key = key
        self.value = value
        self.place = place
    }
}

/// One `[Kind]` or `[Kind NAME]` as it stands in a file, with what follows it.
public struct ConfigBlock: Sendable, Equatable {
    public var kind: String
    public var name: String?
    public var place: ConfigPlace
    public var assignments: [ConfigAssignment] = []

    public init(kind: String, name: String? = nil, place: ConfigPlace) {
        self.kind = kind
        self.name = name
        self.place = place
    }
}

/// The text of one file, taken apart as systemd.syntax(7) has it: sections, assignments, comments
/// that begin with # or ;, a backslash at a line's end that joins the next.
///
/// What cannot be taken apart is a problem with its line; what follows it is read all the same.
public struct ConfigText: Sendable {
    /// What one file may have at most. More is an error: nobody wrote that by hand.
    public enum Limit {
        public static let fileBytes = 256 * 1024
        public static let lineBytes = 8 * 1024
        public static let blocks = 256
        public static let assignments = 4096
        public static let nameBytes = 64
    }

    public private(set) var blocks: [ConfigBlock] = []
    public private(set) var problems: [ConfigProblem] = []

    public let file: String
    private var assignments = 0
    private var isFull = false
    /// What follows a section that was not understood belongs nowhere.
    private var isInUnknown = false
    private var joined: (text: String, line: Int)?

    /// What was said elsewhere, such as on the command line; it is read like a file.
    public init(_ blocks: [ConfigBlock], from source: String) {
        file = source
        self.blocks = blocks
    }

    /// Reads the bytes of `file`, which is the name told in problems.
    public init(_ bytes: [UInt8], file: String) {
        self.file = file
        guard bytes.count <= Limit.fileBytes else {
            problem(0, "it has \(bytes.count) bytes; \(Limit.fileBytes) is the most")
            return
        }
        var number = 0
        var rest = bytes[...]
        while !rest.isEmpty, !isFull {
            number += 1
            let end = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.endIndex
            take(line: rest[..<end], number)
            rest = rest[min(end + 1, rest.endIndex)...]
        }
        if let joined, !isFull {
            problem(number, "the file ends where a backslash promises another line")
            finish(joined.text, joined.line)
        }
    }

    private mutating func problem(
        _ line: Int, _ reason: String, _ severity: ConfigProblem.Severity = .error
    ) {
        problems.append(ConfigProblem(severity, at: ConfigPlace(file: file, line: line), reason))
    }

    /// One line of the file.
    private mutating func take(line: ArraySlice<UInt8>, _ number: Int) {
        guard line.count <= Limit.lineBytes else {
            return problem(
                number, "the line has \(line.count) bytes; \(Limit.lineBytes) is the most")
        }
        guard let text = String(validating: line, as: UTF8.self) else {
            return problem(number, "the line is not UTF-8; write it as UTF-8, or as plain ASCII")
        }
        let trimmed = trim(text[...])
        if let bad = trimmed.unicodeScalars.first(where: isControl) {
            let code = String(bad.value, radix: 16, uppercase: true)
            return problem(number, "the line holds the control character U+\(pad(code)); remove it")
        }
        if trimmed.first == "#" || trimmed.first == ";" { return }
        let begin = joined?.line ?? number
        let whole = joined.map { "\($0.text) \(trimmed)" } ?? String(trimmed)
        joined = nil
        guard isContinued(trimmed) else { return finish(whole, begin) }
        guard whole.utf8.count <= Limit.lineBytes else {
            return problem(begin, "joined lines have more than \(Limit.lineBytes) bytes")
        }
        joined = (String(trim(whole.dropLast())), begin)
    }

    /// A line that is whole.
    private mutating func finish(_ text: String, _ line: Int) {
        if text.isEmpty { return }
        if text.first == "[" { return open(text, line) }
        guard let equals = text.firstIndex(of: "=") else {
            return problem(
                line, "\"\(quoted(text))\" is neither [Section] nor Key=Value nor a comment (#)")
        }
        let key = String(trim(text[..<equals]))
        guard !key.isEmpty, key.unicodeScalars.allSatisfy(isOfName) else {
            return problem(
                line, "\"\(quoted(key))\" before the = is no name of a key: letters and digits")
        }
        guard !isInUnknown else { return }
        guard !blocks.isEmpty else {
            return problem(line, "\(key)= stands before the first [Section]; move it below one")
        }
        assignments += 1
        guard assignments <= Limit.assignments else {
            isFull = true
            return problem(
                line, "more than \(Limit.assignments) assignments; what follows is not read")
        }
        let value = String(trim(text[text.index(after: equals)...]))
        blocks[blocks.count - 1].assignments.append(
            ConfigAssignment(
                key: key, value: value, place: ConfigPlace(file: file, line: line)))
    }

    /// `[Kind]` or `[Kind NAME]`.
    private mutating func open(_ text: String, _ line: Int) {
        isInUnknown = true
        guard text.last == "]" else {
            return problem(line, "\"\(quoted(text))\" lacks the ] of a [Section]")
        }
        let words = trim(text.dropFirst().dropLast()).split(
            maxSplits: 1, whereSeparator: { $0 == " " || $0 == "\t" })
        guard let kind = words.first, kind.unicodeScalars.allSatisfy(isOfName) else {
            return problem(line, "\"\(quoted(text))\" is no [Section]: letters and digits")
        }
        let name = words.count > 1 ? String(trim(words[1])) : nil
        if let name {
            guard name.utf8.count <= Limit.nameBytes, name.unicodeScalars.allSatisfy(isOfName)
            else {
                return problem(
                    line,
                    "\"\(quoted(name))\" is no name of a [\(kind) NAME]: letters, digits and - _ . "
                        + "@, at most \(Limit.nameBytes) bytes")
            }
        }
        guard blocks.count < Limit.blocks else {
            isFull = true
            return problem(line, "more than \(Limit.blocks) sections; what follows is not read")
        }
        isInUnknown = false
        blocks.append(
            ConfigBlock(
                kind: String(kind), name: name, place: ConfigPlace(file: file, line: line)))
    }
}

/// Whether a backslash joins the next line: the last one, not itself behind another.
private func isContinued(_ text: Substring) -> Bool {
    text.reversed().prefix { $0 == "\\" }.count % 2 == 1
}

private func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value < 0x20 && scalar != "\t" || scalar.value >= 0x7f && scalar.value < 0xa0
}

private func isOfName(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "a"..."z", "A"..."Z", "0"..."9", "-", "_", ".", "@": return true
    default: return false
    }
}

private func pad(_ code: String) -> String {
    String(repeating: "0", count: max(0, 4 - code.count)) + code
}

/// Without blanks, tabs and a carriage return at either end.
func trim(_ text: Substring) -> Substring {
    // By scalars: "\r\n" and a letter with its accent are one Character each.
    let blank: (Unicode.Scalar) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\r" }
    let scalars = text.unicodeScalars
    guard let first = scalars.firstIndex(where: { !blank($0) }),
        let last = scalars.lastIndex(where: { !blank($0) })
    else { return "" }
    return text[first...last]
}

/// As much of a text as a message has room for.
func quoted(_ text: some StringProtocol) -> String {
    text.count <= 60 ? String(text) : "\(text.prefix(57))..."
}
