// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import ReserveAgent
import ReserveKernel
import ReserveRecord
import ReserveReport
import ReserveSinks
import ReserveStore

enum ReportFormat: String, CaseIterable, ExpressibleByArgument {
    case html
    case text
    case markdown
}

struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Makes one page of a recording: what happened, in words, time lines and tables.",
        discussion: """
            The page needs nothing but a browser: no network, no other file. As text it is \
            for a mail, no wider than 78 columns; as markdown for a ticket. docs/report.md \
            says where each figure comes from. Needs no root.

            EXAMPLES
              reservewatch report incident.rwr -o report.html
              reservewatch report incident.rwr --format text | mail -s incident ops
              reservewatch report incident.rwr --format markdown
            """
    )

    @Argument(help: "A recording made by record or events --record, or a black box.")
    var recording: String

    @Option(help: "html; text, for a mail; or markdown, for a ticket.")
    var format: ReportFormat = .html

    @Option(
        name: [.short, .long],
        help: ArgumentHelp("Write to this file; standard output without it.", valueName: "file"))
    var output: String?

    func run() throws {
        let report: Report
        let failure: Int32
        do throws(StoreError) {
            report = try collect()
        } catch {
            throw leave(error)
        }
        do throws(WatchError) {
            failure = try write(report)
        } catch {
            throw leave(error)
        }
        if failure != 0 && failure != 32 /* EPIPE */ {
            printError(
                "\(output ?? "standard output"): \(describe(errno: failure)); the report is not whole"
            )
            throw ExitCode(74)
        }
    }

    private func collect() throws(StoreError) -> Report {
        var collector = ReportCollector()
        let damage = try forEachRecord(of: recording) { record in
            collector.take(RecordDecoder.decode(record))
        }
        return Report(collector, damage: damage)
    }

    /// - Returns: the errno that ended the output, or 0.
    private func write(_ report: Report) throws(WatchError) -> Int32 {
        let file = try OutputFile(path: output)
        switch format {
        case .html: report.html { file.write($0) }
        case .text: file.write(report.text)
        case .markdown: file.write(report.markdown)
        }
        return file.finish()
    }
}

/// Hands every record of a recording, a directory of segments or a black box to `body`.
///
/// - Returns: sentences on what of it could not be read.
private func forEachRecord(
    of path: String, _ body: (UnsafeRawBufferPointer) -> Void
) throws(StoreError) -> [String] {
    let source = try RecordSource(path: path)
    while let entry = source.next() { body(entry.bytes) }
    return source.takeProblems().map(\.sentence)
}
