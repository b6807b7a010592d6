// SPDX-License-Identifier: Apache-2.0

import CRecord
import Testing

@testable import ReserveBox
@testable import ReserveRecord

/// The box and the segments keep the last record of each state by a table each: the watch's
/// must be proven to allocate nothing. They must not drift apart.
@Suite struct KeyTablesTests {
    private enum Effect: Equatable {
        case kept
        case ended
        case event
    }

    private func inSegments(_ stem: UInt32, _ kind: UInt32) -> Effect {
        switch RecordKeys.rule(stem: stem, kind: kind) {
        case .event: return .event
        case .ends: return .ended
        case .latest, .line, .table, .begins: return .kept
        }
    }

    private func inTheBox(_ stem: UInt32, _ kind: UInt32) -> Effect {
        var bytes = [UInt8](repeating: 1, count: 1504)
        let header = rw_header(
            stem: UInt16(stem), kind: UInt16(kind), size: 1504, boot_ns: 1, cpu: 0, reserved: 0)
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: header, as: rw_header.self) }
        switch bytes.withUnsafeBytes({ BoxKey.effect(of: $0) }) {
        case .keep: return .kept
        case .drop: return .ended
        case .none: return .event
        }
    }

    /// Where they differ on purpose: a sighting of a waiter ends unseen, and a box would keep
    /// it for ever; a tick is no state for who follows live.
    private func isOnPurpose(_ stem: UInt32, _ kind: UInt32) -> Bool {
        (stem, kind) == (RW_STEM_THROTTLE.rawValue, RW_THROTTLE_WAITING.rawValue)
            || (stem, kind) == (RW_STEM_AGENT.rawValue, RW_AGENT_TICK.rawValue)
    }

    @Test func bothKeepTheSameKindsOfRecords() {
        for stem in UInt32(1)...15 {
            for kind in UInt32(1)...20 where !isOnPurpose(stem, kind) {
                #expect(
                    inTheBox(stem, kind) == inSegments(stem, kind), "stem \(stem) kind \(kind)")
            }
        }
    }
}
