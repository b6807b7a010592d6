// SPDX-License-Identifier: Apache-2.0

/// A name of at most 16 bytes as the kernel keeps it: comm, zone, disk. NUL padded.
///
/// Bytes are whatever a process called itself; nothing about them can be trusted.
public struct FixedName: Hashable, Sendable {
    private var low: UInt64
    private var high: UInt64

    public init() {
        low = 0
        high = 0
    }

    /// Takes up to 16 bytes, up to the first NUL.
    public init(bytes: UnsafeRawBufferPointer) {
        self.init()
        for index in 0..<min(16, bytes.count) {
            let byte = UInt64(bytes[index])
            if byte == 0 { break }
            if index < 8 {
                low |= byte << UInt64(index * 8)
            } else {
                high |= byte << UInt64((index - 8) * 8)
            }
        }
    }

    public init(_ text: StaticString) {
        self.init(
            bytes: UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Bytes before the first NUL.
    public var count: Int {
        for index in 0..<16 where self[index] == 0 { return index }
        return 16
    }

    public var isEmpty: Bool { low == 0 && high == 0 }

    public subscript(index: Int) -> UInt8 {
        index < 8
            ? UInt8(truncatingIfNeeded: low >> UInt64(index * 8))
            : UInt8(truncatingIfNeeded: high >> UInt64((index - 8) * 8))
    }
}

/// A text of at most 128 bytes: a path, a reason, a host's name. NUL padded.
public struct FixedText: Sendable {
    private var bytes: InlineArray<128, UInt8>
    /// Bytes before the first NUL.
    public private(set) var count: Int

    public init() {
        bytes = InlineArray(repeating: 0)
        count = 0
    }

    /// Takes up to 128 bytes, up to the first NUL.
    public init(bytes source: UnsafeRawBufferPointer) {
        self.init()
        for index in 0..<min(128, source.count) {
            if source[index] == 0 { break }
            bytes[index] = source[index]
            count = index + 1
        }
    }

    public var isEmpty: Bool { count == 0 }

    public subscript(index: Int) -> UInt8 { bytes[index] }

    public static func == (one: FixedText, other: FixedText) -> Bool {
        guard one.count == other.count else { return false }
        for index in 0..<one.count where one.bytes[index] != other.bytes[index] { return false }
        return true
    }
}

/// Who acted. In interrupt context this is only whom the interrupt hit.
public struct TaskIdentity: Hashable, Sendable {
    public var tid: UInt32
    public var tgid: UInt32
    /// cgroup v2 id; 0 where it is not known.
    public var cgroupID: UInt64
    public var comm: FixedName

    public init(tid: UInt32, tgid: UInt32, cgroupID: UInt64, comm: FixedName) {
        self.tid = tid
        self.tgid = tgid
        self.cgroupID = cgroupID
        self.comm = comm
    }
}
