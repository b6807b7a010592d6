// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// One guest from boot to result.
/// Touched by one thread at a time.
final class LabRun: @unchecked Sendable {
    let scenario: Scenario
    let kernel: KernelPackage
    let directory: String
    let watch: WatchProgram?
    let guest: Guest
    private let servers: [NBDServer]
    private let flood: Flood?
    /// Where the alerts of a guest with systemd go.
    let alertmanager: Alertmanager?
    private let scraper: Scraper?
    private var growth: GrowthWatch
    private var probeGrowth: GrowthWatch
    private(set) var outcome = Outcome.timedOut
    /// Why it ended otherwise than completed, in one sentence.
    private(set) var reason = ""
    private(set) var stuck: [StuckTask] = []
    /// What each server counted, by device.
    private(set) var serverStats: [String: String] = [:]
    private var began = Date()
    private var faults: FaultInjector
    var wireOff: Date? { faults.wireOff }
    var wireOn: Date? { faults.wireOn }
    private var deadlockSince: Date?
    let hostBeat = HostBeat()
    /// When the load began and when its time was over, by the clock of ``Arrival``.
    private(set) var loadAt: Double?
    private(set) var endAt: Double?
    /// Called about every 20 ms, and with a remark whenever the run enters a new phase.
    var onLook: () -> Void = {}
    var onRemark: (String) -> Void = { _ in }

    /// Seconds without a completion, wire in and server healthy, after which the guest
    /// counts as deadlocked. The longest stall that healed by itself was 13.5 s.
    static let deadlockSeconds = 30.0
    /// Seconds without a word of the locked probe after which the guest counts as hung. It
    /// speaks twice a second; its worst lateness in a stall was 1.4 s.
    static let silentSeconds = 45.0
    /// A boot takes 4 to 12 s without KVM.
    static let bootSeconds = 120.0

    init(
        scenario: Scenario, kernel: KernelPackage, lab: String, cache: String,
        directory: String, watch: WatchProgram?, agentOptions: String = ""
    ) throws {
        self.kernel = kernel
        self.directory = directory
        self.watch = watch
        try? FileManager.default.removeItem(atPath: directory)
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        let initramfs = Initramfs(kernel: kernel, lab: lab, cache: cache)
        servers = try scenario.swaps.filter { $0.isNBD && !scenario.serverIsLocal }.map {
            try NBDServer.start(
                $0, directory: directory, tls: scenario.doctor, failing: scenario.failingWrites,
                slow: scenario.faults.slowWire,
                // Debian 12's nbd-client does not heed the port that /etc/nbdtab names.
                port: scenario.usesSystemd ? 10809 : nil)
        }
        flood = try scenario.flood.map {
            try Flood.start($0, program: try initramfs.compile("flood"), directory: directory)
        }
        alertmanager = scenario.usesSystemd ? try Alertmanager.start(directory: directory) : nil
        let disk =
            scenario.usesSystemd
            ? try SystemdDisk(kernel: kernel, lab: lab, cache: cache).make(in: directory) : nil
        scraper = try scenario.scrapeSeconds.map {
            try Scraper.start(
                everySeconds: $0, rules: "\(lab)/../../dashboards/reservewatch.rules.yml",
                directory: directory)
        }
        Children.shared.removeAtEnd("\(directory)/initramfs.gz")
        Children.shared.removeAtEnd("\(directory)/initramfs.gz.root")
        let archive = "\(directory)/initramfs.gz"
        let ports = Dictionary(uniqueKeysWithValues: servers.map { ($0.device, $0.port) })
        let settings = GuestSettings(
            scenario: scenario, ports: ports, flood: flood,
            agentCommand: watch?.command(scenario, options: agentOptions) ?? "",
            alertPort: alertmanager?.port)
        let sizeMiB = try initramfs.build(
            settings: settings.all, scenario: scenario, watch: watch, at: archive)
        var scenario = scenario
        // The load must not have less for what stays in memory.
        if scenario.keepsPrograms { scenario.memoryMiB += sizeMiB }
        scenario.memoryMiB += watch?.addedMiB ?? 0
        self.scenario = scenario
        guest = try Guest(
            scenario: scenario, kernel: kernel, archive: archive, disk: disk,
            directory: directory, accelerator: try Accelerator.choose(kernel: kernel, cache: cache),
            scrapePort: scraper?.forwardedPort)
        growth = GrowthWatch(path: guest.events)
        probeGrowth = GrowthWatch(path: guest.probe)
        faults = FaultInjector(scenario: scenario, guest: guest, servers: servers)
    }

    private(set) var lastedSeconds = 0.0

    /// Between two lines on the serial line, by the host's clock.
    var worstEventGapSeconds: Double { growth.worstSeconds }

    /// What ``run()`` threw, when it was run beside another.
    private(set) var error: (any Error)?

    func runKeepingError() {
        do { try run() } catch { self.error = error }
    }

    /// Waits for the guest to finish, pulls and restores the wire on the way.
    func run() throws {
        began = Date()
        var loadSince: Date?
        var lastProbe = Date()
        defer {
            lastedSeconds = Date().timeIntervalSince(began)
            // While the guest is there: the last scrape is no failed one then.
            scraper?.finish()
            guest.stop()
            faults.release()
            hostBeat.stop()
            for server in servers { serverStats[server.device] = server.stop() }
            flood?.stop()
            alertmanager?.stop()
            try? FileManager.default.removeItem(atPath: "\(directory)/root.img")
            try? FileManager.default.removeItem(atPath: "\(directory)/initramfs.gz")
            for swap in scenario.swaps {
                try? FileManager.default.removeItem(atPath: "\(directory)/\(swap.device).disk")
            }
        }
        while Date().timeIntervalSince(began) < Double(scenario.limitSeconds) {
            usleep(20_000)
            if loadSince != nil { growth.look() }
            onLook()
            guard Date().timeIntervalSince(lastProbe) > 0.5 else { continue }
            lastProbe = Date()
            alertmanager?.look()
            if loadSince == nil, guest.mark("LOAD") != nil {
                loadSince = Date()
                loadAt = guest.arrival(of: "LOAD")
                if scenario.failingWrites != nil {
                    _ = FileManager.default.createFile(
                        atPath: NBDServer.faults(directory), contents: nil)
                }
                onRemark("swap is on \(swapWords); the load starts: \(scenario.load)")
            }
            if try hasEnded(loadHasBegun: loadSince != nil) { return }
            if let loadSince {
                for remark in try faults.look(loadSince: loadSince) { onRemark(remark) }
            }
            if hasBeenDeadlocked() {
                let seconds = Int(Self.deadlockSeconds) + scenario.deadlockForSeconds
                end(
                    .deadlocked,
                    "no request completed for \(seconds) s while some were in flight; "
                        + faults.health)
                stuck = try Evidence(guest: guest, cpus: scenario.cpus).stacks()
                return
            }
        }
        if scenario.faults.losesSwap,
            ProbeSample.stalledSeconds(ProbeSample.parse(guest.samples.text)) < 10
        {
            end(
                .livelocked,
                "not finished after \(scenario.limitSeconds) s: the swap is lost, and requests to "
                    + "it go on failing")
        } else {
            end(.timedOut, "not finished after \(scenario.limitSeconds) s")
        }
        stuck = try Evidence(guest: guest, cpus: scenario.cpus).stacks()
    }

    private var swapWords: String {
        scenario.swaps.map { $0.placement == .disk ? $0.device : "\($0.device) (\($0.placement))" }
            .joined(separator: ", ")
    }

    private func end(_ outcome: Outcome, _ reason: String) {
        self.outcome = outcome
        self.reason = reason
        endAt = guest.arrival(of: "REST") ?? StampedLine.now
        if !reason.isEmpty { onRemark("\(outcome.rawValue): \(reason)") }
    }

    /// Looks for every way in which a guest ends, and takes the evidence that it leaves.
    private func hasEnded(loadHasBegun: Bool) throws -> Bool {
        if let words = ConsoleEvidence.death(in: guest.mutters.text) {
            end(.panicked, "the guest's kernel died: \(words)")
            try Evidence(guest: guest, cpus: scenario.cpus).registers()
            return true
        }
        if guest.mark("DONE") != nil {
            end(.completed, "")
            return true
        }
        if let words = guest.mark("FAILED"), !loadHasBegun {
            end(.guestFailed, "the guest's script: \(words)")
            return true
        }
        guard guest.process.isRunning else {
            end(.guestFailed, "the emulator ended: \(guest.text("\(directory)/qemu.log"))")
            return true
        }
        if guest.says.text.isEmpty, Date().timeIntervalSince(began) > Self.bootSeconds {
            end(.hung, "the guest did not come up within \(Int(Self.bootSeconds)) s")
            try Evidence(guest: guest, cpus: scenario.cpus).registers()
            return true
        }
        probeGrowth.look()
        if probeGrowth.silentSeconds > Self.silentSeconds {
            end(.hung, "the locked probe has been silent for \(Int(Self.silentSeconds)) s")
            try Evidence(guest: guest, cpus: scenario.cpus).registers()
            stuck = try Evidence(guest: guest, cpus: scenario.cpus).stacks()
            return true
        }
        return false
    }

    /// True once the guest has been deadlocked for as long as the scenario wants to see it so.
    private func hasBeenDeadlocked() -> Bool {
        guard
            faults.isHealthy,
            ProbeSample.stalledSeconds(ProbeSample.parse(guest.samples.text))
                > Self.deadlockSeconds
        else {
            deadlockSince = nil
            return false
        }
        let since = deadlockSince ?? Date()
        deadlockSince = since
        return Date().timeIntervalSince(since) >= Double(scenario.deadlockForSeconds)
    }

    /// Where a whole Debian runs, how long a locked process of the lab's own was late at most: beyond
    /// a second it is the emulator that stood still, which such a guest brings about
    /// (docs/lab-runs.md). 0 elsewhere.
    func standstillSeconds(_ samples: [ProbeSample]) -> Double {
        scenario.usesSystemd ? Double(samples.last?.worstGapMilliseconds ?? 0) / 1000 : 0
    }
}
