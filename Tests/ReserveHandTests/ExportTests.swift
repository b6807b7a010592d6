// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// What a server says, byte by byte, as NBD's doc/proto.md has it.
private struct Said {
    private(set) var bytes: [UInt8] = []

    static func + (left: Said, right: Said) -> Said {
        var sum = left
        sum.bytes += right.bytes
        return sum
    }

    mutating func put(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.bigEndian) { bytes += Array($0) }
    }

    static func greeting(flags: UInt16 = 3, magic: UInt64 = 0x4e42_444d_4147_4943) -> Said {
        var said = Said()
        said.put(magic)
        said.put(0x4948_4156_454f_5054 as UInt64)
        said.put(flags)
        return said
    }

    static func reply(
        _ type: UInt32, _ body: [UInt8] = [], option: UInt32 = 7, length: UInt32? = nil
    ) -> Said {
        var said = Said()
        said.put(0x0003_e889_0455_65a9 as UInt64)
        said.put(option)
        said.put(type)
        said.put(length ?? UInt32(body.count))
        said.bytes += body
        return said
    }

    static func size(_ bytes: UInt64, flags: UInt16) -> [UInt8] {
        var said = Said()
        said.put(bytes)
        said.put(flags)
        return said.bytes
    }

    static func export(_ bytes: UInt64, flags: UInt16 = 0x101) -> Said {
        reply(3, [0, 0] + size(bytes, flags: flags)) + reply(1)
    }

    static func raw(_ bytes: [UInt8]) -> Said {
        var said = Said()
        said.bytes = bytes
        return said
    }

    static func read(_ data: [UInt8], error: UInt32 = 0) -> Said {
        var said = Said()
        said.put(0x6744_6698 as UInt32)
        said.put(error)
        said.put(0 as UInt64)
        said.bytes += data
        return said
    }
}

@Suite struct ExportTests {
    private let head = (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 1) }

    private func talk(_ said: Said, device: [UInt8]? = nil, name: String = "swap") throws
        -> [String: String]
    {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(
            "reservewatch-export-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let answers = directory.appendingPathComponent("answers")
        let disk = directory.appendingPathComponent("disk")
        try Data(said.bytes).write(to: answers)
        try Data(device ?? head + head).write(to: disk)
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: Trial.binary)
        process.arguments = ["export", answers.path, disk.path, name]
        process.standardOutput = pipe
        try process.run()
        let text = String(
            decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        var fields: [String: String] = [:]
        for word in text.split(whereSeparator: { $0 == " " || $0 == "\n" }) {
            let pair = word.split(separator: "=", omittingEmptySubsequences: false)
            fields[String(pair[0])] = String(pair[1])
        }
        return fields
    }

    @Test func theSameExportIsFoundToBeTheSame() throws {
        let fields = try talk(
            .greeting() + .reply(3, [0, 9, 1, 2]) + .export(8192) + .read(head) + .read(head))
        #expect(fields["negotiated"] == "0", "\(fields)")
        #expect(fields["bytes"] == "8192")
        #expect(fields["compared"] == "0")
        #expect(fields["answered"] == "0")
        // Flags, then NBD_OPT_GO for "swap" without wishes, then two reads of 4096 bytes at 0.
        let read = "2560951300000000" + String(repeating: "0", count: 32) + "00001000"
        #expect(
            fields["sent"] == "00000003" + "49484156454f5054" + "00000007" + "0000000a"
                + "00000004" + "73776170" + "0000" + read + read)
    }

    @Test func anOldServerIsAskedByName() throws {
        let old = Said.greeting(flags: 1) + .reply(0x8000_0001)
        let answer = Said.raw(Said.size(8192, flags: 0x101) + [UInt8](repeating: 0, count: 124))
        #expect(try talk(old + answer + .read(head) + .read(head))["answered"] == "0")
    }

    @Test func anotherExportIsTold() throws {
        func compared(_ size: UInt64, _ theirs: [UInt8], _ ours: [UInt8]) throws -> String? {
            try talk(.greeting() + .export(size) + .read(theirs), device: ours)["compared"]
        }
        let stale = "-\(ESTALE)"
        var other = head
        other[1040] ^= 1
        #expect(try compared(8192, other, head + head) == stale)
        #expect(try compared(4096, head, head + head) == stale)
        #expect(try compared(16384, head, head + head) == stale)
        // A device ends with its last whole block.
        #expect(try compared(8192 + 511, head, head + head) != stale)
        // Zeroes are alike everywhere.
        let zeroes = [UInt8](repeating: 0, count: 4096)
        #expect(try compared(8192, zeroes, zeroes + zeroes) == stale)
        #expect(
            try talk(.greeting() + .export(8192) + .read([], error: 5))["compared"] == "-\(EIO)")
    }

    @Test(arguments: [
        (Said.greeting(magic: 1) + .export(8192), EPROTO),
        (Said.greeting(flags: 0) + .export(8192), EPROTO),
        (Said.greeting(), ETIMEDOUT),
        (Said.raw([0x4e, 0x42]), ETIMEDOUT),
        (Said.greeting() + .reply(0x8000_0002), EACCES),
        (Said.greeting() + .reply(0x8000_0005), ENOKEY),
        (Said.greeting() + .reply(0x8000_0006), ENOENT),
        (Said.greeting() + .reply(0x8000_0009), EPROTO),
        (Said.greeting() + .reply(1), EPROTO),
        (Said.greeting() + .reply(3, length: .max), EPROTO),
        (Said.greeting() + .reply(3, [0, 0, 1], option: 7) + .reply(1), EPROTO),
        (Said.greeting() + .reply(1, option: 1), EPROTO),
        (Said.greeting() + .export(8192, flags: 0x100), EPROTO),
        (Said.greeting() + .export(8192, flags: 0x103), EROFS),
        (Said.greeting() + .export(8192, flags: 1), EOPNOTSUPP),
    ])
    private func whatCannotBeTakenIsRefused(_ said: Said, _ error: Int32) throws {
        #expect(try talk(said)["negotiated"] == "-\(error)")
    }

    /// Only a whole answer is taken: what is left of it would be read as one to the kernel.
    @Test func halfAnAnswerIsNoAnswer() throws {
        let half = Said.read(Array(head.prefix(100)))
        let fields = try talk(.greeting() + .export(8192) + .read(head) + half)
        #expect(fields["answered"] == "-\(ETIMEDOUT)")
    }
}
