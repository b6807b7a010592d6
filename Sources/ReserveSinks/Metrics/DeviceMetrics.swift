// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension MetricsRegistry {
    static let deviceMetrics: [Metric] = [
        device(
            "reservewatch_nbd_requests_issued_total", .counter,
            "Requests that went to the driver."
        ) { .number($0.issued) },
        device(
            "reservewatch_nbd_requests_completed_total", .counter, "Requests that completed."
        ) { .number($0.completed) },
        device(
            "reservewatch_nbd_requests_completed_unseen_total", .counter,
            "Completed, having been issued before the agent's start or untracked."
        ) { .number($0.completedUnseen) },
        device(
            "reservewatch_nbd_requests_requeued_total", .counter,
            "Requests given back to the queue."
        ) { .number($0.requeued) },
        device(
            "reservewatch_nbd_requests_failed_total", .counter, "Requests that ended in an error."
        ) { .number($0.errors) },
        device(
            "reservewatch_nbd_read_bytes_total", .counter, unit: .bytes, "Read from the device."
        ) { .number($0.readBytes) },
        device(
            "reservewatch_nbd_written_bytes_total", .counter, unit: .bytes, "Written to the device."
        ) { .number($0.writtenBytes) },
        device(
            "reservewatch_nbd_requests_in_flight", .gauge, "Requests issued and not completed."
        ) { .number($0.inFlight) },
        device(
            "reservewatch_nbd_oldest_request_seconds", .gauge, unit: .seconds,
            "Age of the oldest request in flight; 0 when there is none."
        ) { .nanoseconds($0.oldestNanoseconds) },
        device(
            "reservewatch_nbd_requests_unsent", .gauge,
            "Requests in flight whose header has not gone out: blocked before or in sendmsg()."
        ) { $0.phases.map { .number($0.unsent) } },
        device(
            "reservewatch_nbd_requests_sent_total", .counter, "Headers of requests that went out."
        ) { $0.phases.map { .number($0.sent) } },
        device(
            "reservewatch_nbd_replies_received_total", .counter, "Headers of replies that came in."
        ) { $0.phases.map { .number($0.received) } },
        device(
            "reservewatch_nbd_connections", .gauge,
            "Connections of the device; 0: it is disconnected."
        ) { $0.config.map { .number(UInt64($0.connections)) } },
        device(
            "reservewatch_nbd_live_connections", .gauge, "Of these, those that are not dead."
        ) { $0.config.map { .number(UInt64($0.liveConnections)) } },
        device(
            "reservewatch_nbd_timeout_seconds", .gauge, unit: .seconds,
            "Timeout of a request; 0: none is set."
        ) { $0.config.map { .nanoseconds($0.timeoutNanoseconds) } },
        device(
            "reservewatch_nbd_sockets", .gauge, "SOCK_MEMALLOC sockets of the device."
        ) { $0.path.map { .number(UInt64($0.sockets)) } },
        device(
            "reservewatch_nbd_segments_received", .gauge,
            "TCP segments that the connections of now received: no counter, for a connection that goes takes its own with it."
        ) { $0.path.map { .number($0.segmentsReceived) } },
        device(
            "reservewatch_nbd_local_server", .gauge,
            "1 when the server is on this host, and waits for memory like all others."
        ) { $0.path.map { .flag($0.isLocal) } },
        .gauge(
            "reservewatch_nbd_carrier", by: ["device", "state"],
            "1 for the state of the link that the connections go out through.",
            from: "net_device of the route"
        ) { picture, out in
            guard picture.counters?.nbdKnown == true else { return }
            for index in picture.devices.indices {
                let sample = picture.devices[index].sample
                guard let path = sample.path else { continue }
                out.states(
                    [NBDSample.Path.Carrier.unknown, .up, .down], is: path.carrier, word: \.word,
                    .name(sample.disk))
            }
        },
        .gauge(
            "reservewatch_nbd_last_completion_time_seconds", unit: .seconds, by: ["device"],
            "Unix time at which a request completed last; absent when none has.",
            from: "tp_btf/block_rq_complete"
        ) { picture, out in
            guard picture.counters?.nbdKnown == true else { return }
            for index in picture.devices.indices {
                let sample = picture.devices[index].sample
                guard sample.lastCompletionBootNanoseconds > 0 else { continue }
                out.sample(
                    picture.unixTime(sample.lastCompletionBootNanoseconds), .name(sample.disk))
            }
        },
        .histogram(
            "reservewatch_nbd_request_duration_seconds", by: ["device"],
            "From issue to completion; the kernel side keeps no sum.",
            from: "tp_btf/block_rq_issue, block_rq_complete"
        ) { picture, out in
            guard picture.counters?.nbdKnown == true else { return }
            for index in picture.devices.indices {
                let sample = picture.devices[index].sample
                out.histogram(sample.latency, .name(sample.disk))
            }
        },
    ]

    private static func device(
        _ name: StaticString, _ kind: Metric.Kind, unit: Metric.Unit = .none,
        _ help: StaticString, _ value: @escaping @Sendable (NBDSample) -> MetricValue?
    ) -> Metric {
        Metric(
            name: name, kind: kind, unit: unit, labels: ["device"], help: help,
            origin: "nbd device records",
            source: .picture { picture, out in
                guard picture.counters?.nbdKnown == true else { return }
                for index in picture.devices.indices {
                    let sample = picture.devices[index].sample
                    out.sample(value(sample), .name(sample.disk))
                }
            })
    }

    static let swapMetrics: [Metric] = [
        line("reservewatch_swap_size_bytes", unit: .bytes, "Size of the swap area.") {
            .number($0.sizeKiB &* 1024)
        },
        line("reservewatch_swap_used_bytes", unit: .bytes, "What of it is in use.") {
            .number($0.usedKiB &* 1024)
        },
        line("reservewatch_swap_priority", "The higher, the sooner it is used.") {
            .signed(Int64($0.priority))
        },
        Metric(
            name: "reservewatch_swap_info", kind: .info, unit: .none, labels: ["swap", "device"],
            help:
                "Which NBD device a swap area lies on, through partitions, dm and loop; an empty device: none. Always 1.",
            origin: "/proc/swaps, /sys/dev/block",
            source: .picture { picture, out in
                for index in picture.swaps.indices {
                    let swap = picture.swaps[index]
                    out.sample(.number(1), .text(swap.path), .name(swap.nbdDisk))
                }
            }),
        .counter(
            "reservewatch_swap_read_errors_total", "Swap bios that failed to read.",
            from: "tp_btf/block_bio_complete"
        ) { $1.sample($0.counters?.swapReadErrors.map { .number($0) }) },
        .counter(
            "reservewatch_swap_write_errors_total", "Swap bios that failed to write.",
            from: "tp_btf/block_bio_complete"
        ) { $1.sample($0.counters?.swapWriteErrors.map { .number($0) }) },
        usage("reservewatch_swap_device_in_bytes_total", .counter, unit: .bytes, "Read from swap.")
        {
            $1.bytes($0.inPages)
        },
        usage(
            "reservewatch_swap_device_out_bytes_total", .counter, unit: .bytes, "Written to swap."
        ) {
            $1.bytes($0.outPages)
        },
        usage(
            "reservewatch_swap_device_bios_in_flight", .gauge, "Swap bios not completed."
        ) { usage, _ in .number(usage.inFlight) },
        usage(
            "reservewatch_swap_device_reads_in_flight", .gauge,
            "Of these, those that read: pages that tasks wait for."
        ) { usage, _ in usage.waiting.map { .number($0.reads) } },
        usage(
            "reservewatch_swap_device_reads_waited_seconds", .gauge, unit: .seconds,
            "For how long reads have been in flight and none has ended; 0: none is in flight."
        ) { usage, _ in usage.waiting.map { .nanoseconds($0.nanoseconds) } },
        .histogram(
            "reservewatch_swap_device_read_duration_seconds", by: ["swap"],
            "Swap bios that read; the kernel side keeps no sum.", from: "swap usage records"
        ) { picture, out in
            guard picture.counters?.swapDevicesKnown == true else { return }
            for index in picture.swapUsages.indices {
                let usage = picture.swapUsages[index]
                out.histogram(usage.reads, picture.label(of: usage))
            }
        },
        .histogram(
            "reservewatch_swap_device_write_duration_seconds", by: ["swap"],
            "Swap bios that write; the kernel side keeps no sum.", from: "swap usage records"
        ) { picture, out in
            guard picture.counters?.swapDevicesKnown == true else { return }
            for index in picture.swapUsages.indices {
                let usage = picture.swapUsages[index]
                out.histogram(usage.writes, picture.label(of: usage))
            }
        },
    ]

    private static func line(
        _ name: StaticString, unit: Metric.Unit = .none, _ help: StaticString,
        _ value: @escaping @Sendable (SwapDevice) -> MetricValue
    ) -> Metric {
        .gauge(name, unit: unit, by: ["swap"], help, from: "/proc/swaps, swap_info[]") {
            picture, out in
            for index in picture.swaps.indices {
                out.sample(value(picture.swaps[index]), .text(picture.swaps[index].path))
            }
        }
    }

    private static func usage(
        _ name: StaticString, _ kind: Metric.Kind, unit: Metric.Unit = .none, _ help: StaticString,
        _ value: @escaping @Sendable (SwapUsage, Picture) -> MetricValue?
    ) -> Metric {
        Metric(
            name: name, kind: kind, unit: unit, labels: ["swap"], help: help,
            origin: "swap usage records",
            source: .picture { picture, out in
                guard picture.counters?.swapDevicesKnown == true else { return }
                for index in picture.swapUsages.indices {
                    let usage = picture.swapUsages[index]
                    out.sample(value(usage, picture), picture.label(of: usage))
                }
            })
    }

    static let socketMetrics: [Metric] = [
        .gauge(
            "reservewatch_memalloc_sockets",
            "SOCK_MEMALLOC sockets: those that may use the reserve, for they free memory; the first 64.",
            from: "fentry/sk_set_memalloc, iter/tcp, iter/unix"
        ) { picture, out in
            guard picture.counters?.socketsKnown == true else { return }
            out.sample(.number(UInt64(picture.sockets.count)))
        },
        .counter(
            "reservewatch_memalloc_sockets_marked_total", "Calls of sk_set_memalloc().",
            from: "fentry/sk_set_memalloc"
        ) { $1.sample($0.counters?.socketsMarked.map { .number($0) }) },
        packets(
            "reservewatch_pfmemalloc_packets_allocated_total",
            "Packets that were allocated in memory of the reserve; counted when asked for.",
            from: "fexit/__alloc_skb"
        ) { $0.allocated },
        packets(
            "reservewatch_pfmemalloc_packets_received_total",
            "Packets in memory of the reserve that entered the stack.",
            from: "tp_btf/netif_receive_skb"
        ) { $0.received },
        packets(
            "reservewatch_pfmemalloc_packets_delivered_total",
            "Of these, those that a SOCK_MEMALLOC socket took.", from: "fexit/sk_filter_trim_cap"
        ) { $0.delivered },
        packets(
            "reservewatch_pfmemalloc_packets_dropped_total",
            "Of these, those that were dropped because their socket is not SOCK_MEMALLOC: PFMemallocDrop over all network namespaces.",
            from: "fexit/sk_filter_trim_cap, tp_btf/kfree_skb"
        ) { $0.dropped },
        packets(
            "reservewatch_pfmemalloc_packets_freed_total",
            "kfree_skb() of such packets, for whatever reason.", from: "tp_btf/kfree_skb"
        ) { $0.freed },
    ]

    private static func packets(
        _ name: StaticString, _ help: StaticString, from origin: StaticString,
        _ count: @escaping @Sendable (CounterTotals.Packets) -> UInt64?
    ) -> Metric {
        .counter(name, help, from: origin) { picture, out in
            out.sample(picture.counters.flatMap { count($0.packets) }.map { .number($0) })
        }
    }
}

extension Picture {
    /// The path of a swap partition; where the bios lead to no line of /proc/swaps, its numbers.
    fileprivate func label(of usage: SwapUsage) -> MetricLabel {
        guard
            let line = swaps.firstIndex(where: {
                $0.isPartition && $0.major == usage.major && $0.minor == usage.minor
            })
        else { return .device(major: usage.major, minor: usage.minor) }
        return .text(swaps[line].path)
    }
}
