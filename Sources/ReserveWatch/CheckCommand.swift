// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ReserveConfig

struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Tells what is wrong with a configuration, and what it comes to.",
        discussion: """
            Reads /etc/reservewatch/reservewatch.conf and what is dropped into reservewatch.conf.d \
            there, in /run/reservewatch, /usr/local/lib/reservewatch and /usr/lib/reservewatch; \
            or FILES, each over those before it. Every problem is told, with file and line. \
            Changes nothing; needs no root but to read the files.

            Exit status 78 when there are errors. Warnings alone are none.

            EXAMPLES
              reservewatch check
              reservewatch check --show                what holds, and where it comes from
              reservewatch check /tmp/new.conf --json | jq '.problems[]'
            """)

    @Argument(help: "Files to read instead of the host's configuration.")
    var files: [String] = []

    @Flag(help: "Print what holds, each with where it is set, and the rules in words.")
    var show = false

    @Flag(help: "One JSON document: docs/schema/check.schema.json.")
    var json = false

    func run() throws {
        let configuration =
            files.isEmpty
            ? ConfigTree.usual.read(HostSettings.schema)
            : ConfigTree.read(files: files, HostSettings.schema)
        let report = CheckReport(settings: HostSettings(configuration), shows: show)
        try printOut(json ? report.json.bytes : Array(report.text.utf8))
        if report.exitStatus != 0 { throw ExitCode(report.exitStatus) }
    }
}
