// SPDX-License-Identifier: Apache-2.0

import CBPF
import Testing

@testable import ReserveKernel

@Suite struct SurvivalTests {
    @Test func lockedMemoryThatMayBeMovedIsHadInPart() {
        let moved = Survival.lockedMemory(0, isMoved: true)
        #expect(moved.state == RW_HOOK_FALLBACK.rawValue && moved.path == "mlockall")
        #expect(moved.reason.contains("reservewatch prepare"))
        #expect(moved.reason.utf8.count < 96)
        let kept = Survival.lockedMemory(0, isMoved: false)
        #expect(kept.state == RW_HOOK_PRIMARY.rawValue && kept.reason.isEmpty)
        // Nothing is locked then: that it may be moved is not the matter.
        let refused = Survival.lockedMemory(-1, isMoved: true)
        #expect(refused.state == RW_HOOK_MISSING.rawValue && refused.path.isEmpty)
    }
}
