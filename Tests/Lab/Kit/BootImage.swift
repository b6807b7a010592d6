// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Where the kernel proper lies in an x86 bzImage: Documentation/arch/x86/boot.rst.
public struct BootImage: Equatable, Sendable {
    public enum Packing: String, Sendable {
        case gzip, xz, zstd
    }

    public let packing: Packing
    /// What the packing's own program takes, as offsets in the file.
    public let payload: Range<Int>
    /// How long it is unpacked.
    public let unpackedBytes: Int

    /// - Throws: ``LabError/failed(_:)`` when it is no such image.
    public init(_ image: Data) throws(LabError) {
        func number(_ offset: Int, _ bytes: Int) -> Int {
            image.dropFirst(offset).prefix(bytes).reversed().reduce(0) { $0 << 8 | Int($1) }
        }
        guard image.count > 0x250, image.dropFirst(0x202).prefix(4).elementsEqual("HdrS".utf8)
        else { throw .failed("it is no bzImage: it has no boot header") }
        // payload_offset and payload_length came with version 2.08 of the protocol.
        guard number(0x206, 2) >= 0x208 else {
            throw .failed("its boot protocol is too old to say where the kernel lies")
        }
        // Sectors of the real-mode part, after the boot sector; 0 stands for 4.
        let sectors = number(0x1f1, 1)
        let begin = (1 + (sectors == 0 ? 4 : sectors)) * 512 + number(0x248, 4)
        let end = begin + number(0x24c, 4)
        guard begin + 8 < end, end <= image.count else {
            throw .failed("it is cut short: the kernel lies at \(begin) to \(end)")
        }
        let magics: [(Packing, [UInt8])] = [
            (.gzip, [0x1f, 0x8b]), (.xz, [0xfd, 0x37, 0x7a, 0x58]),
            (.zstd, [0x28, 0xb5, 0x2f, 0xfd]),
        ]
        guard
            let (packing, _) = magics.first(where: {
                image.dropFirst(begin).starts(with: $0.1)
            })
        else { throw .failed("its kernel is packed as neither gzip, xz nor zstd") }
        self.packing = packing
        unpackedBytes = number(end - 4, 4)
        // scripts/Makefile.lib, size_append: the length follows what has none of its own.
        payload = begin..<(packing == .gzip ? end : end - 4)
    }
}
