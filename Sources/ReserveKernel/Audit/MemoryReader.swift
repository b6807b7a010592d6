// SPDX-License-Identifier: Apache-2.0

import CBPF
import Glibc

/// What the kernel would set vm.min_free_kbytes to by itself.
///
/// mm/page_alloc.c:calculate_min_free_kbytes(): the root of sixteen times the kilobytes of the
/// zones up to Normal, between 128 and 262144. mm/khugepaged.c:set_recommended_min_free_kbytes()
/// then raises it where huge pages are enabled: eleven pageblocks a zone, at most a twentieth of
/// those zones.
public enum DefaultMinFree {
    /// - Parameters:
    ///   - lowmemPages: managed pages of the zones up to Normal. The kernel computed with those
    ///     that it had at boot and later subtracts the high watermarks, so that its figure may
    ///     differ by some per cent; see ``tolerancePercent``.
    ///   - zones: how many zones these are.
    ///   - hugePages: whether khugepaged asked for more.
    public static func kib(
        lowmemPages: UInt64, zones: UInt64, pageBytes: UInt64, pageblockPages: UInt64,
        hugePages: Bool
    ) -> UInt64 {
        let pageKiB = pageBytes / 1024
        let root = UInt64(Double(lowmemPages * pageKiB * 16).squareRoot())
        let plain = min(max(root, 128), 262_144)
        guard hugePages else { return plain }
        // 2 pageblocks, and MIGRATE_PCPTYPES (3) squared more
        let recommended = min(pageblockPages * zones * (2 + 3 * 3), lowmemPages / 20) * pageKiB
        return max(plain, recommended)
    }

    /// Memory that was freed after boot (an initramfs of a tenth of the memory moves the root by
    /// a twentieth), and the high watermarks.
    public static let tolerancePercent: UInt64 = 10

    public static func isUnchanged(_ kib: UInt64, usual: UInt64) -> Bool {
        let slack = usual * tolerancePercent / 100
        return kib + slack >= usual && kib <= usual + slack
    }
}

extension MemoryFacts {
    /// Reads /proc/zoneinfo, /proc/meminfo and the sysctls.
    static func read(_ files: RootedFiles) -> MemoryFacts {
        var facts = MemoryFacts()
        if files.root.isEmpty { facts.pageBytes = UInt64(sysconf(Int32(_SC_PAGESIZE))) }
        facts.totalKiB = field("MemTotal:", files.text("/proc/meminfo"))
        facts.availableKiB = field("MemAvailable:", files.text("/proc/meminfo"))
        facts.rmemMaxBytes = files.number("/proc/sys/net/core/rmem_max")
        facts.minFreeKiB = files.number("/proc/sys/vm/min_free_kbytes")
        facts.swappiness = files.number("/proc/sys/vm/swappiness")
        facts.compactUnevictableAllowed = files.number("/proc/sys/vm/compact_unevictable_allowed")
        facts.tcpMemPages = three(files.numbers("/proc/sys/net/ipv4/tcp_mem"))
        facts.tcpRmemBytes = three(files.numbers("/proc/sys/net/ipv4/tcp_rmem"))

        var pages: UInt64 = 0
        var zones: UInt64 = 0
        (files.bytes("/proc/zoneinfo") ?? []).withUnsafeBytes { text in
            ZoneinfoFallback.parse(text) { zone in
                let name = withUnsafeBytes(of: zone.name) { bytes in
                    String(decoding: bytes.prefix(while: { $0 != 0 }), as: UTF8.self)
                }
                guard ["DMA", "DMA32", "Normal"].contains(name) else { return }
                pages += zone.managed_pages
                zones += 1
            }
        }
        guard zones > 0 else { return facts }
        facts.lowmemPages = pages
        guard let hugePages = hugePagesEnabled(files) else { return facts }
        facts.defaultMinFreeKiB = DefaultMinFree.kib(
            lowmemPages: pages, zones: zones, pageBytes: facts.pageBytes,
            pageblockPages: pageblockPages(files), hugePages: hugePages)
        return facts
    }

    /// mm/khugepaged.c:hugepage_pmd_enabled(): [always] or [madvise], for the size of a page
    /// table's page where the kernel tells that size apart. nil where neither can be read.
    private static func hugePagesEnabled(_ files: RootedFiles) -> Bool? {
        let base = "/sys/kernel/mm/transparent_hugepage"
        guard files.exists(base) else {
            // A kernel without huge pages has no such directory; no sysfs at all is another thing.
            return files.exists("/sys/kernel/mm") ? false : nil
        }
        guard let global = files.text("\(base)/enabled") else { return nil }
        let isOn = global.contains("[always]") || global.contains("[madvise]")
        guard let kib = files.number("\(base)/hpage_pmd_size").map({ $0 / 1024 }),
            let size = files.text("\(base)/hugepages-\(kib)kB/enabled")
        else { return isOn }
        if size.contains("[always]") || size.contains("[madvise]") { return true }
        if size.contains("[inherit]") || !isOn { return isOn }
        // "never" for this size only: whether files' pages still count is a build's choice.
        return nil
    }

    /// "Pages per block:  512" of /proc/pagetypeinfo; 2 MB where it cannot be read.
    private static func pageblockPages(_ files: RootedFiles) -> UInt64 {
        for line in (files.text("/proc/pagetypeinfo") ?? "").split(separator: "\n")
        where line.hasPrefix("Pages per block:") {
            if let pages = line.split(separator: " ").last.flatMap({ UInt64($0) }) { return pages }
        }
        return 512
    }

    private static func field(_ name: String, _ text: String?) -> UInt64? {
        for line in (text ?? "").split(separator: "\n") where line.hasPrefix(name) {
            let words = line.split(whereSeparator: \.isWhitespace)
            return words.count > 1 ? UInt64(words[1]) : nil
        }
        return nil
    }

    private static func three(_ numbers: [UInt64]?) -> [UInt64]? {
        numbers.flatMap { $0.count == 3 ? $0 : nil }
    }
}
