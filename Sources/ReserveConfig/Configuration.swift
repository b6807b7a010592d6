// SPDX-License-Identifier: Apache-2.0

/// A key as it holds.
public struct ConfigSetting: Sendable {
    /// `[Agent]`, `[Rule NAME]`
    public let section: String
    public let key: ConfigKeyDescription
    /// Empty: set nowhere, and ``ConfigKeyDescription/fallback`` holds.
    public let values: [ConfigValue]

    /// What holds, as it could be written; nil: nothing.
    public var text: String? {
        values.isEmpty
            ? key.fallback : values.map { quotedIfNeeded($0.text) }.joined(separator: " ")
    }

    private func quotedIfNeeded(_ text: String) -> String {
        key.count == .words && text.contains { $0 == " " || $0 == "\t" } ? "\"\(text)\"" : text
    }
}

/// The configuration as all files together make it, held against what may stand there.
///
/// Sections of one kind and name are one, wherever they stand. A key that is set again is
/// replaced, a list grows, an empty assignment takes back what was set before: what a drop-in
/// says comes after what it was dropped into.
public struct Configuration: Sendable {
    public let schema: ConfigSchema
    /// In the order of their first line; only those that are there.
    public private(set) var sections: [ConfigSection] = []
    /// All of them, in the order of the files.
    public private(set) var problems: [ConfigProblem] = []
    /// The files that were found, in the order in which they were read.
    public private(set) var files: [ConfigFileState] = []
    /// Sections with a key that was not taken: no more is said of these.
    private var refused: Set<String> = []

    /// Whether it may be taken: no errors.
    public var isValid: Bool { !problems.contains { $0.severity == .error } }

    /// Puts texts together, each over those before it.
    ///
    /// - Parameters:
    ///   - problems: of finding and reading the files.
    public init(
        _ texts: [ConfigText], schema: ConfigSchema, problems: [ConfigProblem] = [],
        files: [ConfigFileState] = []
    ) {
        self.schema = schema
        self.problems = problems
        self.files = files
        for text in texts {
            var found = text.problems
            for block in text.blocks { take(block, &found) }
            // A file is told from its top to its end.
            self.problems += found.sorted { $0.place.line < $1.place.line }
        }
        for section in sections where !refused.contains(section.title) {
            self.problems += schema.section(section.kind)?.check(section) ?? []
        }
    }

    /// The section of this kind; an empty one where none is there.
    public func section(_ kind: String) -> ConfigSection {
        sections.first { $0.kind == kind && $0.name == nil }
            ?? ConfigSection(kind: kind, name: nil, place: nil)
    }

    /// All `[Kind NAME]`, in the order of their first line.
    public func sections(_ kind: String) -> [ConfigSection] {
        sections.filter { $0.kind == kind }
    }

    /// Every key of every section, as it holds now: what is set, and what holds where nothing is.
    /// Of named sections those that are there, and of these the keys that are set.
    public var settings: [ConfigSetting] {
        var settings: [ConfigSetting] = []
        for known in schema.sections {
            let present = known.isNamed ? sections(known.kind) : [section(known.kind)]
            for section in present {
                for key in known.keys {
                    let values = section.texts(key.name)
                    if known.isNamed, values.isEmpty { continue }
                    settings.append(
                        ConfigSetting(section: section.title, key: key, values: values))
                }
            }
        }
        return settings
    }

    /// Adds a problem that only its reader could see: of the host, not of the text.
    public mutating func add(_ problem: ConfigProblem) { problems.append(problem) }

    private mutating func take(_ block: ConfigBlock, _ found: inout [ConfigProblem]) {
        // systemd.syntax(7): for other programs.
        if block.kind.hasPrefix("X-") { return }
        guard let known = schema.section(block.kind) else {
            found.append(ConfigProblem(at: block.place, unknown(block)))
            return
        }
        guard known.isNamed == (block.name != nil) else {
            found.append(
                ConfigProblem(
                    at: block.place,
                    known.isNamed
                        ? "[\(block.kind)] needs a name of its own: [\(block.kind) NAME]"
                        : "[\(block.kind)] takes no name; write [\(block.kind)]"))
            return
        }
        var index = sections.count
        if let same = sections.firstIndex(where: {
            $0.kind == block.kind && $0.name == block.name
        }) {
            index = same
        } else {
            sections.append(
                ConfigSection(kind: block.kind, name: block.name, place: block.place))
        }
        for assignment in block.assignments { take(assignment, known, index, &found) }
    }

    private mutating func take(
        _ assignment: ConfigAssignment, _ known: ConfigSectionSchema, _ index: Int,
        _ found: inout [ConfigProblem]
    ) {
        let name = assignment.key
        if name.hasPrefix("X-") { return }
        let title = sections[index].title
        guard let key = known.keys.first(where: { $0.name == name }) else {
            found.append(
                ConfigProblem(at: assignment.place, "\(title) has no \(name)=" + hint(name, known)))
            return
        }
        // Empty: back to what holds without it.
        guard !assignment.value.isEmpty else {
            sections[index].values[name] = nil
            return
        }
        let words: [String]
        do throws(ConfigRefusal) {
            words = key.count == .words ? try configWords(assignment.value) : [assignment.value]
            for word in words { try key.check(word) }
        } catch {
            // What people try behind a value.
            refused.insert(title)
            let remark = assignment.value.contains(" #") || assignment.value.contains(" ;")
            found.append(
                ConfigProblem(
                    at: assignment.place,
                    "\(title) \(name)=\(quoted(assignment.value)): \(error.reason)"
                        + (remark ? "; a comment needs a line of its own" : "")))
            return
        }
        if key.count == .one {
            let file = assignment.place.file
            if let former = sections[index].values[name]?.last, former.place.file == file {
                found.append(
                    ConfigProblem(
                        .warning, at: assignment.place,
                        "\(title) \(name)= is set in line \(former.place.line) already; "
                            + "this one holds"))
            }
            sections[index].values[name] = nil
        }
        sections[index].values[name, default: []] += words.map {
            ConfigValue(text: $0, place: assignment.place)
        }
    }

    private func unknown(_ block: ConfigBlock) -> String {
        let near = nearest(to: block.kind, among: schema.sections.map(\.kind))
        let hint = near.map { "; did you mean [\($0)]?" }
        let known = schema.sections.map { $0.isNamed ? "[\($0.kind) NAME]" : "[\($0.kind)]" }
        return "there is no section [\(quoted(block.kind))]"
            + (hint ?? "; there are \(known.joined(separator: ", "))")
    }

    /// The name that was meant, here or in another section.
    private func hint(_ name: String, _ known: ConfigSectionSchema) -> String {
        let others = schema.sections.filter { section in
            section.kind != known.kind && section.keys.contains { $0.name == name }
        }
        if let other = others.first { return "; it belongs into [\(other.kind)]" }
        if let near = nearest(to: name, among: known.keys.map(\.name)) {
            return "; did you mean \(near)=?"
        }
        return ""
    }
}

/// Words between blanks; "..." keeps blanks together.
///
/// - Throws: that a quotation mark lacks its other.
public func configWords(_ text: String) throws(ConfigRefusal) -> [String] {
    var words: [String] = []
    var word: String?
    var isQuoted = false
    for character in text {
        if character == "\"" {
            isQuoted.toggle()
            word = word ?? ""
        } else if !isQuoted, character == " " || character == "\t" {
            if let whole = word { words.append(whole) }
            word = nil
        } else {
            word = (word ?? "") + String(character)
        }
    }
    guard !isQuoted else { throw ConfigRefusal("a quotation mark lacks its other") }
    if let word { words.append(word) }
    return words
}
