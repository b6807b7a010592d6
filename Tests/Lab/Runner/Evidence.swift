// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// What is taken from a guest that can tell nothing by itself any more.
struct Evidence {
    let guest: Guest
    let cpus: Int

    /// Stacks of all blocked tasks, by magic SysRq on the serial console: it is served by the
    /// interrupt handler and works while every task is frozen. Returns the tasks found.
    func stacks() throws -> [StuckTask] {
        let before = guest.mutters.text.utf8.count
        // 9: print the stacks themselves, not only their heading (drivers/tty/sysrq.c).
        try guest.qmp.sysrq("9", console: guest.console)
        usleep(500_000)
        try guest.qmp.sysrq("w", console: guest.console)
        var size = -1
        for _ in 0..<20 where size != guest.mutters.text.utf8.count {
            size = guest.mutters.text.utf8.count
            sleep(2)
        }
        let dump = String(
            decoding: Array(guest.mutters.text.utf8.dropFirst(before)), as: UTF8.self)
        try dump.write(
            toFile: "\(guest.directory)/stacks.txt", atomically: true, encoding: .utf8)
        return StuckTask.parse(dump)
    }

    /// Registers and the top of the stack of every CPU, read by the emulator: needs nothing
    /// of the guest. Addresses are those of System.map, for the guest boots with nokaslr.
    func registers() throws {
        sleep(3)  // The dying kernel may still be printing.
        var text = guest.qmp.monitor("info status")
        for cpu in 0..<cpus {
            text += "\n==== cpu \(cpu)\n"
            text += guest.qmp.monitor("info registers", cpu: cpu)
            text += guest.qmp.monitor("x /8i $rip", cpu: cpu)
            text += guest.qmp.monitor("x /512gx $rsp", cpu: cpu)
        }
        try text.write(
            toFile: "\(guest.directory)/registers.txt", atomically: true, encoding: .utf8)
    }
}
