// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension MetricsRegistry {
    static let agentMetrics: [Metric] = [
        .gauge(
            "reservewatch_hook_state", by: ["signal", "state"],
            "1 for how each signal is observed: primary, fallback, missing (unknown on this host), off (armed when asked for).",
            from: "hook records"
        ) { picture, out in
            for index in picture.hooks.indices where !picture.hooks[index].isProtection {
                let hook = picture.hooks[index]
                for state in [HookFact.State.primary, .fallback, .missing, .off] {
                    out.sample(.flag(hook.state == state), .text(hook.signal), .word(state.word))
                }
            }
        },
        .gauge(
            "reservewatch_protection_state", by: ["signal", "state"],
            "1 for whether the agent has each of its protections: primary, fallback when it has it in part, missing when it was refused.",
            from: "hook records"
        ) { picture, out in
            for index in picture.hooks.indices where picture.hooks[index].isProtection {
                let hook = picture.hooks[index]
                for state in [HookFact.State.primary, .fallback, .missing] {
                    out.sample(.flag(hook.state == state), .text(hook.signal), .word(state.word))
                }
            }
        },
        .counter(
            "reservewatch_agent_beats_total", "Turns of the agent's loop.", from: "counters record"
        ) { $1.sample($0.counters.map { .number($0.beats) }) },
        .gauge(
            "reservewatch_agent_worst_beat_gap_seconds", unit: .seconds,
            "Longest time between two turns of the agent's loop, which are 0.1 s apart.",
            from: "counters record"
        ) { $1.sample($0.counters.map { .nanoseconds($0.beatWorstGapNanoseconds) }) },
        .counter(
            "reservewatch_agent_timer_ticks_total", "Runs of the timer in the kernel.",
            from: "counters record"
        ) { $1.sample($0.counters.map { .number($0.timerTicks) }) },
        account(
            "reservewatch_agent_cpu_seconds_total", .counter, unit: .seconds,
            "Processor time of the agent."
        ) { account, _ in .nanoseconds(account.cpuNanoseconds) },
        account(
            "reservewatch_agent_locked_bytes", .gauge, unit: .bytes,
            "Memory that the agent has locked: VmLck, at its start."
        ) { account, _ in .number(account.lockedKiB &* 1024) },
        account(
            "reservewatch_agent_resident_bytes", .gauge, unit: .bytes,
            "Memory of the agent: VmRSS, at its start."
        ) { account, _ in .number(account.residentKiB &* 1024) },
        account("reservewatch_agent_threads", .gauge, "Threads of the agent.") {
            account, _ in .number(UInt64(account.threads))
        },
        account("reservewatch_box_bytes", .gauge, unit: .bytes, "Size of the black box.") {
            account, _ in .number(account.boxBytes)
        },
        account(
            "reservewatch_agent_allocated_bytes_total", .counter, unit: .bytes,
            "Pages that the kernel gave the thread of the agent's loop, by the agent's own programs' count: 0 is what it promises."
        ) { $1.bytes($0.allocations?.pages) },
        account(
            "reservewatch_agent_direct_reclaims_total", .counter,
            "Direct reclaims of the thread of the agent's loop: 0 is what it promises."
        ) { account, _ in account.allocations.map { .number($0.directReclaims) } },
        account(
            "reservewatch_agent_sink_allocated_bytes_total", .counter, unit: .bytes,
            "Pages that the kernel gave the threads that write to what may wait."
        ) { $1.bytes($0.allocations?.sinkPages) },
        account(
            "reservewatch_agent_sink_direct_reclaims_total", .counter,
            "Direct reclaims of these threads."
        ) { account, _ in account.allocations.map { .number($0.sinkDirectReclaims) } },
        account(
            "reservewatch_agent_major_faults_total", .counter,
            "Page faults of the agent that had to wait for a disk, since its loop began: 0 is what it promises."
        ) { account, _ in account.faults.map { .number($0.major) } },
        account(
            "reservewatch_agent_minor_faults_total", .counter,
            "Other page faults of the agent since its loop began."
        ) { account, _ in account.faults.map { .number($0.minor) } },
        sink("reservewatch_sink_lines_total", .counter, "Lines that were written.") {
            .number($0.lines)
        },
        sink(
            "reservewatch_sink_dropped_lines_total", .counter, "Lines that found no room."
        ) { .number($0.dropped) },
        sink(
            "reservewatch_sink_waiting_bytes", .gauge, unit: .bytes,
            "Bytes that the place has not taken."
        ) { .number($0.waitingBytes) },
        sink(
            "reservewatch_sink_last_delay_seconds", .gauge, unit: .seconds,
            "From the last verdict to the last byte of its line; absent before the first."
        ) { $0.lastNanoseconds.map { .nanoseconds($0) } },
        sink(
            "reservewatch_sink_worst_delay_seconds", .gauge, unit: .seconds, "The longest of these."
        ) { $0.worstNanoseconds.map { .nanoseconds($0) } },
        sink(
            "reservewatch_sink_failed", .gauge, "1 when the place failed and gets no more."
        ) { .flag($0.error != 0) },
    ]

    private static func account(
        _ name: StaticString, _ kind: Metric.Kind, unit: Metric.Unit = .none, _ help: StaticString,
        _ value: @escaping @Sendable (SelfAccount, Picture) -> MetricValue?
    ) -> Metric {
        Metric(
            name: name, kind: kind, unit: unit, labels: [], help: help, origin: "self record",
            source: .picture { picture, out in
                guard let account = picture.selfAccount else { return }
                out.sample(value(account, picture))
            })
    }

    private static func sink(
        _ name: StaticString, _ kind: Metric.Kind, unit: Metric.Unit = .none, _ help: StaticString,
        _ value: @escaping @Sendable (SinkState) -> MetricValue?
    ) -> Metric {
        Metric(
            name: name, kind: kind, unit: unit, labels: ["sink", "format"], help: help,
            origin: "sink records",
            source: .picture { picture, out in
                for index in picture.sinks.indices {
                    let sink = picture.sinks[index]
                    out.sample(
                        value(sink), .text(sink.name), .word(sink.isJSON ? "json" : "text"))
                }
            })
    }

    static let lossMetrics: [Metric] = [
        stem(
            "reservewatch_emitted_records_total", "Records that the kernel side made."
        ) { $0.emitted },
        stem(
            "reservewatch_ring_lost_records_total",
            "Records that found the kernel's ring full: totals have them, lines do not."
        ) { $0.ring },
        stem(
            "reservewatch_suppressed_records_total",
            "Records that were not made, for there were too many of their kind: totals have them."
        ) { $0.suppressed },
        stem(
            "reservewatch_missed_runs_total",
            "Runs of our programs that the kernel skipped, because an interrupt hit the same program: such events are in no total. Absent where the kernel does not tell."
        ) { $0.missed },
        .counter(
            "reservewatch_program_missed_runs_total", by: ["program"],
            "The same, for each program that missed any.", from: "program records"
        ) { picture, out in
            for index in picture.programs.indices where picture.programs[index].missed > 0 {
                let program = picture.programs[index]
                out.sample(.number(program.missed), .text(program.name))
            }
        },
        .counter(
            "reservewatch_output_lost_lines_total",
            "Lines of the agent's own outputs that found no room.", from: "counters record"
        ) { $1.sample($0.counters.map { .number($0.loss.output) }) },
        .counter(
            "reservewatch_untracked_total", by: ["table"],
            "What found no room in a table of the kernel side.", from: "counters record"
        ) { picture, out in
            guard let counters = picture.counters else { return }
            let loss = counters.loss
            out.sample(.number(loss.nbdUntracked), .word("nbd_requests"))
            out.sample(.number(loss.nbdDevicesUntracked), .word("nbd_devices"))
            out.sample(.number(loss.socketsUntracked), .word("sockets"))
            out.sample(.number(loss.stacksUntracked), .word("stacks"))
            out.sample(.number(loss.swapUntracked), .word("swap_bios"))
            out.sample(.number(counters.guardTotals.untracked), .word("guarded"))
            out.sample(counters.slab.map { .number($0.cachesUntracked) }, .word("slab_caches"))
            out.sample(
                counters.directReclaim.map { .number($0.untracked) }, .word("direct_reclaim"))
            if counters.reclaimTasksKnown {
                out.sample(.number(counters.reclaimTasksUntracked), .word("reclaim_tasks"))
            }
            if counters.pageTasksKnown {
                out.sample(.number(counters.pageTasksUntracked), .word("page_tasks"))
            }
        },
        .counter(
            "reservewatch_exporter_unknown_records_total",
            "Records of a newer agent that this reader does not know.", from: "this reader"
        ) { $1.sample(.number($0.unknownRecords)) },
        .counter(
            "reservewatch_exporter_malformed_records_total",
            "Records that were shorter than their kind.", from: "this reader"
        ) { $1.sample(.number($0.malformedRecords)) },
    ]

    private static func stem(
        _ name: StaticString, _ help: StaticString,
        _ counts: @escaping @Sendable (CounterTotals.Loss) -> InlineArray<16, UInt64>?
    ) -> Metric {
        .counter(name, by: ["stem"], help, from: "counters record") { picture, out in
            guard let counters = picture.counters, let counts = counts(counters.loss) else {
                return
            }
            for number in 0..<16 {
                guard let stem = Stem.name(number) else { continue }
                out.sample(.number(counts[number]), .word(stem))
            }
        }
    }
}
