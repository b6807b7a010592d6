// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// The main job, to watch: a guest swaps over NBD, its agent tells, the wire is pulled.
struct Demo {
    let lab: Lab

    func run() throws -> Int32 {
        let isDeadlock = lab.option("demo", "wire") == "deadlock"
        guard isDeadlock || lab.option("demo", "wire") == "wire" else {
            throw LabError.usage("no demo \"\(lab.option("demo", ""))\"; choose wire or deadlock")
        }
        var scenario = try lab.scenario(isDeadlock ? "receive-flood-deadlock" : "wire-pull")
        if !isDeadlock { scenario.wireOffFor = 20 }
        let run = try lab.start(
            scenario, kernel: lab.option("kernel", "6.12"), directory: "\(lab.out)/demo",
            agentOptions: WatchProgram(tool: lab.binary).textOption)
        remark(
            "booting \(run.kernel.release) with \(scenario.memoryMiB) MB, host "
                + "\(scenario.host); its swap will lie on NBD")
        run.onRemark = remark
        let stream = Tail(path: run.guest.events)
        run.onLook = {
            let more = stream.next()
            if !more.isEmpty { FileHandle.standardOutput.write(more) }
        }
        try run.run()
        run.onLook()
        say("")
        let words = try Tools.run(
            lab.binary, ["replay", run.guest.recording, "--format", "words"])
        say(words)
        switch run.outcome {
        case .completed where isDeadlock:
            remark("no deadlock this time: the guest came through; it is not certain, try again")
            return 0
        case .completed:
            remark(
                "the guest came through; look at it again: build/reservewatch top --replay "
                    + run.guest.recording)
            return 0
        case .deadlocked:
            for task in run.stuck { say("  \(task.sentence())") }
            remark(
                "the guest is deadlocked for good, with wire and server healthy: a defect of "
                    + "today's kernels, not of the watch. Stacks of the stuck tasks: "
                    + "\(run.directory)/stacks.txt")
            return isDeadlock ? 0 : 4
        case .timedOut where isDeadlock:
            remark("no deadlock this time: it is not certain; try again")
            return 0
        case .panicked, .hung, .timedOut, .livelocked, .guestFailed:
            remark("\(run.reason); see \(run.guest.consoleLog)")
            return 1
        }
    }

    private func remark(_ text: String) {
        say("==== \(text)")
    }
}
