// SPDX-License-Identifier: Apache-2.0

import CHand
import CRecord
import ReserveModel
import ReservePolicy

/// Acts and rules on their way to the hands, and to the wire. Nothing here allocates but
/// ``settings(_:priority:)``.
enum EnforceRecords {
    static func header(_ kind: rw_enforce_kind, _ size: Int, _ now: UInt64) -> rw_header {
        rw_header(
            stem: UInt16(RW_STEM_ENFORCE.rawValue), kind: UInt16(kind.rawValue),
            size: UInt32(size), boot_ns: now, cpu: 0, reserved: 0)
    }

    /// What the decision tells by itself: a limit that was reached, how a rescue ended.
    static func record(_ act: Enforcement, at now: UInt64) -> rw_enforce {
        var record = rw_enforce()
        record.header = header(RW_ENFORCE_ACT, MemoryLayout<rw_enforce>.size, now)
        copy(act.rule, into: &record.rule)
        copy(act.target, into: &record.target)
        record.rule_index = act.ruleIndex
        record.serial = act.serial
        record.mode = act.mode.rawValue
        record.verb = act.verb.rawValue
        record.outcome = act.outcome.rawValue
        record.reason = act.reason.rawValue
        record.choice = act.choice.rawValue
        record.error = act.error
        record.deadline_boot_ns = act.deadlineBootNanoseconds
        return record
    }

    static func record(_ rule: EnforceRuleState, at now: UInt64) -> rw_enforce_rule {
        var record = rw_enforce_rule()
        record.header = header(RW_ENFORCE_RULE, MemoryLayout<rw_enforce_rule>.size, now)
        copy(rule.name, into: &record.rule)
        copy(rule.target, into: &record.target)
        record.rule_index = rule.index
        record.mode = rule.mode.rawValue
        record.verb = rule.verb.rawValue
        record.stands = rule.stands ? 1 : 0
        record.target_error = rule.targetError
        record.would = rule.would
        record.done = rule.done
        record.failed = rule.failed
        record.refused = rule.refused
        record.limited = rule.limited
        record.undone = rule.undone
        switch rule.spare {
        case .notWanted: break
        case .ready: record.spare = UInt8(RW_ENFORCE_READY.rawValue)
        case .missing(let errno):
            record.spare = UInt8(RW_ENFORCE_MISSING.rawValue)
            record.spare_error = errno
        }
        return record
    }

    /// As the hands want it.
    static func directive(_ directive: Directive) -> rw_directive {
        var record = rw_directive()
        record.serial = directive.serial
        record.rule = UInt32(directive.rule)
        record.verb = directive.verb.rawValue
        record.enforced = directive.isEnforced ? 1 : 0
        record.reason = directive.reason.rawValue
        record.choice = directive.choice.rawValue
        record.boot_ns = directive.bootNanoseconds
        record.deadline_boot_ns = directive.deadlineBootNanoseconds
        guard let connection = directive.connection else { return record }
        record.family = connection.family
        record.netns = connection.netns
        record.local_port = UInt16(truncatingIfNeeded: connection.local.port)
        record.peer_port = UInt16(truncatingIfNeeded: connection.peer.port)
        withUnsafeMutableBytes(of: &record.local) { bytes in
            for index in 0..<16 { bytes[index] = connection.local[index] }
        }
        withUnsafeMutableBytes(of: &record.peer) { bytes in
            for index in 0..<16 { bytes[index] = connection.peer[index] }
        }
        withUnsafeMutableBytes(of: &record.disk) { bytes in
            for index in 0..<16 { bytes[index] = connection.disk[index] }
        }
        return record
    }

    /// What the hands are told of the rules, at the start.
    static func settings(_ set: RuleSet, priority: Int32) -> rw_hand_settings {
        var settings = rw_hand_settings()
        settings.priority = priority
        settings.rule_count = UInt32(min(set.rules.count, RuleSet.mostRules))
        withUnsafeMutableBytes(of: &settings.rules) { bytes in
            let rules = bytes.bindMemory(to: rw_hand_rule.self)
            for (index, rule) in set.rules.prefix(RuleSet.mostRules).enumerated() {
                rules[index] = handRule(rule, mode: set.mode(of: rule))
            }
        }
        let names = RuleSet.alwaysProtected + set.protected
        settings.protected_count = UInt32(min(names.count, Int(RW_HAND_PROTECTED)))
        withUnsafeMutableBytes(of: &settings.protected_names) { bytes in
            for (index, name) in names.prefix(Int(RW_HAND_PROTECTED)).enumerated() {
                let place = index * Int(RW_HAND_NAME_BYTES)
                for (offset, byte) in name.utf8.prefix(Int(RW_HAND_NAME_BYTES) - 1).enumerated() {
                    bytes[place + offset] = byte
                }
            }
        }
        withUnsafeMutableBytes(of: &settings.spare_export) { bytes in
            for (offset, byte) in set.spareExport.utf8.prefix(bytes.count - 1).enumerated() {
                bytes[offset] = byte
            }
        }
        return settings
    }

    /// Where the swap's servers are, as far as the picture knows; how many. Each twice: a host that
    /// came back may deadlock anew before it is calm enough for another spare connection.
    static func places(
        _ picture: borrowing Picture, _ places: inout InlineArray<4, rw_swap_place>
    ) -> Int {
        var count = 0
        var disks = InlineArray<4, FixedName>(repeating: FixedName())
        for index in picture.sockets.indices where count < 3 {
            let socket = picture.sockets[index]
            guard socket.tcp != nil, !socket.disk.isEmpty,
                picture.swaps.firstIndex(where: { $0.nbdDisk == socket.disk }) != nil
            else { continue }
            var place = rw_swap_place()
            withUnsafeMutableBytes(of: &place.disk) { bytes in
                for offset in 0..<16 { bytes[offset] = socket.disk[offset] }
            }
            withUnsafeMutableBytes(of: &place.peer) { bytes in
                for offset in 0..<16 { bytes[offset] = socket.peer[offset] }
            }
            place.family = socket.family
            place.netns = socket.netns
            place.peer_port = socket.peer.port
            let isThere = (0..<count).contains { disks[$0] == socket.disk }
            guard !isThere else { continue }
            disks[count] = socket.disk
            disks[count + 1] = socket.disk
            places[count] = place
            places[count + 1] = place
            count += 2
        }
        return count
    }

    private static func handRule(_ rule: Rule, mode: EnforceMode) -> rw_hand_rule {
        var record = rw_hand_rule()
        copy(FixedText(rule.name), into: &record.name)
        copy(FixedText(rule.target.words), into: &record.target)
        if let place = rule.target.place { copy(FixedText(place.words), into: &record.place) }
        record.mode = mode.rawValue
        record.verb = rule.action.verb.rawValue
        record.choice = rule.target.choice.rawValue
        record.kills = rule.action == .kill || rule.action == .rescue ? 1 : 0
        record.ends_connections = rule.endsConnection ? 1 : 0
        record.keeps_spare = rule.keepsSpare ? 1 : 0
        record.memory_high_percent = UInt32(rule.memoryHighPercent)
        return record
    }

    /// Cut to leave a NUL: the hands read them as C strings.
    private static func copy<Tuple>(_ text: FixedText, into tuple: inout Tuple) {
        withUnsafeMutableBytes(of: &tuple) { bytes in
            for index in 0..<min(text.count, bytes.count - 1) { bytes[index] = text[index] }
        }
    }
}
