// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// Checks of the stream itself, with independent means: a JSON Schema validator, and the
/// replay of the recording on this machine against the lines that came live.
struct Validation {
    let lab: String
    let out: String
    let binary: String

    func rows(isComplete: Bool) throws -> [Row] {
        [
            try schema(named: "events", of: "\(out)/events.jsonl", wasCut: !isComplete),
            try replay(isComplete: isComplete),
        ]
    }

    func schema(named document: String, of file: String, wasCut: Bool = false) throws -> Row {
        let name = "lines match the schema"
        let schema = "\(lab)/../../docs/schema/\(document).schema.json"
        guard FileManager.default.fileExists(atPath: schema) else {
            return .check(name, false, "-", note: "there is no docs/schema/\(document).schema.json")
        }
        do {
            let text = try Tools.run(
                try python(),
                ["\(lab)/validate_events.py"] + (wasCut ? ["--cut"] : []) + [schema, file])
            return .check(name, true, text.trimmingCharacters(in: .newlines))
        } catch LabError.failed(let words) {
            return .check(name, false, String(words.suffix(600)))
        }
    }

    /// A Python that has the validator; the first on PATH need not be Debian's.
    private func python() throws -> String {
        for python in [Tools.path("python3"), "/usr/bin/python3"].compactMap({ $0 })
        where (try? Tools.run(python, ["-c", "import jsonschema"])) != nil {
            return python
        }
        throw LabError.missingTool(
            "python3 with jsonschema", install: "apt-get install -y python3 python3-jsonschema")
    }

    /// The recording went over a line of its own; where neither lost a byte, its replay
    /// gives the live lines, byte for byte.
    private func replay(isComplete: Bool) throws -> Row {
        let name = "replay gives the live lines"
        let path = "\(out)/replay.jsonl"
        let live = try Data(contentsOf: URL(fileURLWithPath: "\(out)/events.jsonl"))
        if live.isEmpty && !isComplete {
            return .check(name, true, "-", note: "the guest ended before the agent began")
        }
        try Tools.run(binary, ["replay", "\(out)/recording.rwr", "--output", path])
        let again = try Data(contentsOf: URL(fileURLWithPath: path))
        try FileManager.default.removeItem(atPath: path)
        if live == again { return .check(name, true, "\(live.count) bytes") }
        let lost = Self.linesLost(live)
        let common = zip(live, again).prefix { $0 == $1 }.count
        return .check(
            name, !isComplete || lost > 0,
            "\(common) bytes in common of \(live.count) and \(again.count)",
            note: isComplete
                ? "\(lost) lines found the serial line full, as the stream tells"
                : "the guest was cut off")
    }

    /// What the last summary says that its output lost.
    private static func linesLost(_ stream: Data) -> Int {
        let last = stream.split(separator: UInt8(ascii: "\n")).last ?? Data()
        let line = (try? JSONSerialization.jsonObject(with: last)) as? [String: Any]
        let summary = line?["summary"] as? [String: Any]
        return (summary?["loss"] as? [String: Any])?["output"] as? Int ?? 0
    }
}
