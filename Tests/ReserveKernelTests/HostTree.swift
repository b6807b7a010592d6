// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A directory that looks like a host's /proc and /sys, as far as the audit looks: well made,
/// until a test spoils it.
final class HostTree {
    let root: String

    /// 256 MB, two CPUs, swap on nbd0 set up over netlink with two connections and a timeout to
    /// a server elsewhere, sockets bounded, no writeback throttling.
    init() throws {
        root = NSTemporaryDirectory() + "host-tree-\(UUID().uuidString)"
        try write("/proc/swaps", Self.swaps("/dev/nbd0\tpartition\t2097148\t1024\t-2"))
        try write("/dev/nbd0", "")
        try write("/sys/class/block/nbd0/dev", "43:0\n")
        try write("/sys/block/nbd0/dev", "43:0\n")
        try write("/sys/block/nbd0/pid", "90\n")
        try write("/sys/block/nbd0/queue/io_timeout", "20000\n")
        try write("/sys/block/nbd0/queue/wbt_lat_usec", "0\n")
        try write("/sys/block/nbd0/queue/scheduler", "[none] mq-deadline\n")
        try write("/sys/kernel/debug/nbd/nbd0/timeout", "5000\n")
        try write("/sys/devices/system/cpu/possible", "0-3\n")
        try queues(2)
        try write("/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n")
        try write(
            "/proc/meminfo",
            "MemTotal:         246000 kB\nMemFree:           50000 kB\n"
                + "MemAvailable:     150000 kB\n")
        try write("/proc/zoneinfo", Self.zoneinfo)
        // the root of 16 * 4 * 61440
        try sysctl("vm/min_free_kbytes", "1982")
        try sysctl("vm/swappiness", "60")
        try sysctl("net/ipv4/tcp_mem", "2880\t3840\t5760")
        try sysctl("net/ipv4/tcp_rmem", "4096\t131072\t262144")
        try sysctl("net/core/rmem_max", "212992")
        try tcp([
            "10.0.2.15:49000 10.0.2.2:10809 01 501", "10.0.2.15:49001 10.0.2.2:10809 01 502",
            "0.0.0.0:22 0.0.0.0:0 0A 503",
        ])
        try write("/proc/net/tcp6", "  sl  local_address\n")
        try unix([])
        try process(1, "init", ["/sbin/init"])
    }

    deinit {
        try? FileManager.default.removeItem(atPath: root)
    }

    func write(_ path: String, _ text: String) throws {
        let file = URL(fileURLWithPath: root + path)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
    }

    func remove(_ path: String) throws {
        try FileManager.default.removeItem(atPath: root + path)
    }

    func sysctl(_ name: String, _ value: String) throws {
        try write("/proc/sys/" + name, value + "\n")
    }

    /// As many hardware queues as connections.
    func queues(_ count: Int) throws {
        try? remove("/sys/block/nbd0/mq")
        for queue in 0..<count { try write("/sys/block/nbd0/mq/\(queue)/nr_tags", "128\n") }
    }

    static func swaps(_ line: String) -> String {
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\(line)\n"
    }

    /// The client waits in ioctl(NBD_DO_IT): it holds the device and the socket `inode`.
    func ioctlClient(
        _ cmdline: [String], locked: Int = 1800, score: Int = -1000, inode: Int = 501
    ) throws {
        try process(
            90, "nbd-client", cmdline, locked: locked, score: score,
            descriptors: ["/dev/nbd0", "socket:[\(inode)]"])
    }

    func process(
        _ pid: Int, _ comm: String, _ cmdline: [String], locked: Int = 0, score: Int = 0,
        flags: [Int] = [0x40_0000], descriptors: [String] = []
    ) throws {
        let base = "/proc/\(pid)"
        // up to field 22, the start
        let zeros = String(repeating: " 0", count: 12)
        let stat = { (flags: Int) in
            "\(pid) (\(comm)) S 1 \(pid) \(pid) 0 -1 \(flags)\(zeros) \(pid * 100)\n"
        }
        try write("\(base)/stat", stat(flags[0]))
        try write(
            "\(base)/status",
            "Name:\tx\nVmLck:\t    \(locked) kB\nVmRSS:\t    1900 kB\nVmSwap:\t      12 kB\n")
        try write("\(base)/oom_score_adj", "\(score)\n")
        try write("\(base)/cmdline", cmdline.map { $0 + "\0" }.joined())
        for (thread, flags) in flags.enumerated() {
            try write("\(base)/task/\(pid + thread)/stat", stat(flags))
        }
        let directory = root + base + "/fd"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        for (number, target) in descriptors.enumerated() {
            try FileManager.default.createSymbolicLink(
                atPath: "\(directory)/\(number)", withDestinationPath: target)
        }
    }

    /// Lines "local remote state inode", written as the kernel does.
    func tcp(_ sockets: [String]) throws {
        var text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n"
        for (index, socket) in sockets.enumerated() {
            let words = socket.split(separator: " ")
            text +=
                "   \(index): \(Self.hexadecimal(words[0])) \(Self.hexadecimal(words[1])) "
                + "\(words[2]) 00000000:00000000 00:00000000 00000000     0        0 \(words[3]) "
                + "1 0000000000000000 20 4 30 10 -1\n"
        }
        try write("/proc/net/tcp", text)
    }

    /// Lines "inode path", connected streams.
    func unix(_ sockets: [String]) throws {
        let lines = sockets.map { "0000000000000000: 00000003 00000000 00000000 0001 03 \($0)\n" }
        try write(
            "/proc/net/unix",
            "Num       RefCount Protocol Flags    Type St Inode Path\n" + lines.joined())
    }

    private static func hexadecimal(_ address: Substring) -> String {
        let parts = address.split(separator: ":")
        let bytes = parts[0].split(separator: ".").compactMap { UInt8($0) }
        return bytes.reversed().map { String(format: "%02X", $0) }.joined() + ":"
            + String(format: "%04X", Int(parts[1]) ?? 0)
    }

    /// 3840 + 57600 managed pages: 240 MB.
    static let zoneinfo = """
        Node 0, zone      DMA
          pages free     3808
                boost    0
                min      31
                low      38
                high     45
                spanned  4095
                present  3998
                managed  3840
        Node 0, zone    DMA32
          pages free     9000
                boost    0
                min      464
                low      580
                high     696
                spanned  61408
                present  61408
                managed  57600

        """
}
