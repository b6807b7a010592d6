// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// Brings about what the scenario says goes wrong, and knows since when and until when.
struct FaultInjector {
    let scenario: Scenario
    let guest: Guest
    let servers: [NBDServer]
    private(set) var wireOff: Date?
    private(set) var wireOn: Date?
    private(set) var serverStopped: Date?
    private(set) var serverContinued: Date?
    private(set) var serverKilled: Date?

    init(scenario: Scenario, guest: Guest, servers: [NBDServer]) {
        self.scenario = scenario
        self.guest = guest
        self.servers = servers
    }

    /// TCP's own back-off may take up to two minutes to try again after an outage.
    static let recoverySeconds = 150.0

    /// False while something that we broke may be why nothing completes.
    var isHealthy: Bool {
        func isOver(_ begun: Date?, _ ended: Date?) -> Bool {
            guard begun != nil else { return true }
            return ended.map { Date().timeIntervalSince($0) > Self.recoverySeconds } == true
        }
        return isOver(wireOff, wireOn) && isOver(serverStopped, serverContinued)
            && isOver(serverKilled, serverKilled)
    }

    /// What of wire and server is as it was, for the sentence that calls a guest deadlocked.
    var health: String {
        if scenario.serverIsLocal { return "the server is in the guest itself" }
        if serverKilled != nil { return "the server had been killed" }
        if scenario.faults.clientKillAfter != nil { return "the guest's client had been killed" }
        return "wire and server are healthy"
    }

    /// Does what is due, and says what it did.
    mutating func look(loadSince: Date) throws -> [String] {
        let faults = scenario.faults
        var remarks: [String] = []
        if Self.isDue(scenario.wireOffAfter, loadSince), wireOff == nil {
            try guest.qmp.setLink(false)
            wireOff = Date()
            remarks.append("the wire is pulled, for \(scenario.wireOffFor) s")
        }
        if let wireOff, wireOn == nil, Self.isDue(scenario.wireOffFor, wireOff) {
            try guest.qmp.setLink(true)
            wireOn = Date()
            remarks.append("the wire is back")
        }
        if Self.isDue(faults.serverStopAfter, loadSince), serverStopped == nil {
            for server in servers { server.signal(SIGSTOP) }
            serverStopped = Date()
            remarks.append("the server is stopped, for \(faults.serverStopFor) s")
        }
        if let serverStopped, serverContinued == nil,
            Self.isDue(faults.serverStopFor, serverStopped)
        {
            for server in servers { server.signal(SIGCONT) }
            serverContinued = Date()
            remarks.append("the server goes on")
        }
        if Self.isDue(faults.serverKillAfter, loadSince), serverKilled == nil {
            for server in servers { server.signal(SIGKILL) }
            serverKilled = Date()
            remarks.append("the server is killed")
        }
        return remarks
    }

    /// A stopped server does not hear that it is to end.
    func release() {
        guard serverStopped != nil, serverContinued == nil else { return }
        for server in servers { server.signal(SIGCONT) }
    }

    private static func isDue(_ seconds: Int?, _ since: Date) -> Bool {
        seconds.map { Date().timeIntervalSince(since) >= Double($0) } == true
    }
}
