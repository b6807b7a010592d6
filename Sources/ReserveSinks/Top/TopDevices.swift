// SPDX-License-Identifier: Apache-2.0

import ReserveModel

extension TopPainter {
    mutating func devicesSection(_ region: inout TopRegion, _ scene: TopScene) {
        let picture = scene.picture
        if picture.devices.isEmpty {
            guard open(&region, "nbd") else { return }
            if picture.counters?.nbdKnown == true {
                text("no device has had a request", .dim)
            } else {
                notKnown(picture)
            }
            return
        }
        let most = region.height >= 14 ? 6 : 2
        let isWide = picture.devices.count <= most
        for index in picture.devices.indices where index < most {
            let sample = picture.devices[index].sample
            let row = region.take(1)
            guard go(row, 0) else { return }
            column(Self.labelColumns - 1, .bold) { $0.plain(foreign: sample.disk) }
            deviceFirst(sample, scene)
            guard isWide, region.height > 3 else { continue }
            let second = region.take(1)
            if go(second, 0, indent: Self.labelColumns) { deviceSecond(sample, picture) }
        }
        if picture.devices.count > most, go(region.take(1), 0, indent: Self.labelColumns) {
            put(.dim) { writer in
                writer.text("and ")
                writer.number(UInt64(picture.devices.count - most))
                writer.text(" more: key 5")
            }
        }
    }

    private mutating func deviceFirst(_ sample: NBDSample, _ scene: TopScene) {
        let isOld = sample.oldestNanoseconds >= 1_000_000_000
        put(sample.inFlight == 0 ? .plain : isOld ? .critical : .bold) { writer in
            writer.count(sample.inFlight)
            writer.text(" in flight")
            if let phases = sample.phases, phases.unsent > 0 {
                writer.text(" (")
                writer.count(phases.unsent)
                writer.text(" unsent)")
            }
            if sample.inFlight > 0 {
                writer.text(", oldest ")
                writer.duration(sample.oldestNanoseconds)
            }
        }
        let rates = scene.rates
        let picture = scene.picture
        put { writer in
            writer.text("; read ")
            writer.rate(
                rates.perSecond(device: sample.firstMinor, picture, scene.now) { $0.readBytes },
                unitBytes: 1)
            writer.text(" write ")
            writer.rate(
                rates.perSecond(device: sample.firstMinor, picture, scene.now) { $0.writtenBytes },
                unitBytes: 1)
            writer.text("; 50% <")
            writer.latency(rates.latency(sample, percent: 50, scene.now))
            writer.text(" 99% <")
            writer.latency(rates.latency(sample, percent: 99, scene.now))
        }
    }

    private mutating func deviceSecond(_ sample: NBDSample, _ picture: borrowing Picture) {
        if let config = sample.config {
            put(config.liveConnections < config.connections ? .critical : .plain) { writer in
                writer.number(UInt64(config.liveConnections))
                writer.byte(UInt8(ascii: "/"))
                writer.number(UInt64(config.connections))
                writer.text(" live")
            }
            put { writer in
                if config.clientPID == 0 {
                    writer.text(", no client process")
                } else {
                    writer.text(", client ")
                    writer.number(UInt64(config.clientPID))
                }
            }
        } else {
            text("? live, client ?", .notice)
        }
        if sample.errors > 0 {
            put(.critical) { writer in
                writer.text(", errors ")
                writer.count(sample.errors)
            }
        }
        if let path = sample.path {
            put(path.carrier == .down ? .critical : .plain) { writer in
                writer.text(", link ")
                if path.link.isEmpty { writer.byte(UInt8(ascii: "?")) }
                writer.plain(foreign: path.link)
                writer.byte(32)
                writer.text(path.carrier.word)
            }
            if path.isLocal { text(", server on this host", .warning) }
        } else {
            text(", link ?", .notice)
        }
        socketsOf(sample, picture)
        swapOn(sample.disk, picture)
    }

    private mutating func socketsOf(_ sample: NBDSample, _ picture: borrowing Picture) {
        var sockets: UInt64 = 0
        var queued: UInt64 = 0
        var resent: UInt64 = 0
        var state: StaticString = "?"
        var isTCP = false
        for index in picture.sockets.indices
        where !sample.disk.isEmpty && picture.sockets[index].disk == sample.disk {
            let socket = picture.sockets[index]
            // The worst is told: one that is not established.
            if sockets == 0 || socket.state != 1 { state = socket.stateWord }
            sockets += 1
            if let tcp = socket.tcp {
                isTCP = true
                queued &+= tcp.sendQueueBytes
                resent &+= UInt64(tcp.retransmits)
            }
        }
        put { writer in
            writer.text(", socket ")
            if sockets == 0 {
                writer.byte(UInt8(ascii: "?"))
                return
            }
            writer.text(state)
            if isTCP {
                if queued > 0 {
                    writer.text(", ")
                    writer.size(bytes: queued)
                    writer.text(" unacked")
                }
                if resent > 0 {
                    writer.text(", ")
                    writer.count(resent)
                    writer.text(" resent")
                }
            }
        }
    }

    private mutating func swapOn(_ disk: FixedName, _ picture: borrowing Picture) {
        var found = false
        for index in picture.swaps.indices where picture.swaps[index].nbdDisk == disk {
            let swap = picture.swaps[index]
            found = true
            put { writer in
                writer.text(", swap ")
                if swap.sizeKiB > 0 {
                    writer.number(swap.usedKiB * 100 / swap.sizeKiB)
                    writer.text("% of ")
                }
                writer.size(bytes: swap.sizeKiB << 10)
            }
        }
        if !found { text(", no swap on it", .dim) }
    }

    // MARK: sockets

    mutating func socketsLine(_ region: inout TopRegion, _ scene: TopScene, most: Int) {
        guard open(&region, "sockets") else { return }
        let picture = scene.picture
        guard let counters = picture.counters, counters.socketsKnown else {
            notKnown(picture)
            return
        }
        put { writer in
            writer.number(UInt64(picture.sockets.count))
            writer.text(" SOCK_MEMALLOC; PFMEMALLOC packets ")
            writer.count(known: counters.packets.received)
            writer.text(" received, ")
            writer.count(known: counters.packets.delivered)
            writer.text(" delivered, ")
        }
        put((counters.packets.dropped ?? 0) > 0 ? .warning : .plain) { writer in
            writer.count(known: counters.packets.dropped)
            writer.text(" dropped")
        }
        guard most > 1 else { return }
        for index in picture.sockets.indices where index < most {
            guard region.height > 4 else { return }
            let row = region.take(1)
            if go(row, 0, indent: Self.labelColumns) {
                let socket = picture.sockets[index]
                put(socket.state == 1 ? .plain : .warning) { writer in
                    writer.ends(of: socket)
                    writer.byte(32)
                    writer.text(socket.stateWord)
                }
            }
        }
    }

    // MARK: the screen of devices

    mutating func devicesPane(_ region: TopRegion, _ scene: TopScene) {
        var region = region
        let picture = scene.picture
        paneTitle(
            region.take(1), "Network block devices", count: picture.devices.count,
            scene.session.view)
        if picture.devices.isEmpty { devicesSection(&region, scene) }
        for index in picture.devices.indices where region.height > 2 {
            let state = picture.devices[index]
            let sample = state.sample
            let isIn = passes(scene.session.view) { $0.plain(foreign: sample.disk) }
            guard isIn else { continue }
            let row = region.take(1)
            if go(row, 0) {
                column(Self.labelColumns - 1, .bold) { $0.plain(foreign: sample.disk) }
                deviceFirst(sample, scene)
            }
            _ = wrappedRows(&region) { writer in
                writer.deviceWords(state, picture, scene)
            }
            if go(region.take(1), 0, indent: Self.labelColumns) { deviceSecond(sample, picture) }
            latencyRows(&region, sample)
        }
    }

    /// Text over up to three rows under a label column.
    private mutating func wrappedRows(
        _ region: inout TopRegion, _ compose: (inout ByteWriter) -> Void
    ) -> Int {
        var room = region
        room.height = min(3, room.height)
        let used = wrapped(
            room, indent: Self.labelColumns, first: Self.labelColumns, compose)
        _ = region.take(used)
        return used
    }

    /// Requests done since the start, by how long they took.
    private mutating func latencyRows(_ region: inout TopRegion, _ sample: NBDSample) {
        var most: UInt64 = 0
        for bucket in 0..<24 { most = max(most, sample.latency[bucket]) }
        guard most > 0 else { return }
        for bucket in 0..<24 where sample.latency[bucket] > 0 {
            guard region.height > 1, go(region.take(1), 0, indent: Self.labelColumns) else {
                return
            }
            column(9, .dim, right: true) { writer in
                writer.byte(UInt8(ascii: "<"))
                writer.latency(1 << UInt64(bucket + 1))
            }
            column(6, right: true) { $0.count(sample.latency[bucket]) }
            let width = max(1, Int(clamping: sample.latency[bucket] * 40 / most))
            for _ in 0..<width {
                mark(glyphs == .utf8 ? 0x2588 : UInt32(UInt8(ascii: "=")), .notice)
            }
        }
    }
}

extension ByteWriter {
    /// An upper bound in microseconds.
    mutating func latency(_ microseconds: UInt64?) {
        if let microseconds { duration(microseconds * 1000) } else { byte(UInt8(ascii: "?")) }
    }

    fileprivate mutating func deviceWords(
        _ state: Picture.NBDState, _ picture: borrowing Picture, _ scene: TopScene
    ) {
        let sample = state.sample
        text("issued ")
        count(sample.issued)
        text(", completed ")
        count(sample.completed)
        text(", requeued ")
        count(sample.requeued)
        text("; worst wait ")
        duration(state.worstOldestNanoseconds)
        if state.worstBootNanoseconds > 0 {
            text(" at ")
            clock(state.worstBootNanoseconds, picture.host)
        }
        text(", most in flight ")
        count(state.mostInFlight)
        text("; sent ")
        count(known: sample.phases?.sent)
        text(", replies ")
        count(known: sample.phases?.received)
        text(", last completion ")
        if sample.lastCompletionBootNanoseconds == 0 {
            text("none")
        } else if scene.now >= sample.lastCompletionBootNanoseconds {
            duration(scene.now - sample.lastCompletionBootNanoseconds)
            text(" ago")
        }
        text("; timeout ")
        if let config = sample.config {
            if config.timeoutNanoseconds == 0 {
                text("none set")
            } else {
                duration(config.timeoutNanoseconds)
            }
        } else {
            byte(UInt8(ascii: "?"))
        }
        if let path = sample.path {
            text(", segments in ")
            count(path.segmentsReceived)
            text(" out ")
            count(path.segmentsSent)
        }
    }
}
