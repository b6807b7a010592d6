// SPDX-License-Identifier: Apache-2.0

/// What the doctor must find in each state that `guest/doctor` brings about: all of its findings
/// of severity unknown or worse, no more and no less.
public struct DoctorState: Equatable, Sendable {
    public var name: String
    public var findings: Set<String>
    public var verdict: String

    /// A signal is missing in none of the lab's kernels.
    public var status: Int {
        switch verdict {
        case "unfit": return 78
        case "unknown": return 1
        default: return 0
        }
    }

    private static func fit(_ name: String) -> DoctorState {
        DoctorState(name: name, findings: [], verdict: "fit")
    }

    private static func unfit(_ name: String, _ findings: String...) -> DoctorState {
        DoctorState(name: name, findings: Set(findings), verdict: "unfit")
    }

    /// In the order in which they come.
    public static let all: [DoctorState] = [
        fit("prepared"),
        unfit("writeback-throttle", "wbt-on"),
        unfit("min-free-lowered", "min-free-changed"),
        fit("min-free-default"),
        unfit("tcp-mem", "tcp-mem-beyond-memory"),
        unfit("tcp-rmem", "rcvbuf-beyond-reserve"),
        unfit("no-timeout", "no-timeout"),
        DoctorState(name: "no-debugfs", findings: ["timeout-unknown"], verdict: "unknown"),
        unfit("client-forked", "client-not-locked"),
        unfit("client-killable", "client-not-locked", "client-killable"),
        unfit("persist-forked", "client-not-locked", "persist-unprotected"),
        fit("persist-locked"),
        unfit(
            "tls", "tls-proxy", "local-server-no-io-flusher", "local-server-not-locked",
            "local-server-killable"),
        unfit(
            "local-tcp", "local-server", "local-server-no-io-flusher", "local-server-not-locked",
            "local-server-killable"),
        unfit("local-unix-flusher", "local-server", "local-server-not-locked"),
        DoctorState(name: "no-swap", findings: [], verdict: "no_nbd_swap"),
        fit("prepared-again"),
    ]

    /// Severities that do not count against a host.
    static let harmless: Set<String> = ["ok", "notice"]

    /// A look's findings that count, from its JSON document.
    public static func counted(_ document: [String: Any]) -> Set<String> {
        let findings = document["findings"] as? [[String: Any]] ?? []
        return Set(
            findings.filter { !harmless.contains($0["severity"] as? String ?? "") }
                .compactMap { $0["id"] as? String })
    }

    /// What came of a state, against what must come of it.
    public func row(status: Int?, document: [String: Any]?) -> Row {
        guard let status, let document else {
            return .check("state \(name)", false, "absent", note: "the guest did not get there")
        }
        let found = Self.counted(document)
        let told = document["verdict"] as? String ?? "-"
        let missing = findings.subtracting(found).sorted()
        let surplus = found.subtracting(findings).sorted()
        let note =
            (missing.isEmpty ? "" : "missing: \(missing.joined(separator: ", ")) ")
            + (surplus.isEmpty ? "" : "not expected: \(surplus.joined(separator: ", "))")
        return .check(
            "state \(name)",
            missing.isEmpty && surplus.isEmpty && told == verdict
                && status == self.status,
            "\(told), status \(status): \(found.sorted().joined(separator: ", "))", note: note)
    }
}
