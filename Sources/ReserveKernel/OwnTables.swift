// SPDX-License-Identifier: Apache-2.0

import CBPF
import Glibc

// What our own maps and programs take of the kernel, and how full the maps are.

extension LiveKernel {
    /// A map in which an entry that finds no room is lost.
    public struct Table: Sendable {
        /// As the metrics call it.
        public let name: String
        let map: String
        let index: rw_table_index

        public static let all = [
            Table(name: "reserve_blocks", map: "reserve_blocks", index: RW_TABLE_RESERVE_BLOCKS),
            Table(name: "direct_reclaim", map: "reclaim_stays", index: RW_TABLE_RECLAIM_STAYS),
            Table(name: "throttle_calls", map: "throttle_calls", index: RW_TABLE_THROTTLE_CALLS),
            Table(name: "nbd_requests", map: "nbd_requests", index: RW_TABLE_NBD_REQUESTS),
            Table(name: "swap_bios", map: "swap_bios", index: RW_TABLE_SWAP_BIOS),
            Table(name: "slab_caches", map: "slab_caches", index: RW_TABLE_SLAB_CACHES),
            Table(name: "sockets", map: "memalloc_sockets", index: RW_TABLE_SOCKETS),
            Table(name: "reclaim_tasks", map: "reclaim_tasks", index: RW_TABLE_RECLAIM_TASKS),
            Table(name: "page_tasks", map: "page_tasks", index: RW_TABLE_PAGE_TASKS),
        ]
    }

    /// Most entries that a table takes.
    public func capacity(of table: Table) -> UInt32 { rw_bpf_map_capacity(bpf, table.map) }

    /// Has the kernel count the entries of the tables now: a sum over its CPUs for each. One
    /// system call, no memory.
    ///
    /// - Returns: whether it counts them at all: kernel/bpf/map_iter.c:bpf_map_sum_elem_count().
    public func countTables() -> Bool { countsTables && rw_bpf_count_tables(bpf) == 0 }

    /// Entries of the table with this number, as ``countTables()`` found them.
    public func entries(of table: Table) -> UInt64 {
        withUnsafeBytes(of: &shared.pointee.table_entries) { bytes in
            bytes.loadUnaligned(fromByteOffset: Int(table.index.rawValue) * 8, as: UInt64.self)
        }
    }

    /// Kernel memory of our maps and programs.
    public struct Memory: Sendable {
        /// nil: /proc does not tell.
        public var mapBytes: UInt64?
        /// By the kernel's account of each map; else the size of its keys and values only.
        public var mapsAreCounted = false
        /// The pages of the programs, and the length of the machine code made of them. Not in
        /// it: the trampolines that lead to them, and what the verifier noted.
        public var programBytes: UInt64?
    }

    /// As /proc/self/fdinfo tells. Allocates: for the start. None of it changes later, for all
    /// maps take their memory when they are made.
    public var memory: Memory {
        var memory = Memory()
        memory.mapsAreCounted = countsMapMemory
        var maps: UInt64 = 0
        var index: UInt32 = 0
        while true {
            let descriptor = rw_bpf_map_descriptor(bpf, index)
            if descriptor < 0 { break }
            guard let bytes = Self.accountedBytes(descriptor) else { return memory }
            maps &+= bytes
            index += 1
        }
        memory.mapBytes = maps
        var code: UInt64 = 0
        for name in choices.flatMap(\.programs) + (countsTables ? [HookPlan.countTables] : []) {
            var figures = rw_bpf_figures()
            guard let pages = Self.accountedBytes(rw_bpf_program_descriptor(bpf, name)),
                rw_bpf_figures(bpf, name, &figures)
            else { return memory }
            code &+= pages &+ UInt64(figures.jited_bytes)
        }
        memory.programBytes = code
        return memory
    }

    /// The line "memlock:" of a descriptor.
    private static func accountedBytes(_ descriptor: Int32) -> UInt64? {
        guard descriptor >= 0,
            let text = readFile("/proc/self/fdinfo/\(descriptor)", limit: 4096)
        else { return nil }
        for line in text.split(separator: "\n") where line.hasPrefix("memlock:") {
            return UInt64(line.dropFirst("memlock:".count).drop { $0 == "\t" || $0 == " " })
        }
        return nil
    }
}
