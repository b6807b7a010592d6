// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The name of a segment's file: eight digits or more, so that names sort as numbers do.
struct SegmentName: Hashable {
    let number: UInt64
    let isCompressed: Bool

    static let suffix = ".rwr"
    static let compressedSuffix = ".rwr.zst"
    /// While it is written; never read.
    static let partSuffix = ".rwr.zst.part"

    init(number: UInt64, isCompressed: Bool = false) {
        self.number = number
        self.isCompressed = isCompressed
    }

    /// nil: no segment.
    init?(_ name: String) {
        let isCompressed = name.hasSuffix(Self.compressedSuffix)
        guard isCompressed || name.hasSuffix(Self.suffix) else { return nil }
        let digits = name.dropLast(isCompressed ? 8 : 4)
        guard digits.utf8.count >= 8, digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
            let number = UInt64(digits)
        else { return nil }
        self.init(number: number, isCompressed: isCompressed)
    }

    var text: String {
        let digits = String(number)
        let zeros = String(repeating: "0", count: max(0, 8 - digits.utf8.count))
        return zeros + digits + (isCompressed ? Self.compressedSuffix : Self.suffix)
    }

    var partText: String { SegmentName(number: number).text + ".zst.part" }
}

/// What lies in a recording's directory.
struct SegmentListing {
    struct File {
        var name: SegmentName
        var bytes: UInt64
        /// When it was last written, nanoseconds since 1970.
        var modified: Int64
    }

    /// By number; of one number the compressed first.
    var files: [File] = []
    /// Left over from a compression that did not come to its end.
    var parts: [String] = []

    init(directory: String) throws(StoreError) {
        guard let stream = opendir(directory) else {
            throw .input(path: directory, errno: errno)
        }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let text = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix(while: { $0 != 0 }), as: UTF8.self)
            }
            if text.hasSuffix(SegmentName.partSuffix) { parts.append(text) }
            guard let name = SegmentName(text) else { continue }
            var status = stat()
            guard stat("\(directory)/\(text)", &status) == 0, status.st_mode & S_IFMT == S_IFREG
            else { continue }
            files.append(
                File(
                    name: name, bytes: UInt64(max(0, status.st_size)),
                    modified: nanoseconds(status.st_mtim)))
        }
        files.sort {
            ($0.name.number, $0.name.isCompressed ? 0 : 1)
                < ($1.name.number, $1.name.isCompressed ? 0 : 1)
        }
    }
}

/// Since 1970; a file may bear any time, and what lies beyond three centuries is cut to that.
private func nanoseconds(_ time: timespec) -> Int64 {
    let most = Int(Int64.max / 1_000_000_000) - 1
    return Int64(max(-most, min(time.tv_sec, most))) * 1_000_000_000 + Int64(time.tv_nsec)
}
