// SPDX-License-Identifier: Apache-2.0

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4), bitwise reflected, by a table made at the start.
public struct Checksum: Sendable {
    private var table: InlineArray<256, UInt32>

    public init() {
        table = InlineArray(repeating: 0)
        for index in 0..<256 {
            var value = UInt32(index)
            for _ in 0..<8 { value = value & 1 != 0 ? (value >> 1) ^ 0x82f6_3b78 : value >> 1 }
            table[index] = value
        }
    }

    /// The checksum of `bytes`. Does not allocate.
    public func callAsFunction(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        var state = UInt32.max
        add(bytes, to: &state)
        return ~state
    }

    /// Goes on over `bytes`; a state begins as all ones, and its complement is the checksum.
    func add(_ bytes: UnsafeRawBufferPointer, to state: inout UInt32) {
        var value = state
        for byte in bytes { value = table[Int((value ^ UInt32(byte)) & 0xff)] ^ (value >> 8) }
        state = value
    }
}
