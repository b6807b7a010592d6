// SPDX-License-Identifier: Apache-2.0

import Glibc
import ReserveAgent

/// The watch as a program of its own, started by `reservewatch agent` and by every reader that
/// finds none running. Its words are AgentSettings'; people use `reservewatch`.
@main
struct Main {
    static func main() {
        exit(Agent.run(words: Array(CommandLine.arguments.dropFirst())))
    }
}
