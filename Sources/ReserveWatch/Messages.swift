// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Writes one line to standard error, named like every Unix tool's.
func printError(_ sentence: String) {
    let line = "reservewatch: \(sentence)\n"
    _ = line.withCString { write(STDERR_FILENO, $0, strlen($0)) }
}
