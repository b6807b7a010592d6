// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// Holds what `reservewatch prepare` says that it did in the guest against what the guest's
/// script read from the kernel afterwards.
struct PreparedChecks {
    let run: LabRun

    func rows() -> [Row] {
        var rows: [Row] = []
        let settings = Report.settings(run.guest.mark("SETTINGS") ?? "")
        let applied = changes("PREPARED", want: "done", &rows)
        rows += read(applied, "new", settings, "prepared")
        guard run.outcome == .completed else { return rows }
        let undone = changes("UNDONE", want: "restored", &rows)
        let after = Report.settings(run.guest.mark("UNDONE") ?? "")
        rows += read(undone, "old", after, "undone")
        rows.append(
            .check(
                "undone: the kernel's own reserve is back",
                after["min_free_kbytes"] != nil
                    && after["min_free_kbytes"] == after["min_free_default"],
                "\(after["min_free_kbytes"] ?? "-") of \(after["min_free_default"] ?? "-")"))
        return rows
    }

    /// The changes that the command's document tells, all with the wanted outcome.
    private func changes(_ mark: String, want: String, _ rows: inout [Row]) -> [[String: Any]] {
        let text = run.guest.mark(mark) ?? ""
        let document = text.firstIndex(of: "{").flatMap {
            try? JSONSerialization.jsonObject(with: Data(text[$0...].utf8)) as? [String: Any]
        }
        let changes = document?["changes"] as? [[String: Any]] ?? []
        let outcomes = changes.map { $0["outcome"] as? String ?? "-" }
        rows.append(
            .check(
                mark.lowercased(), !outcomes.isEmpty && outcomes.allSatisfy { $0 == want },
                "\(outcomes.count) changes \(want)",
                note: outcomes.isEmpty ? String(text.prefix(200)) : ""))
        return changes
    }

    /// What the script read itself, where it read it.
    private func read(
        _ changes: [[String: Any]], _ field: String, _ settings: [String: String], _ when: String
    ) -> [Row] {
        changes.compactMap { change in
            let path = (change["target"] as? [String: Any])?["path"] as? String ?? ""
            let name = String(path.split(separator: "/").last ?? "")
            guard let told = change[field] as? String, let found = settings[name] else {
                return nil
            }
            let words = told.split(separator: " ").joined(separator: ",")
            return .check(
                "\(when): \(name)", words == found.trimmingCharacters(in: [","]), found,
                note: "told: \(told)")
        }
    }
}
