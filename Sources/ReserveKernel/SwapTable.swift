// SPDX-License-Identifier: Apache-2.0

import CBPF
import CLinux
import Glibc

/// Which swap lies on which device: /proc/swaps, followed down to the NBD disk.
///
/// The file is kept open and polled: the kernel marks it readable with
/// POLLPRI | POLLERR whenever swap is added or removed (mm/swapfile.c:swaps_poll()).
public struct SwapTable: ~Copyable {
    /// For poll(2).
    public let descriptor: Int32
    private let buffer: UnsafeMutableRawBufferPointer

    private static let bufferBytes = 16 * 1024

    public init() throws(WatchError) {
        let opened = open("/proc/swaps", O_RDONLY | O_CLOEXEC)
        guard opened >= 0 else { throw .input(path: "/proc/swaps", errno: errno) }
        descriptor = opened
        buffer = .allocate(byteCount: Self.bufferBytes, alignment: 16)
    }

    deinit {
        close(descriptor)
        buffer.deallocate()
    }

    /// Reads the table: one `rw_swap_device` for each line, then the closing record.
    ///
    /// Looks into sysfs and allocates, so it belongs to the start and to the rare moments
    /// when the kernel says that the table changed, not to the loop's every turn.
    public func read(
        bootNanoseconds: UInt64, _ body: (UnsafeRawBufferPointer) -> Void
    ) {
        let count = pread(descriptor, buffer.baseAddress, buffer.count, 0)
        guard count > 0 else { return }
        let text = String(
            decoding: UnsafeRawBufferPointer(rebasing: buffer[..<count]), as: UTF8.self)
        for line in text.split(separator: "\n").dropFirst() {
            guard var device = Self.parse(line: line) else { continue }
            device.header = userHeader(
                stem: RW_STEM_SWAP, kind: RW_SWAP_DEVICE.rawValue,
                size: MemoryLayout<rw_swap_device>.size, bootNanoseconds: bootNanoseconds)
            withUnsafeBytes(of: &device, body)
        }
        var end = userHeader(
            stem: RW_STEM_SWAP, kind: RW_SWAP_TABLE_READ.rawValue,
            size: MemoryLayout<rw_header>.size, bootNanoseconds: bootNanoseconds)
        withUnsafeBytes(of: &end, body)
    }

    /// "/dev/nbd0 partition 2097148 1024 -2", blanks in the path as \040. Header left empty.
    static func parse(line: Substring) -> rw_swap_device? {
        let fields = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
        guard fields.count == 5, let size = UInt64(fields[2]), let used = UInt64(fields[3]),
            let priority = Int32(fields[4])
        else { return nil }
        var device = rw_swap_device()
        copy(String(fields[0]), into: &device.path)
        device.is_partition = fields[1] == "partition" ? 1 : 0
        device.priority = priority
        device.size_kib = size
        device.used_kib = used
        let path = unescape(fields[0])
        var status = stat()
        if stat(path, &status) == 0 {
            // A partition is the device itself, a file lies on one.
            let number = UInt64(device.is_partition == 1 ? status.st_rdev : status.st_dev)
            device.major = rw_device_major(number)
            device.minor = rw_device_minor(number)
        }
        if device.is_partition == 1 {
            copy(nbdDisk(below: path) ?? "", into: &device.nbd_disk)
        } else if let block = blockDevice(ofFile: path) {
            copy(nbdDisk(below: block) ?? "", into: &device.nbd_disk)
        }
        return device
    }

    /// fs/proc mangles blanks, tabs, newlines and backslashes as three octal digits.
    static func unescape(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        let source = Array(text.utf8)
        var index = 0
        while index < source.count {
            if source[index] == UInt8(ascii: "\\"), index + 3 < source.count,
                let value = UInt8(
                    String(decoding: source[index + 1...index + 3], as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                index += 4
            } else {
                bytes.append(source[index])
                index += 1
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The disk name ("nbd0") under a block device: itself, its whole disk, or what
    /// device-mapper, md or loop put it on. `root` is before every path that is looked at.
    static func nbdDisk(below devicePath: String, root: String = "", depth: Int = 0) -> String? {
        guard depth < 8 else { return nil }
        // By its number: the node of device-mapper may have any name.
        var status = stat()
        if root.isEmpty, stat(devicePath, &status) == 0, status.st_mode & S_IFMT == S_IFBLK {
            let number = UInt64(status.st_rdev)
            let link = "/sys/dev/block/\(rw_device_major(number)):\(rw_device_minor(number))"
            if let name = realPath(link)?.split(separator: "/").last.map(String.init) {
                return nbdDisk(named: name, root: root, depth: depth)
            }
        }
        guard let resolved = realPath(root + devicePath),
            let name = resolved.split(separator: "/").last.map(String.init)
        else { return nil }
        return nbdDisk(named: name, root: root, depth: depth)
    }

    private static func nbdDisk(named name: String, root: String, depth: Int) -> String? {
        let directory = "\(root)/sys/class/block/\(name)"
        if name.hasPrefix("nbd") {
            // a partition's directory lies inside its disk's: .../block/nbd0/nbd0p1
            let parent = realPath(directory)?.split(separator: "/").dropLast().last
            return parent.map(String.init).flatMap { $0.hasPrefix("nbd") ? $0 : nil } ?? name
        }
        for slave in entries(of: "\(directory)/slaves") ?? [] {
            if let disk = nbdDisk(named: slave, root: root, depth: depth + 1) { return disk }
        }
        if let backing = readFile("\(directory)/loop/backing_file", limit: 4096) {
            let path = String(backing.prefix(while: { $0 != "\n" }))
            if let disk = nbdDisk(below: path, root: root, depth: depth + 1),
                disk.hasPrefix("nbd")
            {
                return disk
            }
        }
        return nil
    }

    /// The block device that holds a swap file, through the file's st_dev; without `root`.
    static func blockDevice(ofFile path: String, root: String = "") -> String? {
        var status = stat()
        guard stat(root + path, &status) == 0 else { return nil }
        let major = rw_device_major(UInt64(status.st_dev))
        let minor = rw_device_minor(UInt64(status.st_dev))
        return realPath("\(root)/sys/dev/block/\(major):\(minor)").map {
            String($0.dropFirst(root.utf8.count))
        }
    }

    static func realPath(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}
