// SPDX-License-Identifier: Apache-2.0

import CBPF
import ReserveKernel

/// What the watch knows of its own programs and tables, and what of it was told.
///
/// Missed runs are told as soon as they are seen; the rest, which changes all the time, each ten
/// seconds. Nothing here allocates after ``init(_:)``.
struct OwnMarks {
    private var programs: [ProgramMark]
    private var tables: [TableMark]
    private var tablesKnown = false
    /// The kernel keeps statistics of programs, or has kept some.
    private var runsKnown = false
    private var nextTell: UInt64 = 0
    private var isTelling = false

    private struct ProgramMark {
        var missed: UInt64 = 0
        var runs: UInt64 = 0
        var runsKnown = false
    }

    private struct TableMark {
        let capacity: UInt32
        var most: UInt64 = 0
        var told: (entries: UInt64, most: UInt64)?
    }

    private static let tellEach: UInt64 = 10_000_000_000

    init(_ kernel: borrowing LiveKernel) {
        programs = Array(repeating: ProgramMark(), count: kernel.programs)
        tables = []
        for table in LiveKernel.Table.all {
            tables.append(TableMark(capacity: kernel.capacity(of: table)))
        }
    }

    /// Each second, after the programs were read. `atOnce`: all that changed is to be told.
    mutating func look(_ kernel: borrowing LiveKernel, at now: UInt64, atOnce: Bool) {
        isTelling = atOnce || now >= nextTell
        if isTelling { nextTell = now &+ Self.tellEach }
        for index in programs.indices where kernel.program(at: index).runs > 0 { runsKnown = true }
        tablesKnown = kernel.countTables()
        guard tablesKnown else { return }
        for (index, table) in LiveKernel.Table.all.enumerated() {
            tables[index].most = max(tables[index].most, kernel.entries(of: table))
        }
    }

    /// The record of the program with this number, where there is news of it.
    mutating func program(
        _ index: Int, of kernel: borrowing LiveKernel, at now: UInt64
    ) -> rw_program? {
        let program = kernel.program(at: index)
        let before = programs[index]
        let hasRun = before.runs != program.runs || before.runsKnown != runsKnown
        guard before.missed != program.missed || isTelling && hasRun else { return nil }
        programs[index] = ProgramMark(
            missed: program.missed, runs: program.runs, runsKnown: runsKnown)
        return UserRecords.program(program, runsKnown: runsKnown, bootNanoseconds: now)
    }

    var tableCount: Int { tables.count }

    /// The same of a table.
    mutating func table(
        _ index: Int, of kernel: borrowing LiveKernel, at now: UInt64
    ) -> rw_table? {
        guard isTelling else { return nil }
        let table = LiveKernel.Table.all[index]
        let entries = tablesKnown ? kernel.entries(of: table) : 0
        let most = tables[index].most
        if let told = tables[index].told, told == (entries, most) { return nil }
        tables[index].told = (entries, most)
        return UserRecords.table(
            name: table.name, capacity: tables[index].capacity,
            entries: tablesKnown ? entries : nil, most: most, bootNanoseconds: now)
    }
}
