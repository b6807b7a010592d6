// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// The connections of `guest/sockets`: each is told, by its kind, its device and its namespace.
extension Checks {
    private typealias Told = [String: Any]

    mutating func socketKinds(_ final: [String: Any]) {
        let netns = run.guest.mark("NETNS").flatMap { Int($0.trimmingCharacters(in: .whitespaces)) }
        // The last summary before nbd4 is let go: all six are there.
        let marked = run.guest.mark("MARKED").flatMap { Double($0) } ?? 0
        let before =
            lines.last { line in
                line["summary"] != nil && (line["boot_ns"] as? Double ?? 0) < marked * 1e9
            }?["summary"] as? [String: Any]
        let told = before?["sockets"] as? [Told] ?? []
        func socket(_ device: String) -> Told? {
            told.first { $0["device"] as? String == device }
        }
        let first = socket("nbd0")?["netns"] as? Int
        one("an IPv4 socket", socket("nbd4")) {
            $0["family"] as? String == "inet" && $0["peer"] as? String == "127.0.0.1:10004"
                && $0["netns"] as? Int == first
        }
        one("an IPv6 socket", socket("nbd5")) {
            $0["family"] as? String == "inet6" && $0["peer"] as? String == "[0:0:0:0:0:0:0:1]:10005"
        }
        one("a unix socket", socket("nbd6")) {
            $0["family"] as? String == "unix" && $0["path"] as? String == "/tmp/nbd6.sock"
        }
        one("a socket in another network namespace", socket("nbd7")) {
            $0["peer"] as? String == "127.0.0.1:10007" && $0["netns"] as? Int == netns
                && netns != first
        }
        one("a socket marked while we watched", socket("nbd8")) {
            $0["found"] as? String == "marked"
                && ($0["marked_by"] as? Told)?["comm"] as? String == "nbd-client"
        }
        rows.append(.equal("sockets marked", agent: final["sockets_marked"] as? Int, kernel: 1))
        let atEnd = (final["sockets"] as? [Told] ?? []).compactMap { $0["device"] as? String }
        rows.append(
            .check(
                "a socket that was let go is gone",
                atEnd.sorted() == ["nbd0", "nbd5", "nbd6", "nbd7", "nbd8"],
                atEnd.sorted().joined(separator: " ")))
        let gone = lines.compactMap { $0["socket"] as? Told }
            .filter { $0["phase"] as? String == "gone" }
        rows.append(
            .check(
                "its end was told", gone.map { $0["device"] as? String } == ["nbd4"],
                "\(gone.compactMap { $0["device"] as? String })"))
    }

    private mutating func one(_ name: String, _ socket: Told?, _ holds: (Told) -> Bool) {
        guard let socket else {
            rows.append(.check(name, false, "absent"))
            return
        }
        let words = ["family", "local", "peer", "path", "netns", "found", "owner"]
            .compactMap { field in socket[field].map { "\(field) \($0)" } }
        rows.append(.check(name, holds(socket), words.joined(separator: ", ")))
    }
}
