// SPDX-License-Identifier: Apache-2.0

import CRecord
import Glibc
import ReserveBox
import ReserveRecord

/// The black box of an agent, alive or dead, read as a recording.
enum BoxSource {
    /// All that a box has at this moment, as the bytes of a segment.
    static func segment(of path: String) throws(StoreError) -> [UInt8] {
        var reader = try open(path)
        let checksum = Checksum()
        var bytes: [UInt8] = []
        RecordingFormat.appendSegmentOpening(to: &bytes)
        var state = StateKeeper()
        var latest: UInt64 = 0
        reader.states { state.take($0) }
        for record in state.records() {
            record.withUnsafeBytes {
                _ = RecordingFormat.appendFrame(
                    RW_FRAME_REPEATED, $0, checksum: checksum, to: &bytes)
            }
        }
        func append(_ record: UnsafeRawBufferPointer) {
            RecordingFormat.appendFrame(RW_FRAME_RECORD, record, checksum: checksum, to: &bytes)
            latest = max(latest, record.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }
        // A writer that is alive overwrites what was not copied yet; a box may be damaged.
        reader.read(
            skipped: { records in
                let gap = rw_skipped(
                    records: records, since: latest, reason: RW_SKIPPED_BEHIND, errno: 0,
                    bootNanoseconds: latest)
                withUnsafeBytes(of: gap, append)
            }, append)
        return bytes
    }

    private static func open(_ path: String) throws(StoreError) -> BoxReader {
        do throws(BoxError) {
            return try BoxFile.open(path: path, start: .oldest, ofThisBoot: false)
        } catch {
            switch error {
            case .absent(let path): throw .input(path: path, errno: ENOENT)
            case .notPermitted(let path, let errno): throw .input(path: path, errno: errno)
            case .foreign(let path, let reason):
                throw .notARecording(path: path, reason: reason)
            case .inUse(let path, _): throw .input(path: path, errno: EBUSY)
            case .failed(_, let path, let errno): throw .input(path: path, errno: errno)
            }
        }
    }
}
