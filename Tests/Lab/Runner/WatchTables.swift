// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// `survival.md`, `alerts.md` and `enforcement.md` beside the results of all runs, none left out.
struct WatchTables {
    let lab: String

    func write(out: String) throws {
        let python = try Tools.require("python3", package: "python3")
        for table in ["survival", "alerts", "enforcement"] {
            try Tools.run(python, ["\(lab)/watch_tables.py", table, "\(out)/\(table).md", out])
        }
    }
}
