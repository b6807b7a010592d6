// SPDX-License-Identifier: Apache-2.0

/// What a recording has lost, found while it is read.
public enum RecordingProblem: Equatable, Sendable {
    /// In the middle.
    case damaged(path: String, bytes: Int)
    /// At the end: normal where a recorder or a host ended suddenly, or still writes.
    case torn(path: String, bytes: Int)
    /// A compressed segment that ends early.
    case cutCompressed(path: String)
    /// By the recorder's own count, before this segment.
    case missing(path: String, records: UInt64)
    case unreadable(path: String, reason: String)

    public var sentence: String {
        switch self {
        case .damaged(let path, let bytes):
            return "\(path): \(bytes) damaged bytes were passed over"
        case .torn(let path, let bytes):
            return "\(path): ends in the middle of a record (\(bytes) bytes)"
        case .cutCompressed(let path):
            return "\(path): the compressed data ends early; what lies before is told"
        case .missing(let path, let records):
            return "\(path): \(records) records before it are missing"
        case .unreadable(let path, let reason):
            return "\(path): passed over: \(reason)"
        }
    }
}
