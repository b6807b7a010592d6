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
        [try schema(), try replay(isComplete: isComplete)]
    }

    private func schema() throws -> Row {
        let python = try Tools.require("python3", package: "python3 python3-jsonschema")
        do {
            let text = try Tools.run(
                python,
                [
                    "\(lab)/validate_events.py", "\(lab)/../../docs/schema/events.schema.json",
                    "\(out)/events.jsonl",
                ])
            return .check("lines match the schema", true, text.trimmingCharacters(in: .newlines))
        } catch {
            return .check("lines match the schema", false, "\(error)")
        }
    }

    /// The recording went over a line of its own; where neither lost a byte, its replay
    /// gives the live lines, byte for byte.
    private func replay(isComplete: Bool) throws -> Row {
        let name = "replay gives the live lines"
        let path = "\(out)/replay.jsonl"
        try Tools.run(binary, ["replay", "\(out)/recording.rwr", "--output", path])
        let live = try Data(contentsOf: URL(fileURLWithPath: "\(out)/events.jsonl"))
        let again = try Data(contentsOf: URL(fileURLWithPath: path))
        try FileManager.default.removeItem(atPath: path)
        if live == again { return .check(name, true, "\(live.count) bytes") }
        let common = zip(live, again).prefix { $0 == $1 }.count
        return .check(
            name, !isComplete, "\(common) bytes in common of \(live.count) and \(again.count)",
            note: isComplete ? "" : "the guest was cut off")
    }
}
