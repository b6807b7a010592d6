// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// One guest from boot to result.
/// Touched by one thread at a time.
final class LabRun: @unchecked Sendable {
    let scenario: Scenario
    let kernel: KernelPackage
    let directory: String
    let binary: String?
    let guest: Guest
    private let servers: [NBDServer]
    private let flood: Flood?
    private var growth: GrowthWatch
    private var probeGrowth: GrowthWatch
    private(set) var outcome = Outcome.timedOut
    /// Why it ended otherwise than completed, in one sentence.
    private(set) var reason = ""
    private(set) var stuck: [StuckTask] = []
    /// What each server counted, by device.
    private(set) var serverStats: [String: String] = [:]
    private var began = Date()
    private(set) var wireOff: Date?
    private(set) var wireOn: Date?
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
        directory: String, binary: String?, agentOptions: String = ""
    ) throws {
        self.scenario = scenario
        self.kernel = kernel
        self.directory = directory
        self.binary = binary
        try? FileManager.default.removeItem(atPath: directory)
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        let initramfs = Initramfs(kernel: kernel, lab: lab, cache: cache)
        servers = try scenario.swaps.filter(\.isNBD).map {
            try NBDServer.start(
                $0, directory: directory, tls: scenario.doctor, failing: scenario.failingWrites)
        }
        flood = try scenario.flood.map {
            try Flood.start($0, program: try initramfs.compile("flood"), directory: directory)
        }
        Children.shared.removeAtEnd("\(directory)/initramfs.gz")
        Children.shared.removeAtEnd("\(directory)/initramfs.gz.root")
        let archive = "\(directory)/initramfs.gz"
        let ports = Dictionary(uniqueKeysWithValues: servers.map { ($0.device, $0.port) })
        try initramfs.build(
            settings: [
                ("HOST", scenario.host),
                (
                    "SWAPS",
                    scenario.swaps.map { $0.words(port: ports[$0.device]) }.joined(separator: " ")
                ),
                ("MIN_FREE_KIB", "\(scenario.minFreeKiB)"), ("LOAD", scenario.load),
                ("CGROUP", scenario.cgroup),
                ("LOAD_LIMIT_MIB", scenario.loadLimitMiB.map(String.init) ?? ""),
                ("FLOOD", flood?.sinkArguments ?? ""),
                ("DOCTOR", scenario.doctor ? "yes" : "no"),
                ("SOCKETS", scenario.sockets ? "yes" : "no"),
                ("NBD_PORT", ports["nbd0"].map(String.init) ?? ""),
                ("AGENT", binary == nil ? "no" : "yes"),
                ("AGENT_OPTIONS", "\(scenario.agentOptions) \(agentOptions)"),
            ],
            scenario: scenario, binary: binary, at: archive)
        guest = try Guest(
            scenario: scenario, kernel: kernel, archive: archive, directory: directory,
            accelerator: try Accelerator.choose(kernel: kernel, cache: cache))
        growth = GrowthWatch(path: guest.events)
        probeGrowth = GrowthWatch(path: guest.probe)
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
            guest.stop()
            for server in servers { serverStats[server.device] = server.stop() }
            flood?.stop()
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
            if loadSince == nil, guest.mark("LOAD") != nil {
                loadSince = Date()
                if scenario.failingWrites != nil {
                    _ = FileManager.default.createFile(
                        atPath: NBDServer.faults(directory), contents: nil)
                }
                onRemark("swap is on \(swapWords); the load starts: \(scenario.load)")
            }
            if try hasEnded(loadHasBegun: loadSince != nil) { return }
            try moveWire(loadSince: loadSince)
            if isDeadlocked() {
                end(
                    .deadlocked,
                    "no request completed for \(Int(Self.deadlockSeconds)) s while some were in "
                        + "flight; wire and server are healthy")
                stuck = try Evidence(guest: guest, cpus: scenario.cpus).stacks()
                return
            }
        }
        end(.timedOut, "not finished after \(scenario.limitSeconds) s")
        stuck = try Evidence(guest: guest, cpus: scenario.cpus).stacks()
    }

    private var swapWords: String {
        scenario.swaps.map { $0.placement == .disk ? $0.device : "\($0.device) (\($0.placement))" }
            .joined(separator: ", ")
    }

    private func end(_ outcome: Outcome, _ reason: String) {
        self.outcome = outcome
        self.reason = reason
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
        return ProbeSample.stalledSeconds(ProbeSample.parse(guest.samples.text))
            > Self.deadlockSeconds
    }
}
