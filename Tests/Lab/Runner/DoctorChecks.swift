// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// What the doctor said in each state of the guest, against what it had to say.
struct DoctorChecks {
    let run: LabRun
    let lab: String

    func rows() throws -> [Row] {
        var looks: [String: (Int, [String: Any])] = [:]
        var documents = Data()
        for line in run.guest.text(run.guest.events).split(separator: "\n") {
            guard
                let look = (try? JSONSerialization.jsonObject(with: Data(line.utf8)))
                    as? [String: Any],
                let state = look["state"] as? String, let status = look["status"] as? Int,
                let document = look["doctor"] as? [String: Any]
            else { continue }
            looks[state] = (status, document)
            documents += try JSONSerialization.data(withJSONObject: document) + Data("\n".utf8)
        }
        let file = URL(fileURLWithPath: "\(run.directory)/doctor.jsonl")
        try documents.write(to: file)
        let validation = Validation(lab: lab, out: run.directory, binary: run.watch?.tool ?? "")
        return try [validation.schema(named: "doctor", of: file.path)]
            + DoctorState.all.map { state in
                state.row(status: looks[state.name]?.0, document: looks[state.name]?.1)
            } + [reckoned(looks["min-free-default"]?.1)]
    }

    /// The doctor's figure of what the kernel sets by itself, against what this kernel did set.
    private func reckoned(_ document: [String: Any]?) -> Row {
        let facts = document?["facts"] as? [String: Any]
        let memory = facts?["memory"] as? [String: Any]
        guard let set = memory?["min_free_kib"] as? Int,
            let usual = memory?["default_min_free_kib"] as? Int
        else { return .check("the kernel's own min_free_kbytes", false, "absent") }
        return .check(
            "the kernel's own min_free_kbytes", abs(usual - set) * 10 <= set,
            "reckoned \(usual), set \(set)", note: "the initramfs was freed after it was set")
    }
}
