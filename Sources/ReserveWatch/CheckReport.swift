// SPDX-License-Identifier: Apache-2.0

import ReserveConfig
import ReservePolicy
import ReserveSinks

/// What `reservewatch check` says, as text and as JSON.
struct CheckReport {
    let settings: HostSettings
    let shows: Bool

    /// Of the JSON document.
    static let schemaVersion: UInt64 = 1

    private var configuration: Configuration { settings.configuration }
    private var warnings: Int { configuration.problems.count - configuration.errors }

    var exitStatus: Int32 { configuration.errors > 0 ? 78 : 0 }

    var text: String {
        var lines = configuration.problems.map(\.sentence)
        if shows {
            lines += effective
            if configuration.errors == 0, !settings.rules.rules.isEmpty {
                lines += [""] + settings.rules.explanation
            }
            lines.append("")
        }
        lines += configuration.files.compactMap(Self.aside)
        lines.append(sum)
        return lines.map { plainText($0) + "\n" }.joined()
    }

    /// A file that was found and does not count.
    private static func aside(_ file: ConfigFileState) -> String? {
        switch file.state {
        case .read, .unreadable: return nil
        case .masked: return "\(file.path) is masked: a link to /dev/null"
        case .hidden(let by): return "\(file.path) does not count: \(by) does instead"
        }
    }

    private var sum: String {
        let read = configuration.files.filter { $0.state == .read }.map(\.path)
        let files =
            read.isEmpty ? "no file was read, what is usual holds" : read.joined(separator: ", ")
        func count(_ count: Int, _ noun: String) -> String {
            "\(count) \(noun)\(count == 1 ? "" : "s")"
        }
        return "\(files): \(count(configuration.errors, "error")), \(count(warnings, "warning"))"
    }

    /// Every setting as it could be written, and where it comes from.
    private var effective: [String] {
        let rows = configuration.settings.map { setting in
            (
                section: setting.section,
                words: setting.text.map { "\(setting.key.name)=\($0)" }
                    ?? "#\(setting.key.name)=",
                source: Self.source(setting)
            )
        }
        let width = min(40, rows.map(\.words.count).max() ?? 0)
        var lines: [String] = []
        var section = ""
        for row in rows {
            if row.section != section {
                if !lines.isEmpty { lines.append("") }
                lines.append(row.section)
                section = row.section
            }
            let space = String(repeating: " ", count: max(0, width - row.words.count))
            lines.append("\(row.words)\(space)  \(row.source)")
        }
        return lines
    }

    private static func source(_ setting: ConfigSetting) -> String {
        if !setting.values.isEmpty {
            var places: [String] = []
            for value in setting.values where places.last != "\(value.place)" {
                places.append("\(value.place)")
            }
            return places.joined(separator: ", ")
        }
        return setting.key.fallback == nil ? "not set" : "usual"
    }

    var json: JSONDocument {
        .object([
            ("schema", .number(Self.schemaVersion)),
            ("kind", .string("check")),
            ("files", .array(configuration.files.map(Self.file))),
            ("problems", .array(configuration.problems.map(Self.problem))),
            ("settings", .array(configuration.settings.map(Self.setting))),
            ("errors", .number(UInt64(configuration.errors))),
            ("warnings", .number(UInt64(warnings))),
            ("exit_status", .signed(Int64(exitStatus))),
        ])
    }

    private static func file(_ file: ConfigFileState) -> JSONDocument {
        var members: [(String, JSONDocument)] = [("path", .string(file.path))]
        switch file.state {
        case .read: members.append(("state", .string("read")))
        case .masked: members.append(("state", .string("masked")))
        case .unreadable: members.append(("state", .string("unreadable")))
        case .hidden(let by):
            members += [("state", .string("hidden")), ("by", .string(by))]
        }
        return .object(members)
    }

    private static func problem(_ problem: ConfigProblem) -> JSONDocument {
        .known([
            ("severity", .string(problem.severity.rawValue)),
            ("file", .string(problem.place.file)),
            ("line", problem.place.line > 0 ? .number(UInt64(problem.place.line)) : nil),
            ("reason", .string(problem.reason)),
        ])
    }

    private static func setting(_ setting: ConfigSetting) -> JSONDocument {
        .known([
            ("section", .string(setting.section)),
            ("key", .string(setting.key.name)),
            ("value", setting.text.map { .string($0) }),
            ("usual", .bool(setting.values.isEmpty)),
            (
                "places",
                .array(
                    setting.values.map {
                        .known([
                            ("file", .string($0.place.file)),
                            ("line", $0.place.line > 0 ? .number(UInt64($0.place.line)) : nil),
                        ])
                    })
            ),
        ])
    }
}
