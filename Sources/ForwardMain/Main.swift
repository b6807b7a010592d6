// SPDX-License-Identifier: Apache-2.0

import Glibc
import ReserveForward

/// Forwarding as a program of its own, started by `reservewatch forward`: it is linked to
/// libcurl, which nothing else of ReserveWatch needs. Its words are ForwardSettings'.
@main
struct Main {
    static func main() {
        do throws(ForwardError) {
            let settings = try ForwardSettings(words: Array(CommandLine.arguments.dropFirst()))
            guard
                let sender = CurlSender(
                    slots: ForwardSettings.mostDestinations,
                    agent: "reservewatch/\(settings.version)")
            else { throw .resources(operation: "make an HTTP client", errno: ENOMEM) }
            guard !settings.isTest else {
                var test = DeliveryTest(settings, sender: sender)
                exit(test.run())
            }
            try Forwarder(settings, sender: sender).run()
        } catch {
            complain(error.sentence)
            exit(error.exitStatus)
        }
    }
}
