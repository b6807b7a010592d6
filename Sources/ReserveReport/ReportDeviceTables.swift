// SPDX-License-Identifier: Apache-2.0

import ReserveModel
import ReserveSinks

// NBD, sockets, swap, OOM.

extension ReportCollector {
    var deviceSection: ReportSection {
        var section = ReportSection(id: "nbd", title: "NBD devices")
        guard picture.counters?.nbdKnown == true else {
            section.paragraphs.append("Not observed on this host: unknown.")
            return section
        }
        let picture = picture
        guard !picture.devices.isEmpty else {
            section.paragraphs.append("No device was connected, and no request was made.")
            return section
        }
        var requests = ReportTable(
            "Requests", "@device", "#issued", "#completed", "#errors", "#in flight", "#most",
            "#oldest ever", "at")
        var latencies = ReportTable(
            "Latency of completed requests, by power-of-two buckets", "@device", "#half", "#90 %",
            "#99 %", "#all")
        var bytes = ReportTable(
            "Data and connections", "@device", "#read kB", "#written kB", "#connections", "#live",
            "#timeout", "client", "#not sent")
        for index in picture.devices.indices {
            let state = picture.devices[index]
            let sample = state.sample
            let name = plain(sample.disk)
            requests.rows.append([
                name, "\(sample.issued)", "\(sample.completed)", "\(sample.errors)",
                "\(sample.inFlight)", "\(state.mostInFlight)",
                durationText(state.worstOldestNanoseconds),
                state.worstOldestNanoseconds > 0 ? clock(state.worstBootNanoseconds) : "",
            ])
            latencies.rows.append(
                [name]
                    + [UInt64(500), 900, 990, 1000].map {
                        bucket(of: sample.latency, reaching: $0).map(bucketText) ?? "none"
                    })
            bytes.rows.append([
                name, "\(sample.readBytes / 1024)", "\(sample.writtenBytes / 1024)",
                knownText(sample.config.map { UInt64($0.connections) }),
                knownText(sample.config.map { UInt64($0.liveConnections) }),
                sample.config.map {
                    $0.timeoutNanoseconds == 0 ? "none" : durationText($0.timeoutNanoseconds)
                } ?? "?",
                sample.config.map { $0.clientPID == 0 ? "netlink" : "pid \($0.clientPID)" } ?? "?",
                knownText(sample.phases?.unsent),
            ])
        }
        section.tables = [requests, latencies, bytes]
        return section
    }

    var socketSection: ReportSection {
        var section = ReportSection(id: "sockets", title: "Sockets and packets on the reserve")
        guard let counters = picture.counters, counters.socketsKnown else {
            section.paragraphs.append("SOCK_MEMALLOC sockets were not observed: unknown.")
            return section
        }
        section.paragraphs.append(
            "Packets in PFMEMALLOC memory: received \(knownText(counters.packets.received)),"
                + " delivered to SOCK_MEMALLOC sockets \(knownText(counters.packets.delivered)),"
                + " dropped for other sockets \(knownText(counters.packets.dropped)); ? is unknown."
        )
        var table = ReportTable(
            "SOCK_MEMALLOC sockets as they were last", "state", "@of", "#sent kB", "#received kB",
            "#resent", "#not acked", "#delivered", "@socket")
        for (serial, socket) in sockets.sorted(by: { $0.key < $1.key }) {
            let tcp = socket.tcp
            table.rows.append([
                goneSockets.contains(serial) ? "gone" : "\(socket.stateWord)",
                socket.disk.isEmpty ? "\(socket.ownerWord)" : plain(socket.disk),
                knownText(tcp.map { $0.bytesSent / 1024 }),
                knownText(tcp.map { $0.bytesReceived / 1024 }),
                knownText(tcp.map { UInt64($0.retransmits) }), knownText(tcp?.sendQueueBytes),
                "\(socket.delivered)", written { $0.ends(of: socket) },
            ])
        }
        table.limit(to: 40, "sockets")
        if table.rows.isEmpty {
            section.paragraphs.append("There was no SOCK_MEMALLOC socket.")
        } else {
            section.tables.append(table)
        }
        var lost = ReportTable(
            "Packets dropped for want of SOCK_MEMALLOC, by second", "@opened by", "@cgroup",
            "#packets", "#bytes", "reason")
        for group in drops {
            lost.rows.append([
                group.drop.task.tid == 0
                    ? "?" : "\(plain(group.drop.task.comm))[\(group.drop.task.tid)]",
                cgroup(group.drop.task.cgroupID), "\(group.packets)", "\(group.bytes)",
                "\(group.drop.reason.word)",
            ])
        }
        lost.limit(to: 60, "lines")
        if !lost.rows.isEmpty { section.tables.append(lost) }
        return section
    }

    var swapSection: ReportSection {
        var section = ReportSection(id: "swap", title: "Swap and OOM kills")
        let picture = picture
        if let kernel = picture.counters?.kernel, let swapIn = kernel.pswpin,
            let swapOut = kernel.pswpout
        {
            section.paragraphs.append(
                "\(swapIn.multipliedSaturating(by: pageKB)) kB came in, \(swapOut.multipliedSaturating(by: pageKB)) kB went out;"
                    + " \(knownText(picture.counters?.swapReadErrors)) reads and"
                    + " \(knownText(picture.counters?.swapWriteErrors)) writes failed.")
        } else {
            section.paragraphs.append("Pages swapped in and out were not observed: unknown.")
        }
        var table = ReportTable(
            "Swap areas", "@path", "@on NBD", "#size kB", "#used kB", "#priority")
        for index in picture.swaps.indices {
            let swap = picture.swaps[index]
            table.rows.append([
                plain(swap.path), swap.nbdDisk.isEmpty ? "no" : plain(swap.nbdDisk),
                "\(swap.sizeKiB)", "\(swap.usedKiB)", "\(swap.priority)",
            ])
        }
        if !table.rows.isEmpty { section.tables.append(table) }
        guard let kills = picture.counters?.kernel.oomKill else {
            section.paragraphs.append("OOM kills were not observed: unknown.")
            return section
        }
        section.paragraphs.append("\(kills) OOM kills.")
        var victims = ReportTable(
            "Killed by the OOM killer", "@victim", "@cgroup", "#resident kB", "#badness kB")
        for index in picture.oomKills.indices {
            let victim = picture.oomKills[index]
            victims.rows.append([
                "\(plain(victim.task.comm))[\(victim.task.tid)]", cgroup(victim.task.cgroupID),
                "\(victim.rssPages.multipliedSaturating(by: pageKB))",
                victim.points.map { "\($0 * Int64(pageKB))" } ?? "?",
            ])
        }
        if !victims.rows.isEmpty { section.tables.append(victims) }
        return section
    }
}
