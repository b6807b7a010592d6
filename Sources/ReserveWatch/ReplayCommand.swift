// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import ReserveAgent
import ReserveBox
import ReserveKernel
import ReserveModel
import ReserveRecord
import ReserveSinks

enum ReplayFormat: String, CaseIterable, ExpressibleByArgument {
    case json
    case text
    case words
}

struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Tells the events of a recording again, through the same decoder and model.",
        discussion: """
            Needs no root, no BTF and no BPF. A torn end is normal and costs only itself; \
            damage in the middle is told on standard error.

            EXAMPLES
              reservewatch replay incident.rwr
              reservewatch replay incident.rwr --kind throttle
              reservewatch replay incident.rwr --format words
            """
    )

    @Argument(help: "A recording made by events --record, or an agent's black box.")
    var recording: String

    @OptionGroup var lines: LineOptions

    @Option(help: "json, text to read, or words: what happened, at the end only.")
    var format: ReplayFormat = .json

    func run() throws {
        do throws(WatchError) {
            try replay()
        } catch {
            throw leave(error)
        }
    }

    private func replay() throws(WatchError) {
        if try replayBox() { return }
        let file = try MappedFile(path: recording)
        var reader: RecordingReader
        do {
            reader = try RecordingReader(file.bytes)
        } catch .framingVersion(let version) {
            throw .notARecording(
                path: recording, reason: "its framing has version \(version), newer than ours")
        } catch {
            throw .notARecording(path: recording, reason: "it does not begin like one")
        }
        var stream = try Stream.toReader(
            path: lines.output, format: format == .text ? .text : .json,
            kinds: format == .words ? [] : lines.kinds, policy: lines.policy)
        while let record = reader.next() {
            stream.take(record)
            stream.writeAll()
        }
        if format == .words { stream.writeWords() }
        stream.writeAll()
        if reader.damagedBytes > 0 {
            printError("\(recording): \(reader.damagedBytes) damaged bytes were passed over")
        }
        if reader.tornBytes > 0 {
            printError("\(recording): ends in the middle of a record (\(reader.tornBytes) bytes)")
        }
    }
}

extension ReplayCommand {
    /// Tells a black box, of whatever boot; false: it is none.
    fileprivate func replayBox() throws(WatchError) -> Bool {
        guard BoxFile.looksLikeBox(recording) else { return false }
        let reader: BoxReader
        do throws(BoxError) {
            reader = try BoxFile.open(path: recording, start: .oldest, ofThisBoot: false)
        } catch {
            throw WatchError(error)
        }
        var box = reader
        var stream = try Stream.toReader(
            path: lines.output, format: format == .text ? .text : .json,
            kinds: format == .words ? [] : lines.kinds, policy: lines.policy)
        box.states { record in
            stream.take(record)
            stream.writeAll()
        }
        box.read { record in
            stream.take(record)
            stream.writeAll()
        }
        if format == .words { stream.writeWords() }
        stream.writeAll()
        return true
    }
}

/// A whole file, mapped for reading.
struct MappedFile: ~Copyable {
    let bytes: UnsafeRawBufferPointer

    init(path: String) throws(WatchError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .input(path: path, errno: errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .input(path: path, errno: errno) }
        let size = Int(status.st_size)
        guard size > 0 else {
            throw .notARecording(path: path, reason: "it is empty")
        }
        guard let memory = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0),
            memory != MAP_FAILED
        else { throw .input(path: path, errno: errno) }
        bytes = UnsafeRawBufferPointer(start: memory, count: size)
    }

    deinit {
        munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count)
    }
}
