// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension MetricsRegistry {
    /// What the agent has in the kernel: programs, tables, their memory.
    static let kernelSideMetrics: [Metric] = [
        .gauge(
            "reservewatch_programs_attached", "BPF programs that the agent has attached.",
            from: "self record"
        ) { $1.sample($0.selfAccount?.kernelSide.map { .number(UInt64($0.programs)) }) },
        .counter(
            "reservewatch_program_runs_total", by: ["program"],
            "Runs of each program while the kernel kept statistics (kernel.bpf_stats_enabled=1, which costs time at each run of every program of the host); absent where it has kept none.",
            from: "program records, bpf_prog_info.run_cnt"
        ) { picture, out in
            for index in picture.programs.indices {
                let program = picture.programs[index]
                out.sample(program.runs.map { .number($0.count) }, .text(program.name))
            }
        },
        .counter(
            "reservewatch_program_run_seconds_total", unit: .seconds, by: ["program"],
            "Time in these runs.", from: "program records, bpf_prog_info.run_time_ns"
        ) { picture, out in
            for index in picture.programs.indices {
                let program = picture.programs[index]
                out.sample(program.runs.map { .nanoseconds($0.nanoseconds) }, .text(program.name))
            }
        },
        table(
            "reservewatch_table_capacity",
            "Entries for which each table of the kernel side has room; what finds none is in reservewatch_untracked_total."
        ) { .number(UInt64($0.capacity)) },
        table(
            "reservewatch_table_entries",
            "Entries in each of these tables, at most ten seconds ago; absent where the kernel does not count them (before Linux 6.6)."
        ) { $0.entries.map { .number($0.now) } },
        table(
            "reservewatch_table_most_entries",
            "Most entries that one look each second found there since the agent's start."
        ) { $0.entries.map { .number($0.most) } },
        .gauge(
            "reservewatch_maps_memory_bytes", unit: .bytes, by: ["accounting"],
            "Kernel memory of the agent's BPF maps, all of it taken at its start. counted: by the kernel, for each type of map (since Linux 6.4); estimated: it tells only how large keys and values are.",
            from: "memlock in /proc/self/fdinfo"
        ) { picture, out in
            guard let maps = picture.selfAccount?.maps else { return }
            out.sample(.number(maps.bytes), .word(maps.areCounted ? "counted" : "estimated"))
        },
        .gauge(
            "reservewatch_programs_memory_bytes", unit: .bytes,
            "Kernel memory of the agent's BPF programs: their pages, and the machine code made of them; not the trampolines that lead there.",
            from: "memlock in /proc/self/fdinfo, bpf_prog_info.jited_prog_len"
        ) { $1.sample($0.selfAccount?.programBytes.map { .number($0) }) },
        .gauge(
            "reservewatch_ring_size_bytes", unit: .bytes,
            "Size of the ring through which records come from the kernel.", from: "host record"
        ) { $1.sample($0.host.map { .number($0.ringBytes) }) },
        .gauge(
            "reservewatch_ring_most_waiting_bytes", unit: .bytes,
            "The most that a turn of the agent's loop found waiting there, since its start: how near it came to losing records.",
            from: "self record"
        ) { $1.sample($0.selfAccount?.kernelSide.map { .number($0.ringMostWaitingBytes) }) },
    ]

    private static func table(
        _ name: StaticString, _ help: StaticString,
        _ value: @escaping @Sendable (TableUse) -> MetricValue?
    ) -> Metric {
        .gauge(name, by: ["table"], help, from: "table records") { picture, out in
            for index in picture.tables.indices {
                let table = picture.tables[index]
                out.sample(value(table), .text(table.name))
            }
        }
    }
}
