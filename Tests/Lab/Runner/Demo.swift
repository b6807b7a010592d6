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
        var scenario = try lab.scenario(isDeadlock ? "loads-only" : "wire-pull")
        if !isDeadlock { scenario.wireOffFor = 20 }
        try lab.prepareCache()
        let kernel = try KernelPackage.fetch(lab.option("kernel", "6.12"), cache: lab.cache)
        guard FileManager.default.isExecutableFile(atPath: lab.binary) else {
            throw LabError.missingTool(lab.binary, install: "make build")
        }
        remark("booting \(kernel.release) with \(scenario.memoryMiB) MB; swap lies on NBD")
        let run = try LabRun(
            scenario: scenario, kernel: kernel, lab: lab.lab, cache: lab.cache,
            directory: "\(lab.out)/demo", binary: lab.binary, agentOptions: "--format text")
        var shown = 0
        run.onRemark = remark
        run.onLook = {
            let text = Data(run.guest.text(run.guest.events).utf8)
            guard text.count > shown else { return }
            FileHandle.standardOutput.write(text.dropFirst(shown))
            shown = text.count
        }
        try run.run()
        run.onLook()
        say("")
        let words = try Tools.run(
            lab.binary, ["replay", run.guest.recording, "--format", "words"])
        say(words)
        switch run.outcome {
        case .completed:
            remark("the guest came through; the recording is \(run.guest.recording)")
            return 0
        case .deadlocked:
            remark(
                "the guest is deadlocked for good, with wire and server healthy: a defect of "
                    + "today's kernels, not of the watch. Stacks of the stuck tasks: "
                    + "\(run.directory)/stacks.txt")
            return isDeadlock ? 0 : 4
        case .timedOut, .guestFailed:
            remark(
                isDeadlock
                    ? "no deadlock this time: it comes by chance; try again"
                    : "the guest did not finish; see \(run.guest.consoleLog)")
            return isDeadlock && run.outcome == .timedOut ? 0 : 1
        }
    }

    private func remark(_ text: String) {
        say("==== \(text)")
    }
}
