// SPDX-License-Identifier: Apache-2.0

import CBPF
import Testing

@testable import ReserveKernel

/// A kernel that has everything, as Debian's 6.12 with nbd.ko loaded.
var everything: KernelFacts {
    var facts = KernelFacts()
    facts.tracepoints = Set(KernelFacts.tracepointsAsked)
    facts.functions = Set(KernelFacts.functionsAsked)
    for (index, name) in KernelFacts.symbolsAsked.enumerated() {
        facts.symbols[name] = UInt64(index + 1)
    }
    facts.modules = ["nbd"]
    facts.nbdFamily = 30
    return facts
}

@Suite struct HookPlanTests {
    private func choice(_ name: String, _ facts: KernelFacts) -> HookPlan.Choice? {
        HookPlan(facts: facts).choices.first { $0.name == name }
    }

    @Test func aKernelWithEverythingGetsTheBestOfEach() {
        var rules = GuardRules()
        for rule in GuardRules.Rule.allCases { rules[rule] = .enforce }
        let plan = HookPlan(
            facts: everything, armed: Set(HookPlan.Arm.allCases), guarding: rules)
        for choice in plan.choices {
            #expect(choice.state == RW_HOOK_PRIMARY.rawValue, "\(choice.name): \(choice.reason)")
            #expect(choice.reason.isEmpty)
        }
    }

    @Test func aKernelThatRefusesFentryFallsBackAndSaysWhy() {
        var facts = everything
        facts.fentry = -1
        let throttle = choice("throttle.calls", facts)
        #expect(throttle?.state == RW_HOOK_FALLBACK.rawValue)
        #expect(throttle?.path == "/proc/vmstat")
        #expect(throttle?.reason.contains("refuses fentry (Operation not permitted)") == true)
        #expect(choice("reserve.taken", facts)?.state == RW_HOOK_PRIMARY.rawValue)
    }

    @Test func aKernelWithoutDataSymbolsLosesOnlyTheContext() {
        var facts = everything
        facts.symbols["pcpu_hot"] = nil
        facts.symbols["__preempt_count"] = nil
        let reserve = choice("reserve.taken", facts)
        #expect(reserve?.programs.first == "reserve_alloc_no_context")
        #expect(
            reserve?.known == UInt64(RW_KNOWN_RESERVE.rawValue | RW_KNOWN_BELOW_MIN.rawValue))
    }

    @Test func eitherPlaceOfThePreemptCountWillDo() {
        var facts = everything
        facts.symbols["pcpu_hot"] = nil
        #expect(choice("reserve.taken", facts)?.state == RW_HOOK_PRIMARY.rawValue)
    }

    @Test func tablesAreCountedWhereTheKernelCanAndDoesNotRefuse() {
        #expect(HookPlan(facts: everything).extras == ["count_tables"])
        var plan = HookPlan(facts: everything)
        plan.refuse(program: "count_tables", reason: "kernel refused count_tables")
        #expect(plan.extras.isEmpty)
        var facts = everything
        facts.functions.remove("bpf_map_sum_elem_count")
        #expect(HookPlan(facts: facts).extras.isEmpty)
    }

    @Test func everyProgramHasItsPlaceAmongTheFigures() {
        let programs = Set(HookPlan.signals.flatMap(\.candidates).flatMap(\.programs))
        // ReserveModel's Picture.programs, and PROGRAMS_MAX of the seam.
        #expect(programs.count <= 96, "\(programs.count)")
    }

    @Test func aRefusedProgramIsNotTriedAgain() {
        var plan = HookPlan(facts: everything)
        plan.refuse(program: "reserve_alloc", reason: "kernel refused reserve_alloc")
        let programs = plan.choices.flatMap(\.programs)
        #expect(!programs.contains("reserve_alloc"))
        #expect(programs.contains("reserve_alloc_no_context"))
        plan.refuse(program: "reserve_free", reason: "kernel refused reserve_free")
        let choice = plan.choices.first { $0.name == "reserve.taken" }
        #expect(choice?.state == RW_HOOK_MISSING.rawValue)
        #expect(choice?.reason.contains("kernel refused") == true)
    }

    @Test func withoutTheModuleThePhasesAreUnknownAndTheRequestsAreNot() {
        var facts = everything
        facts.modules = []
        #expect(choice("nbd.phases", facts)?.state == RW_HOOK_MISSING.rawValue)
        #expect(choice("nbd.requests", facts)?.state == RW_HOOK_PRIMARY.rawValue)
    }

    @Test func noProgramServesTwoSignals() {
        for facts in [everything, KernelFacts()] {
            let programs = HookPlan(facts: facts, armed: Set(HookPlan.Arm.allCases)).choices
                .flatMap(\.programs)
            #expect(Set(programs).count == programs.count)
        }
    }

    @Test func reasonsFitTheWire() {
        var facts = KernelFacts()
        facts.fentry = -1
        for facts in [facts, KernelFacts()] {
            for choice in HookPlan(facts: facts).choices {
                #expect(choice.name.utf8.count <= 32)
                #expect(choice.path.utf8.count <= 64)
                #expect(choice.reason.utf8.count <= 96, "\(choice.reason)")
            }
        }
    }

    @Test func whatCostsTooMuchIsOffUntilItIsArmed() {
        let objects = choice("slab.objects", everything)
        #expect(objects?.state == RW_HOOK_OFF.rawValue)
        #expect(objects?.known == 0)
        #expect(objects?.programs == [])
        #expect(objects?.reason.contains("--arm slab") == true)
        let armed = HookPlan(facts: everything, armed: [.slab]).choices
        #expect(armed.first { $0.name == "slab.objects" }?.cost == .object)
        #expect(armed.first { $0.name == "socket.skbs" }?.state == RW_HOOK_OFF.rawValue)
    }

    @Test func aCalmHostPaysForNoObject() {
        for choice in HookPlan(facts: everything).choices { #expect(choice.cost != .object) }
    }

    @Test func withoutFentrySocketsAreStillFoundAndTheirMarkingIsUnknown() {
        var facts = everything
        facts.fentry = -1
        let sockets = choice("socket.memalloc", facts)
        #expect(sockets?.state == RW_HOOK_FALLBACK.rawValue)
        #expect(sockets?.programs.contains("find_tcp_sockets") == true)
        #expect((sockets?.known ?? 0) & UInt64(RW_KNOWN_SOCKETS_MARKED.rawValue) == 0)
        let drops = choice("socket.drops", facts)
        #expect(drops?.known == UInt64(RW_KNOWN_DROPS.rawValue))
        #expect(choice("slab.slabs", facts)?.state == RW_HOOK_MISSING.rawValue)
    }

    @Test func whatRunsHasACostAndAFallbackSaysWhatItCannotSee() {
        var facts = everything
        facts.fentry = -1
        for choice in HookPlan(facts: facts).choices where choice.known != 0 {
            #expect(choice.cost != nil, "\(choice.name)")
            if choice.state == RW_HOOK_FALLBACK.rawValue { #expect(!choice.blind.isEmpty) }
        }
    }

    @Test func withoutTheTimerWhatItReportsIsMissingAndNotZero() {
        var plan = HookPlan(facts: everything)
        plan.refuse(program: "final_report", reason: "kernel refused final_report")
        let choices = plan.choices
        #expect(choices.first { $0.name == "watermark.zones" }?.path == "/proc/zoneinfo")
        for name in ["nbd.requests", "socket.memalloc", "swap.usage", "swap.devices"] {
            let choice = choices.first { $0.name == name }
            #expect(choice?.state == RW_HOOK_MISSING.rawValue, "\(name)")
            #expect(choice?.known == 0)
            #expect(choice?.reason.contains("no timer") == true)
        }
        #expect(choices.first { $0.name == "swap.pages" }?.state == RW_HOOK_PRIMARY.rawValue)
    }

    @Test func aNamespaceThatCannotBeEnteredIsSaid() {
        let choices = HookPlan(facts: everything).choices
        #expect(HookPlan.noting(unseenNamespaces: 0, in: choices) == choices)
        let noted = HookPlan.noting(unseenNamespaces: 3, in: choices)
        let sockets = noted.first { $0.name == "socket.memalloc" }
        #expect(sockets?.state == RW_HOOK_FALLBACK.rawValue)
        #expect(sockets?.reason == "3 network namespaces cannot be entered")
        #expect(
            noted.filter { $0.name != "socket.memalloc" }
                == choices.filter { $0.name != "socket.memalloc" })
    }
}
