// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import ReserveAgent
import ReserveKernel
import ReserveRecord
import ReserveReport
import ReserveSinks

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

    @Argument(help: "A recording made by events --record.")
    var recording: String

    @Option(help: "html; text, for a mail; or markdown, for a ticket.")
    var format: ReportFormat = .html

    @Option(
        name: [.short, .long],
        help: ArgumentHelp("Write to this file; standard output without it.", valueName: "file"))
    var output: String?

    func run() throws {
        let failure: Int32
        do throws(WatchError) {
            let report = try collect()
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

    private func collect() throws(WatchError) -> Report {
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

/// Hands every record of a recording to `body`, in order.
///
/// - Returns: sentences on what of the file could not be read.
private func forEachRecord(
    of path: String, _ body: (UnsafeRawBufferPointer) -> Void
) throws(WatchError) -> [String] {
    let file = try MappedFile(path: path)
    var reader: RecordingReader
    do {
        reader = try RecordingReader(file.bytes)
    } catch .framingVersion(let version) {
        throw .notARecording(
            path: path, reason: "its framing has version \(version), newer than ours")
    } catch {
        throw .notARecording(path: path, reason: "it does not begin like one")
    }
    while let record = reader.next() { body(record) }
    var damage: [String] = []
    if reader.damagedBytes > 0 {
        damage.append("\(reader.damagedBytes) damaged bytes of the recording were passed over.")
    }
    if reader.tornBytes > 0 {
        damage.append(
            "The recording ends in the middle of a record; its last \(reader.tornBytes) bytes are"
                + " lost.")
    }
    return damage
}

/// A file that is written whole or not at all: beside its place first, then moved there.
private final class OutputFile {
    private let path: String?
    private let written: String
    private let descriptor: Int32
    private var failure: Int32 = 0

    init(path: String?) throws(WatchError) {
        guard let path, path != "-" else {
            self.path = nil
            written = ""
            descriptor = STDOUT_FILENO
            return
        }
        var status = stat()
        // A pipe or a device is written as it is: there is nothing to move it over.
        let isPlain = stat(path, &status) != 0 || status.st_mode & S_IFMT == S_IFREG
        let beside = isPlain ? path + ".new-\(getpid())" : path
        self.path = isPlain ? path : nil
        written = beside
        descriptor = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw .output(path: path, errno: errno) }
    }

    func write(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty, failure == 0 {
                let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
                if count > 0 {
                    rest = UnsafeRawBufferPointer(rebasing: rest[count...])
                } else if count < 0 && errno == EAGAIN {
                    var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    _ = poll(&entry, 1, 1000)
                } else if count == 0 || errno != EINTR {
                    failure = count < 0 ? errno : EIO
                }
            }
        }
    }

    /// - Returns: the errno that ended the output, or 0.
    func finish() -> Int32 {
        guard descriptor != STDOUT_FILENO else { return failure }
        if close(descriptor) != 0, failure == 0 { failure = errno }
        guard let path else { return failure }
        if failure == 0, rename(written, path) != 0 { failure = errno }
        if failure != 0 { unlink(written) }
        return failure
    }
}
