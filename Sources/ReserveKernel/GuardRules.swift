// SPDX-License-Identifier: Apache-2.0

import CBPF
import Glibc

/// What a rule of the guard does about attempts.
public enum GuardMode: String, CaseIterable, Sendable {
    /// Nothing is hooked, nothing is told.
    case off
    /// Told, and allowed.
    case observe
    /// Told, and refused to all who are not excepted.
    case enforce

    var wire: UInt32 {
        switch self {
        case .off: RW_GUARD_OFF.rawValue
        case .observe: RW_GUARD_OBSERVE.rawValue
        case .enforce: RW_GUARD_ENFORCE.rawValue
        }
    }
}

/// The section `[Guard]`: what of it, at whom and for whom. docs/guard.md.
public struct GuardRules: Equatable, Sendable {
    /// The rules by the names of their settings.
    public enum Rule: String, CaseIterable, Sendable {
        /// Signals to, traces and freezes of client, local server and agent.
        case processes = "Mode"
        /// swapoff(2) of swap on NBD.
        case swapoff = "Swapoff"
        /// Disconnecting an NBD device that carries swap.
        case disconnect = "Disconnect"
    }

    /// nil: not set. Then attempts are observed as far as the kernel lets us.
    public var processes: GuardMode?
    public var swapoff: GuardMode?
    public var disconnect: GuardMode?
    /// Cgroups whose tasks, and those of all below them, may do what is refused to others.
    public var exceptions: [String] = []

    public init() {}

    public subscript(rule: Rule) -> GuardMode? {
        get {
            switch rule {
            case .processes: processes
            case .swapoff: swapoff
            case .disconnect: disconnect
            }
        }
        set {
            switch rule {
            case .processes: processes = newValue
            case .swapoff: swapoff = newValue
            case .disconnect: disconnect = newValue
            }
        }
    }

    /// What is done, set or not.
    public func mode(_ rule: Rule) -> GuardMode { self[rule] ?? .observe }

    /// Where systemd keeps process 1, and nobody else.
    static let alwaysExcepted = ["/init.scope"]
    /// As many as the kernel's table has room for, with those that are always there.
    public static let mostExceptions = 15

    /// Why a cgroup cannot be excepted, or nil.
    public static func problem(ofException path: String) -> String? {
        guard path.hasPrefix("/") else {
            return "it is no cgroup's path: write it as systemctl show -p ControlGroup UNIT does, "
                + "such as /system.slice/backup.service"
        }
        let names = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        if names == [""] { return "that is every process of the host" }
        if names.contains(where: { $0.isEmpty || $0 == "." || $0 == ".." }) {
            return "it has an empty name, \".\" or \"..\" in it"
        }
        if path.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) {
            return "it has a control character in it"
        }
        if path.utf8.count >= Int(RW_GUARD_PATH_BYTES) {
            return "it is longer than \(RW_GUARD_PATH_BYTES - 1) bytes"
        }
        if names.count > 15 { return "it is deeper than 15 levels" }
        return nil
    }

    /// Why these rules would leave nobody who may end the agent, or nil.
    ///
    /// systemd ends a service from process 1, which is excepted; other managers do so from
    /// processes of their own.
    public func lockout(processOne comm: String) -> String? {
        guard processes == .enforce, exceptions.isEmpty, comm != "systemd" else { return nil }
        return "nobody but process 1, which is \(comm.isEmpty ? "not known" : comm), could end "
            + "the agent"
    }
}

extension HookPlan {
    /// Why the rules cannot be honoured by these choices, or nil: nothing is done in a lesser
    /// way than was asked for.
    public func unhonoured(_ choices: [Choice]) -> WatchError? {
        for rule in GuardRules.Rule.allCases {
            guard let mode = guarding[rule], mode != .off else { continue }
            for signal in Self.signals {
                guard let part = signal.guardedBy, part.rule == rule,
                    let choice = choices.first(where: { $0.name == signal.name })
                else { continue }
                let mustRefuse = mode == .enforce && part.refuses
                if mustRefuse && !choice.canRefuse {
                    return .modeRefused(
                        setting: "[Guard] \(rule.rawValue)=enforce",
                        reason: whyNotRefusing(signal),
                        remedy: "set \(rule.rawValue)=observe, or see what docs/guard.md says of "
                            + "such kernels")
                }
                if choice.state == RW_HOOK_MISSING.rawValue {
                    return .modeRefused(
                        setting: "[Guard] \(rule.rawValue)=\(mode.rawValue)",
                        reason: "\(signal.name) is not seen here (\(choice.reason))",
                        remedy: "leave \(rule.rawValue)= out, and what can be seen is")
                }
            }
        }
        return nil
    }

    /// What each way lacks that could refuse.
    private func whyNotRefusing(_ signal: Signal) -> String {
        let ways = signal.candidates.filter(\.canRefuse)
        // Ways that lack the same say it once.
        var told: [String] = []
        for way in ways {
            let reason = "\(way.path): \(lack(of: way) ?? "not taken")"
            if !told.contains(reason) { told.append(reason) }
        }
        return "this kernel lets nobody refuse it (\(told.joined(separator: "; ")))"
    }
}

extension LiveKernel {
    /// Puts the rules where the programs look: before they are attached.
    ///
    /// - Returns: 0, or the negative errno of an exception that was not taken.
    static func write(
        _ rules: GuardRules, guardsItself: Bool, family: Int32, to bpf: OpaquePointer,
        _ shared: UnsafeMutablePointer<rw_shared>
    ) -> Int32 {
        shared.pointee.settings.guard_processes = rules.mode(.processes).wire
        shared.pointee.settings.guard_swapoff = rules.mode(.swapoff).wire
        shared.pointee.settings.guard_disconnect = rules.mode(.disconnect).wire
        shared.pointee.settings.guard_agent = guardsItself ? 1 : 0
        shared.pointee.settings.nbd_family = family > 0 ? UInt32(family) : 0
        for path in GuardRules.alwaysExcepted + rules.exceptions {
            let result = path.withCString { rw_bpf_except(bpf, $0) }
            if result != 0 { return result }
        }
        return 0
    }

    /// Tells the programs which swap lies on which NBD device. At most 16 lines.
    public func guardSwaps(_ swaps: [(device: UInt32, disk: String)]) {
        var table = [rw_guard_swap](repeating: rw_guard_swap(), count: Int(RW_SWAPS))
        for (index, swap) in swaps.prefix(table.count).enumerated() {
            table[index].device = swap.device
            copy(swap.disk, into: &table[index].disk)
        }
        withUnsafeMutableBytes(of: &shared.pointee.guard_swaps) { bytes in
            table.withUnsafeBytes { bytes.copyMemory(from: $0) }
        }
    }

    /// Has those who are to be guarded searched for, by a thread that the loop does not wait for.
    public func searchGuarded() { rw_bpf_search_guarded(bpf) }

    /// Another one whenever a connection of a device came. Does not allocate.
    public var guardMark: UInt64 {
        var devices: UInt64 = 0
        withUnsafeBytes(of: &shared.pointee.nbd) { bytes in
            let states = bytes.bindMemory(to: rw_nbd_state.self)
            for state in states where state.claimed_minor != 0 { devices += 1 }
        }
        return devices << 48 | shared.pointee.socket_serial & 0xffff_ffff_ffff
    }
}
