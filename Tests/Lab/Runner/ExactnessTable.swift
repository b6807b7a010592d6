// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// docs/exactness.md: made from the results of runs, and each run held against it.
struct ExactnessTable {
    let lab: String

    private var script: String { "\(lab)/exactness.py" }
    private var committed: String { "\(lab)/../../docs/exactness.md" }

    /// Fails when a figure differs, when one that the table has for this scenario and kernel
    /// is missing, or when the run has one that nobody described.
    func row(of directory: String) throws -> Row {
        let name = "exactness table"
        do {
            try Tools.run(
                try Tools.require("python3", package: "python3"),
                [script, "--check", committed, directory])
            return .check(name, true, "holds")
        } catch LabError.failed(let words) {
            return .check(name, false, "drifts", note: String(words.suffix(600)))
        }
    }

    /// The table of all runs whose results lie below `out`, as `out`/exactness.md.
    func write(out: String) throws {
        let runs = try FileManager.default.contentsOfDirectory(atPath: out).sorted()
            .map { "\(out)/\($0)" }
            .filter { FileManager.default.fileExists(atPath: "\($0)/result.json") }
        // A row that differs is told by its run; the table shows it as well.
        _ = try? Tools.run(
            try Tools.require("python3", package: "python3"),
            [script, "--write", "\(out)/exactness.md"] + runs)
    }
}
