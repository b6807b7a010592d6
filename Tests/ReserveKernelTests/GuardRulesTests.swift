// SPDX-License-Identifier: Apache-2.0

import CBPF
import Glibc
import Testing

@testable import ReserveKernel

@Suite struct GuardRulesTests {
    private func rules(
        _ processes: GuardMode?, _ swapoff: GuardMode? = nil, _ disconnect: GuardMode? = nil
    ) -> GuardRules {
        var rules = GuardRules()
        rules.processes = processes
        rules.swapoff = swapoff
        rules.disconnect = disconnect
        return rules
    }

    private func choice(
        _ name: String, _ facts: KernelFacts, _ rules: GuardRules = GuardRules()
    ) -> HookPlan.Choice? {
        HookPlan(facts: facts, guarding: rules).choices.first { $0.name == name }
    }

    private func refusal(_ facts: KernelFacts, _ rules: GuardRules) -> String? {
        let plan = HookPlan(facts: facts, guarding: rules)
        guard let error = plan.unhonoured(plan.choices) else { return nil }
        #expect(error.exitStatus == 69)
        return error.sentence
    }

    @Test func withTheLSMItRefusesByIt() {
        let all = rules(.enforce, .enforce, .enforce)
        #expect(refusal(everything, all) == nil)
        #expect(choice("guard.signals", everything, all)?.programs.first == "guard_kill")
        #expect(choice("guard.traces", everything, all)?.path == "lsm/ptrace_access_check")
        #expect(choice("guard.swapoff_refusal", everything, all)?.programs == ["guard_open"])
        #expect(
            choice("guard.disconnect_refusal", everything, all)?.programs
                == ["guard_ioctl", "guard_ioctl_compat", "guard_netlink"])
    }

    @Test func withoutItInTheBootsListItRefusesByModifiedReturns() {
        var facts = everything
        facts.lsm = -ESRCH
        facts.listsBPF = false
        let all = rules(.enforce, .enforce, .enforce)
        #expect(refusal(facts, all) == nil)
        let signals = choice("guard.signals", facts, all)
        #expect(signals?.state == RW_HOOK_FALLBACK.rawValue)
        #expect(signals?.programs.first == "guard_kill_modified")
        #expect(signals?.reason.contains("bpf is not in lsm=") == true)
        #expect(choice("guard.swapoff_refusal", facts, all)?.canRefuse == true)
        #expect(choice("guard.disconnect_refusal", facts, all)?.canRefuse == true)
    }

    @Test func whereNothingRefusesEnforceIsRefusedWithTheReasons() throws {
        var facts = everything
        facts.lsm = -EPERM
        facts.modifyReturn = -ESRCH
        for (rule, asked) in [
            ("Mode", rules(.enforce)), ("Swapoff", rules(nil, .enforce)),
            ("Disconnect", rules(nil, nil, .enforce)),
        ] {
            let sentence = try #require(refusal(facts, asked))
            #expect(sentence.hasPrefix("[Guard] \(rule)=enforce cannot be honoured"))
            #expect(sentence.contains("refused (Operation not permitted)"), "\(sentence)")
            #expect(sentence.contains("taken, and never called"), "\(sentence)")
            #expect(sentence.contains("set \(rule)=observe"))
        }
        // What is seen can be observed all the same; what is not set is as far as it goes.
        #expect(choice("guard.signals", facts)?.path == "tp_btf/signal_generate")
        #expect(refusal(facts, GuardRules()) == nil)
        #expect(refusal(facts, rules(nil, .observe, .observe)) == nil)
    }

    @Test func observingWhatCannotBeSeenIsRefusedWhereItWasAskedFor() throws {
        var facts = everything
        facts.fentry = -EPERM
        facts.lsm = -EPERM
        facts.modifyReturn = -EPERM
        #expect(refusal(facts, GuardRules()) == nil)
        #expect(try #require(refusal(facts, rules(nil, .observe))).contains("guard.swapoff is not"))
        #expect(try #require(refusal(facts, rules(.observe))).contains("guard.traces is not seen"))
        #expect(refusal(facts, rules(.off, .off, .off)) == nil)
    }

    @Test func whatIsOffIsNotLoadedAndWhatOnlyRefusesNotForLess() {
        let off = rules(.off, .off, .off)
        for signal in HookPlan.signals where signal.guardedBy != nil {
            #expect(choice(signal.name, everything, off)?.state == RW_HOOK_OFF.rawValue)
            #expect(choice(signal.name, everything, off)?.programs == [])
        }
        for name in ["guard.swapoff_refusal", "guard.disconnect_refusal"] {
            let usual = choice(name, everything)
            #expect(usual?.state == RW_HOOK_OFF.rawValue)
            #expect(usual?.reason.contains("=enforce arms it") == true)
        }
        // Nothing that every open(2) passes through, unless it was asked for.
        #expect(!HookPlan(facts: everything).choices.contains { $0.cost == .open })
    }

    @Test func anOlderKernelHasNoHookOfItsOwnFor32Bits() {
        var facts = everything
        facts.functions.remove("bpf_lsm_file_ioctl_compat")
        facts.functions.remove("security_file_ioctl_compat")
        let all = rules(nil, nil, .enforce)
        #expect(
            choice("guard.disconnect_refusal", facts, all)?.programs
                == ["guard_ioctl", "guard_netlink"])
    }

    @Test func withoutTheDriverThereIsNothingToDisconnect() {
        var facts = everything
        facts.modules = []
        facts.nbdFamily = -ENOENT
        #expect(choice("guard.disconnect", facts)?.state == RW_HOOK_MISSING.rawValue)
        #expect(
            refusal(facts, rules(nil, nil, .enforce))?.contains("nbd.ko was not loaded") == true)
    }

    @Test(arguments: [
        "", "nbd.service", "/", "//", "/a//b", "/a/../b", "/a/.", "/a/", "/a\nb",
        "/" + String(repeating: "x", count: 127),
        String(repeating: "/x", count: 16),
    ])
    func whatIsNoCgroupIsNoException(path: String) {
        #expect(GuardRules.problem(ofException: path)?.isEmpty == false)
    }

    @Test(arguments: [
        "/admin", "/system.slice/nbd@nbd0.service", "/a b/\u{e9}=,",
        "/" + String(repeating: "x", count: 126), String(repeating: "/x", count: 15),
    ])
    func cgroupsAreTaken(path: String) {
        #expect(GuardRules.problem(ofException: path) == nil)
    }

    @Test func nobodyIsLockedOut() {
        #expect(rules(.enforce).lockout(processOne: "systemd") == nil)
        #expect(rules(.enforce).lockout(processOne: "runit")?.contains("which is runit") == true)
        #expect(rules(.enforce).lockout(processOne: "")?.contains("not known") == true)
        #expect(rules(.observe).lockout(processOne: "runit") == nil)
        #expect(rules(nil).lockout(processOne: "runit") == nil)
        var excepted = rules(.enforce)
        excepted.exceptions = ["/admin"]
        #expect(excepted.lockout(processOne: "runit") == nil)
    }
}

/// The guard on this machine's own kernel, as far as that lets it.
@Suite(.serialized, .enabled(if: geteuid() == 0 || getenv("CI") != nil, "needs root"))
struct GuardLiveTests {
    private func attempts(_ kernel: borrowing LiveKernel) -> [rw_guard_attempt] {
        var found: [rw_guard_attempt] = []
        kernel.drain { record in
            let header = record.loadUnaligned(as: rw_header.self)
            guard header.stem == RW_STEM_GUARD.rawValue,
                header.kind == RW_GUARD_ATTEMPT.rawValue
            else { return }
            found.append(record.loadUnaligned(as: rw_guard_attempt.self))
        }
        return found
    }

    /// Sends a signal to this process from another one, and waits for that one's end.
    private func signalFromOutside(_ name: String) {
        let words = ["/bin/sh", "-c", "kill -\(name) \(getpid())"]
        var arguments = words.map { strdup($0) } + [nil]
        defer { arguments.forEach { free($0) } }
        var pid: pid_t = 0
        #expect(posix_spawn(&pid, words[0], nil, nil, &arguments, environ) == 0)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        #expect(status == 0)
    }

    @Test func aSignalFromAnotherProcessIsToldAndOneOfOurOwnIsNot() throws {
        let before = signal(SIGUSR1, SIG_IGN)
        defer { signal(SIGUSR1, before) }
        let kernel = try LiveKernel.attach(
            facts: try KernelFacts.discover(), settings: LiveKernel.Settings())
        kernel.drain { _ in }
        kill(getpid(), SIGUSR1)
        signalFromOutside("URG")
        #expect(attempts(kernel).isEmpty)
        signalFromOutside("USR1")
        let told = attempts(kernel)
        #expect(told.count == 1)
        let only = try #require(told.first)
        #expect(only.action == RW_GUARD_SIGNAL.rawValue && only.signal == UInt32(SIGUSR1))
        #expect(only.result == RW_GUARD_ALLOWED.rawValue)
        #expect(only.target.tgid == UInt32(getpid()) && only.task.tgid != UInt32(getpid()))
        #expect(only.role == RW_GUARD_AGENT.rawValue)
    }

    @Test func whatIsOffIsNotTold() throws {
        let before = signal(SIGUSR1, SIG_IGN)
        defer { signal(SIGUSR1, before) }
        var settings = LiveKernel.Settings()
        settings.guardRules.processes = .off
        let kernel = try LiveKernel.attach(facts: try KernelFacts.discover(), settings: settings)
        #expect(kernel.known & UInt64(RW_KNOWN_GUARD_SIGNALS.rawValue) == 0)
        signalFromOutside("USR1")
        #expect(attempts(kernel).isEmpty)
    }

    @Test func whoIsGuardedIsToldOnce() throws {
        let kernel = try LiveKernel.attach(
            facts: try KernelFacts.discover(), settings: LiveKernel.Settings())
        kernel.searchGuarded()
        // The searching thread, which has no rights any more, waits for the timer's second
        // before it looks; had it failed, it would look again each 1.2 s.
        usleep(3_000_000)
        #expect(kernel.shared.pointee.guard_generation == 2)
        var found: [rw_guarded] = []
        kernel.drain { record in
            let header = record.loadUnaligned(as: rw_header.self)
            guard header.stem == RW_STEM_GUARD.rawValue,
                header.kind == RW_GUARD_GUARDED.rawValue
            else { return }
            found.append(record.loadUnaligned(as: rw_guarded.self))
        }
        let own = found.filter { $0.task.tgid == UInt32(getpid()) }
        #expect(own.count == 1)
        #expect(own.first?.role == RW_GUARD_AGENT.rawValue)
    }

    @Test func swapsAreHandedOverAndNoMoreThanThereIsRoomFor() throws {
        let kernel = try LiveKernel.attach(
            facts: try KernelFacts.discover(), settings: LiveKernel.Settings())
        kernel.guardSwaps((0..<20).map { (device: UInt32(100 + $0), disk: "nbd\($0)") })
        let table = kernel.shared.pointee.guard_swaps
        #expect(table.0.device == 100 && table.15.device == 115)
        kernel.guardSwaps([])
        #expect(kernel.shared.pointee.guard_swaps.0.device == 0)
    }
}
