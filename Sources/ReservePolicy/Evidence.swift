// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// One thing that a rule may want to be seen, or to be known not to be.
public enum Evidence: UInt8, Sendable, CaseIterable {
    /// The carrier of the swap's link is gone.
    case lostWire = 0
    /// The host can receive no more, for want of memory.
    case deadReceivePath
    /// Packets arrive, and answers do not.
    case silentServer
    /// Something was received on the device's connections just now.
    case receiving
    /// Tasks, and not kswapd alone, wait: ``HostVerdict/Evidence/showsWaitingTasks(_:)``.
    case tasksWait
    /// Free memory is below min.
    case belowMin
    /// The node is at the throttle line, or somebody sleeps for it.
    case throttled
    /// The swap's server is on this host.
    case localServer

    public var word: String {
        switch self {
        case .lostWire: return "lost-wire"
        case .deadReceivePath: return "dead-receive-path"
        case .silentServer: return "silent-server"
        case .receiving: return "receiving"
        case .tasksWait: return "tasks-wait"
        case .belowMin: return "below-min"
        case .throttled: return "throttled"
        case .localServer: return "local-server"
        }
    }

    /// For sentences: "... is seen", "... is ruled out".
    var phrase: String {
        switch self {
        case .lostWire: return "a lost wire"
        case .deadReceivePath: return "a dead receive path"
        case .silentServer: return "a silent server"
        case .receiving: return "receiving"
        case .tasksWait: return "tasks waiting for memory"
        case .belowMin: return "free memory below min"
        case .throttled: return "the pfmemalloc throttle"
        case .localServer: return "a server on this host"
        }
    }

    /// Whether it is so; nil: nothing tells.
    func value(in picture: borrowing Picture, _ policy: Policy) -> Bool? {
        let verdict = picture.verdict
        let evidence = verdict.evidence
        switch self {
        case .lostWire: return Self.value(picture.findings.lostWire)
        case .deadReceivePath: return Self.value(picture.findings.deadReceivePath)
        case .silentServer: return Self.value(picture.findings.silentServer)
        case .receiving:
            switch evidence.device?.silentNanoseconds {
            case .some(..<policy.receivingWithin): return true
            case .some(policy.silentAfter...): return false
            default: return nil
            }
        case .tasksWait:
            if evidence.showsWaitingTasks(policy) { return true }
            return picture.counters?.directReclaim == nil ? nil : false
        case .belowMin:
            if verdict.conditions.memory == .unknown { return nil }
            return verdict.conditions.memory.rawValue >= HostConditions.Memory.belowMin.rawValue
        case .throttled:
            if verdict.conditions.memory == .unknown { return nil }
            return verdict.conditions.memory == .atThrottleLine
        case .localServer: return evidence.device?.path?.isLocal
        }
    }

    private static func value(_ finding: Alert.Finding) -> Bool? {
        switch finding {
        case .confirmed: return true
        case .ruledOut: return false
        case .cannotTell, .notLooked: return nil
        }
    }
}

public struct EvidenceSet: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    public init(_ evidence: Evidence) { rawValue = 1 << evidence.rawValue }

    public func contains(_ evidence: Evidence) -> Bool {
        rawValue & 1 << evidence.rawValue != 0
    }
}

extension Rule {
    /// Whether all that the rule waits for is so now.
    func holds(in picture: borrowing Picture, _ policy: Policy) -> Bool {
        guard states.contains(picture.verdict.state) else { return false }
        if seen.isEmpty && ruledOut.isEmpty { return true }
        for number in 0..<UInt8(8) {
            guard let evidence = Evidence(rawValue: number) else { continue }
            if seen.contains(evidence), evidence.value(in: picture, policy) != true {
                return false
            }
            if ruledOut.contains(evidence), evidence.value(in: picture, policy) != false {
                return false
            }
        }
        return true
    }
}
