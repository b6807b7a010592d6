// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension MetricsRegistry {
    static let verdictMetrics: [Metric] =
        [
            Metric(
                name: "reservewatch_build_info", kind: .info, unit: .none,
                labels: ["version", "kernel"],
                help: "The agent's version and the kernel that it watches; always 1.",
                origin: "host record",
                source: .picture { picture, out in
                    guard let host = picture.host else { return }
                    out.sample(.number(1), .text(host.agentVersion), .text(host.kernelRelease))
                }),
            .gauge(
                "reservewatch_agent_start_time_seconds", unit: .seconds,
                "Unix time at which the agent started: its counters began at 0 then.",
                from: "host record"
            ) { $1.sample($0.unixTime($0.firstBootNanoseconds)) },
            .gauge(
                "reservewatch_verdict", by: ["state"],
                "1 for the state that the host is in, 0 for the others; docs/verdict.md has what each means.",
                from: "verdict"
            ) { $1.states(Array(HostState.allCases), is: $0.verdict.state, word: \.word) },
            .gauge(
                "reservewatch_verdict_start_time_seconds", unit: .seconds,
                "Unix time at which the host entered its state.", from: "verdict"
            ) { picture, out in
                guard picture.verdict.sinceBootNanoseconds > 0 else { return }
                out.sample(picture.unixTime(picture.verdict.sinceBootNanoseconds))
            },
            .counter(
                "reservewatch_verdict_seconds_total", unit: .seconds, by: ["state"],
                "Time that the host has been in each state, counted by the agent: a scrape that came too late to see a state has it here.",
                from: "standing records"
            ) { picture, out in
                for state in HostState.allCases {
                    let time = picture.nanoseconds(in: state)
                    out.sample(time.map { .nanoseconds($0) }, .word(state.word))
                }
            },
            .counter(
                "reservewatch_verdict_entries_total", by: ["state"],
                "How often the host came to be in each state.", from: "standing records"
            ) { picture, out in
                guard let totals = picture.stateTotals else { return }
                for state in HostState.allCases {
                    let count = totals.entries[Int(state.rawValue)]
                    out.sample(.number(UInt64(count)), .word(state.word))
                }
            },
            .gauge(
                "reservewatch_memory_condition", by: ["state"],
                "1 for how far free memory is down, on the node where it is worst.", from: "verdict"
            ) {
                $1.states(
                    Array(HostConditions.Memory.allCases), is: $0.verdict.conditions.memory,
                    word: \.word)
            },
            .gauge(
                "reservewatch_progress_condition", by: ["state"],
                "1 for what the requests of the swap's devices do.", from: "verdict"
            ) {
                $1.states(
                    Array(HostConditions.Progress.allCases), is: $0.verdict.conditions.progress,
                    word: \.word)
            },
            .gauge(
                "reservewatch_actors_condition", by: ["state"],
                "1 for who could end a stop; open when nothing stops.", from: "verdict"
            ) {
                $1.states(
                    Array(HostConditions.Actors.allCases), is: $0.verdict.conditions.actors,
                    word: \.word)
            },
            .gauge(
                "reservewatch_alert_level", by: ["track", "level"],
                "1 for the level at which each track of alerts stands.", from: "alerts"
            ) { picture, out in
                for index in 0..<2 {
                    let track = picture.alerts[index]
                    out.states(
                        Array(Alert.Level.allCases), is: track.level, word: \.word,
                        .word(track.track.word))
                }
            },
            .counter(
                "reservewatch_alert_incidents_total", by: ["track"],
                "Incidents that began since the agent's start.", from: "alerts"
            ) { picture, out in
                for index in 0..<2 {
                    let track = picture.alerts[index]
                    out.sample(.number(UInt64(track.incident)), .word(track.track.word))
                }
            },
            .counter(
                "reservewatch_alert_critical_incidents_total", by: ["track"],
                "Of these, those that were critical at some time.", from: "standing records"
            ) { picture, out in
                for index in 0..<2 {
                    let track = picture.alerts[index]
                    out.sample(
                        track.criticalIncidents.map { .number(UInt64($0)) },
                        .word(track.track.word))
                }
            },
            .gauge(
                "reservewatch_alert_start_time_seconds", unit: .seconds, by: ["track"],
                "Unix time at which the incident that lasts began; absent when none lasts.",
                from: "alerts"
            ) { picture, out in
                for index in 0..<2 where picture.alerts[index].level != .resolved {
                    let track = picture.alerts[index]
                    out.sample(
                        picture.unixTime(track.sinceBootNanoseconds), .word(track.track.word))
                }
            },
            .gauge(
                "reservewatch_alert_reason", by: ["track", "reason"],
                "1 for each reason that the last alert of an incident gave; absent when none lasts, or it was told before this reader came.",
                from: "alerts"
            ) { picture, out in
                for index in 0..<2 where picture.alerts[index].level != .resolved {
                    guard let alert = picture.lastAlerts[index],
                        alert.incident == picture.alerts[index].incident
                    else { continue }
                    for place in 0..<Alert.Reasons.all.count {
                        let reason = Alert.Reasons.all[place]
                        guard reason.isExposure == (alert.track == .exposure) else { continue }
                        out.sample(
                            .flag(alert.reasons.contains(reason)), .word(alert.track.word),
                            .word(reason.word))
                    }
                }
            },
            .gauge(
                "reservewatch_time_left_seconds", unit: .seconds, by: ["confidence"],
                "Until nothing would be free, if the trend of the last two seconds went on; absent when there is none.",
                from: "trend of the node that is worst off"
            ) { picture, out in
                guard let left = picture.verdict.evidence.timeLeft else { return }
                out.sample(.nanoseconds(left.nanoseconds), .word(left.confidence.word))
            },
        ] + exposureMetrics

    private static let exposureMetrics: [Metric] = [
        .gauge(
            "reservewatch_exposure_receive_bound_bytes", unit: .bytes,
            "The most that TCP and UDP sockets may hold in receive buffers: what each may grow to, within what the protocol may.",
            from: "/proc/net/sockstat, net.ipv4.tcp_rmem, tcp_mem, net.core.rmem_default, udp_mem"
        ) { $1.sample($0.exposure?.receiveBoundBytes.map { .number($0) }) },
        .gauge(
            "reservewatch_exposure_receive_rings_bytes", unit: .bytes,
            "What network cards must be given for every packet that they have room for.",
            from: "exposure record"
        ) { $1.sample($0.exposure?.receiveRingsBytes.map { .number($0) }) },
        .gauge(
            "reservewatch_exposure_needed_bytes", unit: .bytes,
            "What receiving may take of the reserve at most: buffers, and rings where they are known.",
            from: "exposure record"
        ) { $1.sample($0.exposure?.neededBytes.map { .number($0) }) },
        .gauge(
            "reservewatch_exposure_reserve_bytes", unit: .bytes,
            "The min marks of all zones without boost: what the host falls back on.",
            from: "zones"
        ) { $1.sample($0.reserveBytes.map { .number($0) }) },
        .gauge(
            "reservewatch_exposure_tcp_sockets",
            "TCP sockets in the agent's network namespace.", from: "/proc/net/sockstat"
        ) { $1.sample($0.exposure?.tcpSockets.map { .number($0) }) },
        .gauge(
            "reservewatch_exposure_udp_sockets",
            "UDP sockets in the agent's network namespace.", from: "/proc/net/sockstat"
        ) { $1.sample($0.exposure?.udpSockets.map { .number($0) }) },
        .gauge(
            "reservewatch_exposure_tcp_memory_bytes", unit: .bytes, "What TCP holds now.",
            from: "/proc/net/sockstat"
        ) { $1.sample($0.exposure?.tcpMemoryBytes.map { .number($0) }) },
        .gauge(
            "reservewatch_exposure_tcp_memory_maximum_bytes", unit: .bytes,
            "The most that TCP may hold.", from: "net.ipv4.tcp_mem"
        ) { $1.sample($0.exposure?.tcpMemoryMaximumBytes.map { .number($0) }) },
        .gauge(
            "reservewatch_exposure_writeback_throttle_seconds", unit: .seconds,
            "The largest writeback throttling target of the swap's disks; 0: it is off.",
            from: "queue/wbt_lat_usec"
        ) { $1.sample($0.exposure?.writebackThrottleMicroseconds.map { .microseconds($0) }) },
    ]
}

extension Alert.Reasons {
    var isExposure: Bool {
        self == .receiveBuffers || self == .writebackThrottle || self == .localServer
    }
}

extension Picture {
    /// A size in pages, in bytes; nil where either is unknown.
    func bytes(_ pages: UInt64?) -> MetricValue? {
        guard let pages, let host else { return nil }
        return .number(pages &* UInt64(host.pageSizeBytes))
    }

    /// A time of CLOCK_BOOTTIME as Unix time, by the offset of the agent's start.
    func unixTime(_ bootNanoseconds: UInt64) -> MetricValue? {
        guard let host else { return nil }
        let (time, overflow) = host.realtimeOffsetNanoseconds.addingReportingOverflow(
            Int64(clamping: bootNanoseconds))
        return overflow || time < 0 ? nil : .nanoseconds(UInt64(time))
    }
}
