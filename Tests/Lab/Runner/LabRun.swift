// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// How a run went, apart from whether the figures agree.
enum Outcome: String, Codable {
    case completed
    /// Requests in flight, none completing, wire and server healthy: the kernel's own doing.
    case deadlocked
    case timedOut = "timed_out"
    case guestFailed = "guest_failed"
}

/// One guest from boot to result.
final class LabRun {
    let scenario: Scenario
    let kernel: KernelPackage
    let directory: String
    let binary: String?
    let guest: Guest
    private let server: NBDServer
    private var growth: GrowthWatch
    private(set) var outcome = Outcome.timedOut
    private(set) var serverStats = ""
    private(set) var wireOff: Date?
    private(set) var wireOn: Date?
    /// Called about every 20 ms, and with a remark whenever the run enters a new phase.
    var onLook: () -> Void = {}
    var onRemark: (String) -> Void = { _ in }

    /// Seconds without a completion, wire in and server healthy, after which the guest
    /// counts as deadlocked. The longest stall that healed by itself was 13.5 s.
    static let deadlockSeconds = 30.0

    init(
        scenario: Scenario, kernel: KernelPackage, lab: String, cache: String,
        directory: String, binary: String?, agentOptions: String = ""
    ) throws {
        self.scenario = scenario
        self.kernel = kernel
        self.directory = directory
        self.binary = binary
        try? FileManager.default.removeItem(atPath: directory)
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        server = try NBDServer.start(directory: directory)
        let archive = "\(directory)/initramfs.gz"
        try Initramfs(kernel: kernel, lab: lab, cache: cache).build(
            settings: [
                ("HOST", scenario.host), ("NBD_PORT", "\(server.port)"),
                ("MIN_FREE_KIB", "\(scenario.minFreeKiB)"), ("LOAD", scenario.load),
                ("AGENT", binary == nil ? "no" : "yes"), ("AGENT_OPTIONS", agentOptions),
            ],
            binary: binary, at: archive)
        guest = try Guest(
            scenario: scenario, kernel: kernel, archive: archive, directory: directory)
        growth = GrowthWatch(path: guest.events)
    }

    var worstEventGapSeconds: Double { growth.worstSeconds }

    /// Waits for the guest to finish, pulls and restores the wire on the way.
    func run() throws {
        let began = Date()
        var loadSince: Date?
        var lastProbe = Date()
        defer {
            guest.stop()
            serverStats = server.stop()
            try? FileManager.default.removeItem(atPath: "\(directory)/initramfs.gz")
        }
        while Date().timeIntervalSince(began) < Double(scenario.limitSeconds) {
            usleep(20_000)
            if loadSince != nil { growth.look() }
            onLook()
            guard Date().timeIntervalSince(lastProbe) > 0.5 else { continue }
            lastProbe = Date()
            if loadSince == nil, guest.mark("LOAD") != nil {
                loadSince = Date()
                onRemark("swap is on NBD; the load starts: \(scenario.load)")
            }
            if guest.mark("FAILED") != nil && loadSince == nil || !guest.process.isRunning {
                outcome = guest.mark("DONE") != nil ? .completed : .guestFailed
                return
            }
            if guest.mark("DONE") != nil {
                outcome = .completed
                return
            }
            try moveWire(loadSince: loadSince)
            if isDeadlocked() {
                outcome = .deadlocked
                onRemark("no request completes, wire and server are healthy: deadlocked")
                try collectStacks()
                return
            }
        }
    }

    private func moveWire(loadSince: Date?) throws {
        guard let loadSince, let after = scenario.wireOffAfter else { return }
        if wireOff == nil, Date().timeIntervalSince(loadSince) >= Double(after) {
            try guest.qmp.setLink(false)
            wireOff = Date()
            onRemark("the wire is pulled, for \(scenario.wireOffFor) s")
        }
        if let off = wireOff, wireOn == nil,
            Date().timeIntervalSince(off) >= Double(scenario.wireOffFor)
        {
            try guest.qmp.setLink(true)
            wireOn = Date()
            onRemark("the wire is back")
        }
    }

    private func isDeadlocked() -> Bool {
        if wireOff != nil {
            // TCP's own back-off may take up to two minutes to try again after an outage.
            guard let wireOn, Date().timeIntervalSince(wireOn) > 150 else { return false }
        }
        let samples = ProbeSample.parse(guest.text(guest.probe))
        return ProbeSample.stalledSeconds(samples) > Self.deadlockSeconds
    }

    /// The stacks of all blocked tasks, from the console, while everything else is frozen.
    private func collectStacks() throws {
        let before = guest.text(guest.consoleLog).utf8.count
        try guest.qmp.sysrq("w", console: guest.console)
        sleep(8)
        let log = guest.text(guest.consoleLog)
        let stacks = String(decoding: Array(log.utf8.dropFirst(before)), as: UTF8.self)
        try stacks.write(toFile: "\(directory)/stacks.txt", atomically: true, encoding: .utf8)
    }
}
