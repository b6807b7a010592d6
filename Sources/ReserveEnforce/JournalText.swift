// SPDX-License-Identifier: Apache-2.0

import ReserveRecord

/// One change as the journal keeps it: written before it is done.
public struct JournalEntry: Equatable, Sendable {
    public var number: UInt32
    public var target: Target
    public var old: String
    public var new: String
}

/// The journal's lines, each with a checksum before it:
///
///     CRC32C begin 1 BOOT-ID
///     CRC32C change NUMBER TARGET OLD NEW
///     CRC32C undone NUMBER
///
/// Fields are separated by tabs. The last line may be torn, and then what it announced was not
/// done. Any other that does not match its checksum is damage.
public struct JournalText: Equatable, Sendable {
    public var bootID: String?
    /// What was announced and not taken back, in the order of doing.
    public var standing: [JournalEntry] = []
    public var nextNumber: UInt32 = 1
    /// Up to here lines are whole, if none is damaged.
    public var wholeBytes = 0
    public var isTorn = false
    /// Lines that cannot be believed.
    public var damagedLines = 0

    static let version = "1"

    public init(_ bytes: [UInt8] = []) {
        for line in bytes.split(separator: 0x0a, omittingEmptySubsequences: false) {
            // Without its newline it is not whole. A line that has it was written whole.
            if line.endIndex == bytes.count {
                isTorn = !line.isEmpty
            } else if take(line) {
                wholeBytes = line.endIndex + 1
            } else {
                damagedLines += 1
            }
        }
    }

    private mutating func take(_ line: ArraySlice<UInt8>) -> Bool {
        guard line.count > 9, line[line.startIndex + 8] == 0x09,
            let text = String(validating: line.dropFirst(9), as: UTF8.self),
            let sum = String(validating: line.prefix(8), as: UTF8.self),
            sum == Self.checksum(text)
        else { return false }
        let fields = text.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        switch (fields[0], fields.count) {
        case ("begin", 3):
            guard fields[1] == Self.version, bootID == nil else { return false }
            bootID = fields[2]
        case ("change", 5):
            guard bootID != nil, let number = UInt32(fields[1]), number >= nextNumber,
                number < UInt32.max, let target = Target(journal: fields[2])
            else { return false }
            standing.append(
                JournalEntry(number: number, target: target, old: fields[3], new: fields[4]))
            nextNumber = number + 1
        case ("undone", 2):
            guard let number = UInt32(fields[1]),
                let index = standing.firstIndex(where: { $0.number == number })
            else { return false }
            standing.remove(at: index)
        default:
            return false
        }
        return true
    }

    // MARK: Lines

    static func begin(bootID: String) -> String { line("begin\t\(version)\t\(bootID)") }

    static func change(_ entry: JournalEntry) -> String {
        line("change\t\(entry.number)\t\(entry.target.journal)\t\(entry.old)\t\(entry.new)")
    }

    static func undone(_ number: UInt32) -> String { line("undone\t\(number)") }

    private static func line(_ text: String) -> String { "\(checksum(text))\t\(text)\n" }

    private static func checksum(_ text: String) -> String {
        let sum = Array(text.utf8).withUnsafeBytes { Checksum()($0) }
        let digits = String(sum, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}

extension Target {
    /// One word; nil where it is none of ours.
    init?(journal word: String) {
        // A cgroup's name may have colons.
        if word.hasPrefix("cgroup:") {
            self.init(cgroup: word.dropFirst(7))
            return
        }
        let fields = word.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        switch (fields[0], fields.count) {
        case ("file", 2):
            let path = fields[1]
            // Whatever a line says, nothing else is ever written.
            guard path.hasPrefix("/proc/sys/") || path.hasPrefix("/sys/block/"),
                !path.split(separator: "/").contains("..")
            else { return nil }
            self = .file(path)
        case ("oom", 3):
            guard let pid = Int32(fields[1]), pid > 0, let ticks = UInt64(fields[2]) else {
                return nil
            }
            self = .oomScore(pid: pid, startTicks: ticks)
        case ("nbd", 4):
            guard nbdIndex(fields[1]) != nil, let pid = Int32(fields[2]),
                let seconds = UInt64(fields[3])
            else { return nil }
            self = .nbdTimeouts(disk: fields[1], setUpBy: pid, deadConnSeconds: seconds)
        default:
            return nil
        }
    }

    /// INODE:PATH, and nothing but the two files that are changed.
    private init?(cgroup text: Substring) {
        let fields = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard fields.count == 2, let inode = UInt64(fields[0]) else { return nil }
        let path = String(fields[1])
        guard path.hasPrefix("/sys/fs/cgroup/"),
            path.hasSuffix("/memory.swap.max") || path.hasSuffix("/memory.min"),
            !path.split(separator: "/").contains(".."),
            !path.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7f })
        else { return nil }
        self = .cgroup(path: path, inode: inode)
    }

    var journal: String {
        switch self {
        case .file(let path): return "file:\(path)"
        case .oomScore(let pid, let ticks): return "oom:\(pid):\(ticks)"
        case .nbdTimeouts(let disk, let pid, let seconds): return "nbd:\(disk):\(pid):\(seconds)"
        case .cgroup(let path, let inode): return "cgroup:\(inode):\(path)"
        }
    }
}

/// N of "nbdN".
public func nbdIndex(_ disk: String) -> UInt32? {
    guard disk.hasPrefix("nbd"), let index = UInt32(disk.dropFirst(3)), disk == "nbd\(index)" else {
        return nil
    }
    return index
}
