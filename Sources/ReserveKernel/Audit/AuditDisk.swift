// SPDX-License-Identifier: Apache-2.0

/// One disk, with the swap on it, and the commands that concern it.
struct DiskContext {
    let disk: SwapPathFacts.NBDDisk
    let swaps: [SwapPathFacts.Swap]

    var device: Finding.Subject { .device(disk.name) }

    /// The swap that lies on this disk, as /proc/swaps names it.
    private var swapPaths: [String] {
        swaps.filter { $0.below == .nbd(disk.name) }.map { shellQuoted($0.path) }
    }

    var swapOff: String { "swapoff " + swapPaths.joined(separator: " ") }
    var swapOn: String { swapPaths.map { "swapon \($0)" }.joined(separator: " && ") }
    var node: String { shellQuoted("/dev/\(disk.name)") }
    var disconnect: String { "nbd-client -d \(node)" }
    func sysfs(_ file: String) -> String { shellQuoted("/sys/block/\(disk.name)/\(file)") }

    /// The device's client, where it is a process.
    var clientProcess: (ProcessFacts, ClientOptions)? {
        if case .process(let process, let options) = disk.client { return (process, options) }
        return nil
    }

    /// Takes the device down, connects it again by `command`, takes the swap back.
    func reconnect(_ command: String) -> String {
        "\(swapOff) && \(disconnect) && \(command) && \(swapOn)"
    }

    /// nbd-client as it was called, with words left out and others added; nil for another client.
    func clientCommand(without dropped: Set<String> = [], adding added: [String] = []) -> String? {
        guard let (process, options) = clientProcess, options.isNBDClient else { return nil }
        // getopt_long_only(3) takes one dash or two, and abbreviations.
        let kept = process.cmdline.dropFirst().filter { word in
            let name = word.drop(while: { $0 == "-" })
            return !word.hasPrefix("-") || !dropped.contains { $0 == name }
        }
        return (["nbd-client"] + kept + added).map(shellQuoted).joined(separator: " ")
    }

    /// A command for a client of which no process is left: all but the export's name is known.
    func netlinkCommand(adding added: [String]) -> String? {
        guard case .known(let connections) = disk.sockets else { return nil }
        for connection in connections {
            if case .tcp(_, let remote) = connection.kind {
                return "nbd-client \(shellQuoted(remote.host)) \(remote.port) \(node) "
                    + "-N \"$EXPORT\" " + added.map(shellQuoted).joined(separator: " ")
            }
        }
        return nil
    }

    // MARK: The queue

    func queueFindings() -> [Finding] {
        timeoutFindings() + writebackThrottle() + scheduler()
    }

    private func timeoutFindings() -> [Finding] {
        guard let connections = disk.connections else {
            return [
                Finding(
                    "connections-unknown", .unknown, device,
                    found: "/sys/block/\(disk.name)/mq cannot be read",
                    why: "With one connection a request has nowhere else to go when it is lost.",
                    mend: "ls \(sysfs("mq"))")
            ] + unknownTimeout()
        }
        let count =
            connections == 1
            ? "one connection"
            : "\(disk.connectionsAtLeast ? "at least " : "")\(connections) connections"
        switch disk.timeout {
        case .unknown:
            return unknownTimeout()
        case .set(let milliseconds) where connections == 1:
            return [
                Finding(
                    "timeout-alone", .notice, device,
                    found: "\(seconds(milliseconds)) timeout, \(count)",
                    why: "When the time is up the only connection is given up, and unless "
                        + "dead_conn_timeout was set as well, which nothing shows, swap fails with "
                        + "it: processes whose pages lie there get SIGBUS.",
                    mend: moreConnections(timeout: max(milliseconds / 1000, 1)))
            ]
        case .set:
            return []
        // With several connections the queue's own io_timeout gives a silent one up.
        case .none where connections > 1:
            return []
        case .none:
            return [
                Finding(
                    "no-timeout", .warning, device,
                    found: "no timeout, \(count); the queue's io_timeout of "
                        + "\(disk.ioTimeoutMilliseconds.map { "\($0) ms" } ?? "unknown length") "
                        + "only makes the driver complain",
                    why: "When the server goes silent its requests are never given up: whoever "
                        + "waits for a page waits for ever. A timeout wants a second connection to "
                        + "go on with; alone it only turns the wait into lost swap.",
                    mend: moreConnections(timeout: 20))
            ]
        }
    }

    private func unknownTimeout() -> [Finding] {
        guard case .unknown(let reason) = disk.timeout else { return [] }
        return [
            Finding(
                "timeout-unknown", .unknown, device, found: reason,
                why: "Whether requests to a silent server are ever given up is not known.",
                mend: "mount -t debugfs debugfs /sys/kernel/debug")
        ]
    }

    private func moreConnections(timeout: UInt64) -> String {
        if let (_, options) = clientProcess, let fields = options.nbdtabFields {
            // What nbdtab says wins over the command line.
            let joint = fields > 3 ? "," : " "
            let edit = "/^(.dev.)?\(disk.name)[[:space:]]/ s/$/\(joint)conns=2,timeout=\(timeout)/"
            let command = "sed -i -E \(shellQuoted(edit)) /etc/nbdtab"
            return clientCommand().map { "\(command) && \(reconnect($0))" } ?? command
        }
        let added = ["-connections", "2", "-timeout", "\(timeout)"]
        let command = clientCommand(adding: added) ?? netlinkCommand(adding: added)
        return command.map(reconnect) ?? ""
    }

    private func seconds(_ milliseconds: UInt64) -> String {
        milliseconds % 1000 == 0 ? "\(milliseconds / 1000) s" : "\(milliseconds) ms"
    }

    private func unreadable(_ id: String, _ file: String, _ why: String) -> [Finding] {
        [
            Finding(
                id, .unknown, device, found: "\(file) cannot be read", why: why,
                mend: "cat \(file)")
        ]
    }

    /// block/blk-wbt.c: wbt_wait() put the worker that refills the network card to sleep.
    private func writebackThrottle() -> [Finding] {
        let file = sysfs("queue/wbt_lat_usec")
        guard let latency = disk.wbtLatMicroseconds else {
            return unreadable(
                "wbt-unknown", file,
                "Whether block writeback throttling holds swap-out back is not known.")
        }
        guard latency > 0 else { return [] }
        return [
            Finding(
                "wbt-on", .warning, device,
                found: "block writeback throttling is on, wbt_lat_usec \(latency)",
                why: "A task that swaps out to free memory for the network sleeps in wbt_wait() "
                    + "until earlier writes are answered, and the answers need that memory. Seen "
                    + "in deadlocked guests.",
                mend: "echo 0 >\(file)")
        ]
    }

    /// drivers/block/nbd.c: nbd_send_cmd() hands a request that was sent in part back to the block
    /// layer, and a scheduler gives it another tag, under which the reply is not known.
    private func scheduler() -> [Finding] {
        let file = sysfs("queue/scheduler")
        guard let scheduler = disk.scheduler else {
            return unreadable(
                "scheduler-unknown", file, "Whether a signal may cost the connection is not known.")
        }
        guard scheduler != "none" else { return [] }
        return [
            Finding(
                "scheduler-on", .notice, device,
                found: "requests go through the I/O scheduler \(scheduler)",
                why:
                    "When a signal (a kill, a stop, a freeze) meets a task in the midst of sending "
                    + "a request, the request comes back under another tag, and the connection "
                    + "is lost with its swap when the reply comes. Without a scheduler it keeps "
                    + "its tag.",
                mend: "echo none >\(file)")
        ]
    }

    // MARK: Nothing against it

    var clean: Finding {
        var parts: [String] = []
        switch disk.client {
        case .netlink: parts.append("set up over netlink, no client to lose")
        case .process(let process, _): parts.append("client \(process.pid) is locked")
        case .unknown: break
        }
        if case .known(let connections) = disk.sockets,
            connections.allSatisfy({ $0.peer == .remote })
        {
            parts.append("the server is on another host")
        }
        if let connections = disk.connections { parts.append("connections \(connections)") }
        if case .set(let milliseconds) = disk.timeout {
            parts.append("timeout \(seconds(milliseconds))")
        }
        return Finding(
            "path-clean", .ok, device,
            found: "nothing stands against it: \(parts.joined(separator: ", "))",
            why: "Of what the audit knows to look at.")
    }
}
