// SPDX-License-Identifier: Apache-2.0

import Glibc

/// One segment, under the names that it may have: while one reads, a recorder compresses.
struct SegmentPath {
    /// The compressed first: it is whole once it has its name.
    let candidates: [String]
    /// Where to look first.
    let preferred: String

    /// A file alone, or the segments of a directory in their order.
    static func all(of path: String) throws(StoreError) -> [SegmentPath] {
        var status = stat()
        guard stat(path, &status) == 0 else { throw .input(path: path, errno: errno) }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            return [SegmentPath(candidates: [path], preferred: path)]
        }
        let files = try SegmentListing(directory: path).files
        guard !files.isEmpty else {
            throw .notARecording(path: path, reason: "it holds no segments")
        }
        var segments: [SegmentPath] = []
        var last: UInt64?
        for file in files where file.name.number != last {
            last = file.name.number
            segments.append(
                SegmentPath(
                    candidates: [true, false].map {
                        let name = SegmentName(number: file.name.number, isCompressed: $0)
                        return "\(path)/\(name.text)"
                    },
                    preferred: "\(path)/\(file.name.text)"))
        }
        return segments
    }

    /// The first that is whole; else the one of which most is there.
    func load() throws(StoreError) -> (path: String, data: SegmentData) {
        var best: (path: String, data: SegmentData)?
        var failure: StoreError?
        // Twice: between the two looks the one may have become the other.
        for path in candidates + candidates {
            do throws(StoreError) {
                let data = try SegmentData(path: path)
                if !data.isCut { return (path, data) }
                if data.bytes.count > best?.data.bytes.count ?? -1 { best = (path, data) }
            } catch {
                if case .input(_, ENOENT) = error, candidates.count > 1 { continue }
                failure = error
            }
            if best != nil, path == candidates.last { break }
        }
        if let best { return best }
        throw failure ?? .input(path: preferred, errno: ENOENT)
    }
}
